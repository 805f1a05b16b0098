//! What is measured, as it is written. `README.md` describes each field.

use crate::{
    line::{Line, Passed},
    plan::Workers,
    protocol::Protocol,
    schedule::Plan,
    system::{self, CpuSource, Machine},
    tally::Counts,
    versions,
};
use anyhow::{ensure, Context as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// The version of the form in which results are written.
pub const SCHEMA: u32 = 2;

/// What is the same for a whole run: `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run<P> {
    pub schema: u32,
    /// When it began, in UTC.
    pub started: String,
    pub command: Vec<String>,
    pub machine: Machine,
    pub versions: Versions,
    pub parameters: P,
}

impl<P> Run<P> {
    /// A run that begins now on this machine.
    pub fn new(started: jiff::Timestamp, profile: String, parameters: P) -> Self {
        Self {
            schema: SCHEMA,
            started: started.to_string(),
            command: env::args().collect(),
            machine: system::machine(),
            versions: versions::versions(profile),
            parameters,
        }
    }

    /// The machine and the versions, for a person.
    pub fn conditions(&self) -> String {
        let Self {
            machine, versions, ..
        } = self;
        let crates: Vec<_> = versions
            .crates
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        format!(
            "machine: {}, {} processors, {} MiB, {} {}\n\
             versions: {}, commit {}, {}, {}",
            machine.processor,
            machine.processors,
            machine.memory_mib,
            machine.system,
            machine.kernel,
            versions.profile,
            versions.commit,
            versions.rustc,
            crates.join(", "),
        )
    }
}

/// What was measured, and with what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Versions {
    /// The commit, with `+` where files differ from it.
    pub commit: String,
    pub rustc: String,
    /// `release` or `debug`: of the servers and of the lab.
    pub profile: String,
    /// What the servers and clients stand on.
    pub crates: BTreeMap<String, String>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parameters {
    pub quick: bool,
    pub methods: Vec<String>,
    pub clients: u32,
    pub plan: Plan,
    pub repetitions: u32,
    /// Events of a burst.
    pub burst_events: u32,
    pub idle_clients: u32,
    pub recovery_clients: u32,
    /// The worker threads of each server.
    pub workers: Vec<Workers>,
    pub lines: Vec<Line>,
    /// Where the servers are, if they are of another build than the lab.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_directory: Option<String>,
    /// How many files a process may open.
    pub descriptors: Option<u64>,
}

/// One measurement: a line of `results.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub method: String,
    /// What the clients speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// The worker threads of the server.
    pub workers: Workers,
    /// What stood between clients and server.
    pub line: Line,
    /// What a line of packets did to them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub passed: Option<Passed>,
    /// From 0.
    pub repetition: u32,
    /// The load of the minute before.
    pub load: Option<f64>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "measurement", rename_all = "kebab-case")]
pub enum Outcome {
    Delivery(Delivery),
    Burst(Burst),
    Traffic(Traffic),
    Idle(Idle),
    Memory(Memory),
    Recovery(Recovery),
    /// It could not be measured.
    Failed(Failed),
}

/// How late events come, and what they cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub clients: u32,
    pub counts: Counts,
    /// From just before an event is published until a client has it, in milliseconds.
    pub delay_ms: Quantiles,
    /// The receipts that came behind another.
    pub behind: Box<Behind>,
    /// Of the server, from the first event to the last receipt.
    pub server_cpu_us_per_delivery: Option<f64>,
    pub server_cpu_ms: Option<f64>,
    pub cpu_source: Option<CpuSource>,
    /// Of the process with publisher and clients, in the same time.
    pub client_cpu_ms: Option<f64>,
    pub wall_ms: f64,
    /// From just before an event is published until its publisher has the answer.
    pub publish_ms: Quantiles,
    /// How much later than planned an event was published, at most.
    pub publisher_late_ms: f64,
    /// What the server has in memory before the first event, with all clients, and after the last.
    pub resident_mib: Option<(f64, f64)>,
    /// Half of an echo's time, in milliseconds: of the loop alone.
    pub one_way_ms: Option<Quantiles>,
}

