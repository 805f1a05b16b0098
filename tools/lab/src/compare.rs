//! The command `compare`: everything that is measured, in order, kept as it comes.

use crate::{
    bench,
    line::{self, By, Line},
    method::{Method, Silence},
    plan::{Extent, Measure, Step, Workers},
    programs::{self, Programs},
    protocol::Protocol,
    results::{Parameters, Record},
    run::{self, Kept, Progress, RunOptions},
    schedule::{Arrivals, Plan},
    summary::Summary,
    system,
};
use anyhow::ensure;
use futures_util::future::join_all;
use std::{num::NonZeroU16, process::ExitCode};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    run: RunOptions,

    /// What is compared: polling:INTERVAL, long-polling, sse, websocket, websocket:walk
    #[arg(long, value_delimiter = ',', value_name = "METHOD")]
    #[arg(default_value = "polling:100ms,polling:1s,long-polling,sse,websocket,websocket:walk")]
    methods: Vec<Method>,

    /// What is measured; all of it by default
    #[arg(long, value_delimiter = ',', value_name = "MEASUREMENT")]
    measure: Vec<Measure>,

    /// Clients that events are delivered to [default: 80; with --quick 50]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    clients: Option<u32>,

    /// Events that are published in a repetition [default: 500; with --quick 60]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    events: Option<u32>,

    /// Events a second, on average [default: 50; with --quick 60]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// When the next event comes
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: Arrivals,

    /// The least and the most characters of an event's text
    #[arg(long, value_name = "LEAST-MOST", default_value = "20-200", value_parser = range)]
    text: (u32, u32),

    /// Idle connections whose memory is measured [default: 1000; with --quick 200]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    idle_clients: Option<u32>,

    /// Clients that come back after a restart [default: 10000; with --quick 50]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    recovery_clients: Option<u32>,

    /// What traffic and idle clients are measured over
    #[arg(long, value_enum, value_delimiter = ',', default_value = "h1")]
    protocol: Vec<Protocol>,

    /// Worker threads of each server: numbers, or all, which is one for each processor [default:
    /// 1,all; with --quick all]
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    workers: Vec<Workers>,

    /// Times there and back, in milliseconds, that are put between clients and server
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "MILLISECONDS",
        default_value = "0"
    )]
    #[arg(value_parser = milliseconds)]
    rtt: Vec<f64>,

    /// How many of a hundred packets are lost, both ways; with each of the times
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PERCENT",
        default_value = "0"
    )]
    #[arg(value_parser = percent)]
    loss: Vec<f64>,

    /// Delay by a relay, also where network namespaces are allowed
    #[arg(long)]
    relay: bool,
}

pub fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok();
    let rate = rate.filter(|rate| (0.1..=10_000.0).contains(rate));
    rate.ok_or("a rate is from 0.1 to 10000 events a second")
}

fn milliseconds(text: &str) -> Result<f64, &'static str> {
    let time = text.parse().ok();
    let time = time.filter(|time| (0.0..=10_000.0).contains(time));
    time.ok_or("a time is from 0 to 10000 milliseconds")
}

fn percent(text: &str) -> Result<f64, &'static str> {
    let percent = text.parse().ok();
    let percent = percent.filter(|percent| (0.0..=50.0).contains(percent));
    percent.ok_or("a loss is from 0 to 50 percent")
}

pub fn range(text: &str) -> Result<(u32, u32), &'static str> {
    let bounds = text.split_once('-').and_then(|(least, most)| {
        let (least, most) = (least.parse().ok()?, most.parse().ok()?);
        // The loop has 64 KiB for an event.
        (least <= most && most <= 16_000).then_some((least, most))
    });
    bounds.ok_or("a range of characters is such as 20-200, up to 16000")
}

impl Options {
    fn plan(&self) -> Plan {
        let (events, rate) = self.run.or(None, (500, 50.0), (60, 60.0));
        Plan {
            events: self.events.unwrap_or(events),
            rate: self.rate.unwrap_or(rate),
            arrivals: self.arrivals,
            text: self.text,
            seed: self.run.seed,
        }
    }

    /// Each time with each loss.
    fn lines(&self, by: By) -> Vec<Line> {
        let lines = self.rtt.iter().flat_map(|rtt_ms| {
            self.loss.iter().map(move |loss_percent| {
                let none = *rtt_ms == 0.0 && *loss_percent == 0.0;
                Line {
                    rtt_ms: *rtt_ms,
                    loss_percent: *loss_percent,
                    by: if none { By::Nothing } else { by },
                }
            })
        });
        lines.collect()
    }

