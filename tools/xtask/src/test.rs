//! The tests, as a reader runs them who has the book open in another terminal.

use crate::steps::{Step, Steps};
use anyhow::{ensure, Context as _};
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Where the site listens when nobody says otherwise.
const PORT: u16 = 4000;

/// A proxy that does not exist: no test may ask one on the way to this machine.
const PROXY: &str = "http://127.0.0.1:9";

/// The packages with tests of what `cargo test` leaves out: a log that an engine keeps. One build
/// for all of them.
const WITH_ENGINES: [&str; 5] = [
    "test",
    "--no-fail-fast",
    "--package=engines",
    "--package=servers",
    "--all-features",
];

/// Runs `cargo test`, and then the tests of the engines with their features; without `arguments`
/// for everything, beside a running site.
///
/// # Errors
/// If a test fails.
pub fn test(steps: &mut Steps, arguments: &[String]) -> anyhow::Result<()> {
    if !arguments.is_empty() {
        let tests = without_proxy(Step::cargo(&["test"]).arguments(arguments));
        return steps.run("tests", tests);
    }
    // To the end: who waits for an hour is told of all that fails.
    let tests = without_proxy(Step::cargo(&["test", "--no-fail-fast"]));
    // Also builds the site that runs beside the tests.
    steps.run("tests built", Step::cargo(&["test", "--no-run"]))?;
    let beside = Site::start(steps)?;
    steps.run_in_parts("tests", tests, by_target)?;
    drop(beside);
    let engines = without_proxy(Step::cargo(&WITH_ENGINES));
    steps.run_in_parts("tests with engines", engines, by_target)
}

/// The same step, with a proxy in its environment that no test may ask.
fn without_proxy(mut tests: Step) -> Step {
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        tests = tests.variable(name, Some(PROXY));
    }
    for name in ["no_proxy", "NO_PROXY"] {
        tests = tests.variable(name, None::<&str>);
    }
    tests
}

/// Targets that take less than this share one line of the table.
const SLOW: Duration = Duration::from_secs(5);

/// How long what cargo has written may take to come, once cargo itself has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs `cargo test`; how long each slow target took, from the line in which cargo names it to the
/// next such line.
fn by_target(mut command: Command) -> io::Result<(ExitStatus, Vec<(String, Duration)>)> {
    let mut cargo = command.stderr(Stdio::piped()).spawn()?;
    let lines = cargo.stderr.take().map(BufReader::new);
    let (begins, begun) = mpsc::channel();
    // A thread of its own: a process that a test has left behind may keep this open for ever.
    thread::spawn(move || {
        for line in lines.into_iter().flat_map(|lines| lines.split(b'\n')) {
            let Ok(mut line) = line else { return };
            if let Some(target) = target(&String::from_utf8_lossy(&line)) {
                // Nobody listens once cargo has ended.
                let _ = begins.send((target, Instant::now()));
            }
            line.push(b'\n');
            let _ = io::stderr().write_all(&line);
        }
    });
    let status = cargo.wait()?;
    let end = Instant::now();
    let mut targets = Vec::new();
    while let Ok(target) = begun.recv_timeout(LAST_LINES) {
        targets.push(target);
    }
    Ok((status, slow(&targets, end)))
}

/// The target that cargo names in a line such as
/// `     Running tests/golden.rs (target/debug/deps/golden-8f7badb3d91a71e2)`.
fn target(line: &str) -> Option<String> {
    if let Some((_, of)) = line.split_once("Doc-tests") {
        return Some(format!("doc-tests of {}", of.split_whitespace().last()?));
    }
    let (_, program) = line
        .strip_suffix(')')?
        .split_once("Running")?
        .1
        .split_once(" (")?;
    let (name, _hash) = program.rsplit(['/', '\\']).next()?.rsplit_once('-')?;
    Some(name.to_owned())
}

/// The targets that took long, in their order, and the others together.
fn slow(targets: &[(String, Instant)], end: Instant) -> Vec<(String, Duration)> {
    let ends = targets.iter().skip(1).map(|(_, begin)| *begin).chain([end]);
    let took = targets.iter().zip(ends);
    let took = took.map(|((name, begin), end)| (name.clone(), end.duration_since(*begin)));
    let (mut slow, others): (Vec<_>, Vec<_>) = took.partition(|(_, took)| *took >= SLOW);
    if !others.is_empty() {
        let sum = others.iter().map(|(_, took)| *took).sum();
        slow.push((format!("{} others", others.len()), sum));
    }
    slow
}

/// A site on the usual ports, which no test may need. Ends when dropped.
struct Site(Child);

impl Site {
    /// Starts it, and waits until it answers. Where another has the port, that one will do.
    fn start(steps: &Steps) -> anyhow::Result<Self> {
        let target = steps.root.join("target");
        let mut command = steps.command(&Step::new(target.join("debug/site"), &[]));
        let log = File::create(target.join("site.log"))?;
        let started = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut site = Self(started.context("the site beside the tests")?);
        let output = site.0.stdout.take().context("it has no output")?;
        // One line, once it listens; or none, and it has ended.
        BufReader::new(output).read_line(&mut String::new())?;
        let answers = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_ok();
        ensure!(
            answers,
            "no site listens on port {PORT}: see target/site.log"
        );
        Ok(site)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_found_in_the_line_in_which_cargo_names_it() {
        for (line, name) in [
            (
                "     Running tests/golden.rs (target/debug/deps/golden-8f7badb3d91a71e2)",
                Some("golden"),
            ),
            (
                "\x1b[1m\x1b[92m     Running\x1b[0m unittests src/lib.rs (target/debug/deps/long_polling-b17c)",
                Some("long_polling"),
            ),
            (
                r"     Running tests\browser\main.rs (target\debug\deps\browser-4f47.exe)",
                Some("browser"),
            ),
            ("   Doc-tests feed", Some("doc-tests of feed")),
            ("   Compiling feed v0.1.0 (/book/crates/feed)", None),
            ("     Running `target/debug/site build`", None),
            ("Running out of ideas (as said)", None),
        ] {
            assert_eq!(target(line).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn a_target_takes_until_the_next_begins_and_quick_ones_are_one_line() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let targets = [("feed", 0), ("browser", 1), ("golden", 61), ("book", 64)];
        let targets = targets.map(|(name, begin)| (name.to_owned(), at(begin)));
        let listed: Vec<_> = slow(&targets, at(70))
            .into_iter()
            .map(|(name, took)| (name, took.as_secs()))
            .collect();
        let expected = [("browser", 60), ("book", 6), ("2 others", 1 + 3)];
        assert_eq!(listed, expected.map(|(name, took)| (name.to_owned(), took)));
        assert_eq!(slow(&[], begin), []);
    }
}
