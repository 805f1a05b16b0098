//! What a room counts, for whoever installed a recorder of the facade `metrics`.

use contract::{
    metrics::{
        Metric, WaitEnd, CURSOR_LAG, DELIVERED, GAPS, PUBLISHED, REFUSALS, REPEATED,
        WAITS_ENDED, WAITS_OPEN, WAITS_OPENED,
    },
    Cursor, Gap, GapReason, Problem, ProblemKind, Status,
};
use feed::{Batch, Published};
use metrics::{Counter, Gauge, Histogram};

/// The counts of one method.
///
/// The handles are looked up once, when the room is made: what happens for each event
/// and client is an atomic add, and nothing where there is no recorder.
#[derive(Debug)]
pub(crate) struct Counts {
    open: Gauge,
    opened: Counter,
    /// By [`WaitEnd`].
    ended: Vec<Counter>,
    /// By [`GapReason`].
    gaps: Vec<Counter>,
    delivered: Counter,
    lag: Histogram,
    published: Counter,
    repeated: Counter,
    /// By [`ProblemKind`].
    refusals: Vec<Counter>,
}

fn counter(metric: Metric, method: &'static str) -> Counter {
    metrics::counter!(metric.name, "method" => method)
}

fn by_reason(
    metric: Metric,
    method: &'static str,
    reasons: impl IntoIterator<Item = &'static str>,
) -> Vec<Counter> {
    let counter =
        |reason| metrics::counter!(metric.name, "method" => method, "reason" => reason);
    reasons.into_iter().map(counter).collect()
}

/// The events that came in under this name.
pub(crate) fn published(method: &'static str) -> Counter {
    counter(PUBLISHED, method)
}

impl Counts {
    pub(crate) fn of(method: &'static str) -> Self {
        let gap_reasons = GapReason::ALL.map(GapReason::name);
        let refusal = |kind: &ProblemKind| metrics::counter!(REFUSALS.name, "problem" => kind.name());
        Self {
            open: metrics::gauge!(WAITS_OPEN.name, "method" => method),
            opened: counter(WAITS_OPENED, method),
            ended: by_reason(WAITS_ENDED, method, WaitEnd::NAMES.iter().copied()),
            gaps: by_reason(GAPS, method, gap_reasons),
            delivered: counter(DELIVERED, method),
            lag: metrics::histogram!(CURSOR_LAG.name, "method" => method),
            published: published(method),
            repeated: counter(REPEATED, method),
            refusals: ProblemKind::ALL.iter().map(refusal).collect(),
        }
    }

    pub(crate) fn wait_opens(&self) {
        self.opened.increment(1);
        self.open.increment(1.0);
    }

    pub(crate) fn wait_ends(&self, end: WaitEnd) {
        self.ended[end as usize].increment(1);
        self.open.decrement(1.0);
    }

    pub(crate) fn gap(&self, gap: &Gap) {
        self.gaps[gap.reason as usize].increment(1);
    }

    /// These events go to a client.
    pub(crate) fn delivers(&self, batch: &Batch) {
        self.delivers_after(batch.after, batch.events.len(), &batch.log);
    }

    /// This many events after `cursor` go to a client.
    pub(crate) fn delivers_after(&self, cursor: Cursor, count: usize, log: &Status) {
        if count == 0 {
            return;
        }
        self.delivered.increment(count as u64);
        let (newest, cursor) = (log.latest.id, cursor.id);
        self.lag
            .record(newest.get().saturating_sub(cursor.get()) as f64);
    }

    pub(crate) fn publishes(&self, published: &Published) {
        match published.repeated {
            true => self.repeated.increment(1),
            false => self.published.increment(1),
        }
    }

    pub(crate) fn refuses(&self, problem: &Problem) {
        if let Some(kind) = problem.kind() {
            self.refusals[kind as usize].increment(1);
        }
    }
}
