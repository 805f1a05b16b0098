//! Medians over repetitions, each beside its floor.

use crate::{
    method::Method,
    results::{Outcome, Quantiles, Record},
    schedule::{Arrivals, Plan},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, fs::File, io, path::Path};

/// One figure of one method: a line of `summary.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub measurement: &'static str,
    pub method: String,
    pub figure: &'static str,
    pub unit: &'static str,
    /// How many repetitions have it.
    pub repetitions: usize,
    pub median: f64,
    /// The interval is the least and the most of the repetitions.
    pub min: f64,
    pub max: f64,
    /// What it is compared with, if there is something.
    pub floor: Option<&'static str>,
    pub floor_median: Option<f64>,
    /// Of the figure to the floor of the same repetition.
    pub ratio_median: Option<f64>,
    pub ratio_min: Option<f64>,
    pub ratio_max: Option<f64>,
}

/// How much the machine itself moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Noise {
    /// The least and the most load of the minute before a measurement.
    pub load: Option<(f64, f64)>,
    /// By how much the loop's CPU time for a delivery differed between repetitions: the most by the
    /// least, less 1.
    pub floor_cpu_spread: Option<f64>,
    /// The same of its median delay.
    pub floor_delay_spread: Option<f64>,
}

/// What a run comes to: `summary.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
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
    floor: Option<(&'static str, f64)>,
}

/// A floor below this is none: a ratio to nearly nothing says nothing.
const LEAST_FLOOR: f64 = 0.01;

const LOOP: &str = "loop";
const ARITHMETIC: &str = "arithmetic";
const LEAST_FRAME: &str = "least frame";

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
                    figure: figure.name,
                };
                match groups.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, figures)) => figures.push(figure),
                    None => groups.push((key, vec![figure])),
                }
            }
        }
        let rows: Vec<_> = groups.into_iter().map(|(key, it)| row(key, &it)).collect();
        let noise = noise(records);
        Self {
            notes: notes(records, &noise),
            faults: records.iter().filter_map(Record::fault).collect(),
            rows,
            noise,
        }
    }

    /// Writes the rows as a table for spreadsheets.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_csv(&self, path: &Path) -> anyhow::Result<()> {
        let mut table = csv::Writer::from_writer(File::create(path)?);
        for row in &self.rows {
            table.serialize(row)?;
        }
        Ok(table.flush()?)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let file = io::BufWriter::new(File::create(path)?);
        Ok(serde_json::to_writer_pretty(file, self)?)
    }

    /// The figures that matter most, for a terminal.
    pub fn tables(&self) -> [String; 2] {
        TABLES.map(|columns| self.table(columns))
    }

    /// Those that servers are compared by, each with what the client took.
    pub fn servers(&self) -> String {
        self.table(&SERVERS)
    }

    fn table(&self, columns: &[Column]) -> String {
        let mut methods: Vec<&str> = Vec::new();
        for row in &self.rows {
            let shown = columns.iter().any(|column| column.shows(row));
            if shown && !methods.contains(&&*row.method) {
                methods.push(&row.method);
            }
        }
        let titles = columns.iter().map(|column| column.title.to_owned());
        let mut lines: Vec<Vec<String>> =
            vec![["method".to_owned()].into_iter().chain(titles).collect()];
        for method in methods {
            let cells = columns.iter().map(|column| {
                let mut rows = self.rows.iter();
                let row = rows.find(|row| row.method == method && column.shows(row));
                row.map_or_else(|| "-".to_owned(), Row::cell)
            });
            lines.push([method.to_owned()].into_iter().chain(cells).collect());
        }
        let width = |at: usize| lines.iter().map(|line| line[at].len()).max();
        let widths: Vec<_> = (0..=columns.len())
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
    /// The median, its interval, and its ratio to the floor.
    fn cell(&self) -> String {
        let mut cell = short(self.median);
        if self.min != self.max {
            let _ = write!(cell, " [{}, {}]", short(self.min), short(self.max));
        }
        if let Some(ratio) = self.ratio_median {
            let _ = write!(cell, " {ratio:.2}x");
        }
        cell
    }
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

const TABLES: [&[Column]; 2] = [
    &[
        column("p50 ms", "delivery", "delay p50"),
        column("p99 ms", "delivery", "delay p99"),
        column("CPU us/delivery", "delivery", "server CPU"),
        column("RSS KiB/connection", "memory", "resident"),
        column("slab KiB, both ends", "memory", "slab, both ends"),
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

const SERVERS: [Column; 6] = [
    column("p50 ms", "delivery", "delay p50"),
    column("p99 ms", "delivery", "delay p99"),
    column("CPU us/delivery", "delivery", "server CPU"),
    column("client's", "delivery", "client CPU each"),
    column("KiB/connection", "memory", "resident"),
    column("slab KiB, both ends", "memory", "slab, both ends"),
];

#[derive(PartialEq)]
struct Key {
    measurement: &'static str,
    method: String,
    figure: &'static str,
}

fn measurement(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivery(_) => "delivery",
        Outcome::Traffic(_) => "traffic",
        Outcome::Idle(_) => "idle",
        Outcome::Memory(_) => "memory",
        Outcome::Recovery(_) => "recovery",
        Outcome::Failed(_) => "failed",
    }
}

fn row(key: Key, figures: &[Figure]) -> Row {
    let values = Spread::of(figures.iter().map(|figure| figure.value));
    let floors = figures.iter().filter_map(|figure| figure.floor);
    let floor = Spread::of(floors.map(|(_, floor)| floor));
    let ratios = figures.iter().filter_map(|figure| {
        let (_, floor) = figure.floor?;
        (floor >= LEAST_FLOOR).then(|| figure.value / floor)
    });
    let ratio = Spread::of(ratios);
    let values = values.expect("a group has a figure");
    Row {
        measurement: key.measurement,
        method: key.method,
        figure: key.figure,
        unit: figures[0].unit,
        repetitions: figures.len(),
        median: values.median,
        min: values.min,
        max: values.max,
        floor: figures[0].floor.map(|(what, _)| what),
        floor_median: floor.map(|floor| floor.median),
        ratio_median: ratio.map(|ratio| ratio.median),
        ratio_min: ratio.map(|ratio| ratio.min),
        ratio_max: ratio.map(|ratio| ratio.max),
    }
}

/// Of the repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[half],
            _ => f64::midpoint(values[half - 1], values[half]),
        };
        Some(Self { median, min, max })
    }

    fn relative(self) -> Option<f64> {
        (self.min > 0.0).then(|| self.max / self.min - 1.0)
    }
}

