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

const MEMORY: (&str, &str, Unit) = ("memory", "resident", Unit::Kib);
const TIME: (&str, &str, Unit) = ("delivery", "server CPU", Unit::Microseconds);

fn table(steps: &Steps, method: &str, series: &Series, bare: &str) -> anyhow::Result<String> {
    let titles = [
        "What was done",
        "Memory for an idle connection",
        "Processor time for a delivery",
        "So many times the bare server's",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for (commit, what) in series {
        let cell = |(measurement, figure, unit): (&str, &str, Unit)| {
            let row = steps.row(method, commit, measurement, figure)?;
            anyhow::Ok(spread(&row.values, unit))
        };
        let cells = [
            (*what).to_owned(),
            cell(MEMORY)?,
            cell(TIME)?,
            format!("{:.2}", ratio(steps, method, commit)?),
        ];
        lines.push(line(cells.into_iter()));
    }
    let floor = |(measurement, figure, unit): (&str, &str, Unit)| {
        let rows = steps
            .rows
            .iter()
            .filter(|row| row.is(method, measurement, figure));
        let values: Vec<_> = rows.flat_map(|row| row.floor_values.clone()).collect();
        spread(&values, unit)
    };
    let cells = [bare.to_owned(), floor(MEMORY), floor(TIME), "1".to_owned()];
    lines.push(line(cells.into_iter()));
    Ok(lines.join("\n"))
}

/// The processor time of a delivery, in times the bare server's of the same runs.
pub(crate) fn ratio(steps: &Steps, method: &str, commit: &str) -> anyhow::Result<f64> {
    let row = steps.row(method, commit, TIME.0, TIME.1)?;
    let ratios: Vec<_> = row
        .values
        .iter()
        .zip(&row.floor_values)
        .map(|(own, bare)| own / bare)
        .collect();
    Ok(median(&ratios))
}

fn spread(values: &[f64], unit: Unit) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    unit.spread(median(values), least, most)
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
    fn row(
        &self,
        method: &str,
        commit: &str,
        measurement: &str,
        figure: &str,
    ) -> anyhow::Result<&StepRow> {
        let mut rows = self.rows.iter();
        let found = rows.find(|row| row.commit == commit && row.is(method, measurement, figure));
        found.with_context(|| format!("no {figure} of {method} at {commit}"))
    }
}

impl StepRow {
    fn is(&self, method: &str, measurement: &str, figure: &str) -> bool {
        (&*self.method, &*self.measurement, &*self.figure) == (method, measurement, figure)
    }
}
