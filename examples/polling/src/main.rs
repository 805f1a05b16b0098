//! The polling server alone: `cargo run -p polling -- --port 4101 --rate 2`.

use clap::Parser;
use feed::{ticker, Feed};
use serving::command::{self, Options};
use std::process::ExitCode;

/// Serves a log of events by polling, with a page that shows them
#[derive(Parser)]
#[command(name = "polling", version)]
struct Command {
    #[command(flatten)]
    options: Options<4101>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { options } = Command::parse();
    let feed = Feed::new(options.retention());
    let ticks = ticker::run(feed.clone(), options.rate, options.seed);
    let config = polling::Config::default();
    command::run("polling", &options, options.edge(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        polling::router(feed, config, ending)
    })
    .await
}
