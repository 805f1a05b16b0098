//! Medians over repetitions, each beside its floor.

use crate::{
    line::{By, Line},
    method::Method,
    plan::{Workers, BURST_RATE},
    protocol::Protocol,
    results::{Burst, Delivery, Directory, Memory, Outcome, Quantiles, Record},
    schedule::{Arrivals, Plan},
    system,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs::File,
    io,
    path::Path,
};

/// One figure of one method: a line of `summary.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub measurement: &'static str,
    pub method: String,
    pub workers: Workers,
    /// The line: there and back in milliseconds, the loss in percent, and what made it.
    pub rtt_ms: f64,
    pub loss_percent: f64,
    pub line: By,
    pub figure: &'static str,
    pub unit: &'static str,
    /// How many repetitions have it.
    pub repetitions: usize,
    pub median: f64,
    /// The interval of the median, and how often such an interval holds it: [`Interval`].
    pub low: f64,
    pub high: f64,
    pub confidence: f64,
    /// The least and the most of the repetitions.
    pub min: f64,
    pub max: f64,
    /// What it is compared with, if there is something. A figure with two floors has two lines.
    pub floor: Option<&'static str>,
    pub floor_median: Option<f64>,
    /// Of the figure to the floor of the same repetition.
    pub ratio_median: Option<f64>,
    pub ratio_low: Option<f64>,
    pub ratio_high: Option<f64>,
    pub ratio_min: Option<f64>,
    pub ratio_max: Option<f64>,
    /// What the clients spoke.
    pub protocol: Protocol,
}

/// Which of the sorted repetitions bound the median: from the `rank`th to the `rank`th from the
/// end.
///
/// No distribution is assumed. Each repetition lies below the true median with a chance of one
/// half, so the number of those below it is binomial; of nine, the second to the eighth have it
/// between them in 96 of 100 such runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub repetitions: usize,
    /// From 1.
    pub rank: usize,
    pub confidence: f64,
}

/// How often an interval shall hold the median, at least; with fewer than six repetitions none
/// does, and the interval is the least and the most.
const CONFIDENCE: f64 = 0.95;

impl Interval {
    fn of(repetitions: usize) -> Self {
        // The chance that at most this many lie below, or above.
        let mut outside = 0.5_f64.powi(i32::try_from(repetitions).unwrap_or(i32::MAX));
        let mut exactly = outside;
        let mut found = Self {
            repetitions,
            rank: 1,
            confidence: 1.0 - 2.0 * outside,
        };
        for rank in 2..=repetitions.div_ceil(2) {
            exactly *= (repetitions + 2 - rank) as f64 / (rank - 1) as f64;
            outside += exactly;
            let confidence = 1.0 - 2.0 * outside;
            if confidence < CONFIDENCE {
                break;
            }
            found = Self {
                rank,
                confidence,
                ..found
            };
        }
        found
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, rank) = (self.repetitions, self.rank);
        let last = n + 1 - rank;
        let percent = self.confidence * 100.0;
        write!(f, "{rank} to {last} of {n} in order, {percent:.0} %")
    }
}

/// How much the machine itself moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Noise {
    /// The least and the most load of the minute before a measurement.
    pub load: Option<(f64, f64)>,
    /// The most of [`FloorNoise::cpu_spread`].
    pub floor_cpu_spread: Option<f64>,
    /// The most of [`FloorNoise::delay_spread`].
    pub floor_delay_spread: Option<f64>,
    /// Of each line, beside servers of each number of workers.
    pub floors: Vec<FloorNoise>,
}

/// How much the loop itself moved between repetitions of the same work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FloorNoise {
    pub workers: Workers,
    pub rtt_ms: f64,
    pub loss_percent: f64,
    pub line: By,
    pub repetitions: usize,
    /// By how much its CPU time for a delivery differed: the most by the least, less 1.
    pub cpu_spread: Option<f64>,
    /// The same of its median delay.
    pub delay_spread: Option<f64>,
}

/// What a run comes to: `summary.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Of a figure with the most repetitions.
    pub interval: Interval,
    pub rows: Vec<Row>,
    pub noise: Noise,
    /// What is wrong, such as events that were lost. None may be.
    pub faults: Vec<String>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// A figure of one repetition.
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    floors: Vec<(&'static str, f64)>,
}

/// A floor below this is none: a ratio to nearly nothing says nothing.
const LEAST_FLOOR: f64 = 0.01;

const LOOP: &str = "loop";
const ARITHMETIC: &str = "arithmetic";
const LEAST_FRAME: &str = "least frame";
/// What a burst is compared with: the same deliveries, one event at a time.
const DELIVERY: &str = "delivery";

