// ANCHOR: all
//! Somebody draws, and somebody else comes late: a replay of the log draws the same
//! board.

use contract::{
    socket::{ServerMessage, SUBPROTOCOL},
    Position,
};
use feed::{Feed, Retention};
use futures_util::{SinkExt, StreamExt};
use serde_json::{json, Value};
use serving::{guard, Allowed, Ending};
use std::{error::Error, net::SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{client::ClientRequestBuilder, Message},
    WebSocketStream,
};

type Socket = WebSocketStream<TcpStream>;

/// Serves a board on a free port and gives its address.
async fn serve() -> Result<SocketAddr, Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = websocket::Config::default();
    let router = websocket::router(feed, websocket::board(), config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    Ok(address)
}

async fn open(server: SocketAddr, after: Position) -> Result<Socket, Box<dyn Error>> {
    let url = format!("ws://{server}/board?after={after}");
    let handshake =
        ClientRequestBuilder::new(url.parse()?).with_sub_protocol(SUBPROTOCOL);
    let connection = TcpStream::connect(server).await?;
    Ok(client_async(handshake, connection).await?.0)
}

async fn message(socket: &mut Socket) -> Result<ServerMessage, Box<dyn Error>> {
    let message = socket.next().await.ok_or("an end")??;
    Ok(serde_json::from_str(message.to_text()?)?)
}

// ANCHOR: draw
async fn draw(socket: &mut Socket) -> Result<(), Box<dyn Error>> {
    let stroke = |colour: &str, from: u16, to: u16| {
        let points = json!([[from, 500], [to, 500]]); // of a board of 1000 by 1000
        (
            "stroke",
            json!({ "colour": colour, "width": 4, "points": points }),
        )
    };
    let drawn = [
        stroke("red", 100, 200),
        stroke("blue", 200, 300),
        ("clear", json!({})),
        stroke("green", 300, 400),
    ];
    for (n, (kind, data)) in drawn.into_iter().enumerate() {
        let publish = json!({ "ref": format!("ada-{n}"), "kind": kind, "data": data });
        let frame = json!({ "publish": publish }).to_string();
        socket.send(Message::text(frame)).await?; // and not waited for
    }
    Ok(())
}
// ANCHOR_END: draw

// ANCHOR: fold
/// Reads until the green stroke is there: the colours on the board.
async fn watch(socket: &mut Socket) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut board = Vec::new();
    while board.last() != Some(&json!("green")) {
        if let ServerMessage::Event(event) = message(socket).await? {
            let data: Value = serde_json::from_str(event.data.get())?;
            match event.kind.as_str() {
                "stroke" => board.push(data["colour"].clone()),
                "clear" => board.clear(),
                _ => {} // a newer page's
            }
        }
    }
    Ok(board)
}
// ANCHOR_END: fold

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = serve().await?;
    let mut ada = open(server, Position::Earliest).await?;
    draw(&mut ada).await?;
    let seen_by_ada = watch(&mut ada).await?;

    let mut bob = open(server, Position::Earliest).await?; // he comes when all is drawn
    assert_eq!(watch(&mut bob).await?, seen_by_ada);
    assert_eq!(seen_by_ada, ["green"]);
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