/// The record of the loop in the same repetition.
fn of_loop<'a>(record: &Record, records: &'a [Record]) -> Option<&'a Outcome> {
    if record.method == LOOP {
        return None;
    }
    let same = |other: &&Record| {
        other.method == LOOP
            && other.repetition == record.repetition
            && measurement(&other.outcome) == measurement(&record.outcome)
    };
    records.iter().find(same).map(|record| &record.outcome)
}

fn figures(record: &Record, records: &[Record], plan: &Plan) -> Vec<Figure> {
    let figure = |name, unit, value, floor| Figure {
        name,
        unit,
        value,
        floor,
    };
    let interval = match record.method.parse() {
        Ok(Method::Polling(interval)) => Some(interval),
        _ => None,
    };
    let floor = of_loop(record, records);
    match &record.outcome {
        Outcome::Delivery(it) => {
            let floor = match floor {
                Some(Outcome::Delivery(floor)) => Some(floor),
                _ => None,
            };
            let one_way = floor.and_then(|floor| floor.one_way_ms.as_ref());
            let delay = |name, part: f64, of: fn(&Quantiles) -> f64| {
                let floor = match interval {
                    // An event waits for the next question, and then for its way and its answer's.
                    Some(interval) => one_way.map(|way| {
                        let wait = interval.as_secs_f64() * 1000.0 * part;
                        (ARITHMETIC, wait + 2.0 * way.p50)
                    }),
                    None => floor.map(|floor| (LOOP, of(&floor.delay_ms))),
                };
                figure(name, "ms", of(&it.delay_ms), floor)
            };
            let mut figures = vec![
                delay("delay p50", 0.5, |it| it.p50),
                delay("delay p90", 0.9, |it| it.p90),
                delay("delay p99", 0.99, |it| it.p99),
                delay("delay max", 1.0, |it| it.max),
            ];
            if let Some(cpu) = it.server_cpu_us_per_delivery {
                let floor = floor.and_then(|floor| floor.server_cpu_us_per_delivery);
                let floor = floor.map(|floor| (LOOP, floor));
                figures.push(figure("server CPU", "us/delivery", cpu, floor));
            }
            if let Some(client) = it.client_cpu_ms {
                let processors = client / it.wall_ms;
                figures.push(figure("client CPU", "processors", processors, None));
                if it.counts.delivered > 0 {
                    let each = client * 1000.0 / it.counts.delivered as f64;
                    let floor = floor.and_then(|floor| {
                        let client = floor.client_cpu_ms? * 1000.0;
                        Some((LOOP, client / floor.counts.delivered as f64))
                    });
                    figures.push(figure("client CPU each", "us/delivery", each, floor));
                }
            }
            if let Some(way) = &it.one_way_ms {
                figures.push(figure("one way p50", "ms", way.p50, None));
                figures.push(figure("one way p99", "ms", way.p99, None));
            }
            figures
        }
        Outcome::Traffic(it) => {
            let requests = match (interval, plan.arrivals) {
                // Every client asks once in an interval, and events come at their rate.
                (Some(interval), Arrivals::Poisson | Arrivals::Fixed) => {
                    Some((ARITHMETIC, 1.0 / (interval.as_secs_f64() * plan.rate)))
                }
                _ => None,
            };
            let least = Some((LEAST_FRAME, it.least_per_delivery));
            let opening = |number: u64| number as f64 / f64::from(it.clients);
            vec![
                figure("requests", "1/delivery", it.requests_per_delivery, requests),
                figure("bytes up", "B/delivery", it.up_per_delivery, None),
                figure("bytes down", "B/delivery", it.down_per_delivery, least),
                figure("opening up", "B/client", opening(it.opening.up), None),
                figure("opening down", "B/client", opening(it.opening.down), None),
            ]
        }
        Outcome::Idle(it) => vec![
            figure("requests an hour", "1/h", it.per_hour.requests, None),
            figure(
                "bytes an hour",
                "B/h",
                it.per_hour.up + it.per_hour.down,
                None,
            ),
            figure("bytes up an hour", "B/h", it.per_hour.up, None),
            figure("bytes down an hour", "B/h", it.per_hour.down, None),
        ],
        Outcome::Memory(it) => {
            let of_loop = |of: fn(&crate::results::Memory) -> f64| match floor {
                Some(Outcome::Memory(floor)) => Some((LOOP, of(floor))),
                _ => None,
            };
            let memory = |name, of: fn(&crate::results::Memory) -> f64| {
                figure(name, "KiB/connection", of(it), of_loop(of))
            };
            vec![
                memory("resident", |it| it.resident_kib_per_connection),
                memory("slab, both ends", |it| it.slab_kib_per_connection),
                memory("TCP buffers, both ends", |it| it.tcp_kib_per_connection),
            ]
        }
        Outcome::Recovery(it) => vec![
            figure("down", "ms", it.down_ms, None),
            figure("back p50", "ms", it.back_ms.p50, None),
            figure("back max", "ms", it.back_ms.max, None),
        ],
        Outcome::Failed(_) => Vec::new(),
    }
}

