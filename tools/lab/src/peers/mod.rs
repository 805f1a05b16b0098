//! The command `peers`: the same events through other servers, and through one client for all.
//!
//! ```text
//! lab peers ── lab hold ── node ws.mjs      or nginx with its workers, or a server of the book
//!           └─ lab raw-client               publisher and receivers, on one clock
//! ```

pub mod client;
pub mod nginx;
mod peer;
mod wire;

use crate::{
    compare,
    job::Task,
    line::Line,
    method::{Method, Silence},
    plan::Workers,
    programs::{self, Programs},
    protocol::Protocol,
    results::{Failed, Outcome, Record},
    run::{self, Kept, Progress, RunOptions},
    schedule::{Arrivals, Plan},
    summary::Summary,
    system,
};
use anyhow::ensure;
use client::Job;
use peer::{Kind, Peer, Place, PEERS};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, process::ExitCode};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    run: RunOptions,

    /// What is compared, such as nchan:sse; all of them by default
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = named)]
    peers: Vec<&'static Peer>,

    /// What is measured: delivery, memory; both by default
    #[arg(long, value_delimiter = ',', value_name = "MEASUREMENT")]
    measure: Vec<Measure>,

    /// Clients that events are delivered to [default: 500; with --quick 50]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    clients: Option<u32>,

    /// Events that are published in a repetition [default: 100; with --quick 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: Option<u32>,

    /// Events a second, on average, from 5: Node.js and others close a connection that rests
    #[arg(long, value_name = "PER_SECOND", default_value = "20", value_parser = rate)]
    rate: f64,

    /// The least and the most characters of an event's text
    #[arg(long, value_name = "LEAST-MOST", default_value = "20-200", value_parser = compare::range)]
    text: (u32, u32),

    /// Idle connections whose memory is measured [default: 1000; with --quick 200]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    idle_clients: Option<u32>,

    /// Threads of each server, or nginx's processes; Node.js and uWebSockets have one in any case
    #[arg(long, value_name = "COUNT", default_value = "1")]
    workers: Workers,

    /// Print which servers are here, and of the others how to install them
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Delays and CPU time
    Delivery,
    /// Memory of an idle connection
    Memory,
}

fn named(name: &str) -> Result<&'static Peer, String> {
    peer::named(name).ok_or_else(|| {
        let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = compare::rate(text)?;
    (rate >= 5.0)
        .then_some(rate)
        .ok_or("a rate is at least 5 events a second")
}

impl Options {
    fn plan(&self) -> Plan {
        Plan {
            events: self.run.or(self.events, 100, 20),
            rate: self.rate,
            arrivals: Arrivals::Poisson,
            text: self.text,
            seed: self.run.seed,
        }
    }

    /// Those that are asked for, and the floor before them.
    fn peers(&self) -> Vec<&'static Peer> {
        let wanted = |peer: &&Peer| {
            let named = self.peers.iter().any(|it| it.name == peer.name);
            peer.kind == Kind::Loop || self.peers.is_empty() || named
        };
        PEERS.iter().filter(wanted).collect()
    }
}

/// What was asked for, and with what.
#[derive(Clone, Debug, Serialize)]
struct Parameters {
    quick: bool,
    servers: Vec<String>,
    /// Of the programs and packages that are here.
    versions: BTreeMap<String, String>,
    /// Servers that are not here, each with the reason.
    skipped: Vec<String>,
    clients: u32,
    plan: Plan,
    repetitions: u32,
    idle_clients: u32,
    workers: Workers,
    /// Where the book's servers are, if they are of another build than the lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_directory: Option<String>,
    /// How many files a process may open.
    descriptors: Option<u64>,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Step {
    peer: &'static Peer,
    task: Task,
    clients: u32,
    workers: Workers,
    repetition: u32,
}

impl Step {
    fn name(&self) -> &'static str {
        match self.task {
            Task::Delivery => "delivery",
            _ => "memory",
        }
    }
}

