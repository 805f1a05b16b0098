//! The formulas of `capacity` as WebAssembly, for the calculator.

use crate::{
    steps::Steps,
    wasm::{self, Kind},
};
use anyhow::Context as _;
use std::fs;

/// Where they are kept.
const KEPT: &str = "crates/web/formulas";

/// Compiles them, and keeps what a page loads of them in `crates/web/formulas`.
///
/// # Errors
/// If the compiler cannot compile for a browser.
pub fn build(steps: &mut Steps) -> anyhow::Result<()> {
    let compiled = wasm::compile(steps, "formulas")?;
    let bound = wasm::target(steps).join("bound-formulas");
    wasm::bind(steps, &compiled, &bound, "formulas", Kind::Module)?;
    let kept = steps.root.join(KEPT);
    let script = bound.join("formulas.js");
    let script = fs::read_to_string(&script).with_context(|| script.display().to_string())?;
    // The types of what wasm-bindgen writes are its own affair.
    fs::write(
        kept.join("formulas.js"),
        format!("// @ts-nocheck\n{script}"),
    )?;
    let module = "formulas_bg.wasm";
    let bytes = fs::copy(bound.join(module), kept.join(module))?;
    println!("{KEPT}/{module}: {bytes} bytes");
    Ok(())
}
