//! The program from outside: its arguments, its one line, its exit code, and what it leaves on the
//! disk.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

/// How long to wait for something that should happen at once, on a busy machine.
const HANG: Duration = Duration::from_secs(60);

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_site"));
    prepare(&mut command, directory, arguments);
    command
}

fn prepare<'a>(command: &'a mut Command, directory: &Path, arguments: &[&str]) -> &'a mut Command {
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG");
    // With it, a panic would print a backtrace: the tests look for one.
    command.env("RUST_BACKTRACE", "1")
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().unwrap()
}

/// Any free ports. The usual ones are those of a reader's own `cargo run`, which may be running
/// beside the tests.
const ANY_PORTS: [&str; 4] = ["--port", "0", "--push-port", "0"];

/// A book of one chapter with the text `chapter`.
fn book(chapter: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("src/assets")).unwrap();
    fs::write(root.join("book.toml"), "[book]\ntitle = \"A small book\"\n").unwrap();
    fs::write(
        root.join("src/SUMMARY.md"),
        "# Summary\n\n- [One](one.md)\n",
    )
    .unwrap();
    fs::write(root.join("src/assets/live.json"), "{\"live\":false}\n").unwrap();
    fs::write(root.join("src/one.md"), chapter).unwrap();
    directory
}

/// Exactly one line, on standard error, that holds all of `parts`; no panic, and not even a word of
/// a backtrace.
#[track_caller]
fn fails_in_one_line(output: &Output, code: i32, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("site: "), "{error}");
    for part in parts {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    for word in ["panicked", "backtrace", "RUST_BACKTRACE"] {
        assert!(!error.contains(word), "{error}");
    }
}

/// A running server, ended with the test.
struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    address: String,
    /// The same of the port for metrics, where one was asked for.
    metrics: Option<String>,
    /// The lines of standard error, as they come.
    errors: mpsc::Receiver<String>,
    /// Where it keeps the book that it serves. The test's own, because the drop below kills it
    /// without giving it the time to tidy up.
    temporary: TempDir,
}

