//! `cargo run -p snippets` counts the book's Rust blocks by kind.
//! `snippets build ROOT`, run by a package's build script, does for the book at `ROOT` what this
//! package's own build script does for this one.

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let this_book = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let root = match arguments[..] {
        ["build", root] => return snippets::book::build(Path::new(root)),
        ["count", root] => root,
        ["count"] | [] => this_book,
        _ => {
            eprintln!("usage: snippets [count [ROOT] | build ROOT]");
            return ExitCode::from(2);
        }
    };
    let book = match snippets::book::expand(Path::new(root)) {
        Ok(book) => book,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    print!("{}", book.report());
    for problem in &book.problems {
        eprintln!("{problem}");
    }
    if book.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
