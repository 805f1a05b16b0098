//! The long polling server alone: `cargo run -p long-polling -- --port 4102 --rate 2`.

use clap::Parser;
use serving::command::{self, Count, Options};
use std::process::ExitCode;
use waiting::LogFlags;

/// Serves a log of events by long polling, with a page that shows them
#[derive(Parser)]
#[command(name = "long-polling", version)]
struct Command {
    #[command(flatten)]
    options: Options<4102>,

    #[command(flatten)]
    log: LogFlags,

    /// Requests that wait at once; by default nine in ten connections
    #[arg(long, value_name = "COUNT")]
    max_waits: Option<Count>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command {
        options,
        log,
        max_waits,
    } = Command::parse();
    let max_parked = match options.places("--max-waits", max_waits) {
        Ok(places) => places,
        Err(error) => return command::fail("long-polling", error),
    };
    let (feed, ticks) = log.log();
    let config = long_polling::Config {
        demo_cut: true,
        max_parked,
        ..long_polling::Config::default()
    };
    command::run("long-polling", &options, options.edge(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        long_polling::router(feed, config, ending)
    })
    .await
}