/// Repetitions go over all servers, and each begins with another one.
fn steps(
    peers: &[&'static Peer],
    measures: &[(Measure, u32)],
    workers: Workers,
    repetitions: u32,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (measure, clients) in measures {
        let (task, repetitions) = match measure {
            Measure::Delivery => (Task::Delivery, repetitions),
            Measure::Memory => {
                let warm = clients.div_ceil(10);
                (Task::Memory { warm }, repetitions.min(3))
            }
        };
        for repetition in 0..repetitions {
            let first = repetition as usize % peers.len();
            let (before, from) = peers.split_at(first);
            steps.extend(from.iter().chain(before).map(|peer| Step {
                peer,
                task,
                clients: *clients,
                workers,
                repetition,
            }));
        }
    }
    steps
}

/// Measures, and keeps what it has measured, however it ends.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let (mut peers, mut skipped) = (Vec::new(), Vec::new());
    for peer in options.peers() {
        match peer.missing() {
            None => peers.push(peer),
            Some(reason) => skipped.push(format!("skipped: {}: {reason}", peer.name)),
        }
    }
    if options.list {
        for peer in &peers {
            println!("here: {}", peer.name);
        }
        for line in &skipped {
            println!("{line}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    for line in &skipped {
        eprintln!("lab: {line}");
    }
    ensure!(peers.len() > 1, "there is nothing to compare");
    let run = &options.run;
    let plan = options.plan();
    let clients = run.or(options.clients, 500, 50);
    let idle_clients = run.or(options.idle_clients, 1000, 200);
    let repetitions = run.or(run.repetitions, 9, 1);
    let measures: Vec<_> = [
        (Measure::Delivery, clients),
        (Measure::Memory, idle_clients),
    ]
    .into_iter()
    .filter(|(it, _)| options.measure.is_empty() || options.measure.contains(it))
    .collect();
    let descriptors = system::raise_descriptors();
    for (_, clients) in &measures {
        let need = programs::descriptors(clients * 11 / 10 + 1, 0);
        ensure!(
            descriptors.is_none_or(|limit| need <= limit),
            "a process may need {need} files; raise the limit (ulimit -Hn {need})"
        );
    }
    let methods: Vec<Method> = peers.iter().filter_map(|peer| peer.book()).collect();
    let programs = Programs::new(&methods, &run.servers)?;
    let parameters = Parameters {
        quick: run.quick,
        servers: peers.iter().map(|peer| peer.name.to_owned()).collect(),
        versions: PEERS.iter().filter_map(Peer::version).collect(),
        skipped: skipped.clone(),
        clients,
        plan,
        repetitions,
        idle_clients,
        workers: options.workers,
        server_directory: run.servers.directory(),
        descriptors,
    };
    let steps = steps(&peers, &measures, options.workers, repetitions);
    run::run(
        run,
        &programs,
        parameters,
        describe,
        async |_, kept| measure(&programs, &steps, plan, kept).await,
        |_, kept| {
            let mut summary = Summary::new(&kept.records, &plan);
            summary.notes.extend(skipped);
            summary.notes.extend(slow_client(&kept.records));
            summary.write(&kept.directory)?;
            println!("\n{}", summary.servers().trim_end());
            compare::footer(&summary);
            Ok(summary.faults)
        },
    )
}

fn describe(parameters: &Parameters) -> String {
    let Parameters {
        plan,
        clients,
        repetitions,
        idle_clients,
        workers,
        ..
    } = parameters;
    let servers = parameters.versions.iter();
    let servers: Vec<_> = servers
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    format!(
        "servers: {}\nparameters: {clients} clients, {} events at {}/s (Poisson), text {}-{}, seed \
         {}, {repetitions} repetitions, {idle_clients} idle, workers {workers}",
        servers.join(", "),
        plan.events,
        plan.rate,
        plan.text.0,
        plan.text.1,
        plan.seed
    )
}

/// A client that takes longer for a delivery than the server is what was measured.
fn slow_client(records: &[Record]) -> Option<String> {
    let mut slow: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.outcome {
            Outcome::Delivery(it) => Some((&*record.method, it.client_cpu_ms?, it.server_cpu_ms?)),
            _ => None,
        })
        .filter(|(_, client, server)| client >= server)
        .map(|(name, ..)| name)
        .collect();
    slow.sort_unstable();
    slow.dedup();
    let names = slow.join(", ");
    (!slow.is_empty()).then(|| {
        format!(
            "{names}: in a repetition the client took as much CPU time as the server. The delays \
             are then the client's as well; the server's CPU time is its own."
        )
    })
}

async fn measure(
    programs: &Programs,
    steps: &[Step],
    plan: Plan,
    kept: &mut Kept<Record>,
) -> anyhow::Result<()> {
    // What servers write.
    let files = kept.directory.file("peers");
    let progress = Progress::of(steps.len());
    for (done, step) in steps.iter().enumerate() {
        let show = progress.begin(done, format!("{} {}", step.name(), step.peer.name));
        let load = system::load();
        let measured = once(programs, step, plan, &files, show).await;
        let outcome = measured.unwrap_or_else(|error| {
            Outcome::Failed(Failed {
                task: step.name().to_owned(),
                error: format!("{error:#}"),
            })
        });
        let record = Record {
            line: Line::NONE,
            passed: None,
            method: step.peer.name.to_owned(),
            protocol: Protocol::H1,
            workers: step.workers,
            repetition: step.repetition,
            load,
            outcome,
        };
        progress.report(record.fault());
        kept.keep(record)?;
    }
    Ok(())
}

async fn once(
    programs: &Programs,
    step: &Step,
    plan: Plan,
    files: &Path,
    progress: impl FnMut(f64),
) -> anyhow::Result<Outcome> {
    let place = Place {
        directory: files,
        step: crate::plan::Step {
            line: Line::NONE,
            // Where it is another server's, it is not looked at.
            method: step.peer.book().unwrap_or(Method::Loop),
            task: step.task,
            clients: step.clients,
            silence: Silence::Usual,
            protocol: Protocol::H1,
            workers: step.workers,
            repetition: step.repetition,
        },
    };
    let server = step.peer.start(programs, &place).await?;
    let job = Job {
        peer: step.peer.name.to_owned(),
        base: server.base.to_string(),
        server: server.process,
        clients: step.clients,
        plan,
        task: step.task,
    };
    let mut client = programs.work("raw-client", &job).await?;
    let outcome = client.done(progress).await;
    server.kill().await?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_interleaved_and_each_begins_with_another_server() {
        let peers: Vec<_> = PEERS.iter().collect();
        let measures = [(Measure::Delivery, 5), (Measure::Memory, 9)];
        let steps = steps(&peers, &measures, Workers::All, 4);
        assert_eq!(steps.len(), (4 + 3) * PEERS.len());
        let first: Vec<_> = steps.iter().step_by(PEERS.len()).collect();
        assert_eq!(first[0].peer.name, "loop");
        assert_eq!(first[1].peer.name, PEERS[1].name);
        assert_eq!((first[3].repetition, first[4].repetition), (3, 0));
    }

    #[test]
    fn names_are_each_one_servers() {
        let mut names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PEERS.len());
        assert!(named("carrier-pigeon").unwrap_err().contains("nchan:sse"));
    }
}
