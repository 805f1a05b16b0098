//! What is measured, and in which order.

use crate::{
    bench::applies,
    job::Task,
    line::Line,
    method::{Method, Silence},
    protocol::Protocol,
};
use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU16, str::FromStr, time::Duration};

/// The worker threads of a server's runtime. The loop has none, and is measured beside each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Workers {
    /// One for each processor.
    #[default]
    All,
    /// So many.
    Some(NonZeroU16),
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some(count) => count.fmt(f),
        }
    }
}

impl FromStr for Workers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            count => match count.parse() {
                Ok(count) => Ok(Self::Some(count)),
                Err(_) => Err("workers are a number from 1 to 65535, or all"),
            },
        }
    }
}

impl From<Workers> for String {
    fn from(workers: Workers) -> Self {
        workers.to_string()
    }
}

impl TryFrom<String> for Workers {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub method: Method,
    pub task: Task,
    pub clients: u32,
    pub silence: Silence,
    pub protocol: Protocol,
    pub workers: Workers,
    pub line: Line,
    /// From 0.
    pub repetition: u32,
}

impl Step {
    /// What is measured, for a person.
    pub fn name(&self) -> &'static str {
        match self.task {
            Task::Delivery => "delivery",
            Task::Burst { .. } => "burst",
            Task::Traffic => "traffic",
            Task::Idle { .. } => "idle",
            Task::Memory { .. } => "memory",
            Task::Recovery => "recovery",
        }
    }

    /// How many clients connect, in all.
    pub fn connections(&self) -> u32 {
        match self.task {
            Task::Memory { warm } => self.clients + warm,
            _ => self.clients,
        }
    }
}

/// What may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Measure {
    /// Delays and CPU time
    Delivery,
    /// The same of 1,000 events a second, for what is pushed
    Burst,
    /// Requests and bytes of an event
    Traffic,
    /// Requests and bytes of an idle hour
    Idle,
    /// Memory of an idle connection
    Memory,
    /// From a restart until all clients are back
    Recovery,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Delivery,
        Self::Burst,
        Self::Traffic,
        Self::Idle,
        Self::Memory,
        Self::Recovery,
    ];
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Extent {
    pub methods: Vec<Method>,
    pub measures: Vec<Measure>,
    pub clients: u32,
    pub repetitions: u32,
    /// Events of a burst.
    pub burst_events: u32,
    pub idle_clients: u32,
    pub recovery_clients: u32,
    pub silence: Silence,
    pub workers: Vec<Workers>,
    /// For delays and recovery. What is counted does not depend on it.
    pub lines: Vec<Line>,
    /// Of traffic and idle clients; all else is measured over HTTP/1.1.
    pub protocols: Vec<Protocol>,
}

/// Events a second of a burst.
pub const BURST_RATE: f64 = 1000.0;

/// How many silences of an idle client are counted.
const CYCLES: u32 = 2;

impl Extent {
    /// The measurements, in rounds that can be run at the same time. Only idle clients are: what
    /// they exchange is counted, and no time is taken of it.
    ///
    /// Repetitions go over all methods, and each begins with another one, so that what changes on
    /// the machine meanwhile falls on all.
    pub fn rounds(&self) -> Vec<Vec<Step>> {
        let has = |measure| self.measures.contains(&measure);
        // The floors are measured with whatever stands beside them.
        let mut all = vec![Method::Loop];
        for floor in self.methods.iter().filter_map(|it| it.library_floor()) {
            // One that two methods share is measured once.
            if !all.contains(&floor) {
                all.push(floor);
            }
        }
        all.extend(&self.methods);
        let mut rounds: Vec<Vec<Step>> = Vec::new();
        if has(Measure::Delivery) {
            let (workers, lines) = (&self.workers, &self.lines);
            rounds.extend(self.interleaved(&all, Task::Delivery, self.clients, workers, lines));
        }
        let task = Task::Burst {
            events: self.burst_events,
        };
        if has(Measure::Burst) && self.methods.iter().any(|it| applies(task, *it)) {
            let (workers, none) = (&self.workers, [Line::NONE]);
            rounds.extend(self.interleaved(&all, task, self.clients, workers, &none));
        }
        // Counts, of which one repetition is as good as nine: they are exact but for polling, whose
        // requests the clock decides.
        let step = |method: &Method, task, clients, protocol| Step {
            method: *method,
            task,
            clients,
            silence: Silence::Usual,
            protocol,
            workers: Workers::All,
            line: Line::NONE,
            repetition: 0,
        };
        if has(Measure::Traffic) {
            for protocol in &self.protocols {
                let traffic = |method| vec![step(method, Task::Traffic, self.clients, *protocol)];
                rounds.extend(self.methods.iter().map(traffic));
            }
        }
        if has(Measure::Idle) {
            for protocol in &self.protocols {
                let idle = |method| Step {
                    silence: self.silence,
                    ..step(method, Task::Idle { cycles: CYCLES }, 1, *protocol)
                };
                rounds.push(self.methods.iter().map(idle).collect());
            }
        }
        if has(Measure::Memory) {
            let warm = self.idle_clients.div_ceil(10);
            let task = Task::Memory { warm };
            let (once, none) = (resting(&all), [Line::NONE]);
            let clients = self.idle_clients;
            rounds.extend(self.interleaved(&once, task, clients, &self.workers, &none));
        }
        if has(Measure::Recovery) {
            let clients = self.recovery_clients;
            let once = bearable(slowest(&all), clients);
            let workers = self.workers.last().copied().unwrap_or_default();
            let lines = &self.lines;
            rounds.extend(self.interleaved(&once, Task::Recovery, clients, &[workers], lines));
        }
        for round in &mut rounds {
            round.retain(|step| applies(step.task, step.method));
        }
        rounds.retain(|round| !round.is_empty());
        rounds
    }

