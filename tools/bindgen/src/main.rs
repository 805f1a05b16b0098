//! `bindgen INPUT.wasm DIRECTORY NAME`: writes `NAME.js`, a classic script with one function, and
//! `NAME_bg.wasm`, which it loads.
//!
//! What `wasm-bindgen --target no-modules --no-typescript` does. The program of that name does much
//! else, and takes longer to compile.

use anyhow::{bail, Context as _};
use std::env;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [input, directory, name] = arguments.as_slice() else {
        bail!("usage: bindgen INPUT.wasm DIRECTORY NAME");
    };
    Bindgen::new()
        .input_path(input)
        .no_modules(true)?
        .typescript(false)
        .out_name(name)
        // Names and notes for a debugger are a tenth of the module.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(directory)
        .with_context(|| format!("{input} cannot be bound"))
}
