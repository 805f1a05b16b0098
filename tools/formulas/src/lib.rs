//! The formulas of `capacity` for a browser. `cargo xtask formulas` compiles them into
//! `crates/web/formulas`, where they are kept: whoever builds the book needs no compiler for
//! WebAssembly. Elsewhere than in a browser this crate is empty.
#![cfg(target_family = "wasm")]

use wasm_bindgen::prelude::wasm_bindgen;

/// [`capacity::numbers::calculate`]; no numbers where it gives nothing.
#[wasm_bindgen]
#[must_use]
pub fn calculate(inputs: &[f64]) -> Vec<f64> {
    capacity::numbers::calculate(inputs).map_or_else(Vec::new, Vec::from)
}
