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

/// That the modules which are kept still compile for a browser. The worker is compiled by `cargo
/// xtask worker`.
///
/// # Errors
/// If one does not.
pub fn check(steps: &mut Steps, packages: &[&str]) -> anyhow::Result<()> {
    let name = "modules for a browser";
    if !can_be_built(steps)? {
        return steps.leave_out(name, INSTALL);
    }
    let packages = packages.iter().flat_map(|package| ["--package", *package]);
    let check = Step::cargo(&["check", "--target", TARGET]).arguments(packages);
    steps.run(name, check)
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

/// How many bytes gzip makes of these.
///
/// # Errors
/// If it cannot compress them.
pub fn compressed(bytes: &[u8]) -> anyhow::Result<usize> {
    let mut counted = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut counted, bytes)?;
    Ok(counted.finish()?.len())
}

/// The number of a custom section, of which whoever runs a module takes no notice (WebAssembly Core
/// §5.5.3).
const CUSTOM: u8 = 0;

/// Adds a custom section to a module.
///
/// # Panics
/// If it has 128 bytes or more.
pub fn add_section(module: &mut Vec<u8>, name: &str, content: &[u8]) {
    let short = |length: usize| u8::try_from(length).ok().filter(|length| *length < 128);
    let size = short(1 + name.len() + content.len()).expect("a short section");
    module.extend([CUSTOM, size, short(name.len()).expect("a short name")]);
    module.extend(name.as_bytes());
    module.extend(content);
}

/// The content of a custom section with a short name.
#[cfg(test)]
pub fn section<'a>(module: &'a [u8], name: &str) -> Option<&'a [u8]> {
    // After the eight bytes with which every module begins.
    let mut rest = module.get(8..)?;
    loop {
        let (kind, after) = rest.split_first()?;
        let (size, after) = read_number(after)?;
        let (section, next) = after.split_at_checked(size)?;
        if *kind == CUSTOM {
            let (length, named) = read_number(section)?;
            let (is, content) = named.split_at_checked(length)?;
            if is == name.as_bytes() {
                return Some(content);
            }
        }
        rest = next;
    }
}

/// Reads a number in LEB128.
#[cfg(test)]
fn read_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_was_added_is_found_again() {
        // An empty module with a section of 200 bytes, whose size takes two.
        let mut module = b"\0asm\x01\0\0\0\x00\xc8\x01\x03big".to_vec();
        module.extend([7; 196]);
        assert_eq!(section(&module, "sources"), None);
        add_section(&mut module, "sources", b"0123");
        add_section(&mut module, "other", b"4567");
        assert_eq!(section(&module, "sources"), Some(&b"0123"[..]));
        assert_eq!(section(&module, "big"), Some(&[7; 196][..]));
        for cut in 0..module.len() {
            assert_eq!(section(&module[..cut], "nowhere"), None);
        }
    }
}
