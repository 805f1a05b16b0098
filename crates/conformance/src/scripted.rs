//! A server that follows a script, to test somebody else's client: it greets, cuts,
//! refuses, falls silent and ends, and looks at what the client asks next.

use crate::{Method, Report, Row, Verdict};
use contract::{socket::SUBPROTOCOL, PROBLEM_JSON, TYPE_PREFIX};
use futures_util::SinkExt;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout, Instant},
};
use tokio_tungstenite::{
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{frame::coding::CloseCode, CloseFrame, Message, Role},
    },
    WebSocketStream,
};
use url::Url;

/// How long the script waits for the client to come (back). Longer than the longest
/// back-off of the contract, 30 s.
const NEXT: Duration = Duration::from_secs(60);

/// A connection that stood for this long makes the next failure a first one again.
const HEALTHY: Duration = Duration::from_millis(5_200);

/// How long a client that should have stopped is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// What the script's 503 asks for, in seconds.
const RETRY_AFTER: u64 = 2;

/// The shortest wait after a failure, less what clocks differ by.
const LEAST_WAIT: Duration = Duration::from_millis(90);

/// The shortest pause after an empty page that was not waited for, less what clocks
/// differ by.
const LEAST_PAUSE: Duration = Duration::from_millis(950);

/// The largest head of a request taken.
const MAX_HEAD: usize = 64 * 1024;

const CURSOR: (&str, &str) = (
    "it_holds_a_cursor_before_the_first_event",
    "A client must hold a cursor before it waits.",
);
const WISH: (&str, &str) = (
    "it_asks_the_server_to_wait",
    "The header `Prefer: wait=N` says that the client is willing to wait for the answer, N seconds at most",
);
const PAUSE: (&str, &str) = (
    "it_pauses_after_an_empty_page_that_was_not_waited_for",
    "Then the client [pauses](#coming-back) before it asks again.",
);
const RESUME: (&str, &str) = (
    "it_comes_back_after_the_last_event_that_it_saw",
    "A client that was refused, cut off or left in silence comes back by itself, from its cursor.",
);
const UNKNOWN: (&str, &str) = (
    "it_ignores_what_it_does_not_know",
    "A client ignores members, kinds and control messages that it does not know.",
);
const GAP: (&str, &str) = (
    "it_goes_on_where_a_gap_resumes",
    "Go on from `resume`, and show the gap.",
);
const BUSY: (&str, &str) = (
    "it_waits_as_long_as_retry_after_asks",
    "Wait at least that long, and longer after each failure.",
);
const HAMMER: (&str, &str) = (
    "it_waits_after_each_failure",
    "at least 100 ms; the range ends at 30 s",
);
const LOGIN: (&str, &str) = (
    "a_login_page_does_not_end_it",
    "A login page with status 200, or a page that belongs to another question, does not.",
);
const OTHER: (&str, &str) = (
    "it_takes_nothing_from_the_answer_to_another_question",
    "The client takes nothing from such a page, and asks again [later](#coming-back).",
);
const SILENCE: (&str, &str) = (
    "it_takes_silence_for_the_end_of_the_connection",
    "A client that hears nothing at all for two such intervals and a second takes the connection for dead and reconnects.",
);
const SHUTDOWN: (&str, &str) = (
    "it_comes_back_after_a_shutdown",
    "this server is going away; the log goes on",
);
const FINISHED: (&str, &str) = (
    "it_stops_when_the_log_is_finished",
    "the log is complete and you have all of it",
);

/// What the script of a method tests, in its order.
fn plan(method: Method) -> Vec<(&'static str, &'static str)> {
    match method {
        Method::Polling => {
            vec![
                CURSOR, RESUME, UNKNOWN, GAP, BUSY, HAMMER, LOGIN, OTHER, FINISHED,
            ]
        }
        Method::LongPolling => vec![
            CURSOR, WISH, PAUSE, RESUME, UNKNOWN, GAP, BUSY, HAMMER, LOGIN, OTHER,
            FINISHED,
        ],
        Method::Sse | Method::WebSocket => vec![
            CURSOR, RESUME, UNKNOWN, GAP, BUSY, HAMMER, LOGIN, SILENCE, SHUTDOWN,
            FINISHED,
        ],
    }
}

