//! Expands the book and lets skeptic write a test for each of its Rust blocks.

use std::path::Path;
use std::process::ExitCode;

// The library shares this module, so that its guards are themselves tested. What only the library
// uses (the report) is unused here.
#[allow(dead_code)]
#[path = "src/book/mod.rs"]
mod book;

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/book");
    // The tests hand it to skeptic, which gives the compiler a target triple. Tests do not get
    // `TARGET`.
    if let Ok(target) = std::env::var("TARGET") {
        println!("cargo:rustc-env=SNIPPETS_TARGET={target}");
    }
    book::build(&here.join("../.."))
}
