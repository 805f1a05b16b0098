//! The data that is kept: a file of JSON in `src/measured` for each kind of run.

use crate::DIRECTORY;
use anyhow::{ensure, Context as _};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// All that is kept. `tools/lab/README.md` describes the fields that are the lab's.
#[derive(Clone, Debug)]
pub struct Book {
    /// The methods side by side.
    pub compare: Data,
    /// With many clients, from servers with one thread.
    pub many: Kept,
    /// Across distances and losses.
    pub lines: Kept,
    /// With ever more clients.
    pub scale: Scale,
    /// Beside other servers.
    pub peers: Kept<PeersParameters>,
    /// Of a log that an engine keeps.
    pub engines: Engines,
    /// What each step saved that made the servers faster.
    pub steps: Steps,
}

/// The kinds of run, each with the name of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `lab compare`, without a line between clients and server.
    Compare,
    /// `lab compare`, of servers with one thread alone.
    Many,
    /// `lab compare` with round trips and losses.
    Lines,
    /// `lab scale`.
    Scale,
    /// `lab peers`.
    Peers,
    /// `lab engines`.
    Engines,
}

impl Kind {
    /// The name of its files, and the first word of its parts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare => "compare",
            Self::Many => "many",
            Self::Lines => "lines",
            Self::Scale => "scale",
            Self::Peers => "peers",
            Self::Engines => "engines",
        }
    }
}

/// A run of `lab compare`, as much of it as the book shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// Why these figures are not the last word, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisional: Option<String>,
    /// The conditions.
    pub run: Run,
    /// The JSON of an event, on average.
    pub event_bytes: f64,
    /// Whether silences were shortened: then nothing is in them that comes later, such as the pings
    /// of HTTP/2.
    pub shortened: bool,
    /// Of each method: a part of the receipts, and the milliseconds that they were not later than.
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
    /// The figures.
    pub rows: Vec<Row>,
    /// How much the machine itself moved.
    pub noise: Value,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// A run of which the conditions and the figures are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept<P = Parameters> {
    /// Why these figures are not the last word, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisional: Option<String>,
    /// The conditions.
    pub run: Run<P>,
    /// The figures.
    pub rows: Vec<Row>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// A run of `lab scale`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scale {
    /// Why these figures are not the last word, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisional: Option<String>,
    /// The conditions.
    pub run: Run<ScaleParameters>,
    /// The figures.
    pub rows: Vec<SizeRow>,
    /// Where they begin to grow faster.
    pub bends: Vec<Bend>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// A run of `lab engines`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engines {
    /// Why these figures are not the last word, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisional: Option<String>,
    /// The conditions.
    pub run: Run<EnginesParameters>,
    /// The figures.
    pub rows: Vec<EngineRow>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// One figure of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineRow {
    /// `memory`, or the engine.
    pub log: String,
    /// Its name, as the lab's.
    pub figure: String,
    /// `ms` or `1/s`.
    pub unit: String,
    /// Of the repetitions.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// To the log in memory, in the same repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_median: Option<f64>,
}

impl Engines {
    /// The figure, if it was measured of this log.
    #[must_use]
    pub fn row(&self, log: &str, figure: &str) -> Option<&EngineRow> {
        let mut rows = self.rows.iter();
        rows.find(|row| (&*row.log, &*row.figure) == (log, figure))
    }
}

/// Servers of several commits, measured in turn: runs of `lab compare` with `--server-directory`.
/// It is not measured again.
#[derive(Clone, Debug, Deserialize)]
pub struct Steps {
    /// The day.
    pub measured: String,
    pub clients: u32,
    pub repetitions: u32,
    pub rows: Vec<StepRow>,
}

/// One figure of a method at a commit, and of its floor in the same runs.
#[derive(Clone, Debug, Deserialize)]
pub struct StepRow {
    pub method: String,
    pub commit: String,
    pub measurement: String,
    pub figure: String,
    pub values: Vec<f64>,
    pub floor_values: Vec<f64>,
}

/// The form of the lab's files that is read here.
const SCHEMA: u32 = 2;