    fn extent(&self, by: By) -> Extent {
        let run = &self.run;
        Extent {
            methods: self.methods.clone(),
            measures: match self.measure.is_empty() {
                true => Measure::ALL.to_vec(),
                false => self.measure.clone(),
            },
            clients: run.or(self.clients, 80, 50),
            repetitions: run.or(run.repetitions, 9, 1),
            burst_events: run.or(None, 300, 60),
            idle_clients: run.or(self.idle_clients, 1000, 200),
            recovery_clients: run.or(self.recovery_clients, 10_000, 50),
            silence: run.or(None, Silence::Usual, Silence::Short),
            protocols: self.protocol.clone(),
            workers: run.or_all(
                &self.workers,
                &[Workers::Some(NonZeroU16::MIN), Workers::All],
                &[Workers::All],
            ),
            lines: self.lines(by),
        }
    }
}

/// Measures, and keeps what it has measured, however it ends.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    ensure!(
        options.methods.iter().all(|it| it.floor_name().is_none()),
        "the floors are measured in any case"
    );
    let descriptors = system::raise_descriptors();
    let programs = Programs::new(&options.methods, &options.run.servers)?;
    // The servers are built: in the namespace there is no network.
    let by = line_by(&options);
    let (plan, extent) = (options.plan(), options.extent(by));
    check_descriptors(&extent, descriptors)?;
    let parameters = Parameters {
        quick: options.run.quick,
        methods: extent.methods.iter().map(Method::to_string).collect(),
        clients: extent.clients,
        plan,
        repetitions: extent.repetitions,
        burst_events: extent.burst_events,
        idle_clients: extent.idle_clients,
        recovery_clients: extent.recovery_clients,
        workers: extent.workers.clone(),
        lines: extent.lines.clone(),
        server_directory: options.run.servers.directory(),
        descriptors,
    };
    run::run(
        &options.run,
        &programs,
        parameters,
        describe,
        async |_, kept| measure(&programs, &extent, plan, kept).await,
        |_, kept| {
            let summary = Summary::new(&kept.records, &plan);
            summary.write(&kept.directory)?;
            report(&summary);
            Ok(summary.faults)
        },
    )
}

/// What makes the lines, if any are asked for. The first answer may come of a process that this one
/// has become.
fn line_by(options: &Options) -> By {
    let lines = options.lines(By::Tun);
    if lines == [Line::NONE] {
        return By::Nothing;
    }
    if options.relay {
        return By::Relay;
    }
    match line::enter(line::LINE) {
        Ok(()) => {
            println!("delay and loss: of packets, by a user-space line in a network namespace");
            By::Tun
        }
        Err(error) => {
            println!("delay and loss: of bytes, by a relay; no line of packets: {error:#}");
            By::Relay
        }
    }
}

async fn measure(
    programs: &Programs,
    extent: &Extent,
    plan: Plan,
    kept: &mut Kept<Record>,
) -> anyhow::Result<()> {
    let rounds = extent.rounds();
    let progress = Progress::of(rounds.len());
    for (done, round) in rounds.iter().enumerate() {
        let what = match &round[..] {
            [step] => format!("{} {}", step.name(), step.method),
            steps => format!("{} of {} methods", steps[0].name(), steps.len()),
        };
        let show = progress.begin(done, what);
        let one = |step: &Step| {
            let (step, show, load) = (*step, show.clone(), system::load());
            async move {
                let (outcome, passed) = bench::measure(programs, &step, plan, show).await;
                Record {
                    method: step.method.to_string(),
                    protocol: step.protocol,
                    workers: step.workers,
                    line: step.line,
                    passed,
                    repetition: step.repetition,
                    load,
                    outcome,
                }
            }
        };
        for record in join_all(round.iter().map(one)).await {
            progress.report(record.fault());
            kept.keep(record)?;
        }
    }
    Ok(())
}

fn check_descriptors(extent: &Extent, limit: Option<u64>) -> anyhow::Result<()> {
    let has = |measure| extent.measures.contains(&measure);
    let mut most = (0, "");
    for (measure, clients, relayed, flag) in [
        (Measure::Delivery, extent.clients, 0, "--clients"),
        (Measure::Burst, extent.clients, 0, "--clients"),
        (
            Measure::Traffic,
            extent.clients,
            extent.clients,
            "--clients",
        ),
        (
            Measure::Memory,
            extent.idle_clients * 11 / 10 + 1,
            0,
            "--idle-clients",
        ),
        (
            Measure::Recovery,
            extent.recovery_clients,
            0,
            "--recovery-clients",
        ),
    ] {
        if has(measure) {
            most = most.max((programs::descriptors(clients, relayed), flag));
        }
    }
    let (need, flag) = most;
    if let Some(limit) = limit {
        ensure!(
            need <= limit,
            "a process may need {need} files, and may open {limit}: lower {flag}, or raise the limit \
             (ulimit -Hn {need})"
        );
    }
    Ok(())
}

