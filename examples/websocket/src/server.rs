//! The server: which sockets are opened, and over which log.

use crate::{
    echo::Echo, first::AskFirst, handshake::Handshake, socket::Connection, walk::Walk,
    Config, FanOut, METHOD,
};
use axum::{
    extract::{Extension, State},
    response::Response,
    routing::{get, MethodRouter},
    Router,
};
use feed::Feed;
use serving::{assets, fallbacks, Ending, ProblemResponse};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use waiting::{
    http::{cut_route, publish_route, status_route, After, Sender},
    Cuts, Door, Framings, Places, Reader, Room,
};

/// What the handlers and the sockets of one log share.
pub(crate) struct Server {
    /// Where those wait who have a socket, and to publish into.
    pub(crate) room: Room,
    /// The message of each event, made once for all sockets.
    pub(crate) messages: Framings<Utf8Bytes>,
    pub(crate) config: Arc<Config>,
    /// Where [`Config::fan_out`] asks for it.
    walk: Option<Walk>,
    pub(crate) ending: Ending,
}

/// The server: routes relative to wherever it is mounted.
///
/// `GET events` (upgraded), `POST events` and `GET status` over `feed`; `GET board`
/// (upgraded) and `GET board/status` over `board`; `GET echo` (upgraded); the page at
/// `GET /` with its modules; and `POST cut`, which finds no socket to cut unless
/// [`Config::demo_cut`] allows it.
///
/// It needs [`serving::guard`] around it: CORS does not apply to WebSocket.
pub fn router(feed: Feed, board: Feed, config: Config, ending: Ending) -> Router {
    let config = Arc::new(config.bounded());
    let door = |size| {
        let places = Places::new(size).within(config.shared.as_ref());
        Door::new(ending.signal(), places).with_max_age(config.max_age)
    };
    // One for both logs: a place for a socket, whichever it is for.
    let (sockets, cuts) = (door(config.max_sockets), Cuts::new(config.demo_cut));
    let server = |log: Feed| {
        let messages = Framings::default();
        let walk = (config.fan_out == FanOut::Walk)
            .then(|| Walk::new(log.clone(), messages.clone()));
        Arc::new(Server {
            room: Room::new(METHOD.name, log, sockets.clone()).with_cuts(cuts.clone()),
            messages,
            walk,
            config: config.clone(),
            ending: ending.clone(),
        })
    };
    let (events, board) = (server(feed), server(board));
    let echo = Echo {
        door: door(config.max_echoes),
        config: config.clone(),
        ending: ending.clone(),
    };
    let publish = publish_route(&events.room);
    let router = Router::new()
        .route("/status", status_route(&events.room))
        .route("/board/status", status_route(&board.room))
        .route("/cut", cut_route(&events.room))
        .route("/events", route(events).merge(publish))
        .route("/board", route(board))
        .route("/echo", echo.route())
        .merge(assets::router(web::WEBSOCKET))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router)
}

/// `GET` opens a WebSocket over HTTP/1.1, and `CONNECT` over HTTP/2.
fn route(server: Arc<Server>) -> MethodRouter {
    get(open).connect(open).with_state(server)
}

// ANCHOR: open
/// `GET events?after=`, upgraded.
///
/// What is refused here is refused before there is a WebSocket, and a browser does not
/// show a page why: it asks `status`.
async fn open(
    State(server): State<Arc<Server>>,
    handshake: Handshake,
    After(after): After,
    reader: Reader,
    first: Option<Extension<AskFirst>>,
    Sender(client): Sender,
) -> Result<Response, ProblemResponse> {
    let handshake = handshake.choose()?;
    let room = server.room.for_client(client);
    let position = after.unwrap_or_default();
    if let (Some(Extension(first)), None) = (first, &reader.access) {
        let opened = first.open(server, room, handshake, position, reader);
        return Ok(opened.await?);
    }
    // Now and not once the socket stands: what is refused needs an answer of HTTP.
    let wait = room.join(position, reader).await?;
    let limits = server.config.limits();
    // Boxed, since it passes through several futures, and each would have room for it.
    let connection = Box::new(Connection {
        wait,
        refused: 0,
        server: server.clone(),
    });
    // Its task outlives the request. The ending knows of it, so that a shutdown waits
    // for it, and cuts it in the end.
    let ending = &server.ending;
    Ok(match server.walk.clone() {
        None => handshake.accept(limits, ending, |socket| connection.run(socket)),
        // The other way to fan out.
        Some(walk) => {
            handshake.accept(limits, ending, |socket| walk.run(connection, socket))
        }
    })
}
// ANCHOR_END: open
