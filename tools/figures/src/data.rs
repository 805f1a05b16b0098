//! The data that is kept: `src/measured/compare.json`.

use crate::DIRECTORY;
use anyhow::{ensure, Context as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// A run of `lab compare`, as much of it as the book shows. `tools/lab/README.md` describes the
/// fields that are the lab's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// Why these figures are not the last word, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisional: Option<String>,
    /// The conditions.
    pub run: Run,
    /// The JSON of an event, on average.
    pub event_bytes: f64,
    /// Of each method: a part of the receipts, and the milliseconds that they were not later than.
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
    /// The figures.
    pub rows: Vec<Row>,
    /// How much the machine itself moved.
    pub noise: Value,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// The form of the lab's files that is read here.
const SCHEMA: u32 = 2;

/// `run.json` of the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    schema: u32,
    pub started: String,
    command: Vec<String>,
    pub machine: Machine,
    pub versions: Versions,
    pub parameters: Parameters,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub processors: u32,
    pub memory_mib: u64,
    pub system: String,
    pub kernel: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Versions {
    pub commit: String,
    pub rustc: String,
    pub profile: String,
    pub crates: BTreeMap<String, String>,
}

/// As the lab has them; the book names some.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parameters {
    pub clients: u32,
    pub idle_clients: u32,
    pub recovery_clients: u32,
    pub repetitions: u32,
    pub plan: Plan,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub events: u32,
    pub rate: f64,
    pub seed: u64,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// One figure of one method: a row of the lab's `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Such as `delivery`.
    pub measurement: String,
    /// Such as `sse`.
    pub method: String,
    /// Such as `delay p50`.
    pub figure: String,
    /// Such as `ms`.
    pub unit: String,
    /// With how many threads the server worked: a number, or `all`.
    pub workers: String,
    /// `h1`, or `h2-tls`: HTTP/2 over TLS.
    pub protocol: String,
    /// The round trip of the line between, in milliseconds.
    pub rtt_ms: f64,
    /// How many of 100 packets it loses.
    pub loss_percent: f64,
    /// How many there were.
    pub repetitions: u32,
    /// Of the repetitions.
    pub median: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How often such an interval holds the median.
    pub confidence: f64,
    /// What it is compared with.
    pub floor: Option<String>,
    /// The median of that.
    pub floor_median: Option<f64>,
    /// The median of the ratios to it.
    pub ratio_median: Option<f64>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// `summary.json` of the lab.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub rows: Vec<Row>,
    pub noise: Value,
    pub faults: Vec<String>,
    pub notes: Vec<String>,
}

/// What the rows of the book's tables are of.
pub(crate) const PROTOCOL: &str = "h1";
pub(crate) const WORKERS: &str = "all";

impl Run {
    /// # Errors
    /// If the lab writes another form by now than this reads.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.schema == SCHEMA, "schema {} of the lab", self.schema);
        Ok(())
    }
}

impl Data {
    /// What is kept.
    ///
    /// # Errors
    /// If it is not there, or has another form.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let path = root.join(DIRECTORY).join("compare.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let data: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        data.run.check()?;
        Ok(data)
    }

    /// The figures over HTTP/1.1 without TLS and without a line between, of servers with all
    /// their threads.
    pub fn plain(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| {
            (&*row.protocol, &*row.workers) == (PROTOCOL, WORKERS)
                && (row.rtt_ms, row.loss_percent) == (0.0, 0.0)
        })
    }

    /// One of those, once for each floor that it has.
    pub fn with_each_floor<'a>(
        &'a self,
        measurement: &'a str,
        method: &'a str,
        figure: &'a str,
    ) -> impl Iterator<Item = &'a Row> {
        self.plain().filter(move |row| {
            (&*row.measurement, &*row.method, &*row.figure) == (measurement, method, figure)
        })
    }

    /// One of those, with the first of its floors.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn row(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<&Row> {
        let mut rows = self.plain();
        let row = rows.find(|row| {
            (&*row.measurement, &*row.method, &*row.figure) == (measurement, method, figure)
        });
        row.with_context(|| format!("no {figure} of {method} ({measurement})"))
    }

    /// Its median.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn median(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<f64> {
        Ok(self.row(measurement, method, figure)?.median)
    }

    /// The intervals of polling that were measured, in milliseconds, in rising order.
    #[must_use]
    pub fn intervals(&self) -> Vec<u64> {
        let deliveries = self.plain().filter(|row| row.measurement == "delivery");
        let names = deliveries.filter_map(|row| row.method.strip_prefix("polling:"));
        let intervals = names.filter_map(|name| name.strip_suffix("ms")?.parse().ok());
        let mut intervals: Vec<u64> = intervals.collect();
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }

    /// What a reader types to repeat it.
    #[must_use]
    pub fn command(&self) -> String {
        // Whoever measures wants the servers built, and a directory of their own.
        let mut arguments = Vec::new();
        let mut given = self.run.command.iter().skip(1);
        while let Some(argument) = given.next() {
            match &**argument {
                "--no-build" => {}
                "--out" => {
                    given.next();
                }
                other => arguments.push(other),
            }
        }
        format!("cargo run --release -p lab -- {}", arguments.join(" "))
    }
}
