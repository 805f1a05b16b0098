//! What each method of the book says of itself: one [`Method`] in its crate.
//!
//! Its own program ([`run`]), its place on the book's site and the tests in browsers
//! all follow from that one value.

#[cfg(not(target_family = "wasm"))]
mod program;

#[cfg(not(target_family = "wasm"))]
pub use program::{count, run, run_variant};

use axum::Router;
use feed::Feed;
use serving::Ending;
use std::time::Duration;
use waiting::Places;

/// A method to wait for the next entry of a log.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The name of its crate, its program and its chapter, in `live.json`, and in a
    /// panel's `data-method`; for example `sse`.
    pub name: &'static str,
    /// Its name in a sentence.
    pub title: &'static str,
    /// Where its own program listens unless told otherwise.
    pub port: u16,
    /// What its own program does, as `--help` has it.
    pub about: &'static str,
    /// What of it stays open while it waits; `None` where nothing does.
    pub waits: Option<Waits>,
    /// Whether a reader can cut what waits, to watch it come back.
    pub cuts: bool,
    /// Its server: routes relative to wherever it is mounted.
    pub router: fn(Host) -> Router,
}

/// What of a method stays open while it waits.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// The flag that limits how many there are, without its dashes: `max-streams`.
    pub flag: &'static str,
    /// These, as `--help` has them: "Streams open at once".
    pub help: &'static str,
    /// The silence on one that `--heartbeat` limits, as `--help` has it; `None` where
    /// there is no such limit.
    pub silence: Option<&'static str>,
}

/// Several ways to serve a method, one of which a flag chooses.
#[derive(Clone, Copy, Debug)]
pub struct Variants {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// What it chooses, as `--help` has it.
    pub help: &'static str,
    /// The values of the flag, the default first. They differ in their routers.
    pub methods: &'static [(&'static str, Method)],
}

/// What a method is served with.
#[derive(Clone, Debug)]
pub struct Host {
    /// The log.
    pub log: Feed,
    /// When to end.
    pub ending: Ending,
    /// How many may wait at once.
    pub places: usize,
    /// The places that it shares with other methods, if there are such.
    pub shared: Option<Places>,
    /// The longest silence before a heartbeat.
    pub heartbeat: Duration,
    /// The longest age of a stream or a socket; `None` where it may be any.
    pub max_age: Option<Duration>,
}

impl Host {
    /// For a method alone, with its program's defaults.
    pub fn alone(log: Feed, ending: Ending) -> Self {
        Self {
            log,
            ending,
            places: serving::Config::default().places(),
            shared: None,
            heartbeat: HEARTBEAT,
            max_age: None,
        }
    }
}

/// The default of `--heartbeat`. Under the 30 s after which some mobile networks, and
/// the 60 s after which many proxies, drop a connection on which nothing moves.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
