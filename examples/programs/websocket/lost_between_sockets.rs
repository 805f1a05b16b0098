//! An event that happens between two sockets: lost without a cursor, found with one.

use axum::{
    extract::{
        ws::{Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use contract::{
    socket::{ServerMessage, SUBPROTOCOL},
    Data, Position,
};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use serving::{guard, Allowed, Ending};
use std::{error::Error, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{
    client_async, tungstenite::client::ClientRequestBuilder, WebSocketStream,
};

type Prices = broadcast::Sender<String>;

async fn events(upgrade: WebSocketUpgrade, State(prices): State<Prices>) -> Response {
    let prices = prices.subscribe();
    upgrade.on_upgrade(|socket| send(socket, prices))
}

async fn send(mut socket: WebSocket, mut prices: broadcast::Receiver<String>) {
    while let Ok(price) = prices.recv().await {
        if socket.send(Message::text(price)).await.is_err() {
            return;
        }
    }
}

/// Serves a router on a free port and gives its address.
async fn serve(app: Router) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(address)
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(
    server: SocketAddr,
    after: Position,
) -> Result<Socket, Box<dyn Error>> {
    let url = format!("ws://{server}/events?after={after}");
    let handshake =
        ClientRequestBuilder::new(url.parse()?).with_sub_protocol(SUBPROTOCOL);
    let connection = TcpStream::connect(server).await?;
    Ok(client_async(handshake, connection).await?.0)
}

/// The next text.
async fn text(socket: &mut Socket) -> Result<String, Box<dyn Error>> {
    let message = socket.next().await.ok_or("an end")??;
    Ok(message.to_text()?.to_owned())
}

/// The next message of the finished server.
async fn message(socket: &mut Socket) -> Result<ServerMessage, Box<dyn Error>> {
    Ok(serde_json::from_str(&text(socket).await?)?)
}

async fn publish(feed: &Feed, text: &str) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

// ANCHOR: plain
/// The plain server: "two" is gone, and nothing says so.
async fn plain() -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", any(events));
    let server = serve(router.with_state(prices.clone())).await?;

    let mut socket = connect_plain(server).await?;
    prices.send("one".to_owned())?;
    assert_eq!(text(&mut socket).await?, "one");
    drop(socket); // the connection breaks

    prices.send("two".to_owned())?; // to the task of a client that has left

    let mut socket = connect_plain(server).await?;
    prices.send("three".to_owned())?;
    assert_eq!(text(&mut socket).await?, "three"); // "two" is lost
    Ok(())
}
// ANCHOR_END: plain

async fn connect_plain(server: SocketAddr) -> Result<Socket, Box<dyn Error>> {
    let connection = TcpStream::connect(server).await?;
    let url = format!("ws://{server}/events");
    Ok(client_async(url, connection).await?.0)
}

// ANCHOR: cursor
/// The same with a log, and a client that says where it stands.
async fn with_a_cursor() -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let board = Feed::new(Retention::default());
    let config = websocket::Config::default();
    let router = websocket::router(feed.clone(), board, config, Ending::new());
    let server = serve(router).await?;

    let mut socket = connect(server, Position::Latest).await?;
    let ServerMessage::Hello(hello) = message(&mut socket).await? else {
        panic!("the first message is hello");
    };
    drop(socket); // the connection breaks, before there was any event

    publish(&feed, "one").await?;

    let mut socket = connect(server, Position::After(hello.cursor)).await?;
    let _hello = message(&mut socket).await?;
    let ServerMessage::Event(event) = message(&mut socket).await? else {
        panic!("an event was due");
    };
    assert_eq!(event.data.get(), r#""one""#);
    Ok(())
}
// ANCHOR_END: cursor

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    plain().await?;
    with_a_cursor().await
}