impl Summary {
    /// Of these measurements.
    pub fn new(records: &[Record], plan: &Plan) -> Self {
        // In the order in which they were first measured.
        let mut groups: Vec<(Key, Vec<Figure>)> = Vec::new();
        for record in records {
            for figure in figures(record, records, plan) {
                let key = Key {
                    measurement: measurement(&record.outcome),
                    method: record.method.clone(),
                    protocol: record.protocol,
                    workers: record.workers,
                    line: record.line,
                    figure: figure.name,
                };
                match groups.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, figures)) => figures.push(figure),
                    None => groups.push((key, vec![figure])),
                }
            }
        }
        let most = groups.iter().map(|(_, figures)| figures.len()).max();
        let rows: Vec<_> = groups
            .into_iter()
            .flat_map(|(key, figures)| rows(&key, &figures))
            .collect();
        let noise = noise(records);
        Self {
            interval: Interval::of(most.unwrap_or(0)),
            notes: notes(records, &noise),
            faults: records.iter().filter_map(Record::fault).collect(),
            rows,
            noise,
        }
    }

    /// Writes all of it, and the rows as a table for spreadsheets.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, directory: &Directory) -> anyhow::Result<()> {
        self.write_csv(&directory.file("summary.csv"))?;
        let file = io::BufWriter::new(File::create(directory.file("summary.json"))?);
        Ok(serde_json::to_writer_pretty(file, self)?)
    }

    fn write_csv(&self, path: &Path) -> anyhow::Result<()> {
        let mut table = csv::Writer::from_writer(File::create(path)?);
        for row in &self.rows {
            table.serialize(row)?;
        }
        Ok(table.flush()?)
    }

    /// The figures that matter most, for a terminal.
    pub fn tables(&self) -> [String; 3] {
        TABLES.map(|columns| self.table(columns))
    }

    /// Those that servers are compared by, each with what the client took.
    pub fn servers(&self) -> String {
        self.table(&SERVERS)
    }

    fn table(&self, columns: &[Column]) -> String {
        let mut methods: Vec<(&str, Protocol, Workers, Line)> = Vec::new();
        for row in &self.rows {
            let shown = columns.iter().any(|column| column.shows(row));
            let method = (&*row.method, row.protocol, row.workers, row.line());
            if shown && !methods.contains(&method) {
                methods.push(method);
            }
        }
        let titles = columns.iter().map(|column| column.title);
        let titles = ["method", "workers", "line"].into_iter().chain(titles);
        let mut lines: Vec<Vec<String>> = vec![titles.map(str::to_owned).collect()];
        for (method, protocol, workers, line) in methods {
            let cells = columns.iter().map(|column| {
                let rows = self.rows.iter().filter(|row| {
                    (&*row.method, row.protocol, row.workers) == (method, protocol, workers)
                        && row.line() == line
                        && column.shows(row)
                });
                cell(&rows.collect::<Vec<_>>())
            });
            let name = match protocol {
                Protocol::H1 => method.to_owned(),
                other => format!("{method} {other}"),
            };
            let names = [name, workers.to_string(), line.to_string()];
            lines.push(names.into_iter().chain(cells).collect());
        }
        let width = |at: usize| lines.iter().map(|line| line[at].len()).max();
        let widths: Vec<_> = (0..columns.len() + 3)
            .map(|at| width(at).unwrap_or(0))
            .collect();
        let mut table = String::new();
        for line in &lines {
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(table, "{cell:<width$}  ");
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        table
    }
}

impl Row {
    fn line(&self) -> Line {
        Line {
            rtt_ms: self.rtt_ms,
            loss_percent: self.loss_percent,
            by: self.line,
        }
    }
}

/// The median, its interval, and its ratios to its floors, of the rows of one figure.
fn cell(rows: &[&Row]) -> String {
    let Some(row) = rows.first() else {
        return "-".to_owned();
    };
    let mut cell = short(row.median);
    if row.low != row.high {
        let _ = write!(cell, " [{}, {}]", short(row.low), short(row.high));
    }
    for ratio in rows.iter().filter_map(|row| row.ratio_median) {
        let _ = write!(cell, " {ratio:.2}x");
    }
    cell
}

fn short(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    measurement: &'static str,
    figure: &'static str,
}

const fn column(title: &'static str, measurement: &'static str, figure: &'static str) -> Column {
    Column {
        title,
        measurement,
        figure,
    }
}

impl Column {
    fn shows(self, row: &Row) -> bool {
        (row.measurement, row.figure) == (self.measurement, self.figure)
    }
}

