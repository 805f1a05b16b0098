//! The command line: flags, one clear line, and the way to the end.

use axum::{routing::get, Router};
use clap::Parser;
use serving::{
    command::{self, TlsFlags},
    Config, Ending,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

const NO_TLS: TlsFlags = TlsFlags {
    tls: false,
    certificate: None,
};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: command::Options<4100>,
}

fn parse(flags: &[&str]) -> Result<command::Options<4100>, String> {
    let all = ["server"].iter().chain(flags);
    let parsed = Command::try_parse_from(all);
    parsed
        .map(|command| command.options)
        .map_err(|error| error.to_string())
}

#[test]
fn the_default_is_this_machine_only() {
    let options = parse(&[]).unwrap();
    assert_eq!(options.address().to_string(), "127.0.0.1:4100");
    let options = parse(&["--host", "::", "--port", "0"]).unwrap();
    assert_eq!(options.address().to_string(), "[::]:0");
}

#[test]
fn a_server_has_a_lame_duck_only_if_it_is_asked_to() {
    let edge = parse(&[]).unwrap().edge();
    let (lame_duck, drain) = (edge.lame_duck, edge.drain);
    assert_eq!((lame_duck.as_secs(), drain.as_secs()), (0, 5));
    let edge = parse(&["--lame-duck", "12", "--drain", "20"])
        .unwrap()
        .edge();
    assert_eq!((edge.lame_duck.as_secs(), edge.drain.as_secs()), (12, 20));
}

#[test]
fn lists_are_given_flag_by_flag() {
    let flags = ["--allow-host", "a.example", "--allow-host", "b.example"];
    let allowed = parse(&flags).unwrap().allowed();
    assert_eq!(allowed.hosts.len(), 2);
    let allowed = parse(&["--allow-origin", "https://a.example"])
        .unwrap()
        .allowed();
    assert_eq!(allowed.origins.len(), 1);
}

