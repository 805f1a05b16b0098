//! Cases that read the bytes themselves.

use crate::{
    cases::{equal, Bench, Published, Started},
    observer::in_time,
    raw::{ask, send, Answer, Block, Blocks, Request, Whole, KEY},
    streams::{foreign, future, random_key},
    Method, Outcome,
};
use contract::{
    socket::SUBPROTOCOL, Accepted, Cursor, End, EndReason, Event, Gap, GapReason,
    Hello, LogPage, Position, ProblemKind, Status,
};
use futures_util::{future::join, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, fmt::Display, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Message, Role},
    },
    WebSocketStream,
};
use url::Url;

pub(crate) mod access;

pub(crate) const IS_RAW: bool = true;

impl Started {
    fn wire(&self) -> Result<(Method, &Url), String> {
        let address = self.running.address();
        address.ok_or_else(|| "there are no bytes to read".to_owned())
    }

    fn base(&self) -> Result<&Url, String> {
        Ok(self.wire()?.1)
    }

    async fn ask(&self, request: Request) -> Result<Whole, String> {
        ask(self.base()?, request).await
    }

    async fn page(&self, target: String) -> Result<LogPage, String> {
        self.ask(Request::get(target)).await?.json(200)
    }

    /// The body of a publish of the case's kind.
    fn body(&self, data: &str) -> String {
        format!(r#"{{"kind":"{}","data":{data}}}"#, self.kind)
    }

    async fn published(&self, request: Request, status: u16) -> Result<Cursor, String> {
        let Accepted { id } = self.ask(request).await?.json(status)?;
        Ok(id)
    }

    /// The end of the log as it is now.
    async fn end(&self) -> Result<Cursor, String> {
        self.place(Position::Latest).await
    }

    /// Where a client of the method begins that asks for this position. `status` would
    /// say it as well, but a server without it is to fail the cases on `status` alone.
    async fn place(&self, position: Position) -> Result<Cursor, String> {
        let (method, base) = self.wire()?;
        let query = format!("?after={position}");
        match method {
            Method::Polling | Method::LongPolling => {
                Ok(self.page(format!("events{query}")).await?.after)
            }
            Method::Sse => {
                let request = Request::events(method, &query);
                let mut blocks = Blocks::open(base, request).await?;
                Ok(hello(&mut blocks).await?.cursor)
            }
            Method::WebSocket => {
                let mut socket = Socket::open(base, &query).await?;
                Ok(socket.hello().await?.cursor)
            }
        }
    }

    /// The text of the first event of the case after this cursor, as it is on the wire.
    async fn event_text(&self, after: Cursor) -> Result<String, String> {
        let (method, base) = self.wire()?;
        let query = format!("?after={after}");
        let is_ours = |text: &str| text.contains(self.kind.as_str());
        match method {
            Method::Polling | Method::LongPolling => {
                #[derive(Deserialize)]
                struct Page {
                    events: Vec<Box<RawValue>>,
                }
                let page = self.ask(Request::events(method, &query)).await?;
                let Page { events } = page.json(200)?;
                let ours = events.into_iter().find(|event| is_ours(event.get()));
                let ours = ours.ok_or_else(|| format!("no event in {page}"))?;
                Ok(ours.get().to_owned())
            }
            Method::Sse => {
                let mut blocks =
                    Blocks::open(base, Request::events(method, &query)).await?;
                loop {
                    let block = blocks.block().await?;
                    match block.data {
                        Some(data) if block.event.is_none() && is_ours(&data) => {
                            return Ok(data)
                        }
                        _ => {}
                    }
                }
            }
            Method::WebSocket => {
                let mut socket = Socket::open(base, &query).await?;
                loop {
                    let text = socket.text().await?;
                    let inner = text.strip_prefix(r#"{"event":"#);
                    let inner = inner.and_then(|text| text.strip_suffix('}'));
                    match inner {
                        Some(event) if is_ours(event) => return Ok(event.to_owned()),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// A problem of the contract, with its own status.
fn problem(whole: &Whole, kind: ProblemKind) -> Result<contract::Problem, String> {
    whole.problem(kind.name(), &[kind.status()])
}

fn at<T>(what: impl Display, outcome: Result<T, String>) -> Result<T, String> {
    outcome.map_err(|error| format!("{what}: {error}"))
}

fn contains(header: Option<&str>, part: &str) -> bool {
    let mut parts = header.unwrap_or_default().split(',');
    parts.any(|found| found.trim().eq_ignore_ascii_case(part))
}

pub(crate) async fn status_shows_what_the_log_holds(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=2).await?;
    let last = published[1].cursor;
    let status: Status = server.ask(Request::get("status")).await?.json(200)?;
    if server.is_new {
        equal("latest", status.latest, last)?;
    }
    let Status {
        earliest, latest, ..
    } = status;
    let is_around = earliest.epoch == last.epoch
        && latest.epoch == last.epoch
        && earliest.id < published[0].cursor.id
        && latest.id >= last.id;
    if !is_around {
        return Err(format!(
            "from {earliest} to {latest} are not the events {} and {last}",
            published[0].cursor
        ));
    }
    equal("finished", status.finished, false)
}

pub(crate) async fn status_gives_the_verdict_of_a_wait(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=2).await?;
    let here = published[0].cursor;
    let verdict =
        |after: String| server.ask(Request::get(format!("status?after={after}")));
    let _: Status = verdict(here.to_string()).await?.json(200)?;
    let ahead = future(here);
    let found = verdict(ahead.to_string()).await?;
    let found = problem(&found, ProblemKind::FutureCursor)?;
    equal("asked", found.asked, Some(ahead))?;
    let other = foreign(here);
    let found = verdict(other.to_string()).await?;
    let found = problem(&found, ProblemKind::NewLog)?;
    equal("asked", found.asked, Some(other))?;
    let resume = found.resume.map(|resume| resume.epoch);
    equal("the log of resume", resume, Some(here.epoch))?;
    problem(
        &verdict("nowhere".to_owned()).await?,
        ProblemKind::BadCursor,
    )?;
    Ok(())
}

pub(crate) async fn a_problem_is_sent_as_one_and_not_stored(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let (method, _) = server.wire()?;
    let request = Request::events(method, "?after=nowhere");
    problem(&server.ask(request).await?, ProblemKind::BadCursor).map(drop)
}

pub(crate) async fn what_is_no_position_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (method, _) = server.wire()?;
    let here = server.end().await?;
    let (epoch, id) = (here.epoch, here.id);
    for query in [
        "?after=".to_owned(),
        "?after=nowhere".to_owned(),
        format!("?after={epoch}"),
        format!("?after={epoch}.0{id}"),
        format!("?after={epoch}.-1"),
        format!("?after={epoch}.18446744073709551616"),
        format!("?after={here}&after={here}"),
    ] {
        let found = server.ask(Request::events(method, &query)).await?;
        at(&query, problem(&found, ProblemKind::BadCursor))?;
    }
    Ok(())
}

pub(crate) async fn an_unknown_path_is_not_found(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let found = server.ask(Request::get("nothing-is-here")).await?;
    problem(&found, ProblemKind::NotFound).map(drop)
}

pub(crate) async fn a_wrong_method_is_answered_with_the_right_ones(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let mut request = Request::get("events");
    request.method = "DELETE";
    let found = server.ask(request).await?;
    problem(&found, ProblemKind::MethodNotAllowed)?;
    if contains(found.header("allow"), "GET") {
        Ok(())
    } else {
        Err(format!(
            "expected Allow with GET, found {:?}",
            found.header("allow")
        ))
    }
}

pub(crate) async fn a_page_of_another_origin_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (method, base) = server.wire()?;
    let request = || match method {
        Method::WebSocket => Request::upgrade("events"),
        _ => Request::post(server.body("1")),
    };
    for origin in ["http://evil.example", "null"] {
        let found = server.ask(request().with("Origin", origin)).await?;
        at(origin, problem(&found, ProblemKind::ForeignOrigin))?;
    }
    let own = base.origin().ascii_serialization();
    let answer = send(base, &request().with("Origin", own.clone())).await?;
    let expected = if method == Method::WebSocket {
        101
    } else {
        201
    };
    equal(
        &format!("the status for a page of {own}"),
        answer.status,
        expected,
    )
}

pub(crate) async fn a_name_that_is_not_the_servers_own_is_refused(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let (method, _) = server.wire()?;
    let request = Request::events(method, "").with("Host", "evil.example");
    let found = server.ask(request).await?;
    let name = ProblemKind::WrongHost.name();
    found.problem(name, &[421, 400]).map(drop)
}

pub(crate) async fn an_event_has_the_form_of_the_contract(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let start = server.end().await?;
    let published = server.put(7..=7).await?;
    let text = server.event_text(start).await?;
    let wrong = |what: &str| format!("{what} in {text}");
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    for name in ["id", "at", "kind", "data"] {
        if !members.contains_key(name) {
            return Err(wrong(&format!("there is no {name}")));
        }
    }
    let event: Event =
        serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    equal("id", event.id, published[0].cursor)?;
    equal("kind", event.kind.as_str(), server.kind.as_str())?;
    equal("data", event.data.get(), "7")?;
    // `2026-01-01T00:00:00.000Z`
    let form: String = event
        .at
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    equal(
        "at, with 0 for digits",
        form.as_str(),
        "0000-00-00T00:00:00.000Z",
    )
}

pub(crate) async fn line_ends_between_tokens_become_spaces(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let start = server.end().await?;
    let body = server.body("[1,\r\n2.50]");
    server.published(Request::post(body), 201).await?;
    let text = server.event_text(start).await?;
    let event: Event =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    equal("the data", event.data.get(), "[1,  2.50]")
}

pub(crate) async fn a_publish_is_created_and_a_retry_is_not(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let key = random_key();
    let request =
        || Request::post(server.body("1")).with("Idempotency-Key", key.clone());
    let answer = server.ask(request()).await?;
    let Accepted { id } = answer.json(201)?;
    if !contains(answer.header("cache-control"), "no-store") {
        return Err("the answer to a publish has no Cache-Control: no-store".to_owned());
    }
    let again = server.published(request(), 200).await?;
    equal("the id that the retry gets", again, id)
}

pub(crate) async fn a_retry_is_answered_also_of_a_finished_log(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let request = || Request::post(server.body("1")).with("Idempotency-Key", "a");
    let id = server.published(request(), 201).await?;
    server.running.finish().await?;
    client.event().await?;
    // From here on the log is known to be complete.
    client.finished().await?;
    let again = server.published(request(), 200).await?;
    equal("the id that the retry gets", again, id)
}

pub(crate) async fn a_key_may_be_quoted(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let key = random_key();
    let request =
        |key: String| Request::post(server.body("1")).with("Idempotency-Key", key);
    let id = server.published(request(format!("\"{key}\"")), 201).await?;
    let again = server.published(request(key), 200).await?;
    equal("the id without quotation marks", again, id)
}

pub(crate) async fn a_key_is_forgotten_with_its_event(bench: Bench<'_>) -> Outcome {
    let kept = 5;
    let server = bench.start_with(kept, Duration::from_secs(15)).await?;
    let request =
        |data: &str| Request::post(server.body(data)).with("Idempotency-Key", "a");
    server.published(request("0"), 201).await?;
    let first = server.put(1..=1).await?[0].cursor;
    server.put(2..=kept as u64).await?;
    // The event of the key is the only one that is gone.
    let earliest = server.place(Position::Earliest).await?;
    if earliest.id >= first.id {
        return Err(format!(
            "it keeps less than {kept} events: those after {earliest}"
        ));
    }
    server.published(request("6"), 201).await.map(drop)
}

pub(crate) async fn numbers_and_texts_are_those_that_all_can_read(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    for data in ["1e999", "[-1e999]", r#""\ud800""#, r#"{"\udc00\ud800":1}"#] {
        let found = server.ask(Request::post(server.body(data))).await?;
        at(data, problem(&found, ProblemKind::BadEvent))?;
    }
    for data in ["1e308", r#""\ud83d\ude00""#] {
        let published = server.published(Request::post(server.body(data)), 201);
        at(data, published.await)?;
    }
    Ok(())
}

pub(crate) async fn a_body_that_is_no_event_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    for body in [
        r#"{"kind":"message"}"#,
        r#"{"data":1}"#,
        r#"{"kind":"message","data":1,"more":2}"#,
        r#"{"kind":"message","kind":"message","data":1}"#,
        r#"{"kind":"Message","data":1}"#,
        r#"{"kind":"","data":1}"#,
        r#"{"kind":"message","data":"#,
        r#"["message",1]"#,
        "",
    ] {
        let found = server.ask(Request::post(body)).await?;
        at(body, problem(&found, ProblemKind::BadEvent))?;
    }
    let key = "k".repeat(65);
    let request = Request::post(server.body("1")).with("Idempotency-Key", key);
    let found = server.ask(request).await?;
    at(
        "a key of 65 characters",
        problem(&found, ProblemKind::BadEvent),
    )?;
    Ok(())
}

pub(crate) async fn a_body_that_is_not_json_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let plain = Request::post(server.body("1"))
        .without("Content-Type")
        .with("Content-Type", "text/plain");
    let coded = Request::post(server.body("1")).with("Content-Encoding", "gzip");
    for (what, request) in [("text/plain", plain), ("gzip", coded)] {
        let found = server.ask(request).await?;
        at(what, problem(&found, ProblemKind::NotJson))?;
    }
    Ok(())
}

pub(crate) async fn a_page_names_the_question_that_it_answers(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    let asked = published[0].cursor;
    let page = server.page(format!("events?after={asked}")).await?;
    equal("after", page.after, asked)?;
    let last = page.events.last().ok_or("the page has no events")?;
    equal("next", page.next, last.id)?;
    if server.is_new {
        let ids: Vec<_> = page.events.iter().map(|event| event.id).collect();
        equal(
            "the events",
            ids,
            vec![published[1].cursor, published[2].cursor],
        )?;
    }
    Ok(())
}

pub(crate) async fn latest_is_a_page_without_events(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let last = server.put(1..=3).await?[2].cursor;
    for target in ["events?after=latest", "events"] {
        let page = server.page(target.to_owned()).await?;
        equal(&format!("events of {target}"), page.events.len(), 0)?;
        if page.next.epoch != last.epoch || page.next.id < last.id {
            return Err(format!("next of {target} is {}, before {last}", page.next));
        }
        equal(&format!("after of {target}"), page.after, page.next)?;
    }
    Ok(())
}

/// All pages after `start`, of which each has to be within its bounds and to follow the
/// one before; the ids of the case's own events.
async fn read_pages(server: &Started, start: Cursor) -> Result<Vec<Cursor>, String> {
    #[derive(Deserialize)]
    struct Page {
        events: Vec<Box<RawValue>>,
        next: Cursor,
        #[serde(default)]
        more: bool,
    }
    let (mut after, mut ids) = (start, Vec::new());
    loop {
        let page = server
            .ask(Request::get(format!("events?after={after}")))
            .await?;
        let Page { events, next, more } = page.json(200)?;
        let bytes: usize = events.iter().map(|event| event.get().len()).sum();
        if events.len() > 256 || (bytes > 64 * 1024 && events.len() > 1) {
            return Err(format!(
                "a page has {} events and {bytes} bytes of them",
                events.len()
            ));
        }
        for event in &events {
            let event: Event = serde_json::from_str(event.get())
                .map_err(|error| format!("{error} in {event}"))?;
            if event.kind == server.kind {
                ids.push(event.id);
            }
        }
        if !more {
            return Ok(ids);
        }
        if events.is_empty() {
            return Err(format!("the page after {after} is empty and says more"));
        }
        after = next;
    }
}

pub(crate) async fn a_page_is_bounded(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let ids = |events: &[Published]| -> Vec<Cursor> {
        events.iter().map(|event| event.cursor).collect()
    };
    let start = server.end().await?;
    let small = server.put(1..=300).await?;
    let found = read_pages(&server, start).await?;
    equal("300 small events", found, ids(&small))?;
    let start = server.end().await?;
    let data = format!("\"{}\"", "x".repeat(30_000));
    let mut large = Vec::new();
    for _ in 0..5 {
        let request = Request::post(server.body(&data));
        large.push(server.published(request, 201).await?);
    }
    let found = read_pages(&server, start).await?;
    equal("five events of 30,000 bytes", found, large)
}

pub(crate) async fn a_gap_between_pages_is_gone(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let here = server.put(1..=1).await?[0].cursor;
    let asked = foreign(here);
    let found = server
        .ask(Request::get(format!("events?after={asked}")))
        .await?;
    let found = problem(&found, ProblemKind::NewLog)?;
    equal("asked", found.asked, Some(asked))?;
    let resume = found.resume.ok_or("the problem has no resume")?;
    let _: LogPage = server.page(format!("events?after={resume}")).await?;
    Ok(())
}

const PREFER: &str = "Prefer";

pub(crate) async fn without_a_wish_to_wait_nothing_is_parked(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let here = server.put(1..=1).await?[0].cursor;
    let request = Request::get(format!("events?after={here}"));
    let answer = at("without the header", server.ask(request).await)?;
    let _: LogPage = answer.json(200)?;
    equal(
        "Preference-Applied",
        answer.header("preference-applied"),
        None::<&str>,
    )?;
    let request = Request::get("events?after=latest").with(PREFER, "wait=25");
    let answer = at("without a cursor", server.ask(request).await)?;
    let page: LogPage = answer.json(200)?;
    equal("the events of latest", page.events.len(), 0)
}

pub(crate) async fn a_parked_request_is_answered_by_an_event(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let mut after = server.end().await?;
    let waiting = async {
        // Events of others may come first.
        for _ in 0..100 {
            let request =
                Request::get(format!("events?after={after}")).with(PREFER, "wait=25");
            let page: LogPage = server.ask(request).await?.json(200)?;
            if page.events.is_empty() {
                return Err("it was answered without an event".to_owned());
            }
            if let Some(event) = page.events.iter().find(|e| e.kind == server.kind) {
                return Ok(event.id);
            }
            after = page.next;
        }
        Err("only events of others came".to_owned())
    };
    let publishing = async {
        be_parked(&server).await?;
        server.put(1..=1).await
    };
    let (answered, published) = join(waiting, publishing).await;
    equal("the event", answered?, published?[0].cursor)
}

/// Lets a request that was sent before reach its place in the server: others, which
/// were sent after it, have been answered.
async fn be_parked(server: &Started) -> Outcome {
    for _ in 0..5 {
        server.end().await?;
    }
    Ok(())
}

pub(crate) async fn a_granted_wait_is_named(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let before = server.end().await?;
    let here = server.put(1..=1).await?[0].cursor;
    // With something due, and with nothing.
    for (after, wish, least, most) in [(before, 5, 1, 5), (here, 1, 1, 1)] {
        let request = Request::get(format!("events?after={after}"))
            .with(PREFER, format!("wait={wish}"));
        let answer = server.ask(request).await?;
        let _: LogPage = answer.json(200)?;
        let applied = answer.header("preference-applied");
        let granted = applied.and_then(|value| value.strip_prefix("wait="));
        let granted = granted.and_then(|seconds| seconds.parse::<u32>().ok());
        if !granted.is_some_and(|granted| (least..=most).contains(&granted)) {
            return Err(format!(
                "a wish for {wish} s: expected Preference-Applied: wait={least} to \
                 {most}, found {applied:?}"
            ));
        }
        if !contains(answer.header("vary"), "prefer") {
            return Err(format!(
                "expected Vary: Prefer, found {:?}",
                answer.header("vary")
            ));
        }
    }
    Ok(())
}

pub(crate) async fn a_shutdown_answers_parked_requests(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let here = server.end().await?;
    let request = Request::get(format!("events?after={here}")).with(PREFER, "wait=25");
    let stopping = async {
        be_parked(&server).await?;
        server.running.stop().await
    };
    let (answer, stopped) = join(server.ask(request), stopping).await;
    let answer = answer?;
    if answer.header("preference-applied").is_none() {
        return Err("the request was not parked".to_owned());
    }
    let page: LogPage = answer.json(200)?;
    equal("the events", page.events.len(), 0)?;
    equal("next", page.next, here)?;
    stopped
}

fn json<'a, T: Deserialize<'a>>(block: &'a Block) -> Result<T, String> {
    let data = block.data.as_deref().unwrap_or_default();
    serde_json::from_str(data).map_err(|error| format!("{error} in {block:?}"))
}

/// The first block of a stream, which has to be `hello`.
async fn hello(blocks: &mut Blocks) -> Result<Hello, String> {
    let block = blocks.block().await?;
    equal(
        "the first block's event",
        block.event.as_deref(),
        Some("hello"),
    )?;
    let hello: Hello = json(&block)?;
    let cursor = hello.cursor.to_string();
    equal(
        "its id, beside its cursor",
        block.id.as_deref(),
        Some(&*cursor),
    )?;
    Ok(hello)
}

pub(crate) async fn a_stream_opens_with_hello(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let here = server.put(1..=1).await?[0].cursor;
    let request = Request::get(format!("events?after={here}"));
    let mut blocks = Blocks::open(server.base()?, request).await?;
    let block = blocks.block().await?;
    equal(
        "the first block's event",
        block.event.as_deref(),
        Some("hello"),
    )?;
    let hello: Hello = json(&block)?;
    equal("its cursor", hello.cursor, here)?;
    if hello.every == 0 {
        return Err("every is 0".to_owned());
    }
    let retry = block.retry.as_deref().map(str::parse::<u64>);
    if !matches!(retry, Some(Ok(_))) {
        return Err(format!("expected retry with a number, found {retry:?}"));
    }
    let after = server.put(2..=2).await?[0];
    loop {
        let block = blocks.block().await?;
        match block.event.as_deref() {
            Some("hello") => return Err("a second hello came".to_owned()),
            Some(_) => {}
            None if json::<Event>(&block)?.kind == server.kind => {
                return equal("the event", json::<Event>(&block)?.id, after.cursor)
            }
            None => {}
        }
    }
}

pub(crate) async fn nothing_on_the_way_may_hold_a_stream_back(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let blocks = Blocks::open(server.base()?, Request::get("events")).await?;
    for (name, value) in [
        ("cache-control", "no-store"),
        ("cache-control", "no-transform"),
        ("x-accel-buffering", "no"),
        ("incremental", "?1"),
    ] {
        let found = blocks.header(name);
        if !contains(found, value) {
            return Err(format!("expected {name}: {value}, found {found:?}"));
        }
    }
    Ok(())
}

pub(crate) async fn every_block_has_its_id(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    let asked = foreign(published[0].cursor);
    let request = Request::get(format!("events?after={asked}"));
    let mut blocks = Blocks::open(server.base()?, request).await?;
    let Hello { cursor, .. } = hello(&mut blocks).await?;
    equal("the cursor of hello before a gap", cursor, asked)?;
    let block = blocks.block().await?;
    equal("the next event", block.event.as_deref(), Some("gap"))?;
    let gap: Gap = json(&block)?;
    let resume = gap.resume.to_string();
    equal("the gap's id", block.id.as_deref(), Some(&*resume))?;
    let mut ours = published.iter();
    loop {
        let block = blocks.block().await?;
        if block.event.is_some() {
            continue;
        }
        let event: Event = json(&block)?;
        let id = event.id.to_string();
        equal(
            "an event's id as the block has it",
            block.id.as_deref(),
            Some(&*id),
        )?;
        if event.kind == server.kind {
            let expected = ours.next().map(|event| event.cursor);
            equal("the event", Some(event.id), expected)?;
            if ours.len() == 0 {
                return Ok(());
            }
        }
    }
}

pub(crate) async fn a_last_event_id_is_newer_than_the_url(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    let [old, new, newest] = [0, 1, 2].map(|at| published[at].cursor);
    let after = format!("events?after={old}");
    let parameter = format!("{after}&lastEventId={new}");
    let header = "Last-Event-ID";
    for (what, request, expected) in [
        (
            "the header and after",
            Request::get(&after).with(header, new.to_string()),
            new,
        ),
        ("lastEventId and after", Request::get(&parameter), new),
        (
            "all three",
            Request::get(&parameter).with(header, newest.to_string()),
            newest,
        ),
        (
            "an empty header and after",
            Request::get(&after).with(header, ""),
            old,
        ),
    ] {
        let mut blocks = Blocks::open(server.base()?, request).await?;
        equal(what, hello(&mut blocks).await?.cursor, expected)?;
    }
    Ok(())
}

pub(crate) async fn an_unknown_last_event_id_is_a_gap(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let here = server.put(1..=1).await?[0].cursor;
    for id in [
        "latest".to_owned(),
        "nowhere".to_owned(),
        future(here).to_string(),
    ] {
        let request = Request::get("events").with("Last-Event-ID", id.clone());
        let mut blocks = at(&id, Blocks::open(server.base()?, request).await)?;
        let Hello { cursor, .. } = at(&id, hello(&mut blocks).await)?;
        let block = blocks.block().await?;
        equal(
            &format!("{id}: the next event"),
            block.event.as_deref(),
            Some("gap"),
        )?;
        let gap: Gap = json(&block)?;
        equal(&format!("{id}: reason"), gap.reason, GapReason::Unknown)?;
        equal(&format!("{id}: asked"), gap.asked, None::<Cursor>)?;
        equal(&format!("{id}: hello's cursor"), cursor, gap.resume)?;
    }
    Ok(())
}

/// Reads to the end of the stream, which has to be on purpose, and then of the
/// response.
async fn read_to_end(blocks: &mut Blocks, expected: EndReason) -> Outcome {
    loop {
        let block = blocks.block().await?;
        if block.event.as_deref() == Some("end") {
            let End { reason } = json(&block)?;
            equal("the reason", reason, expected)?;
            break;
        }
    }
    match blocks.next().await? {
        None => Ok(()),
        Some(block) => Err(format!("after the end came {block:?}")),
    }
}

pub(crate) async fn a_shutdown_ends_the_stream_on_purpose(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let mut blocks = Blocks::open(server.base()?, Request::get("events")).await?;
    hello(&mut blocks).await?;
    let reading = read_to_end(&mut blocks, EndReason::Shutdown);
    let (stopped, read) = join(server.running.stop(), reading).await;
    read.and(stopped)
}

pub(crate) async fn a_finished_log_has_no_stream(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let base = server.base()?;
    let mut blocks = Blocks::open(base, Request::get("events")).await?;
    hello(&mut blocks).await?;
    let last = server.put(1..=1).await?[0].cursor;
    server.running.finish().await?;
    read_to_end(&mut blocks, EndReason::Finished).await?;
    let by_url = Request::get(format!("events?after={last}"));
    let by_header = Request::get("events").with("Last-Event-ID", last.to_string());
    for request in [by_url, by_header] {
        let answer = server.ask(request).await?;
        equal("the status", answer.status, 204)?;
        if !contains(answer.header("cache-control"), "no-store") {
            return Err("204 has no Cache-Control: no-store".to_owned());
        }
    }
    Ok(())
}

/// A WebSocket whose handshake was made by hand.
struct Socket(WebSocketStream<TcpStream>);

/// What a server sends that a script can see.
#[derive(Debug)]
enum Sent {
    Text(String),
    /// With its code, if it has one.
    Close(Option<u16>),
}

impl Socket {
    /// Opens a socket, and leaves `hello` to be read.
    async fn open(base: &Url, query: &str) -> Result<Self, String> {
        Self::open_by(base, &Request::upgrade(format!("events{query}"))).await
    }

    async fn open_by(base: &Url, request: &Request) -> Result<Self, String> {
        let answer = send(base, request).await?;
        Self::opened(answer).await
    }

    /// The socket of this answer to a handshake.
    async fn opened(answer: Answer) -> Result<Self, String> {
        if answer.status != 101 {
            return Err(answer.instead_of("101").await);
        }
        let accept = derive_accept_key(KEY.as_bytes());
        let found = answer.header("sec-websocket-accept");
        equal("Sec-WebSocket-Accept", found, Some(&*accept))?;
        let found = answer.header("sec-websocket-protocol");
        equal("Sec-WebSocket-Protocol", found, Some(SUBPROTOCOL))?;
        let (socket, rest) = answer.into_socket();
        let socket =
            WebSocketStream::from_partially_read(socket, rest, Role::Client, None)
                .await;
        Ok(Self(socket))
    }

    async fn sent(&mut self) -> Result<Sent, String> {
        in_time("a message", async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(Sent::Text(text.as_str().to_owned()))
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Ok(Sent::Close(frame.map(|frame| frame.code.into())))
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(other)) => return Err(format!("got {other:?}")),
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the socket ended without a close".to_owned()),
                }
            }
        })
        .await
    }

    async fn text(&mut self) -> Result<String, String> {
        match self.sent().await? {
            Sent::Text(text) => Ok(text),
            Sent::Close(code) => Err(format!("the socket was closed with {code:?}")),
        }
    }

    /// The first message, which has to be `hello`.
    async fn hello(&mut self) -> Result<Hello, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Message {
            hello: Hello,
        }
        let text = self.text().await?;
        let message: Result<Message, _> = serde_json::from_str(&text);
        let message = message.map_err(|_| format!("expected hello, found {text}"))?;
        Ok(message.hello)
    }

    /// The code with which the server closes; messages before it are left out.
    async fn closed(&mut self) -> Result<Option<u16>, String> {
        loop {
            if let Sent::Close(code) = self.sent().await? {
                return Ok(code);
            }
        }
    }

    async fn send_text(&mut self, text: &str) -> Outcome {
        let sent = self.0.send(Message::text(text)).await;
        sent.map_err(|error| error.to_string())
    }

    /// Sends bytes past the framing.
    async fn write(&mut self, bytes: &[u8]) -> Outcome {
        let written = self.0.get_mut().write_all(bytes).await;
        written.map_err(|error| error.to_string())
    }

    /// The next `ack` or `error`; events and heartbeats are left out.
    async fn answer(&mut self) -> Result<String, String> {
        loop {
            let text = self.text().await?;
            if text.starts_with(r#"{"ack":"#) || text.starts_with(r#"{"error":"#) {
                return Ok(text);
            }
        }
    }
}

