//! What the servers count, beside what a client did and read.

use anyhow::{ensure, Context as _};
use contract::{metrics, ProblemKind};
use harness::{still_feed, Server};
use libtest_mimic::{Arguments, Trial};
use method::{Host, Method};
use serving::metrics::Recorder;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io::Write as _,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};
use testbed::{
    eventually, in_time,
    parts::{self, installed, Missing},
    wire, Metrics, HANG,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn main() -> ExitCode {
    let mut trials = vec![
        trial("long_polling_is_counted", long_polling_is_counted),
        trial("polling_is_counted", polling_is_counted),
        trial("age_is_counted", age_is_counted),
        trial("refusals_are_counted", refusals_are_counted),
        trial("connections_are_counted", connections_are_counted),
        trial("ticks_are_counted", ticks_are_counted),
        trial("labels_are_bounded", labels_are_bounded),
        Trial::ignorable_test("prometheus_reads_the_text", || {
            parts::outcome(run(prometheus_reads_the_text))
        }),
    ];
    for stream in streams() {
        let name = stream.method.name;
        trials.push(trial(&format!("{name}_is_counted"), || is_counted(stream)));
    }
    for method in all() {
        let name = format!("the_bytes_of_{}_are_counted", method.name);
        trials.push(trial(&name, move || the_bytes_are_counted(method)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial<F: Future<Output = anyhow::Result<()>>>(
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, || {
        run(test).map_err(|error| format!("{error:#}").into())
    })
}

/// On one thread, so that all that the test makes is counted by the test's own recorder.
fn run<F: Future<Output = anyhow::Result<()>>>(test: impl FnOnce() -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Each wait in a test has a limit of its own.
    runtime.block_on(test())
}

/// The methods of the book, and a sixth.
fn all() -> Vec<Method> {
    let mut methods = site::methods();
    methods.push(json_lines::METHOD);
    methods
}

/// A method in which a stream waits.
struct Stream {
    method: Method,
    /// Headers with which it is opened.
    headers: &'static str,
    /// What is read when it is open.
    open: &'static str,
}

fn streams() -> [Stream; 3] {
    [
        Stream {
            method: sse::METHOD,
            headers: "",
            open: "event: hello",
        },
        Stream {
            method: websocket::METHOD,
            headers: UPGRADE,
            open: "\"hello\"",
        },
        Stream {
            method: json_lines::METHOD,
            headers: "",
            open: "{\"hello\"",
        },
    ]
}

const UPGRADE: &str = "\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
                       Sec-WebSocket-Protocol: waiting.v1";

/// A server whose log keeps two events, and what it counts.
struct Stand {
    server: Server,
    recorder: Recorder,
    /// What was counted when it was last compared.
    before: Metrics,
    _here: ::metrics::LocalRecorderGuard<'static>,
}

impl Stand {
    async fn new(method: Method) -> Self {
        Self::with(method, serving::Config::default()).await
    }

    async fn with(method: Method, edge: serving::Config) -> Self {
        Self::of(method, edge, |host| host).await
    }

    async fn of(method: Method, edge: serving::Config, change: fn(Host) -> Host) -> Self {
        // For the rest of the process: the guard borrows it.
        let recorder: &'static Recorder = Box::leak(Box::default());
        let here = ::metrics::set_default_local_recorder(recorder);
        let router = |log, ending| (method.router)(change(Host::alone(log, ending)));
        let server = Server::start_with(still_feed(2), edge, router).await;
        // Its edge makes its handles in its own task.
        eventually("the edge", || {
            recorder.text().contains("waiting_requests_total")
        })
        .await;
        Self {
            server,
            recorder: recorder.clone(),
            before: Metrics::default(),
            _here: here,
        }
    }

    fn now(&self) -> Metrics {
        Metrics::parse(&self.recorder.text())
    }

    /// Waits until this, and nothing else, was counted since the last call: of what is not counted
    /// by connections, requests and bytes.
    async fn counts(&mut self, what: &str, expected: &[(&str, f64)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(series, value)| (format!("waiting_{series}"), *value))
            .collect();
        let mut changes = BTreeMap::new();
        let wait = async {
            loop {
                changes = self.now().since(&self.before);
                changes.retain(|series, _| {
                    let edge = ["connections", "requests", "read_bytes", "written_bytes"];
                    !edge
                        .iter()
                        .any(|edge| series.starts_with(&format!("waiting_{edge}")))
                });
                if changes == expected {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        // A guard against hanging that shows what was counted instead.
        if tokio::time::timeout(HANG / 2, wait).await.is_err() {
            assert_eq!(changes, expected, "{what}");
        }
        self.before = self.now();
    }

    async fn connect(&self) -> Peer {
        let socket = TcpStream::connect(self.server.address).await;
        Peer {
            socket: socket.expect("the server listens"),
            read: Vec::new(),
            seen: 0,
            written: 0,
        }
    }

    async fn open(&self, stream: &Stream, query: &str) -> Peer {
        let mut peer = self.connect().await;
        let head = format!("GET /events?{query} HTTP/1.1\nHost: 127.0.0.1");
        peer.send(&format!("{head}{}", stream.headers), "").await;
        peer.until(stream.open).await;
        peer
    }

    /// The answer to a request on a connection of its own.
    async fn ask(&self, head: &str, body: &str) -> String {
        let mut peer = self.connect().await;
        let head = format!("{head}\nHost: 127.0.0.1\nConnection: close");
        peer.send(&head, body).await;
        peer.end().await;
        String::from_utf8(peer.read).expect("text")
    }

    async fn publish(&self, headers: &str) -> u16 {
        let answer = self.ask(&format!("{POST}{headers}"), EVENT).await;
        let status = answer.split(' ').nth(1).map(str::parse);
        status.expect("a status line").expect("a number")
    }
}

const EVENT: &str = r#"{"kind":"message","data":1}"#;
const POST: &str = "POST /events HTTP/1.1\nContent-Type: application/json\nContent-Length: 27";

/// A connection that knows its bytes.
struct Peer {
    socket: TcpStream,
    read: Vec<u8>,
    /// How many of them were looked at.
    seen: usize,
    written: usize,
}

impl Peer {
    async fn send(&mut self, head: &str, body: &str) {
        let text = format!("{}{body}", wire(head));
        self.write(text.as_bytes()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.written += bytes.len();
        let written = self.socket.write_all(bytes).await;
        written.expect("the server takes it");
    }

    /// Reads until this comes after what was looked at before.
    async fn until(&mut self, text: &str) {
        in_time(text, async {
            loop {
                let rest = &self.read[self.seen..];
                let found = rest
                    .windows(text.len())
                    .position(|part| part == text.as_bytes());
                if let Some(at) = found {
                    self.seen += at + text.len();
                    return;
                }
                let count = self.socket.read_buf(&mut self.read).await;
                let read = String::from_utf8_lossy(&self.read);
                assert!(matches!(count, Ok(1..)), "no {text:?} in {read}");
            }
        })
        .await;
    }

    /// Reads to the end of the connection.
    async fn end(&mut self) {
        // An error is an end as well.
        let _ = in_time("the end", self.socket.read_to_end(&mut self.read)).await;
    }
}

/// A frame of text of a client, whose mask is 0.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    assert!(length < 126, "a short text");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A series of this metric, its method first.
fn of(method: Method, metric: &str, labels: &str) -> String {
    format!("{metric}{{method=\"{}\"{labels}}}", method.name)
}

/// The buckets of the lag that count one who was behind by this many events, with sum and count.
fn lag(method: Method, behind: u32) -> Vec<(String, f64)> {
    let metrics::MetricKind::Histogram(bounds) = metrics::CURSOR_LAG.kind else {
        panic!("no histogram");
    };
    let behind = f64::from(behind);
    let bounds = bounds.iter().filter(|bound| **bound >= behind);
    let bounds = bounds.map(ToString::to_string).chain(["+Inf".to_owned()]);
    let bucket = |bound| {
        let labels = format!(",le=\"{bound}\"");
        (of(method, "cursor_lag_events_bucket", &labels), 1.0)
    };
    let mut lag: Vec<_> = bounds.map(bucket).collect();
    lag.push((of(method, "cursor_lag_events_sum", ""), behind));
    lag.push((of(method, "cursor_lag_events_count", ""), 1.0));
    lag
}

/// These counts, each of this method.
fn counts(method: Method, counts: &[(&str, &str, f64)]) -> Vec<(String, f64)> {
    let counts = counts.iter();
    counts
        .map(|(metric, labels, change)| (of(method, metric, labels), *change))
        .collect()
}

/// As [`Stand::counts`] takes them.
fn borrowed(counts: &[(String, f64)]) -> Vec<(&str, f64)> {
    counts
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect()
}

fn reason(reason: &str) -> String {
    format!(",reason=\"{reason}\"")
}

const OPENS: [(&str, &str, f64); 2] = [("waits_open", "", 1.0), ("waits_opened_total", "", 1.0)];

impl Stand {
    async fn opens(&mut self, method: Method) {
        let opens = counts(method, &OPENS);
        self.counts("a wait opens", &borrowed(&opens)).await;
    }

    async fn ends(&mut self, method: Method, why: &str) {
        let why = reason(why);
        let ends = [("waits_open", "", -1.0), ("waits_ended_total", &why, 1.0)];
        let ends = counts(method, &ends);
        self.counts(&format!("a wait ends{why}"), &borrowed(&ends))
            .await;
    }

    async fn gap(&mut self, method: Method, why: &str, first: &[(String, f64)]) {
        let mut gap = counts(method, &[("gaps_total", &reason(why), 1.0)]);
        gap.extend_from_slice(first);
        self.counts(why, &borrowed(&gap)).await;
    }
}

async fn is_counted(stream: Stream) -> anyhow::Result<()> {
    let method = stream.method;
    let mut stand = Stand::new(method).await;
    let mut peer = stand.open(&stream, "after=latest").await;
    stand.opens(method).await;

    // One event, to one client.
    ensure!(stand.publish("\nIdempotency-Key: a").await == 201);
    peer.until("k3f9x2.1").await;
    let delivered = ("delivered_events_total", "", 1.0);
    let mut once = counts(method, &[("published_events_total", "", 1.0), delivered]);
    once.extend(lag(method, 1));
    stand.counts("an event", &borrowed(&once)).await;
    ensure!(stand.publish("\nIdempotency-Key: a").await == 200);
    let again = counts(method, &[("repeated_publishes_total", "", 1.0)]);
    stand.counts("the same again", &borrowed(&again)).await;
    drop(peer);
    stand.ends(method, "gone").await;

    // Cut on request.
    let mut peer = stand.open(&stream, "connection=me&after=latest").await;
    stand.opens(method).await;
    let cut = "POST /cut?connection=me HTTP/1.1\nContent-Length: 0";
    ensure!(stand.ask(cut, "").await.starts_with("HTTP/1.1 204"));
    peer.end().await;
    stand.ends(method, "cut").await;

    // A client that comes back too late, to two events of three: and to another log.
    for _ in 0..2 {
        ensure!(stand.publish("").await == 201);
    }
    let two = counts(method, &[("published_events_total", "", 2.0)]);
    stand.counts("two events", &borrowed(&two)).await;
    let kept = |method| {
        let mut kept = counts(method, &OPENS);
        kept.extend(counts(method, &[("delivered_events_total", "", 2.0)]));
        kept.extend(lag(method, 2));
        kept
    };
    for (after, why) in [("k3f9x2.0", "expired"), ("a7b2c9.9", "new-log")] {
        let mut peer = stand.open(&stream, &format!("after={after}")).await;
        peer.until("k3f9x2.3").await;
        stand.gap(method, why, &kept(method)).await;
        drop(peer);
        stand.ends(method, "gone").await;
    }
    if method.name == "sse" {
        let head = "GET /events HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: 17";
        let mut peer = stand.connect().await;
        peer.send(head, "").await;
        peer.until("id: k3f9x2.3").await;
        stand.gap(method, "unknown", &kept(method)).await;
        drop(peer);
        stand.ends(method, "gone").await;
    }

    // The log is finished, and then the server.
    let mut peer = stand.open(&stream, "after=latest").await;
    stand.opens(method).await;
    stand.server.feed.finish();
    if method.name == "websocket" {
        peer.until("finished").await;
    } else {
        peer.until("\"finished\"").await;
    }
    stand.ends(method, "finished").await;

    let mut stand = Stand::new(method).await;
    let mut peer = stand.open(&stream, "after=latest").await;
    stand.opens(method).await;
    stand.server.ending.begin();
    peer.until("shutdown").await;
    stand.ends(method, "shutdown").await;
    Ok(())
}

/// What a client of the two reads at the end is what it reads at a shutdown. The count tells them
/// apart.
async fn age_is_counted() -> anyhow::Result<()> {
    for stream in streams() {
        let method = stream.method;
        if method.name == json_lines::METHOD.name {
            // It knows no age.
            continue;
        }
        let young = |mut host: Host| {
            host.max_age = Some(Duration::from_millis(200));
            host
        };
        let mut stand = Stand::of(method, serving::Config::default(), young).await;
        let mut peer = stand.open(&stream, "after=latest").await;
        stand.opens(method).await;
        peer.until("shutdown").await;
        stand.ends(method, "aged").await;
    }
    Ok(())
}

async fn long_polling_is_counted() -> anyhow::Result<()> {
    let method = long_polling::METHOD;
    let mut stand = Stand::new(method).await;
    let poll = |after: &str, wait| {
        format!("GET /events?connection=me&after={after} HTTP/1.1\nPrefer: wait={wait}")
    };
    let parked =
        |after: &str, wait| format!("{}\nHost: 127.0.0.1\nConnection: close", poll(after, wait));

    // Answered with an event.
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.0", 20), "").await;
    stand.opens(method).await;
    ensure!(stand.publish("").await == 201);
    peer.end().await;
    let answered = reason("answered");
    let mut once = counts(
        method,
        &[
            ("published_events_total", "", 1.0),
            ("delivered_events_total", "", 1.0),
            ("waits_open", "", -1.0),
            ("waits_ended_total", &answered, 1.0),
        ],
    );
    once.extend(lag(method, 1));
    stand.counts("answered", &borrowed(&once)).await;

    // Nothing came.
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.1", 1), "").await;
    stand.opens(method).await;
    peer.end().await;
    stand.ends(method, "timed-out").await;

    // The client goes.
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.1", 20), "").await;
    stand.opens(method).await;
    drop(peer);
    stand.ends(method, "gone").await;

    // It is cut.
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.1", 20), "").await;
    stand.opens(method).await;
    let cut = "POST /cut?connection=me HTTP/1.1\nContent-Length: 0";
    ensure!(stand.ask(cut, "").await.starts_with("HTTP/1.1 204"));
    peer.end().await;
    stand.ends(method, "cut").await;

    // What is due at once is no wait, and neither is a gap.
    let answer = stand.ask(&poll("k3f9x2.0", 20), "").await;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut due = counts(method, &[("delivered_events_total", "", 1.0)]);
    due.extend(lag(method, 1));
    stand.counts("due", &borrowed(&due)).await;
    refuses_gaps(&mut stand, method).await?;

    // The log is finished while it waits.
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.3", 20), "").await;
    stand.opens(method).await;
    stand.server.feed.finish();
    peer.end().await;
    stand.ends(method, "finished").await;

    let mut stand = Stand::new(method).await;
    let mut peer = stand.connect().await;
    peer.send(&parked("k3f9x2.0", 20), "").await;
    stand.opens(method).await;
    stand.server.ending.begin();
    peer.end().await;
    stand.ends(method, "shutdown").await;
    Ok(())
}

/// Where a log page cannot follow a cursor, there is a gap and a refusal.
async fn refuses_gaps(stand: &mut Stand, method: Method) -> anyhow::Result<()> {
    let published = stand.server.feed.state().latest.id.get();
    for _ in published..3 {
        ensure!(stand.publish("").await == 201);
    }
    let events = (3 - published) as f64;
    let some = counts(method, &[("published_events_total", "", events)]);
    stand.counts("three events", &borrowed(&some)).await;
    for (after, why) in [("k3f9x2.0", "expired"), ("a7b2c9.9", "new-log")] {
        let head = format!("GET /events?after={after} HTTP/1.1\nPrefer: wait=20");
        let answer = stand.ask(&head, "").await;
        ensure!(answer.starts_with("HTTP/1.1 410"), "{answer}");
        let refusal = format!("refusals_total{{problem=\"{why}\"}}");
        stand.gap(method, why, &[(refusal, 1.0)]).await;
        // A question about it is refused, and no client has missed anything.
        let head = format!("GET /status?after={after} HTTP/1.1");
        ensure!(stand.ask(&head, "").await.starts_with("HTTP/1.1 410"));
        let refusal = format!("refusals_total{{problem=\"{why}\"}}");
        stand.counts("status", &[(&refusal, 1.0)]).await;
    }
    Ok(())
}

async fn polling_is_counted() -> anyhow::Result<()> {
    let method = polling::METHOD;
    let mut stand = Stand::new(method).await;
    ensure!(stand.publish("\nIdempotency-Key: a").await == 201);
    ensure!(stand.publish("\nIdempotency-Key: a").await == 200);
    let published = [
        ("published_events_total", "", 1.0),
        ("repeated_publishes_total", "", 1.0),
    ];
    let published = counts(method, &published);
    stand.counts("publishes", &borrowed(&published)).await;
    let poll = "GET /events?after=k3f9x2.0 HTTP/1.1";
    ensure!(stand.ask(poll, "").await.contains("k3f9x2.1"));
    let mut due = counts(method, &[("delivered_events_total", "", 1.0)]);
    due.extend(lag(method, 1));
    stand.counts("a page", &borrowed(&due)).await;
    // An empty page delivers nothing.
    let poll = "GET /events?after=k3f9x2.1 HTTP/1.1";
    ensure!(stand.ask(poll, "").await.contains("[]"));
    stand.counts("an empty page", &[]).await;
    refuses_gaps(&mut stand, method).await
}

async fn refusals_are_counted() -> anyhow::Result<()> {
    let mut stand = Stand::new(websocket::METHOD).await;
    let json = "Content-Type: application/json";
    let large = "x".repeat(70_000);
    let asks: [(&str, String, &str); 10] = [
        ("not-found", "GET /nothing HTTP/1.1".into(), ""),
        ("method-not-allowed", "PUT /events HTTP/1.1".into(), ""),
        ("upgrade-required", "GET /events HTTP/1.1".into(), ""),
        (
            "bad-cursor",
            format!("GET /events?after=17 HTTP/1.1{UPGRADE}"),
            "",
        ),
        (
            "future-cursor",
            format!("GET /events?after=k3f9x2.99 HTTP/1.1{UPGRADE}"),
            "",
        ),
        (
            "bad-subprotocol",
            format!("GET /events HTTP/1.1{UPGRADE}").replace("waiting.v1", "other"),
            "",
        ),
        (
            "bad-event",
            format!("POST /events HTTP/1.1\n{json}\nContent-Length: 2"),
            "{}",
        ),
        (
            "not-json",
            "POST /events HTTP/1.1\nContent-Length: 2".into(),
            "{}",
        ),
        // What the handler would have answered counts for nothing: the edge does.
        (
            "too-large",
            format!(
                "POST /events HTTP/1.1\n{json}\nContent-Length: {}",
                large.len()
            ),
            &large,
        ),
        (
            "foreign-origin",
            format!("{POST}\nOrigin: https://other.example"),
            EVENT,
        ),
    ];
    for (problem, head, body) in asks {
        let answer = stand.ask(&head, body).await;
        let named = format!("2026:{problem}\"");
        ensure!(answer.contains(&named), "{problem}: {answer}");
        let refusal = format!("refusals_total{{problem=\"{problem}\"}}");
        stand.counts(problem, &[(&refusal, 1.0)]).await;
    }
    let mut peer = stand.connect().await;
    peer.send("GET / HTTP/1.1\nHost: other.example", "").await;
    peer.until("wrong-host").await;
    let refusal = "refusals_total{problem=\"wrong-host\"}";
    stand.counts("wrong-host", &[(refusal, 1.0)]).await;

    // On an open socket, where the edge sees no answer.
    let [_, socket, _] = streams();
    let mut peer = stand.open(&socket, "after=latest").await;
    stand.opens(socket.method).await;
    let refusal = "refusals_total{problem=\"bad-event\"}";
    peer.write(&frame("{}")).await;
    peer.until("bad-event").await;
    stand.counts("no message", &[(refusal, 1.0)]).await;
    let publish = |data: u8| {
        frame(&format!(
            r#"{{"publish":{{"ref":"a","kind":"message","data":{data}}}}}"#
        ))
    };
    peer.write(&publish(1)).await;
    peer.until("\"event\"").await;
    let delivered = ("delivered_events_total", "", 1.0);
    let published = [("published_events_total", "", 1.0), delivered];
    let mut once = counts(socket.method, &published);
    once.extend(lag(socket.method, 1));
    stand.counts("a publish", &borrowed(&once)).await;
    peer.write(&publish(1)).await;
    peer.until("\"ack\"").await;
    let again = counts(socket.method, &[("repeated_publishes_total", "", 1.0)]);
    stand.counts("the same again", &borrowed(&again)).await;
    peer.write(&publish(2)).await;
    peer.until("key-reused").await;
    let refusal = "refusals_total{problem=\"key-reused\"}";
    stand.counts("another", &[(refusal, 1.0)]).await;
    stand.server.ending.begin();
    peer.until("shutdown").await;
    stand.ends(socket.method, "shutdown").await;
    Ok(())
}

/// The gauge goes up and down again, and each end is the one that it was.
async fn connections_are_counted() -> anyhow::Result<()> {
    let stand = Stand::new(sse::METHOD).await;
    let ended = |why: &str| format!("waiting_connections_ended_total{{reason=\"{why}\"}}");
    let open = |stand: &Stand| stand.now().get("waiting_connections_open");
    let ends = |stand: &Stand| {
        let ends = metrics::ConnectionEnd::NAMES.iter();
        let ends = ends.map(|why| (*why, stand.now().get(&ended(why))));
        ends.filter(|(_, count)| *count > 0.0).collect::<Vec<_>>()
    };
    // As many have ended as there are reasons, and for these.
    let end = async |stand: &Stand, reasons: &[&'static str]| {
        let all = || ends(stand).iter().map(|(_, count)| count).sum::<f64>();
        eventually("an end", || all() >= reasons.len() as f64).await;
        let mut expected: Vec<_> = reasons.iter().map(|why| (*why, 1.0)).collect();
        expected.sort_by_key(|(why, _)| {
            metrics::ConnectionEnd::NAMES
                .iter()
                .position(|it| it == why)
        });
        assert_eq!(ends(stand), expected);
    };
    // In order.
    stand.ask("GET /status HTTP/1.1", "").await;
    end(&stand, &["closed"]).await;
    // No HTTP.
    let mut peer = stand.connect().await;
    peer.write(b"nonsense\r\n\r\n").await;
    peer.end().await;
    end(&stand, &["closed", "failed"]).await;
    // The client goes while its request waits.
    let [sse, ..] = streams();
    let mut peer = stand.open(&sse, "after=latest").await;
    ensure!(open(&stand) == 1.0, "{}", open(&stand));
    // What is closed with something unread is reset, and so fails.
    peer.until("\n\n\r\n").await;
    drop(peer);
    end(&stand, &["closed", "failed", "gone"]).await;
    // A socket.
    let sockets = Stand::new(websocket::METHOD).await;
    let [_, socket, _] = streams();
    let peer = sockets.open(&socket, "after=latest").await;
    ensure!(open(&sockets) == 1.0, "it is open as a socket");
    drop(peer);
    end(&sockets, &["upgraded"]).await;
    // One that is idle gives way to another.
    let edge = serving::Config {
        max_connections: 1,
        ..serving::Config::default()
    };
    let narrow = Stand::with(polling::METHOD, edge).await;
    let mut idle = narrow.connect().await;
    idle.send("GET /status HTTP/1.1\nHost: 127.0.0.1", "").await;
    idle.until("finished").await;
    narrow.ask("GET /status HTTP/1.1", "").await;
    end(&narrow, &["closed", "dropped"]).await;
    for stand in [&stand, &sockets, &narrow] {
        let now = stand.now();
        ensure!(now.get("waiting_connections_open") == 0.0);
        let all: f64 = ends(stand).iter().map(|(_, count)| count).sum();
        ensure!(all == now.get("waiting_connections_opened_total"));
    }
    // What is open when the patience ends.
    let mut half = stand.connect().await;
    half.write(b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        .await;
    half.write(b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        .await;
    eventually("the request", || {
        stand.now().get("waiting_requests_total") == 3.0
    })
    .await;
    stand.server.ending.cut();
    end(&stand, &["closed", "failed", "gone", "cut"]).await;
    Ok(())
}

/// Bytes and requests are those of the client: of a page, of a publish and of a stream to its end.
async fn the_bytes_are_counted(method: Method) -> anyhow::Result<()> {
    let stand = Stand::new(method).await;
    let before = stand.now();
    let mut peers = Vec::new();
    for (head, body) in [
        ("GET / HTTP/1.1", ""),
        ("GET /status HTTP/1.1", ""),
        (POST, EVENT),
        ("GET /nothing HTTP/1.1", ""),
    ] {
        let mut peer = stand.connect().await;
        let head = format!("{head}\nHost: 127.0.0.1\nConnection: close");
        peer.send(&head, body).await;
        peer.end().await;
        peers.push(peer);
    }
    let stream = streams()
        .into_iter()
        .find(|it| it.method.name == method.name);
    let mut last = stand.connect().await;
    let headers = stream.as_ref().map_or("\nPrefer: wait=20", |it| it.headers);
    let head = format!("GET /events?after=k3f9x2.1 HTTP/1.1\nHost: 127.0.0.1{headers}");
    last.send(&head, "").await;
    if let Some(stream) = stream {
        last.until(stream.open).await;
    } else {
        eventually("the last request", || {
            stand.now().get("waiting_requests_total") == 5.0
        })
        .await;
    }
    let mut publish = stand.connect().await;
    let head = format!("{POST}\nHost: 127.0.0.1\nConnection: close");
    publish.send(&head, EVENT).await;
    publish.end().await;
    stand.server.ending.begin();
    // A socket is open until both have closed it.
    if headers == UPGRADE {
        last.until("shutdown").await;
        last.socket.shutdown().await?;
    }
    last.end().await;
    peers.extend([last, publish]);
    eventually("the end", || {
        stand.now().get("waiting_connections_open") == 0.0
    })
    .await;
    let now = stand.now().since(&before);
    let read: usize = peers.iter().map(|peer| peer.read.len()).sum();
    let written: usize = peers.iter().map(|peer| peer.written).sum();
    ensure!(
        now["waiting_written_bytes_total"] == read as f64,
        "{read}: {now:?}"
    );
    ensure!(
        now["waiting_read_bytes_total"] == written as f64,
        "{written}: {now:?}"
    );
    ensure!(now["waiting_requests_total"] == 6.0, "{now:?}");
    Ok(())
}

/// What the server itself publishes has its own name.
async fn ticks_are_counted() -> anyhow::Result<()> {
    let recorder: &'static Recorder = Box::leak(Box::default());
    let _here = ::metrics::set_default_local_recorder(recorder);
    let log = still_feed(10);
    let mut ticks = log.subscribe(contract::Position::Earliest)?;
    let ticking = tokio::spawn(waiting::ticker::run(log.clone(), "1000".parse()?, 1));
    ticks.next().await.context("a tick")?;
    log.finish();
    ticking.await??;
    let published = Metrics::parse(&recorder.text());
    let ticks = published.get("waiting_published_events_total{method=\"ticker\"}");
    ensure!(ticks == log.state().latest.id.get() as f64, "{ticks}");
    Ok(())
}

/// Every series of a server is of the list, and so is every value of its labels: a client has sent
/// names of its own wherever it may.
async fn labels_are_bounded() -> anyhow::Result<()> {
    let methods: BTreeSet<_> = all().iter().map(|method| method.name).collect();
    for method in all() {
        let stand = Stand::new(method).await;
        let series = stand.now().0.len();
        for head in [
            "GET /mine?connection=mine&after=mine HTTP/1.1\nHost: 127.0.0.1",
            "MINE /events HTTP/1.1\nHost: 127.0.0.1",
            "GET /events?after=mine&connection=mine HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: mine",
            "POST /mine HTTP/1.1\nHost: 127.0.0.1\nOrigin: https://mine.example\nContent-Length: 0",
            "GET /events HTTP/1.1\nHost: mine.example",
            &format!("GET /events?connection=mine HTTP/1.1\nHost: 127.0.0.1{UPGRADE}"),
        ] {
            let mut peer = stand.connect().await;
            peer.send(head, "").await;
            peer.until("HTTP/1.1").await;
        }
        stand.publish("\nIdempotency-Key: mine").await;
        let now = stand.now();
        ensure!(now.0.len() == series, "there are as many as before");
        ensure!(series > 50, "they are there from the beginning: {series}");
        for series in now.0.keys() {
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.trim_end_matches('}')),
                None => (&**series, ""),
            };
            let listed = metrics::ALL.iter().find(|metric| {
                let suffix = name.strip_prefix(metric.name);
                suffix.is_some_and(|it| matches!(it, "" | "_bucket" | "_sum" | "_count"))
            });
            let listed = listed.with_context(|| format!("{series} is not in the list"))?;
            let labels = labels.split(',').filter(|label| !label.is_empty());
            for label in labels {
                let (label, value) = label.split_once('=').context("a label")?;
                let value = value.trim_matches('"');
                if label == "le" {
                    continue;
                }
                let known = listed.labels.iter().find(|it| it.name == label);
                let known = known.with_context(|| format!("{series}: {label}"))?;
                let is_known = match known.values {
                    Some(values) => values.contains(&value),
                    None => methods.contains(value) || value == metrics::TICKER,
                };
                ensure!(is_known, "{series}: {value}");
            }
        }
        for kind in ProblemKind::ALL {
            let series = format!("waiting_refusals_total{{problem=\"{}\"}}", kind.name());
            ensure!(now.0.contains_key(&series), "no {series}");
        }
    }
    Ok(())
}

/// The library of Prometheus for Python reads the text, and finds in it what is there.
async fn prometheus_reads_the_text() -> anyhow::Result<()> {
    let stand = Stand::new(sse::METHOD).await;
    stand.publish("").await;
    let [sse, ..] = streams();
    let mut peer = stand.open(&sse, "after=earliest").await;
    peer.until("k3f9x2.1").await;
    let text = stand.recorder.text();
    let script = "\
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type in ('counter', 'gauge', 'histogram'), family
    assert family.documentation, family
    for sample in family.samples:
        labels = ','.join(f'{name}=\"{value}\"' for name, value in sample.labels.items())
        print(sample.name + (f'{{{labels}}}' if labels else ''), sample.value)
";
    let mut python = Command::new("python3");
    let mut path = vec![installed("python")];
    path.extend(std::env::split_paths(
        &std::env::var_os("PYTHONPATH").unwrap_or_default(),
    ));
    python.env("PYTHONPATH", std::env::join_paths(path)?);
    python.args(["-c", script]);
    python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = python.spawn().context("python3").map_err(Missing)?;
    let mut stdin = child.stdin.take().context("its input")?;
    // An error here is one of the script, which says more.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named") {
        return Err(Missing(anyhow::anyhow!("pip install prometheus-client")).into());
    }
    ensure!(output.status.success(), "{errors}");
    let read = String::from_utf8(output.stdout)?;
    let read: BTreeMap<String, f64> = read
        .lines()
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        })
        .collect();
    ensure!(read == Metrics::parse(&text).0, "{read:#?}\n{text}");
    Ok(())
}
