//! nginx 1.22, as Debian 12 has it.

use crate::{
    answer, behind,
    common::{Connection, Settings, SOCKET, STREAM},
    direct_stream,
    h2::{self, Http2},
    meanwhile, parked, waiting, workers,
};
use anyhow::ensure;
use axum::{body::Body, routing::get, Router};
use bytes::Bytes;
use futures_util::stream;
use harness::say;
use proxies::{Configuration, Program::Nginx, Proxy};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::net::TcpListener;

fn first() -> Configuration {
    Configuration::first(Nginx)
}

fn right() -> Configuration {
    Configuration::right(Nginx)
}

/// The 60 s of `proxy_read_timeout`, shortened.
const SHORT: &str = "proxy_read_timeout 2s;";

/// `first` with nginx's own default, shortened.
fn first_shortened() -> Configuration {
    first().with("proxy_pass", &format!("{SHORT} proxy_pass"))
}

fn right_shortened() -> Configuration {
    right().with("proxy_read_timeout 60s;", SHORT)
}

/// Heartbeats as often, beside that, as the servers' 15 s are beside 60.
const BEAT: Duration = Duration::from_millis(500);

const SILENT: Settings = Settings {
    asks: false,
    heartbeat: Duration::from_secs(60),
    park: Duration::from_secs(60),
};

/// Of a server that does not ask for the opposite.
pub async fn events_are_held() -> anyhow::Result<()> {
    let (server, proxy) = behind(first(), SILENT).await?;
    let mut held = Connection::through(&proxy, STREAM).await?;
    waiting(&server, 1).await?;
    let mut direct = direct_stream(&server).await?;
    let mut parked = parked(&server, &proxy, 60).await?;
    say(&server.feed, "the news").await;
    direct.until("the news").await?;
    // What is answered whole is not held.
    parked.until("the news").await?;
    let page =
        answer(&proxy, "GET /live/polling/events?after=earliest HTTP/1.1").await?;
    ensure!(page.contains("the news"), "{page}");
    meanwhile(&proxy).await?;
    ensure!(held.seen().is_empty(), "{}", held.seen());
    server.feed.finish();
    held.until("the news").await?;

    // The server says so, as the book's do; the proxy is told so.
    let asks = Settings::default();
    for (configuration, settings) in [(first(), asks), (right(), SILENT)] {
        let (server, proxy) = behind(configuration, settings).await?;
        let mut stream = Connection::through(&proxy, STREAM).await?;
        stream.until("event: hello").await?;
        say(&server.feed, "the news").await;
        stream.until("the news").await?;
    }
    crate::came_to(
        "nginx-buffers",
        "nginx::events_are_held",
        &[
            ("polling", "each answer is whole and passes"),
            ("long-polling", "each answer is whole and passes"),
            (
                "sse",
                "nothing comes, not even headers, until the response ends; with \
                 `proxy_buffering off`, each event at once",
            ),
        ],
    );
    Ok(())
}

/// What nginx sends by TLS it collects too, in records of 16 KiB: also where, with
/// HTTP/1.1 to the server, nothing else is held. Over HTTP/2 it does not.
pub async fn tls_holds_events() -> anyhow::Result<()> {
    let newer = first().with("proxy_pass", "proxy_http_version 1.1; proxy_pass");
    let (server, proxy) = behind(newer, SILENT).await?;
    let browser = Http2::to(&proxy).await?;
    let mut stream = browser.get("/live/sse/events").await?;
    h2::until(&mut stream, "event: hello").await?;
    let mut held = Connection::through(&proxy, STREAM).await?;
    waiting(&server, 2).await?;
    say(&server.feed, "the news").await;
    h2::until(&mut stream, "the news").await?;
    meanwhile(&proxy).await?;
    ensure!(held.seen().is_empty(), "{}", held.seen());
    server.feed.finish();
    held.until("the news").await?;
    crate::came_to(
        "nginx-tls-buffers",
        "nginx::tls_holds_events",
        &[(
            "sse",
            "nothing comes until the response ends; over HTTP/2, each event at once",
        )],
    );
    Ok(())
}

