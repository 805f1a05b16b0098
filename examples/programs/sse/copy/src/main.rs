//! A log over Server-Sent Events. A client that comes back misses nothing in silence.
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Sse, sse::Event};
use axum::{Json, Router, body, extract::Query, extract::Request, routing::get, serve};
use futures_util::stream::{StreamExt, iter, unfold};
use serde_json::{Value, from_slice, from_str, json, value::RawValue};
use std::{collections::HashMap, collections::VecDeque, sync::LazyLock};
use tokio::{net::TcpListener, sync::watch::Sender, time::Duration, time::timeout};

type Params = Query<HashMap<String, String>>;
type Answer<T> = Result<T, (StatusCode, [(&'static str, &'static str); 3], String)>;
const FRESH: (&str, &str) = ("cache-control", "no-store, no-transform");
static LOG: LazyLock<Sender<Log>> = LazyLock::new(Sender::default);
static EPOCH: LazyLock<u32> = LazyLock::new(|| fastrand::u32(100_000..1_000_000));

/// The newest events. The `watch` channel around it is its lock, and wakes who waits.
#[derive(Default)]
struct Log {
    first: usize, // The place before the oldest event that is kept.
    latest: usize,
    kept: VecDeque<[String; 2]>, // Each with its idempotency key, and as JSON.
    ending: bool,
}

fn cursor(id: usize) -> String {
    format!("{}.{id}", *EPOCH)
}

/// The place that a position names, or why reading cannot go on from there.
fn locate(log: &Log, position: &str) -> Answer<usize> {
    let gap = json!({"asked": position, "resume": cursor(log.first)});
    match position.split('.').nth(1).unwrap_or_default().parse() {
        _ if position == "latest" => Ok(log.latest),
        _ if position == "earliest" => Ok(log.first),
        Err(_) => problem(400, "bad-cursor", json!({})),
        Ok(id) if cursor(id) != position => problem(410, "new-log", gap),
        Ok(id) if id > log.latest => problem(400, "future-cursor", gap),
        Ok(id) if id < log.first => problem(410, "expired", gap),
        Ok(id) => Ok(id),
    }
}

