//! WebSocket: frames, both ways, over the [`feed`].
//!
//! ```text
//! cargo run -p websocket -- --port 4103 --rate 2
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.
//! - [`close`]: how a socket ends, and the close codes.
//! - [`Handshake`]: the opening alone, for another server of sockets.
//!
//! The messages are those of [`contract::socket`]: JSON in text frames, under the
//! subprotocol `waiting.v1`. The server sends `hello`, `event`, `gap`, `heartbeat`,
//! `ack` and `error`; the client sends `publish`.

// In a browser hyper reads no HTTP, and tokio has no clock: the same names, over bytes
// in memory and the browser's timers.
#[cfg(target_family = "wasm")]
extern crate hyper_browser as hyper;
#[cfg(target_family = "wasm")]
extern crate hyper_browser as hyper_util;
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

pub mod close;
mod config;
mod echo;
mod first;
mod frames;
mod handshake;
mod server;
mod socket;
mod tunnel;
mod walk;

pub use config::{Config, FanOut};
pub use first::AskFirst;
pub use handshake::Handshake;
pub use server::router;
pub use tunnel::{Socket, Tunnel};

use axum::Router;
use feed::{Feed, Retention};
use method::{Host, Method, Variants, Waits};

/// What this method says of itself.
pub const METHOD: Method = Method {
    name: "websocket",
    title: "WebSocket",
    port: 4103,
    about: "Serves a log of events by WebSocket, with a page that shows them and a whiteboard",
    waits: Some(Waits {
        flag: "max-sockets",
        help: "Sockets open at once",
        silence: Some("The longest silence on a socket before a heartbeat and a ping"),
    }),
    cuts: true,
    router: |host| on(host, FanOut::Tasks),
};

/// The same with [`FanOut::Walk`].
const WALK: Method = Method {
    router: |host| on(host, FanOut::Walk),
    ..METHOD
};

/// What the program of this method can serve.
pub const VARIANTS: Variants = Variants {
    flag: "fan-out",
    help: "Who writes an event to the sockets: their own tasks, or one that walks them",
    methods: &[("tasks", METHOD), ("walk", WALK)],
};

fn on(host: Host, fan_out: FanOut) -> Router {
    let config = Config {
        max_sockets: host.places,
        shared: host.shared,
        heartbeat: host.heartbeat,
        max_age: host.max_age,
        // A page has a button for it.
        demo_cut: true,
        fan_out,
        ..Config::default()
    };
    router(host.log, board(), config, host.ending)
}

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
