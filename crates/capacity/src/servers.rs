//! Many servers over one log, and a zone of them that is lost.

use crate::{Costs, Load, Machine, Method};

/// By how much the time over which readers come back is longer than their servers need
/// to let them in: that of the book's herd.
pub const SPREAD: f64 = 1.25;

/// What keeps the log, as each server meets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Engine {
    /// Connections that one server holds to it, at most.
    pub connections: f64,
    /// How many it accepts in all, with its own defaults.
    pub most_connections: f64,
    /// Bytes to a server for each event, beside the event's JSON.
    pub event_down: f64,
    /// Bytes to a server in a second in which nothing happens.
    pub quiet_down_per_s: f64,
}

impl Engine {
    /// NATS JetStream, as the crate `engines` follows a stream: one connection, and a
    /// look at the stream each second. `fact-log-bytes` and `fact-log-connections` of
    /// the book's facts have where the numbers are from.
    pub const JETSTREAM: Self = Self {
        connections: 1.0,
        most_connections: 65_536.0,
        event_down: 130.0,
        quiet_down_per_s: 850.0,
    };

    /// PostgreSQL, as the crate `engines` reads its tables: up to eight connections
    /// that publish and read, and one that is notified. Three of a hundred are kept for
    /// whoever administers it. The same facts have the sources.
    pub const POSTGRES: Self = Self {
        connections: 9.0,
        most_connections: 97.0,
        event_down: 125.0,
        quiet_down_per_s: 60.0,
    };
}

/// Servers that each fill a window from one log, spread evenly over zones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Servers {
    /// Connections of readers that one server holds at most.
    pub places: f64,
    /// How many readers one server lets in, in a second.
    pub accepts_per_s: f64,
    /// Zones, at least two.
    pub zones: f64,
    /// Copies of the log, spread over the zones as evenly as they go.
    pub copies: f64,
    /// Events of the whole log in a second, where a reader does not get all of them. At
    /// least what a reader gets.
    pub log_events_per_s: f64,
    /// How long a reader takes to notice that its server is gone, in seconds.
    pub notice_s: f64,
    /// The range from which each reader then draws when it comes back, in seconds.
    pub return_s: f64,
}

impl Servers {
    /// In three zones, each server with as many places as the lab has filled, and with
    /// the book's clients: two missing heartbeats and a second, and a first delay below
    /// a second. What a server lets in is that of the book's herd.
    pub const EXAMPLE: Self = Self {
        places: 16_000.0,
        accepts_per_s: 1000.0,
        zones: 3.0,
        copies: 3.0,
        log_events_per_s: 0.0,
        notice_s: 31.0,
        return_s: 1.0,
    };

    /// How many servers that takes, and what happens between them and to their readers.
    #[must_use]
    pub fn plan(
        &self,
        load: &Load,
        method: Method,
        costs: &Costs,
        machine: &Machine,
        engine: &Engine,
    ) -> Plan {
        let others = self.zones - 1.0;
        // A zone holds its part of the readers of one that is lost.
        let in_zone = Load {
            readers: load.readers / others,
            ..*load
        };
        let most = in_zone.needs(method, costs);
        let by_places = (most.connections / self.places).ceil();
        let zone = by_places.max(most.nodes(machine));
        let servers = self.zones * zone;

        let down = load.needs(method, costs).down_bytes_per_s;
        let log_events = self.log_events_per_s.max(load.events_per_s);
        let copy = log_events * (load.event_bytes + engine.event_down)
            + engine.quiet_down_per_s;

        let lost_readers = load.readers / self.zones;
        let survivors = others * zone;
        let each = lost_readers / survivors;
        let let_in_s = each / self.accepts_per_s;
        // Whoever is drawn late comes late, and whoever is one too many waits.
        let back_s = self.return_s.max(let_in_s);
        let missed_events = load.events_per_s * (self.notice_s + back_s / 2.0);
        let catch_up_bytes =
            lost_readers * load.catch_up_bytes(method, costs, missed_events);
        Plan {
            servers,
            log_bytes_per_s: servers * copy,
            log_connections: servers * engine.connections,
            server_down_bytes_per_s: down / servers,
            full_server_down_bytes_per_s: down / survivors,
            lost_readers,
            herd_per_s: each / self.return_s,
            least_return_s: SPREAD * let_in_s,
            back_s,
            missed_events,
            catch_up_bytes,
            server_catch_up_bytes_per_s: catch_up_bytes / back_s / survivors,
        }
    }

    /// How many copies of the log must agree on what is appended: most of them.
    #[must_use]
    pub fn quorum(&self) -> f64 {
        (self.copies / 2.0).floor() + 1.0
    }

    /// How many copies are left when the zone with the most of them is lost.
    #[must_use]
    pub fn copies_left(&self) -> f64 {
        self.copies - (self.copies / self.zones).ceil()
    }
}

/// What many servers come to. A server that has lost a zone beside it is one of those
/// that are left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Servers in all zones, with a zone to spare.
    pub servers: f64,
    /// Bytes from the engine to all servers in a second: each gets every event.
    pub log_bytes_per_s: f64,
    /// Connections to the engine.
    pub log_connections: f64,
    /// Bytes from one server to its readers in a second.
    pub server_down_bytes_per_s: f64,
    /// The same when a zone is lost, and its readers are back.
    pub full_server_down_bytes_per_s: f64,
    /// Readers of the zone that is lost.
    pub lost_readers: f64,
    /// How many of them come to each server in a second.
    pub herd_per_s: f64,
    /// The least range to draw from, so that each server can let them in as they come.
    pub least_return_s: f64,
    /// When the last of them is back, counted from when they have noticed.
    pub back_s: f64,
    /// Events that each of them has missed, on average.
    pub missed_events: f64,
    /// Bytes that bring those to all of them.
    pub catch_up_bytes: f64,
    /// Bytes of it from each server in a second, until they are back.
    pub server_catch_up_bytes_per_s: f64,
}

impl Load {
    /// Bytes that bring a reader what it has missed.
    fn catch_up_bytes(&self, method: Method, costs: &Costs, events: f64) -> f64 {
        let data = events * self.event_bytes;
        match method {
            // One answer, whose size does not depend on how many events it tells of.
            Method::Polling { .. } => {
                costs.quiet_down + data + events * costs.event_down
            }
            Method::LongPolling => costs.event_down + data,
            Method::Sse | Method::WebSocket => data + events * costs.event_down,
        }
    }
}
