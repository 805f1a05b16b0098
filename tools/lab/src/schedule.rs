//! The events of a run: the same for the same seed, whichever method carries them.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// What a schedule is made from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many events are published.
    pub events: u32,
    /// Events a second, on average; of no meaning in lockstep.
    pub rate: f64,
    /// When the next event comes.
    pub arrivals: Arrivals,
    /// The least and the most characters of an event's text.
    pub text: (u32, u32),
    /// Decides all that is drawn.
    pub seed: u64,
}

/// When the next event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At random, independent of each other: as from many sources.
    Poisson,
    /// After the same time.
    Fixed,
    /// When every client has the one before: no clock decides what is counted.
    Lockstep,
}

/// One event to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// When, from the beginning.
    pub at: Duration,
    /// Its kind.
    pub kind: &'static str,
    /// Its data, as JSON.
    pub data: String,
}

/// What the data of an event says.
#[derive(Serialize, Deserialize)]
pub struct Numbered {
    /// Its place in the schedule, from 0.
    pub n: u32,
}

impl Numbered {
    /// The number of an event that was received.
    pub fn read(data: &RawValue) -> Option<u32> {
        serde_json::from_str(data.get())
            .ok()
            .map(|Self { n }: Self| n)
    }
}

impl Plan {
    /// The schedule.
    pub fn schedule(&self) -> Vec<Planned> {
        let mut random = ChaCha12Rng::seed_from_u64(self.seed);
        let mut at = 0.0;
        let planned = |n| {
            // All are drawn for each event, used or not: other arrivals have the same texts.
            let (pause, kind, length) = (
                // The interval between two of a Poisson process; 1 - x is never 0.
                -(1.0 - random.random::<f64>()).ln(),
                random.random_range(0..5),
                random.random_range(self.text.0..=self.text.1),
            );
            at += match self.arrivals {
                Arrivals::Poisson => pause / self.rate,
                Arrivals::Fixed => 1.0 / self.rate,
                Arrivals::Lockstep => 0.0,
            };
            let text: String = (0..length)
                .map(|_| char::from(random.random_range(b'a'..=b'z')))
                .collect();
            Planned {
                at: Duration::from_secs_f64(at),
                kind: if kind == 0 { "tick" } else { "message" },
                data: format!(r#"{{"n":{n},"text":"{text}"}}"#),
            }
        };
        (0..self.events).map(planned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        events: 2000,
        rate: 50.0,
        arrivals: Arrivals::Poisson,
        text: (20, 200),
        seed: 1,
    };

    #[test]
    fn a_seed_gives_one_schedule() {
        let schedule = PLAN.schedule();
        assert_eq!(schedule, PLAN.schedule());
        let other = Plan { seed: 2, ..PLAN };
        assert_ne!(schedule, other.schedule());
        // These hold in each version and on each machine.
        assert_eq!(schedule[0].data.len(), schedule[0].data.chars().count());
        let fixed = Plan {
            arrivals: Arrivals::Fixed,
            ..PLAN
        };
        let texts = |plan: Plan| -> Vec<_> {
            let planned = plan.schedule().into_iter();
            planned.map(|planned| planned.data).collect()
        };
        assert_eq!(texts(PLAN), texts(fixed), "the arrivals change no event");
    }

    #[test]
    fn events_come_at_their_rate_and_have_their_numbers() {
        let schedule = PLAN.schedule();
        let took = schedule.last().unwrap().at.as_secs_f64();
        assert!(
            (35.0..45.0).contains(&took),
            "2000 events at 50/s: {took} s"
        );
        for (n, planned) in schedule.iter().enumerate() {
            let data: Box<RawValue> = serde_json::from_str(&planned.data).unwrap();
            assert_eq!(Numbered::read(&data), Some(n as u32));
            let text = planned.data.len() - format!(r#"{{"n":{n},"text":""}}"#).len();
            assert!((20..=200).contains(&text), "{text}");
        }
        let kinds = |kind| schedule.iter().filter(|it| it.kind == kind).count();
        assert!(kinds("tick") > 300 && kinds("message") > 1400);
    }
}
