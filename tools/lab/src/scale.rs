//! The command `scale`: one server with ever more clients, events and bytes.
//!
//! One of the three is varied, and the others are kept. Where the clients are more than the machine
//! allows, the limit is reported, and what lies beyond is calculated from what was measured, and
//! marked so.

use crate::{
    bench,
    job::Task,
    line::Line,
    method::{Method, Silence},
    plan::{Step, Workers},
    programs::{self, Programs},
    protocol::Protocol,
    results::{Delivery, Outcome, Record, Run},
    run::{self, Kept, Progress, RunOptions},
    schedule::{Arrivals, Plan},
    summary::{Spread, BUSY},
    system::{self, Machine},
};
use anyhow::ensure;
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, fs::File, io, process::ExitCode};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    run: RunOptions,

    /// What is measured: methods, or floors (loop, hyper-stream, axum-socket, hyper-answer)
    #[arg(long, value_delimiter = ',', value_name = "METHOD")]
    #[arg(default_value = "loop,long-polling,sse,websocket,websocket:walk")]
    methods: Vec<Method>,

    /// Numbers of clients [default: 1000,2000,4000,8000,16000; with --quick 50,100,200]
    #[arg(long, value_delimiter = ',', value_name = "COUNTS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: Vec<u32>,

    /// Events a second, with the least clients [default: 1,5,20,50,100; with --quick 20,60]
    #[arg(long, value_delimiter = ',', value_name = "RATES")]
    rates: Vec<f64>,

    /// Characters of an event's text, with the least clients [default: 100,1000,4000,16000; with
    /// --quick 100,1000]
    #[arg(long, value_delimiter = ',', value_name = "SIZES")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_000))]
    payloads: Vec<u32>,

    /// How long events are published in each measurement, in seconds [default: 10; with --quick 1]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: Option<u32>,

    /// Worker threads of each server: a number, or all, which is one for each processor
    #[arg(long, value_name = "COUNT", default_value = "all")]
    workers: Workers,
}

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    Clients,
    Rate,
    Payload,
}

/// One size of the work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    axis: Axis,
    clients: u32,
    /// Events a second.
    rate: f64,
    /// Characters of an event's text.
    payload: u32,
}

impl Size {
    /// What is varied of it.
    fn value(&self) -> f64 {
        match self.axis {
            Axis::Clients => f64::from(self.clients),
            Axis::Rate => self.rate,
            Axis::Payload => f64::from(self.payload),
        }
    }
}

/// A line of `results.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    size: Size,
    #[serde(flatten)]
    record: Record,
}

#[derive(Clone, Debug, Serialize)]
struct Parameters {
    quick: bool,
    methods: Vec<String>,
    sizes: Vec<Size>,
    seconds: u32,
    repetitions: u32,
    workers: Workers,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_directory: Option<String>,
    limits: Vec<Limit>,
}

impl Options {
    fn sizes(&self) -> Vec<Size> {
        let run = &self.run;
        let all = [1000, 2000, 4000, 8000, 16_000];
        let mut clients = run.or_all(&self.clients, &all, &[50, 100, 200]);
        clients.sort_unstable();
        clients.dedup();
        let rates = run.or_all(&self.rates, &[1.0, 5.0, 20.0, 50.0, 100.0], &[20.0, 60.0]);
        let payloads = [100, 1000, 4000, 16_000];
        let payloads = run.or_all(&self.payloads, &payloads, &[100, 1000]);
        let (least, rate, payload) = (clients[0], rates[0], payloads[0]);
        let size = |axis, clients, rate, payload| Size {
            axis,
            clients,
            rate,
            payload,
        };
        let mut sizes: Vec<_> = clients
            .into_iter()
            .map(|clients| size(Axis::Clients, clients, rate, payload))
            .collect();
        // Of one there is nothing to compare.
        if rates.len() > 1 {
            let rates = rates.into_iter();
            sizes.extend(rates.map(|rate| size(Axis::Rate, least, rate, payload)));
        }
        if payloads.len() > 1 {
            let payloads = payloads.into_iter();
            sizes.extend(payloads.map(|payload| size(Axis::Payload, least, rate, payload)));
        }
        sizes
    }
}

// Limits.

/// What bounds the connections of one process on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Limit {
    name: &'static str,
    /// As the system has it.
    value: u64,
    /// How many clients fit.
    clients: u64,
    /// What lifts it.
    setting: &'static str,
}

