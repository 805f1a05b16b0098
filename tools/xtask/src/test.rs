//! The tests, as a reader runs them who has the book open in another terminal.

use crate::steps::{Step, Steps};
use anyhow::{ensure, Context as _};
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Stdio},
};

/// Where the site listens when nobody says otherwise.
const PORT: u16 = 4000;

/// A proxy that does not exist: no test may ask one on the way to this machine.
const PROXY: &str = "http://127.0.0.1:9";

/// Runs `cargo test`; without `arguments` for everything, beside a running site.
///
/// # Errors
/// If a test fails.
pub fn test(steps: &mut Steps, arguments: &[String]) -> anyhow::Result<()> {
    let mut tests = Step::cargo(&["test"]).arguments(arguments);
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
    if !arguments.is_empty() {
        return steps.run("tests", tests);
    }
    // Also builds the site that runs beside the tests.
    steps.run("tests built", Step::cargo(&["test", "--no-run"]))?;
    let beside = Site::start(steps)?;
    let tested = steps.run("tests", tests);
    drop(beside);
    tested
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
