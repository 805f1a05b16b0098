//! Every limit of the polling server, in one place.

use std::{num::NonZeroU32, ops::RangeInclusive};

/// What the polling server allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many requests for events and for the state are answered in a second, all
    /// clients together; default 1,000. Those above it get 503 `busy`. After a pause,
    /// one second's worth may come at once.
    ///
    /// Twice what 1,000 clients ask, as many as the edge takes connections, with a
    /// pause of 2 s between questions. HTTP/2 carries many requests on one connection,
    /// so the limit of connections alone bounds nothing here.
    ///
    /// It spares the server. What keeps one client from another is the edge's limit for
    /// each address ([`serving::Config::per_address`]).
    pub max_rate: NonZeroU32,

    /// When the refused may ask again, in seconds: for each answer one number from this
    /// range is drawn and sent as `Retry-After`; default 1 to 10.
    ///
    /// A range, because a rush is over sooner if it does not come back as one. At most
    /// 10, because a person waits for it.
    pub retry_after: RangeInclusive<u16>,

    /// How many symbols the state holds; default 256. Ticks of further ones do not
    /// change it.
    ///
    /// Anybody may publish a tick of a symbol of their own, and a state that is read
    /// often enough forgets none. 256 of them are about 12 KiB of JSON.
    pub max_symbols: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_rate: const { NonZeroU32::new(1_000).unwrap() },
            retry_after: 1..=10,
            max_symbols: 256,
        }
    }
}
