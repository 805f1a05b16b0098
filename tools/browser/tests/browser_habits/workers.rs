//! What a service worker can do that answers in place of a server, and how long it lives.

use crate::{
    raw::{Answer, Asked, Raw},
    streams::accept,
    Seen,
};
use browser::{driver::Undriven, engine::Engine, page::Page};
use serde_json::{json, Value};
use std::time::Duration;

/// The worker: it answers what is below `/worker/`, and notes what it is asked and told.
const WORKER: &str = r#"
const notes = [];
const times = {};
onmessage = ({ data, ports: [port] }) => {
    if (data === "notes") return port.postMessage(notes);
    notes.push("port");
    port.onmessage = () => {};
    port.onclose = () => notes.push("port closed");
};
oninstall = (event) => event.waitUntil(skipWaiting());
onactivate = (event) => event.waitUntil(clients.claim());
onfetch = (event) => {
    const { request } = event;
    const name = new URL(request.url).pathname.split("/worker/")[1];
    if (name === undefined) return;
    times[name] = (times[name] ?? 0) + 1;
    notes.push(`${name} ${request.headers.get("Last-Event-ID")}`);
    event.respondWith(answer(name, request));
};
const text = (words) => new TextEncoder().encode(words);
const stream = (source) => new Response(new ReadableStream(source, { highWaterMark: 0 }), {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
});
function answer(name, request) {
    if (name === "body") {
        const kind = request.body instanceof ReadableStream ? "a stream" : "only whole";
        return request.text().then((body) => new Response(`${kind}: ${body}`));
    }
    if (name.startsWith("parked")) {
        request.signal.onabort = () => notes.push(`${name} aborted`);
        return new Promise(() => {});
    }
    if (name === "open" || name.startsWith("many"))
        return stream({
            start: (controller) => controller.enqueue(text("data: x\n\n")),
            cancel: () => { notes.push(`${name} cancelled`) },
        });
    if (name !== "ends" && name !== "errs") return new Response("");
    if (times[name] > 1) return new Response(null, { status: 204 });
    let pulls = 0;
    return stream({
        pull: (controller) => {
            if (pulls++ === 0) return controller.enqueue(text("retry: 10\nid: 7\ndata: x\n\n"));
            if (name === "ends") controller.close();
            else controller.error(new Error("broken"));
        },
    });
}
"#;

/// Ways of the page to the worker.
const PAGE: &str = r#"
window.answered = (async () => {
    const { serviceWorker } = navigator;
    const controlled = new Promise((resolve) => { serviceWorker.oncontrollerchange = resolve });
    await serviceWorker.register("/worker.js");
    if (!serviceWorker.controller) await controlled;
    return true;
})();
window.notes = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    navigator.serviceWorker.controller.postMessage("notes", [port2]);
});
window.frame = () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = () => resolve(frame);
    frame.src = "/frame";
    document.body.append(frame);
});
"#;

fn script(text: &str) -> Answer {
    Answer::whole("200 OK", &["Content-Type: text/javascript"], text)
}

/// A page that a worker answers.
async fn controlled(page: &Page) -> anyhow::Result<Raw> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /worker.js" => script(WORKER),
        "GET /socket" => accept(asked),
        _ => Answer::page(&[], PAGE),
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.run::<bool>("return answered", &[]).await?;
    Ok(server)
}

/// Waits until the worker has noted this.
async fn noted(page: &Page, note: &str) -> anyhow::Result<()> {
    page.until(
        note,
        "return notes().then((all) => all.includes(arguments[0]))",
        &[json!(note)],
    )
    .await
}

/// Whether the worker has noted this by now, or notes it while it answers ten more questions.
/// Nothing says that a note will not come.
async fn soon_noted(page: &Page, note: &str) -> anyhow::Result<bool> {
    for _ in 0..10 {
        let script = "return notes().then((all) => all.includes(arguments[0]))";
        if page.run(script, &[json!(note)]).await? {
            return Ok(true);
        }
        page.settle().await?;
    }
    Ok(false)
}

fn told(is: bool) -> String {
    if is { "told" } else { "not told" }.to_owned()
}

