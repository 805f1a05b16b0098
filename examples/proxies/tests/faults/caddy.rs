//! Caddy 2.6, as Debian 12 has it.

use crate::{
    answer, behind,
    common::{Connection, Settings, SOCKET, STREAM},
    meanwhile, parked, waiting,
};
use anyhow::ensure;
use harness::say;
use proxies::{Configuration, Program::Caddy};
use std::time::Duration;

fn first() -> Configuration {
    Configuration::first(Caddy)
}

fn right() -> Configuration {
    Configuration::right(Caddy)
}

const SILENT: Settings = Settings {
    asks: false,
    heartbeat: Duration::from_secs(60),
    park: Duration::from_secs(60),
};

/// As much as Caddy thinks worth compressing, in the first bytes of an answer.
const LONG: usize = 600;

/// Of a client that comes back with a cursor, and finds enough to be compressed. One
/// that finds little is served at once, so on a developer's machine nothing is seen.
pub async fn compression_holds_events() -> anyhow::Result<()> {
    for (configuration, settings) in [(first(), SILENT), (first(), Settings::default())]
    {
        let (server, proxy) = behind(configuration, settings).await?;
        say(&server.feed, &"x".repeat(LONG)).await;
        let fresh = format!("{STREAM}\nAccept-Encoding: gzip");
        let mut fresh = Connection::through(&proxy, &fresh).await?;
        fresh.until("event: hello").await?;

        let back =
            "GET /live/sse/events?after=earliest HTTP/1.1\nAccept-Encoding: gzip";
        let mut held = Connection::through(&proxy, back).await?;
        held.until("Content-Encoding: gzip").await?;
        waiting(&server, 2).await?;
        say(&server.feed, "the news").await;
        fresh.until("the news").await?;
        meanwhile(&proxy).await?;
        let length = held.seen().len();
        for _ in 0..10 {
            say(&server.feed, "more").await;
        }
        fresh.until_times("more", 10).await?;
        meanwhile(&proxy).await?;
        ensure!(held.seen().len() == length, "it came: {}", held.seen());
        server.feed.finish();
        held.more_than(length).await?;
    }
    let (server, proxy) = behind(right(), SILENT).await?;
    say(&server.feed, &"x".repeat(LONG)).await;
    let back = "GET /live/sse/events?after=earliest HTTP/1.1\nAccept-Encoding: gzip";
    let mut stream = Connection::through(&proxy, back).await?;
    stream.until("xxx").await?;
    say(&server.feed, "the news").await;
    stream.until("the news").await?;
    let page = answer(&proxy, "GET /live/sse/ HTTP/1.1\nAccept-Encoding: gzip").await?;
    ensure!(page.contains("Content-Encoding: gzip"), "{page}");
    crate::came_to(
        "caddy-compresses",
        "caddy::compression_holds_events",
        &[(
            "sse",
            "the backlog and all that follows stays in the compressor; a new \
                 client gets each event at once; with types named, all do",
        )],
    );
    Ok(())
}

/// A socket needs no line of its own.
pub async fn a_socket_opens_by_itself() -> anyhow::Result<()> {
    for configuration in [first(), right()] {
        let (_server, proxy) = behind(configuration, Settings::default()).await?;
        let head = format!("{SOCKET}\nOrigin: https://{}", proxy.address());
        let mut socket = Connection::through(&proxy, &head).await?;
        ensure!(socket.status().await? == 101, "{}", socket.seen());
        socket.until("hello").await?;
    }
    Ok(())
}

/// Caddy 2.6 closes the sockets of the old configuration at once. Its streams and
/// parked requests stay.
pub async fn a_reload_cuts_sockets() -> anyhow::Result<()> {
    let (server, proxy) = behind(right(), SILENT).await?;
    let mut stream = Connection::through(&proxy, STREAM).await?;
    let mut socket = Connection::through(&proxy, SOCKET).await?;
    stream.until("event: hello").await?;
    socket.until("hello").await?;
    let mut asked = parked(&server, &proxy, 60).await?;
    proxy.reload().await?;
    socket.ended().await?;
    // A frame that closes, with 1001: going away.
    socket.until_bytes(&[0x88, 0x02, 0x03, 0xe9]).await?;
    meanwhile(&proxy).await?;
    say(&server.feed, "the news").await;
    stream.until("the news").await?;
    asked.until("the news").await?;
    crate::came_to(
        "caddy-reload",
        "caddy::a_reload_cuts_sockets",
        &[
            (
                "long-polling",
                "stays parked, and is answered by the next event",
            ),
            ("sse", "lives on"),
            ("websocket", "closed at once with 1001"),
        ],
    );
    Ok(())
}