/// Many events in a short time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Burst {
    pub events: u32,
    /// How many were published in a second.
    pub rate: f64,
    /// How often a client got events after it had waited, over all clients; `None` where it cannot
    /// tell.
    pub batches: Option<u64>,
    #[serde(flatten)]
    pub delivery: Delivery,
}

impl Burst {
    /// How many events a client got at once. Those that came in one write mostly do; of a client
    /// that is late, those of several writes do.
    pub fn events_per_batch(&self) -> Option<f64> {
        let batches = self.batches.filter(|batches| *batches > 0)?;
        Some(self.delivery.counts.delivered as f64 / batches as f64)
    }
}

/// Receipts that came within a millisecond of the one before them on the same connection, although
/// their events were published at least [`Behind::APART`] apart: held up behind it. On a line
/// without loss they are what a server or a client puts together; what a line with loss has more is
/// held up behind a lost packet (head-of-line blocking).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Behind {
    pub receipts: u64,
    /// The part of all receipts, in percent.
    pub percent: f64,
    /// The most that came behind one.
    pub most: u32,
    /// Of those that came behind another.
    pub delay_ms: Quantiles,
}

impl Behind {
    /// What counts as coming together.
    pub const TOGETHER: Duration = Duration::from_millis(1);
    /// What counts as published apart.
    pub const APART: Duration = Duration::from_millis(5);
}

impl Delivery {
    /// How many processors server and clients kept busy.
    pub fn processors_used(&self) -> Option<f64> {
        Some((self.server_cpu_ms? + self.client_cpu_ms?) / self.wall_ms)
    }

    /// How many deliveries a second of the server's CPU time is enough for.
    pub fn deliveries_per_cpu_second(&self) -> Option<f64> {
        let each = self.server_cpu_us_per_delivery.filter(|us| *us > 0.0)?;
        Some(1e6 / each)
    }

    /// Of a method that asks: what an answer cost, with events or without.
    pub fn server_cpu_us_per_answer(&self) -> Option<f64> {
        let answers = Some(self.counts.answers).filter(|answers| *answers > 0)?;
        Some(self.server_cpu_ms? * 1e3 / answers as f64)
    }
}

/// Of all receipts of a repetition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
    /// For a curve: a part of the receipts, and what they were not later than.
    pub curve: Vec<(f64, f64)>,
}

/// Requests and bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traffic {
    pub clients: u32,
    pub counts: Counts,
    pub connections: u64,
    pub requests: u64,
    /// Until each client knew its place, over all clients.
    pub opening: Bytes,
    /// What of it was the handshake of TLS.
    #[serde(default)]
    pub handshake: Bytes,
    /// From then on, to the last event.
    pub events: Bytes,
    /// The events' JSON, once for each delivery.
    pub payload: u64,
    pub requests_per_delivery: f64,
    pub up_per_delivery: f64,
    pub down_per_delivery: f64,
    /// The same JSON in the least frame there is: that of a WebSocket.
    pub least_per_delivery: f64,
}

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub requests: u64,
    pub up: u64,
    pub down: u64,
}

/// What an idle client exchanges.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Idle {
    /// How many silences were counted.
    pub cycles: u32,
    /// How long one was.
    pub cycle_s: f64,
    /// How long one is by default; the hour is made of these.
    pub usual_cycle_s: f64,
    /// Whether they were shortened.
    pub shortened: bool,
    pub per_cycle: PerTime,
    pub per_hour: PerTime,
}

/// What goes over the wire in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerTime {
    pub requests: f64,
    pub up: f64,
    pub down: f64,
}

/// What an idle connection takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// Connections that were added between the two readings.
    pub clients: u32,
    /// Connections before.
    pub warm: u32,
    pub resident_before_kib: f64,
    pub resident_after_kib: f64,
    pub resident_kib_per_connection: f64,
    /// Of both ends, since both are on this machine.
    pub slab_kib_per_connection: f64,
    pub tcp_kib_per_connection: f64,
}