/// `run.json` of the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run<P = Parameters> {
    pub(crate) schema: u32,
    pub started: String,
    /// The arguments of `lab`; of the kept ones none is of the machine alone.
    pub(crate) command: Vec<String>,
    pub machine: Machine,
    pub versions: Versions,
    pub parameters: P,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub processors: u32,
    pub memory_mib: u64,
    pub system: String,
    pub kernel: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Of a burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_events: Option<u32>,
    pub plan: Plan,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScaleParameters {
    pub seconds: u32,
    pub repetitions: u32,
    pub workers: String,
    pub limits: Vec<Limit>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// What bounds the connections of one process on the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limit {
    pub name: String,
    pub value: u64,
    /// How many clients fit.
    pub clients: u64,
    /// What lifts it.
    pub setting: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnginesParameters {
    pub repetitions: u32,
    pub publishers: u32,
    pub missed: u32,
    pub small_window: u32,
    pub data_bytes: u32,
    /// Of the engines that are programs of their own.
    pub versions: BTreeMap<String, String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeersParameters {
    pub clients: u32,
    pub idle_clients: u32,
    pub repetitions: u32,
    pub workers: String,
    pub plan: Plan,
    /// Of the servers that are not the book's.
    pub versions: BTreeMap<String, String>,
    /// Which were not measured, each with the reason.
    pub skipped: Vec<String>,
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
    /// What made it: `nothing`, `tun` or `relay`.
    pub line: String,
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

/// One figure of one method at one size: a row of `lab scale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeRow {
    /// What is varied: `clients`, `rate` or `payload`.
    pub axis: String,
    /// Such as `sse`.
    pub method: String,
    /// How many there were.
    pub clients: f64,
    /// Events a second.
    pub rate: f64,
    /// Characters of an event's text.
    pub payload: f64,
    /// Such as `delay p50`.
    pub figure: String,
    /// Such as `ms`.
    pub unit: String,
    /// `measured`, or `calculated` from what was.
    pub basis: String,
    /// How many there were; of what is calculated none.
    pub repetitions: u32,
    /// Of the repetitions.
    pub median: f64,
    /// The least of them.
    pub min: f64,
    /// The most of them.
    pub max: f64,
}

impl SizeRow {
    /// What is varied of it.
    #[must_use]
    pub fn value(&self) -> f64 {
        match &*self.axis {
            "rate" => self.rate,
            "payload" => self.payload,
            _ => self.clients,
        }
    }

    /// Else it is calculated.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.basis == "measured"
    }
}

/// Where a figure begins to grow faster, as the lab has found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bend {
    pub axis: String,
    pub method: String,
    pub figure: String,
    /// From this value of what is varied on.
    pub at: f64,
    /// How much steeper it is from there on.
    pub times: f64,
}

/// What the rows of the book's tables are of.
pub(crate) const PROTOCOL: &str = "h1";
pub(crate) const WORKERS: &str = "all";
pub(crate) const ONE_THREAD: &str = "1";
/// HTTP/2 over TLS, and for a WebSocket HTTP/1.1 over TLS.
pub(crate) const OVER_TLS: &str = "h2-tls";

impl<P> Run<P> {
    /// # Errors
    /// If the lab writes another form by now than this reads.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.schema == SCHEMA, "schema {} of the lab", self.schema);
        Ok(())
    }

    /// The day on which it began.
    #[must_use]
    pub fn day(&self) -> &str {
        self.started.split('T').next().unwrap_or(&self.started)
    }

    /// What a reader types to repeat it.
    #[must_use]
    pub fn command(&self) -> String {
        format!("cargo run --release -p lab -- {}", self.command.join(" "))
    }
}

fn read<T: DeserializeOwned>(root: &Path, kind: Kind) -> anyhow::Result<T> {
    read_file(root, kind.name())
}

fn read_file<T: DeserializeOwned>(root: &Path, name: &str) -> anyhow::Result<T> {
    let path = root.join(DIRECTORY).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

impl Book {
    /// What is kept.
    ///
    /// # Errors
    /// If something is not there, or has another form.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let book = Self {
            compare: read(root, Kind::Compare)?,
            many: read(root, Kind::Many)?,
            lines: read(root, Kind::Lines)?,
            scale: read(root, Kind::Scale)?,
            peers: read(root, Kind::Peers)?,
            engines: read(root, Kind::Engines)?,
            steps: read_file(root, "steps")?,
        };
        book.compare.run.check()?;
        book.many.run.check()?;
        book.lines.run.check()?;
        book.scale.run.check()?;
        book.peers.run.check()?;
        Ok(book)
    }
}

/// What a row is found by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted<'a> {
    pub measurement: &'a str,
    pub method: &'a str,
    pub figure: &'a str,
    pub protocol: &'a str,
    pub workers: &'a str,
    pub rtt_ms: f64,
    pub loss_percent: f64,
}

impl<'a> Wanted<'a> {
    /// Over HTTP/1.1 without TLS and without a line between, of a server with all its threads.
    #[must_use]
    pub fn plain(measurement: &'a str, method: &'a str, figure: &'a str) -> Self {
        Self {
            measurement,
            method,
            figure,
            protocol: PROTOCOL,
            workers: WORKERS,
            rtt_ms: 0.0,
            loss_percent: 0.0,
        }
    }

    fn is(&self, row: &Row) -> bool {
        let Row {
            measurement,
            method,
            figure,
            protocol,
            workers,
            rtt_ms,
            loss_percent,
            ..
        } = row;
        *self
            == Wanted {
                measurement,
                method,
                figure,
                protocol,
                workers,
                rtt_ms: *rtt_ms,
                loss_percent: *loss_percent,
            }
    }
}

/// The row, with the first of its floors.
///
/// # Errors
/// If it was not measured.
pub(crate) fn find<'a>(rows: &'a [Row], wanted: &Wanted<'_>) -> anyhow::Result<&'a Row> {
    let row = rows.iter().find(|row| wanted.is(row));
    row.with_context(|| {
        let Wanted {
            measurement,
            method,
            figure,
            protocol,
            workers,
            rtt_ms,
            loss_percent,
        } = wanted;
        format!(
            "no {figure} of {method} ({measurement}, {protocol}, workers {workers}, {rtt_ms} ms, \
             {loss_percent} %)"
        )
    })
}

