//! SIGTERM, under a thousand open connections.

use crate::{
    program::Program,
    wire::{Method, Open},
};
use anyhow::ensure;
use futures_util::{stream, StreamExt, TryStreamExt};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use testbed::{faults::came_to, Raw};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 1_000;

/// The default of `--drain`.
const DRAIN: Duration = Duration::from_secs(5);

/// Opens that many, a hundred at a time.
pub async fn open_many(
    method: Method,
    program: &Program,
    count: usize,
) -> anyhow::Result<Vec<Open>> {
    let opening = (0..count).map(|_| Open::at(method, program.address, "/"));
    let opened = stream::iter(opening)
        .buffer_unordered(100)
        .try_collect::<Vec<_>>()
        .await?;
    if method.waits() {
        program.has_waiting(method.name(), count).await;
    }
    Ok(opened)
}

/// A thousand clients are told, by the means of their method, and the process ends by itself before
/// its drain is over.
pub async fn a_thousand(method: Method) -> anyhow::Result<()> {
    // No events of its own: a parked request would be answered with them.
    let flags = ["--max-connections", "1200", "--rate", "0"];
    let mut program = Program::start(method.name(), &flags).await?;
    let opened = open_many(method, &program, CONNECTIONS).await?;
    let begun = Instant::now();
    program.signal(Signal::TERM)?;
    let ends = stream::iter(opened.into_iter().map(Open::end))
        .buffer_unordered(CONNECTIONS)
        .collect::<Vec<_>>()
        .await;
    program.ended_well().await?;
    let took = begun.elapsed();
    ensure!(took < DRAIN, "{took:?}");
    ensure!(ends.len() == CONNECTIONS);
    for end in &ends {
        ensure!(end.in_order && end.whole, "{method:?}: {end:?}");
        ensure!(end.told == method.waits(), "{method:?}: {end:?}");
    }
    let gone = TcpStream::connect(program.address).await;
    ensure!(gone.is_err(), "nobody listens any more");
    println!("{}: {CONNECTIONS} ended in {took:.0?}", method.name());
    let what = match method {
        Method::Polling => {
            "1,000 kept connections are closed in order, none of them in the middle of an answer"
        }
        Method::LongPolling => {
            "1,000 parked requests are answered at once with an empty page and `Connection: close`"
        }
        Method::Sse => "1,000 streams get `end` with `shutdown`, and their last chunk",
        Method::WebSocket => "1,000 sockets are closed with 1001",
    };
    let what = format!("{what}; the process ends with code 0 within its drain of 5 s");
    let test = "faults::ends::sigterm";
    came_to("sigterm", method.name(), &what, test);
    Ok(())
}

/// Sockets whose clients answer no close hold the process, and not beyond their patience.
pub async fn mute_sockets() -> anyhow::Result<()> {
    let flags = ["--rate", "0"];
    let mut program = Program::start("websocket", &flags).await?;
    let mute = open_many(Method::WebSocket, &program, 10).await?;
    let begun = Instant::now();
    program.signal(Signal::TERM)?;
    program.ended_well().await?;
    let took = begun.elapsed();
    let patience = websocket::Config::default().close_patience;
    ensure!(took >= patience && took < DRAIN, "{took:?}");
    drop(mute);
    Ok(())
}

/// During the lame duck all goes on, `ready` says 503, and a second signal ends it at once.
pub async fn lame_duck() -> anyhow::Result<()> {
    let flags = ["--rate", "0", "--lame-duck", "600"];
    let mut program = Program::start("sse", &flags).await?;
    ensure!(program.ready().await == 200);
    let mut old = Open::at(Method::Sse, program.address, "/").await?;
    program.signal(Signal::TERM)?;
    program.is_not_ready().await;
    // Who comes now is served, and hears what is published now.
    let mut new = Open::at(Method::Sse, program.address, "/").await?;
    let event = r#"{"kind":"message","data":"still here"}"#;
    let published = testbed::post(program.address, "/events", "application/json", event).await;
    ensure!(published.starts_with("HTTP/1.1 201 "), "{published}");
    for open in [&mut old, &mut new] {
        open.until("still here").await?;
    }
    let mut status = Raw::get(program.address, "/status").await;
    ensure!(status.answer().await.status() == 200, "a wait could begin");
    drop(status);
    program.signal(Signal::TERM)?;
    program.ended_well().await?;
    // Ten minutes early. What was open is cut, if it was not told before.
    old.end().await;
    Ok(())
}
