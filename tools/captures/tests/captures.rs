//! Each capture that the book shows is what the program shows today.
//!
//! Needs `curl` and `nghttp` (Debian: curl, nghttp2-client); without them a test is ignored, with the reason, or fails under
//! `REQUIRE_PARTS=1`.

use anyhow::{ensure, Context as _};
use captures::{Capture, CAPTURES};
use libtest_mimic::{run, Arguments, Trial};
use std::{fs, process::ExitCode};
use testbed::parts::outcome;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let trial =
        |capture: Capture| Trial::ignorable_test(capture.name, move || outcome(compare(capture)));
    run(&Arguments::from_args(), CAPTURES.map(trial).into()).exit_code()
}

fn compare(capture: Capture) -> anyhow::Result<()> {
    let path = capture.path();
    let kept = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let text = Runtime::new()?.block_on(capture.take())?;
    let (found, expected) = ((capture.compared)(&text), (capture.compared)(&kept));
    let new: Vec<_> = found.iter().filter(|one| !expected.contains(one)).collect();
    let gone: Vec<_> = expected.iter().filter(|one| !found.contains(one)).collect();
    ensure!(
        found == expected,
        "{} differs; if on purpose, write it anew with `cargo run -p captures`. New: {new:#?}\nGone: {gone:#?}\nFound:\n{text}",
        path.display()
    );
    Ok(())
}
