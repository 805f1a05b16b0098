//! HAProxy 2.6, as Debian 12 has it.

use crate::{
    behind,
    common::{Connection, Settings, SOCKET, STREAM},
    meanwhile, parked, waiting, workers,
};
use anyhow::ensure;
use harness::say;
use proxies::{Configuration, Program::HaProxy, Proxy};
use std::time::Duration;
use tls::Protocol;

fn first() -> Configuration {
    Configuration::first(HaProxy)
}

fn right() -> Configuration {
    Configuration::right(HaProxy)
}

/// Debian's 50 s, shortened.
fn first_shortened() -> Configuration {
    first()
        .with("timeout client  50s", "timeout client  2s")
        .with("timeout server  50s", "timeout server  2s")
}

fn right_shortened() -> Configuration {
    right()
        .with("timeout client  60s", "timeout client  2s")
        .with("timeout server  60s", "timeout server  2s")
        .with("timeout tunnel  60s", "timeout tunnel  2s")
}

/// Heartbeats as often, beside that, as the servers' 15 s are beside 60.
const BEAT: Duration = Duration::from_millis(500);

const SILENT: Settings = Settings {
    asks: false,
    heartbeat: Duration::from_secs(60),
    park: Duration::from_secs(60),
};

/// A stream and a socket on which the server says nothing for `timeout server`.
pub async fn silence_is_cut() -> anyhow::Result<()> {
    for configuration in [first_shortened(), right_shortened()] {
        let (_server, proxy) = behind(configuration, SILENT).await?;
        let mut stream = Connection::through(&proxy, STREAM).await?;
        let mut socket = Connection::through(&proxy, SOCKET).await?;
        stream.until("event: hello").await?;
        socket.until("hello").await?;
        stream.ended().await?;
        socket.ended().await?;
        ensure!(!stream.seen().contains("event: end"), "{}", stream.seen());
    }
    let beats = Settings {
        heartbeat: BEAT,
        ..SILENT
    };
    let (_server, proxy) = behind(right_shortened(), beats).await?;
    crate::lives_on_heartbeats(&proxy).await?;
    crate::came_to(
        "haproxy-idle-cut",
        "haproxy::silence_is_cut",
        &[
            (
                "sse",
                "the connection ends without `end`; with heartbeats it lives on",
            ),
            (
                "websocket",
                "the connection ends, with and without `timeout tunnel`; with \
                 heartbeats it lives on",
            ),
        ],
    );
    Ok(())
}

/// A request that the server parks for longer than `timeout server`.
pub async fn a_parked_request_is_answered_504() -> anyhow::Result<()> {
    let (server, proxy) = behind(first_shortened(), SILENT).await?;
    let mut asked = parked(&server, &proxy, 60).await?;
    ensure!(asked.status().await? == 504, "{}", asked.seen());

    let sooner = Settings {
        park: Duration::from_secs(1),
        ..SILENT
    };
    let (server, proxy) = behind(right_shortened(), sooner).await?;
    let mut asked = parked(&server, &proxy, 60).await?;
    asked.until("\"events\":[]").await?;
    ensure!(asked.status().await? == 200, "{}", asked.seen());
    crate::came_to(
        "haproxy-route-time-out",
        "haproxy::a_parked_request_is_answered_504",
        &[(
            "long-polling",
            "504; parked for less, 200 and a page without events",
        )],
    );
    Ok(())
}

/// The server goes on waiting for a client that is not there.
pub async fn a_client_that_left_keeps_its_place() -> anyhow::Result<()> {
    let (server, proxy) = behind(first(), SILENT).await?;
    let asked = parked(&server, &proxy, 60).await?;
    drop(asked);
    meanwhile(&proxy).await?;
    ensure!(server.feed.subscribers() == 1, "it left");

    let (server, proxy) = behind(right(), SILENT).await?;
    let asked = parked(&server, &proxy, 60).await?;
    drop(asked);
    waiting(&server, 0).await?;
    crate::came_to(
        "haproxy-client-left",
        "haproxy::a_client_that_left_keeps_its_place",
        &[(
            "long-polling",
            "its place stays taken; with `option abortonclose` it is free at once",
        )],
    );
    Ok(())
}

/// Without `alpn` a browser has HTTP/1.1, and six connections.
pub async fn http2_needs_alpn() -> anyhow::Result<()> {
    for (configuration, agreed) in [(first(), None), (right(), Some(&b"h2"[..]))] {
        let (_server, proxy) = behind(configuration, Settings::default()).await?;
        let stream = proxy.connect(&[Protocol::Http2, Protocol::Http1]).await?;
        let alpn = stream.get_ref().1.alpn_protocol();
        ensure!(alpn == agreed, "{alpn:?}");
    }
    Ok(())
}

/// Workers with open streams and sockets stay, one more generation with each reload.
pub async fn a_reload_leaves_old_workers() -> anyhow::Result<()> {
    let cuts = right().with("hard-stop-after 5m", "hard-stop-after 1s");
    workers::stay_or_are_cut(first(), cuts, reload).await?;
    crate::came_to(
        "haproxy-reload",
        "haproxy::a_reload_leaves_old_workers",
        &[
            ("polling", "no connection is refused meanwhile"),
            (
                "sse",
                "lives on in an old worker; with `hard-stop-after`, cut without `end` \
                 after that time",
            ),
            (
                "websocket",
                "lives on in an old worker; with `hard-stop-after`, cut after that \
                 time",
            ),
        ],
    );
    Ok(())
}

/// Reloads, and waits until a new worker serves. No connection is refused meanwhile.
async fn reload(proxy: &Proxy) -> anyhow::Result<()> {
    let old = proxy.workers();
    proxy.reload().await?;
    let began = || proxy.workers().iter().any(|id| !old.contains(id));
    while !began() {
        meanwhile(proxy).await?;
    }
    // The old worker takes none any more: by then it has been told.
    for _ in 0..3 {
        meanwhile(proxy).await?;
    }
    Ok(())
}

/// Each event is compressed by itself, and passed on.
pub async fn compression_passes_events_on() -> anyhow::Result<()> {
    let lines = "compression algo gzip\n    compression type text/event-stream\n    \
                 default_backend waiting";
    let compresses = first().with("default_backend waiting", lines);
    let (server, proxy) = behind(compresses.clone(), SILENT).await?;
    let head = format!("{STREAM}\nAccept-Encoding: gzip");
    let mut stream = Connection::through(&proxy, &head).await?;
    stream.until("content-encoding: gzip").await?;
    let mut length = 0;
    for _ in 0..3 {
        length = stream.more_than(length).await?;
        say(&server.feed, "the news").await;
    }
    stream.more_than(length).await?;
    // Told not to, it does not.
    let (_server, proxy) = behind(compresses, Settings::default()).await?;
    let mut stream = Connection::through(&proxy, &head).await?;
    stream.until("event: hello").await?;
    crate::came_to(
        "haproxy-compresses",
        "haproxy::compression_passes_events_on",
        &[(
            "sse",
            "each event comes at once, compressed; with `no-transform`, as it is",
        )],
    );
    Ok(())
}