const TABLES: [&[Column]; 3] = [
    &[
        column("p50 ms", "delivery", "delay p50"),
        column("p99 ms", "delivery", "delay p99"),
        column("behind %", "delivery", "behind another"),
        column("CPU us/delivery", "delivery", "server CPU"),
        column("RSS KiB/connection", "memory", "resident"),
        column("slab KiB, both ends", "memory", "slab, both ends"),
    ],
    &[
        column("burst p50 ms", "burst", "delay p50"),
        column("p99 ms", "burst", "delay p99"),
        column("max ms", "burst", "delay max"),
        column("CPU us/delivery", "burst", "server CPU"),
        column("deliveries/CPU-second", "burst", "deliveries a CPU-second"),
        column("events at once", "burst", "events at once"),
    ],
    &[
        column("requests/delivery", "traffic", "requests"),
        column("B up", "traffic", "bytes up"),
        column("B down", "traffic", "bytes down"),
        column("requests/idle hour", "idle", "requests an hour"),
        column("B/idle hour", "idle", "bytes an hour"),
        column("all back after ms", "recovery", "back max"),
    ],
];

const SERVERS: [Column; 7] = [
    column("p50 ms", "delivery", "delay p50"),
    column("p99 ms", "delivery", "delay p99"),
    column("CPU us/delivery", "delivery", "server CPU"),
    column("CPU us/answer", "delivery", "server CPU of an answer"),
    column("client's", "delivery", "client CPU each"),
    column("KiB/connection", "memory", "resident"),
    column("slab KiB, both ends", "memory", "slab, both ends"),
];

#[derive(PartialEq)]
struct Key {
    measurement: &'static str,
    method: String,
    protocol: Protocol,
    workers: Workers,
    line: Line,
    figure: &'static str,
}

fn measurement(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivery(_) => DELIVERY,
        Outcome::Burst(_) => "burst",
        Outcome::Traffic(_) => "traffic",
        Outcome::Idle(_) => "idle",
        Outcome::Memory(_) => "memory",
        Outcome::Recovery(_) => "recovery",
        Outcome::Failed(_) => "failed",
    }
}

/// One for each floor, and one where there is none.
fn rows(key: &Key, figures: &[Figure]) -> Vec<Row> {
    let values = Spread::of(figures.iter().map(|figure| figure.value));
    let values = values.expect("a group has a figure");
    let row = |floor: Option<&'static str>| {
        let floor_of = |figure: &Figure| {
            let of = figure.floors.iter().find(|(name, _)| Some(*name) == floor);
            of.map(|(_, floor)| *floor)
        };
        let floors = Spread::of(figures.iter().filter_map(floor_of));
        let ratio = Spread::of(figures.iter().filter_map(|figure| {
            let floor = floor_of(figure)?;
            (floor >= LEAST_FLOOR).then(|| figure.value / floor)
        }));
        Row {
            measurement: key.measurement,
            method: key.method.clone(),
            workers: key.workers,
            rtt_ms: key.line.rtt_ms,
            loss_percent: key.line.loss_percent,
            line: key.line.by,
            figure: key.figure,
            unit: figures[0].unit,
            repetitions: figures.len(),
            median: values.median,
            low: values.low,
            high: values.high,
            confidence: Interval::of(figures.len()).confidence,
            min: values.min,
            max: values.max,
            floor,
            floor_median: floors.map(|floors| floors.median),
            ratio_median: ratio.map(|ratio| ratio.median),
            ratio_low: ratio.map(|ratio| ratio.low),
            ratio_high: ratio.map(|ratio| ratio.high),
            ratio_min: ratio.map(|ratio| ratio.min),
            ratio_max: ratio.map(|ratio| ratio.max),
            protocol: key.protocol,
        }
    };
    let mut names: Vec<&'static str> = Vec::new();
    for (name, _) in figures.iter().flat_map(|figure| &figure.floors) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    match names.is_empty() {
        true => vec![row(None)],
        false => names.into_iter().map(|name| row(Some(name))).collect(),
    }
}

/// Of the repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[half],
            _ => f64::midpoint(values[half - 1], values[half]),
        };
        let rank = Interval::of(values.len()).rank;
        Some(Self {
            median,
            low: values[rank - 1],
            high: values[values.len() - rank],
            min,
            max,
        })
    }

    fn relative(self) -> Option<f64> {
        (self.min > 0.0).then(|| self.max / self.min - 1.0)
    }
}

/// What another method's record of the same measurement and repetition says.
fn beside<'a, T>(
    method: Option<Method>,
    record: &Record,
    records: &'a [Record],
    of: fn(&'a Outcome) -> Option<&'a T>,
) -> Option<(&'static str, &'a T)> {
    let name = method?.floor_name()?;
    Some((name, same_repetition(name, record, records, of)?))
}

/// What the record of a method of the same repetition says.
fn same_repetition<'a, T>(
    method: &str,
    record: &Record,
    records: &'a [Record],
    of: fn(&'a Outcome) -> Option<&'a T>,
) -> Option<&'a T> {
    let same = |other: &&Record| {
        other.method == method
            && other.repetition == record.repetition
            && other.workers == record.workers
            && other.line == record.line
    };
    let mut others = records.iter().filter(same);
    others.find_map(|other| of(&other.outcome))
}

