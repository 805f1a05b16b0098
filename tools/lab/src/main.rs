//! Measures the methods beside each other, and beside what no server could be faster than.
//!
//! ```text
//! cargo run --release -p lab -- compare --quick
//! cargo run --release -p lab -- peers --quick
//! ```
//!
//! Every program that is measured, and the one that measures, is a process of its own:
//!
//! ```text
//! lab compare ── lab hold ── sse            a server, ended whatever becomes of `compare`
//!             └─ lab clients                publisher and receivers, on one clock
//! ```
//!
//! `README.md` in this directory says what each figure means, and what it does not.

mod agreement;
mod answers;
mod bench;
mod burst;
mod clients;
mod compare;
#[cfg(unix)]
mod engines;
mod floor;
mod hold;
mod job;
#[cfg(target_os = "linux")]
mod limits;
mod line;
mod method;
mod minimal;
#[cfg(unix)]
mod peers;
mod plan;
mod programs;
mod protocol;
mod relay;
mod results;
mod run;
mod scale;
mod schedule;
mod slow_relay;
mod summary;
mod system;
mod tally;
mod versions;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "lab", version, about = "Measures the methods of the book")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure all methods on the same events, with their floors
    Compare(compare::Options),
    /// Measure with ever more clients in one process, more events and larger ones
    Scale(scale::Options),
    /// Measure other servers on the same events, through one client for all
    #[cfg(unix)]
    Peers(peers::Options),
    /// Measure a log that an engine keeps, beside one in memory
    #[cfg(unix)]
    Engines(engines::Options),
    /// Lower a limit on purpose, and see whether it bites where it is calculated to
    #[cfg(target_os = "linux")]
    Limits(limits::Options),
    /// The client of `peers`: reads a job from standard input, writes its outcome
    #[cfg(unix)]
    #[command(hide = true)]
    RawClient,
    /// Turns into nginx with nchan, on a free port
    #[cfg(unix)]
    #[command(hide = true)]
    Nginx(peers::nginx::Options),
    /// Publisher and receivers: reads a job from standard input, writes its outcome
    #[command(hide = true)]
    Clients,
    /// Starts a server, and ends it when standard input ends
    #[command(hide = true)]
    Hold(hold::Options),
    /// A line between clients and server, in a network namespace: delay and loss
    #[command(hide = true)]
    Line(line::Options),
    /// Whether there may be a network namespace
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Namespace,
    /// A floor: the least server there could be, or that a library makes
    #[command(hide = true)]
    Floor(floor::Options),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Compare(options) => compare::run(options),
        Command::Scale(options) => scale::run(options),
        #[cfg(unix)]
        Command::Peers(options) => peers::run(options),
        #[cfg(unix)]
        Command::Engines(options) => engines::run(&options),
        #[cfg(target_os = "linux")]
        Command::Limits(options) => limits::run(&options),
        #[cfg(unix)]
        Command::RawClient => peers::client::run(),
        #[cfg(unix)]
        Command::Nginx(options) => peers::nginx::run(options),
        Command::Clients => clients::run(),
        Command::Hold(options) => hold::run(options),
        Command::Line(options) => line::run(options),
        #[cfg(target_os = "linux")]
        Command::Namespace => line::prepare().map(|()| ExitCode::SUCCESS),
        Command::Floor(options) => floor::run(options),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("lab: {error:#}");
        ExitCode::FAILURE
    })
}
