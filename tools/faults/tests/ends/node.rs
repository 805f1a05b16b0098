//! Servers of this process that share one log, each on a port of its own, with all four methods.

use crate::wire::Method;
use axum::Router;
use feed::{Feed, Retention};
use method::Host;
use serving::{guard, ready, Allowed, Config, Ending};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use waiting::Places;

/// What a test sets.
#[derive(Clone)]
pub struct Settings {
    pub lame_duck: Duration,
    pub drain: Duration,
    pub max_age: Option<Duration>,
    /// What an SSE stream asks its client to wait, in milliseconds.
    pub retry_ms: Range<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lame_duck: Duration::ZERO,
            drain: Config::default().drain,
            max_age: None,
            retry_ms: sse::Config::default().retry_ms,
        }
    }
}

/// One server.
pub struct Node {
    pub address: SocketAddr,
    pub ending: Ending,
    /// Those of its streams and sockets.
    pub streams: Places,
    pub serving: JoinHandle<io::Result<()>>,
}

/// More than any test opens.
const MANY: usize = 10_000;

impl Node {
    /// A server at `address`, whose port may be 0.
    pub async fn start(address: SocketAddr, feed: &Feed, settings: &Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (ending, streams) = (Ending::new(), Places::new(MANY));
        let host = |shared: Option<&Places>| Host {
            places: MANY,
            shared: shared.cloned(),
            ..Host::alone(feed.clone(), ending.clone())
        };
        let sse = sse::Config {
            max_streams: MANY,
            shared: Some(streams.clone()),
            max_age: settings.max_age,
            retry_ms: settings.retry_ms.clone(),
            ..sse::Config::default()
        };
        let websocket = websocket::Config {
            max_sockets: MANY,
            shared: Some(streams.clone()),
            max_age: settings.max_age,
            ..websocket::Config::default()
        };
        let board = Feed::new(Retention::default());
        let routers = [
            (Method::Polling, (polling::METHOD.router)(host(None))),
            (
                Method::LongPolling,
                (long_polling::METHOD.router)(host(None)),
            ),
            (Method::Sse, sse::router(feed.clone(), sse, ending.clone())),
            (
                Method::WebSocket,
                websocket::router(feed.clone(), board, websocket, ending.clone()),
            ),
        ];
        let router = routers
            .into_iter()
            .fold(Router::new(), |all, (method, router)| {
                all.nest(&prefix(method), router)
            });
        let router = router.route("/ready", ready(&ending));
        let config = Config {
            max_connections: MANY,
            lame_duck: settings.lame_duck,
            drain: settings.drain,
            ..Config::default()
        };
        let router = guard(router, Allowed::default());
        let serving = tokio::spawn(serving::serve(listener, router, config, ending.clone()));
        Ok(Self {
            address,
            ending,
            streams,
            serving,
        })
    }

    /// Any free port of this machine.
    pub fn anywhere() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }
}

/// Where the routes of a method lie.
pub fn prefix(method: Method) -> String {
    format!("/{}/", method.name())
}
