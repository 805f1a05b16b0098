//! What a server counts: the names under which Prometheus reads it, and the values of
//! their labels.
//!
//! A server offers them where it was started with `--metrics-port`. The book's page
//! "The wire contract" has the list in a table.

use crate::ProblemKind;

/// One row of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, with its unit, by the [rules of
    /// Prometheus](https://prometheus.io/docs/practices/naming/).
    pub name: &'static str,
    /// How its values are read.
    pub kind: MetricKind,
    /// The labels of its series. No client can choose a value of one.
    pub labels: &'static [Label],
    /// What it counts.
    pub help: &'static str,
}

/// How the values of a metric are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// It only grows, from 0 when the process starts.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How many observations were at most as large as each of these bounds.
    Histogram(&'static [f64]),
}

/// A label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All its values; `None` for the methods that a server has, and [`TICKER`].
    pub values: Option<&'static [&'static str]>,
}

impl MetricKind {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The values of a label, as an enum.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident { $($(#[$value:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value])* $variant,)*
        }

        impl $name {
            /// Each of them, in the order of [`NAMES`](Self::NAMES).
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Their names: the values of the label.
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

values! {
    /// Why a wait ended. Where several are true, it is the first.
    WaitEnd {
        /// A reader asked for the connection to break.
        Cut = "cut",
        /// The server ends.
        Shutdown = "shutdown",
        /// It had lasted as long as a stream may, and its client comes back.
        Aged = "aged",
        /// The log is complete, and the client has all of it.
        Finished = "finished",
        /// The reader may not listen any more.
        Denied = "denied",
        /// The reader's credential is over.
        Renew = "renew",
        /// The client left, or was given up.
        Gone = "gone",
        /// A request that waited was answered with events, or with a gap.
        Answered = "answered",
        /// Nothing came for a request that waited, for as long as it was granted.
        TimedOut = "timed-out",
    }
}

values! {
    /// Why a connection ended.
    ConnectionEnd {
        /// In order, by either side.
        Closed = "closed",
        /// It became a WebSocket, and ended as one.
        Upgraded = "upgraded",
        /// By an error: it was reset, a deadline has passed, or it was no HTTP.
        Failed = "failed",
        /// The peer closed its side before it had its answer.
        Gone = "gone",
        /// It had to give way to another, or took none of its answers.
        Dropped = "dropped",
        /// The server ended, and did not wait for it any longer.
        Cut = "cut",
    }
}

/// The reasons of a gap: the names of [`GapReason`](crate::GapReason).
pub const GAP_REASONS: &[&str] = &["expired", "new-log", "unknown"];

/// In the place of a method's name where the server itself publishes: its invented
/// ticks.
pub const TICKER: &str = "ticker";

const METHOD: Label = Label {
    name: "method",
    values: None,
};

const fn reason(values: &'static [&'static str]) -> Label {
    Label {
        name: "reason",
        values: Some(values),
    }
}

/// Waits that are open.
pub const WAITS_OPEN: Metric = Metric {
    name: "waiting_waits_open",
    kind: MetricKind::Gauge,
    labels: &[METHOD],
    help: "Waits that are open: streams, sockets, and requests that wait",
};

/// Waits that have begun.
pub const WAITS_OPENED: Metric = Metric {
    name: "waiting_waits_opened_total",
    kind: MetricKind::Counter,
    labels: &[METHOD],
    help: "Waits that have begun",
};

/// Waits that have ended.
pub const WAITS_ENDED: Metric = Metric {
    name: "waiting_waits_ended_total",
    kind: MetricKind::Counter,
    labels: &[METHOD, reason(WaitEnd::NAMES)],
    help: "Waits that have ended, by the reason",
};

/// Gaps that clients were told of.
pub const GAPS: Metric = Metric {
    name: "waiting_gaps_total",
    kind: MetricKind::Counter,
    labels: &[METHOD, reason(GAP_REASONS)],
    help: "Gaps that clients were told of, by the reason",
};

/// Events handed to clients.
pub const DELIVERED: Metric = Metric {
    name: "waiting_delivered_events_total",
    kind: MetricKind::Counter,
    labels: &[METHOD],
    help: "Events handed to clients; one that goes to two clients counts twice",
};

/// How far clients were behind.
pub const CURSOR_LAG: Metric = Metric {
    name: "waiting_cursor_lag_events",
    kind: MetricKind::Histogram(&[
        1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0,
    ]),
    labels: &[METHOD],
    help: "How many events a client's cursor was behind the newest when it got some",
};

/// Events that were published.
pub const PUBLISHED: Metric = Metric {
    name: "waiting_published_events_total",
    kind: MetricKind::Counter,
    labels: &[METHOD],
    help: "Events published, by the way they came in; ticker is the server itself",
};

/// Publishes that were repeated.
pub const REPEATED: Metric = Metric {
    name: "waiting_repeated_publishes_total",
    kind: MetricKind::Counter,
    labels: &[METHOD],
    help: "Publishes whose key was known, and that made no second event",
};

/// Refusals.
pub const REFUSALS: Metric = Metric {
    name: "waiting_refusals_total",
    kind: MetricKind::Counter,
    labels: &[Label {
        name: "problem",
        values: Some(ProblemKind::NAMES),
    }],
    help: "Problems answered, over HTTP and on a WebSocket, by their names",
};

/// Requests.
pub const REQUESTS: Metric = Metric {
    name: "waiting_requests_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Requests whose head was read",
};

/// Connections that are open.
pub const CONNECTIONS_OPEN: Metric = Metric {
    name: "waiting_connections_open",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Connections that are open",
};

/// Connections that were accepted.
pub const CONNECTIONS_OPENED: Metric = Metric {
    name: "waiting_connections_opened_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Connections that were accepted",
};

/// Connections that have ended.
pub const CONNECTIONS_ENDED: Metric = Metric {
    name: "waiting_connections_ended_total",
    kind: MetricKind::Counter,
    labels: &[reason(ConnectionEnd::NAMES)],
    help: "Connections that have ended, by the reason",
};

/// Bytes written.
pub const WRITTEN: Metric = Metric {
    name: "waiting_written_bytes_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Bytes written to connections, with all that HTTP and TLS add",
};

/// Bytes read.
pub const READ: Metric = Metric {
    name: "waiting_read_bytes_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Bytes read from connections, with all that HTTP and TLS add",
};

/// Every metric, in the order in which they are listed.
pub const ALL: &[Metric] = &[
    WAITS_OPEN,
    WAITS_OPENED,
    WAITS_ENDED,
    GAPS,
    DELIVERED,
    CURSOR_LAG,
    PUBLISHED,
    REPEATED,
    REFUSALS,
    REQUESTS,
    CONNECTIONS_OPEN,
    CONNECTIONS_OPENED,
    CONNECTIONS_ENDED,
    WRITTEN,
    READ,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GapReason;
    use std::collections::BTreeSet;

    #[test]
    fn the_names_follow_the_rules_of_prometheus() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "each is there once");
        for metric in ALL {
            let name = metric.name;
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.starts_with("waiting_"), "{name}");
            assert!(name.bytes().all(plain), "{name}");
            let counts = metric.kind == MetricKind::Counter;
            assert_eq!(name.ends_with("_total"), counts, "{name}");
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted(), "{name}");
            }
        }
    }

    #[test]
    fn the_reasons_of_a_gap_are_those_of_the_contract() {
        for (reason, name) in [
            (GapReason::Expired, "expired"),
            (GapReason::NewLog, "new-log"),
            (GapReason::Unknown, "unknown"),
        ] {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(reason.name(), name);
        }
        assert_eq!(GapReason::ALL.map(GapReason::name), GAP_REASONS);
        for (end, name) in WaitEnd::ALL.iter().zip(WaitEnd::NAMES) {
            assert_eq!(end.name(), *name);
        }
    }

    /// The page "The wire contract" has a row for each, and each value of a label.
    #[test]
    fn the_page_has_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/contract.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let mut rows = page.lines();
        for metric in ALL {
            let labels = metric.labels.iter();
            let labels = labels.map(|label| format!("`{}`", label.name));
            let cells = [
                format!("`{}`", metric.name),
                metric.kind.name().to_owned(),
                labels.collect::<Vec<_>>().join(", "),
                metric.help.to_owned(),
            ];
            let row = format!("| {} |", cells.join(" | ")).replace("|  |", "| |");
            // Each after the one before it.
            assert!(rows.any(|line| line == row), "no row {row}");
        }
        for names in [GAP_REASONS, WaitEnd::NAMES, ConnectionEnd::NAMES] {
            let names = names.iter().map(|name| format!("`{name}`"));
            let cell = format!("| {} |", names.collect::<Vec<_>>().join(", "));
            assert!(rows.any(|line| line.ends_with(&cell)), "no row {cell}");
        }
    }
}