pub(crate) async fn streams(page: Page) -> anyhow::Result<Seen> {
    let server = controlled(&page).await?;
    let mut seen = Vec::new();
    for (key, name) in [
        ("worker_streams.ends", "ends"),
        ("worker_streams.errs", "errs"),
    ] {
        // It comes back and is answered with 204, or is closed at once.
        let script = "return new Promise((resolve) => {
            const source = new EventSource(`/worker/${arguments[0]}`);
            const states = [];
            source.onerror = () => {
                states.push(source.readyState);
                if (source.readyState === EventSource.CLOSED) resolve(states.length);
            };
        })";
        let errors: u32 = page.run(script, &[json!(name)]).await?;
        let does = match errors {
            1 => "gives up",
            _ => "comes back",
        };
        seen.push((key, does.to_owned()));
    }
    let set =
        "return fetch('/worker/plain', { headers: { 'Last-Event-ID': '7' } }).then(() => true)";
    page.run::<bool>(set, &[]).await?;
    let notes: Vec<String> = page.run("return notes()", &[]).await?;
    let shown = |note: &str| {
        let shown = notes.iter().any(|other| other == note);
        if shown { "there" } else { "not there" }.to_owned()
    };
    seen.push(("worker_streams.header", shown("ends 7")));
    seen.push(("worker_streams.header-fetch", shown("plain 7")));

    page.run::<Value>(
        "window.streams = Array.from({ length: 8 }, (_, at) => new EventSource(`/worker/many${at}`))",
        &[],
    )
    .await?;
    page.until(
        "all streams to open",
        "return streams.every(({ readyState }) => readyState === EventSource.OPEN)",
        &[],
    )
    .await?;
    seen.push(("worker_streams.eight", "all open".to_owned()));

    page.run::<Value>(
        "return new Promise((resolve) => {
            const socket = new WebSocket(arguments[0]);
            socket.onopen = () => resolve(null);
        })",
        &[json!(server.at("/socket").replacen("http", "ws", 1))],
    )
    .await?;
    assert_eq!(server.asked_for("GET /socket").len(), 1);
    seen.push((
        "worker_streams.socket",
        "goes to the server, past the worker".to_owned(),
    ));
    Ok(seen)
}

pub(crate) async fn gone(page: Page) -> anyhow::Result<Seen> {
    let _server = controlled(&page).await?;
    let mut seen = Vec::new();

    page.run::<Value>(
        "return new Promise((resolve) => {
            const source = new EventSource('/worker/many0');
            source.onmessage = () => { source.close(); resolve(null) };
        })",
        &[],
    )
    .await?;
    let is = soon_noted(&page, "many0 cancelled").await?;
    seen.push(("worker_gone.stream", told(is)));

    page.run::<Value>(
        "const gone = new AbortController();
        return fetch('/worker/open', { signal: gone.signal })
            .then(({ body }) => body.getReader().read())
            .then(() => { gone.abort() })",
        &[],
    )
    .await?;
    let is = soon_noted(&page, "open cancelled").await?;
    seen.push(("worker_gone.body", told(is)));

    page.run::<Value>(
        "window.gone = new AbortController();
        fetch('/worker/parked', { signal: gone.signal }).catch(() => {})",
        &[],
    )
    .await?;
    noted(&page, "parked null").await?;
    page.run::<Value>("gone.abort()", &[]).await?;
    let is = soon_noted(&page, "parked aborted").await?;
    seen.push(("worker_gone.parked", told(is)));

    page.run::<Value>(
        "return frame().then((frame) => {
            window.removed = frame;
            frame.contentWindow.fetch('/worker/parked-in-frame').catch(() => {});
            const { port1, port2 } = new MessageChannel();
            const { controller } = frame.contentWindow.navigator.serviceWorker;
            frame.contentWindow.port = port1;
            controller.postMessage('keep', [port2]);
        })",
        &[],
    )
    .await?;
    noted(&page, "parked-in-frame null").await?;
    noted(&page, "port").await?;
    page.run::<Value>("removed.remove()", &[]).await?;
    let is = soon_noted(&page, "parked-in-frame aborted").await?;
    seen.push(("worker_gone.page", told(is)));
    let is = soon_noted(&page, "port closed").await?;
    seen.push(("worker_gone.port", told(is)));
    Ok(seen)
}

pub(crate) async fn code(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /worker.js" => script(WORKER),
        "GET /module/worker.js" => script("import { answer } from './part.js'; answer();"),
        "GET /module/part.js" => script("export const answer = () => {};"),
        _ => Answer::page(&[], PAGE),
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.run::<bool>("return answered", &[]).await?;
    let module: String = page
        .run(
            "return navigator.serviceWorker.register('/module/worker.js', { type: 'module' }).then(
                () => 'runs',
                ({ name }) => `does not run: ${name}`,
            )",
            &[],
        )
        .await?;
    let body: String = page
        .run(
            "return fetch('/worker/body', { method: 'POST', body: 'x' })
                .then((answer) => answer.text())",
            &[],
        )
        .await?;
    // As MDN has it: a browser that does not know it makes a text of it, and asks for no `duplex`.
    let upload: bool = page
        .run(
            "let asked = false;
            const { headers } = new Request('/', {
                method: 'POST',
                body: new ReadableStream(),
                get duplex() { asked = true; return 'half' },
            });
            return asked && !headers.has('Content-Type')",
            &[],
        )
        .await?;
    let body = body.strip_suffix(": x").unwrap_or(&body);
    Ok(vec![
        ("worker_code.module", module),
        ("worker_code.request-body", body.to_owned()),
        (
            "worker_code.upload",
            if upload { "known" } else { "not known" }.to_owned(),
        ),
    ])
}