fn noise(records: &[Record]) -> Noise {
    let load = Spread::of(records.iter().filter_map(|record| record.load));
    let floors = || {
        let floors = records.iter().filter(|record| record.method == LOOP);
        floors.filter_map(|record| match &record.outcome {
            Outcome::Delivery(delivery) => Some(delivery),
            _ => None,
        })
    };
    let cpu = Spread::of(floors().filter_map(|it| it.server_cpu_us_per_delivery));
    let delay = Spread::of(floors().map(|it| it.delay_ms.p50));
    Noise {
        load: load.map(|load| (load.min, load.max)),
        floor_cpu_spread: cpu.and_then(Spread::relative),
        floor_delay_spread: delay.and_then(Spread::relative),
    }
}

fn notes(records: &[Record], noise: &Noise) -> Vec<String> {
    let mut notes = Vec::new();
    if noise.floor_cpu_spread > Some(0.15) {
        notes.push(format!(
            "The loop's own CPU time differed by {:.0} % between repetitions: compare ratios, and \
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::Delivery, tally::Counts};

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
            repetition,
            load: Some(0.5),
            outcome: Outcome::Delivery(Delivery {
                clients: 1,
                counts: Counts::default(),
                delay_ms,
                server_cpu_us_per_delivery: Some(cpu),
                server_cpu_ms: None,
                cpu_source: None,
                client_cpu_ms: None,
                wall_ms: 1.0,
                publisher_late_ms: 0.0,
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
        let ratios = (cpu.ratio_median, cpu.ratio_min, cpu.ratio_max);
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
        assert_eq!(lines, [3, 1], "and a head; the second shows none of these");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary.csv");
        summary.write_csv(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let head = lines.next().unwrap();
        assert!(
            head.starts_with("measurement,method,figure,unit,"),
            "{head}"
        );
        assert_eq!(lines.count(), summary.rows.len());
    }
}
