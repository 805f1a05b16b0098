//! The parts from outside: found, or named as missing.

use anyhow::Context as _;
use std::{env, fs, path::PathBuf};
use testbed::parts::installed;

/// The programs without which no test here can run.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The browser.
    pub chromium: PathBuf,
    /// Its WebDriver server, of the same version.
    pub chromedriver: PathBuf,
}

impl Parts {
    /// Finds both on the search path.
    ///
    /// # Errors
    /// Which one is missing, and what Debian calls it.
    pub fn find() -> anyhow::Result<Self> {
        let chromium = ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .find_map(|name| which::which(name).ok())
            .context("no chromium on the search path (Debian: chromium)")?;
        let chromedriver = which::which("chromedriver")
            .context("no chromedriver on the search path (Debian: chromium-driver)")?;
        Ok(Self {
            chromium,
            chromedriver,
        })
    }
}

/// The source text of axe-core, which looks for barriers in a page.
///
/// It is read from the path in `AXE_CORE`, or from where `.ci/run` installs it.
///
/// # Errors
/// If it is in neither place.
pub fn axe_core() -> anyhow::Result<String> {
    let path = env::var_os("AXE_CORE").map_or_else(
        || installed("node_modules/axe-core/axe.min.js"),
        PathBuf::from,
    );
    fs::read_to_string(&path)
        .with_context(|| format!("no axe-core at {} (npm: axe-core)", path.display()))
}