fn delivery_of(outcome: &Outcome) -> Option<&Delivery> {
    match outcome {
        Outcome::Delivery(delivery) => Some(delivery),
        _ => None,
    }
}

fn burst_of(outcome: &Outcome) -> Option<&Burst> {
    match outcome {
        Outcome::Burst(burst) => Some(burst),
        _ => None,
    }
}

fn memory_of(outcome: &Outcome) -> Option<&Memory> {
    match outcome {
        Outcome::Memory(memory) => Some(memory),
        _ => None,
    }
}

/// The library's floor of a method, or of another server by the same method.
fn library_floor(name: &str) -> Option<Method> {
    let method = name.rsplit(':').next().and_then(|it| it.parse().ok());
    let method = name.parse().ok().or(method);
    method.and_then(Method::library_floor)
}

fn figures(record: &Record, records: &[Record], plan: &Plan) -> Vec<Figure> {
    let figure = |name, unit, value, floors: Vec<_>| Figure {
        name,
        unit,
        value,
        floors,
    };
    let method: Option<Method> = record.method.parse().ok();
    let interval = match method {
        Some(Method::Polling(interval)) => Some(interval),
        _ => None,
    };
    let not_itself = (method != Some(Method::Loop)).then_some(Method::Loop);
    let floors = [not_itself, library_floor(&record.method)];
    match &record.outcome {
        Outcome::Delivery(it) => {
            let floors = floors.map(|floor| beside(floor, record, records, delivery_of));
            let floors: Vec<_> = floors.into_iter().flatten().collect();
            let one_way = floors.iter().find_map(|(_, it)| it.one_way_ms.as_ref());
            let delay = |name, part: f64, of: fn(&Quantiles) -> f64| {
                let floors = match interval {
                    // An event waits for the next question, and then for its way and its answer's.
                    Some(interval) => one_way.map_or_else(Vec::new, |way| {
                        let wait = interval.as_secs_f64() * 1000.0 * part;
                        vec![(ARITHMETIC, wait + 2.0 * way.p50)]
                    }),
                    None => {
                        let floors = floors.iter();
                        floors.map(|(name, it)| (*name, of(&it.delay_ms))).collect()
                    }
                };
                figure(name, "ms", of(&it.delay_ms), floors)
            };
            let mut figures = vec![
                delay("delay p50", 0.5, |it| it.p50),
                delay("delay p90", 0.9, |it| it.p90),
                delay("delay p99", 0.99, |it| it.p99),
                delay("delay max", 1.0, |it| it.max),
            ];
            if let Some(cpu) = it.server_cpu_us_per_delivery {
                let of = |(name, it): &(&'static str, &Delivery)| {
                    Some((*name, it.server_cpu_us_per_delivery?))
                };
                let floors = floors.iter().filter_map(of).collect();
                figures.push(figure("server CPU", "us/delivery", cpu, floors));
            }
            // The loop's clients count their frames as answers, and are not asked here.
            let answers = matches!(method, Some(Method::LongPolling | Method::HyperAnswer))
                || record.method.ends_with(":long-polling");
            if let (true, Some(cpu)) = (answers, it.server_cpu_us_per_answer()) {
                let of = |(name, it): &(&'static str, &Delivery)| {
                    Some((*name, it.server_cpu_us_per_answer()?))
                };
                let floors = floors.iter().filter(|(name, _)| *name != LOOP);
                let floors = floors.filter_map(of).collect();
                figures.push(figure("server CPU of an answer", "us/answer", cpu, floors));
            }
            if let Some(client) = it.client_cpu_ms {
                let processors = client / it.wall_ms;
                figures.push(figure("client CPU", "processors", processors, vec![]));
                if it.counts.delivered > 0 {
                    let of = |it: &Delivery| {
                        Some(it.client_cpu_ms? * 1000.0 / it.counts.delivered as f64)
                    };
                    let each = client * 1000.0 / it.counts.delivered as f64;
                    let floors = floors.iter();
                    let floors = floors.filter_map(|(name, it)| Some((*name, of(it)?)));
                    let floors = floors.collect();
                    figures.push(figure("client CPU each", "us/delivery", each, floors));
                }
            }
            let behind = &it.behind;
            let mut add = |name, unit, value| figures.push(figure(name, unit, value, vec![]));
            add("behind another", "%", behind.percent);
            add("most behind one", "receipts", behind.most.into());
            if behind.receipts > 0 {
                add("delay behind another p50", "ms", behind.delay_ms.p50);
            }
            figures.push(figure("publish p50", "ms", it.publish_ms.p50, vec![]));
            if let Some(way) = &it.one_way_ms {
                figures.push(figure("one way p50", "ms", way.p50, vec![]));
                figures.push(figure("one way p99", "ms", way.p99, vec![]));
            }
            figures
        }
        Outcome::Burst(burst) => {
            let floors = floors.map(|floor| beside(floor, record, records, burst_of));
            let beside = |name, unit, of: fn(&Burst) -> Option<f64>| {
                let floors = floors.iter().flatten();
                let floors = floors.filter_map(|(name, it)| Some((*name, of(it)?)));
                Some(figure(name, unit, of(burst)?, floors.collect()))
            };
            let alone = |name, unit, value| Some(figure(name, unit, value, vec![]));
            let it = &burst.delivery;
            let deliveries = it.deliveries_per_cpu_second().map(|value| {
                let one_by_one = same_repetition(&record.method, record, records, delivery_of);
                let floor = one_by_one.and_then(Delivery::deliveries_per_cpu_second);
                let floors = floor.map(|floor| (DELIVERY, floor));
                figure(
                    "deliveries a CPU-second",
                    "1/s",
                    value,
                    floors.into_iter().collect(),
                )
            });
            let client = it.client_cpu_ms.map(|ms| ms / it.wall_ms);
            let at_once = burst.events_per_batch();
            let figures = [
                beside("delay p50", "ms", |it| Some(it.delivery.delay_ms.p50)),
                beside("delay p90", "ms", |it| Some(it.delivery.delay_ms.p90)),
                beside("delay p99", "ms", |it| Some(it.delivery.delay_ms.p99)),
                beside("delay max", "ms", |it| Some(it.delivery.delay_ms.max)),
                beside("server CPU", "us/delivery", |it| {
                    it.delivery.server_cpu_us_per_delivery
                }),
                deliveries,
                at_once.and_then(|it| alone("events at once", "events", it)),
                alone("published", "events/s", burst.rate),
                alone("publisher late", "ms", it.publisher_late_ms),
                client.and_then(|it| alone("client CPU", "processors", it)),
            ];
            figures.into_iter().flatten().collect()
        }
        Outcome::Traffic(it) => {
            let requests = match (interval, plan.arrivals) {
                // Every client asks once in an interval, and events come at their rate.
                (Some(interval), Arrivals::Poisson | Arrivals::Fixed) => {
                    vec![(ARITHMETIC, 1.0 / (interval.as_secs_f64() * plan.rate))]
                }
                _ => vec![],
            };
            let least = vec![(LEAST_FRAME, it.least_per_delivery)];
            let opening = |number: u64| number as f64 / f64::from(it.clients);
            vec![
                figure("requests", "1/delivery", it.requests_per_delivery, requests),
                figure("bytes up", "B/delivery", it.up_per_delivery, vec![]),
                figure("bytes down", "B/delivery", it.down_per_delivery, least),
                figure("opening up", "B/client", opening(it.opening.up), vec![]),
                figure("opening down", "B/client", opening(it.opening.down), vec![]),
            ]
        }
        Outcome::Idle(it) => vec![
            figure("requests an hour", "1/h", it.per_hour.requests, vec![]),
            figure(
                "bytes an hour",
                "B/h",
                it.per_hour.up + it.per_hour.down,
                vec![],
            ),
            figure("bytes up an hour", "B/h", it.per_hour.up, vec![]),
            figure("bytes down an hour", "B/h", it.per_hour.down, vec![]),
        ],
        Outcome::Memory(it) => {
            let floors = floors.map(|floor| beside(floor, record, records, memory_of));
            let memory = |name, of: fn(&Memory) -> f64| {
                let floors = floors.iter().flatten();
                let floors = floors.map(|(name, it)| (*name, of(it))).collect();
                figure(name, "KiB/connection", of(it), floors)
            };
            vec![
                memory("resident", |it| it.resident_kib_per_connection),
                memory("slab, both ends", |it| it.slab_kib_per_connection),
                memory("TCP buffers, both ends", |it| it.tcp_kib_per_connection),
            ]
        }
        Outcome::Recovery(it) => vec![
            figure("down", "ms", it.down_ms, vec![]),
            figure("back p50", "ms", it.back_ms.p50, vec![]),
            figure("back max", "ms", it.back_ms.max, vec![]),
        ],
        Outcome::Failed(_) => Vec::new(),
    }
}

