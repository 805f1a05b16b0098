//! WebSocket: frames, both ways, over the [`feed`].
//!
//! ```text
//! cargo run -p websocket -- --port 4103 --rate 2
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.
//! - [`close`]: how a socket ends, and the close codes.
//!
//! The messages are those of [`contract::socket`]: JSON in text frames, under the
//! subprotocol `waiting.v1`. The server sends `hello`, `event`, `gap`, `heartbeat`,
//! `ack` and `error`; the client sends `publish`.

pub mod close;
mod config;
mod echo;
mod frames;
mod handshake;
mod socket;
mod tunnel;

pub use config::Config;

use axum::{
    extract::State,
    response::Response,
    routing::{get, MethodRouter},
    Router,
};
use echo::Echo;
use feed::{Encoding, Feed, Retention};
use handshake::Handshake;
use serving::{
    assets, cut_route, fallbacks, publish_route, status_route, After, ConnectionName,
    Cuts, Ending, ProblemResponse, Slots,
};
use socket::Connection;
use std::sync::Arc;

/// A log for the whiteboard. Not the room's: a stroke is drawn for ever, and would push
/// the messages out of the window.
pub fn board() -> Feed {
    Feed::new(Retention {
        // As many strokes as the page draws, so that who comes late sees what everybody
        // sees. A stroke has up to 1 KiB, and a page that joins is sent all of it.
        max_events: 1000,
        ..Retention::default()
    })
}

/// What the handlers of one log share.
#[derive(Clone)]
struct Server {
    feed: Feed,
    /// The slot in which each event keeps its framing.
    encoding: Encoding,
    config: Arc<Config>,
    ending: Ending,
    /// The places for sockets, of all logs together.
    places: Slots,
    /// The sockets that a reader may cut.
    cuts: Cuts,
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
    let echo = Echo {
        places: Slots::new(config.max_echoes).within(config.shared.as_ref()),
        config: Arc::new(config.bounded()),
        ending,
    };
    let events = Server::new(feed, &echo);
    let board = Server {
        places: events.places.clone(),
        cuts: events.cuts.clone(),
        ..Server::new(board, &echo)
    };
    let publish = publish_route(events.feed.clone());
    let router = Router::new()
        .route("/events", events.route().merge(publish))
        .route("/status", events.status())
        .route("/board", board.route())
        .route("/board/status", board.status())
        .route("/cut", cut_route(events.cuts))
        .route(
            "/echo",
            get(echo::open).connect(echo::open).with_state(echo),
        )
        .merge(assets::router(web::WEBSOCKET))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router)
}

impl Server {
    fn new(feed: Feed, echo: &Echo) -> Self {
        Self {
            encoding: feed.encoding("websocket"),
            feed,
            places: Slots::new(echo.config.max_sockets)
                .within(echo.config.shared.as_ref()),
            cuts: Cuts::new(echo.config.demo_cut),
            config: echo.config.clone(),
            ending: echo.ending.clone(),
        }
    }

    /// `GET` opens a WebSocket over HTTP/1.1, and `CONNECT` over HTTP/2.
    fn route(&self) -> MethodRouter {
        get(open).connect(open).with_state(self.clone())
    }

    fn status(&self) -> MethodRouter {
        let places = Some(self.places.clone());
        status_route(self.feed.clone(), self.ending.clone(), places)
    }
}

/// `GET events?after=`, upgraded.
///
/// What is refused here is refused before there is a WebSocket, and a browser does not
/// show a page why: it asks `status`.
async fn open(
    State(server): State<Server>,
    handshake: Handshake,
    After(after): After,
    name: ConnectionName,
) -> Result<Response, ProblemResponse> {
    server.ending.refuse_if_begun()?;
    let handshake = handshake.choose()?;
    let connection = Connection {
        // Now and not once the socket stands: a cursor that is ahead of the log is
        // refused with 400.
        subscription: server.feed.subscribe(after.unwrap_or_default())?,
        place: server.places.try_take()?,
        cuttable: server.cuts.register(name),
        heartbeat: server.config.heartbeat,
        close_patience: server.config.close_patience,
        encoding: server.encoding,
        feed: server.feed,
        ending: server.ending.clone(),
    };
    let limits = server.config.limits();
    // Its task outlives the request. The ending is told of it, so that a shutdown waits
    // for it, and cuts it in the end.
    Ok(handshake.accept(limits, &server.ending, |socket| connection.run(socket)))
}