    fn interleaved(
        &self,
        methods: &[Method],
        task: Task,
        clients: u32,
        workers: &[Workers],
        lines: &[Line],
    ) -> Vec<Vec<Step>> {
        let mut rounds = Vec::new();
        for repetition in 0..self.repetitions {
            for (line, workers) in lines
                .iter()
                .flat_map(|it| workers.iter().map(move |n| (it, n)))
            {
                for method in rotated(methods, repetition) {
                    rounds.push(vec![Step {
                        method,
                        task,
                        clients,
                        silence: Silence::Usual,
                        protocol: Protocol::H1,
                        workers: *workers,
                        line: *line,
                        repetition,
                    }]);
                }
            }
        }
        rounds
    }
}

/// How many polls a second come of clients that all come back: the server answers 1,000.
const POLLS: u32 = 500;

/// Polls no more often than a server with so many clients answers.
fn bearable(methods: Vec<Method>, clients: u32) -> Vec<Method> {
    let least = Duration::from_secs((clients / POLLS).into());
    let slowed = |method| match method {
        Method::Polling(interval) => Method::Polling(interval.max(least)),
        other => other,
    };
    methods.into_iter().map(slowed).collect()
}

fn rotated(methods: &[Method], by: u32) -> Vec<Method> {
    let mut methods = methods.to_vec();
    if !methods.is_empty() {
        let by = by as usize % methods.len();
        methods.rotate_left(by);
    }
    methods
}

/// Of polling only the one with the longest interval: how often a client asks says nothing of its
/// connection, and many clients that ask often are refused.
fn slowest(methods: &[Method]) -> Vec<Method> {
    let longest = methods.iter().filter_map(|method| match method {
        Method::Polling(interval) => Some(*interval),
        _ => None,
    });
    let longest = longest.max();
    let kept = |method: &&Method| match method {
        Method::Polling(interval) => Some(*interval) == longest,
        _ => true,
    };
    methods.iter().filter(kept).copied().collect()
}

