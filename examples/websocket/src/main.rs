//! The WebSocket server alone: `cargo run -p websocket -- --port 4103 --rate 2`.

use clap::Parser;
use serving::command::{self, Count, Heartbeat, Options};
use std::process::ExitCode;
use waiting::LogFlags;

/// Serves a log of events by WebSocket, with a page that shows them and a whiteboard
#[derive(Parser)]
#[command(name = "websocket", version)]
struct Command {
    #[command(flatten)]
    options: Options<4103>,

    #[command(flatten)]
    log: LogFlags,

    /// Sockets open at once; by default nine in ten connections
    #[arg(long, value_name = "COUNT")]
    max_sockets: Option<Count>,

    /// The longest silence on a socket before a heartbeat and a ping
    #[arg(long, value_name = "SECONDS", default_value = "15")]
    heartbeat: Heartbeat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command {
        options,
        log,
        max_sockets,
        heartbeat,
    } = Command::parse();
    let max_sockets = match options.places("--max-sockets", max_sockets) {
        Ok(places) => places,
        Err(error) => return command::fail("websocket", error),
    };
    let (feed, ticks) = log.log();
    let board = websocket::board();
    let config = websocket::Config {
        demo_cut: true,
        max_sockets,
        heartbeat: heartbeat.0,
        ..websocket::Config::default()
    };
    command::run("websocket", &options, options.edge(), |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        websocket::router(feed, board, config, ending)
    })
    .await
}
