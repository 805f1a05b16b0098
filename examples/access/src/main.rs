//! A server with a login: `cargo run -p access`. It makes up two people, and prints
//! their passwords once.

use access::{app, random_secret, Config, May, People};
use clap::Parser;
use serving::command::{self, Options, TlsFlags};
use std::{
    io::{self, Write},
    process::ExitCode,
};
use waiting::LogFlags;

/// Serves a log of events to whoever has signed in, by four methods
#[derive(Debug, Parser)]
#[command(version, name = "access")]
struct Flags {
    #[command(flatten)]
    options: Options<4105>,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    log: LogFlags,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { options, tls, log } = Flags::parse();
    // No password stands in the code, or is the same on two machines.
    let people = [
        ("ada", May::all()),
        ("bob", May::only(&["tick", "message"], &["message"])),
    ];
    let mut all = People::none();
    for (name, may) in people {
        let password = random_secret();
        // Nobody may be reading.
        let _ = writeln!(io::stdout(), "access {name}: {password}");
        all = all.with(name, &password, may);
    }
    let config = Config {
        tls: tls.tls,
        places: options.edge().places(),
        ..Config::default()
    };
    let (log, work) = match log.open().await {
        Ok(opened) => opened,
        Err(error) => return command::fail("access", error),
    };
    command::run("access", &options, &tls, options.edge(), |ending| {
        tokio::spawn(work);
        app(log, all, config, ending).0
    })
    .await
}
