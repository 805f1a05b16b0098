//! Pages that nobody sees, and pages that come back.

use crate::{
    raw::{Answer, Asked, Raw, Then},
    streams::accept,
    Seen,
};
use browser::{driver::Driver, engine::Engine, page::Page};
use serde_json::{json, Value};

pub(crate) async fn long_timer(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|_, _| Answer::page(&[], "")).await?;
    page.open(&server.at("/")).await?;
    let first: String = page
        .run(
            "return new Promise((resolve) => {
                setTimeout(() => resolve('fires at once'), 2 ** 31);
                setTimeout(() => resolve('waits'), 1000);
            })",
            &[],
        )
        .await?;
    Ok(vec![("timer-long", first)])
}

/// What a page is told that was hidden and is shown again.
pub(crate) async fn shown_again(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|_, _| {
        Answer::page(
            &[],
            "window.told = [];
            for (const kind of ['visibilitychange', 'pagehide', 'pageshow', 'freeze', 'resume'])
                for (const target of [document, window])
                    target.addEventListener(kind, (event) => {
                        if (event.eventPhase === Event.AT_TARGET) told.push(`\\`${kind}\\``);
                    });",
        )
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.run::<Value>("told.length = 0", &[]).await?;
    page.hide().await?;
    let is = "return document.visibilityState === arguments[0]";
    page.until("a hidden page", is, &[json!("hidden")]).await?;
    page.show().await?;
    page.until("a page that is seen", is, &[json!("visible")])
        .await?;
    let told: Vec<String> = page.run("return told", &[]).await?;
    Ok(vec![("shown-again", told.join(", "))])
}

/// In a browser as its makers ship it: the others of this suite keep a page awake.
pub(crate) async fn hidden(page: Page) -> anyhow::Result<Seen> {
    let engine = Engine::find(page.kind())?.as_shipped();
    let driver = Driver::start(engine).await?;
    let own = driver.browser().await?;
    let page = Page::only(&own).await?;
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /stream" => Answer::stream(&[], "data: x\n\n", Then::Nothing),
        "GET /socket" => accept(asked),
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    page.hide().await?;
    page.until(
        "a hidden page",
        "return document.visibilityState === 'hidden'",
        &[],
    )
    .await?;
    // Chromium begins to slow timers down when a page has been hidden for ten seconds.
    page.run::<Value>("window.begin = performance.now()", &[])
        .await?;
    page.until(
        "a page that has been hidden for a while",
        "return performance.now() - begin > 12_000",
        &[],
    )
    .await?;
    page.run::<Value>(
        "window.ticks = 0;
        setInterval(() => { window.ticks += 1 }, 100);
        window.begin = performance.now()",
        &[],
    )
    .await?;
    let ticks: u32 = page
        .until_some(
            "six seconds more",
            "return performance.now() - begin > 6_000 && ticks",
            &[],
        )
        .await?;
    // Both are handled, or this waits in vain.
    let handled: bool = page
        .run(
            "const source = new EventSource('/stream');
            const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
            return Promise.all([
                new Promise((resolve) => { source.onmessage = () => resolve(source.close()) }),
                new Promise((resolve) => { socket.onopen = resolve }),
            ]).then(() => true)",
            &[],
        )
        .await?;
    let timer = match ticks {
        0 => "not at all".to_owned(),
        1..=12 => "about once a second".to_owned(),
        13..=30 => "slowed down".to_owned(),
        _ => "as in a page that is seen".to_owned(),
    };
    let stream = if handled { "handled" } else { "not handled" }.to_owned();
    own.close().await;
    Ok(vec![("hidden-timer", timer), ("hidden-stream", stream)])
}

/// A row, what its page holds, and the headers that the page comes with.
struct Case {
    key: &'static str,
    /// Resolves when what it opens is open.
    holds: &'static str,
    /// What that is afterwards.
    after: &'static str,
    policy: bool,
}

const CASES: [Case; 6] = [
    Case {
        key: "back-plain",
        holds: "return true",
        after: "return ''",
        policy: false,
    },
    Case {
        key: "back-stream",
        holds: "window.source = new EventSource('/stream');
            return new Promise((resolve) => { source.onmessage = () => resolve(true) })",
        after: "const state = () => ['connecting', 'open', 'closed'][source.readyState];
            return new Promise((resolve) => {
                const look = setInterval(() => state() !== 'connecting' && done(), 10);
                const done = () => { clearInterval(look); resolve(`; the stream is ${state()}`) };
                setTimeout(done, 5000);
            })",
        policy: false,
    },
    Case {
        key: "back-socket",
        holds: "window.socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
            return new Promise((resolve) => { socket.onopen = () => resolve(true) })",
        after: "return `; the socket is ${['connecting', 'open', 'closing', 'closed'][socket.readyState]}`",
        policy: false,
    },
    Case {
        key: "back-request",
        holds: "window.state = 'still open';
            fetch('/wait').then(() => { window.state = 'answered' }, () => { window.state = 'an error' });
            return true",
        after: "return new Promise((resolve) => setTimeout(resolve, 300)).then(() => `; the request is ${state}`)",
        policy: false,
    },
    Case {
        key: "back-unload",
        holds: "addEventListener('unload', () => {}); return true",
        after: "return ''",
        policy: false,
    },
    Case {
        key: "back-unload-policy",
        holds: "addEventListener('unload', () => {}); return true",
        after: "return ''",
        policy: true,
    },
];

pub(crate) async fn back(page: Page) -> anyhow::Result<Seen> {
    let engine = Engine::find(page.kind())?.patient();
    let driver = Driver::start(engine).await?;
    let own = driver.browser().await?;
    let seen = there_and_back(&Page::only(&own).await?).await;
    own.close().await;
    seen
}

async fn there_and_back(page: &Page) -> anyhow::Result<Seen> {
    let mut seen = Vec::new();
    for Case {
        key,
        holds,
        after,
        policy,
    } in CASES
    {
        let server = Raw::start(move |asked: &Asked, _| match asked.what.as_str() {
            "GET /stream" => Answer::stream(&[], "retry: 10\ndata: x\n\n", Then::Nothing),
            "GET /socket" => accept(asked),
            "GET /wait" => Answer::raw("", Then::Nothing),
            _ if policy => Answer::page(&["Permissions-Policy: unload=()"], ""),
            _ => Answer::page(&[], ""),
        })
        .await?;
        page.open(&server.at("/page")).await?;
        page.run::<Value>(holds, &[]).await?;
        if key == "back-request" {
            server
                .until("request", |asked| {
                    asked.iter().any(|asked| asked.what == "GET /wait")
                })
                .await?;
        }
        let next = server.at("/next");
        let restored = page.away_and_back(&next, async || Ok(())).await?;
        let does = if restored {
            let state: String = page.run(after, &[]).await?;
            let again = server.asked_for("GET /stream").len() > 1;
            format!(
                "restored{state}{}",
                if again { ", after a reconnect" } else { "" }
            )
        } else {
            "loaded anew".to_owned()
        };
        seen.push((key, does));
    }
    Ok(seen)
}
