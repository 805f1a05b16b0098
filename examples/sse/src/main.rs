//! The SSE server alone: `cargo run -p sse -- --port 4100 --rate 2`.

use clap::Parser;
use serving::command::{self, Count, Heartbeat, Options};
use std::process::ExitCode;
use waiting::LogFlags;

/// Serves a log of events by Server-Sent Events, with a page that shows them
#[derive(Parser)]
#[command(name = "sse", version)]
struct Command {
    #[command(flatten)]
    options: Options<4100>,

    #[command(flatten)]
    log: LogFlags,

    /// Streams open at once; by default nine in ten connections
    #[arg(long, value_name = "COUNT")]
    max_streams: Option<Count>,

    /// The longest silence on a stream before a heartbeat
    #[arg(long, value_name = "SECONDS", default_value = "15")]
    heartbeat: Heartbeat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command {
        options,
        log,
        max_streams,
        heartbeat,
    } = Command::parse();
    let max_streams = match options.places("--max-streams", max_streams) {
        Ok(places) => places,
        Err(error) => return command::fail("sse", error),
    };
    let (feed, ticks) = log.log();
    let config = sse::Config {
        demo_cut: true,
        max_streams,
        heartbeat: heartbeat.0,
        ..sse::Config::default()
    };
    command::run("sse", &options, options.edge(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        sse::router(feed, config, ending)
    })
    .await
}
