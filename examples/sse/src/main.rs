//! The SSE server alone: `cargo run -p sse -- --port 4100 --rate 2`.

use clap::Parser;
use feed::{ticker, Feed, Retention};
use serving::command::{self, Options};
use std::process::ExitCode;

/// Serves a log of events by Server-Sent Events, with a page that shows them
#[derive(Parser)]
#[command(name = "sse", version)]
struct Command {
    #[command(flatten)]
    options: Options<4100>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { options } = Command::parse();
    let feed = Feed::new(Retention::default());
    let ticks = ticker::run(feed.clone(), options.rate, options.seed);
    let config = sse::Config {
        demo_cut: true,
        ..sse::Config::default()
    };
    command::run("sse", &options, serving::Config::default(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        sse::router(feed, config, ending)
    })
    .await
}