/// How long the lives of workers are watched.
const SPAN: Duration = Duration::from_secs(90);

/// A worker that says which of its lives it is in.
const MORTAL: &str = r#"
const life = String(Math.random());
oninstall = (event) => event.waitUntil(skipWaiting());
onmessage = ({ ports: [port] }) => port?.postMessage(life);
onfetch = (event) => {
    const { pathname } = new URL(event.request.url);
    if (!pathname.endsWith("/stream")) return;
    const text = new TextEncoder();
    let timer;
    event.respondWith(new Response(new ReadableStream({
        start: (controller) => {
            const send = () => controller.enqueue(text.encode(`retry: 10\ndata: ${life}\n\n`));
            send();
            if (pathname.includes("/events/")) timer = setInterval(send, 5000);
        },
        cancel: () => clearInterval(timer),
    }), { headers: { "Content-Type": "text/event-stream" } }));
};
"#;

/// Each worker has a scope of its own, and so a life of its own. The page tells the server of each
/// life that it sees, and when, in seconds.
const LIVES: &str = r#"
const lives = {};
const began = performance.now();
function note(name, life, how) {
    const seen = (lives[name] ??= []);
    if (seen.includes(life)) return;
    seen.push(life);
    const after = Math.round((performance.now() - began) / 1000);
    fetch(`/life/${name}/${seen.length}/${how}/${after}`);
}
async function start(name) {
    const scope = `/${name}/`;
    const registration = await navigator.serviceWorker.register("/mortal.js", { scope });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    if (worker.state !== "activated")
        await new Promise((resolve) => {
            worker.onstatechange = () => worker.state === "activated" && resolve();
        });
    return registration;
}
function ask(name, { active }) {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => note(name, data, "asked");
    active.postMessage("", [port2]);
}
async function idle(name, seconds) {
    const registration = await start(name);
    ask(name, registration);
    setTimeout(() => ask(name, registration), seconds * 1000);
}
async function streaming(name) {
    const registration = await start(name);
    const frame = document.createElement("iframe");
    frame.src = `/${name}/frame`;
    const loaded = new Promise((resolve) => { frame.onload = resolve });
    document.body.append(frame);
    await loaded;
    const source = new frame.contentWindow.EventSource(`/${name}/stream`);
    source.onmessage = ({ data }) => note(name, data, "event");
    // A stream may stay open whose worker has ended.
    setTimeout(() => ask(name, registration), 85000);
    return registration;
}
idle("idle-20", 20);
idle("idle-45", 45);
idle("idle-80", 80);
streaming("silent");
streaming("events");
streaming("ping").then((registration) => {
    setInterval(() => registration.active.postMessage("ping"), 20000);
});
"#;

pub(crate) async fn life(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /mortal.js" => script(MORTAL),
        "GET /" => Answer::page(&[], LIVES),
        _ => Answer::page(&[], ""),
    })
    .await?;
    let engine = Engine::find(page.kind())?;
    let _browser = Undriven::open(&engine, &server.at("/")).await?;
    let all = ["idle-20", "idle-45", "idle-80", "silent", "events", "ping"];
    let first = |asked: &[Asked], name: &str| {
        let path = format!("GET /life/{name}/1/");
        asked.iter().any(|asked| asked.what.starts_with(&path))
    };
    server
        .until("first life of each worker", |asked| {
            all.iter().all(|name| first(asked, name))
        })
        .await?;
    // What is measured is a time.
    tokio::time::sleep(SPAN).await;
    let asked = server.until("requests", |_| true).await?;
    let second = |name: &str| {
        let path = format!("GET /life/{name}/2/");
        let mut lives = asked.iter().filter_map(|it| it.what.strip_prefix(&path));
        lives.next().and_then(|life| life.split_once('/'))
    };
    let ended = |name: &str| second(name).is_some();
    let idle = match (ended("idle-20"), ended("idle-45"), ended("idle-80")) {
        (true, _, _) => "ended within 20 s",
        (false, true, _) => "ended after 20 to 45 s",
        (false, false, true) => "ended after 45 to 80 s",
        (false, false, false) => "lives after 80 s",
    };
    let mut seen = vec![("worker_life.idle", idle.to_owned())];
    for (key, name) in [
        ("worker_life.silent", "silent"),
        ("worker_life.events", "events"),
        ("worker_life.ping", "ping"),
    ] {
        let does = match second(name) {
            Some(("asked", _)) => "ended, and the stream stays open without a word".to_owned(),
            Some((_, after)) => {
                let tens = (after.parse::<f64>()? / 10.0).round() * 10.0;
                format!("ended after about {tens} s, and the stream with it")
            }
            None => "lives after 85 s".to_owned(),
        };
        seen.push((key, does));
    }
    Ok(seen)
}