/// Over HTTP/2 and with HTTP/1.1 to the server, so that nothing else holds them.
pub async fn compression_holds_events() -> anyhow::Result<()> {
    let lines = "proxy_http_version 1.1; gzip_types text/event-stream; proxy_pass";
    let (server, proxy) = behind(first().with("proxy_pass", lines), SILENT).await?;
    let browser = Http2::to(&proxy).await?;
    let asking = browser.clone();
    let held = tokio::spawn(async move {
        let asked = h2::get().header("accept-encoding", "gzip");
        let answer = asking.send(asked, "/live/sse/events", "").await?;
        let encoding = answer.headers()["content-encoding"].clone();
        let first = answer.into_body().data().await;
        anyhow::Ok((encoding, first.is_some_and(|data| data.is_ok())))
    });
    waiting(&server, 1).await?;
    let mut plain = browser.get("/live/sse/events").await?;
    h2::until(&mut plain, "event: hello").await?;
    say(&server.feed, "the news").await;
    h2::until(&mut plain, "the news").await?;
    meanwhile(&proxy).await?;
    ensure!(!held.is_finished(), "something came");
    server.feed.finish();
    let (encoding, came) = held.await??;
    ensure!(encoding == "gzip" && came, "{encoding:?}");

    let (server, proxy) = behind(right(), SILENT).await?;
    let browser = Http2::to(&proxy).await?;
    let asked = h2::get().header("accept-encoding", "gzip");
    let answer = browser.send(asked, "/live/sse/events", "").await?;
    let mut stream = answer.into_body();
    h2::until(&mut stream, "event: hello").await?;
    say(&server.feed, "the news").await;
    h2::until(&mut stream, "the news").await?;
    crate::came_to(
        "nginx-compresses",
        "nginx::compression_holds_events",
        &[(
            "sse",
            "nothing comes until the response ends; with `gzip off`, each event \
                 at once",
        )],
    );
    Ok(())
}

/// A stream and a socket on which the server says nothing for `proxy_read_timeout`.
pub async fn silence_is_cut() -> anyhow::Result<()> {
    let (_server, proxy) = behind(right_shortened(), SILENT).await?;
    let mut stream = Connection::through(&proxy, STREAM).await?;
    let mut socket = Connection::through(&proxy, SOCKET).await?;
    stream.until("event: hello").await?;
    socket.until("hello").await?;
    stream.ended().await?;
    socket.ended().await?;
    // No last chunk, no frame that closes: both look like a network that failed.
    ensure!(
        !stream.seen().ends_with("\r\n0\r\n\r\n"),
        "{}",
        stream.seen()
    );
    ensure!(!stream.seen().contains("event: end"), "{}", stream.seen());

    let beats = Settings {
        heartbeat: BEAT,
        ..SILENT
    };
    let (_server, proxy) = behind(right_shortened(), beats).await?;
    crate::lives_on_heartbeats(&proxy).await?;
    crate::came_to(
        "nginx-idle-cut",
        "nginx::silence_is_cut",
        &[
            (
                "sse",
                "the connection ends without `end` and without a last chunk; with \
                 heartbeats it lives on",
            ),
            (
                "websocket",
                "the connection ends without a frame that closes; with heartbeats it \
                 lives on",
            ),
        ],
    );
    Ok(())
}

/// `Upgrade` goes one hop, and HTTP/1.0 knows none.
pub async fn an_upgrade_is_refused() -> anyhow::Result<()> {
    let (_server, proxy) = behind(first(), Settings::default()).await?;
    let mut socket = Connection::through(&proxy, SOCKET).await?;
    ensure!(socket.status().await? == 426, "{}", socket.seen());

    let (_server, proxy) = behind(right(), Settings::default()).await?;
    let mut socket = Connection::through(&proxy, SOCKET).await?;
    ensure!(socket.status().await? == 101, "{}", socket.seen());
    socket.until("hello").await?;
    crate::came_to(
        "nginx-refuses-upgrade",
        "nginx::an_upgrade_is_refused",
        &[("websocket", "426; with `Upgrade` and `Connection` set, 101")],
    );
    Ok(())
}