/// The sentences that the scripts stand for.
pub fn sentences() -> Vec<&'static str> {
    let all = Method::ALL.iter().flat_map(|method| plan(*method));
    all.map(|(_, sentence)| sentence).collect()
}

/// A server that waits for its client.
pub struct Script {
    method: Method,
    base: Url,
    asks: mpsc::Receiver<Ask>,
    accepting: JoinHandle<()>,
    rows: Vec<Row>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The client did not come.
struct Gone;

/// A request for events, not answered yet.
struct Ask {
    /// What it names as its position.
    position: Option<String>,
    /// The head, for the headers.
    head: String,
    arrived: Instant,
    socket: TcpStream,
}

impl Script {
    /// A server on a free port of this machine.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn bind(method: Method) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/", listener.local_addr()?);
        let (sender, asks) = mpsc::channel(16);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let sender = sender.clone();
                // A browser opens connections ahead, on which nothing is asked.
                tokio::spawn(async move {
                    if let Ok(Some(ask)) = timeout(NEXT, read(socket, method)).await {
                        let _ = sender.send(ask).await;
                    }
                });
            }
        });
        let rows = plan(method)
            .into_iter()
            .map(|(name, sentence)| Row::new(name, sentence, Verdict::NotReached))
            .collect();
        Ok(Self {
            method,
            base: base.parse().expect("an address"),
            asks,
            accepting,
            rows,
        })
    }

    /// Where the client has to ask.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Plays the script with the first client that comes.
    pub async fn run(mut self) -> Report {
        // A client that stays away leaves the rest of the cases as they are.
        let _gone = match self.method {
            Method::Polling | Method::LongPolling => self.pages().await,
            Method::Sse | Method::WebSocket => self.streams().await,
        };
        Report {
            rows: std::mem::take(&mut self.rows),
        }
    }

    async fn next(&mut self) -> Result<Ask, Gone> {
        let ask = timeout(NEXT, self.asks.recv()).await;
        ask.ok().flatten().ok_or(Gone)
    }

    /// The next request, of which the verdict on this case depends. That it does not
    /// come is a failure as well.
    async fn next_for(&mut self, case: (&str, &str)) -> Result<Ask, Gone> {
        let next = self.next().await;
        if next.is_err() {
            let why =
                format!("the client did not come back within {} s", NEXT.as_secs());
            self.record(case, Err(why));
        }
        next
    }

    /// The first verdict on a case stays, unless a later one is a failure.
    fn record(&mut self, (name, _): (&str, &str), outcome: Result<(), String>) {
        let row = self.rows.iter_mut().find(|row| row.name == name);
        let row = row.expect("a case of the plan");
        match (outcome, &row.verdict) {
            (Err(why), _) => row.verdict = Verdict::Failed(why),
            (Ok(()), Verdict::NotReached) => row.verdict = Verdict::Passed,
            (Ok(()), _) => {}
        }
    }

    async fn streams(&mut self) -> Result<(), Gone> {
        let ask = self.next_for(CURSOR).await?;
        let mut link = Link::open(ask, self.method, 2, 15_000).await;
        link.cut();
        let ask = self.next_for(CURSOR).await?;
        self.record(CURSOR, check_cursor(&ask, 2));

        link = Link::open(ask, self.method, 2, 15_000).await;
        link.event(3).await;
        link.event(4).await;
        sleep(HEALTHY).await;
        link.cut();
        let ask = self.next_for(RESUME).await?;
        self.record(RESUME, check_cursor(&ask, 4));

        link = Link::open(ask, self.method, 4, 15_000).await;
        link.strange(5).await;
        link.cut();
        let ask = self.next_for(UNKNOWN).await?;
        self.record(UNKNOWN, check_cursor(&ask, 5));

        link = Link::open(ask, self.method, 5, 15_000).await;
        link.gap(5, 9).await;
        sleep(HEALTHY).await;
        link.cut();
        let ask = self.next_for(GAP).await?;
        self.record(GAP, check_cursor(&ask, 9));

        let ask = self.refusals(ask).await?;
        let mut link = Link::open(ask, self.method, 9, 200).await;
        link.event(10).await;
        // Left open, and silent.
        let ask = self.next_for(SILENCE).await?;
        self.record(SILENCE, check_cursor(&ask, 10));
        drop(link);

        let mut link = Link::open(ask, self.method, 10, 15_000).await;
        link.end("shutdown", CloseCode::Away).await;
        let ask = self.next_for(SHUTDOWN).await?;
        self.record(SHUTDOWN, check_cursor(&ask, 10));

        let mut link = Link::open(ask, self.method, 10, 15_000).await;
        link.event(11).await;
        link.end("finished", CloseCode::Normal).await;
        self.stopped().await;
        Ok(())
    }

    async fn pages(&mut self) -> Result<(), Gone> {
        let ask = self.next_for(CURSOR).await?;
        ask.page(2, &[], 2, "").await;
        let ask = self.next_for(CURSOR).await?;
        self.record(CURSOR, check_cursor(&ask, 2));

        let ask = if self.method == Method::LongPolling {
            let wish = match ask.header("prefer") {
                Some(value) if value.contains("wait=") => Ok(()),
                found => Err(format!("expected Prefer: wait=N, found {found:?}")),
            };
            self.record(WISH, wish);
            ask.page(2, &[], 2, "").await;
            let answered = Instant::now();
            let ask = self.next_for(PAUSE).await?;
            self.record(PAUSE, waited(&ask, answered, LEAST_PAUSE));
            ask
        } else {
            ask
        };

        ask.page(2, &[3, 4], 4, "").await;
        let ask = self.next_for(RESUME).await?;
        self.record(RESUME, check_cursor(&ask, 4));
        drop(ask);
        let ask = self.next_for(RESUME).await?;
        self.record(RESUME, check_cursor(&ask, 4));

        ask.strange_page(4, 5).await;
        let ask = self.next_for(UNKNOWN).await?;
        self.record(UNKNOWN, check_cursor(&ask, 5));

        let gap = format!(r#","asked":"{}","resume":"{}""#, at(5), at(9));
        ask.problem(410, "expired", &gap, "").await;
        let ask = self.next_for(GAP).await?;
        self.record(GAP, check_cursor(&ask, 9));

        let ask = self.refusals(ask).await?;
        ask.page(3, &[4], 4, "").await;
        let ask = self.next_for(OTHER).await?;
        self.record(OTHER, check_cursor(&ask, 9));

        ask.page(9, &[10], 10, r#","more":true"#).await;
        let ask = self.next_for(FINISHED).await?;
        ask.page(10, &[11], 11, r#","finished":true"#).await;
        self.stopped().await;
        Ok(())
    }

    /// What every method has in common: a full server, one that fails, and a login
    /// page. All from place 9.
    async fn refusals(&mut self, ask: Ask) -> Result<Ask, Gone> {
        let seconds = format!("Retry-After: {RETRY_AFTER}\r\n");
        ask.problem(503, "busy", "", &seconds).await;
        let mut failed = Instant::now();
        let mut ask = self.next_for(BUSY).await?;
        self.record(BUSY, check_cursor(&ask, 9));
        let least = Duration::from_secs(RETRY_AFTER);
        self.record(BUSY, waited(&ask, failed, least));
        for _ in 0..3 {
            drop(ask);
            failed = Instant::now();
            ask = self.next_for(HAMMER).await?;
            self.record(HAMMER, waited(&ask, failed, LEAST_WAIT));
            self.record(HAMMER, check_cursor(&ask, 9));
        }
        ask.login_page().await;
        let ask = self.next_for(LOGIN).await?;
        self.record(LOGIN, check_cursor(&ask, 9));
        Ok(ask)
    }

    async fn stopped(&mut self) {
        let outcome = match timeout(WATCHED, self.asks.recv()).await {
            Ok(Some(_)) => Err("the client came back after the end".to_owned()),
            Ok(None) | Err(_) => Ok(()),
        };
        self.record(FINISHED, outcome);
    }
}

/// A place in the script's log.
fn at(id: u64) -> String {
    format!("k3f9x2.{id}")
}

fn event(id: u64, more: &str) -> String {
    format!(
        r#"{{"id":"{}","at":"2026-01-01T00:00:00.000Z","kind":"message","data":{{"from":"Ada","text":"event {id}"}}{more}}}"#,
        at(id)
    )
}

/// Whether the client asks from this place.
fn check_cursor(ask: &Ask, id: u64) -> Result<(), String> {
    let expected = at(id);
    match &ask.position {
        Some(found) if *found == expected => Ok(()),
        found => Err(format!(
            "expected it to ask from {expected}, found {found:?}"
        )),
    }
}

/// Whether the client has let this much time pass. A slow machine makes it more.
fn waited(ask: &Ask, since: Instant, least: Duration) -> Result<(), String> {
    let passed = ask.arrived.saturating_duration_since(since);
    if passed >= least {
        Ok(())
    } else {
        Err(format!(
            "it came back after {} ms, which should be {} ms at least",
            passed.as_millis(),
            least.as_millis()
        ))
    }
}

/// Reads the head of a request; `None` where it is none for events, which is answered
/// here.
async fn read(mut socket: TcpStream, method: Method) -> Option<Ask> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = socket.read_buf(&mut bytes).await;
        if bytes.len() > MAX_HEAD || !matches!(read, Ok(1..)) {
            return None;
        }
    }
    let arrived = Instant::now();
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let target = head.split(' ').nth(1)?.to_owned();
    let url = Url::parse("http://localhost/").ok()?.join(&target).ok()?;
    let mut ask = Ask {
        position: None,
        head,
        arrived,
        socket,
    };
    if !ask.head.starts_with("GET ") || !url.path().ends_with("/events") {
        ask.problem(404, "not-found", "", "").await;
        return None;
    }
    let parameter = |name: &str| {
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(other, _)| other == name);
        found.map(|(_, value)| value.into_owned())
    };
    let is_there = |text: &String| !text.is_empty();
    let last = match method {
        Method::Sse => {
            let header = ask.header("last-event-id").map(str::to_owned);
            let header = header.filter(is_there);
            header.or_else(|| parameter("lastEventId").filter(is_there))
        }
        _ => None,
    };
    ask.position = last.or_else(|| parameter("after"));
    Some(ask)
}

