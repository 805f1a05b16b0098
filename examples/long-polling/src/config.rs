//! Every limit of the long polling server, in one place.

use std::time::Duration;
use waiting::Places;

/// What the long polling server allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many requests may be parked at once; default 900.
    ///
    /// What [`serving::Config::places`] leaves of the edge's 1,000 connections, so that
    /// where every place is taken a client can still load the page, publish, and ask
    /// `status` why it was refused.
    pub max_parked: usize,

    /// The places that this server shares with others behind the same edge, if there
    /// are such; default none. A parked request then takes one of these too.
    pub shared: Option<Places>,

    /// The longest a request is parked, whatever it asked for; default 25 s.
    ///
    /// Of all time-outs on the way this must be the first to pass, for it alone ends in
    /// an answer: an empty page, after which the client goes on. A proxy that passes
    /// first answers 504 in the server's place; nginx and AWS's load balancer give up
    /// after 60 s, unless told otherwise. A client that passes first has learnt
    /// nothing; the book's wait 10 s longer than they asked for. RFC 6202 §5.5 calls 30
    /// s safe on most ways, and 25 s leave 5 s for a slow one.
    ///
    /// `Preference-Applied` says it in whole seconds, rounded up, because `wait` is an
    /// upper bound (RFC 7240 §4.3).
    pub max_wait: Duration,

    /// How long a parked request that is woken waits for more before it is answered;
    /// default 20 ms.
    ///
    /// A burst then costs one answer and one new request, and not one of each for every
    /// event. A person does not notice 20 ms. The next request takes about as long on
    /// its way, and until it is there nobody is told anything.
    pub linger: Duration,

    /// Whether `POST cut?connection=NAME` breaks a parked request so that a reader can
    /// watch it recover; default off.
    ///
    /// For the book's page. It lets anybody who knows a request's random name end it.
    pub demo_cut: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_parked: 900,
            shared: None,
            max_wait: Duration::from_secs(25),
            linger: Duration::from_millis(20),
            demo_cut: false,
        }
    }
}
