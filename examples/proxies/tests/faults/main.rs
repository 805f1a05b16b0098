//! What breaks behind nginx, HAProxy and Caddy as they are first configured, and that
//! the shortest right configuration mends it. Where a time-out decides, the file's own
//! is shortened.

#[path = "../common/mod.rs"]
mod common;

mod caddy;
mod h2;
mod haproxy;
mod nginx;
mod ports;
mod workers;

use client::{Client as _, Update};
use common::{Connection, Settings};
use contract::Position;
use futures_util::future::BoxFuture;
use harness::Server;
use libtest_mimic::Arguments;
use proxies::{Configuration, Proxy};
use std::{pin::pin, process::ExitCode, time::Duration};
use testbed::parts;
use tokio::net::TcpStream;

/// A guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);

type Test = fn() -> BoxFuture<'static, anyhow::Result<()>>;

/// `module: names`, each a trial `module::name`.
macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => {
        const TESTS: &[(&str, Test)] = &[$($((
            concat!(stringify!($module), "::", stringify!($name)),
            || Box::pin($module::$name()),
        )),*),*];
    };
}

tests! {
    nginx:
        events_are_held
        tls_holds_events
        compression_holds_events
        silence_is_cut
        an_upgrade_is_refused
        a_pages_host_is_lost
        a_parked_request_is_answered_504
        a_reload_leaves_old_workers
        connections_run_out
        a_slow_reader_is_hidden
        polls_share_a_connection;
    haproxy:
        silence_is_cut
        a_parked_request_is_answered_504
        a_client_that_left_keeps_its_place
        a_reload_leaves_old_workers
        http2_needs_alpn
        compression_passes_events_on;
    caddy:
        compression_holds_events
        a_socket_opens_by_itself
        a_reload_cuts_sockets;
    h2:
        all_methods_over_one_connection
        a_socket_over_http2;
    ports:
        of_one_address_run_out;
}

fn main() -> ExitCode {
    if ports::is_inside() {
        return ports::inside();
    }
    let trials = TESTS
        .iter()
        .map(|(name, test)| parts::trial(name, LIMIT, *test));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Notes what a fault came to, by the name of its trial.
fn came_to(fault: &str, trial: &str, rows: &[(&str, &str)]) {
    for (method, what) in rows {
        testbed::faults::came_to(
            fault,
            method,
            what,
            &format!("proxies::faults::{trial}"),
        );
    }
}

/// A server of all methods, and this proxy in front of it.
async fn behind(
    configuration: Configuration,
    settings: Settings,
) -> anyhow::Result<(Server, Proxy)> {
    let server = common::server(settings).await;
    let proxy = Proxy::start(configuration.to(server.address)).await?;
    Ok((server, proxy))
}

/// A stream from the server itself, open.
async fn direct_stream(server: &Server) -> anyhow::Result<Connection> {
    let socket = TcpStream::connect(server.address).await?;
    let head = format!("{}\nHost: {}", common::STREAM, server.address);
    let mut stream = Connection::on(socket, &head).await?;
    stream.until("event: hello").await?;
    Ok(stream)
}

/// Waits until this many wait at the server.
async fn waiting(server: &Server, count: usize) -> anyhow::Result<()> {
    let waits = async {
        while server.feed.subscribers() != count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(testbed::HANG, waits)
        .await
        .map_err(|_| {
            let now = server.feed.subscribers();
            anyhow::anyhow!("{count} should wait at the server, and {now} do")
        })
}

/// Asks through the proxy, and gives the whole answer.
async fn answer(proxy: &Proxy, head: &str) -> anyhow::Result<String> {
    let mut asked =
        Connection::through(proxy, &format!("{head}\nConnection: close")).await?;
    asked.ended().await?;
    Ok(asked.seen())
}

/// Gives the proxy every occasion to pass on what it has: so many questions are asked
/// and answered in the meantime.
async fn meanwhile(proxy: &Proxy) -> anyhow::Result<()> {
    for _ in 0..20 {
        let status = answer(proxy, "GET /live/polling/status HTTP/1.1").await?;
        anyhow::ensure!(status.starts_with("HTTP/1.1 200"), "{status}");
    }
    Ok(())
}

/// Stream and socket live on for six heartbeats: longer than the shortened time-outs,
/// by the server's own clock. The client of the socket answers pings, as a browser
/// does.
async fn lives_on_heartbeats(proxy: &Proxy) -> anyhow::Result<()> {
    let door = proxy.door().await?;
    let base = door.base().join("live/websocket/")?;
    let client = client::WebSocketClient::new(base);
    let socket = async {
        let mut updates = pin!(client.subscribe(Position::Latest));
        let mut heartbeats = 0;
        while heartbeats < 6 {
            match testbed::update(&mut updates).await {
                Update::Heartbeat => heartbeats += 1,
                Update::Opened(_) => {}
                other => anyhow::bail!("{other:?} after {heartbeats}"),
            }
        }
        Ok(())
    };
    let mut stream = Connection::through(proxy, common::STREAM).await?;
    let stream = stream.until_times("event: heartbeat", 6);
    tokio::try_join!(socket, stream)?;
    Ok(())
}

/// A request that is parked, for at most this many seconds.
async fn parked(
    server: &Server,
    proxy: &Proxy,
    wait: u32,
) -> anyhow::Result<Connection> {
    let before = server.feed.subscribers();
    let cursor = server.feed.state().latest;
    let head = format!(
        "GET /live/long-polling/events?after={cursor} HTTP/1.1\nPrefer: wait={wait}"
    );
    let asked = Connection::through(proxy, &head).await?;
    waiting(server, before + 1).await?;
    Ok(asked)
}
