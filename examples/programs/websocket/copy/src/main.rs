//! A log over WebSocket. A client that comes back misses nothing in silence.
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::{Router, extract::Query, routing::get, serve};
use axum::{http::HeaderMap, http::StatusCode, response::Html, response::Response};
use serde_json::{Value, from_str, json, value::RawValue};
use std::{collections::HashMap, collections::VecDeque, sync::LazyLock};
use tokio::time::{Duration, Instant, interval, timeout, timeout_at};
use tokio::{net::TcpListener, sync::watch::Receiver, sync::watch::Sender};

type Params = Query<HashMap<String, String>>;
type Object<'a, T> = HashMap<&'a str, T>;
type Answer = Result<Response, StatusCode>;
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

/// The place that a position names, or the gap that is there instead.
fn locate(log: &Log, position: &str) -> Result<usize, Value> {
    let reason = match position.split('.').nth(1).unwrap_or_default().parse() {
        _ if position == "latest" => return Ok(log.latest),
        _ if position == "earliest" => return Ok(log.first),
        Ok(id) if cursor(id) != position => "new-log",
        Ok(id) if id < log.first => "expired",
        Ok(id) if id <= log.latest => return Ok(id),
        _ => "unknown",
    };
    let resume = cursor(log.first);
    Err(json!({"gap": {"reason": reason, "asked": position, "resume": resume}}))
}

/// Appends an event, or finds it if its key says that this is a retry.
fn append(log: &mut Log, content: &str, key: &str) -> usize {
    if let Some(n) = log.kept.iter().position(|[known, _]| known == key) {
        return log.first + n + 1;
    }
    log.latest += 1;
    let (id, at) = (cursor(log.latest), jiff::Timestamp::now());
    let json = format!(r#"{{"id":"{id}","at":"{at:.3}",{content}"#);
    log.kept.push_back([key.to_owned(), json]);
    let old = log.kept.len().saturating_sub(setting("RETENTION", 1_000));
    log.first += log.kept.drain(..old).count();
    log.latest
}

/// Appends what `{"publish":{"ref":…,"kind":…,"data":…}}` says, and answers it.
fn answer(message: &str) -> String {
    let message: Object<Object<&RawValue>> = from_str(message).unwrap_or_default();
    let publish = message.get("publish").cloned().unwrap_or_default();
    let field = |name| publish.get(name).map_or("null", |it: &&RawValue| it.get());
    let [key, kind, data] = ["ref", "kind", "data"].map(field);
    let letter = |c| matches!(c, '"' | 'a'..='z' | '0'..='9' | '-');
    let named = kind.starts_with('"') && kind.len() > 2 && kind.chars().all(letter);
    if publish.len() != 3 || !named || !key.starts_with('"') {
        let problem = r#"{"type":"tag:waiting.example,2026:bad-event","status":400}"#;
        return format!(r#"{{"error":{{"ref":{key},"problem":{problem}}}}}"#);
    }
    let content = format!(r#""kind":{kind},"data":{data}}}"#);
    let mut id = 0;
    LOG.send_modify(|log| id = append(log, &content, key));
    format!(r#"{{"ack":{{"ref":{key},"id":"{}"}}}}"#, cursor(id))
}

async fn events(Query(query): Params, head: HeaderMap, ws: WebSocketUpgrade) -> Answer {
    let header = |name| head.get(name).map_or("", |it| it.to_str().unwrap_or("?"));
    // Any page may open a socket, also under a name that its site gives this machine.
    let name = header("host").split(':').next();
    let own = matches!(name, Some("localhost" | "127.0.0.1")); // And a name of yours.
    let origin = header("origin").rsplit('/').next().unwrap_or_default();
    let own = own && (origin.is_empty() || origin == header("host"));
    own.then_some(()).ok_or(StatusCode::FORBIDDEN)?;
    let log = LOG.subscribe(); // Also the place, free when the socket has ended.
    let place = (LOG.receiver_count() <= 900).then_some(());
    place.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let asked = query.get("after").map_or("latest", |it| it);
    let at = locate(&LOG.borrow(), asked).map_or(asked.to_owned(), cursor);
    let ws = ws.protocols(["waiting.v1"]).read_buffer_size(4 << 10);
    let ws = ws.max_message_size(128 << 10);
    Ok(ws.on_upgrade(|ws| talk(ws, log, at)))
}

async fn talk(mut ws: WebSocket, mut log: Receiver<Log>, mut at: String) {
    let every = setting("HEARTBEAT_MS", 15_000);
    let period = Duration::from_millis(every);
    let (mut beats, mut heard) = (interval(period), Instant::now());
    let hello = json!({"hello": {"cursor": at, "every": every}}).to_string();
    let _ = ws.send(hello.into()).await;
    let code = loop {
        let due = |log: &Log| log.ending || locate(log, &at).ok() != Some(log.latest);
        let message = tokio::select! {
            message = timeout_at(heard + 2 * period, ws.recv()) => match message {
                Ok(Some(Ok(Message::Text(it)))) if it.len() > 64 << 10 => break 1009,
                Ok(Some(Ok(Message::Text(it)))) => answer(&it),
                Ok(Some(Ok(Message::Binary(_)))) => break 1003,
                Ok(Some(Ok(_))) => { heard = Instant::now(); continue }
                Ok(Some(Err(it))) if it.to_string().starts_with("UTF-8") => break 1007,
                _ => break 1002,
            },
            _ = beats.tick() => {
                let _ = ws.send(Message::Ping("".into())).await;
                json!({"heartbeat": {"every": every}}).to_string()
            }
            _ = async { drop(log.wait_for(due).await) } => {
                let now = LOG.borrow();
                let place = locate(&now, &at);
                at = cursor(place.as_ref().map_or(now.first, |id| id + 1));
                match place {
                    _ if now.ending => break 1001,
                    Ok(id) => format!(r#"{{"event":{}}}"#, now.kept[id - now.first][1]),
                    Err(gap) => gap.to_string(),
                }
            }
        };
        let sent = timeout(Duration::from_secs(30), ws.send(message.into()));
        let Ok(Ok(())) = sent.await else { break 1002 };
    };
    let reason = "".into();
    let close = Message::Close(Some(CloseFrame { code, reason }));
    let _ = timeout(Duration::from_secs(2), ws.send(close)).await;
    let _ = timeout(Duration::from_secs(2), ws.recv()).await; // Else it may be lost.
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
        .route("/events", get(events));
    let listener = TcpListener::bind(("127.0.0.1", setting("PORT", 3000))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app).with_graceful_shutdown(ended).await?;
    let _ = timeout(Duration::from_secs(5), LOG.closed()).await; // Open sockets.
    Ok(())
}