/// `Host` becomes what stands after `proxy_pass`, so a page of the site is a stranger.
pub async fn a_pages_host_is_lost() -> anyhow::Result<()> {
    let body = r#"{"kind":"message","data":"hello"}"#;
    let length = body.len();
    for (configuration, expected) in [(first(), 403), (right(), 201)] {
        let (_server, proxy) = behind(configuration, Settings::default()).await?;
        let host = proxy.address();
        for method in ["polling", "long-polling", "sse"] {
            let head = format!(
                "POST /live/{method}/events HTTP/1.1\nHost: {host}\n\
                 Origin: https://{host}\nContent-Type: application/json\n\
                 Content-Length: {length}"
            );
            let stream = proxy.connect(&[tls::Protocol::Http1]).await?;
            let mut asked = Connection::send(stream, &head, body).await?;
            ensure!(
                asked.status().await? == expected,
                "{method}: {}",
                asked.seen()
            );
        }
        if expected == 201 {
            let head = format!("{SOCKET}\nOrigin: https://{host}");
            let mut socket = Connection::through(&proxy, &head).await?;
            ensure!(socket.status().await? == 101, "{}", socket.seen());
        }
    }
    crate::came_to(
        "nginx-rewrites-host",
        "nginx::a_pages_host_is_lost",
        &[
            (
                "polling",
                "a publish is refused with 403; with `Host` passed on, 201",
            ),
            (
                "long-polling",
                "a publish is refused with 403; with `Host` passed on, 201",
            ),
            (
                "sse",
                "a publish is refused with 403; with `Host` passed on, 201",
            ),
            (
                "websocket",
                "with `Host` passed on, the handshake of the page is answered 101",
            ),
        ],
    );
    Ok(())
}

/// A request that the server parks for longer than `proxy_read_timeout`.
pub async fn a_parked_request_is_answered_504() -> anyhow::Result<()> {
    let (server, proxy) = behind(first_shortened(), SILENT).await?;
    let mut parked = parked(&server, &proxy, 60).await?;
    ensure!(parked.status().await? == 504, "{}", parked.seen());
    // No problem of the contract: a page of nginx's.
    parked.until("</html>").await?;

    let sooner = Settings {
        park: Duration::from_secs(1),
        ..SILENT
    };
    let (server, proxy) = behind(right_shortened(), sooner).await?;
    let mut parked = crate::parked(&server, &proxy, 60).await?;
    parked.until("\"events\":[]").await?;
    ensure!(parked.status().await? == 200, "{}", parked.seen());
    crate::came_to(
        "nginx-route-time-out",
        "nginx::a_parked_request_is_answered_504",
        &[(
            "long-polling",
            "504 and a page of HTML; parked for less, 200 and a page without events",
        )],
    );
    Ok(())
}

/// Workers with open streams and sockets stay, one more generation with each reload.
pub async fn a_reload_leaves_old_workers() -> anyhow::Result<()> {
    let one = right().workers(1);
    let keeps = one.clone().with("worker_shutdown_timeout 5m;", "");
    let cuts = one.with("worker_shutdown_timeout 5m;", "worker_shutdown_timeout 1s;");
    workers::stay_or_are_cut(keeps, cuts, reload).await?;
    crate::came_to(
        "nginx-reload",
        "nginx::a_reload_leaves_old_workers",
        &[
            (
                "sse",
                "lives on in an old worker; with `worker_shutdown_timeout`, cut \
                 without `end` after that time",
            ),
            (
                "websocket",
                "lives on in an old worker; with `worker_shutdown_timeout`, cut after \
                 that time",
            ),
        ],
    );
    Ok(())
}

/// Reloads, and waits until new workers serve.
async fn reload(proxy: &Proxy) -> anyhow::Result<()> {
    let old = proxy.workers();
    proxy.reload().await?;
    let began = || proxy.workers().iter().any(|id| !old.contains(id));
    while !began() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Until the old ones have heard of it, a connection may still come to them.
    let quit = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.is_empty() || String::from_utf8_lossy(&line).contains("shutting down")
    };
    while !old.iter().all(quit) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Each stream takes two of a worker's connections, and the listener some.
