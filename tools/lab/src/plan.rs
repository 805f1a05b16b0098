//! What is measured, and in which order.

use crate::{
    bench::applies,
    job::Task,
    method::{Method, Silence},
};
use std::time::Duration;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub method: Method,
    pub task: Task,
    pub clients: u32,
    pub silence: Silence,
    /// From 0.
    pub repetition: u32,
}

impl Step {
    /// What is measured, for a person.
    pub fn name(&self) -> &'static str {
        match self.task {
            Task::Delivery => "delivery",
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
    pub const ALL: [Self; 5] = [
        Self::Delivery,
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
    pub idle_clients: u32,
    pub recovery_clients: u32,
    pub silence: Silence,
}

/// How many silences of an idle client are counted.
const CYCLES: u32 = 2;

impl Extent {
    /// The measurements, in rounds that can be run at the same time. Only idle clients are: what
    /// they exchange is counted, and no time is taken of it.
    ///
    /// Repetitions go over all methods, and each begins with another one, so that what changes on
    /// the machine meanwhile falls on all.
    pub fn rounds(&self) -> Vec<Vec<Step>> {
        let mut rounds: Vec<Vec<Step>> = Vec::new();
        let step = |method, task, clients, repetition| Step {
            method,
            task,
            clients,
            silence: Silence::Usual,
            repetition,
        };
        let has = |measure| self.measures.contains(&measure);
        // The floor is measured with whatever stands beside it.
        let all: Vec<_> = [Method::Loop]
            .iter()
            .chain(&self.methods)
            .copied()
            .collect();
        let few = self.repetitions.min(3);
        if has(Measure::Delivery) {
            for repetition in 0..self.repetitions {
                for method in rotated(&all, repetition) {
                    rounds.push(vec![step(method, Task::Delivery, self.clients, repetition)]);
                }
            }
        }
        if has(Measure::Traffic) {
            // Exact but for polling, whose requests the clock decides.
            for method in rotated(&self.methods, 0) {
                rounds.push(vec![step(method, Task::Traffic, self.clients, 0)]);
            }
        }
        if has(Measure::Idle) {
            let idle = |method: &Method| Step {
                silence: self.silence,
                ..step(*method, Task::Idle { cycles: CYCLES }, 1, 0)
            };
            rounds.push(self.methods.iter().map(idle).collect());
        }
        if has(Measure::Memory) {
            let warm = self.idle_clients.div_ceil(10);
            let once = resting(&all);
            for repetition in 0..few {
                for method in rotated(&once, repetition) {
                    let task = Task::Memory { warm };
                    rounds.push(vec![step(method, task, self.idle_clients, repetition)]);
                }
            }
        }
        if has(Measure::Recovery) {
            let once = slowest(&all);
            for repetition in 0..few {
                for method in rotated(&once, repetition) {
                    let clients = self.recovery_clients;
                    rounds.push(vec![step(method, Task::Recovery, clients, repetition)]);
                }
            }
        }
        for round in &mut rounds {
            round.retain(|step| applies(step.task, step.method));
        }
        rounds.retain(|round| !round.is_empty());
        rounds
    }
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
            idle_clients: 20,
            recovery_clients: 7,
            silence: Silence::Short,
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
        assert_eq!(delivery.len(), 15);
        assert_eq!(delivery[0], "loop");
        assert_eq!(delivery[5], "polling:100ms");
        assert_eq!(delivery[9], "loop");
        for repetition in delivery.chunks(5) {
            let mut methods = repetition.to_vec();
            methods.sort();
            methods.dedup();
            assert_eq!(methods.len(), 5, "each once");
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
            let steps = steps.filter(|step| step.name() == name && step.repetition == 0);
            steps.map(|step| step.method.to_string()).collect()
        };
        assert_eq!(
            of("memory"),
            ["loop", "polling:5000ms", "long-polling", "sse"]
        );
        assert_eq!(of("recovery"), ["polling:1000ms", "long-polling", "sse"]);
        assert_eq!(of("traffic").len(), 4);
        assert_eq!(of("idle").len(), 4);
    }
}
