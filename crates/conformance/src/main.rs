//! Tests a server, or a client, of the wire contract, in any language.

use clap::{Parser, Subcommand};
use conformance::{
    program::{start_client, Program, Signal},
    scripted::Script,
    test, Address, Method, Report, Subject,
};
use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use url::Url;

/// Tests a server of the wire contract, in any language, by its address or by the
/// command that starts it.
///
/// Every case publishes events of kinds of its own. The exit code is 0 if no case has
/// failed, 1 if one has, and 2 if nothing could be tested.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    client: Option<Other>,

    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Serves a script, and tests the client that follows it. It takes up to two
    /// minutes.
    Client {
        /// polling, long-polling, sse or websocket
        method: Method,

        /// Starts the client; `{url}` stands for the address to follow
        #[arg(long, value_name = "COMMAND")]
        run: Option<String>,

        /// Prints one JSON object and no table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ServerArguments {
    /// polling, long-polling, sse or websocket
    #[arg(required = true)]
    method: Option<Method>,

    /// The address under which the routes lie, such as http://127.0.0.1:4100/
    #[arg(required_unless_present = "start", conflicts_with = "start")]
    address: Option<Url>,

    /// Starts the server, anew for each case. In COMMAND stand `{port}`, `{retention}`
    /// (events to keep), `{heartbeat-ms}` or `{heartbeat-s}` for what the case asks
    /// for; the variables PORT, RETENTION and HEARTBEAT_MS are set as well. The port is
    /// 0, for any that is free; the server prints its address, http://..., in a line of
    /// its standard output
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,

    /// Where the routes lie below the address that the server prints, such as live/sse/
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,

    /// The signal that ends the server gracefully, such as SIGTERM
    #[arg(long, value_name = "SIGNAL")]
    stop: Option<Signal>,

    /// The signal that completes the log, such as SIGUSR2
    #[arg(long, value_name = "SIGNAL")]
    finish: Option<Signal>,

    /// Only the cases whose names have this in them; may be given several times
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,

    /// Prints one JSON object and no table
    #[arg(long)]
    json: bool,
}

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let tested = match arguments.client {
        Some(Other::Client { method, run, json }) => {
            test_client(method, run.as_deref(), json).await
        }
        None => test_server(arguments.server).await,
    };
    match tested {
        Ok(report) if report.failed() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("conformance: {why}");
            ExitCode::from(2)
        }
    }
}

async fn test_server(arguments: ServerArguments) -> Result<Report, String> {
    let method = arguments.method.ok_or("which method?")?;
    let (name, subject): (String, Arc<dyn Subject>) =
        match (arguments.address, arguments.start) {
            (_, Some(command)) => {
                let program = Program::new(&command, method, &arguments.path)?
                    .stopped_by(arguments.stop)
                    .finished_by(arguments.finish);
                (command, Arc::new(program))
            }
            (Some(address), None) => {
                if arguments.stop.is_some()
                    || arguments.finish.is_some()
                    || !arguments.path.is_empty()
                {
                    return Err("--path, --stop and --finish need --start".to_owned());
                }
                let address = with_slash(address)?;
                is_there(&address).await?;
                (address.to_string(), Arc::new(Address(address)))
            }
            (None, None) => return Err("which server?".to_owned()),
        };
    let json = arguments.json;
    let report = test(method, subject, &arguments.cases, |row| {
        if !json {
            print(&row.to_string());
        }
    })
    .await;
    if report.rows.is_empty() {
        return Err("no case has such a name".to_owned());
    }
    print_sum(&report, &format!("{method} of {name}"), json);
    Ok(report)
}

async fn test_client(
    method: Method,
    run: Option<&str>,
    json: bool,
) -> Result<Report, String> {
    let script = Script::bind(method).await;
    let script = script.map_err(|error| error.to_string())?;
    let base = script.base().clone();
    eprintln!("listening on {base}");
    // Ends with this variable.
    let _client = match run {
        Some(command) => Some(start_client(command, &base)?),
        None => None,
    };
    let report = script.run().await;
    if !json {
        for row in &report.rows {
            print(&row.to_string());
        }
    }
    print_sum(&report, &format!("a client of {method}"), json);
    Ok(report)
}

fn print_sum(report: &Report, subject: &str, json: bool) {
    if json {
        print(&format!("{}\n", report.to_json(subject)));
    } else {
        print(&format!("\n{subject}: {}\n", report.sum()));
    }
}

/// Prints, also where the reader has left, such as `head`.
fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whether anything listens at this address.
async fn is_there(address: &Url) -> Result<(), String> {
    let host = address.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = address.port_or_known_default().unwrap_or(80);
    match timeout(CONNECT_LIMIT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: nothing answers there")),
    }
}

/// The address with a path that ends in `/`: `events` lies below it.
fn with_slash(mut address: Url) -> Result<Url, String> {
    if address.scheme() != "http" {
        return Err(format!(
            "{address}: the suite speaks HTTP without TLS; ask the server behind the proxy"
        ));
    }
    if !address.path().ends_with('/') {
        let path = format!("{}/", address.path());
        address.set_path(&path);
    }
    Ok(address)
}