pub async fn connections_run_out() -> anyhow::Result<()> {
    let few = first()
        .workers(1)
        .with("worker_connections 768;", "worker_connections 20;");
    let (server, proxy) = behind(few, Settings::default()).await?;
    let mut streams = Vec::new();
    loop {
        let Ok(mut stream) = Connection::through(&proxy, STREAM).await else {
            break;
        };
        if stream.until("event: hello").await.is_err() {
            break;
        }
        streams.push(stream);
        ensure!(streams.len() < 10, "as many as there are places");
    }
    ensure!(
        server.feed.subscribers() == streams.len(),
        "{}",
        streams.len()
    );
    // And nobody else gets in.
    let asked = answer(&proxy, "GET /live/polling/status HTTP/1.1").await;
    ensure!(
        !asked.is_ok_and(|text| text.starts_with("HTTP/1.1 200")),
        "it was answered"
    );
    ensure!(
        proxy.errors().contains("worker_connections are not enough"),
        "{}",
        proxy.errors()
    );

    let (_server, proxy) = behind(right().workers(1), Settings::default()).await?;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Connection::through(&proxy, STREAM).await?;
        stream.until("event: hello").await?;
        streams.push(stream);
    }
    let asked = answer(&proxy, "GET /live/polling/status HTTP/1.1").await?;
    ensure!(asked.starts_with("HTTP/1.1 200"), "{asked}");
    crate::came_to(
        "nginx-connections-used-up",
        "nginx::connections_run_out",
        &[
            (
                "polling",
                "not answered; with more `worker_connections`, 200",
            ),
            (
                "sse",
                "no further stream opens; with more `worker_connections`, all do",
            ),
        ],
    );
    Ok(())
}

/// A server that writes as long as it may, and counts.
async fn fountain() -> anyhow::Result<(std::net::SocketAddr, Arc<AtomicUsize>)> {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route(
        "/",
        get(move || async move {
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            Body::from_stream(stream::repeat_with(move || {
                counted.fetch_add(piece.len(), Ordering::Relaxed);
                Ok::<_, std::io::Error>(piece.clone())
            }))
        }),
    );
    let router = serving::Guarded::unchecked(router);
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(
        listener,
        router,
        edge,
        serving::Ending::new(),
    ));
    Ok((address, written))
}

/// More than sockets on the way hold: with what Linux allows by default, up to 4 MiB to
/// send and 6 MiB received, twice.
const HELD: usize = 20 * 1024 * 1024;

/// A client that reads nothing.
pub async fn a_slow_reader_is_hidden() -> anyhow::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let stopped = |configuration: Configuration| async move {
        let (address, written) = fountain().await?;
        let proxy = Proxy::start(configuration.to(address)).await?;
        let mut reader = proxy.connect(&[tls::Protocol::Http1]).await?;
        let head = testbed::wire(&format!("GET / HTTP/1.1\nHost: {}", proxy.address()));
        reader.write_all(head.as_bytes()).await?;
        anyhow::Ok((written, reader, proxy))
    };
    // HTTP/1.1, so that the length is not what ends it.
    let lines = "proxy_http_version 1.1; proxy_pass";
    let (written, _reader, _proxy) = stopped(first().with("proxy_pass", lines)).await?;
    let far = || written.load(Ordering::Relaxed) > 3 * HELD;
    testbed::eventually("the proxy takes what its client does not", far).await;

    let (written, _reader, _proxy) = stopped(right()).await?;
    testbed::eventually("it begins", || written.load(Ordering::Relaxed) > 0).await;
    // Until nothing moves for a second.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = written.load(Ordering::Relaxed);
        ensure!(now < HELD, "{now} bytes");
        if now == before {
            return Ok(());
        }
        before = now;
    }
}

/// Where each poll opens a connection to the server, each leaves a port that rests for
/// a minute.
pub async fn polls_share_a_connection() -> anyhow::Result<()> {
    for (configuration, expected) in [(first(), 10..=10), (right(), 1..=2)] {
        let server = crate::common::server(Settings::default()).await;
        let counted = crate::common::Counted::to(server.address).await?;
        let proxy = Proxy::start(configuration.workers(1).to(counted.address)).await?;
        for _ in 0..10 {
            let page =
                answer(&proxy, "GET /live/polling/events?after=earliest HTTP/1.1")
                    .await?;
            ensure!(page.starts_with("HTTP/1.1 200"), "{page}");
        }
        let count = counted.connections();
        ensure!(expected.contains(&count), "{count} connections");
    }
    Ok(())
}
