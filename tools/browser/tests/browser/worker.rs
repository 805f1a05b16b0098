//! The published site whose servers are in a service worker: under a path, by a server that knows
//! nothing but files.

use crate::{
    panel::{chapter, counts, hurry, part, said, send, state, CHAPTER},
    published::at,
    wire::arrow,
};
use anyhow::Context as _;
use axum::{http::header, routing::get, Router};
use base64::{engine::general_purpose::STANDARD, Engine as _};
use browser::{
    page::Page,
    served::Served,
    suite::{Suite, SITE},
};
use contract::Cursor;
use method::Method;
use serde_json::{json, Value};
use std::sync::{
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    Arc,
};
use tower_http::services::{ServeDir, ServeFile};

/// The site, and what may change of it while a browser has it.
struct Site {
    server: Served,
    build: Arc<Build>,
}

#[derive(Default)]
struct Build {
    /// The worker's script differs from one to the next.
    number: AtomicU32,
    /// Its `live.json` names no worker.
    has_none: AtomicBool,
}

impl Site {
    async fn start(suite: &Suite) -> anyhow::Result<Self> {
        let directory = suite.published_with_worker().await?;
        let script = std::fs::read_to_string(directory.join("worker.js"))?;
        let live = std::fs::read_to_string(directory.join("assets/live.json"))?;
        let files =
            ServeDir::new(directory).not_found_service(ServeFile::new(directory.join("404.html")));
        let build = Arc::new(Build::default());
        let (worker_of, live_of) = (build.clone(), build.clone());
        let worker = get(move || {
            let text = format!("{script}\n// {}\n", worker_of.number.load(Relaxed));
            async { ([(header::CONTENT_TYPE, "text/javascript")], text) }
        });
        let live = get(move || {
            let text = match live_of.has_none.load(Relaxed) {
                true => r#"{"live":false}"#.to_owned(),
                false => live.clone(),
            };
            async { ([(header::CONTENT_TYPE, "application/json")], text) }
        });
        let router = Router::new()
            .route(&format!("{SITE}worker.js"), worker)
            .route(&format!("{SITE}assets/live.json"), live)
            .nest_service(SITE.trim_end_matches('/'), files);
        let server = Served::start(|_, _| router).await?;
        Ok(Self { server, build })
    }

    fn at(&self, name: &str) -> String {
        at(&self.server, name)
    }

    /// How many requests came whose path below the site begins like this.
    fn asked_below(&self, path: &str) -> usize {
        let path = format!(" {SITE}{path}");
        let asked = self.server.asked();
        asked
            .iter()
            .filter(|asked| asked.what.contains(&path))
            .count()
    }
}

const OFFER: &str = ".live-panel:not([data-view]) .live-panel-start";

/// Goes to a page and starts its servers; where they run already, presses Start.
async fn start(page: &Page, address: &str) -> anyhow::Result<()> {
    page.open(address).await?;
    page.until(
        "something to start",
        "return document.querySelector(arguments[0]) ?? document.querySelector(arguments[1])",
        &[json!(OFFER), json!(part("start"))],
    )
    .await?;
    let is_offered = "return document.querySelector(arguments[0]) !== null";
    let offered: bool = page.run(is_offered, &[json!(OFFER)]).await?;
    match offered {
        true => page.click(OFFER).await?,
        false => page.click(&part("start")).await?,
    }
    state(page, "open").await?;
    hurry(page).await
}

/// Waits until this many events have come, and gives the panel's counts.
async fn received(page: &Page, least: u32) -> anyhow::Result<[u32; 5]> {
    page.until(
        &format!("{least} events"),
        "return Number(document.querySelector(arguments[0])?.textContent) >= arguments[1]",
        &[json!(part("received")), json!(least)],
    )
    .await?;
    counts(page).await
}

