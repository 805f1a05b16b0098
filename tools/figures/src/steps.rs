//! What each step that made the servers faster has saved.

use crate::{
    data::{StepRow, Steps},
    tables::{head, line},
    text::{Part, Unit},
};
use anyhow::Context as _;

/// The steps of a method, in order: a commit, and what was different from there on.
type Series = [(&'static str, &'static str)];

const BEFORE: &str = "before";
const BOXED: &str = "what passes from future to future is boxed";

const SSE: &Series = &[
    ("7a8ac3a", BEFORE),
    ("e2d6d71", "a rest after a wake-up"),
    ("068a074", "a flag before each token"),
    (
        "6fef206",
        "the version of HTTP is read here, hyper's connection boxed once",
    ),
    ("3fbfb7c", "one timer for the silence, kept"),
    ("56de8f5", "TLS comes, and keeps room for its handshake"),
    (
        "17f8e85",
        "what comes seldom is polled when it was woken; wake-ups have an advance",
    ),
    ("4129f1b", "an answer on its way is held once"),
    ("3ed1ef5", BOXED),
];

const WEBSOCKET: &Series = &[
    ("7a8ac3a", BEFORE),
    ("bfcf8b0", "one loop, and a small buffer to read into"),
    ("56de8f5", "rest, flags, version and timer as for SSE"),
    ("17f8e85", "wake-ups have an advance"),
    ("3ed1ef5", BOXED),
];

const LONG_POLLING: &Series = &[
    ("7a8ac3a", BEFORE),
    ("56de8f5", "rest, flags, version and timer as for SSE"),
    ("17f8e85", "calls in place of layers"),
    ("4129f1b", "an answer on its way is held once"),
    ("3ed1ef5", BOXED),
];

/// A table for each method.
///
/// # Errors
/// If something is not measured.
pub(crate) fn tables(steps: &Steps) -> anyhow::Result<Vec<Part>> {
    [
        ("sse", SSE, "a bare stream of hyper"),
        ("websocket", WEBSOCKET, "a bare socket of axum"),
        ("long-polling", LONG_POLLING, "a bare answer of hyper"),
    ]
    .into_iter()
    .map(|(method, series, bare)| {
        Ok((
            format!("steps-{method}"),
            table(steps, method, series, bare)?,
        ))
    })
    .collect()
}

/// A measurement, and its figure: KiB a connection, and microseconds a delivery.
const MEMORY: (&str, &str) = ("memory", "resident");
const TIME: (&str, &str) = ("delivery", "server CPU");

fn table(steps: &Steps, method: &str, series: &Series, bare: &str) -> anyhow::Result<String> {
    let titles = [
        "What was done",
        "Memory for an idle connection",
        "Processor time, in times the bare server's",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for (commit, what) in series {
        let memory = steps.row(method, commit, MEMORY)?;
        let time = steps.row(method, commit, TIME)?;
        let ratios = time.values.iter().zip(&time.floor_values);
        let ratios: Vec<_> = ratios.map(|(own, bare)| own / bare).collect();
        let cells = [
            (*what).to_owned(),
            kib(&memory.values),
            format!("{:.1}", median(&ratios)),
        ];
        lines.push(line(cells.into_iter()));
    }
    let rows = steps.rows.iter().filter(|row| row.is(method, MEMORY));
    let floors: Vec<_> = rows.flat_map(|row| row.floor_values.clone()).collect();
    let cells = [bare.to_owned(), kib(&floors), "1".to_owned()];
    lines.push(line(cells.into_iter()));
    Ok(lines.join("\n"))
}

/// With a digit more than elsewhere: memory hardly differs between runs.
fn kib(values: &[f64]) -> String {
    format!("{:.1} KiB", median(values))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 if middle > 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted.get(middle).copied().unwrap_or(f64::NAN),
    }
}

/// Which machine, when, and how.
pub(crate) fn conditions(steps: &Steps) -> String {
    format!(
        "Measured on {}, on the same machine: servers of several commits in turn, each in {} runs, \
         beside the bare server of the same run. {} clients, one thread.",
        steps.measured,
        steps.repetitions,
        Unit::Count.number(f64::from(steps.clients)),
    )
}

impl Steps {
    fn row(&self, method: &str, commit: &str, figure: (&str, &str)) -> anyhow::Result<&StepRow> {
        let mut rows = self.rows.iter();
        let found = rows.find(|row| row.commit == commit && row.is(method, figure));
        found.with_context(|| format!("no {} of {method} at {commit}", figure.1))
    }
}

impl StepRow {
    fn is(&self, method: &str, (measurement, figure): (&str, &str)) -> bool {
        (&*self.method, &*self.measurement, &*self.figure) == (method, measurement, figure)
    }
}
