//! What becomes of old workers when a proxy is reloaded.

use crate::{
    behind,
    common::{Connection, Settings, SOCKET, STREAM},
};
use anyhow::ensure;
use harness::say;
use proxies::{Configuration, Proxy};
use std::time::Duration;

/// By the first configuration they stay, with their streams and sockets: one more
/// generation with each reload. By the second they are cut after a while.
pub async fn stay_or_are_cut(
    keeps: Configuration,
    cuts: Configuration,
    reload: impl AsyncFn(&Proxy) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (server, proxy) = behind(keeps, Settings::default()).await?;
    let mut connections = Vec::new();
    for generation in 1..=3 {
        ensure!(proxy.workers().len() == generation, "{:?}", proxy.workers());
        let mut stream = Connection::through(&proxy, STREAM).await?;
        let mut socket = Connection::through(&proxy, SOCKET).await?;
        stream.until("event: hello").await?;
        socket.until("hello").await?;
        connections.extend([stream, socket]);
        reload(&proxy).await?;
    }
    say(&server.feed, "the news").await;
    for connection in &mut connections {
        connection.until("the news").await?;
    }
    ensure!(proxy.workers().len() == 4, "{:?}", proxy.workers());

    let (_server, proxy) = behind(cuts, Settings::default()).await?;
    let mut stream = Connection::through(&proxy, STREAM).await?;
    let mut socket = Connection::through(&proxy, SOCKET).await?;
    stream.until("event: hello").await?;
    socket.until("hello").await?;
    reload(&proxy).await?;
    stream.ended().await?;
    socket.ended().await?;
    ensure!(!stream.seen().contains("event: end"), "{}", stream.seen());
    let mut again = Connection::through(&proxy, STREAM).await?;
    again.until("event: hello").await?;
    while proxy.workers().len() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
