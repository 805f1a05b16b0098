//! Others' software on the other side: `nghttp`, which still takes pushes, and
//! `nghttpd`, which still sends them.
//!
//! Needs nghttp2's programs (Debian: `nghttp2-client`, `nghttp2-server`); without them
//! each test is ignored, with the reason, or fails under `REQUIRE_PARTS=1`.

mod support;

use anyhow::{ensure, Context as _};
use http2_push::{
    client::{self, Session, Source},
    Config,
};
use libtest_mimic::Arguments;
use std::process::{ExitCode, Stdio};
use support::PushServer;
use testbed::{
    parts::{trial, Missing},
    HANG,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
};

fn main() -> ExitCode {
    let trials = vec![
        trial(
            "nghttp_marks_what_was_pushed",
            HANG,
            nghttp_marks_what_was_pushed,
        ),
        trial(
            "nghttp_without_push_is_sent_none",
            HANG,
            nghttp_without_push_is_sent_none,
        ),
        trial(
            "nghttpd_pushes_to_our_client",
            HANG,
            nghttpd_pushes_to_our_client,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A program that ends with this test, or what is missing.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn missing(name: &'static str) -> impl Fn(std::io::Error) -> anyhow::Error {
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Missing(anyhow::anyhow!("{name} is not installed")).into()
        }
        _ => error.into(),
    }
}

async fn nghttp(server: &PushServer, flags: &[&str]) -> anyhow::Result<String> {
    let mut command = program("nghttp");
    let command = command.args(flags).arg(server.address.to_string());
    let output = command.output().await.map_err(missing("nghttp"))?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The lines of `nghttp -s` that are about a path, with whether each carries the star
/// of a push.
fn listed(statistics: &str) -> Vec<(String, bool)> {
    let lines = statistics.lines().filter_map(|line| {
        let path = line.split_whitespace().last()?;
        let is_row = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        (is_row && path.starts_with('/')).then(|| (path.to_owned(), line.contains('*')))
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

async fn nghttp_marks_what_was_pushed() -> anyhow::Result<()> {
    let server = PushServer::start(Config::default()).await;
    let told = nghttp(&server, &["-ns"]).await?;
    let expected = [("/", false), ("/script.js", true), ("/style.css", true)];
    let expected = expected.map(|(path, pushed)| (path.to_owned(), pushed));
    ensure!(listed(&told) == expected, "{told}");
    Ok(())
}

async fn nghttp_without_push_is_sent_none() -> anyhow::Result<()> {
    let server = PushServer::start(Config::default()).await;
    let told = nghttp(&server, &["-ns", "--no-push"]).await?;
    ensure!(listed(&told) == [("/".to_owned(), false)], "{told}");
    Ok(())
}

async fn nghttpd_pushes_to_our_client() -> anyhow::Result<()> {
    let files = tempfile::tempdir()?;
    std::fs::write(files.path().join("index.html"), "<link href=/style.css>")?;
    std::fs::write(files.path().join("style.css"), "p {}")?;
    // It takes no port 0, so one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let mut command = program("nghttpd");
    let command = command
        .args(["--no-tls", "-a", "127.0.0.1", "-v", "--push=/=/style.css"])
        .arg(format!("--htdocs={}", files.path().display()))
        .arg(port.to_string())
        .stdout(Stdio::piped());
    let mut process = command.spawn().map_err(missing("nghttpd"))?;
    let output = process.stdout.take().context("no output")?;
    let mut lines = BufReader::new(output).lines();
    // `IPv4: listen 127.0.0.1:PORT`
    while let Some(line) = lines.next_line().await? {
        if line.contains("listen") {
            break;
        }
    }
    // Its later lines are read too, or it would stop at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let address = format!("http://127.0.0.1:{port}/").parse()?;
    let mut session =
        Session::over(stream, &address, client::Config::default()).await?;
    let page = session.get("/").await?;
    ensure!(page.answer.status == 200, "{page:?}");
    ensure!(page.pushed == ["/style.css"], "{page:?}");
    let style = session.get("/style.css").await?;
    ensure!(style.source == Source::Pushed, "{style:?}");
    ensure!(style.answer.body == "p {}", "{style:?}");
    Ok(())
}
