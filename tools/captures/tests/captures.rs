//! Each capture that the book shows is what the program shows today, and stands below the command
//! that was run.
//!
//! Needs `curl` and `nghttp` (Debian: curl, nghttp2-client); without them a test is ignored, with
//! the reason, or fails under `REQUIRE_PARTS=1`.

use anyhow::{ensure, Context as _};
use captures::{Capture, CAPTURES};
use libtest_mimic::{run, Arguments, Trial};
use std::{fs, path::Path, process::ExitCode};
use testbed::parts::outcome;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let trial =
        |capture: Capture| Trial::ignorable_test(capture.name, move || outcome(compare(capture)));
    let mut trials = Vec::from(CAPTURES.map(trial));
    trials.push(Trial::test("commands", || Ok(commands()?)));
    trials.push(Trial::test("lengths", || Ok(lengths()?)));
    run(&Arguments::from_args(), trials).exit_code()
}

/// A page of the foundations.
fn page(name: &str) -> anyhow::Result<String> {
    let foundations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/foundations");
    let path = foundations.join(name).with_extension("md");
    fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
}

/// The last command that a page prints before a capture is the one that it was taken with.
fn commands() -> anyhow::Result<()> {
    for capture in CAPTURES {
        let include = format!("include ../../tools/captures/output/{}.txt", capture.name);
        let mut shown = 0;
        for name in ["round-trips", "connections", "http-versions"] {
            let text = page(name)?;
            for (at, _) in text.match_indices(&include) {
                let mut before = text[..at].lines().rev();
                let command = before.find_map(|line| line.strip_prefix("$ "));
                let expected = match capture.name {
                    // Told in words: the same without `grep`.
                    "frames" => CAPTURES.iter().find(|one| one.name == "waiting"),
                    _ => Some(&capture),
                };
                ensure!(
                    command == expected.map(|one| one.command),
                    "{name}: above {include} stands {command:?}, and {:?} was run",
                    capture.command
                );
                shown += 1;
            }
        }
        ensure!(shown == 1, "{include} is shown {shown} times");
    }
    Ok(())
}

/// The lengths of which the page speaks are those of the captures.
fn lengths() -> anyhow::Result<()> {
    let text = page("http-versions")?;
    let output = Path::new(env!("CARGO_MANIFEST_DIR")).join("output");
    let kept = |name: &str| fs::read_to_string(output.join(name));
    let says = |sentence: String| {
        ensure!(
            text.contains(&sentence),
            "the page does not say: {sentence}"
        );
        Ok(())
    };
    let stream = kept("stream.txt")?;
    let chunks: Vec<usize> = stream
        .lines()
        .filter_map(|line| usize::from_str_radix(line, 16).ok())
        .collect();
    let [hello, event, end, 0] = chunks[..] else {
        anyhow::bail!("other chunks: {chunks:?}");
    };
    says(format!(
        "`{hello:X}` is {hello} bytes, `{event:X}` is {event}, `{end:X}` is {end}"
    ))?;
    says(format!(
        "**DATA**, {hello} bytes, then {event}, then {end}."
    ))?;
    let frames = kept("frames.txt")?;
    let two = kept("two-streams.txt")?;
    let lengths = |text: &str, start: &str| -> Vec<String> {
        let frames = text.lines().filter_map(|line| line.strip_prefix(start));
        let lengths = frames.filter_map(|rest| rest.split_once(','));
        lengths.map(|(length, _)| length.to_owned()).collect()
    };
    let data = lengths(&frames, "recv DATA frame <length=");
    ensure!(data == [hello, event, end, 0].map(|length| length.to_string()));
    let [first, second] = &lengths(&two, "send HEADERS frame <length=")[..] else {
        anyhow::bail!("other requests: {two}");
    };
    ensure!(lengths(&frames, "send HEADERS frame <length=") == std::slice::from_ref(first));
    says(format!("It takes {first} bytes"))?;
    says(format!(
        "The first request takes {first} bytes and the second {second}"
    ))?;
    let short = lengths(&two, "recv DATA frame <length=")
        .into_iter()
        .find(|length| two.contains(&format!("<length={length}, flags=0x01, stream_id=3>")))
        .context("the short answer")?;
    says(format!("is answered with {short} bytes"))
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
        "{} differs; if on purpose, write it anew with `cargo xtask captures`. New: {new:#?}\nGone: {gone:#?}\nFound:\n{text}",
        path.display()
    );
    Ok(())
}
