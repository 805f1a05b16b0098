//! A client that has gone, over a real socket: closed or reset, with the beginning of a
//! frame left behind.

mod support;

use feed::Feed;
use harness::{still_feed, Server};
use testbed::{eventually, Raw};
use websocket::Config;

#[tokio::test]
async fn the_place_is_free_when_its_client_leaves_in_the_middle_of_a_frame() {
    let router = |feed: Feed, ending| {
        support::router(feed, still_feed(1), Config::default(), ending)
    };
    let server = Server::start(still_feed(10), router).await;
    let handshake = "GET /events HTTP/1.1\nHost: 127.0.0.1\nConnection: Upgrade\n\
                     Upgrade: websocket\nSec-WebSocket-Version: 13\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
                     Sec-WebSocket-Protocol: waiting.v1";
    // With the request, so that hyper has it; or after.
    for (with, after) in [("", ""), ("\u{1}", ""), ("", "\u{1}")] {
        for resets in [false, true] {
            let mut socket = Raw::send(&server, handshake, with).await;
            socket.until("\r\n\r\n").await;
            assert!(socket.write(after).await);
            assert!(server.feed.subscribers() >= 1);
            if resets {
                socket.reset();
            } else {
                drop(socket);
            }
            eventually("the subscription is dropped", || {
                server.feed.subscribers() == 0
            })
            .await;
        }
    }
}
