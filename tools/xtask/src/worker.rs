//! The servers of the panels as WebAssembly, and the service worker around them.

use crate::steps::{Step, Steps};
use anyhow::{ensure, Context as _};
use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

const TARGET: &str = "wasm32-unknown-unknown";

/// How to get it.
const INSTALL: &str = "rustup target add wasm32-unknown-unknown";

/// What a browser may download for it, in bytes, compressed with gzip.
const LARGEST: usize = 420_000;

/// Whether the compiler can compile for a browser.
///
/// # Errors
/// If there is no compiler.
fn can_be_built(steps: &Steps) -> anyhow::Result<bool> {
    let libraries = Step::new("rustc", &["--print", "target-libdir", "--target", TARGET]);
    let found = steps.command(&libraries).output()?.stdout;
    Ok(Path::new(String::from_utf8(found)?.trim()).is_dir())
}

/// Compiles the servers, binds them to JavaScript, and puts the worker's script below that: all
/// into `target/worker`.
///
/// # Errors
/// If the compiler cannot compile for a browser, or what it made is too large.
pub fn build(steps: &mut Steps) -> anyhow::Result<()> {
    ensure!(can_be_built(steps)?, "no compiler for it: {INSTALL}");
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = steps.root.join(target);
    let build = ["build", "--locked", "--package", "worker"];
    let build = Step::cargo(&build).arguments(["--profile", "worker", "--target", TARGET]);
    steps.run("worker", build)?;

    let bound = target.join("bound");
    let bind = ["run", "--quiet", "--locked"];
    let bind = Step::cargo(&bind)
        .arguments(["--manifest-path", "tools/bindgen/Cargo.toml"])
        .arguments([Path::new("--target-dir"), &target.join("bindgen")])
        .arguments([
            Path::new("--"),
            &target.join(TARGET).join("worker/worker.wasm"),
            &bound,
            Path::new("server"),
        ]);
    steps.run("worker bound", bind)?;

    let module = bound.join("server_bg.wasm");
    let glue = bound.join("server.js");
    let bytes = fs::read(&module).with_context(|| module.display().to_string())?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    // As mdBook names files that a cache may keep for good.
    let name = format!("server-{:.8}.wasm", format!("{:016x}", hasher.finish()));

    let sources = steps.root.join("tools/worker/web");
    let read =
        |path: PathBuf| fs::read_to_string(&path).with_context(|| path.display().to_string());
    // A function, because an instance that has panicked needs another.
    let script = format!(
        "const MODULE = \"assets/worker/{name}\";\nconst bind = () => {{\n{}\nreturn wasm_bindgen;\n}};\n{}",
        read(glue)?,
        read(sources.join("worker.js"))?,
    );

    let directory = steps.root.join("target/worker");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("worker.js"), &script)?;
    fs::write(directory.join(&name), &bytes)?;
    fs::copy(sources.join("start.js"), directory.join("start.js"))?;

    let (module, script) = (compressed(&bytes)?, compressed(script.as_bytes())?);
    println!("{name}: {} bytes, {module} with gzip", bytes.len());
    println!("worker.js: {script} bytes with gzip");
    let both = module + script;
    ensure!(
        both <= LARGEST,
        "{both} bytes with gzip are more than the {LARGEST} that a reader is to download"
    );
    Ok(())
}

/// How many bytes gzip makes of these.
fn compressed(bytes: &[u8]) -> anyhow::Result<usize> {
    let mut counted = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut counted, bytes)?;
    Ok(counted.finish()?.len())
}