impl Memory {
    /// What each of the clients took that came between two readings.
    pub fn between(clients: u32, warm: u32, before: system::Memory, after: system::Memory) -> Self {
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        let each = |before: u64, after: u64| (kib(after) - kib(before)) / f64::from(clients);
        Self {
            clients,
            warm,
            resident_before_kib: kib(before.resident),
            resident_after_kib: kib(after.resident),
            resident_kib_per_connection: each(before.resident, after.resident),
            slab_kib_per_connection: each(before.slab, after.slab),
            tcp_kib_per_connection: each(before.tcp, after.tcp),
        }
    }
}

/// How clients come back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recovery {
    pub clients: u32,
    /// Clients that came back in time.
    pub whole: u32,
    /// From the signal to the old server until the new one listened.
    pub down_ms: f64,
    /// From then on, until a client had an event of the new server.
    pub back_ms: Quantiles,
}

/// Why there is no figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    pub task: String,
    pub error: String,
}

impl Record {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let Self { method, .. } = self;
        match &self.outcome {
            Outcome::Delivery(Delivery { counts, .. })
            | Outcome::Burst(Burst {
                delivery: Delivery { counts, .. },
                ..
            })
            | Outcome::Traffic(Traffic { counts, .. })
                if !counts.is_exact() =>
            {
                Some(format!(
                    "{method}: of {} events, {} were lost, {} doubled, {} out of order",
                    counts.expected, counts.lost, counts.doubled, counts.misordered
                ))
            }
            Outcome::Recovery(Recovery { clients, whole, .. }) if whole < clients => Some(format!(
                "{method}: after a restart {whole} of {clients} clients came back"
            )),
            Outcome::Failed(Failed { task, error }) => Some(format!("{method}: {task}: {error}")),
            _ => None,
        }
    }
}

/// The directory of a run.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    lines: File,
}

impl Directory {
    /// A new one, with what is known of the run.
    ///
    /// # Errors
    /// Where it holds another run already.
    pub fn create<P: Serialize>(path: &Path, run: &Run<P>) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let results = path.join("results.jsonl");
        ensure!(
            !results.exists(),
            "{} has the results of another run",
            path.display()
        );
        fs::write(path.join("run.json"), serde_json::to_string_pretty(run)?)?;
        Ok(Self {
            path: path.to_owned(),
            lines: File::create(results)?,
        })
    }

    /// Keeps a measurement: what is written here stays, whatever happens to the run.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&mut self, record: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(record)? + "\n";
        Ok(self.lines.write_all(line.as_bytes())?)
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(counts: Counts) -> Record {
        let outcome = Outcome::Traffic(Traffic {
            clients: 1,
            counts,
            connections: 1,
            requests: 1,
            opening: Bytes::default(),
            handshake: Bytes::default(),
            events: Bytes::default(),
            payload: 0,
            requests_per_delivery: 0.0,
            up_per_delivery: 0.0,
            down_per_delivery: 0.0,
            least_per_delivery: 0.0,
        });
        Record {
            method: "sse".to_owned(),
            protocol: Protocol::H1,
            workers: Workers::All,
            line: Line::NONE,
            passed: None,
            repetition: 0,
            load: None,
            outcome,
        }
    }

    #[test]
    fn lost_or_doubled_events_are_a_fault() {
        let exact = Counts {
            expected: 2,
            delivered: 2,
            ..Counts::default()
        };
        assert_eq!(traffic(exact).fault(), None);
        let lost = Counts {
            delivered: 1,
            lost: 1,
            ..exact
        };
        assert!(traffic(lost).fault().unwrap().contains("1 were lost"));
        let doubled = Counts {
            doubled: 1,
            ..exact
        };
        assert!(traffic(doubled).fault().unwrap().contains("1 doubled"));
    }

    #[test]
    fn a_record_is_one_line_and_is_read_again() {
        let line = serde_json::to_string(&traffic(Counts::default())).unwrap();
        assert!(!line.contains('\n'));
        assert!(line.contains(r#""measurement":"traffic""#), "{line}");
        let read: Record = serde_json::from_str(&line).unwrap();
        assert!(matches!(read.outcome, Outcome::Traffic(_)));
    }
}