impl Ask {
    /// The value of a header, by its name in lower case.
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .split("\r\n")
            .filter_map(|line| line.split_once(':'));
        let found = lines.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    async fn write(&mut self, text: &str) {
        // A client that has left is seen by what it asks next.
        let _ = self.socket.write_all(text.as_bytes()).await;
    }

    async fn answer(mut self, status: &str, kind: &str, headers: &str, body: &str) {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n{headers}\r\n{body}"
        );
        self.write(&text).await;
        let _ = self.socket.shutdown().await;
    }

    async fn problem(self, status: u16, name: &str, more: &str, headers: &str) {
        let body = format!(
            r#"{{"type":"{TYPE_PREFIX}{name}","title":"{name}","status":{status}{more}}}"#
        );
        let status = format!("{status} Problem");
        self.answer(&status, PROBLEM_JSON, headers, &body).await;
    }

    async fn page(self, after: u64, events: &[u64], next: u64, more: &str) {
        let events: Vec<String> = events.iter().map(|id| event(*id, "")).collect();
        let body = format!(
            r#"{{"after":"{}","events":[{}],"next":"{}"{more}}}"#,
            at(after),
            events.join(","),
            at(next)
        );
        self.answer("200 OK", "application/json", "", &body).await;
    }

    /// A page with members and a kind that are not in the contract.
    async fn strange_page(self, after: u64, id: u64) {
        let strange = event(id, r#","weather":"rain""#).replace("message", "weather");
        let body = format!(
            r#"{{"after":"{}","weather":[1],"events":[{strange}],"next":"{}"}}"#,
            at(after),
            at(id)
        );
        self.answer("200 OK", "application/json", "", &body).await;
    }

    async fn login_page(self) {
        let body = "<!doctype html><title>Log in</title>";
        self.answer("200 OK", "text/html", "", body).await;
    }
}

