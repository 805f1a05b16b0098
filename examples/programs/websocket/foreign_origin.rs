//! A page of another origin opens a WebSocket to ours, with the visitor's cookie.

use axum::{
    extract::ws::{Message, WebSocketUpgrade},
    http::{header, HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
    Router,
};
use futures_util::StreamExt;
use serving::{guard, Allowed, Ending, Guarded};
use std::{error::Error, net::SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest},
};

// ANCHOR: board
/// The tickets of whoever is logged in. Who that is, the cookie says.
async fn board(upgrade: WebSocketUpgrade, headers: HeaderMap) -> Response {
    if headers.get("cookie").is_none_or(|it| it != "session=ada") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(|mut socket| async move {
        let ticket = Message::text("Ticket 19: the password is hunter2");
        let _ = socket.send(ticket).await;
    })
}
// ANCHOR_END: board

/// Serves a router on a free port and gives its address.
async fn serve(app: Guarded) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(address)
}

// ANCHOR: page
/// What a browser does when a page of `origin` says `new WebSocket(…)`,
/// and what the page gets to read.
async fn open(server: SocketAddr, origin: &str) -> Result<String, tungstenite::Error> {
    let mut handshake = format!("ws://{server}/board").into_client_request()?;
    let headers = handshake.headers_mut();
    headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
    headers.insert(header::COOKIE, "session=ada".parse().expect("a cookie"));
    let connection = TcpStream::connect(server).await?;
    let (mut socket, _) = client_async(handshake, connection).await?;
    let message = socket.next().await.expect("a message")?;
    Ok(message.to_text()?.to_owned())
}
// ANCHOR_END: page

// ANCHOR: attack
async fn attack() -> Result<(), Box<dyn Error>> {
    let router = Router::new().route("/board", any(board));
    let server = serve(Guarded::unchecked(router)).await?;
    let stolen = open(server, "https://blog.tickets.example").await?;
    assert_eq!(stolen, "Ticket 19: the password is hunter2");
    Ok(())
}
// ANCHOR_END: attack

// ANCHOR: checked
async fn checked() -> Result<(), Box<dyn Error>> {
    let router = Router::new().route("/board", any(board));
    let allowed = Allowed {
        // The pages of another host of ours. Its own pages a server always lets in.
        origins: vec!["https://app.tickets.example".parse()?],
        ..Allowed::default()
    };
    let server = serve(guard(router, allowed)).await?;
    for (origin, status) in [
        (&*format!("http://{server}"), 101),
        ("https://app.tickets.example", 101),
        ("https://blog.tickets.example", 403),
        ("https://evil.example", 403),
    ] {
        match open(server, origin).await {
            Ok(ticket) => assert!(status == 101 && ticket.starts_with("Ticket 19")),
            Err(tungstenite::Error::Http(answer)) => {
                assert_eq!(answer.status(), status)
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
// ANCHOR_END: checked

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    attack().await?;
    checked().await
}