impl Data {
    /// The figures over HTTP/1.1 without TLS and without a line between, of servers with all
    /// their threads.
    pub fn plain(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| {
            (&*row.protocol, &*row.workers) == (PROTOCOL, WORKERS)
                && (row.rtt_ms, row.loss_percent) == (0.0, 0.0)
        })
    }

    /// A row, once for each floor that it has.
    pub fn with_each_floor<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Row> {
        let wanted = Wanted {
            protocol: &row.protocol,
            workers: &row.workers,
            rtt_ms: row.rtt_ms,
            loss_percent: row.loss_percent,
            ..Wanted::plain(&row.measurement, &row.method, &row.figure)
        };
        self.rows.iter().filter(move |row| wanted.is(row))
    }

    /// One of those, with the first of its floors.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn row(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<&Row> {
        find(&self.rows, &Wanted::plain(measurement, method, figure))
    }

    /// Its median.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn median(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<f64> {
        Ok(self.row(measurement, method, figure)?.median)
    }

    /// A median over HTTP/2 with TLS.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn over_tls(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<f64> {
        let wanted = Wanted {
            protocol: OVER_TLS,
            ..Wanted::plain(measurement, method, figure)
        };
        Ok(find(&self.rows, &wanted)?.median)
    }

    /// The intervals of polling that were measured, in milliseconds, in rising order.
    #[must_use]
    pub fn intervals(&self) -> Vec<u64> {
        intervals(&self.rows)
    }
}

/// A figure of a server with one thread, with the first of its floors.
///
/// # Errors
/// If it was not measured.
pub fn one_thread<'a>(
    rows: &'a [Row],
    measurement: &str,
    method: &str,
    figure: &str,
) -> anyhow::Result<&'a Row> {
    let wanted = Wanted {
        workers: ONE_THREAD,
        ..Wanted::plain(measurement, method, figure)
    };
    find(rows, &wanted)
}

/// The intervals of polling that are in these rows, in milliseconds, in rising order.
pub(crate) fn intervals(rows: &[Row]) -> Vec<u64> {
    let deliveries = rows.iter().filter(|row| row.measurement == "delivery");
    let names = deliveries.filter_map(|row| row.method.strip_prefix("polling:"));
    let intervals = names.filter_map(|name| name.strip_suffix("ms")?.parse().ok());
    let mut intervals: Vec<u64> = intervals.collect();
    intervals.sort_unstable();
    intervals.dedup();
    intervals
}

impl Kept {
    /// The round trips and losses that were measured, in rising order.
    #[must_use]
    pub fn lines(&self) -> Vec<(f64, f64)> {
        let mut lines: Vec<_> = self
            .rows
            .iter()
            .map(|row| (row.rtt_ms, row.loss_percent))
            .collect();
        lines.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        lines.dedup();
        lines
    }

    /// With how many threads the servers worked: with all, if that was measured.
    fn workers(&self) -> &str {
        let all = self.rows.iter().find(|row| row.workers == WORKERS);
        all.or(self.rows.first())
            .map_or(WORKERS, |row| &row.workers)
    }

    /// A figure of the deliveries across a line.
    ///
    /// # Errors
    /// If it was not measured.
    pub fn across(&self, method: &str, line: (f64, f64), figure: &str) -> anyhow::Result<&Row> {
        let wanted = Wanted {
            workers: self.workers(),
            rtt_ms: line.0,
            loss_percent: line.1,
            ..Wanted::plain("delivery", method, figure)
        };
        find(&self.rows, &wanted)
    }
}

impl Scale {
    /// The rows of a figure of a method, by what is varied.
    #[must_use]
    pub fn points(&self, axis: &str, method: &str, figure: &str) -> Vec<&SizeRow> {
        let mut points: Vec<_> = self
            .rows
            .iter()
            .filter(|row| (&*row.axis, &*row.method, &*row.figure) == (axis, method, figure))
            .collect();
        points.sort_by(|one, other| one.value().total_cmp(&other.value()));
        points
    }

    /// The last of them that was measured.
    ///
    /// # Errors
    /// If none was.
    pub fn most(&self, axis: &str, method: &str, figure: &str) -> anyhow::Result<&SizeRow> {
        let mut points = self.points(axis, method, figure);
        points.retain(|row| row.is_measured());
        let last = points.pop();
        last.with_context(|| format!("no {figure} of {method} against {axis}"))
    }
}

impl Kept<PeersParameters> {
    /// A figure of a server, if it was measured.
    #[must_use]
    pub fn row(&self, measurement: &str, server: &str, figure: &str) -> Option<&Row> {
        let wanted = Wanted {
            workers: &self.run.parameters.workers,
            ..Wanted::plain(measurement, server, figure)
        };
        find(&self.rows, &wanted).ok()
    }
}
