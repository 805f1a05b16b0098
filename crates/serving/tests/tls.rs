//! A server with TLS: what its handshake may take, and how its connections end.

mod common;

use axum::{routing::get, Router};
use common::{assert_took, in_time, rest, timed};
use serving::{metrics::Recorder, serve_tls, Config, Ending, Guarded};
use std::{future::pending, io, time::Duration};
use testbed::{Dialer, Metrics, Pipes};
use tls::{server_name, Identity, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream;

/// The type of a TLS record with a part of the handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

struct Server {
    identity: Identity,
    dialer: Dialer,
    ending: Ending,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(config: Config) -> Self {
        let identity = Identity::new([]).unwrap();
        let (dialer, pipes) = Pipes::new();
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/parked", get(pending::<()>));
        let router = Guarded::unchecked(router);
        let ending = Ending::new();
        let serving =
            serve_tls(pipes, identity.clone(), router, config, ending.clone());
        Self {
            identity,
            dialer,
            ending,
            task: tokio::spawn(serving),
        }
    }

    /// A peer that begins a handshake and stops.
    async fn stalled(&self) -> DuplexStream {
        let mut peer = self.dialer.connect(common::PIPE_BYTES);
        peer.write_u8(HANDSHAKE_RECORD).await.unwrap();
        peer
    }

    async fn connect(&self, protocols: &[Protocol]) -> TlsStream<DuplexStream> {
        let io = self.dialer.connect(common::PIPE_BYTES);
        let connector = self.identity.trust().connector(protocols).unwrap();
        let connected = connector.connect(server_name("localhost").unwrap(), io);
        in_time(connected).await.unwrap()
    }
}

/// Asks once, and leaves the connection open.
async fn ask(stream: &mut TlsStream<DuplexStream>) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let read = in_time(stream.read_buf(&mut answer)).await.unwrap();
        assert_ne!(read, 0, "the server closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_is_cut() {
    let config = Config {
        handshake: Duration::from_secs(3),
        ..Config::default()
    };
    let server = Server::start(config);
    let mut peer = server.stalled().await;
    let (_, took) = timed(rest(&mut peer)).await;
    assert_took(took, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_holds_a_place_and_gives_way() {
    let config = Config {
        max_connections: 1,
        handshake: Duration::from_secs(600),
        ..Config::default()
    };
    let server = Server::start(config);
    let mut stalled = server.stalled().await;
    // The other is served once the first has gone.
    let (mut other, took) = timed(server.connect(&[Protocol::Http1])).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    ask(&mut other).await;
    assert_eq!(rest(&mut stalled).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_ends_with_the_server() {
    let server = Server::start(Config::default());
    let mut peer = server.stalled().await;
    // Until its byte was read.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.ending.begin();
    let (_, took) = timed(rest(&mut peer)).await;
    assert_took(took, Duration::ZERO);
    in_time(server.task).await.unwrap().unwrap();
}

/// Without a goodbye the peer's TLS reads an error and not an end (RFC 8446 §6.1).
#[tokio::test(start_paused = true)]
async fn a_connection_ends_with_a_goodbye_of_tls() {
    let server = Server::start(Config::default());
    // A client that knows no ALPN speaks HTTP/1.1.
    let mut peer = server.connect(&[]).await;
    assert_eq!(peer.get_ref().1.alpn_protocol(), None);
    ask(&mut peer).await;
    server.ending.begin();
    let mut rest = Vec::new();
    in_time(peer.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    in_time(server.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_without_a_goodbye_has_gone() {
    let recorder = Recorder::default();
    let _here = ::metrics::set_default_local_recorder(&recorder);
    let server = Server::start(Config::default());
    let mut peer = server.connect(&[Protocol::Http1]).await;
    let request = b"GET /parked HTTP/1.1\r\nHost: localhost\r\n\r\n";
    peer.write_all(request).await.unwrap();
    peer.flush().await.unwrap();
    // The pipe's end alone.
    peer.get_mut().0.shutdown().await.unwrap();
    // It is dropped, without a goodbye either.
    let _ = in_time(peer.read_to_end(&mut Vec::new())).await;
    // In the handshake it is a failure.
    let mut stalled = server.stalled().await;
    stalled.shutdown().await.unwrap();
    rest(&mut stalled).await;
    server.ending.begin();
    in_time(server.task).await.unwrap().unwrap();
    let counts = Metrics::parse(&recorder.text());
    let ended = |reason| {
        let series = format!("waiting_connections_ended_total{{reason=\"{reason}\"}}");
        counts.get(&series)
    };
    assert_eq!((ended("gone"), ended("failed")), (1.0, 1.0), "{counts:?}");
}