pub(crate) async fn a_socket_opens_with_hello(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let here = server.put(1..=1).await?[0].cursor;
    let mut socket = Socket::open(server.base()?, &format!("?after={here}")).await?;
    let hello = socket.hello().await?;
    equal("its cursor", hello.cursor, here)?;
    if hello.every == 0 {
        return Err("every is 0".to_owned());
    }
    Ok(())
}

pub(crate) async fn what_asks_for_no_websocket_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let other = Request::upgrade("events")
        .without("Sec-WebSocket-Version")
        .with("Sec-WebSocket-Version", "12");
    for (what, request) in [
        ("no upgrade", Request::get("events")),
        ("another version", other),
    ] {
        let found = server.ask(request).await?;
        at(what, problem(&found, ProblemKind::UpgradeRequired))?;
        for (name, value) in [("upgrade", "websocket"), ("sec-websocket-version", "13")]
        {
            if !contains(found.header(name), value) {
                return Err(format!(
                    "{what}: expected {name}: {value}, found {:?}",
                    found.header(name)
                ));
            }
        }
    }
    Ok(())
}

pub(crate) async fn a_broken_handshake_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let right = || Request::upgrade("events");
    let key = "Sec-WebSocket-Key";
    let version = "Sec-WebSocket-Version";
    let protocol = "Sec-WebSocket-Protocol";
    for (what, request) in [
        ("no key", right().without(key)),
        ("a short key", right().without(key).with(key, "c2hvcnQ=")),
        ("two keys", right().with(key, KEY)),
        ("no version", right().without(version)),
        ("two versions", right().with(version, "13")),
    ] {
        let found = server.ask(request).await?;
        at(what, problem(&found, ProblemKind::BadHandshake))?;
    }
    for (what, request) in [
        ("no subprotocol", right().without(protocol)),
        (
            "another subprotocol",
            right().without(protocol).with(protocol, "other.v1"),
        ),
    ] {
        let found = server.ask(request).await?;
        at(what, problem(&found, ProblemKind::BadSubprotocol))?;
    }
    Ok(())
}

