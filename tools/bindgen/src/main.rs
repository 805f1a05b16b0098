//! `bindgen INPUT.wasm DIRECTORY NAME KIND`: writes `NAME.js`, which is a classic script with one
//! function or a module, and `NAME_bg.wasm`, which it loads.
//!
//! What `wasm-bindgen --no-typescript --target KIND` does, for the kinds `no-modules` and `web`.
//! The program of that name does much else, and takes longer to compile.

use anyhow::{bail, Context as _};
use std::env;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [input, directory, name, kind] = arguments.as_slice() else {
        bail!("usage: bindgen INPUT.wasm DIRECTORY NAME KIND");
    };
    let mut bindgen = Bindgen::new();
    match kind.as_str() {
        "no-modules" => bindgen.no_modules(true)?,
        "web" => bindgen.web(true)?,
        _ => bail!("{kind}: a kind is no-modules or web"),
    };
    bindgen
        .input_path(input)
        .typescript(false)
        .out_name(name)
        // Names and notes for a debugger are a tenth of the module.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(directory)
        .with_context(|| format!("{input} cannot be bound"))
}