/// Where the panel is in the log.
async fn cursor(page: &Page) -> anyhow::Result<Cursor> {
    page.until_some(
        "a cursor",
        "const text = document.querySelector(arguments[0])?.textContent;
        return text?.includes('.') && text",
        &[json!(part("cursor"))],
    )
    .await
}

/// Waits until the page was told that the log is another one.
async fn told_of_a_new_log(page: &Page) -> anyhow::Result<()> {
    page.until(
        "a word about the new log",
        "dispatchEvent(new Event('online'));
        return document.querySelector('[data-role=gap]')?.textContent.includes('new log')",
        &[],
    )
    .await
}

/// What is sent while the wire is shown.
const SEEN: &str = "seen by the worker";

pub(crate) async fn each_method_runs_where_no_server_is(
    suite: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    page.open(&site.at(&chapter(method))).await?;
    let offer = "return document.querySelector(arguments[0])?.parentElement.textContent";
    let offer: String = page.until_some("the offer", offer, &[json!(OFFER)]).await?;
    assert!(offer.contains("No live server is here"), "{offer}");
    // Nothing is downloaded before somebody wants it.
    assert_eq!(site.asked_below("worker.js"), 0);
    assert_eq!(site.asked_below("assets/worker/server"), 0);

    page.click(OFFER).await?;
    state(&page, "open").await?;
    hurry(&page).await?;
    received(&page, 2).await?;
    let mut reconnects = 0;
    if method.cuts {
        page.click(&part("cut")).await?;
        page.until(
            "the panel to come back",
            "return document.querySelector(arguments[0]).textContent === '1'
                && document.querySelector(arguments[1]).dataset.state === 'open'",
            &[json!(part("reconnects")), json!(part("status"))],
        )
        .await?;
        reconnects = 1;
    }
    send(&page, "Ada", "over no network").await?;
    said(&page, "Ada", "over no network").await?;
    let [seen, lost, doubled, gaps, again] = counts(&page).await?;
    assert!(seen > 2, "{seen}");
    assert_eq!([lost, doubled, gaps, again], [0, 0, 0, reconnects]);

    // And its wire is what the worker has seen.
    page.click(&part("wire")).await?;
    arrow(&page, "up", "GET").await?;
    send(&page, "Ada", SEEN).await?;
    arrow(&page, "down", SEEN).await?;

    let notes =
        "return [...document.querySelectorAll('.live-panel-real')].map((it) => it.textContent)";
    let notes: Vec<String> = page.run(notes, &[]).await?;
    assert!(!notes.is_empty());
    for note in notes {
        assert!(
            note.contains("Real here") && note.contains("Not real"),
            "{note}"
        );
        let by_port = note.contains("message port");
        assert_eq!(by_port, method.name == "websocket", "{note}");
    }
    // All of it was answered in the browser.
    assert_eq!(site.asked_below("in-browser"), 0);
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn two_tabs_share_one_room(suite: Arc<Suite>, here: Page) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    start(&here, &site.at(&chapter(long_polling::METHOD))).await?;
    let there = here.another().await?;
    start(&there, &site.at(&chapter(websocket::METHOD))).await?;
    for (speaker, listener, name, text) in [
        (&there, &here, "Ada", "Is anybody there?"),
        (&here, &there, "Grace", "Yes, by another way"),
    ] {
        speaker.to_front().await?;
        send(speaker, name, text).await?;
        listener.to_front().await?;
        said(listener, name, text).await?;
    }
    Ok(())
}

/// The panels of the chapter on many tabs.
const TABS: &str = ".live-panel[data-method=tabs]:not([data-view])";
const SEVENTH: &str = ".live-panel[data-method=tabs][data-view=seventh]";

