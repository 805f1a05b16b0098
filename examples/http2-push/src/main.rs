//! The push server alone, or a client that takes pushes:
//!
//! ```text
//! cargo run -p http2-push -- --port 4443 --certificate target/push.pem
//! cargo run -p http2-push -- get https://127.0.0.1:4443/ --trust target/push.pem
//! ```

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use http::Uri;
use http2_push::{
    client::{self, Session, Source},
    Config,
};
use serving::command::{self, Listen};
use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};
use tls::Trust;

/// Serves a page by HTTP/2 push, by 103 Early Hints and by neither, on a TLS port of
/// its own
#[derive(Parser)]
#[command(name = "http2-push", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    get: Option<Other>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Other {
    /// Ask for a page, take what is pushed, and print the frames
    Get(Get),
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    listen: Listen<4443>,

    /// Write the server's certificate to this file, for clients that shall trust it
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

#[derive(Args)]
struct Get {
    /// Address of the page
    #[arg(value_name = "https://HOST:PORT/PATH")]
    address: Uri,

    /// The server's certificate, as it has written it
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,

    /// Announce SETTINGS_ENABLE_PUSH=0, as browsers do
    #[arg(long)]
    no_push: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { get, serve } = Command::parse();
    match get {
        None => run(serve).await,
        Some(Other::Get(get)) => match print(get).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => command::fail("http2-push", format_args!("{error:#}")),
        },
    }
}

async fn run(
    Serve {
        listen,
        certificate,
    }: Serve,
) -> ExitCode {
    let identity = match listen.identity(certificate.as_deref()) {
        Ok(identity) => identity,
        Err(error) => return command::fail("http2-push", error),
    };
    let config = Config {
        allowed: listen.allowed(),
        ..Config::default()
    };
    let descriptors = listen.edge().max_connections + command::DESCRIPTORS;
    command::warn_of_descriptors("http2-push", descriptors);
    command::start(
        "http2-push",
        listen.address(),
        "https",
        |listener, ending| {
            http2_push::serve(listener, identity, config, listen.edge(), ending)
        },
    )
    .await
}

async fn print(
    Get {
        address,
        trust,
        no_push,
    }: Get,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&trust)
        .with_context(|| format!("{}", trust.display()))?;
    let trust =
        Trust::from_pem(&text).with_context(|| format!("{}", trust.display()))?;
    let config = client::Config {
        accept_push: !no_push,
        ..client::Config::default()
    };
    let mut session = Session::connect(&address, &trust, config).await?;
    let path = address.path_and_query().map_or("/", |path| path.as_str());
    let page = session.get(path).await?;
    let mut out = io::stdout().lock();
    write!(out, "{}", session.recording())?;
    writeln!(out, "\n{} {path}", page.answer.status.as_u16())?;
    for hint in &page.hints {
        for link in hint.get_all("link") {
            writeln!(out, "hinted: {}", link.to_str().unwrap_or("no text"))?;
        }
    }
    for path in &page.pushed {
        let fetched = session.get(path).await?;
        let pushed = fetched.source == Source::Pushed;
        writeln!(
            out,
            "{}: {path}, {} bytes",
            if pushed { "pushed" } else { "asked for" },
            fetched.answer.body.len()
        )?;
    }
    Ok(())
}
