//! The parts from outside: found, or named as missing.

use anyhow::Context as _;
use std::{env, fs, path::PathBuf};

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
/// It is read from the path in `AXE_CORE`, or from where `.ci/run` installs it: `target/parts` of the workspace.
///
/// # Errors
/// If it is in neither place.
pub fn axe_core() -> anyhow::Result<String> {
    const INSTALLED: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/parts/node_modules/axe-core/axe.min.js"
    );
    let path = env::var_os("AXE_CORE").map_or_else(|| INSTALLED.into(), PathBuf::from);
    fs::read_to_string(&path)
        .with_context(|| format!("no axe-core at {} (npm: axe-core)", path.display()))
}

/// Whether a missing part is a failure: `REQUIRE_PARTS=1`, as the automatic checks set it.
pub fn required() -> bool {
    env::var_os("REQUIRE_PARTS").is_some_and(|value| value == "1")
}
