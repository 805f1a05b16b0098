//! A log and a state, for clients that poll. None of them misses anything in silence.
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::{Json, Router, body, extract::Query, extract::Request, routing::get, serve};
use serde_json::{Value, from_slice, from_str, json, value::RawValue};
use std::{collections::HashMap, collections::VecDeque, sync::LazyLock, sync::Mutex};
use tokio::net::TcpListener;

type Params = Query<HashMap<String, String>>;
type Answer<T> = Result<T, (StatusCode, [(&'static str, &'static str); 3], String)>;
const FRESH: (&str, &str) = ("cache-control", "no-store");
static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);
static EPOCH: LazyLock<u32> = LazyLock::new(|| fastrand::u32(100_000..1_000_000));

/// The newest events.
#[derive(Default)]
struct Log {
    latest: usize,
    kept: VecDeque<[String; 2]>, // Newest first: its idempotency key, its JSON.
    polls: Vec<i64>,
}

fn cursor(id: usize) -> String {
    format!("{}.{id}", *EPOCH)
}

/// The place that a position names, or why reading cannot go on from there.
fn locate(log: &Log, position: &str) -> Answer<usize> {
    let first = log.latest - log.kept.len(); // The place before the oldest event.
    let gap = json!({"asked": position, "resume": cursor(first)});
    match position.split('.').nth(1).unwrap_or_default().parse() {
        _ if position == "latest" => Ok(log.latest),
        _ if position == "earliest" => Ok(first),
        Err(_) => problem(400, "bad-cursor", json!({})),
        Ok(id) if cursor(id) != position => problem(410, "new-log", gap),
        Ok(id) if id > log.latest => problem(400, "future-cursor", gap),
        Ok(id) if id < first => problem(410, "expired", gap),
        Ok(id) => Ok(id),
    }
}

/// Appends an event, or finds it if its key says that this is a retry.
fn append(log: &mut Log, content: &str, key: &str) -> Answer<(StatusCode, usize)> {
    let retried = |[known, _]: &[String; 2]| !key.is_empty() && known == key;
    if let Some(n) = log.kept.iter().position(retried) {
        let same = log.kept[n][1].ends_with(content);
        let found = same.then_some((StatusCode::OK, log.latest - n));
        return require(found, 422, "key-reused");
    }
    log.latest += 1;
    let (id, at) = (cursor(log.latest), jiff::Timestamp::now());
    let json = format!(r#"{{"id":"{id}","at":"{at:.3}",{content}"#);
    log.kept.push_front([key.to_owned(), json]);
    log.kept.truncate(setting("RETENTION", 1_000));
    Ok((StatusCode::CREATED, log.latest))
}

/// A page of what comes after a place: 256 events, or about 64 KiB of them.
fn page(log: &mut Log, position: &str) -> Answer<String> {
    let second = jiff::Timestamp::now().as_second();
    log.polls.retain(|poll| *poll == second);
    require((log.polls.len() < 1_000).then_some(()), 503, "busy")?;
    log.polls.push(second);
    let at = locate(log, position)?;
    let (mut next, mut events) = (at, String::new());
    while next < log.latest.min(at + 256) && events.len() < 64 << 10 {
        events = events + "," + &log.kept[log.latest - next - 1][1];
        next += 1;
    }
    let (events, more) = (events.trim_start_matches(','), next < log.latest);
    let [after, next] = [at, next].map(cursor);
    let ends = format!(r#""after":"{after}","next":"{next}","more":{more}"#);
    Ok(format!(r#"{{"events":[{events}],{ends}}}"#))
}

/// A refusal, as problem details (RFC 9457).
fn problem<T>(status: u16, name: &str, mut body: Value) -> Answer<T> {
    body["type"] = format!("tag:waiting.example,2026:{name}").into();
    body["status"] = status.into();
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
    require(json, 415, "not-json")?; // No page of another site can send it.
    let body = require(body::to_bytes(body, 64 << 10).await.ok(), 413, "too-large")?;
    let event: HashMap<&str, &RawValue> = from_slice(&body).unwrap_or_default();
    let kind: Option<&str> = event.get("kind").and_then(|it| from_str(it.get()).ok());
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    let kind = kind.filter(|it| event.len() == 2 && it.chars().all(letter));
    let (kind, data) = require(kind.zip(event.get("data")), 400, "bad-event")?;
    require(from_str::<Value>(data.get()).ok(), 400, "bad-event")?; // As 1e999 is.
    let key = header("idempotency-key").trim_matches('"');
    let data = data.get().replace(['\r', '\n'], " "); // White space between its tokens.
    let content = format!(r#""kind":"{kind}","data":{data}}}"#);
    let done = append(&mut LOG.lock().expect("no panic"), &content, key);
    done.map(|(status, id)| (status, [FRESH], Json(json!({"id": cursor(id)}))))
}

async fn events(Query(query): Params) -> Answer<impl IntoResponse> {
    let mut log = LOG.lock().expect("no panic");
    let page = page(&mut log, query.get("after").map_or("latest", |it| it))?;
    Ok(([("content-type", "application/json"), FRESH], page))
}

/// A state, here the newest event. Who has it, by its tag, is not sent it again.
async fn state(headers: HeaderMap) -> impl IntoResponse {
    let log = LOG.lock().expect("no panic");
    let newest: Option<Value> = log.kept.front().and_then(|it| from_str(&it[1]).ok());
    let state = json!({"cursor": cursor(log.latest), "newest": newest});
    let tag = state["cursor"].to_string();
    let tags = headers.get("if-none-match").and_then(|it| it.to_str().ok());
    let known = tags.is_some_and(|tags| tags.contains(&tag));
    let headers = [("etag", tag), ("cache-control", "no-cache".to_owned())];
    let status = if known { 304 } else { 200 }; // A 304 is sent without its body.
    let status = StatusCode::from_u16(status).expect("a constant");
    (status, headers, Json(state))
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().ok().expect(name))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(Html(include_str!("../index.html"))))
        .route("/events", get(events).post(publish))
        .route("/state", get(state))
        .fallback(async || problem::<()>(404, "not-found", json!({})))
        .layer(axum::middleware::map_request(guard));
    let listener = TcpListener::bind(("127.0.0.1", setting("PORT", 3000))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app).await
}