fn limits(descriptors: Option<u64>) -> Vec<Limit> {
    let limit = |name, value, clients, setting| Limit {
        name,
        value,
        clients,
        setting,
    };
    let mut limits = Vec::new();
    if let Some(files) = descriptors {
        let clients = programs::most_clients(files);
        limits.push(limit(
            "descriptors",
            files,
            clients,
            "ulimit -Hn, fs.nr_open",
        ));
    }
    if let Some(ports) = system::client_ports().map(u64::from) {
        // Those of 127.0.0.0/8, of which the lab uses as many as it needs.
        let setting = "one more address of the server; net.ipv4.ip_local_port_range";
        limits.push(limit("ports of one address", ports, ports, setting));
    }
    let conntrack = system::number("/proc/sys/net/netfilter/nf_conntrack_max");
    if let Some(entries) = conntrack {
        let setting = "net.netfilter.nf_conntrack_max";
        limits.push(limit("conntrack", entries, entries, setting));
    }
    limits.sort_by_key(|limit| limit.clients);
    limits
}

/// The limit that keeps so many clients out, if one does. More addresses lift that of ports.
fn forbids(limits: &[Limit], clients: u32) -> Option<&Limit> {
    let mut hard = limits.iter().filter(|it| it.name != "ports of one address");
    hard.find(|limit| limit.clients < u64::from(clients))
}

/// Measures, and keeps what it has measured, however it ends.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let sizes = options.sizes();
    let valid = |rate: &f64| (0.1..=10_000.0).contains(rate);
    ensure!(
        options.rates.iter().all(valid),
        "a rate is from 0.1 to 10000 events a second"
    );
    let limits = limits(system::raise_descriptors());
    let programs = Programs::new(&options.methods, &options.run.servers)?;
    let parameters = Parameters {
        quick: options.run.quick,
        methods: options.methods.iter().map(Method::to_string).collect(),
        sizes,
        seconds: options.run.or(options.seconds, 10, 1),
        repetitions: options.run.or(options.run.repetitions, 3, 1),
        workers: options.workers,
        seed: options.run.seed,
        server_directory: options.run.servers.directory(),
        limits,
    };
    run::run(
        &options.run,
        &programs,
        parameters,
        describe,
        async |parameters, kept| measure(&programs, &options.methods, parameters, kept).await,
        sum_up,
    )
}

fn describe(parameters: &Parameters) -> String {
    let line = |limit: &Limit| {
        let Limit {
            name,
            value,
            clients,
            setting,
        } = limit;
        format!("limit: {name} {value}, for {clients} clients; lifted by {setting}")
    };
    let lines: Vec<_> = parameters.limits.iter().map(line).collect();
    lines.join("\n")
}

fn sum_up(run: &Run<Parameters>, kept: &Kept<Measured>) -> anyhow::Result<Vec<String>> {
    let (directory, measured) = (&kept.directory, &kept.records[..]);
    let rows = rows(measured, &run.machine);
    let bends = bends(&rows);
    let mut notes = notes(&run.parameters, measured);
    notes.extend(bends.iter().map(Bend::to_string));
    let mut table = csv::Writer::from_path(directory.file("summary.csv"))?;
    for row in &rows {
        table.serialize(row)?;
    }
    table.flush()?;
    let faults: Vec<_> = measured.iter().filter_map(|it| it.record.fault()).collect();
    let summary = Summary {
        rows: &rows,
        bends: &bends,
        notes: &notes,
        faults: &faults,
    };
    let file = io::BufWriter::new(File::create(directory.file("summary.json"))?);
    serde_json::to_writer_pretty(file, &summary)?;
    println!("\n{}", report(&rows));
    notes.iter().for_each(|note| println!("note: {note}"));
    faults.iter().for_each(|fault| println!("FAULT: {fault}"));
    Ok(faults)
}

async fn measure(
    programs: &Programs,
    methods: &[Method],
    parameters: &Parameters,
    kept: &mut Kept<Measured>,
) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for repetition in 0..parameters.repetitions {
        for size in &parameters.sizes {
            if forbids(&parameters.limits, size.clients).is_none() {
                all.extend(methods.iter().map(|method| (*method, *size, repetition)));
            }
        }
    }
    let progress = Progress::of(all.len());
    for (done, (method, size, repetition)) in all.into_iter().enumerate() {
        let Size {
            axis,
            clients,
            rate,
            payload,
        } = size;
        let what = format!("{axis:?}: {method} {clients} x {rate}/s x {payload}");
        let show = progress.begin(done, what);
        let plan = Plan {
            // At least one, up to 10,000 a second for an hour.
            events: (rate * f64::from(parameters.seconds)).ceil() as u32,
            rate,
            arrivals: Arrivals::Fixed,
            text: (payload, payload),
            seed: parameters.seed,
        };
        let step = Step {
            method,
            task: Task::Delivery,
            clients,
            silence: Silence::Usual,
            protocol: Protocol::H1,
            workers: parameters.workers,
            line: Line::NONE,
            repetition,
        };
        let load = system::load();
        let (outcome, _) = bench::measure(programs, &step, plan, show).await;
        let record = Record {
            method: method.to_string(),
            protocol: Protocol::H1,
            workers: parameters.workers,
            line: Line::NONE,
            passed: None,
            repetition,
            load,
            outcome,
        };
        let fault = record.fault();
        progress.report(fault.map(|fault| format!("{clients} clients: {fault}")));
        kept.keep(Measured { size, record })?;
    }
    Ok(())
}