fn noise(records: &[Record]) -> Noise {
    let load = Spread::of(records.iter().filter_map(|record| record.load));
    // What another line, or other servers beside it, change is no noise.
    let mut groups: Vec<(Workers, Line, Vec<&Delivery>)> = Vec::new();
    for record in records.iter().filter(|record| record.method == LOOP) {
        let Outcome::Delivery(delivery) = &record.outcome else {
            continue;
        };
        let same = |(workers, line, _): &&mut (Workers, Line, Vec<&Delivery>)| {
            (*workers, *line) == (record.workers, record.line)
        };
        match groups.iter_mut().find(same) {
            Some((.., deliveries)) => deliveries.push(delivery),
            None => groups.push((record.workers, record.line, vec![delivery])),
        }
    }
    let floors = groups.into_iter().map(|(workers, line, deliveries)| {
        let all = || deliveries.iter();
        let cpu = Spread::of(all().filter_map(|it| it.server_cpu_us_per_delivery));
        let delay = Spread::of(all().map(|it| it.delay_ms.p50));
        FloorNoise {
            workers,
            rtt_ms: line.rtt_ms,
            loss_percent: line.loss_percent,
            line: line.by,
            repetitions: deliveries.len(),
            cpu_spread: cpu.and_then(Spread::relative),
            delay_spread: delay.and_then(Spread::relative),
        }
    });
    let floors: Vec<_> = floors.collect();
    let most = |of: fn(&FloorNoise) -> Option<f64>| {
        Spread::of(floors.iter().filter_map(of)).map(|spread| spread.max)
    };
    Noise {
        load: load.map(|load| (load.min, load.max)),
        floor_cpu_spread: most(|it| it.cpu_spread),
        floor_delay_spread: most(|it| it.delay_spread),
        floors,
    }
}