fn describe(parameters: &Parameters) -> String {
    let plan = &parameters.plan;
    let workers: Vec<_> = parameters.workers.iter().map(Workers::to_string).collect();
    format!(
        "parameters: {} clients, {} events at {}/s ({:?}), text {}-{}, seed {}, {} repetitions, \
         {} idle, {} recovering, workers {}",
        parameters.clients,
        plan.events,
        plan.rate,
        plan.arrivals,
        plan.text.0,
        plan.text.1,
        plan.seed,
        parameters.repetitions,
        parameters.idle_clients,
        parameters.recovery_clients,
        workers.join(" and "),
    )
}

fn report(summary: &Summary) {
    // A table without a figure has its head alone.
    let tables = summary.tables().into_iter();
    for table in tables.filter(|table| table.lines().count() > 1) {
        println!("\n{}", table.trim_end());
    }
    footer(summary);
}

/// How the tables are read, and what to know of them.
pub fn footer(summary: &Summary) {
    println!();
    println!(
        "median [its interval: {}]; 2.00x: twice the floor of the same repetition, of the loop first, \
         then of the library; of deliveries a CPU-second: to those of one event at a time",
        summary.interval
    );
    let noise = &summary.noise;
    let percent = |spread: Option<f64>| {
        spread.map_or_else(|| "-".to_owned(), |it| format!("{:.0} %", it * 100.0))
    };
    let (least, most) = noise.load.unwrap_or_default();
    println!(
        "noise: load {least:.1} to {most:.1}; the floor's spread: CPU {}, p50 {}",
        percent(noise.floor_cpu_spread),
        percent(noise.floor_delay_spread)
    );
    for note in &summary.notes {
        println!("note: {note}");
    }
    for fault in &summary.faults {
        println!("FAULT: {fault}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parse(flags: &[&str]) -> Result<Options, String> {
        let parsed = Cli::try_parse_from(["compare"].iter().chain(flags));
        parsed.map(|cli| cli.options).map_err(|it| it.to_string())
    }

    #[test]
    fn quick_is_less_of_everything_and_flags_win() {
        let (full, quick) = (parse(&[]).unwrap(), parse(&["--quick"]).unwrap());
        assert_eq!(full.methods.len(), 6);
        assert!(quick.plan().events < full.plan().events);
        assert!(quick.extent(By::Tun).rounds().len() < full.extent(By::Tun).rounds().len());
        assert_eq!(full.extent(By::Tun).repetitions, 9);
        assert_eq!(full.extent(By::Tun).workers.len(), 2);
        assert_eq!(quick.extent(By::Tun).workers, [Workers::All]);
        let given = parse(&["--quick", "--clients", "7", "--methods", "sse"]).unwrap();
        assert_eq!(given.extent(By::Tun).clients, 7);
        assert_eq!(given.extent(By::Tun).methods, [Method::Sse]);
        for wrong in [
            ["--rate", "0"],
            ["--text", "9-1"],
            ["--methods", "carrier-pigeon"],
            ["--clients", "0"],
            ["--repetitions", "0"],
            ["--workers", "0"],
            ["--rtt", "-1"],
            ["--loss", "51"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_time_is_measured_with_each_loss_and_nothing_without_a_line() {
        let options = parse(&["--rtt", "0,20,100", "--loss", "0,1"]).unwrap();
        let lines = options.lines(By::Tun);
        let shown: Vec<_> = lines.iter().map(Line::to_string).collect();
        let all = [
            "-",
            "0 ms 1 %",
            "20 ms 0 %",
            "20 ms 1 %",
            "100 ms 0 %",
            "100 ms 1 %",
        ];
        assert_eq!(shown, all);
        assert_eq!(parse(&[]).unwrap().lines(By::Tun), [Line::NONE]);
    }

    #[test]
    fn too_few_descriptors_are_found_before_anything_is_measured() {
        let extent = Extent {
            recovery_clients: 10_000,
            ..parse(&["--quick"]).unwrap().extent(By::Tun)
        };
        let error = check_descriptors(&extent, Some(1024)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("--recovery-clients"), "{error}");
        assert!(check_descriptors(&extent, Some(20_000)).is_ok());
        assert!(check_descriptors(&extent, None).is_ok());
    }
}
