//! What a number of readers needs for each method: connections, memory, processor time,
//! bandwidth, machines and money; which limit of one machine they meet first; and what
//! many servers over one log take, with a zone to spare.
//!
//! The formulas are over what the lab has measured ([`measured`]), over prices and over
//! a machine, all of which a caller may replace. Nothing here reads a file or a clock,
//! so that a page can use it too. What is beyond the sizes that were measured is
//! calculated: the formulas are linear in the readers.
//!
//! ```
//! use capacity::{measured, Load, Method};
//!
//! let load = Load { readers: 10_000.0, events_per_s: 0.1, ..Load::EXAMPLE };
//! let needs = load.needs(Method::Sse, &measured::HTTP1.sse);
//! assert_eq!(needs.connections, 10_000.0);
//! ```

mod bill;
mod limits;
pub mod measured;
pub mod numbers;
mod servers;

pub use bill::{Bill, Prices, Tier, HOURS_PER_MONTH};
pub use limits::{Limit, LimitKind, Machine};
pub use servers::{Engine, Plan, Servers, SPREAD};

/// A way to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// A question each so often.
    Polling {
        /// From one question to the next, in seconds.
        interval_s: f64,
    },
    /// A question that the server waits with.
    LongPolling,
    /// One response that does not end.
    Sse,
    /// Frames, both ways.
    WebSocket,
}

/// What one reader costs by one method, as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Processor time of the server for an event that one reader gets, in microseconds:
    /// of long polling with its request.
    pub event_cpu_us: f64,
    /// Bytes from the reader for each event.
    pub event_up: f64,
    /// Bytes to the reader for each event, beside the event's JSON.
    pub event_down: f64,
    /// Processor time of what is exchanged when nothing happens: an empty answer, or a
    /// heartbeat. In microseconds.
    pub quiet_cpu_us: f64,
    /// Bytes of it from the reader.
    pub quiet_up: f64,
    /// Bytes of it to the reader.
    pub quiet_down: f64,
    /// How long a silence lasts until it is exchanged, in seconds; of polling the
    /// interval counts.
    pub quiet_after_s: f64,
    /// Resident memory of the server for a connection that is open, in KiB.
    pub resident_kib: f64,
    /// The kernel's memory for it, in KiB, of this end.
    pub kernel_kib: f64,
}

impl Costs {
    /// The same where each request carries so many bytes more, such as cookies. A
    /// header that an HTTP/2 connection has carried before is a number: then there are
    /// none.
    #[must_use]
    pub fn with_headers(self, method: Method, bytes: f64) -> Self {
        let each = |costs: f64| costs + bytes;
        match method {
            Method::Polling { .. } => Self {
                quiet_up: each(self.quiet_up),
                ..self
            },
            Method::LongPolling => Self {
                quiet_up: each(self.quiet_up),
                event_up: each(self.event_up),
                ..self
            },
            // They are sent once, with the opening.
            Method::Sse | Method::WebSocket => self,
        }
    }
}

/// The costs of the four methods over one version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// Of polling.
    pub polling: Costs,
    /// Of long polling.
    pub long_polling: Costs,
    /// Of Server-Sent Events.
    pub sse: Costs,
    /// Of WebSocket.
    pub websocket: Costs,
}