impl Server {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_site"));
        Self::start_by(&mut program, directory, arguments)
    }

    /// The same by another program, which runs it.
    fn start_by(program: &mut Command, directory: &Path, arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = prepare(program, directory, arguments)
            // Any free one, so that servers of several tests do not meet on the usual one.
            .args(["--push-port", "0"])
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, errors) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = |before: &str, after: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let address = line.trim().strip_prefix(before);
            let address = address.and_then(|rest| rest.strip_suffix(after));
            let Some(address) = address.map(str::to_owned) else {
                panic!(
                    "no address in {line:?}; {:?}",
                    errors.iter().collect::<Vec<_>>()
                );
            };
            address
        };
        let asked = arguments.contains(&"--metrics-port");
        Self {
            address: address("site: http://", "/"),
            metrics: asked.then(|| address("site metrics: http://", "/metrics")),
            child,
            errors,
            temporary,
        }
    }

    /// The whole response to a GET.
    fn get(&self, path: &str) -> String {
        get(&self.address, &self.address, path)
    }

    /// The next line of standard error that contains `part`.
    fn error(&self, part: &str) -> String {
        let until = Instant::now() + HANG;
        loop {
            let line = self
                .errors
                .recv_timeout(until.saturating_duration_since(Instant::now()));
            match line {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {part:?}: {error}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn metrics_have_a_port_of_their_own_that_is_not_counted() {
    let book = book("# One\n");
    let flags = ["--port", "0", "--rate", "0", "--metrics-port", "0"];
    let server = Server::start(book.path(), &flags);
    let metrics = server.metrics.as_deref().unwrap();
    let read = |path| get(metrics, metrics, path);
    let counts = |answer: &str| {
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        testbed::Metrics::parse(text)
    };
    let first = read("/metrics");
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let (head, _) = first.split_once("\r\n\r\n").unwrap();
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(head.lines().any(|line| line == kind), "{head}");
    assert!(read("/").starts_with("HTTP/1.1 404"));
    let foreign = get(metrics, "other.example", "/metrics");
    assert!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
    // Of all this nothing was counted.
    let first = counts(&first);
    assert_eq!(counts(&read("/metrics")), first);
    assert_eq!(first.0["waiting_connections_opened_total"], 0.0);
    // And what the book answers is counted, of every method.
    for method in ["polling", "long-polling", "sse", "websocket"] {
        let path = format!("/live/{method}/status?after=17");
        assert!(server.get(&path).starts_with("HTTP/1.1 400"), "{method}");
    }
    let now = counts(&read("/metrics"));
    let refusals = "waiting_refusals_total{problem=\"bad-cursor\"}";
    assert_eq!(now.get(refusals), 4.0, "{now:?}");
    assert_eq!(now.get("waiting_requests_total"), 4.0, "{now:?}");
    // On the book's own port there is no such page.
    let page = server.get("/metrics");
    assert!(page.starts_with("HTTP/1.1 404"), "{page}");
}

#[test]
#[cfg(unix)]
fn a_connection_and_a_publish_are_spans_for_who_asks() {
    let book = book("# One\n");
    for level in ["debug", "info"] {
        let mut server = Server::start_by(
            Command::new("sh")
                .arg("-c")
                .arg(format!("NO_COLOR=1 RUST_LOG={level} exec \"$0\" \"$@\""))
                .arg(env!("CARGO_BIN_EXE_site")),
            book.path(),
            &["--port", "0", "--rate", "0"],
        );
        let event = r#"{"kind":"message","data":1}"#;
        for status in ["201", "200"] {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.set_read_timeout(Some(HANG)).unwrap();
            write!(
                stream,
                "POST /live/sse/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nIdempotency-Key: a\r\n\
                 Content-Length: {}\r\n\r\n{event}",
                server.address,
                event.len()
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.contains(status), "{answer}");
        }
        if level == "debug" {
            // The end of one connection and the publish of the next may come in either order.
            let (mut repeated, mut ended) = (vec![], 0);
            while (repeated.len(), ended) != (2, 2) {
                let line = server.error("ed");
                if line.contains("published") {
                    assert!(line.contains("publish{kind=message id="), "{line}");
                    repeated.push(line.contains(" repeated=true}"));
                } else if line.contains("a connection ended") {
                    assert!(line.contains("connection{peer=127.0.0.1:"), "{line}");
                    let closed = " protocol=HTTP/1.1 ended=\"closed\"}";
                    assert!(line.contains(closed), "{line}");
                    ended += 1;
                }
            }
            assert_eq!(repeated, [false, true]);
        } else {
            server.child.kill().unwrap();
            let lines: Vec<_> = server.errors.iter().collect();
            assert_eq!(lines, [""; 0], "the usual log has no word of them");
        }
    }
}

#[test]
fn a_port_for_metrics_is_told_of_in_its_own_words() {
    let book = book("# One\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(book.path(), &["--port", "0", "--metrics-port", &port]);
    let advice = "choose another with --metrics-port, or --metrics-port 0 for any free one";
    fails_in_one_line(&output, 1, &[&format!("port {port} is in use"), advice]);
    // An address alone is no port.
    let output = run(book.path(), &["--metrics-host", "127.0.0.1"]);
    fails_in_one_line(&output, 2, &["--metrics-port"]);
}

#[test]
fn a_busy_port_is_told_in_one_line() {
    let book = book("# One\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(book.path(), &["--port", &port]);
    fails_in_one_line(&output, 1, &[&format!("port {port} is in use"), "--port"]);
}

#[test]
fn a_busy_push_port_is_told_in_one_line_if_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = ["--port", "0", "--push-port", &port];
    let output = run(book("# One\n").path(), &arguments);
    let advice = "choose another with --push-port, or --push-port 0 for any free one";
    fails_in_one_line(&output, 1, &[&format!("port {port} is in use"), advice]);
}

#[test]
fn the_panel_of_http2_push_shows_an_exchange() {
    let book = book("# One\n");
    let server = Server::start(book.path(), &["--port", "0", "--rate", "0"]);
    let pushed = server.get("/live/http2-push/exchange?way=push&accept=true");
    assert!(pushed.contains("server PUSH_PROMISE stream=1"), "{pushed}");
    let refused = server.get("/live/http2-push/exchange?way=push&accept=false");
    assert!(refused.contains("ENABLE_PUSH = 0"), "{refused}");
    assert!(!refused.contains("PUSH_PROMISE"), "{refused}");
    let hinted = server.get("/live/http2-push/exchange?way=early-hints&accept=false");
    assert!(hinted.contains(":status: 103"), "{hinted}");
    let where_ = server.get("/live/http2-push/server");
    assert!(where_.contains("https://127.0.0.1:"), "{where_}");
    let wrong = server.get("/live/http2-push/exchange?way=other");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
}

/// How a connection that wants to wait was met.
#[cfg(target_os = "linux")]
fn wait(address: &str, path: &str, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"
    )
    .unwrap();
    let mut line = String::new();
    let mut byte = [0];
    while !line.ends_with("\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        line.push(char::from(byte[0]));
    }
    (stream, line)
}

/// What is kept under a key, and the bytes of it that went one way and the other.
fn kept(server: &Server, key: &str) -> (Value, [Vec<u8>; 2]) {
    let answer = server.get(&format!("/live/wire?tap={key}&after=0"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A page of another site may not read it.
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let kept: Value = serde_json::from_str(body).unwrap();
    let pieces = kept["pieces"].as_array().unwrap();
    let bytes = ["up", "down"].map(|way| {
        let of_way = pieces.iter().filter(|piece| piece["way"] == way);
        let data = of_way.map(|piece| STANDARD.decode(piece["data"].as_str().unwrap()));
        data.flat_map(Result::unwrap).collect()
    });
    (kept, bytes)
}

#[test]
fn what_goes_over_a_watched_connection_is_kept() {
    const KEY: &str = "0123456789abcdef0123";
    let book = book("# One\n");
    let mut server = Server::start_by(
        Command::new("env")
            .arg("RUST_LOG=trace")
            .arg(env!("CARGO_BIN_EXE_site")),
        book.path(),
        &["--port", "0", "--rate", "0"],
    );
    let address = &server.address.clone();
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                  Sec-WebSocket-Protocol: waiting.v1\r\n";
    // A masked close, whose mask makes nothing else of it.
    let close: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
    for (number, path, headers, last, then) in [
        (1, "sse/events", "", "event: hello", &b""[..]),
        (2, "long-polling/events", "", "}", b""),
        (3, "websocket/events", socket, "\"hello\"", close),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        let head =
            format!("GET /live/{path}?tap={KEY} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut received = Vec::new();
        let mut read = |stream: &mut TcpStream, last: &str| {
            let mut bytes = [0; 4096];
            while !String::from_utf8_lossy(&received).contains(last) {
                let count = stream.read(&mut bytes).unwrap();
                assert_ne!(count, 0, "{}", String::from_utf8_lossy(&received));
                received.extend_from_slice(&bytes[..count]);
            }
        };
        read(&mut stream, last);
        stream.write_all(then).unwrap();
        // Whatever it still says, until both have closed.
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut received).unwrap();
        let sent = [head.as_bytes(), then].concat();
        let until = Instant::now() + HANG;
        // The record of all ends with that of this connection.
        loop {
            let (kept, [up, down]) = kept(&server, KEY);
            let connections = kept["connections"].as_array().unwrap();
            let is_closed = connections.iter().all(|it| !it["closed"].is_null());
            if connections.len() == number && is_closed {
                assert!(up.ends_with(&sent), "{path}");
                assert!(down.ends_with(&received), "{path}");
                // Of a WebSocket whose close is answered either may be the first.
                let by = &connections[number - 1]["by"];
                assert!(by == "client" || !then.is_empty(), "{path}: {by}");
                break;
            }
            assert!(Instant::now() < until, "{path}: {connections:?}");
            thread::yield_now();
        }
    }
    // No route minds the key.
    for method in ["polling", "long-polling", "sse", "websocket"] {
        for (target, body, status) in [
            ("GET /status?", "", 200),
            ("POST /events?", r#"{"kind":"message","data":1}"#, 201),
            ("POST /cut?connection=nobody&", "", 404),
        ] {
            let target = target.replacen(" /", &format!(" /live/{method}/"), 1);
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(HANG)).unwrap();
            write!(
                stream,
                "{target}tap={KEY} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{method} {target}: {answer}");
        }
    }
    // Who reads it is not in it, and nothing is under another key.
    let (kept_all, [up, _]) = kept(&server, KEY);
    assert!(!String::from_utf8_lossy(&up).contains("/live/wire"));
    assert_eq!(kept_all["dropped"], 0);
    assert_eq!(kept(&server, "another0another0").0["next"], 0);
    let foreign = get(address, "example.org", &format!("/live/wire?tap={KEY}"));
    assert!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
    // A key is its page's alone: no log has it, whatever the log is asked for.
    server.child.kill().unwrap();
    let lines: Vec<_> = server.errors.iter().collect();
    assert!(lines.iter().any(|line| line.contains("a connection ended")));
    assert_eq!(lines.iter().find(|line| line.contains(KEY)), None);
}

#[test]
fn a_server_that_others_reach_keeps_a_record_only_where_it_is_asked_to() {
    let book = book("# One\n");
    let everywhere = ["--port", "0", "--rate", "0", "--host", "0.0.0.0"];
    for (more, status) in [(&[][..], "404"), (&["--tap"], "200")] {
        let server = Server::start(book.path(), &[&everywhere, more].concat());
        let answer = server.get("/live/wire?tap=0123456789abcdef");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn however_many_wait_the_page_status_and_a_publish_are_served() {
    let book = book("# One\n\nThe page.\n");
    let connections = "60";
    // As many descriptors as the limits add up to, and not one more.
    let descriptors = 60 + 6 + 64 + 8 + 48;
    let limited = Server::start_by(
        Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_site")),
        book.path(),
        &[
            "--port",
            "0",
            "--rate",
            "0",
            "--max-connections",
            connections,
        ],
    );
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let socket = format!("{upgrade}Sec-WebSocket-Protocol: waiting.v1\r\n");
    let first = limited.get("/live/long-polling/events");
    let (_, cursor) = first.split_once("\"next\":\"").unwrap();
    let (cursor, _) = cursor.split_once('"').unwrap();
    let poll = format!("/live/long-polling/events?after={cursor}");
    let mut waiting = Vec::new();
    let mut refused = Vec::new();
    // Half of all are refused, and stay connected as a browser does.
    for _ in 0..36 {
        for (path, headers, opened) in [
            ("/live/sse/events", "", "HTTP/1.1 200"),
            ("/live/websocket/events", &*socket, "HTTP/1.1 101"),
            ("/live/websocket/echo", upgrade, "HTTP/1.1 101"),
        ] {
            let (stream, line) = wait(&limited.address, path, headers);
            if line.starts_with(opened) {
                waiting.push(stream);
            } else {
                assert!(line.starts_with("HTTP/1.1 503"), "{path}: {line:?}");
                refused.push(stream);
            }
        }
    }
    assert_eq!(waiting.len(), 54, "nine of ten connections");
    let parked = wait(&limited.address, &poll, "Prefer: wait=25\r\n");
    assert!(parked.1.starts_with("HTTP/1.1 503"), "{}", parked.1);
    // And some that ask nothing at all.
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(&limited.address).unwrap())
        .collect();

    assert!(limited.get("/one.html").contains("The page."));
    let status = limited.get("/live/sse/status");
    assert!(status.starts_with("HTTP/1.1 503"), "{status}");
    assert!(status.contains("2026:busy"), "{status}");
    assert!(limited
        .get("/live/polling/status")
        .starts_with("HTTP/1.1 200"));
    let event = r#"{"kind":"message","data":1}"#;
    let mut stream = TcpStream::connect(&limited.address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    write!(
        stream,
        "POST /live/sse/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
        limited.address,
        event.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let pushed = limited.get("/live/http2-push/exchange?way=push&accept=true");
    assert!(pushed.contains("PUSH_PROMISE"), "{pushed}");
    drop((waiting, refused, silent));
}

#[test]
fn limits_that_do_not_add_up_are_told_in_one_line() {
    let book = book("# One\n");
    for (arguments, code, parts) in [
        (
            ["--max-connections", "9"],
            2,
            ["from 10 to 1000000", "--max-connections"],
        ),
        (
            ["--max-streams", "721"],
            1,
            ["--max-streams 721", "at most 720"],
        ),
        (["--max-sockets", "0"], 2, ["1 or more", "--max-sockets"]),
        (["--heartbeat", "0"], 2, ["from 1 to 3600", "--heartbeat"]),
        (
            ["--heartbeat", "18446744073709551615"],
            2,
            ["from 1 to 3600", "--heartbeat"],
        ),
        (["--keep-events", "0"], 2, ["1 or more", "--keep-events"]),
        (["--rate", "1e-20"], 2, ["0.001", "--rate"]),
    ] {
        fails_in_one_line(&run(book.path(), &arguments), code, &parts);
    }
}

#[test]
fn a_wrong_argument_is_told_in_one_line() {
    let book = book("# One\n");
    fails_in_one_line(
        &run(book.path(), &["--prot", "1"]),
        2,
        &["--prot", "'--port'", "--help"],
    );
    fails_in_one_line(
        &run(book.path(), &["--port", "many"]),
        2,
        &["'many'", "--port"],
    );
    fails_in_one_line(&run(book.path(), &["--port"]), 2, &["--port"]);
    fails_in_one_line(&run(book.path(), &["biuld"]), 2, &["'biuld'", "'build'"]);
    fails_in_one_line(&run(book.path(), &["build", "--watch"]), 2, &["--watch"]);
    fails_in_one_line(
        &run(book.path(), &["serve", "--rate", "-1"]),
        2,
        &["--rate"],
    );
}

#[test]
fn help_is_no_error() {
    let output = run(Path::new("/"), &["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--host",
        "--port",
        "--rate",
        "--seed",
        "--open",
        "[default: 4000]",
        "[default: 2]",
    ] {
        assert!(help.contains(flag), "no {flag} in {help}");
    }
}

/// Whoever opens the repository in a development container gets the book in a window: where the
/// program serves it.
#[test]
fn the_development_container_opens_the_port_of_the_book() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../.devcontainer/devcontainer.json"
    );
    let container: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let port = &container["forwardPorts"][0];
    let opened = &container["portsAttributes"][port.to_string()]["onAutoForward"];
    assert_eq!(opened, "openPreview");
    assert_eq!(container["postAttachCommand"]["book"], "cargo run");
    let help = String::from_utf8(run(Path::new("/"), &["--help"]).stdout).unwrap();
    assert!(
        help.contains(&format!("[default: {port}]")),
        "{port} is not in {help}"
    );
}

#[test]
fn a_missing_book_is_told_in_one_line() {
    let empty = tempfile::tempdir().unwrap();
    fails_in_one_line(
        &run(empty.path(), &["build"]),
        1,
        &["no book here", "book.toml"],
    );
    fails_in_one_line(
        &run(empty.path(), &ANY_PORTS),
        1,
        &["no book here", "book.toml"],
    );
}

#[test]
fn a_broken_book_is_told_in_one_line() {
    for (chapter, parts) in [
        (
            "# One\n\n{{#include nowhere.rs}}\n",
            ["nowhere.rs", "No such file"],
        ),
        (
            "# One\n\n```rust\n{{#rustdoc_include nowhere.rs:here}}\n```\n",
            ["nowhere.rs:here", "No such file"],
        ),
        ("# One\n\n{{#include one.md}}\n", ["one.md", "cyclic"]),
    ] {
        let book = book(chapter);
        let broken = [&["the book is broken"][..], &parts].concat();
        fails_in_one_line(&run(book.path(), &["build"]), 1, &broken);
        fails_in_one_line(&run(book.path(), &ANY_PORTS), 1, &broken);
        assert!(!book.path().join("book").exists());
    }

    let book = book("# One\n");
    fs::write(
        book.path().join("src/SUMMARY.md"),
        "# Summary\n\n- [One](one.md)\n- [Two](two.md)\n",
    )
    .unwrap();
    fails_in_one_line(
        &run(book.path(), &["build"]),
        1,
        &["the book is broken", "two.md"],
    );
    assert!(
        !book.path().join("src/two.md").exists(),
        "a build wrote into the sources"
    );
    fs::write(book.path().join("book.toml"), "[book\n").unwrap();
    fails_in_one_line(
        &run(book.path(), &["build"]),
        1,
        &["the book is broken", "book.toml"],
    );
}

#[test]
fn build_writes_a_static_site() {
    let book = book("# One\n\nThe first text.\n");
    // From a directory below the book's root, too.
    let output = run(&book.path().join("src"), &["build"]);
    assert!(output.status.success(), "{output:?}");
    let built = book.path().join("book");
    assert!(fs::read_to_string(built.join("one.html"))
        .unwrap()
        .contains("The first text."));
    assert!(!fs::read_to_string(built.join("one.html"))
        .unwrap()
        .contains("data-reload"));
    // Where a page finds what it runs without a server: each module beside those that it imports.
    assert!(fs::read_to_string(built.join("one.html"))
        .unwrap()
        .contains("data-modules=\"assets/modules/\""));
    for module in [
        "book/questions.js",
        "book/questions.css",
        "sse/event-stream.js",
        "sse/panel.js",
    ] {
        assert!(
            built.join("assets/modules").join(module).exists(),
            "{module}"
        );
    }
    // But no page of a server of its own.
    assert!(!built.join("assets/modules/sse/index.html").exists());
    assert_eq!(
        fs::read_to_string(built.join("assets/live.json"))
            .unwrap()
            .trim(),
        r#"{"live":false}"#
    );

    // A later build takes its place, whole.
    fs::write(
        book.path().join("src/one.md"),
        "# One\n\nThe second text.\n",
    )
    .unwrap();
    fs::write(
        book.path().join("src/SUMMARY.md"),
        "# Summary\n\n- [One](one.md)\n- [Two](two.md)\n",
    )
    .unwrap();
    fs::write(book.path().join("src/two.md"), "# Two\n").unwrap();
    assert!(run(book.path(), &["build"]).status.success());
    assert!(built.join("two.html").exists());
    fs::write(
        book.path().join("src/SUMMARY.md"),
        "# Summary\n\n- [One](one.md)\n",
    )
    .unwrap();
    assert!(run(book.path(), &["build"]).status.success());
    assert!(fs::read_to_string(built.join("one.html"))
        .unwrap()
        .contains("The second text."));
    assert!(!built.join("two.html").exists());

    // A broken one leaves the last good one alone, and nothing beside it.
    fs::write(book.path().join("src/one.md"), "{{#include nowhere.rs}}\n").unwrap();
    assert!(!run(book.path(), &["build"]).status.success());
    assert!(fs::read_to_string(built.join("one.html"))
        .unwrap()
        .contains("The second text."));
    let mut names: Vec<_> = fs::read_dir(book.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["book", "book.toml", "src"]);
}

#[test]
fn a_site_has_the_worker_that_it_is_built_with() {
    let book = book("# One\n");
    let built = book.path().join("book");
    let read = |name| fs::read_to_string(built.join(name)).unwrap();
    let output = run(book.path(), &["build"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("its panels have no server"), "{said}");

    let worker = tempfile::tempdir().unwrap();
    for name in ["worker.js", "start.js", "server-0a1b2c3d.wasm"] {
        fs::write(worker.path().join(name), name).unwrap();
    }
    let with = ["build", "--worker", worker.path().to_str().unwrap()];
    let output = run(book.path(), &with);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("no server"), "{said}");
    for name in [
        "worker.js",
        "assets/worker/start.js",
        "assets/worker/server-0a1b2c3d.wasm",
    ] {
        assert!(name.ends_with(&read(name)), "{name}");
    }
    let live: Value = serde_json::from_str(&read("assets/live.json")).unwrap();
    assert_eq!(live["live"], false);
    let worker_of = &live["worker"];
    assert_eq!(worker_of["script"], "worker.js");
    assert_eq!(worker_of["start"], "assets/worker/start.js");
    assert_eq!(worker_of["methods"]["sse"], "in-browser/sse/");

    // What no worker is at is no site, and the one that is there stays.
    let nowhere = ["build", "--worker", "nowhere"];
    fails_in_one_line(&run(book.path(), &nowhere), 1, &["nowhere"]);
    assert!(built.join("worker.js").exists());
    // And a build without one has none.
    assert!(run(book.path(), &["build"]).status.success());
    assert!(!built.join("worker.js").exists());
    assert_eq!(read("assets/live.json").trim(), r#"{"live":false}"#);
}

#[test]
fn the_environment_says_where_the_book_is_published() {
    let book = book("# One\n");
    let root = book.path();
    fs::create_dir(root.join("theme")).unwrap();
    let head = "<meta property=\"og:image\" content=\"{{ path_to_root }}assets/card.png\">";
    fs::write(root.join("theme/head.hbs"), head).unwrap();
    let page = |name| fs::read_to_string(root.join("book").join(name)).unwrap();

    // Here nobody knows it: no page links to a repository, and the picture is beside the page.
    assert!(run(root, &["build"]).status.success());
    for part in ["Suggest an edit", "Git repository"] {
        assert!(!page("one.html").contains(part), "{part}");
    }
    assert!(page("404.html").contains("<base href=\"/\">"));
    assert!(page("one.html").contains("content=\"assets/card.png\""));
    assert!(!page("one.html").contains("canonical"));
    assert!(!root.join("book/sitemap.xml").exists());

    let published = |url| {
        command(root, &["build"])
            .env("MDBOOK_OUTPUT__HTML__SITE_URL", url)
            .env(
                "MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL",
                "https://code.example/ada/book",
            )
            .env(
                "MDBOOK_OUTPUT__HTML__EDIT_URL_TEMPLATE",
                "https://code.example/ada/book/edit/main/{path}",
            )
            .output()
            .unwrap()
    };
    assert!(published("https://ada.example/async-book/")
        .status
        .success());
    assert!(page("404.html").contains("<base href=\"/async-book/\">"));
    for part in [
        "content=\"https://ada.example/async-book/assets/card.png\"",
        "<link rel=\"canonical\" href=\"https://ada.example/async-book/\">",
        "href=\"https://code.example/ada/book\"",
        "href=\"https://code.example/ada/book/edit/main/src/one.md\"",
    ] {
        assert!(page("one.html").contains(part), "{part}");
    }

    assert_eq!(
        page("sitemap.xml").matches("<loc>").count(),
        1,
        "one chapter, which is also the page of the site"
    );
    assert!(!page("404.html").contains("canonical"));

    let wrong = published("ada.example");
    fails_in_one_line(&wrong, 1, &["site-url", "\"ada.example\""]);
}

#[test]
fn build_replaces_nothing_but_a_book() {
    let book = book("# One\n");
    for dest in ["src", "."] {
        let output = run(book.path(), &["build", "--dest", dest]);
        fails_in_one_line(&output, 1, &["is not empty", "--dest"]);
        assert_eq!(
            fs::read_to_string(book.path().join("src/one.md")).unwrap(),
            "# One\n"
        );
    }
    // A published site that mdBook has written, in a repository of its own; a book of ours to which
    // somebody has added something.
    let elsewhere = tempfile::tempdir().unwrap();
    let pages = elsewhere.path().join("pages");
    fs::create_dir_all(pages.join(".git/refs")).unwrap();
    for name in [".nojekyll", "index.html", "CNAME", ".git/HEAD"] {
        fs::write(pages.join(name), "theirs").unwrap();
    }
    let dest = pages.to_str().unwrap();
    let output = run(book.path(), &["build", "--dest", dest]);
    fails_in_one_line(&output, 1, &[dest, "is not empty", "--dest"]);
    let theirs = |name| fs::read_to_string(pages.join(name)).unwrap();
    assert_eq!(theirs("index.html"), "theirs");

    fs::remove_dir_all(&pages).unwrap();
    assert!(run(book.path(), &["build", "--dest", dest])
        .status
        .success());
    for foreign in ["CNAME", ".git/HEAD", "sse/", "css/mine.css"] {
        let path = pages.join(foreign);
        if foreign.ends_with('/') {
            fs::create_dir(&path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "theirs").unwrap();
        }
        let output = run(book.path(), &["build", "--dest", dest]);
        fails_in_one_line(&output, 1, &["is not empty", foreign, "--dest"]);
        assert!(path.exists(), "{foreign}");
        match foreign {
            ".git/HEAD" => fs::remove_dir_all(pages.join(".git")).unwrap(),
            "sse/" => fs::remove_dir(&path).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
    assert!(run(book.path(), &["build", "--dest", dest])
        .status
        .success());

    let dest = elsewhere.path().join("deep/site");
    assert!(
        run(book.path(), &["build", "--dest", dest.to_str().unwrap()])
            .status
            .success()
    );
    assert!(dest.join("index.html").is_file());
    assert!(!book.path().join("book").exists());
}

#[test]
fn serving_leaves_the_sources_alone_and_watches_only_when_told() {
    let book = book("# One\n\nThe first text.\n");
    let server = Server::start(book.path(), &["--port", "0", "--rate", "0"]);
    let page = server.get("/one.html");
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(page.contains("The first text."), "{page}");
    assert!(!page.contains("data-reload"), "{page}");
    assert!(server
        .get("/live/reload/events")
        .starts_with("HTTP/1.1 404 "));
    assert!(server.get("/assets/live.json").contains(r#""live":true"#));
    assert_eq!(
        fs::read_to_string(book.path().join("src/assets/live.json")).unwrap(),
        "{\"live\":false}\n"
    );
    assert!(!book.path().join("book").exists());
}

#[cfg(unix)]
#[test]
fn an_ended_server_leaves_nothing_behind() {
    let book = book("# One\n");
    let mut server = Server::start(book.path(), &["serve", "--watch", "--port", "0"]);
    assert!(server.get("/one.html").starts_with("HTTP/1.1 200 "));
    let kept = |server: &Server| fs::read_dir(server.temporary.path()).unwrap().count();
    // Nor does a running one need what a cleaner of such directories could take.
    assert_eq!(kept(&server), 0);
    let pid = server.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    assert!(server.child.wait().unwrap().success());
    assert_eq!(kept(&server), 0);
}

#[test]
fn another_hosts_name_is_refused() {
    let book = book("# One\n");
    let server = Server::start(book.path(), &["--port", "0"]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 421 "), "{response}");
}

#[test]
fn watching_shows_a_change_and_survives_a_broken_book() {
    let book = book("# One\n\nThe first text.\n");
    let chapter = book.path().join("src/one.md");
    let server = Server::start(
        book.path(),
        &["serve", "--watch", "--port", "0", "--rate", "0"],
    );
    assert!(server.get("/one.html").contains("The first text."));

    fs::write(&chapter, "# One\n\nThe second text.\n").unwrap();
    server.error("rebuilt");
    assert!(server.get("/one.html").contains("The second text."));

    fs::write(&chapter, "# One\n\n{{#include nowhere.rs}}\n").unwrap();
    let told = server.error("broken");
    assert!(
        told.contains("nowhere.rs") && told.contains("last good"),
        "{told}"
    );
    assert!(server.get("/one.html").contains("The second text."));

    // As many editors save: a new file takes the old one's place.
    fs::write(book.path().join("src/new"), "# One\n\nThe third text.\n").unwrap();
    fs::rename(book.path().join("src/new"), &chapter).unwrap();
    server.error("rebuilt");
    while !server.get("/one.html").contains("The third text.") {
        // The first of the two steps was built alone; the second follows.
        server.error("rebuilt");
    }
}
