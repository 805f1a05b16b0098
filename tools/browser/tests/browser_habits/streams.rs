//! `EventSource`, and how many of them there can be.

use crate::{
    raw::{Answer, Asked, Raw, Then},
    Seen,
};
use anyhow::Context as _;
use browser::page::Page;
use serde_json::{json, Value};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// More than any browser opens to one host.
const MANY: usize = 5;

/// Accepts a WebSocket, and says no more.
pub(crate) fn accept(asked: &Asked) -> Answer {
    accept_as(asked, None)
}

/// The same with a subprotocol.
pub(crate) fn accept_as(asked: &Asked, protocol: Option<&str>) -> Answer {
    let protocol = protocol
        .map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"))
        .unwrap_or_default();
    let key = asked.header("sec-websocket-key").unwrap_or_default();
    let accepted = derive_accept_key(key.as_bytes());
    Answer::raw(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accepted}\r\n{protocol}\r\n"
        ),
        Then::Nothing,
    )
}

pub(crate) async fn six(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /" | "GET /more" => Answer::page(&[], ""),
        "GET /socket" => accept(asked),
        _ => Answer::stream(&[], "data: hello\n\n", Then::Nothing),
    })
    .await?;
    // The clock of this test: what has been asked of it once the first server's turn is over.
    let clock =
        Raw::start(|_, _| Answer::whole("200 OK", &["Access-Control-Allow-Origin: *"], "")).await?;
    let tick = "return Promise.all(Array.from({ length: 3 }, () => fetch(arguments[0], { cache: 'no-store' }))).then(() => true)";
    let streams = "window.streams = Array.from({ length: arguments[0] }, (_, number) =>
        new EventSource(`/stream/${arguments[1]}/${number}`))";
    // The pages first, since each needs a connection itself.
    let there = page.another().await?;
    there.open(&server.at("/")).await?;
    page.to_front().await?;
    page.open(&server.at("/")).await?;
    page.run::<Value>(streams, &[json!(MANY), json!(1)]).await?;
    there.to_front().await?;
    there
        .run::<Value>(streams, &[json!(MANY), json!(2)])
        .await?;

    let open = |asked: &[Asked]| {
        let streams = asked.iter().filter(|asked| asked.what.contains("/stream/"));
        streams.filter(|asked| !asked.left).count()
    };
    server
        .until("streams of both tabs", |asked| open(asked) > MANY)
        .await?;
    // Nothing says that no more will come. But a request to another port goes through, again and
    // again.
    for _ in 0..10 {
        there.run::<Value>(tick, &[json!(clock.at("/"))]).await?;
    }
    let at_once = open(&server.until("streams", |_| true).await?);

    there
        .run::<Value>(
            "window.socket = new WebSocket(arguments[0])",
            &[json!(server.at("/socket").replacen("http", "ws", 1))],
        )
        .await?;
    let further = there.another().await?;
    further.navigate(&server.at("/more")).await?;
    there.to_front().await?;
    for _ in 0..10 {
        there.run::<Value>(tick, &[json!(clock.at("/"))]).await?;
    }
    let page_waits = server.asked_for("GET /more").is_empty();
    let socket_waits = server.asked_for("GET /socket").is_empty();
    // One ends: the next comes.
    let before = server.until("streams", |_| true).await?.len();
    there
        .run::<Value>("for (const stream of streams) stream.close()", &[])
        .await?;
    let after = server
        .until("next in line", |asked| asked.len() > before)
        .await?;
    server
        .until("page in the further tab, and no socket", |asked| {
            let has = |what: &str| asked.iter().any(|asked| asked.what == what);
            has("GET /more") && has("GET /socket")
        })
        .await?;
    let waited = after.len() > before && at_once < 2 * MANY;
    Ok(vec![
        ("streams-at-once", at_once.to_string()),
        (
            "one-more-stream",
            if waited {
                "waits until another ends, without a word".to_owned()
            } else {
                "opens".to_owned()
            },
        ),
        (
            "one-more-page",
            if page_waits { "waits, too" } else { "loads" }.to_owned(),
        ),
        (
            "socket-beside",
            if socket_waits { "waits, too" } else { "opens" }.to_owned(),
        ),
    ])
}