#[test]
fn a_wrong_flag_says_what_is_expected() {
    for (flags, words) in [
        (["--host", "localhost"], "invalid IP address"),
        (["--port", "65536"], "65536"),
        (["--lame-duck", "3601"], "from 0 to 3600"),
        (["--drain", "0"], "from 1 to 3600"),
        (
            ["--allow-host", "http://a.example"],
            "without scheme and port",
        ),
        (
            ["--allow-origin", "a.example"],
            "such as https://book.example",
        ),
    ] {
        let error = parse(&flags).unwrap_err();
        assert!(error.contains(words), "{flags:?}: {error}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_in_one_line() {
    let (_taken, address) = command::bind(SocketAddr::new(local(), 0)).await.unwrap();
    assert_ne!(address.port(), 0, "the real port is told");
    let busy = command::bind(address).await.unwrap_err();
    assert_eq!(busy.kind(), io::ErrorKind::AddrInUse);
    let words = format!(
        "port {} is in use; choose another with --port",
        address.port()
    );
    assert!(busy.to_string().starts_with(&words), "{busy}");
    // An address that is reserved for documents (RFC 5737), and so is nobody's.
    let foreign = command::bind("192.0.2.1:0".parse().unwrap())
        .await
        .unwrap_err();
    let words = "192.0.2.1 is not an address of this machine; see --host";
    assert_eq!(foreign.to_string(), words);
}

fn local() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

#[test]
fn the_url_can_be_opened() {
    for (address, url) in [
        ("127.0.0.1:4100", "http://127.0.0.1:4100/"),
        ("0.0.0.0:80", "http://127.0.0.1:80/"),
        ("[::]:4100", "http://[::1]:4100/"),
        ("[fe80::1]:4100", "http://[fe80::1]:4100/"),
    ] {
        assert_eq!(command::url("http", address.parse().unwrap()), url);
    }
}

#[tokio::test]
async fn a_server_runs_until_its_ending_begins() {
    let options = parse(&["--port", "0"]).unwrap();
    let (tell, told) = tokio::sync::oneshot::channel::<Ending>();
    let router = |ending: Ending| {
        tell.send(ending).expect("the test waits");
        Router::new().route("/", get(|| async { "hello" }))
    };
    let running = command::run("server", &options, &NO_TLS, Config::default(), router);
    let end = async { told.await.expect("the router was made").begin() };
    let (code, ()) = tokio::join!(running, end);
    assert_eq!(code, ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_busy_port_is_a_failure() {
    let (_taken, address) = command::bind(SocketAddr::new(local(), 0)).await.unwrap();
    let options = parse(&["--port", &address.port().to_string()]).unwrap();
    let never = |_: Ending| unreachable!("there is nothing to route");
    let code =
        command::run("server", &options, &NO_TLS, Config::default(), never).await;
    assert_eq!(code, ExitCode::FAILURE);
}

/// A whole process, from its one line to the signal and its exit code.
#[cfg(unix)]
mod process {
    use super::*;
    use futures_util::StreamExt;
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpStream,
        process::{Child, ChildStdout, Stdio},
    };

    /// Set in the process that plays the server.
    const PLAY: &str = "SERVING_TEST_PLAYS_SERVER";

    /// Not a test: what the tests below start, as a process of its own.
    #[tokio::test]
    async fn server() {
        if std::env::var_os(PLAY).is_none() {
            return;
        }
        let options = parse(&["--port", "0"]).unwrap();
        let config = Config {
            drain: std::time::Duration::from_secs(600),
            ..Config::default()
        };
        // A stream that notices the ending, says so, and goes on all the same.
        let router = |ending: Ending| {
            let rude = move || {
                let begun = ending.begun();
                async move {
                    let words = futures_util::stream::once(async {
                        begun.await;
                        Ok::<_, io::Error>("still here")
                    });
                    axum::body::Body::from_stream(
                        words.chain(futures_util::stream::pending()),
                    )
                }
            };
            Router::new().route("/rude", get(rude))
        };
        let running = command::run("server", &options, &NO_TLS, config, router);
        // A hang guard, and no process left behind.
        let code =
            tokio::time::timeout(std::time::Duration::from_secs(30), running).await;
        assert_eq!(code, Ok(ExitCode::SUCCESS));
    }

    fn read_until(peer: &mut TcpStream, seen: &mut String, text: &str) {
        while !seen.contains(text) {
            let mut buffer = [0; 256];
            let count = peer.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the server closed after {seen:?}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    struct Server {
        child: Child,
        output: BufReader<ChildStdout>,
        address: SocketAddr,
    }

    impl Server {
        fn start() -> Self {
            let mut child =
                std::process::Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "process::server", "--nocapture"])
                    .env(PLAY, "1")
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let address = loop {
                let mut line = String::new();
                assert_ne!(
                    output.read_line(&mut line).unwrap(),
                    0,
                    "no address was printed"
                );
                if let Some((_, rest)) = line.split_once("server: http://") {
                    break rest.trim_end().trim_end_matches('/').parse().unwrap();
                }
            };
            Self {
                child,
                output,
                address,
            }
        }

        fn signal(&self, signal: &str) {
            let pid = self.child.id().to_string();
            let killed = std::process::Command::new("kill")
                .args([signal, &pid])
                .status();
            assert!(killed.unwrap().success());
        }

        fn succeeded(mut self) -> bool {
            let mut rest = String::new();
            self.output.read_to_string(&mut rest).unwrap();
            self.child.wait().unwrap().success()
        }
    }

    #[test]
    fn a_signal_ends_a_server() {
        for signal in ["-INT", "-TERM"] {
            let server = Server::start();
            server.signal(signal);
            assert!(server.succeeded(), "{signal}");
        }
    }

    #[test]
    fn a_second_signal_cuts_what_is_open() {
        let server = Server::start();
        let mut peer = TcpStream::connect(server.address).unwrap();
        // A hang guard.
        let long = Some(std::time::Duration::from_secs(30));
        peer.set_read_timeout(long).unwrap();
        peer.write_all(b"GET /rude HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        // Not before the request has come, or the connection is idle and closes.
        let mut seen = String::new();
        read_until(&mut peer, &mut seen, "\r\n\r\n");
        server.signal("-INT");
        read_until(&mut peer, &mut seen, "still here");
        server.signal("-INT");
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        assert!(server.succeeded());
    }
}
