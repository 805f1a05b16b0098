//! The servers of the panels as WebAssembly, and the service worker around them.

use crate::{
    steps::Steps,
    wasm::{self, Kind},
};
use anyhow::{ensure, Context as _};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
};

/// What a browser may download for it, in bytes, compressed with gzip.
const LARGEST: usize = 420_000;

/// Compiles the servers, binds them to JavaScript, and puts the worker's scripts below that: all
/// into `target/worker`.
///
/// # Errors
/// If the compiler cannot compile for a browser, or what it made is too large.
pub fn build(steps: &mut Steps) -> anyhow::Result<()> {
    let compiled = wasm::compile(steps, "worker")?;
    let bound = wasm::target(steps).join("bound");
    wasm::bind(steps, &compiled, &bound, "server", Kind::Script)?;

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
        "const MODULE = \"assets/worker/{name}\";\nconst bind = () => {{\n{}\nreturn wasm_bindgen;\n}};\n{}{}",
        read(glue)?,
        classic(&read(sources.join("tap.js"))?),
        classic(&read(sources.join("worker.js"))?),
    );

    let directory = steps.root.join("target/worker");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("worker.js"), &script)?;
    fs::write(directory.join(&name), &bytes)?;
    fs::copy(sources.join("start.js"), directory.join("start.js"))?;

    let (module, script) = (
        wasm::compressed(&bytes)?,
        wasm::compressed(script.as_bytes())?,
    );
    println!("{name}: {} bytes, {module} with gzip", bytes.len());
    println!("worker.js: {script} bytes with gzip");
    let both = module + script;
    ensure!(
        both <= LARGEST,
        "{both} bytes with gzip are more than the {LARGEST} that a reader is to download"
    );
    Ok(())
}

/// A module as a part of a classic script, in which all parts have the same names: without its
/// imports, which fit on a line, and its exports.
fn classic(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    lines
        .flat_map(|line| [line.strip_prefix("export ").unwrap_or(line), "\n"])
        .collect()
}
