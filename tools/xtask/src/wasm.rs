//! What is compiled for a browser, and bound to JavaScript.

use crate::steps::{Step, Steps};
use anyhow::ensure;
use std::{
    env,
    path::{Path, PathBuf},
};

const TARGET: &str = "wasm32-unknown-unknown";

/// How to get it.
const INSTALL: &str = "rustup target add wasm32-unknown-unknown";

/// What the script around a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A classic script, as a service worker takes it everywhere.
    Script,
    /// A module.
    Module,
}

/// Whether the compiler can compile for a browser.
///
/// # Errors
/// If there is no compiler.
fn can_be_built(steps: &Steps) -> anyhow::Result<bool> {
    let libraries = Step::new("rustc", &["--print", "target-libdir", "--target", TARGET]);
    let found = steps.command(&libraries).output()?.stdout;
    Ok(Path::new(String::from_utf8(found)?.trim()).is_dir())
}

/// That the formulas still compile for a browser. The worker is compiled by `cargo xtask worker`.
///
/// # Errors
/// If it does not.
pub fn check(steps: &mut Steps) -> anyhow::Result<()> {
    let name = "formulas for a browser";
    if !can_be_built(steps)? {
        return steps.leave_out(name, INSTALL);
    }
    let check = ["check", "--package", "formulas"];
    steps.run(name, Step::cargo(&check).arguments(["--target", TARGET]))
}

/// Where cargo puts what it builds.
pub fn target(steps: &Steps) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    steps.root.join(target)
}

/// Compiles a package for a browser; returns the path of its module.
///
/// # Errors
/// If the compiler cannot compile for a browser, or fails.
pub fn compile(steps: &mut Steps, package: &'static str) -> anyhow::Result<PathBuf> {
    ensure!(can_be_built(steps)?, "no compiler for it: {INSTALL}");
    let build = ["build", "--locked", "--package", package];
    let build = Step::cargo(&build).arguments(["--profile", "worker", "--target", TARGET]);
    steps.run(package, build)?;
    let module = format!("worker/{package}.wasm");
    Ok(target(steps).join(TARGET).join(module))
}

/// Binds a module to JavaScript: writes `NAME.js` and `NAME_bg.wasm`.
///
/// # Errors
/// If it cannot be bound.
pub fn bind(
    steps: &mut Steps,
    module: &Path,
    directory: &Path,
    name: &str,
    kind: Kind,
) -> anyhow::Result<()> {
    let kind = match kind {
        Kind::Script => "no-modules",
        Kind::Module => "web",
    };
    let bind = ["run", "--quiet", "--locked"];
    let bind = Step::cargo(&bind)
        .arguments(["--manifest-path", "tools/bindgen/Cargo.toml"])
        .arguments([
            Path::new("--target-dir"),
            &target(steps).join("bindgen"),
            Path::new("--"),
        ])
        .arguments([module, directory, Path::new(name), Path::new(kind)]);
    steps.run("bound to JavaScript", bind)
}
