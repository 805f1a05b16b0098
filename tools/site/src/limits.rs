//! How the limits of the servers that share this process add up.
//!
//! Many systems give a process 1,024 file descriptors. By default the servers need at most 1,000:
//!
//! | what | how many |
//! | --- | --- |
//! | connections of the book's port | 800 ([`CONNECTIONS`], or `--max-connections`) |
//! | of these, places for what waits, of all methods together | 720: nine in ten ([`serving::Config::places`]) |
//! | files of the book: one for each connection that does not wait | 80 |
//! | connections of the push server's port | 64 ([`PUSH_CONNECTIONS`]) |
//! | connections of the panel's own client to it | 8 ([`http2_push::panel::EXCHANGES`]) |
//! | the rest: standard streams, listeners, the runtime, `--watch` | 48 (`REST`) |
//!
//! So however many streams, sockets and parked requests there are, connections and descriptors are
//! left for a page, for `status` and for a publish.

use method::Method;
use serving::Config;
use std::{collections::BTreeMap, time::Duration};
use waiting::Places;

/// The default of `--max-connections` of the book's port.
pub const CONNECTIONS: &str = "800";

/// Connections of the push server: enough for every browser of a class, few enough to leave the
/// others to the book.
pub const PUSH_CONNECTIONS: usize = 64;

/// Descriptors for what is neither a connection nor a file of the book. A debug build has 20 open.
const REST: usize = 48;

/// What the live servers allow.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The edge of the book's port.
    pub edge: Config,
    /// The places for whatever waits behind that edge, of all methods together, and of the pages
    /// that are to be reloaded. Each method alone would leave the others no connection.
    pub places: Places,
    /// How many of a method may wait at once, by its flag; one that is not here may have all
    /// places.
    pub of_methods: BTreeMap<&'static str, usize>,
    /// The longest silence of a stream and of a socket.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let edge = Config {
            max_connections: CONNECTIONS.parse().expect("a number"),
            ..Config::default()
        };
        let places = edge.places();
        Self {
            places: Places::new(places),
            of_methods: BTreeMap::new(),
            heartbeat: method::HEARTBEAT,
            edge,
        }
    }
}

impl Limits {
    /// How many of this method may wait at once.
    pub fn places_of(&self, method: &Method) -> usize {
        let own = method
            .waits
            .and_then(|waits| self.of_methods.get(waits.flag));
        own.copied().unwrap_or(self.edge.places())
    }

    /// The most descriptors that the process may need.
    pub fn descriptors(&self) -> usize {
        let connections = self.edge.max_connections;
        let files = connections - self.edge.places();
        connections + files + PUSH_CONNECTIONS + http2_push::panel::EXCHANGES + REST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_add_up_to_what_a_process_may_open() {
        let limits = Limits::default();
        assert_eq!(limits.descriptors(), 1_000);
        assert_eq!(limits.places.size(), 720);
    }
}