impl Wire {
    /// Those of a method.
    #[must_use]
    pub fn of(&self, method: Method) -> &Costs {
        match method {
            Method::Polling { .. } => &self.polling,
            Method::LongPolling => &self.long_polling,
            Method::Sse => &self.sse,
            Method::WebSocket => &self.websocket,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// How many wait at the same time.
    pub readers: f64,
    /// Events that each of them gets in a second, on average, independent of each
    /// other.
    pub events_per_s: f64,
    /// The JSON of an event, in bytes.
    pub event_bytes: f64,
    /// A round trip between reader and server, in seconds.
    pub round_trip_s: f64,
    /// How long a connection stays open after an answer, in seconds: of polling with a
    /// longer interval each question needs a new one.
    pub keep_alive_s: f64,
}

impl Load {
    /// An event of 200 bytes every ten seconds, for 10,000 readers at 50 ms.
    pub const EXAMPLE: Self = Self {
        readers: 10_000.0,
        events_per_s: 0.1,
        event_bytes: 200.0,
        round_trip_s: 0.05,
        keep_alive_s: 60.0,
    };

    /// What all readers need together.
    #[must_use]
    pub fn needs(&self, method: Method, costs: &Costs) -> Needs {
        let one = self.of_one(method, costs);
        let readers = self.readers;
        Needs {
            connections: readers * one.connections,
            requests_per_s: readers * one.requests_per_s,
            deliveries_per_s: readers * self.events_per_s,
            processors: readers * one.processors,
            memory_bytes: readers * one.memory_bytes,
            up_bytes_per_s: readers * one.up_bytes_per_s,
            down_bytes_per_s: readers * one.down_bytes_per_s,
        }
    }

    /// How long an event takes until a reader has it, on average, in seconds: the way,
    /// and what it waits for a question. What a server itself takes comes on top.
    #[must_use]
    pub fn lateness_s(&self, method: Method, costs: &Costs) -> f64 {
        let way = self.round_trip_s / 2.0;
        way + match method {
            // Half of the time from one question to the next.
            Method::Polling { interval_s } => (interval_s + self.round_trip_s) / 2.0,
            // The part of the events that comes while the reader is away for a round
            // trip waits for half of it.
            Method::LongPolling => {
                let away = self.rates(method, costs).requests * self.round_trip_s;
                away * self.round_trip_s / 2.0
            }
            Method::Sse | Method::WebSocket => 0.0,
        }
    }

    fn of_one(&self, method: Method, costs: &Costs) -> Needs {
        let rates = self.rates(method, costs);
        let Rates { events, quiet, .. } = rates;
        let connections = match method {
            Method::Polling { interval_s } => (self.keep_alive_s / interval_s).min(1.0),
            _ => 1.0,
        };
        let kib = costs.resident_kib + costs.kernel_kib;
        Needs {
            connections,
            requests_per_s: rates.requests,
            deliveries_per_s: self.events_per_s,
            processors: (events * costs.event_cpu_us + quiet * costs.quiet_cpu_us)
                / 1e6,
            memory_bytes: connections * kib * 1024.0,
            up_bytes_per_s: events * costs.event_up + quiet * costs.quiet_up,
            down_bytes_per_s: self.events_per_s * self.event_bytes
                + events * costs.event_down
                + quiet * costs.quiet_down,
        }
    }

    /// What is exchanged with one reader in a second.
    fn rates(&self, method: Method, costs: &Costs) -> Rates {
        let rate = self.events_per_s;
        match method {
            // Every question costs the same, and an event adds itself to an answer.
            Method::Polling { interval_s } => Rates {
                requests: 1.0 / interval_s,
                quiet: 1.0 / interval_s,
                events: rate,
            },
            // A wait ends with the next event or with the clock; then the reader is
            // away for a round trip, and what happens meanwhile comes with the next
            // answer.
            Method::LongPolling => {
                let longest = costs.quiet_after_s;
                let in_vain = (-rate * longest).exp();
                let wait = match rate > 0.0 {
                    true => -(-rate * longest).exp_m1() / rate,
                    false => longest,
                };
                let requests = 1.0 / (wait + self.round_trip_s);
                Rates {
                    requests,
                    quiet: requests * in_vain,
                    events: requests * (1.0 - in_vain),
                }
            }
            Method::Sse | Method::WebSocket => {
                let after = costs.quiet_after_s;
                let quiet = match rate > 0.0 {
                    true => rate / (rate * after).exp_m1(),
                    false => 1.0 / after,
                };
                Rates {
                    requests: 0.0,
                    quiet,
                    events: rate,
                }
            }
        }
    }
}

/// In a second, of one reader.
#[derive(Clone, Copy, Debug)]
struct Rates {
    requests: f64,
    /// Messages that carry no event.
    quiet: f64,
    /// Those that carry one: of long polling answers, else events.
    events: f64,
}

/// What a load needs of a server, without any reserve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// Open at the same time.
    pub connections: f64,
    /// Requests in a second, after the opening.
    pub requests_per_s: f64,
    /// Events handed out in a second.
    pub deliveries_per_s: f64,
    /// Processors that are busy all the time.
    pub processors: f64,
    /// Memory of the process and of the kernel, in bytes.
    pub memory_bytes: f64,
    /// Bytes to the server in a second, without what TCP and IP add.
    pub up_bytes_per_s: f64,
    /// Bytes to the readers in a second, without what TCP and IP add.
    pub down_bytes_per_s: f64,
}

impl Needs {
    /// How many machines of one kind that takes, filled as far as the machine says: at
    /// least one.
    #[must_use]
    pub fn nodes(&self, machine: &Machine) -> f64 {
        let parts = [
            self.processors / machine.processors,
            self.memory_bytes / machine.memory_bytes,
            8.0 * self.down_bytes_per_s / machine.bits_per_s,
        ];
        let most = parts.into_iter().fold(0.0, f64::max);
        (most / machine.fill).ceil().max(1.0)
    }
}
