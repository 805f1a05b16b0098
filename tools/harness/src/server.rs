//! A server on a port of its own.

use axum::Router;
use contract::{Data, Kind};
use feed::{Feed, Retention};
use serving::{guard, Allowed, Ending};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// A server that runs until the test ends, or until its [`ending`](Self::ending) begins.
pub struct Server {
    /// The log that it serves.
    pub feed: Feed,
    /// Where it listens: a free port, of the loopback interface unless asked for otherwise.
    pub address: SocketAddr,
    /// Begin it to shut the server down.
    pub ending: Ending,
    /// What [`serving::serve`] returns.
    pub serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves `feed` by the router that `router` makes, behind the usual edge and guard.
    pub async fn start(feed: Feed, router: impl FnOnce(Feed, Ending) -> Router) -> Self {
        Self::start_with(feed, serving::Config::default(), router).await
    }

    /// The same with an edge of its own.
    pub async fn start_with(
        feed: Feed,
        edge: serving::Config,
        router: impl FnOnce(Feed, Ending) -> Router,
    ) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, feed, edge, router).await
    }

    /// The same at another address of this system.
    pub async fn start_at(
        address: Ipv4Addr,
        feed: Feed,
        edge: serving::Config,
        router: impl FnOnce(Feed, Ending) -> Router,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ending = Ending::new();
        let router = guard(router(feed.clone(), ending.clone()), Allowed::default());
        let serving = tokio::spawn(serving::serve(listener, router, edge, ending.clone()));
        Self {
            feed,
            address,
            ending,
            serving,
        }
    }

    /// The URL under which its routes lie.
    pub fn base(&self) -> Url {
        base(self.address)
    }
}

impl From<&Server> for SocketAddr {
    fn from(server: &Server) -> Self {
        server.address
    }
}

/// The URL of whatever listens at `address`.
pub(crate) fn base(address: SocketAddr) -> Url {
    format!("http://{address}/").parse().expect("a URL")
}

/// A log whose every byte is known: its name and its clock stand still.
pub fn still_feed(max_events: usize) -> Feed {
    Feed::builder()
        .epoch("k3f9x2".parse().expect("an epoch"))
        .clock(|| "2026-01-01T00:00:00Z".parse().expect("a time"))
        .retention(Retention {
            max_events,
            ..Retention::default()
        })
        .build()
}

/// Publishes a message whose data is this text.
pub async fn say(feed: &Feed, text: &str) {
    let kind: Kind = "message".parse().expect("a kind");
    let data = Data::new(text).expect("JSON");
    feed.publish(kind, data).await.expect("the log takes it");
}
