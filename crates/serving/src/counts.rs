//! What the edge counts, for whoever installed a recorder of the facade `metrics`.

use contract::{
    metrics::{
        ConnectionEnd, Metric, CONNECTIONS_ENDED, CONNECTIONS_OPEN, CONNECTIONS_OPENED,
        READ, REFUSALS, REQUESTS, WRITTEN,
    },
    ProblemKind,
};
use metrics::{Counter, Gauge};

/// The counts of one server. The handles are looked up once, when it starts.
pub(crate) struct Counts {
    open: Gauge,
    opened: Counter,
    /// By [`ConnectionEnd`].
    ended: Vec<Counter>,
    requests: Counter,
    /// By [`ProblemKind`].
    refusals: Vec<Counter>,
    read: Counter,
    written: Counter,
}

impl Counts {
    pub(crate) fn registered() -> Self {
        let counter = |metric: Metric| metrics::counter!(metric.name);
        let ended = |end: &ConnectionEnd| metrics::counter!(CONNECTIONS_ENDED.name, "reason" => end.name());
        let refusal = |kind: &ProblemKind| metrics::counter!(REFUSALS.name, "problem" => kind.name());
        Self {
            open: metrics::gauge!(CONNECTIONS_OPEN.name),
            opened: counter(CONNECTIONS_OPENED),
            ended: ConnectionEnd::ALL.iter().map(ended).collect(),
            requests: counter(REQUESTS),
            refusals: ProblemKind::ALL.iter().map(refusal).collect(),
            read: counter(READ),
            written: counter(WRITTEN),
        }
    }

    /// For a server that is not to be counted.
    pub(crate) fn none() -> Self {
        let counters = |count| vec![Counter::noop(); count];
        Self {
            open: Gauge::noop(),
            opened: Counter::noop(),
            ended: counters(ConnectionEnd::ALL.len()),
            requests: Counter::noop(),
            refusals: counters(ProblemKind::ALL.len()),
            read: Counter::noop(),
            written: Counter::noop(),
        }
    }

    pub(crate) fn connection_opens(&self) {
        self.opened.increment(1);
        self.open.increment(1.0);
    }

    pub(crate) fn connection_ends(&self, end: ConnectionEnd) {
        self.ended[end as usize].increment(1);
        self.open.decrement(1.0);
    }

    pub(crate) fn request(&self) {
        self.requests.increment(1);
    }

    pub(crate) fn refuses(&self, kind: ProblemKind) {
        self.refusals[kind as usize].increment(1);
    }

    pub(crate) fn reads(&self, bytes: usize) {
        self.read.increment(bytes as u64);
    }

    pub(crate) fn writes(&self, bytes: usize) {
        self.written.increment(bytes as u64);
    }
}
