//! Invented stock prices, so that there is something to wait for.

use crate::counts;
use contract::{metrics::TICKER, Data, Kind};
use feed::{Feed, PublishError};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior};

/// Made-up companies; the classic names of example data.
const SYMBOLS: [&str; 5] = ["ACME", "GLOBEX", "HOOLI", "INITECH", "UMBRELLA"];

/// The runtime's timer counts milliseconds, so above this many events a second several
/// fall due at once.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// A machine that slept must not wake to a day's worth of ticks: after a pause, at most
/// this much time is made up for.
const MAX_CATCH_UP: Duration = Duration::from_secs(1);

/// The slowest rate but none: one event in 17 minutes. A rate of next to nothing has a
/// pause that no clock can hold.
const SLOWEST: f64 = 0.001;

/// Events a second: 0 (none), or from 0.001 to 100,000.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// No ticks at all.
    pub const NONE: Self = Self(0.0);

    /// Events a second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// The text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a rate is a number of events a second: 0 (none), or from 0.001 to 100000")]
pub struct ParseRateError;

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            Ok(rate) if rate == 0.0 || (SLOWEST..=100_000.0).contains(&rate) => {
                Ok(Self(rate))
            }
            _ => Err(ParseRateError),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The data of one `tick` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Which share.
    pub symbol: String,
    /// Its price now, in dollars, to the cent.
    pub price: f64,
    /// How much the price has moved since its last tick, in dollars.
    pub change: f64,
}

/// An endless walk of prices; the same seed gives the same walk.
#[derive(Clone, Debug)]
pub struct Ticks {
    random: fastrand::Rng,
    /// Prices in whole cents, so that sums of many small moves stay exact.
    cents: [i64; SYMBOLS.len()],
}

impl Ticks {
    /// The walk of this seed.
    pub fn seeded(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let cents = std::array::from_fn(|_| random.i64(2_000..40_000));
        Self { random, cents }
    }
}

impl Iterator for Ticks {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        let which = self.random.usize(..SYMBOLS.len());
        let moved = self.random.i64(-50..=50);
        let price = &mut self.cents[which];
        let before = *price;
        // A share stays worth at least a dollar, or the chart would sink below zero in
        // the end.
        *price = (before + moved).max(100);
        let dollars = |cents: i64| cents as f64 / 100.0;
        Some(Tick {
            symbol: SYMBOLS[which].to_owned(),
            price: dollars(*price),
            change: dollars(*price - before),
        })
    }
}

/// Publishes ticks at `rate` until the log is finished or the future is dropped. A rate
/// of 0 returns at once.
///
/// # Errors
/// What [`Feed::publish`] refuses, except that a finished log ends the ticker without
/// one.
pub async fn run(feed: Feed, rate: Rate, seed: u64) -> Result<(), PublishError> {
    if rate == Rate::NONE {
        return Ok(());
    }
    let kind: Kind = "tick".parse().expect("it is a kind");
    let published = counts::published(TICKER);
    let mut ticks = Ticks::seeded(seed);
    let mut timer = tokio::time::interval(
        Duration::from_secs_f64(1.0 / rate.0).max(SHORTEST_SLEEP),
    );
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    // Due but not yet published, in events; the fraction carries over, so that 1,500 a
    // second really are 1,500.
    let mut due = 1.0;
    loop {
        timer.tick().await;
        let now = Instant::now();
        due += (now - last).min(MAX_CATCH_UP).as_secs_f64() * rate.0;
        last = now;
        while due >= 1.0 {
            due -= 1.0;
            let tick = ticks.next().expect("the walk has no end");
            let data = Data::new(&tick).expect("a tick becomes JSON");
            match feed.publish(kind.clone(), data).await {
                Ok(_) => published.increment(1),
                // A price of a moment ago is nothing to wait with.
                Err(PublishError::Unavailable) => {}
                Err(PublishError::Finished) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Position;
    use feed::Retention;

    #[test]
    fn a_seed_gives_one_walk() {
        let walk: Vec<_> = Ticks::seeded(7).take(100).collect();
        assert_eq!(walk, Ticks::seeded(7).take(100).collect::<Vec<_>>());
        assert_ne!(walk, Ticks::seeded(8).take(100).collect::<Vec<_>>());
        assert!(walk.iter().all(|tick| tick.price >= 1.0));
    }

    #[test]
    fn a_rate_is_bounded() {
        assert_eq!("2.5".parse::<Rate>().unwrap().per_second(), 2.5);
        for slowest in ["0", "-0", "0.001"] {
            assert!(slowest.parse::<Rate>().is_ok(), "{slowest}");
        }
        for wrong in ["", "-1", "NaN", "inf", "100001", "two", "1e-20", "1e-400x"] {
            assert_eq!(wrong.parse::<Rate>(), Err(ParseRateError), "{wrong:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_come_at_their_rate() {
        for rate in ["2", "1500"] {
            let rate: Rate = rate.parse().unwrap();
            let feed = Feed::new(Retention::default());
            let ticking = run(feed.clone(), rate, 1);
            assert!(tokio::time::timeout(Duration::from_secs(4), ticking)
                .await
                .is_err());
            let published = feed.state().latest.id.get() as f64;
            let expected = 4.0 * rate.per_second();
            assert!(
                (published - expected).abs() <= 2.0 + rate.per_second() / 500.0,
                "{published} of {expected}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_no_ticks_and_a_finished_log_ends_the_ticker() {
        let feed = Feed::new(Retention::default());
        run(feed.clone(), Rate::NONE, 1).await.unwrap();
        assert_eq!(feed.state().latest.id.get(), 0);
        feed.finish();
        run(feed.clone(), "100".parse().unwrap(), 1).await.unwrap();
        assert!(feed
            .read(Position::Earliest, 1, 1)
            .unwrap()
            .events
            .is_empty());
    }
}
