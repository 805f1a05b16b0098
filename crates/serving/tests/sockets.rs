//! What only real sockets show: peers that close, reset, hang, or send more than is
//! read.

use axum::{body::Body, extract::State, http::StatusCode, routing::get, Router};
use bytes::Bytes;
use serving::{serve, Config, Ending, Guarded};
use socket2::{SockRef, Socket};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use testbed::{eventually, in_time};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, Semaphore},
};

/// Serves on a free port, whose sockets have small buffers.
async fn start(router: Router, config: Config) -> (SocketAddr, Ending) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // What is accepted has the listener's buffers.
    SockRef::from(&listener).set_send_buffer_size(4096).unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending::new();
    let router = Guarded::unchecked(router);
    tokio::spawn(serve(listener, router, config, ending.clone()));
    (address, ending)
}

async fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(request.as_bytes()).await.unwrap();
    peer
}

fn reset(peer: TcpStream) {
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// A place is taken, and nothing is ever answered.
async fn park(State(places): State<Arc<Semaphore>>) {
    let _place = places.try_acquire_owned();
    std::future::pending::<()>().await
}

const PARKED: &str = "GET /parked HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_peer_that_goes_is_missed_whatever_it_sent_after_its_request() {
    let places = Arc::new(Semaphore::new(1));
    let router = Router::new().route("/parked", get(park));
    let (address, _ending) =
        start(router.with_state(places.clone()), Config::default()).await;
    for after in ["", "\r\n", "G", PARKED, &"x".repeat(100_000)] {
        for resets in [false, true] {
            let peer = connect(address, &format!("{PARKED}{after}")).await;
            eventually("the place is taken", || places.available_permits() == 0).await;
            if resets {
                reset(peer);
            } else {
                drop(peer);
            }
            eventually("the place is free", || places.available_permits() == 1).await;
        }
    }
}

#[tokio::test]
async fn what_was_asked_before_a_half_close_is_answered() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let (address, _ending) = start(router, Config::default()).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut peer = connect(address, &request.repeat(20)).await;
    peer.shutdown().await.unwrap();
    let mut text = String::new();
    in_time("the answers", peer.read_to_string(&mut text))
        .await
        .unwrap();
    // Not the last, after which hyper finds the end and takes the peer to have gone.
    assert_eq!(text.matches("hello").count(), 19, "{text}");
}

#[tokio::test]
async fn a_peer_that_hangs_is_found_once_its_window_is_full() {
    let places = Arc::new(Semaphore::new(1));
    let (heartbeats, source) = mpsc::channel::<()>(1);
    let source = Arc::new(tokio::sync::Mutex::new(source));
    let stream = {
        let places = places.clone();
        move || async move {
            let place = places.try_acquire_owned().unwrap();
            let source = source.lock_owned().await;
            let blocks = futures_util::stream::unfold(
                (source, place),
                |(mut source, place)| async {
                    source.recv().await?;
                    let block = Bytes::from_static(b"event: heartbeat\ndata: {}\n\n");
                    Some((Ok::<_, io::Error>(block), (source, place)))
                },
            );
            Body::from_stream(blocks)
        }
    };
    let config = Config {
        write_progress: Duration::from_millis(200),
        ..Config::default()
    };
    let (address, _ending) = start(Router::new().route("/", get(stream)), config).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut peer = socket.connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    peer.write_all(request.as_bytes()).await.unwrap();
    // It reads nothing from here on, and its system acknowledges for it.
    let room = SockRef::from(&peer).recv_buffer_size().unwrap();
    let mut sent = 0;
    eventually("the place is taken", || places.available_permits() == 0).await;
    eventually("the place is free", || {
        sent += usize::from(heartbeats.try_send(()).is_ok());
        places.available_permits() == 1
    })
    .await;
    // Half of what the system calls its buffer is for its own books.
    assert!(sent * 26 > room / 2, "{sent} heartbeats found it, {room}");
}

fn post(path: &str, body: usize, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {body}\r\n{headers}\r\n"
    )
}

/// The head of an answer, and what came of its body with it.
async fn head(peer: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    in_time("an answer", async {
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            assert_ne!(peer.read_buf(&mut bytes).await.unwrap(), 0);
        }
    })
    .await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_body_that_nobody_read() {
    let refuse = || async { StatusCode::UNSUPPORTED_MEDIA_TYPE };
    let router = Router::new().route("/", axum::routing::post(refuse));
    let (address, _ending) = start(router, Config::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    for path in ["/", "/nothing", "/"] {
        let request = post(path, 60_000, "") + &"x".repeat(60_000);
        peer.write_all(request.as_bytes()).await.unwrap();
        let head = head(&mut peer).await;
        assert!(head.starts_with("HTTP/1.1 4"), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
    }
    // Whoever asks first whether to send it is told no, and need not send it.
    let request = post("/", 60_000, "Expect: 100-continue\r\n");
    peer.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut peer).await;
    assert!(head.starts_with("HTTP/1.1 415 "), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
}

#[tokio::test]
async fn who_sends_megabytes_and_then_reads_finds_why_they_were_refused() {
    let router =
        Router::new().route("/", axum::routing::post(|body: String| async { body }));
    let (address, _ending) = start(router, Config::default()).await;
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n989680\r\n";
    for request in [post("/", 10_000_000, ""), chunked.to_owned()] {
        let mut peer = connect(address, &request).await;
        let body = vec![b'x'; 10_000_000];
        in_time("10 MB are taken", peer.write_all(&body))
            .await
            .unwrap();
        let mut text = String::new();
        in_time("the answer", peer.read_to_string(&mut text))
            .await
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    }
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_does_not_keep_its_connection() {
    let config = Config {
        linger: Duration::from_millis(200),
        ..Config::default()
    };
    let (address, ending) = start(Router::new(), config).await;
    let mut peer = connect(address, &post("/", 1_000_000_000, "")).await;
    in_time("the end", async {
        while peer.write_all(&[b'x'; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    eventually("the connection is over", || ending.open() == 0).await;
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_is_told_what_to_watch() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config::default();
    let (ours, _theirs) = runtime.block_on(async {
        use serving::Listener as _;
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await;
        let io = serving::Listener::accept(&mut listener).await.unwrap();
        TcpListener::prepare(&io, &config);
        (io, peer.unwrap())
    });
    let socket: SockRef<'_> = ours.socket();
    let socket: &Socket = &socket;
    assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), config.keep_alive);
    assert_eq!(
        socket.tcp_keepalive_interval().unwrap(),
        config.keep_alive_interval
    );
    assert_eq!(
        socket.tcp_keepalive_retries().unwrap(),
        config.keep_alive_probes
    );
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(config.unacknowledged)
    );
}