/// The same, asking so seldom that a connection rests in between.
fn resting(methods: &[Method]) -> Vec<Method> {
    let rests = |method| match method {
        // Shorter than the time after which client and server close an idle connection.
        Method::Polling(_) => Method::Polling(Duration::from_secs(5)),
        other => other,
    };
    slowest(methods).into_iter().map(rests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent() -> Extent {
        let methods = ["polling:100ms", "polling:1s", "long-polling", "sse"];
        Extent {
            methods: methods.map(|name| name.parse().unwrap()).to_vec(),
            measures: Measure::ALL.to_vec(),
            clients: 5,
            repetitions: 3,
            burst_events: 9,
            idle_clients: 20,
            recovery_clients: 7,
            silence: Silence::Short,
            workers: vec![Workers::Some(NonZeroU16::MIN), Workers::All],
            lines: vec![Line::NONE],
            protocols: vec![Protocol::H1],
        }
    }

    #[test]
    fn workers_are_read_as_they_are_written() {
        for text in ["all", "1", "64"] {
            assert_eq!(text.parse::<Workers>().unwrap().to_string(), text);
        }
        for wrong in ["", "0", "-1", "some", "65536"] {
            assert!(wrong.parse::<Workers>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn repetitions_go_over_all_methods_and_each_begins_with_another() {
        let rounds = extent().rounds();
        let delivery: Vec<_> = rounds.iter().flatten().collect();
        let delivery: Vec<_> = delivery
            .iter()
            .filter(|step| step.task == Task::Delivery)
            .map(|step| step.method.to_string())
            .collect();
        // The loop, two floors of libraries and four methods; three times, with one worker and all.
        assert_eq!(delivery.len(), 7 * 3 * 2);
        assert_eq!(delivery[0], "loop");
        assert_eq!(delivery[2 * 7], "hyper-answer");
        assert_eq!(delivery[4 * 7], "hyper-stream");
        for repetition in delivery.chunks(7) {
            let mut methods = repetition.to_vec();
            methods.sort();
            methods.dedup();
            assert_eq!(methods.len(), 7, "each once");
        }
    }

    #[test]
    fn a_burst_is_of_what_is_pushed_and_of_its_floors() {
        let of = |methods: &[&str]| -> Vec<_> {
            let methods = methods.iter().map(|name| name.parse().unwrap());
            let extent = Extent {
                methods: methods.collect(),
                repetitions: 1,
                workers: vec![Workers::All],
                ..extent()
            };
            let steps = extent.rounds().into_iter().flatten();
            let steps = steps.filter(|step| step.task == Task::Burst { events: 9 });
            steps.map(|step| step.method.to_string()).collect()
        };
        let pushed = ["loop", "hyper-stream", "sse"];
        assert_eq!(of(&["polling", "long-polling", "sse"]), pushed);
        assert!(of(&["polling", "long-polling"]).is_empty());
    }

    #[test]
    fn what_two_servers_of_a_method_share_is_measured_once() {
        let extent = Extent {
            methods: vec![Method::WebSocket, Method::WebSocketWalk],
            repetitions: 1,
            workers: vec![Workers::All],
            ..extent()
        };
        let of = |name: &str| -> Vec<_> {
            let steps = extent.rounds().into_iter().flatten();
            let steps = steps.filter(|step| step.name() == name);
            steps.map(|step| step.method.to_string()).collect()
        };
        let delivery = ["loop", "axum-socket", "websocket", "websocket:walk"];
        assert_eq!(of("delivery"), delivery);
        assert_eq!(of("recovery"), ["websocket", "websocket:walk"]);
        assert_eq!(of("traffic"), ["websocket"], "they send the same bytes");
        assert_eq!(of("idle"), ["websocket"]);
    }

    #[test]
    fn delays_and_recovery_are_measured_over_each_line_and_counts_over_none() {
        let line = Line {
            rtt_ms: 20.0,
            ..Line::NONE
        };
        let extent = Extent {
            lines: vec![Line::NONE, line],
            ..extent()
        };
        let steps: Vec<_> = extent.rounds().into_iter().flatten().collect();
        for (name, over) in [
            ("delivery", true),
            ("recovery", true),
            ("memory", false),
            ("traffic", false),
        ] {
            let mut of = steps.iter().filter(|step| step.name() == name);
            assert_eq!(of.any(|step| step.line == line), over, "{name}");
        }
    }

    #[test]
    fn only_idle_clients_are_measured_at_the_same_time() {
        for round in extent().rounds() {
            let idle = round
                .iter()
                .all(|step| matches!(step.task, Task::Idle { .. }));
            assert!(round.len() == 1 || idle, "{round:?}");
        }
    }

    #[test]
    fn a_connection_is_measured_once_for_polling_and_the_loop_where_it_is_a_floor() {
        let rounds = extent().rounds();
        let of = |name: &str| -> Vec<_> {
            let steps = rounds.iter().flatten();
            let first = |step: &&Step| step.repetition == 0 && step.workers == Workers::All;
            let steps = steps.filter(|step| step.name() == name).filter(first);
            steps.map(|step| step.method.to_string()).collect()
        };
        assert_eq!(
            of("memory"),
            [
                "loop",
                "hyper-answer",
                "hyper-stream",
                "polling:5000ms",
                "long-polling",
                "sse"
            ]
        );
        assert_eq!(of("recovery"), ["polling:1000ms", "long-polling", "sse"]);
        let many = Extent {
            recovery_clients: 10_000,
            ..extent()
        };
        let steps = many.rounds().into_iter().flatten();
        let recovery: Vec<_> = steps.filter(|step| step.task == Task::Recovery).collect();
        assert_eq!(recovery[0].method.to_string(), "polling:20000ms");
        assert_eq!(recovery.len(), 3 * 3, "with all workers alone");
        assert_eq!(of("traffic").len(), 4);
        assert_eq!(of("idle").len(), 4);
    }
}
