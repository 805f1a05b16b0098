//! The program of a method, with and without a port for its metrics and a record of
//! what it sends. The flags are the same for all: see `method::run`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};
use testbed::{Metrics, HANG};

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Program {
    fn start(flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sse"));
        command.args(["--port", "0", "--rate", "0"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// `127.0.0.1:PORT`, from its first line.
    fn address(&mut self) -> String {
        let line = self.line();
        let address = line.strip_prefix("sse: http://").unwrap();
        address.strip_suffix('/').unwrap().to_owned()
    }

    /// Its answers to requests for these paths.
    fn ask(mut self, paths: &[&str]) -> Vec<String> {
        let address = self.address();
        paths.iter().map(|path| get(&address, path)).collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close");
    write!(stream, "{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_program_has_a_port_for_its_metrics_if_it_is_asked_for_one() {
    let mut program = Program::start(&["--metrics-port", "0"]);
    let server = program.address();
    let line = program.line();
    let metrics = line.strip_prefix("sse metrics: http://127.0.0.1:").unwrap();
    let metrics = format!("127.0.0.1:{}", metrics.strip_suffix("/metrics").unwrap());
    let written = get(&server, "/status").len();
    let answer = get(&metrics, "/metrics");
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let counts = Metrics::parse(text);
    assert_eq!(counts.0["waiting_written_bytes_total"], written as f64);
    assert_eq!(counts.0["waiting_waits_open{method=\"sse\"}"], 0.0);
}

#[test]
fn without_the_flag_there_is_no_such_port() {
    let mut program = Program::start(&[]);
    assert!(program.line().starts_with("sse: http://"));
    program.child.kill().unwrap();
    let mut rest = String::new();
    program.out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_program_keeps_what_goes_over_watched_connections_if_it_is_asked_to() {
    const KEY: &str = "0123456789abcdef";
    let wire = format!("/wire?tap={KEY}");
    let watched = format!("/status?tap={KEY}");
    let answers = Program::start(&["--tap"]).ask(&[&watched, &wire]);
    let kept = &answers[1];
    assert!(kept.starts_with("HTTP/1.1 200 "), "{kept}");
    // `GET /status?tap=0`, in Base64.
    assert!(kept.contains("R0VUIC9zdGF0dXM/dGFwPT"), "{kept}");
    let answers = Program::start(&[]).ask(&[&watched, &wire]);
    assert!(answers[0].starts_with("HTTP/1.1 200 "), "{answers:?}");
    assert!(answers[1].starts_with("HTTP/1.1 404 "), "{answers:?}");
    assert!(answers[1].contains("not-found"), "{answers:?}");
}