// What it comes to.

#[derive(Serialize)]
struct Summary<'a> {
    rows: &'a [Row],
    bends: &'a [Bend],
    notes: &'a [String],
    faults: &'a [String],
}

/// A figure of one method at one size: a line of `summary.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    axis: Axis,
    method: String,
    clients: u64,
    rate: f64,
    payload: u32,
    figure: &'static str,
    unit: &'static str,
    basis: Basis,
    repetitions: usize,
    median: f64,
    min: f64,
    max: f64,
}

impl Row {
    fn value(&self) -> f64 {
        match self.axis {
            Axis::Clients => self.clients as f64,
            Axis::Rate => self.rate,
            Axis::Payload => f64::from(self.payload),
        }
    }
}

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Basis {
    Measured,
    /// From what was measured with the most clients, in proportion.
    Calculated,
}

const MEMORY: &str = "resident";
const CPU: &str = "server CPU";
const USED: &str = "server CPU in use";
const PUBLISH: &str = "publish p50";
const P99: &str = "delay p99";

fn figures(it: &Delivery) -> Vec<(&'static str, &'static str, f64)> {
    let mut figures = vec![
        (PUBLISH, "ms", it.publish_ms.p50),
        ("publish p99", "ms", it.publish_ms.p99),
        ("delay p50", "ms", it.delay_ms.p50),
        (P99, "ms", it.delay_ms.p99),
        ("publisher late", "ms", it.publisher_late_ms),
    ];
    let mut add = |name, unit, value: Option<f64>| {
        figures.extend(value.map(|value| (name, unit, value)));
    };
    add(CPU, "us/delivery", it.server_cpu_us_per_delivery);
    add(
        USED,
        "processors",
        it.server_cpu_ms.map(|ms| ms / it.wall_ms),
    );
    let clients = it.client_cpu_ms.map(|ms| ms / it.wall_ms);
    add("client CPU in use", "processors", clients);
    let (idle, loaded) = it.resident_mib.unzip();
    add(MEMORY, "MiB", idle);
    add("resident after the events", "MiB", loaded);
    figures
}

fn rows(measured: &[Measured], machine: &Machine) -> Vec<Row> {
    let mut groups: Vec<(Row, Vec<f64>)> = Vec::new();
    for Measured { size, record } in measured {
        let Outcome::Delivery(delivery) = &record.outcome else {
            continue;
        };
        for (figure, unit, value) in figures(delivery) {
            let same = |(row, _): &&mut (Row, Vec<f64>)| {
                let varied = (row.axis, row.value()) == (size.axis, size.value());
                varied && row.method == record.method && row.figure == figure
            };
            match groups.iter_mut().find(same) {
                Some((_, values)) => values.push(value),
                None => {
                    let row = Row {
                        axis: size.axis,
                        method: record.method.clone(),
                        clients: size.clients.into(),
                        rate: size.rate,
                        payload: size.payload,
                        figure,
                        unit,
                        basis: Basis::Measured,
                        repetitions: 0,
                        median: 0.0,
                        min: 0.0,
                        max: 0.0,
                    };
                    groups.push((row, vec![value]));
                }
            }
        }
    }
    let mut rows: Vec<_> = groups
        .into_iter()
        .map(|(row, values)| {
            let spread = Spread::of(values.iter().copied()).expect("a group has a value");
            Row {
                repetitions: values.len(),
                median: spread.median,
                min: spread.min,
                max: spread.max,
                ..row
            }
        })
        .collect();
    rows.extend(beyond(&rows, machine));
    rows
}

/// The numbers of clients that are calculated, where they are more than what was measured.
const BEYOND: [u64; 4] = [32_000, 100_000, 1_000_000, 10_000_000];

