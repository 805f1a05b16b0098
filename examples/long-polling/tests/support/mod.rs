//! How the tests start this method, and how they know that a request is parked.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use feed::Feed;
use harness::Server;
use long_polling::Config;
use std::time::Duration;
use testbed::{eventually, Answer, Raw};

/// Longer than any test: a request that was parked for this long is answered for
/// another reason, or never.
pub const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The wish of a client that has the time.
pub const PATIENT: &str = "\nPrefer: wait=86400";

pub async fn start(feed: Feed, config: Config) -> Server {
    Server::start(feed, |feed, ending| {
        long_polling::router(feed, config, ending)
    })
    .await
}

/// The head of a `GET` with further headers, each on a line that begins with LF.
pub fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\nHost: 127.0.0.1:4102{headers}")
}

/// Asks on a connection of its own and reads the whole answer.
pub async fn ask(server: &Server, target: &str, headers: &str) -> Answer {
    let mut raw = Raw::connect(server.address).await;
    raw.ask(&get(target, headers), "").await
}

/// Sends a request and returns once it is parked.
pub async fn park(server: &Server, head: &str) -> Raw {
    let before = server.feed.subscribers();
    let raw = Raw::send(server, head, "").await;
    eventually("the request is parked", || {
        server.feed.subscribers() > before
    })
    .await;
    raw
}
