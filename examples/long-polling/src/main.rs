//! The long polling server alone: `cargo run -p long-polling -- --port 4102 --rate 2`.

use clap::Parser;
use feed::{ticker, Feed, Retention};
use serving::command::{self, Options};
use std::process::ExitCode;

/// Serves a log of events by long polling, with a page that shows them
#[derive(Parser)]
#[command(name = "long-polling", version)]
struct Command {
    #[command(flatten)]
    options: Options<4102>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { options } = Command::parse();
    let feed = Feed::new(Retention::default());
    let ticks = ticker::run(feed.clone(), options.rate, options.seed);
    let config = long_polling::Config {
        demo_cut: true,
        ..long_polling::Config::default()
    };
    command::run(
        "long-polling",
        &options,
        serving::Config::default(),
        |ending| {
            // Ends with the process; the log is in memory and needs no goodbye.
            tokio::spawn(ticks);
            long_polling::router(feed, config, ending)
        },
    )
    .await
}