fn notes(records: &[Record], noise: &Noise) -> Vec<String> {
    let mut notes = Vec::new();
    if noise.floor_cpu_spread > Some(0.15) {
        notes.push(format!(
            "The loop's own CPU time differed by up to {:.0} % between repetitions: compare ratios, and \
             nothing that differs by less.",
            noise.floor_cpu_spread.unwrap_or(0.0) * 100.0
        ));
    }
    let mut reconnects: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        if let Outcome::Delivery(it) = &record.outcome {
            *reconnects.entry(&record.method).or_default() += it.counts.reconnects;
        }
    }
    for (method, count) in reconnects.into_iter().filter(|(_, count)| *count > 0) {
        notes.push(format!(
            "{method}: clients were refused, or lost their connection, {count} times. The server \
             answers a bounded number of polls a second."
        ));
    }
    notes.extend(slow_bursts(records));
    let overflowed: u64 = records
        .iter()
        .filter_map(|record| Some(record.passed?.overflowed))
        .sum();
    if overflowed > 0 {
        notes.push(format!(
            "The line held too much and dropped {overflowed} packets that it should not have lost."
        ));
    }
    if records.iter().any(|record| record.line.by == By::Relay) {
        notes.push(
            "Delay and loss were made by a relay: it loses no packet, and a piece of data that \
             would be lost comes a round trip and 200 ms later, with all behind it."
                .to_owned(),
        );
    }
    let shortened = |record: &Record| matches!(&record.outcome, Outcome::Idle(it) if it.shortened);
    if records.iter().any(shortened) {
        notes.push(
            "An idle hour is made of silences that were shortened to a second; for a long poll each \
             is two digits shorter so."
                .to_owned(),
        );
    }
    notes
}

/// A publisher that falls behind this part of its rate was kept from it.
const BEHIND: f64 = 0.9;

/// From which part of the processors on they are what was measured.
pub const BUSY: f64 = 0.95;