/// Whether sockets that are open take the places of requests.
pub(crate) async fn sockets(page: Page) -> anyhow::Result<Seen> {
    const SOCKETS: usize = 8;
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /socket" => accept(asked),
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.run::<Value>(
        "window.sockets = Array.from({ length: arguments[0] }, () => new WebSocket(arguments[1]))",
        &[
            json!(SOCKETS),
            json!(server.at("/socket").replacen("http", "ws", 1)),
        ],
    )
    .await?;
    page.until(
        "all sockets to open",
        "return sockets.every(({ readyState }) => readyState === WebSocket.OPEN)",
        &[],
    )
    .await?;
    page.run::<Value>("return fetch('/beside').then(() => true)", &[])
        .await?;
    Ok(vec![(
        "sockets-open",
        "all open, and a `fetch()` beside them is answered".to_owned(),
    )])
}

/// What an `EventSource` does after its first error, or that it got an event.
const WATCH: &str = "return new Promise((resolve) => {
    const source = new EventSource(arguments[0]);
    source.onerror = () => {
        resolve(source.readyState === EventSource.CLOSED ? 'gives up' : 'tries again');
        source.close();
    };
})";

pub(crate) async fn answers(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, before| match asked.what.as_str() {
        "GET /204" => Answer::raw("HTTP/1.1 204 No Content\r\n\r\n", Then::Next),
        "GET /503" => Answer::whole("503 Service Unavailable", &["Retry-After: 1"], ""),
        "GET /type" => Answer::whole("200 OK", &["Content-Type: text/html"], "data: x\n\n"),
        "GET /empty" => Answer::raw("", Then::Close),
        "GET /301" if before == 0 => {
            Answer::whole("301 Moved Permanently", &["Location: /ends/301"], "")
        }
        "GET /307" if before == 0 => {
            Answer::whole("307 Temporary Redirect", &["Location: /ends/307"], "")
        }
        "GET /ends/301" | "GET /ends/307" if before == 0 => {
            Answer::stream(&[], "retry: 10\nid: 1\ndata: x\n\n", Then::Next)
        }
        // After a second request of either address, no more.
        "GET /301" | "GET /307" | "GET /ends/301" | "GET /ends/307" => {
            Answer::raw("HTTP/1.1 204 No Content\r\n\r\n", Then::Next)
        }
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    let mut seen = Vec::new();
    for (key, path) in [
        ("stream-204", "/204"),
        ("stream-503", "/503"),
        ("stream-type", "/type"),
        ("stream-empty", "/empty"),
    ] {
        let does: String = page.run(WATCH, &[json!(server.at(path))]).await?;
        seen.push((key, does));
    }
    for (key, status) in [("stream-301", 301), ("stream-307", 307)] {
        page.run::<Value>(
            "window.source = new EventSource(arguments[0])",
            &[json!(server.at(&format!("/{status}")))],
        )
        .await?;
        let first = format!("GET /{status}");
        let second = format!("GET /ends/{status}");
        let asked = server
            .until("request after the end", |asked| {
                let of_it = |asked: &&Asked| asked.what == first || asked.what == second;
                asked.iter().filter(of_it).count() > 2
            })
            .await?;
        let of_it = |asked: &&Asked| asked.what == first || asked.what == second;
        let last = asked.iter().rfind(of_it).context("none")?;
        seen.push((
            key,
            if last.what == first {
                "comes back to the first address".to_owned()
            } else {
                "comes back to the second address".to_owned()
            },
        ));
    }
    seen.extend(refused(&page).await?);
    Ok(seen)
}

/// A page whose server has gone.
async fn refused(page: &Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /stream" => Answer::stream(&[], "retry: 1000\ndata: x\n\n", Then::Nothing),
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.run::<Value>(
        "window.errors = [];
        window.source = new EventSource('/stream');
        source.onerror = () => {
            errors.push(source.readyState === EventSource.CLOSED ? 'gives up' : 'tries again');
        };
        return new Promise((resolve) => { source.onmessage = resolve })",
        &[],
    )
    .await?;
    drop(server);
    // The first error is the break, the second the attempt to come back.
    let again: String = page
        .until_some(
            "an attempt to come back",
            "return errors[1] ?? (errors[0] === 'gives up' && 'gives up at the break')",
            &[],
        )
        .await?;
    page.run::<Value>("source.close()", &[]).await?;
    let first: String = page.run(WATCH, &[json!("/first")]).await?;
    Ok(vec![
        ("stream-refused-again", again),
        ("stream-refused", first),
    ])
}