/// What more clients would take: memory in proportion to what the measured ones took beyond the
/// first of them, and CPU time in proportion to deliveries. No delay: it does not grow in
/// proportion once a processor is busy, and so the processors that are needed are calculated.
fn beyond(rows: &[Row], machine: &Machine) -> Vec<Row> {
    let mut methods: Vec<&str> = rows.iter().map(|row| &*row.method).collect();
    methods.dedup();
    let mut seen = std::collections::BTreeSet::new();
    methods.retain(|method| seen.insert(*method));
    let mut beyond = Vec::new();
    for method in methods {
        let of = |figure| points(rows, Axis::Clients, method, figure);
        let most = of(CPU).last().map(|row| (row.clients, row.median));
        let (first, last) = match of(MEMORY)[..] {
            [first, .., last] => (first, last),
            _ => continue,
        };
        let each = (last.median - first.median) / (last.clients - first.clients) as f64;
        for clients in BEYOND.into_iter().filter(|it| *it > last.clients) {
            let row = |figure, unit, value| Row {
                clients,
                figure,
                unit,
                basis: Basis::Calculated,
                repetitions: 0,
                median: value,
                min: value,
                max: value,
                ..last.clone()
            };
            let more = (clients - last.clients) as f64;
            let memory = last.median + each * more;
            beyond.push(row(MEMORY, "MiB", memory));
            // The server's alone: the kernel's, of as many sockets, comes to it.
            let machines = (memory / machine.memory_mib as f64).ceil().max(1.0);
            beyond.push(row("machines such as this, by memory", "1", machines));
            if let Some((_, cpu)) = most {
                let used = cpu * clients as f64 * last.rate / 1e6;
                beyond.push(row(USED, "processors", used));
                let machines = (used / machine.processors as f64).ceil().max(1.0);
                beyond.push(row("machines such as this, by CPU", "1", machines));
            }
        }
    }
    beyond
}

/// The measured rows of one figure, by what is varied.
fn points<'a>(rows: &'a [Row], axis: Axis, method: &str, figure: &str) -> Vec<&'a Row> {
    let wanted = |row: &&Row| {
        let same = row.method == method && row.figure == figure;
        same && row.axis == axis && row.basis == Basis::Measured
    };
    let mut points: Vec<_> = rows.iter().filter(wanted).collect();
    points.sort_by(|a, b| a.value().total_cmp(&b.value()));
    points
}

/// Where a figure no longer grows as it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Bend {
    axis: Axis,
    method: String,
    figure: &'static str,
    /// From this value of what is varied on.
    at: f64,
    /// How much steeper the slope is behind it than before the first two.
    times: f64,
}

impl std::fmt::Display for Bend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            axis,
            method,
            figure,
            at,
            times,
        } = self;
        let axis = format!("{axis:?}").to_lowercase();
        write!(
            f,
            "{method}: {figure} against {axis} bends at {at}: from there on it is {times:.1} times \
             as steep as between the first two"
        )
    }
}

/// From which slope on a line counts as bent.
const STEEPER: f64 = 2.0;

fn bends(rows: &[Row]) -> Vec<Bend> {
    let mut bends: Vec<Bend> = Vec::new();
    for row in rows.iter().filter(|row| row.basis == Basis::Measured) {
        let bent = [MEMORY, USED, PUBLISH, P99].contains(&row.figure);
        let known =
            |it: &Bend| (it.axis, &it.method, it.figure) == (row.axis, &row.method, row.figure);
        if !bent || bends.iter().any(known) {
            continue;
        }
        let line = points(rows, row.axis, &row.method, row.figure);
        let line: Vec<_> = line.iter().map(|row| (row.value(), row.median)).collect();
        if let Some((at, times)) = bend(&line) {
            bends.push(Bend {
                axis: row.axis,
                method: row.method.clone(),
                figure: row.figure,
                at,
                times,
            });
        }
    }
    bends
}

/// The first point behind which a line is steeper than between its first two, and by how much.
fn bend(line: &[(f64, f64)]) -> Option<(f64, f64)> {
    let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
    let mut pairs = line.windows(2).map(|pair| (pair[0].0, slope(pair)));
    let (_, first) = pairs.next()?;
    if first <= 0.0 {
        // It does not grow at first, or the noise is larger than its growth.
        return None;
    }
    let times = |(at, slope): (f64, f64)| (at, slope / first);
    pairs.map(times).find(|(_, times)| *times >= STEEPER)
}