/// Bursts that were no 1,000 events a second, or in which all processors were busy.
fn slow_bursts(records: &[Record]) -> Vec<String> {
    let processors = system::machine().processors as f64;
    let (mut slowest, mut busy) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, u32>::new());
    for record in records {
        let Outcome::Burst(burst) = &record.outcome else {
            continue;
        };
        if burst.rate < BEHIND * BURST_RATE {
            let rate = slowest.entry(&record.method).or_insert(burst.rate);
            *rate = rate.min(burst.rate);
        }
        if burst.delivery.processors_used() >= Some(BUSY * processors) {
            *busy.entry(&record.method).or_default() += 1;
        }
    }
    let slowest = slowest.into_iter().map(|(method, rate)| {
        format!("{method}: in a burst as few as {rate:.0} events a second were published")
    });
    let busy = busy.into_iter().map(|(method, times)| {
        format!(
            "{method}: all processors were busy in {times} bursts, with server and clients; the \
             delays are those of a queue"
        )
    });
    slowest.chain(busy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Counts;

    const PLAN: Plan = Plan {
        events: 1,
        rate: 10.0,
        arrivals: Arrivals::Fixed,
        text: (1, 1),
        seed: 1,
    };

    fn delivery(method: &str, repetition: u32, p50: f64, cpu: f64) -> Record {
        let delay_ms = Quantiles {
            p50,
            ..Quantiles::default()
        };
        Record {
            method: method.to_owned(),
            protocol: Protocol::H1,
            workers: Workers::All,
            line: Line::NONE,
            passed: None,
            repetition,
            load: Some(0.5),
            outcome: Outcome::Delivery(Delivery {
                clients: 1,
                counts: Counts::default(),
                delay_ms,
                behind: Box::default(),
                server_cpu_us_per_delivery: Some(cpu),
                server_cpu_ms: None,
                cpu_source: None,
                client_cpu_ms: None,
                wall_ms: 1.0,
                publish_ms: Quantiles::default(),
                publisher_late_ms: 0.0,
                resident_mib: None,
                one_way_ms: (method == LOOP).then(|| Quantiles {
                    p50: 0.1,
                    ..Quantiles::default()
                }),
            }),
        }
    }

    fn row<'a>(summary: &'a Summary, method: &str, figure: &str) -> &'a Row {
        let mut rows = summary.rows.iter();
        rows.find(|row| row.method == method && row.figure == figure)
            .unwrap_or_else(|| panic!("{method} {figure}"))
    }

    #[test]
    fn a_ratio_is_to_the_floor_of_the_same_repetition() {
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            delivery("sse", 0, 2.0, 4.0),
            // The machine is twice as slow meanwhile.
            delivery("sse", 1, 4.0, 8.0),
            delivery("loop", 1, 2.0, 4.0),
        ];
        let summary = Summary::new(&records, &PLAN);
        let cpu = row(&summary, "sse", "server CPU");
        assert_eq!((cpu.median, cpu.min, cpu.max), (6.0, 4.0, 8.0));
        let ratios = (cpu.ratio_median, cpu.ratio_low, cpu.ratio_high);
        assert_eq!(ratios, (Some(2.0), Some(2.0), Some(2.0)));
        assert_eq!(cpu.floor, Some("loop"));
        assert_eq!(row(&summary, "loop", "server CPU").ratio_median, None);
        assert_eq!(summary.noise.floor_cpu_spread, Some(1.0));
        assert!(summary.notes[0].contains("100 %"), "{:?}", summary.notes);
        assert!(
            summary.tables()[0].contains("2.00x"),
            "{}",
            summary.tables()[0]
        );
    }

    /// A burst of 1,000 deliveries, at so many events a second.
    fn burst(method: &str, repetition: u32, rate: f64, cpu: f64) -> Record {
        let record = delivery(method, repetition, 1.0, cpu);
        let Outcome::Delivery(mut delivery) = record.outcome else {
            unreachable!("it is a delivery")
        };
        delivery.counts.delivered = 1000;
        Record {
            outcome: Outcome::Burst(Burst {
                events: 100,
                rate,
                batches: Some(250),
                delivery,
            }),
            ..record
        }
    }

    #[test]
    fn a_burst_is_compared_with_its_floors_and_with_one_event_at_a_time() {
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            delivery("sse", 0, 2.0, 6.0),
            delivery("sse", 1, 2.0, 60.0),
            burst("loop", 0, 1000.0, 1.0),
            burst("sse", 0, 1000.0, 2.0),
        ];
        let summary = Summary::new(&records, &PLAN);
        let of = |figure: &str| {
            let mut rows = summary.rows.iter();
            let row = rows.find(|row| {
                (row.measurement, &*row.method, row.figure) == ("burst", "sse", figure)
            });
            let row = row.unwrap_or_else(|| panic!("no {figure}"));
            (row.median, row.floor, row.ratio_median)
        };
        assert_eq!(of("server CPU"), (2.0, Some("loop"), Some(2.0)));
        let deliveries = of("deliveries a CPU-second");
        assert_eq!(deliveries, (500_000.0, Some("delivery"), Some(3.0)));
        assert_eq!(of("events at once"), (4.0, None, None));
        let shown = &summary.tables()[1];
        assert!(shown.contains("500000 3.00x"), "{shown}");
        assert!(summary.notes.is_empty(), "{:?}", summary.notes);
    }

    #[test]
    fn a_burst_that_was_slower_than_it_should_be_is_named() {
        let records = [burst("sse", 0, 950.0, 2.0), burst("sse", 1, 400.0, 2.0)];
        let notes = Summary::new(&records, &PLAN).notes;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains("sse") && notes[0].contains("400 events"),
            "{notes:?}"
        );
    }

    /// The same of a server with one worker.
    fn one(record: Record) -> Record {
        Record {
            workers: Workers::Some(std::num::NonZeroU16::MIN),
            ..record
        }
    }

    #[test]
    fn a_figure_has_a_line_for_each_floor_of_as_many_workers() {
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            delivery("hyper-stream", 0, 1.0, 3.0),
            one(delivery("hyper-stream", 0, 1.0, 6.0)),
            delivery("sse", 0, 1.0, 6.0),
            one(delivery("sse", 0, 1.0, 6.0)),
        ];
        let summary = Summary::new(&records, &PLAN);
        let rows = summary.rows.iter();
        let cpu = rows.filter(|row| row.figure == "server CPU" && row.method == "sse");
        let ratios: Vec<_> = cpu
            .map(|row| (row.workers.to_string(), row.floor, row.ratio_median))
            .collect();
        let expected = [
            ("all", "loop", 3.0),
            ("all", "hyper-stream", 2.0),
            ("1", "hyper-stream", 1.0),
        ];
        let expected =
            expected.map(|(workers, floor, ratio)| (workers.to_owned(), Some(floor), Some(ratio)));
        assert_eq!(ratios, expected);
    }

    #[test]
    fn a_floor_is_of_the_same_line() {
        let over = |line, record| Record { line, ..record };
        let line = Line {
            rtt_ms: 20.0,
            loss_percent: 1.0,
            by: By::Tun,
        };
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            over(line, delivery("loop", 0, 10.0, 4.0)),
            over(line, delivery("sse", 0, 20.0, 4.0)),
        ];
        let summary = Summary::new(&records, &PLAN);
        let p50 = row(&summary, "sse", "delay p50");
        assert_eq!(
            (p50.floor_median, p50.ratio_median),
            (Some(10.0), Some(2.0))
        );
        assert!(
            summary.tables()[0].contains("20 ms 1 %"),
            "{}",
            summary.tables()[0]
        );
    }

    #[test]
    fn noise_is_what_differs_between_repetitions_of_the_same_work() {
        let over = |rtt_ms, record| Record {
            line: Line {
                rtt_ms,
                loss_percent: 0.0,
                by: By::Tun,
            },
            ..record
        };
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            delivery("loop", 1, 1.5, 2.5),
            one(delivery("loop", 0, 3.0, 6.0)),
            one(delivery("loop", 1, 3.0, 6.0)),
            over(20.0, delivery("loop", 0, 10.0, 40.0)),
            over(20.0, delivery("loop", 1, 10.0, 60.0)),
        ];
        let noise = noise(&records);
        let spreads: Vec<_> = noise
            .floors
            .iter()
            .map(|it| (it.repetitions, it.cpu_spread, it.delay_spread))
            .collect();
        let expected = [
            (2, Some(0.25), Some(0.5)),
            (2, Some(0.0), Some(0.0)),
            (2, Some(0.5), Some(0.0)),
        ];
        assert_eq!(spreads, expected);
        let most = (noise.floor_cpu_spread, noise.floor_delay_spread);
        assert_eq!(most, (Some(0.5), Some(0.5)));
    }

    #[test]
    fn the_interval_of_a_median_has_as_many_below_as_above() {
        // The table of the binomial distribution for one half.
        for (repetitions, rank, confidence) in [
            (1, 1, 0.0),
            (2, 1, 0.5),
            (5, 1, 0.9375),
            (6, 1, 0.96875),
            (9, 2, 0.9609375),
            (11, 2, 0.98828125),
            (12, 3, 0.96142578125),
            (20, 6, 0.9586105346679688),
        ] {
            let found = Interval::of(repetitions);
            assert_eq!((found.rank, found.confidence), (rank, confidence));
        }
        let nine = Spread::of((1..=9).map(f64::from)).unwrap();
        assert_eq!((nine.low, nine.median, nine.high), (2.0, 5.0, 8.0));
        assert_eq!(Interval::of(9).to_string(), "2 to 8 of 9 in order, 96 %");
    }

    #[test]
    fn the_floor_of_polling_is_arithmetic() {
        let records = [
            delivery("loop", 0, 1.0, 2.0),
            delivery("polling:100ms", 0, 100.4, 4.0),
        ];
        let summary = Summary::new(&records, &PLAN);
        let p50 = row(&summary, "polling:100ms", "delay p50");
        assert_eq!(p50.floor, Some("arithmetic"));
        // Half an interval, and a way there and back.
        assert_eq!(p50.floor_median, Some(50.2));
        assert_eq!(p50.ratio_median, Some(2.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        let found = spread(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((found.median, found.min, found.max), (2.5, 1.0, 4.0));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]).unwrap().median, 7.0);
    }

    #[test]
    fn a_table_has_a_line_for_each_method() {
        let records = [delivery("loop", 0, 1.0, 2.0), delivery("sse", 0, 2.0, 4.0)];
        let summary = Summary::new(&records, &PLAN);
        let lines = summary.tables().map(|table| table.lines().count());
        assert_eq!(
            lines,
            [3, 1, 1],
            "and a head; the others show none of these"
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary.csv");
        summary.write_csv(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let head = lines.next().unwrap();
        assert!(
            head.starts_with("measurement,method,workers,rtt_ms,"),
            "{head}"
        );
        assert_eq!(lines.count(), summary.rows.len());
    }
}
