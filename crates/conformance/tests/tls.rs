//! Each method over TLS, by the book's own clients: over HTTP/2 and over HTTP/1.1.
//!
//! The clients' library of HTTP is built without TLS, since with it each of its clients
//! would have to choose a cryptography. So a tunnel adds the TLS.

use client::{
    Client, Endpoint, LongPollingClient, PollingClient, SseClient, Update,
    WebSocketClient,
};
use contract::{Data, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt as _;
use serving::{guard, serve_tls, Allowed, Config, Ending};
use std::{net::SocketAddr, pin::pin};
use testbed::in_time;
use tls::{server_name, Identity, Protocol, Trust};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use url::Url;

/// Adds TLS to what connects. It offers this protocol and no other, so this is what the
/// server speaks.
async fn tunnel(server: SocketAddr, trust: Trust, protocol: Protocol) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let connector = trust.connector(&[protocol]).unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let connector = connector.clone();
            tokio::spawn(async move {
                let io = TcpStream::connect(server).await.unwrap();
                let name = server_name("127.0.0.1").unwrap();
                let mut tls = connector.connect(name, io).await.unwrap();
                // Either side may go as it likes.
                let _ = copy_bidirectional(&mut client, &mut tls).await;
            });
        }
    });
    base.parse().unwrap()
}

/// The router makes a client's server of a log.
async fn follows_and_publishes<C: Client>(
    protocol: Protocol,
    router: impl FnOnce(Feed, Ending) -> axum::Router,
    client: impl FnOnce(Url, Endpoint) -> C,
) {
    let identity = Identity::new([]).unwrap();
    let trust = identity.trust();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = tunnel(listener.local_addr().unwrap(), trust, protocol).await;
    let ending = Ending::new();
    let feed = Feed::new(Retention::default());
    let router = guard(router(feed, ending.clone()), Allowed::default());
    let serving = serve_tls(
        listener,
        identity,
        router,
        Config::default(),
        ending.clone(),
    );
    let serving = tokio::spawn(serving);

    let http = reqwest::Client::builder().no_proxy();
    let http = match protocol {
        Protocol::Http2 => http.http2_prior_knowledge(),
        Protocol::Http1 => http.http1_only(),
    };
    let endpoint = Endpoint::with_http(base.clone(), http.build().unwrap());
    let client = client(base, endpoint.clone());
    {
        let mut updates = pin!(client.subscribe(Position::Latest));
        let opened = in_time("the beginning", updates.next()).await;
        assert!(matches!(opened, Some(Ok(Update::Opened(_)))), "{opened:?}");
        let data = Data::new("over TLS").unwrap();
        let published = endpoint.publish(None, "message".parse().unwrap(), data);
        in_time("the publish", published).await.unwrap();
        let came = async {
            loop {
                if let Update::Events(events) = updates.next().await.unwrap().unwrap() {
                    break events;
                }
            }
        };
        let events = in_time("the event", came).await;
        assert_eq!(events[0].data.get(), r#""over TLS""#);
        // What waits ends with the server, in order and by itself.
        ending.begin();
        let ended = in_time("the end of the server", serving).await;
        ended.unwrap().unwrap();
    }
}

const BOTH: [Protocol; 2] = [Protocol::Http2, Protocol::Http1];

#[tokio::test]
async fn polling() {
    for protocol in BOTH {
        follows_and_publishes(
            protocol,
            |feed, ending| polling::router(feed, polling::Config::default(), ending),
            |base, endpoint| PollingClient::new(base).with_endpoint(endpoint),
        )
        .await;
    }
}

#[tokio::test]
async fn long_polling() {
    for protocol in BOTH {
        follows_and_publishes(
            protocol,
            |feed, ending| {
                long_polling::router(feed, long_polling::Config::default(), ending)
            },
            |base, endpoint| LongPollingClient::new(base).with_endpoint(endpoint),
        )
        .await;
    }
}

#[tokio::test]
async fn sse() {
    for protocol in BOTH {
        follows_and_publishes(
            protocol,
            |feed, ending| sse::router(feed, sse::Config::default(), ending),
            |base, endpoint| SseClient::new(base).with_endpoint(endpoint),
        )
        .await;
    }
}

/// The client's socket is one of HTTP/1.1; for a stream of HTTP/2 see the tests of the
/// server.
#[tokio::test]
async fn websocket() {
    follows_and_publishes(
        Protocol::Http1,
        |feed, ending| {
            let board = Feed::new(Retention::default());
            websocket::router(feed, board, websocket::Config::default(), ending)
        },
        |base, endpoint| WebSocketClient::new(base).with_endpoint(endpoint),
    )
    .await;
}
