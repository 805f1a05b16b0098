//! A client that opens a WebSocket in a stream of an HTTP/2 connection (RFC 8441).

use super::{Stand, WIDE};
use axum::body::Body;
use hyper::{
    body::Incoming, client::conn::http2, ext::Protocol, header, Method, Request,
    Response,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testbed::in_time;
use tokio_tungstenite::{tungstenite::protocol::Role, WebSocketStream};

pub type Client = http2::SendRequest<Body>;

/// A WebSocket in one stream of a connection.
pub type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A connection with the preface said and the server's settings known.
pub async fn connect(stand: &Stand) -> Client {
    let io = TokioIo::new(stand.dialer.connect(WIDE));
    let handshake = http2::handshake(TokioExecutor::new(), io);
    let (mut client, connection) =
        in_time("a handshake", handshake).await.expect("HTTP/2");
    tokio::spawn(connection);
    // The first answer comes after the server's settings, without which a client may
    // not ask for a tunnel (§3).
    let status = Request::get("http://127.0.0.1:4103/");
    let answer = client.send_request(status.body(Body::empty()).expect("a request"));
    in_time("an answer", answer).await.expect("an answer");
    client
}

/// Asks for a WebSocket at `target`, with further headers.
pub async fn tunnel(
    client: &mut Client,
    target: &str,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    let uri = format!("http://127.0.0.1:4103{target}");
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(uri)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_PROTOCOL, "waiting.v1")
        .extension(Protocol::from_static("websocket"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answer = in_time("an answer", client.send_request(request)).await;
    answer.expect("an answer")
}

/// Opens a WebSocket at `target`.
pub async fn open(client: &mut Client, target: &str) -> Socket {
    let response = tunnel(client, target, &[]).await;
    assert_eq!(response.status(), 200);
    let tunnel = in_time("a tunnel", hyper::upgrade::on(response)).await;
    let tunnel = TokioIo::new(tunnel.expect("a tunnel"));
    WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await
}