/// Waits until as many tabs of the panel are open and have had an event, and the server counts one
/// stream for them.
async fn share(page: &Page, tabs: u32) -> anyhow::Result<()> {
    page.until(
        &format!("{tabs} tabs with one stream"),
        "const panel = document.querySelector(arguments[0]);
        const open = [...panel.querySelectorAll('[data-role=tab][data-state=open]')];
        const had = open.filter((tab) => parseInt(tab.querySelector('[data-role=had]')?.textContent) > 0);
        const is = (role, text) => panel.querySelector(`[data-role=${role}]`).textContent === text;
        const right = had.length === arguments[1] && is('streams', '1') && is('lost', '0') && is('doubled', '0');
        if (!right) throw new Error(panel.textContent);
        return right",
        &[json!(TABS), json!(tabs)],
    )
    .await
}

pub(crate) async fn many_tabs_share_one_stream_and_the_seventh_does_not_wait(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    page.open(&site.at("production/tabs.html")).await?;
    let offer = format!("{TABS} .live-panel-start");
    let is_there = "return document.querySelector(arguments[0]) !== null";
    page.until("the offer", is_there, &[json!(offer)]).await?;
    // It presses Start by itself.
    page.click(&offer).await?;
    share(&page, 3).await?;
    let more = format!("{TABS} [data-role=more]");
    page.click(&more).await?;
    share(&page, 4).await?;
    let leader = format!("{TABS} [data-role=close]");
    page.click(&leader).await?;
    share(&page, 3).await?;
    // The other way, too.
    page.run::<Value>(
        "const select = document.querySelector(arguments[0]);
        select.value = 'worker';
        select.dispatchEvent(new Event('change'))",
        &[json!(format!("{TABS} select"))],
    )
    .await?;
    share(&page, 3).await?;
    page.click(&format!("{TABS} [data-role=stop]")).await?;
    page.click(&format!("{SEVENTH} [data-role=start]")).await?;
    page.until(
        "word that it did not wait",
        "return document.querySelector(arguments[0])?.textContent.includes('a service worker answers here')",
        &[json!(format!("{SEVENTH} [data-role=verdict]"))],
    )
    .await?;
    assert_eq!(site.asked_below("in-browser"), 0);
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn another_worker_is_another_log(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    start(&page, &site.at(CHAPTER)).await?;
    received(&page, 1).await?;
    let before = cursor(&page).await?;
    page.click(&part("stop")).await?;
    state(&page, "idle").await?;
    // As when a reader clears what sites have stored. It has an end when its last page has gone.
    let ended = "return navigator.serviceWorker.ready.then((it) => it.unregister())";
    assert!(page.run::<bool>(ended, &[]).await?);
    page.open(&site.at("glossary.html")).await?;
    start(&page, &site.at(CHAPTER)).await?;
    received(&page, 1).await?;
    let after = cursor(&page).await?;
    assert_ne!(before.epoch, after.epoch);
    Ok(())
}

/// In Chromium alone, whose driver can end a worker.
pub(crate) async fn a_worker_that_was_ended_is_a_restart(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    for method in [sse::METHOD, websocket::METHOD] {
        let site = Site::start(&suite).await?;
        start(&page, &site.at(&chapter(method))).await?;
        received(&page, 1).await?;
        let before = cursor(&page).await?;
        page.end_service_workers().await?;
        // As after a sleep: the page asks at once and does not wait for its next ping.
        let look = "document.dispatchEvent(new Event('visibilitychange'))";
        page.run::<Value>(look, &[]).await?;
        told_of_a_new_log(&page).await?;
        state(&page, "open").await?;
        let [seen, lost, doubled, gaps, _] = counts(&page).await?;
        received(&page, seen + 1).await?;
        assert_eq!([lost, doubled, gaps], [0, 0, 1], "{}", method.name);
        assert_ne!(before.epoch, cursor(&page).await?.epoch);
    }
    Ok(())
}

pub(crate) async fn an_old_worker_serves_a_new_site_and_a_new_one_old_tabs(
    suite: Arc<Suite>,
    old: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    start(&old, &site.at(CHAPTER)).await?;
    received(&old, 1).await?;

    site.build.number.fetch_add(1, Relaxed);
    let new = old.another().await?;
    start(&new, &site.at(&chapter(polling::METHOD))).await?;
    received(&new, 1).await?;
    // The page of the new build finds a worker that answers, whichever it is by now.
    let script = "navigator.serviceWorker.getRegistration()";
    new.run::<Value>(
        &format!("return {script}.then((it) => it.update()).then(() => null)"),
        &[],
    )
    .await?;

    // A browser may let the old one finish its stream. Without one, the new one takes its place.
    old.to_front().await?;
    old.click(&part("stop")).await?;
    state(&old, "idle").await?;
    old.until(
        "the new worker",
        &format!("return {script}.then((it) => it.active && !it.installing && !it.waiting)"),
        &[],
    )
    .await?;
    old.click(&part("start")).await?;
    told_of_a_new_log(&old).await?;
    let seen = counts(&old).await?[0];
    received(&old, seen + 1).await?;
    // Told of it or not: it may have begun with the new one.
    new.to_front().await?;
    let seen = counts(&new).await?[0];
    received(&new, seen + 1).await?;
    Ok(())
}

pub(crate) async fn a_site_that_names_no_worker_ends_it(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    start(&page, &site.at(CHAPTER)).await?;
    site.build.has_none.store(true, Relaxed);
    // Also by a page without a panel.
    for name in ["glossary.html", CHAPTER] {
        page.open(&site.at(name)).await?;
        page.until(
            "the end of the worker",
            "return navigator.serviceWorker.getRegistrations().then((all) => all.length === 0)",
            &[],
        )
        .await?;
    }
    let text = "return document.querySelector('.live-panel').textContent.includes('No live server is here')";
    page.until("word that there is none", text, &[]).await?;
    Ok(())
}

pub(crate) async fn what_is_not_below_its_path_is_not_its_own(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    start(&page, &site.at(CHAPTER)).await?;
    let asked = "const [path, method] = arguments;
        return fetch(new URL(path, arguments[2]), { method, cache: 'reload' }).then(async (answer) =>
            [answer.status, answer.headers.get('content-type')?.split(';')[0] ?? ''])";
    let root = json!(site.at(""));
    for (path, method, status, kind, seen) in [
        ("glossary.html", "GET", 200, "text/html", 1),
        ("nowhere", "GET", 404, "text/html", 1),
        ("in-browser", "GET", 404, "text/html", 1),
        ("in-browser-not/sse/status", "GET", 404, "text/html", 1),
        ("glossary.html", "POST", 405, "", 1),
        // And what is, is.
        ("in-browser/sse/status", "GET", 200, "application/json", 0),
        // A file of the site, for a page of an earlier build.
        ("in-browser/sse/panel.js", "GET", 200, "text/javascript", 0),
        (
            "in-browser/nothing",
            "GET",
            404,
            "application/problem+json",
            0,
        ),
    ] {
        let what = format!("{method} {SITE}{path}");
        let before = site.server.asked_for(&what).len();
        let got: (u16, String) = page
            .run(asked, &[json!(path), json!(method), root.clone()])
            .await?;
        assert_eq!((got.0, got.1.as_str()), (status, kind), "{what}");
        assert_eq!(site.server.asked_for(&what).len() - before, seen, "{what}");
    }
    Ok(())
}

/// Asks by each way for what is watched, and gives what is kept of it, and under another key.
const WATCHED: &str = r#"
    const [root, key] = arguments;
    const at = (path) => new URL(`in-browser/${path}`, root);
    const ask = (path, options) => fetch(at(path), options);
    return (async () => {
        await (await ask(`polling/events?tap=${key}`)).text();
        const headers = { "Content-Type": "application/json" };
        const body = '{"kind":"message","data":1}';
        await (await ask(`sse/events?tap=${key}`, { method: "POST", headers, body })).text();
        const stream = await ask(`sse/events?tap=${key}`);
        const reader = stream.body.getReader();
        await reader.read();
        await reader.cancel();
        await (await ask("sse/status")).text();
        const { PortSocket } = await import(new URL("assets/worker/start.js", root));
        const socket = new PortSocket(at(`websocket/events?tap=${key}`), "waiting.v1");
        await new Promise((resolve) => { socket.onmessage = resolve; });
        socket.close(1000, "done");
        await new Promise((resolve) => { socket.onclose = resolve; });
        const kept = async (key) => (await ask(`wire?tap=${key}&after=0`)).json();
        let all = await kept(key);
        while (all.connections.some(({ closed }) => closed === null)) all = await kept(key);
        return [all, await kept("another0another0")];
    })()
"#;

pub(crate) async fn what_goes_over_watched_requests_is_kept(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = Site::start(&suite).await?;
    // Its panel asks for no record.
    start(&page, &site.at(CHAPTER)).await?;
    let arguments = [json!(site.at("")), json!("0123456789abcdef")];
    let [kept, other]: [Value; 2] = page.run(WATCHED, &arguments).await?;
    assert_eq!(
        (&kept["version"], &kept["source"]),
        (&json!(1), &json!("worker"))
    );
    let by = kept["connections"].as_array().context("connections")?;
    let by: Vec<_> = by.iter().map(|it| it["by"].as_str()).collect();
    assert_eq!(by, ["server", "server", "client", "client"].map(Some));
    let pieces = kept["pieces"].as_array().context("pieces")?;
    let of = |connection: u32| {
        let of_it = pieces.iter().filter(|piece| piece["c"] == connection);
        of_it.collect::<Vec<_>>()
    };
    let data = |piece: &Value| STANDARD.decode(piece["data"].as_str().unwrap_or_default());
    let parts = |connection| {
        let parts = of(connection).into_iter();
        parts.map(|it| it["part"].as_str()).collect::<Vec<_>>()
    };

    let whole = ["request", "response", "body", "end"].map(Some);
    assert_eq!(parts(1), whole);
    let head = &of(1)[0]["head"];
    assert_eq!(head["method"], "GET");
    let target = head["target"].as_str().context("a target")?;
    assert!(target.ends_with("/in-browser/polling/events?tap=0123456789abcdef"));
    assert_eq!(of(1)[1]["head"]["status"], 200);
    assert!(data(of(1)[2])?.starts_with(b"{\""));

    assert_eq!(parts(2), whole);
    assert_eq!(data(of(2)[0])?, br#"{"kind":"message","data":1}"#);
    let headers = of(2)[0]["head"]["headers"].to_string();
    assert!(
        headers.contains(r#"["content-type","application/json"]"#),
        "{headers}"
    );
    assert_eq!(of(2)[1]["head"]["status"], 201);

    // A stream that its reader has left has no end.
    assert_eq!(parts(3)[..3], ["request", "response", "body"].map(Some));
    assert!(!parts(3).contains(&Some("end")));

    // A WebSocket has its bytes: a handshake, and frames, those of the client masked.
    let way = |way: &str| {
        let of_way = of(4).into_iter().filter(|piece| piece["way"] == way);
        of_way.map(data).collect::<Result<Vec<_>, _>>()
    };
    let (up, down) = (way("up")?, way("down")?);
    assert!(
        up[0].starts_with(b"GET /in-browser/websocket/events?tap=0123456789abcdef HTTP/1.1\r\n")
    );
    assert!(String::from_utf8_lossy(&up[0]).contains("\r\nsec-websocket-key: "));
    assert!(up[0].ends_with(b"\r\n\r\n") && down[0].ends_with(b"\r\n\r\n"));
    assert!(down[0].starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
    assert_eq!(down[1][0], 0x81, "a text: hello");
    assert_eq!(
        up[1][..2],
        [0x88, 0x80 | 6],
        "a close with its code and reason"
    );

    assert_eq!(
        (&other["next"], &other["connections"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(site.asked_below("in-browser"), 0);
    Ok(())
}