pub(crate) async fn what_cannot_be_served_is_refused_before_the_socket_opens(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let ahead = future(server.end().await?);
    let request = Request::upgrade(format!("events?after={ahead}"));
    let found = problem(&server.ask(request).await?, ProblemKind::FutureCursor)?;
    equal("asked", found.asked, Some(ahead))?;
    let request = Request::upgrade("events?after=nowhere");
    problem(&server.ask(request).await?, ProblemKind::BadCursor)?;
    Ok(())
}

pub(crate) async fn a_text_that_is_no_message_is_an_error(bench: Bench<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Message {
        error: Refusal,
    }
    #[derive(Deserialize)]
    struct Refusal {
        problem: contract::Problem,
    }
    let server = bench.start().await?;
    let mut socket = Socket::open(server.base()?, "").await?;
    socket.hello().await?;
    let reference = random_key();
    let publish = format!(
        r#""publish":{{"ref":"{reference}","kind":"{}","data":1}}"#,
        server.kind
    );
    for text in [
        "hello",
        "[]",
        "{}",
        r#"{"unknown":1}"#,
        r#"{"publish":{"ref":"a","kind":"message"}}"#,
        r#"{"publish":{"ref":"a","kind":"Message","data":1}}"#,
        r#"{"publish":{"kind":"message","data":1}}"#,
        r#"{"publish":["a","message",1]}"#,
        &format!(r#"{{{publish},"more":1}}"#),
    ] {
        socket.send_text(text).await?;
        let answer = socket.answer().await?;
        let message: Result<Message, _> = serde_json::from_str(&answer);
        let message = message.map_err(|_| format!("to {text} came {answer}"))?;
        let found = message.error.problem;
        let kind = ProblemKind::BadEvent;
        equal(text, found.kind(), Some(kind))?;
        equal(
            &format!("the status for {text}"),
            found.status,
            kind.status(),
        )?;
    }
    socket.send_text(&format!("{{{publish}}}")).await?;
    let answer = socket.answer().await?;
    let start = format!(r#"{{"ack":{{"ref":"{reference}","id":""#);
    if answer.starts_with(&start) {
        Ok(())
    } else {
        Err(format!("expected an ack of {reference}, found {answer}"))
    }
}

pub(crate) async fn a_client_that_breaks_the_rules_is_closed(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    // Frames by hand (RFC 6455 §5.2), with a mask of zeros.
    for (what, bytes, code) in [
        (
            "a frame that is not masked",
            &[0x81, 0x02, b'h', b'i'][..],
            1002,
        ),
        ("a binary message", &[0x82, 0x81, 0, 0, 0, 0, 7], 1003),
        (
            "a text that is no UTF-8",
            &[0x81, 0x81, 0, 0, 0, 0, 0xff],
            1007,
        ),
    ] {
        let mut socket = Socket::open(server.base()?, "").await?;
        socket.hello().await?;
        socket.write(bytes).await?;
        equal(what, at(what, socket.closed().await)?, Some(code))?;
    }
    Ok(())
}

pub(crate) async fn a_message_that_is_too_large_closes_the_socket(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let mut socket = Socket::open(server.base()?, "").await?;
    socket.hello().await?;
    // 70,000 bytes in one frame, more than 66 KiB.
    let mut frame = vec![0x81, 0xff];
    frame.extend(70_000_u64.to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + 70_000, b'x');
    // The server may close before it has read all of it.
    let _ = socket.write(&frame).await;
    equal("the code", socket.closed().await?, Some(1009))
}

pub(crate) async fn a_socket_that_answers_no_ping_is_dropped(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start_with(10_000, Duration::from_millis(100)).await?;
    let answer = send(server.base()?, &Request::upgrade("events")).await?;
    equal("the status", answer.status, 101)?;
    let (mut socket, _) = answer.into_socket();
    in_time("the end of a socket that answers no ping", async {
        let mut bytes = [0; 4096];
        while matches!(socket.read(&mut bytes).await, Ok(1..)) {}
        Ok(())
    })
    .await
}

pub(crate) async fn a_shutdown_closes_with_its_code(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let mut socket = Socket::open(server.base()?, "").await?;
    socket.hello().await?;
    let (stopped, code) = join(server.running.stop(), socket.closed()).await;
    equal("the code", code?, Some(1001))?;
    stopped
}

pub(crate) async fn a_finished_log_closes_with_its_code(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let base = server.base()?;
    let mut socket = Socket::open(base, "").await?;
    socket.hello().await?;
    server.put(1..=1).await?;
    server.running.finish().await?;
    equal("the code", socket.closed().await?, Some(1000))?;
    let end = server.end().await?;
    let query = format!("?after={}", Position::After(end));
    let mut late = Socket::open(base, &query).await?;
    equal("hello of a late client", late.hello().await?.cursor, end)?;
    equal("its code", late.closed().await?, Some(1000))
}
