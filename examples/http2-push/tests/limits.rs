//! Time limits of the server, over pipes and with a clock that stands still until
//! everybody waits.

use futures_util::future::FutureExt as _;
use http::{Request, Uri};
use http2_push::{
    client::{self, ClientError, Session},
    identity::Identity,
    Config,
};
use serving::Ending;
use std::{
    future::{pending, Future},
    sync::Arc,
    time::Duration,
};
use testbed::{Dialer, Pipes};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    time::{sleep, Instant},
};
use tokio_rustls::{
    client::TlsStream,
    rustls::{
        crypto::ring,
        pki_types::{pem::PemObject as _, CertificateDer, PrivateKeyDer, ServerName},
        version::TLS13,
        ClientConfig, RootCertStore, ServerConfig,
    },
    TlsAcceptor, TlsConnector,
};

fn start(config: Config) -> (Dialer, Identity, Ending) {
    let (dialer, listener) = Pipes::new();
    let identity = Identity::new([]).expect("a certificate");
    let ending = Ending::new();
    // A drain longer than anything below, so that it ends nothing.
    let edge = serving::Config {
        drain: Duration::from_secs(1000),
        ..serving::Config::default()
    };
    let serving =
        http2_push::serve(listener, identity.clone(), config, edge, ending.clone());
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
    // The beginning of a TLS record, and no more: the edge has seen its first bytes and
    // is content.
    io.write_all(b"\x16\x03\x01").await.unwrap();
    let mut rest = Vec::new();
    let _ = by_the_clock(io.read_to_end(&mut rest)).await;
    assert_eq!(begun.elapsed().as_secs(), patience.as_secs());
}

/// Waits for something that has a time limit of its own, by a clock that stands still:
/// ten minutes of it pass at once.
async fn by_the_clock<F: Future>(wait: F) -> F::Output {
    let waited = tokio::time::timeout(Duration::from_secs(600), wait).await;
    waited.expect("an end within ten minutes")
}

/// TLS over a pipe, and HTTP/2 agreed.
async fn tls(dialer: &Dialer, identity: &Identity) -> TlsStream<DuplexStream> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(identity.pem().as_bytes());
    roots.add(certificate.unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector
        .connect(name, dialer.connect(64 * 1024))
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_of_http2_that_does_not_go_on_ends() {
    let config = Config::default();
    let patience = config.handshake;
    let (dialer, identity, _ending) = start(config);
    let mut tls = tls(&dialer, &identity).await;
    let begun = Instant::now();
    let _ = by_the_clock(tls.read_to_end(&mut Vec::new())).await;
    assert_eq!(begun.elapsed().as_secs(), patience.as_secs());
}

/// The server of a page that is never ready, asked for it after a while: when the
/// connection ends, in seconds.
async fn end_of_a_page_that_does_not_come(
    after: u64,
    ends: impl FnOnce(Ending),
) -> u64 {
    let config = Config {
        work: Arc::new(|_| pending().boxed()),
        ..Config::default()
    };
    assert_eq!(config.idle.as_secs(), 60);
    let (dialer, identity, ending) = start(config);
    let tls = tls(&dialer, &identity).await;
    let (mut send, connection) = h2::client::handshake(tls).await.unwrap();
    let begun = Instant::now();
    let ended = tokio::spawn(async move {
        let _ = connection.await;
        begun.elapsed().as_secs()
    });
    sleep(Duration::from_secs(after)).await;
    let page = Request::get("https://localhost/plain/").body(()).unwrap();
    let _page = send.send_request(page, true).unwrap();
    // The request is there before the word that all ends.
    sleep(Duration::from_secs(1)).await;
    ends(ending.clone());
    by_the_clock(ended).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_its_idle_time_after_its_newest_request_and_then_its_last_words(
) {
    let ended = end_of_a_page_that_does_not_come(40, |_| ()).await;
    assert_eq!(ended, 40 + 60 + 5);
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_its_last_words_when_the_server_ends() {
    let ended = end_of_a_page_that_does_not_come(0, |ending| ending.begin()).await;
    assert_eq!(ended, 1 + 5);
    // Also where its idle time would have been over a moment later.
    let late = end_of_a_page_that_does_not_come(0, |ending| {
        tokio::spawn(async move {
            sleep(Duration::from_secs(58)).await;
            ending.begin();
        });
    })
    .await;
    assert_eq!(late, 59 + 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_the_limits() {
    let (dialer, identity, _ending) = start(Config::default());
    let own: Uri = "https://localhost/".parse().unwrap();
    let tls = tls(&dialer, &identity).await;
    let session = Session::over(tls, &own, client::Config::default()).await;
    let recording = session.as_ref().unwrap().recording().clone();
    recording
        .until(|seen| seen.to_string().contains("server SETTINGS"))
        .await;
    let told = recording.to_string();
    for limit in [
        "MAX_CONCURRENT_STREAMS = 100\n",
        "MAX_HEADER_LIST_SIZE = 16384\n",
    ] {
        assert!(told.contains(limit), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_no_answer_for_ever() {
    let config = client::Config::default();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let own: Uri = "https://own.example/".parse().unwrap();
    let mut session = Session::over(ours, &own, config.clone()).await.unwrap();
    let begun = Instant::now();
    let refused = by_the_clock(session.get("/")).await;
    assert!(matches!(refused, Err(ClientError::TimedOut(_))));
    assert_eq!(begun.elapsed(), config.patience);
    drop(theirs);
}

#[tokio::test]
async fn a_client_waits_for_no_connection_for_ever() {
    // Its queue takes the connection, and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    let config = client::Config {
        patience: Duration::from_millis(50),
        ..client::Config::default()
    };
    let trust = Identity::new([]).unwrap().trust();
    let address = address.parse().unwrap();
    let connected = Session::connect(&address, &trust, config);
    let refused = testbed::in_time("the end of its patience", connected).await;
    assert!(matches!(refused, Err(ClientError::TimedOut(_))));
}

#[tokio::test]
async fn an_ipv6_address_is_one_without_its_brackets() {
    // Nobody listens there, on a machine with IPv6 or without: what counts is that it
    // gets as far as to ask.
    let trust = Identity::new([]).unwrap().trust();
    let address = "https://[::1]:9/".parse().unwrap();
    let refused = client::connect(&address, &trust).await;
    assert!(matches!(refused, Err(ClientError::Connect(_))));
}

#[tokio::test]
async fn a_server_that_speaks_no_http2_is_left() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await
            .unwrap();
        let _ = tls.read_to_end(&mut Vec::new()).await;
    });
    let trust = http2_push::identity::Trust::from_pem(&own.cert.pem()).unwrap();
    let refused = client::connect(&address.parse().unwrap(), &trust).await;
    assert!(matches!(refused, Err(ClientError::NoHttp2)));
}

#[tokio::test]
async fn a_connection_without_requests_is_told_and_ends() {
    let config = Config {
        idle: Duration::from_millis(50),
        ..Config::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = testbed::in_time("the end", plain.read_to_end(&mut rest)).await;
    // An alert of TLS, or nothing, and then the end.
    assert!(ended.is_err() || !String::from_utf8_lossy(&rest).contains("HTTP"));
}