fn notes(parameters: &Parameters, measured: &[Measured]) -> Vec<String> {
    let mut notes = Vec::new();
    let refused = parameters.sizes.iter().map(|size| size.clients).max();
    if let Some(limit) = refused.and_then(|most| forbids(&parameters.limits, most)) {
        notes.push(format!(
            "the first limit: {} ({}), for {} clients; lifted by {}. More were not measured.",
            limit.name, limit.value, limit.clients, limit.setting
        ));
    } else if let Some(limit) = parameters.limits.first() {
        notes.push(format!(
            "all clients fit; the next limit: {} ({}), for {} clients",
            limit.name, limit.value, limit.clients
        ));
    }
    let processors = system::machine().processors as f64;
    for Measured { size, record } in measured {
        let Outcome::Delivery(it) = &record.outcome else {
            continue;
        };
        if it.processors_used() >= Some(BUSY * processors) && record.repetition == 0 {
            notes.push(format!(
                "{}: {} clients, {} events/s, {} characters: all processors were busy, with server \
                 and clients; the delays are those of a queue",
                record.method, size.clients, size.rate, size.payload
            ));
        }
    }
    notes
}

fn report(rows: &[Row]) -> String {
    let mut text = String::new();
    let columns = [MEMORY, CPU, USED, "client CPU in use", PUBLISH, P99];
    let _ = writeln!(
        text,
        "{:<14}{:>9}{:>8}{:>9}{:>10}{:>8}{:>8}{:>8}{:>11}{:>10}",
        "method",
        "clients",
        "rate/s",
        "payload",
        "MiB",
        "us/del.",
        "server",
        "client",
        "publish ms",
        "p99 ms"
    );
    let mut shown: Vec<(Axis, &str, u64, f64, u32)> = Vec::new();
    for row in rows {
        let size = (row.axis, &*row.method, row.clients, row.rate, row.payload);
        if shown.contains(&size) {
            continue;
        }
        shown.push(size);
        let (_, method, clients, rate, payload) = size;
        let _ = write!(text, "{method:<14}{clients:>9}{rate:>8}{payload:>9}");
        for (figure, width) in columns.into_iter().zip([10, 8, 8, 8, 11, 10]) {
            let of_size = |row: &&Row| {
                let it = (row.axis, &*row.method, row.clients, row.rate, row.payload);
                it == size && row.figure == figure
            };
            let _ = match rows.iter().find(of_size) {
                Some(row) => write!(text, "{:>width$.2}", row.median),
                None => write!(text, "{:>width$}", "-"),
            };
        }
        if row.basis == Basis::Calculated {
            text.push_str("  calculated");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(method: &str, clients: u64, figure: &'static str, median: f64) -> Row {
        Row {
            axis: Axis::Clients,
            method: method.to_owned(),
            clients,
            rate: 2.0,
            payload: 100,
            figure,
            unit: "",
            basis: Basis::Measured,
            repetitions: 3,
            median,
            min: median,
            max: median,
        }
    }

    #[test]
    fn a_line_bends_where_it_becomes_twice_as_steep() {
        let straight = [(1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (8.0, 90.0)];
        assert_eq!(bend(&straight), None);
        let bent = [(1.0, 10.0), (2.0, 20.0), (4.0, 45.0), (8.0, 245.0)];
        assert_eq!(bend(&bent), Some((4.0, 5.0)));
        assert_eq!(bend(&[(1.0, 10.0), (2.0, 9.0), (3.0, 90.0)]), None);
        assert_eq!(bend(&bent[..2]), None);
    }

    #[test]
    fn what_was_not_measured_is_in_proportion_and_marked() {
        let rows = [
            row("sse", 1000, MEMORY, 30.0),
            row("sse", 16_000, MEMORY, 180.0),
            row("sse", 16_000, CPU, 5.0),
            row("sse", 1000, CPU, 7.0),
        ];
        let machine = Machine {
            processors: 2,
            memory_mib: 1000,
            ..Machine::default()
        };
        let beyond = beyond(&rows, &machine);
        assert!(beyond.iter().all(|row| row.basis == Basis::Calculated));
        let of = |clients, figure| {
            let row = beyond
                .iter()
                .find(|it| it.clients == clients && it.figure == figure);
            row.map(|row| row.median)
        };
        // 10 KiB each of 1000, as 150 MiB for 15,000; and 5 us for 2 events a second each.
        assert_eq!(of(32_000, MEMORY), Some(340.0));
        assert_eq!(of(1_000_000, USED), Some(10.0));
        assert_eq!(of(1_000_000, "machines such as this, by CPU"), Some(5.0));
        assert_eq!(
            of(1_000_000, "machines such as this, by memory"),
            Some(11.0)
        );
        assert_eq!(of(16_000, MEMORY), None, "it was measured");
    }

    #[test]
    fn the_first_limit_is_the_lowest_that_more_addresses_do_not_lift() {
        let limits = limits(Some(20_000));
        let limit = forbids(&limits, 32_000).unwrap();
        assert_eq!(limit.name, "descriptors");
        assert!(forbids(&limits, 16_000).is_none());
    }
}
