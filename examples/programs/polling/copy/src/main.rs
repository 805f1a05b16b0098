//! A log and a state, for clients that poll. None of them misses anything in silence.
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, body, extract::Query, routing::get, serve};
use serde_json::{Value, from_slice, from_str, json, value::RawValue};
use std::collections::{HashMap, VecDeque};
use std::{env, sync::LazyLock, sync::Mutex};
use tokio::net::TcpListener;

type Answer<T> = Result<T, (StatusCode, [(&'static str, &'static str); 3], String)>;
const FRESH: (&str, &str) = ("cache-control", "no-store");
static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);
static EPOCH: LazyLock<u32> = LazyLock::new(|| fastrand::u32(100_000..1_000_000));

/// The newest events.
#[derive(Default)]
struct Log {
    first: usize, // The place before the oldest event that is kept.
    latest: usize,
    kept: VecDeque<[String; 2]>, // Each with its idempotency key, and as JSON.
    polls: Vec<i64>,
}

fn cursor(id: usize) -> String {
    format!("{}.{id}", *EPOCH)
}

/// The place that a position names, or why reading cannot go on from there.
fn locate(log: &Log, position: &str) -> Answer<usize> {
    let id = position.split('.').nth(1).unwrap_or_default().parse();
    let gap = json!({"asked": position, "resume": cursor(log.first)});
    match id {
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
    let old = usize::saturating_sub(log.kept.len(), setting("RETENTION", 1_000));
    log.first += log.kept.drain(..old).count();
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
        events = events + "," + &log.kept[next - log.first][1];
        next += 1;
    }
    let (events, more) = (events.trim_start_matches(','), next < log.latest);
    let ends = json!({"after": cursor(at), "next": cursor(next), "more": more});
    let ends = ends.to_string();
    Ok(format!(r#"{{"events":[{events}],{}"#, &ends[1..]))
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

async fn publish(headers: HeaderMap, body: body::Body) -> Answer<impl IntoResponse> {
    let header = |name| headers.get(name).map_or("", |it| it.to_str().unwrap_or(""));
    // A page of another site cannot send this type.
    let json = header("content-type").strip_prefix("application/json");
    require(json, 415, "not-json")?;
    let body = require(body::to_bytes(body, 64 << 10).await.ok(), 413, "too-large")?;
    let event: HashMap<&str, &RawValue> = from_slice(&body).unwrap_or_default();
    let kind: Option<&str> = event.get("kind").and_then(|it| from_str(it.get()).ok());
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    let kind = kind.filter(|it| event.len() == 2 && it.chars().all(letter));
    let (kind, data) = require(kind.zip(event.get("data")), 400, "bad-event")?;
    require(from_str::<Value>(data.get()).ok(), 400, "bad-event")?; // As 1e999 is.
    let key = header("idempotency-key").trim_matches('"');
    // Line ends stand between JSON's tokens only: on one line it fits everywhere.
    let data = data.get().replace(['\r', '\n'], " ");
    let content = format!(r#""kind":"{kind}","data":{data}}}"#);
    let mut log = LOG.lock().expect("no panic");
    let done = append(&mut log, &content, key);
    done.map(|(status, id)| (status, [FRESH], Json(json!({"id": cursor(id)}))))
}

async fn events(Query(query): Query<HashMap<String, String>>) -> Answer<Response> {
    let mut log = LOG.lock().expect("no panic");
    let page = page(&mut log, query.get("after").map_or("latest", |it| it))?;
    let json = ("content-type", "application/json");
    Ok(([json, FRESH], page).into_response())
}

/// A state, here the newest event. Who has it, by its tag, is not sent it again.
async fn state(headers: HeaderMap) -> Response {
    let log = LOG.lock().expect("no panic");
    let newest: Option<Value> = log.kept.back().and_then(|it| from_str(&it[1]).ok());
    let state = json!({"cursor": cursor(log.latest), "newest": newest});
    let tag = state["cursor"].to_string();
    let tags = headers.get("if-none-match").and_then(|it| it.to_str().ok());
    let known = tags.is_some_and(|tags| tags.contains(&tag));
    let headers = [("etag", tag), ("cache-control", "no-cache".to_owned())];
    match known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, Json(state)).into_response(),
    }
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().expect(name))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(Html(include_str!("../index.html"))))
        .route("/events", get(events).post(publish))
        .route("/state", get(state))
        .fallback(async || problem::<()>(404, "not-found", json!({})));
    let address = format!("127.0.0.1:{}", setting("PORT", 3000));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app).await
}
