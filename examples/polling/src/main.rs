//! The polling server alone: `cargo run -p polling -- --port 4101 --rate 2`.

use clap::Parser;
use serving::command::{self, Options};
use std::process::ExitCode;
use waiting::LogFlags;

/// Serves a log of events by polling, with a page that shows them
#[derive(Parser)]
#[command(name = "polling", version)]
struct Command {
    #[command(flatten)]
    options: Options<4101>,

    #[command(flatten)]
    log: LogFlags,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { options, log } = Command::parse();
    let (feed, ticks) = log.log();
    let config = polling::Config::default();
    command::run("polling", &options, options.edge(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        polling::router(feed, config, ending)
    })
    .await
}
