//! The WebSocket server alone: `cargo run -p websocket -- --port 4103 --rate 2`.

use clap::Parser;
use feed::{ticker, Feed, Retention};
use serving::command::{self, Options};
use std::process::ExitCode;

/// Serves a log of events by WebSocket, with a page that shows them and a whiteboard
#[derive(Parser)]
#[command(name = "websocket", version)]
struct Command {
    #[command(flatten)]
    options: Options<4103>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { options } = Command::parse();
    let feed = Feed::new(Retention::default());
    let board = websocket::board();
    let ticks = ticker::run(feed.clone(), options.rate, options.seed);
    let config = websocket::Config {
        demo_cut: true,
        ..websocket::Config::default()
    };
    let edge = serving::Config::default();
    command::run("websocket", &options, edge, |ending| {
        // Ends with the process; the log is in memory and needs no goodbye.
        tokio::spawn(ticks);
        websocket::router(feed, board, config, ending)
    })
    .await
}
