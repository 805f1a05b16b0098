//! Every limit of the SSE server, in one place.

use crate::{
    generations::{Limits, Model},
    tokens,
};
use std::{ops::Range, time::Duration};
use waiting::Places;

/// About as fast as a person reads aloud twice over.
const TOKEN_PAUSE: Duration = Duration::from_millis(60);

/// What the SSE server allows and how it paces its clients.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many streams may be open at once; default 900.
    ///
    /// What [`serving::Config::places`] leaves of the edge's 1,000 connections, so that
    /// where every place is taken a client can still load the page, publish, and ask
    /// `status` why it was refused.
    pub max_streams: usize,

    /// The places that this server shares with others behind the same edge, if there
    /// are such; default none. A stream then takes one of these too.
    pub shared: Option<Places>,

    /// The longest silence on a stream before a heartbeat fills it; default 15 s.
    ///
    /// WHATWG HTML §9.2.7 advises about 15 s. It stays under the 30 s after which some
    /// mobile networks and the 60 s after which many proxies drop a connection on which
    /// nothing moves.
    pub heartbeat: Duration,

    /// How long a stream may be open; default none. Each is ended at an age of its own,
    /// drawn between half of this and all of it, as where the server ends: the client
    /// comes back with its cursor, and a load balancer chooses again.
    ///
    /// Without it, a server that has been replaced stays empty for as long as the
    /// streams on the others last. A server alone needs none.
    pub max_age: Option<Duration>,

    /// How long a browser waits before it reconnects, in milliseconds: for each
    /// connection one number from this range is drawn and sent as `retry:`; default
    /// 1,000 to 2,000.
    ///
    /// A range, because a server that restarts loses all its clients in one moment;
    /// with one number they would all come back in one moment too.
    pub retry_ms: Range<u64>,

    /// Whether `POST cut?connection=NAME` breaks a connection so that a reader can
    /// watch it recover; default off.
    ///
    /// For the book's page. It lets anybody who knows a stream's random name end it.
    pub demo_cut: bool,

    /// The pause before each token of `POST tokens`; default 60 ms.
    pub token_pause: Duration,

    /// What is kept of generations, which outlive their readers' connections.
    pub generations: Limits,

    /// What makes the text of a generation; default the words of `POST tokens`, with
    /// 60 ms before each.
    pub model: Model,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_streams: 900,
            shared: None,
            heartbeat: Duration::from_secs(15),
            max_age: None,
            retry_ms: 1_000..2_000,
            demo_cut: false,
            token_pause: TOKEN_PAUSE,
            generations: Limits::default(),
            model: Model::of_words(tokens::generate, TOKEN_PAUSE),
        }
    }
}