/// A stream or a socket that is open.
enum Link {
    Stream(TcpStream),
    Socket(Box<WebSocketStream<TcpStream>>),
}

impl Link {
    /// Accepts, and greets.
    async fn open(mut ask: Ask, method: Method, id: u64, every: u64) -> Self {
        let hello = format!(r#"{{"cursor":"{}","every":{every}}}"#, at(id));
        if method == Method::Sse {
            ask.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Cache-Control: no-store, no-transform\r\n\
                 Access-Control-Allow-Origin: *\r\n\
                 Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            )
            .await;
            let mut link = Self::Stream(ask.socket);
            let block = format!(
                "id: {}\nevent: hello\nretry: 1000\ndata: {hello}\n\n",
                at(id)
            );
            link.block(&block).await;
            return link;
        }
        let key = ask.header("sec-websocket-key").unwrap_or_default();
        let accept = derive_accept_key(key.as_bytes());
        ask.write(&format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        ))
        .await;
        let socket = WebSocketStream::from_raw_socket(ask.socket, Role::Server, None);
        let mut link = Self::Socket(Box::new(socket.await));
        link.message(format!(r#"{{"hello":{hello}}}"#)).await;
        link
    }

    /// Writes a piece of a stream.
    async fn block(&mut self, text: &str) {
        if let Self::Stream(socket) = self {
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            let _ = socket.write_all(chunk.as_bytes()).await;
        }
    }

    /// Sends a message on a socket.
    async fn message(&mut self, text: String) {
        if let Self::Socket(socket) = self {
            let _ = socket.send(Message::text(text)).await;
        }
    }

    async fn event(&mut self, id: u64) {
        let json = event(id, "");
        self.block(&format!("id: {}\ndata: {json}\n\n", at(id)))
            .await;
        self.message(format!(r#"{{"event":{json}}}"#)).await;
    }

    /// A control message and a member that are not in the contract, and an event of a
    /// kind that is not known.
    async fn strange(&mut self, id: u64) {
        let before = at(id - 1);
        let json = event(id, r#","weather":"rain""#).replace("message", "weather");
        self.block(&format!(
            "id: {before}\nevent: weather\ndata: {{\"rain\":true}}\n\n\
             : a comment\n\nid: {}\ndata: {json}\n\n",
            at(id)
        ))
        .await;
        self.message(r#"{"weather":{"rain":true}}"#.to_owned())
            .await;
        self.message(format!(r#"{{"event":{json}}}"#)).await;
    }

    async fn gap(&mut self, asked: u64, resume: u64) {
        let (asked, resume) = (at(asked), at(resume));
        let gap =
            format!(r#"{{"reason":"expired","asked":"{asked}","resume":"{resume}"}}"#);
        self.block(&format!("id: {resume}\nevent: gap\ndata: {gap}\n\n"))
            .await;
        self.message(format!(r#"{{"gap":{gap}}}"#)).await;
    }

    /// Ends on purpose.
    async fn end(&mut self, reason: &str, code: CloseCode) {
        let end = format!("event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n");
        self.block(&end).await;
        match self {
            Self::Stream(socket) => {
                let _ = socket.write_all(b"0\r\n\r\n").await;
                let _ = socket.shutdown().await;
            }
            Self::Socket(socket) => {
                let reason = "".into();
                let _ = (**socket).close(Some(CloseFrame { code, reason })).await;
            }
        }
    }

    /// Closes the connection without an end: no last chunk, no frame.
    fn cut(self) {}
}