/// Appends an event, or finds it if its key says that this is a retry.
fn append(log: &mut Log, content: &str, key: &str) -> Answer<(StatusCode, usize)> {
    let retried = |[known, _]: &[String; 2]| !key.is_empty() && known == key;
    if let Some(n) = log.kept.iter().position(retried) {
        let same = log.kept[n][1].ends_with(content);
        let found = same.then_some((StatusCode::OK, log.first + n + 1));
        return require(found, 422, "key-reused");
    }
    log.latest += 1;
    let (id, at) = (cursor(log.latest), jiff::Timestamp::now());
    let json = format!(r#"{{"id":"{id}","at":"{at:.3}",{content}"#);
    log.kept.push_back([key.to_owned(), json]);
    let old = log.kept.len().saturating_sub(setting("RETENTION", 1_000));
    log.first += log.kept.drain(..old).count();
    Ok((StatusCode::CREATED, log.latest))
}

/// A refusal, as problem details (RFC 9457). That of a 410 is also what a gap reports.
fn problem<T>(status: u16, name: &str, mut body: Value) -> Answer<T> {
    body["type"] = format!("tag:waiting.example,2026:{name}").into();
    (body["reason"], body["status"]) = (name.into(), status.into());
    let json = ("content-type", "application/problem+json");
    let retry = ("retry-after", "5"); // In seconds, for those who come too many.
    let status = StatusCode::from_u16(status).expect("a constant");
    Err((status, [json, FRESH, retry], body.to_string()))
}

fn require<T>(it: Option<T>, status: u16, name: &str) -> Answer<T> {
    it.map_or_else(|| problem(status, name, json!({})), Ok)
}

/// Another site may give this machine a name of its own: its pages read nothing here.
async fn guard(headers: HeaderMap, request: Request) -> Answer<Request> {
    let host = headers.get("host").map_or("", |v| v.to_str().unwrap_or(""));
    let own = matches!(host.split(':').next(), Some("localhost" | "127.0.0.1"));
    require(own.then_some(request), 421, "wrong-host") // Let in a name of yours.
}

async fn publish(headers: HeaderMap, body: body::Body) -> Answer<impl IntoResponse> {
    let header = |name| headers.get(name).map_or("", |it| it.to_str().unwrap_or(""));
    let json = header("content-type").strip_prefix("application/json");
    let json = json.filter(|_| header("content-encoding").is_empty());
    require(json, 415, "not-json")?; // No page of another site can send it.
    let body = require(body::to_bytes(body, 64 << 10).await.ok(), 413, "too-large")?;
    let event: HashMap<&str, &RawValue> = from_slice(&body).unwrap_or_default();
    let kind: Option<&str> = event.get("kind").and_then(|it| from_str(it.get()).ok());
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    let kind = kind.filter(|it| event.len() == 2 && it.chars().all(letter));
    let (kind, data) = require(kind.zip(event.get("data")), 400, "bad-event")?;
    require(from_str::<Value>(data.get()).ok(), 400, "bad-event")?; // As 1e999 is.
    let key = header("idempotency-key").trim_matches('"');
    let data = data.get().replace(['\r', '\n'], " "); // They would end an SSE line.
    let content = format!(r#""kind":"{kind}","data":{data}}}"#);
    let mut done = require(None, 400, "bad-event");
    LOG.send_modify(|log| done = append(log, &content, key));
    done.map(|(status, id)| (status, [FRESH], Json(json!({"id": cursor(id)}))))
}

async fn events(Query(query): Params, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let log = LOG.subscribe(); // Also its place, free when the response is dropped.
    require((LOG.receiver_count() <= 900).then_some(()), 503, "busy")?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let asked = last.unwrap_or(query.get("after").map_or("latest", |it| it));
    let at = match locate(&LOG.borrow(), asked) {
        Err((StatusCode::BAD_REQUEST, ..)) if last.is_some() => "000000.0".to_owned(),
        Err(problem) if problem.0 == StatusCode::BAD_REQUEST => return Err(problem),
        place => place.map_or(asked.to_owned(), cursor), // The stream reports a gap.
    };
    let every = setting("HEARTBEAT_MS", 15_000);
    let named = |name, it: Value| Event::default().event(name).data(it.to_string());
    let hello = named("hello", json!({"cursor": at, "every": every})).id(&at);
    let retry = Duration::from_millis(fastrand::u64(1_000..2_000));
    let rest = unfold((log, at), move |(mut log, at)| async move {
        let due = |log: &Log| log.ending || locate(log, &at).ok() != Some(log.latest);
        let _ = timeout(Duration::from_millis(every), log.wait_for(due)).await;
        let beat = named("heartbeat", json!({"every": every}));
        let now = LOG.borrow();
        let (id, block) = match locate(&now, &at) {
            _ if now.ending => return None,
            Ok(id) if id == now.latest => (id, beat),
            Ok(id) => (id + 1, Event::default().data(&now.kept[id - now.first][1])),
            Err((.., gap)) => (now.first, Event::default().event("gap").data(gap)),
        };
        Some((block.id(cursor(id)), (log, cursor(id))))
    });
    let end = named("end", json!({"reason": "shutdown"}));
    let blocks = iter([hello.retry(retry)]).chain(rest).chain(iter([end]));
    let proxy = [FRESH, ("x-accel-buffering", "no"), ("incremental", "?1")];
    Ok((proxy, Sse::new(blocks.map(Ok::<_, axum::Error>))))
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().ok().expect(name))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    ctrlc::set_handler(|| LOG.send_modify(|log| log.ending = true)).expect("a handler");
    let ended = async { drop(LOG.subscribe().wait_for(|log| log.ending).await) };
    let app = Router::new()
        .route("/", get(Html(include_str!("../index.html"))))
        .route("/events", get(events).post(publish))
        .fallback(async || problem::<()>(404, "not-found", json!({})))
        .layer(axum::middleware::map_request(guard));
    let listener = TcpListener::bind(("127.0.0.1", setting("PORT", 3000))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app).with_graceful_shutdown(ended).await
}
