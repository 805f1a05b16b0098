//! Failures that a page on another machine than its server's cannot show live: a page of another
//! origin, and a peer that has vanished. Both with the book's own server of WebSocket.

use crate::{
    delay::Delay,
    format::Recording,
    tapped::{key_of, none, press, received, reconnected, Marks, Tapped},
};
use browser::{engine::Kind, page::Page, served::another_origin, suite::Suite};
use serde_json::json;
use site::limits::Limits;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use waiting::ticker;

/// The name of the recordings of a page of another origin.
pub const FOREIGN_ORIGIN: &str = "foreign-origin";

/// The name of the recordings of a peer that has vanished.
pub const HALF_OPEN: &str = "half-open";

/// The key by which the page of another origin is watched. Nobody else asks this server.
const KEY: &str = "thePageOfAnotherOrigin";

/// How often the server asks for a sign of life: more often than it would, so that the recording is
/// short.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// A page of another origin opens a socket.
///
/// # Errors
/// If the server lets it.
pub async fn foreign_origin(suite: Arc<Suite>, page: Page) -> anyhow::Result<Recording> {
    let site = suite.site().await?;
    let (elsewhere, serving) = another_origin().await?;
    page.open(&elsewhere).await?;
    let address = site.at(&format!("live/websocket/events?tap={KEY}&after=latest"));
    let open = "return new Promise((resolve) => {
        const socket = new WebSocket(arguments[0], 'waiting.v1');
        socket.onopen = () => resolve(0);
        socket.onclose = ({ code }) => resolve(code);
    })";
    let code: u16 = page
        .run(open, &[json!(address.replacen("http", "ws", 1))])
        .await?;
    serving.abort();
    anyhow::ensure!(code == 1006, "the socket was closed with {code}");
    // No other origin may read what was kept.
    page.open(&site.at("404.html")).await?;
    let tapped = Tapped::read(&site, &page, KEY).await?;
    let what = "A page of another origin opens a WebSocket to the book's server. The browser names \
                the origin, and the server refuses. Script learns no more than the close code 1006. \
                The times are the server's.";
    tapped
        .recording(what.to_owned(), page.kind(), Marks::default())
        .await
}

/// The line between a panel and its server goes dead, without a word to either.
///
/// # Errors
/// If the panel does not come back.
pub async fn half_open(suite: Arc<Suite>, page: Page) -> anyhow::Result<Recording> {
    let limits = Limits {
        heartbeat: HEARTBEAT,
        ..Limits::default()
    };
    let site = suite.site_of(None, limits).await?;
    let rate = "1".parse().map_err(anyhow::Error::msg)?;
    let ticks = tokio::spawn(ticker::run(site.feed.clone(), rate, 1));
    let server: SocketAddr = site
        .root
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()?;
    let line = Delay::to(server, Duration::ZERO).await?;
    let mut marks = Marks::default();
    page.open(&format!("http://{}/websocket/index.html", line.address()))
        .await?;
    press(&page, "wire").await?;
    marks.add("Start is pressed.");
    press(&page, "start").await?;
    let events = received(&page, 4).await?;
    marks.add("The line is dead: what is sent arrives no more, in either direction.");
    line.freeze();
    let key = key_of(&site)?;
    reconnected(&page).await?;
    received(&page, events + 8).await?;
    marks.add("Stop is pressed.");
    press(&page, "stop").await?;
    ticks.abort();
    none(&page, "lost").await?;
    // Not through the line, whose connections the browser still holds.
    page.open(&site.at("404.html")).await?;
    let tapped = Tapped::read(&site, &page, &key).await?;
    let what = format!(
        "The book's panel gets events by WebSocket, one a second, through a relay that from some \
         moment on passes nothing more over this connection, and does not end it. Its server asks \
         for a sign of life every {} s. The times are the server's.",
        HEARTBEAT.as_secs()
    );
    tapped.recording(what, page.kind(), marks).await
}

/// All of them, by name.
pub const ALL: [&str; 2] = [FOREIGN_ORIGIN, HALF_OPEN];

/// The name of a recording in a browser.
pub fn recording(name: &str, kind: Kind) -> String {
    format!("{name}-{}", kind.key())
}

/// Records one of them in a browser.
///
/// # Errors
/// If a program is missing, or something else happens.
pub fn record(name: &str, suite: &Arc<Suite>, kind: Kind) -> anyhow::Result<Recording> {
    crate::tapped::once(suite, kind, async |suite, page| match name {
        FOREIGN_ORIGIN => foreign_origin(suite, page).await,
        _ => half_open(suite, page).await,
    })
}
