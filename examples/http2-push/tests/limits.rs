//! Time limits of the server, over pipes and with a clock that stands still until everybody waits.

use http::Uri;
use http2_push::{
    client::{self, Session},
    identity::Identity,
    Config,
};
use serving::Ending;
use testbed::{Dialer, Pipes};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::Instant};

fn start(config: Config) -> (Dialer, Identity, Ending) {
    let (dialer, listener) = Pipes::new();
    let identity = Identity::new([]).expect("a certificate");
    let ending = Ending::new();
    let edge = serving::Config::default();
    let serving = http2_push::serve(listener, identity.clone(), config, edge, ending.clone());
    tokio::spawn(serving);
    (dialer, identity, ending)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_ends() {
    let config = Config::default();
    let patience = config.handshake;
    let (dialer, _identity, _ending) = start(config);
    let mut io = dialer.connect(4096);
    let begun = Instant::now();
    // The beginning of a TLS record, and no more: the edge has seen its first bytes and is content.
    tokio::io::AsyncWriteExt::write_all(&mut io, b"\x16\x03\x01")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = io.read_to_end(&mut rest).await;
    assert_eq!(begun.elapsed().as_secs(), patience.as_secs());
}

/// Real TLS over a pipe. The certificate's names do not matter to a clock, so the client is that of the crate.
#[tokio::test]
async fn a_connection_without_requests_is_told_and_ends() {
    let config = Config {
        idle: std::time::Duration::from_millis(50),
        ..Config::default()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identity = Identity::new([]).unwrap();
    let trust = identity.trust();
    let edge = serving::Config::default();
    tokio::spawn(http2_push::serve(
        listener,
        identity,
        config,
        edge,
        Ending::new(),
    ));
    let uri: Uri = format!("https://{address}/").parse().unwrap();
    let session = Session::connect(&uri, &trust, client::Config::default()).await;
    let recording = session.as_ref().unwrap().recording().clone();
    let told = recording.until(|seen| seen.to_string().contains("GOAWAY stream=0"));
    testbed::in_time("the goodbye", told).await;
    drop(session);
}

#[tokio::test]
async fn what_is_no_tls_is_turned_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identity = Identity::new([]).unwrap();
    let edge = serving::Config::default();
    let ending = Ending::new();
    tokio::spawn(http2_push::serve(
        listener,
        identity,
        Config::default(),
        edge,
        ending,
    ));
    let mut plain = TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let ended = testbed::in_time("the end", plain.read_to_end(&mut rest)).await;
    // An alert of TLS, or nothing, and then the end.
    assert!(ended.is_err() || !String::from_utf8_lossy(&rest).contains("HTTP"));
}
