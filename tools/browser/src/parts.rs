//! The parts from outside: found, or named as missing.

use anyhow::Context as _;
use std::{env, fs, path::PathBuf};
use testbed::parts::installed;

/// The first of these programs that is on the search path.
///
/// # Errors
/// What is missing, and what Debian calls it.
pub fn any(names: &[&str], debian: &str) -> anyhow::Result<PathBuf> {
    let mut found = names.iter().filter_map(|name| which::which(name).ok());
    let wanted = names.first().unwrap_or(&"program");
    found
        .next()
        .with_context(|| format!("no {wanted} on the search path (Debian: {debian})"))
}

/// geckodriver, on the search path or where `.ci/run` installs it.
///
/// # Errors
/// If it is in neither place.
pub fn geckodriver() -> anyhow::Result<PathBuf> {
    let installed = installed("bin/geckodriver");
    match which::which("geckodriver") {
        Ok(path) => Ok(path),
        Err(_) if installed.is_file() => Ok(installed),
        Err(_) => anyhow::bail!(
            "no geckodriver on the search path or at {} (cargo install geckodriver)",
            installed.display()
        ),
    }
}

/// WebKitGTK's small browser, which lies in a folder that is named after the machine's
/// architecture.
///
/// # Errors
/// If there is none.
pub fn mini_browser() -> anyhow::Result<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found = architectures.flat_map(|folder| {
        ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"]
            .map(|version| folder.path().join(version).join("MiniBrowser"))
    });
    found
        .find(|path| path.is_file())
        .context("no MiniBrowser in /usr/lib (Debian: webkit2gtk-driver)")
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
