//! The live panel: what holds for every method, and what is tested on one for all.

use axum::Router;
use browser::{
    engine::Kind,
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use contract::{Cursor, Data};
use feed::Feed;
use method::{Host, Method};
use serde_json::{json, Value};
use serving::Ending;
use std::sync::Arc;

/// The server of a method alone, with its own page.
pub(crate) async fn alone(method: Method) -> anyhow::Result<Served> {
    Ok(Served::start(router(method)).await?)
}

/// What serves a method over a log.
fn router(method: Method) -> impl FnOnce(&Feed, &Ending) -> Router {
    move |log, ending| (method.router)(Host::alone(log.clone(), ending.clone()))
}

/// The page of the book that has a method's panel.
pub(crate) fn chapter(method: Method) -> String {
    format!("{}/index.html", method.name)
}

/// The chapter in which the panel itself is tested.
pub(crate) const CHAPTER: &str = "sse/index.html";

/// The stream as the site mounts it.
const STREAM: &str = "GET /live/sse/events";

/// A control of the panel.
pub(crate) fn part(role: &str) -> String {
    format!(".live-panel:not([data-view]) [data-role={role}]")
}

/// Waits until the panel's status line shows this state, and gives its words.
pub(crate) async fn state(page: &Page, state: &str) -> anyhow::Result<String> {
    page.until_some(
        &format!("the state {state}"),
        "const line = document.querySelector(arguments[0]); return line.dataset.state === arguments[1] && line.textContent",
        &[json!(part("status")), json!(state)],
    )
    .await
}

/// Waits until the panel can be used.
pub(crate) async fn ready(page: &Page) -> anyhow::Result<()> {
    page.until(
        "a panel with a Start button",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("start"))],
    )
    .await
}

/// The key of this name, as WebDriver has it (§17.4.2).
pub(crate) const TAB: &str = "\u{e004}";
/// See [`TAB`].
pub(crate) const ENTER: &str = "\u{e007}";

/// Goes to a page and presses Start.
pub(crate) async fn start(page: &Page, address: &str) -> anyhow::Result<()> {
    page.navigate(address).await?;
    ready(page).await?;
    page.click(&part("start")).await?;
    state(page, "open").await?;
    hurry(page).await
}

/// Where a panel lets its reader choose how often it asks: as often as it can.
pub(crate) async fn hurry(page: &Page) -> anyhow::Result<()> {
    let choice = "return document.querySelector(arguments[0]) !== null";
    if page.run(choice, &[json!(part("interval"))]).await? {
        ask_every(page, &part("interval"), 500).await?;
    }
    Ok(())
}

/// Chooses the pause between two questions, in milliseconds.
pub(crate) async fn ask_every(page: &Page, select: &str, milliseconds: u32) -> anyhow::Result<()> {
    // Not by a click: it is chosen on a hidden page as well, where nothing can be clicked.
    page.run::<Value>(
        "const select = document.querySelector(arguments[0]);
        select.value = arguments[1];
        if (select.selectedIndex < 0) throw new Error('no such interval');
        select.dispatchEvent(new Event('change', { bubbles: true }))",
        &[json!(select), json!(milliseconds.to_string())],
    )
    .await?;
    Ok(())
}

pub(crate) async fn publish(server: &Served, text: &str) -> anyhow::Result<Cursor> {
    let data = Data::new(&json!({ "from": "test", "text": text }))?;
    Ok(server.feed.publish("message".parse()?, data).await?)
}

/// Waits until the list has the event with this cursor.
pub(crate) async fn shown(page: &Page, cursor: Cursor) -> anyhow::Result<()> {
    page.until(
        &format!("event {cursor} in the list"),
        "return document.querySelector(`[data-role=event][data-cursor='${arguments[0]}']`) !== null",
        &[json!(cursor)],
    )
    .await
}

/// The cursors in the list, in its order.
pub(crate) async fn cursors(page: &Page) -> anyhow::Result<Vec<Cursor>> {
    let script = "return Array.from(document.querySelectorAll('[data-role=event]'), (item) => item.dataset.cursor)";
    page.run(script, &[]).await
}

/// The panel's counts: received, lost, doubled, gaps, reconnects.
pub(crate) async fn counts(page: &Page) -> anyhow::Result<[u32; 5]> {
    let parts = ["received", "lost", "doubled", "gaps", "reconnects"].map(part);
    let script =
        "return arguments[0].map((part) => Number(document.querySelector(part).textContent))";
    page.run(script, &[json!(parts)]).await
}

/// Sends a message through the panel.
pub(crate) async fn send(page: &Page, name: &str, text: &str) -> anyhow::Result<()> {
    page.fill(&part("name"), name).await?;
    page.fill(&part("message"), text).await?;
    page.click(&part("send")).await
}

/// Waits until the list has a message.
pub(crate) async fn said(page: &Page, name: &str, text: &str) -> anyhow::Result<()> {
    page.until(
        &format!("“{text}” by {name}"),
        "return Array.from(document.querySelectorAll('[data-role=event]'), (item) => item.textContent)
            .some((shown) => shown.includes(arguments[0]) && shown.includes(arguments[1]))",
        &[json!(name), json!(text)],
    )
    .await
}

pub(crate) async fn it_connects_only_on_start(suite: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    let site = suite.site().await?;
    let before = publish(&site, "before anybody looked").await?;
    page.navigate(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    let scroll = "document.querySelector(arguments[0]).scrollIntoView({ behavior: 'instant' })";
    page.run::<Value>(scroll, &[json!(part("log"))]).await?;
    page.settle().await?;
    let live = |asked: &Asked| asked.what.ends_with("/events") || asked.what.ends_with("/status");
    assert!(!site.asked().iter().any(live), "{:#?}", site.asked());

    page.click(&part("start")).await?;
    state(&page, "open").await?;
    let first = publish(&site, "a live event").await?;
    shown(&page, first).await?;
    assert_eq!(cursors(&page).await?, [first], "{before} was before Start");
    let text: String = page
        .run(
            "return document.querySelector(arguments[0]).textContent",
            &[json!(part("event"))],
        )
        .await?;
    assert!(
        text.contains("test") && text.contains("a live event"),
        "{text}"
    );
    let cursor: String = page
        .run(
            "return document.querySelector(arguments[0]).textContent",
            &[json!(part("cursor"))],
        )
        .await?;
    assert_eq!(cursor, first.to_string());
    assert_eq!(site.asked_for(STREAM).len(), 1);

    page.click(&part("stop")).await?;
    state(&page, "idle").await?;
    site.until("end of the stream", |asked| {
        asked
            .iter()
            .any(|asked| asked.what == STREAM && asked.whole == Some(false))
    })
    .await?;
    Ok(())
}

pub(crate) async fn it_resumes_after_a_cut_with_nothing_lost_and_nothing_doubled(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    start(&page, &site.at(CHAPTER)).await?;
    let mut all = Vec::new();
    for number in 0..3 {
        all.push(publish(&site, &format!("before the cut {number}")).await?);
    }
    let last_seen = all[2];
    shown(&page, last_seen).await?;

    // The browser's own attempt waits at the door until everything below has been published.
    site.hold(|path| path == "/live/sse/events");
    page.click(&part("cut")).await?;
    state(&page, "connecting").await?;
    site.until("second request", |asked| {
        asked.iter().filter(|asked| asked.what == STREAM).count() == 2
    })
    .await?;
    for number in 0..5 {
        all.push(publish(&site, &format!("while it is cut {number}")).await?);
    }
    // The panel knows the server's clock no better than an event needs to come, which can be long
    // on a slow machine.
    let published: f64 = page.run("return Date.now()", &[]).await?;
    let is_later = "return Date.now() > arguments[0] + 1000";
    page.until("a second", is_later, &[json!(published)])
        .await?;
    site.release();
    state(&page, "open").await?;
    for number in 0..2 {
        all.push(publish(&site, &format!("after the cut {number}")).await?);
    }
    shown(&page, all[9]).await?;

    assert_eq!(cursors(&page).await?, all);
    assert_eq!(counts(&page).await?, [10, 0, 0, 0, 1]);
    // In the list, and where it stays when the list has moved on.
    for place in ["[data-break]", "[data-role=last-break]"] {
        let text = "return document.querySelector(arguments[0]).textContent";
        let text: String = page.run(text, &[json!(place)]).await?;
        assert!(
            text.contains("5 events happened meanwhile, none lost"),
            "{text}"
        );
    }
    let asked = site.asked_for(STREAM);
    assert_eq!(asked[0].whole, Some(false), "the connection was not broken");
    assert_eq!(asked[1].last_event_id, Some(last_seen.to_string()));
    assert_eq!(
        asked[1].query, asked[0].query,
        "the browser itself came back"
    );
    Ok(())
}

pub(crate) async fn two_tabs_talk_to_each_other(
    suite: Arc<Suite>,
    here: Page,
) -> anyhow::Result<()> {
    drop(suite);
    let server = alone(sse::METHOD).await?;
    start(&here, &server.root).await?;
    let there = here.another().await?;
    start(&there, &server.root).await?;
    // What one says, both see: the sender, too, knows its message as sent when it comes back.
    for (speaker, listener, name, text) in [
        (&there, &here, "Ada", "Is anybody there?"),
        (&here, &there, "Grace", "<b>Yes</b> & yes"),
    ] {
        speaker.to_front().await?;
        send(speaker, name, text).await?;
        for page in [speaker, listener] {
            page.to_front().await?;
            said(page, name, text).await?;
        }
    }
    for page in [&here, &there] {
        page.to_front().await?;
        assert_eq!(counts(page).await?, [2, 0, 0, 0, 0]);
    }
    Ok(())
}

pub(crate) async fn it_survives_the_end_of_its_server_and_tells_of_the_new_log(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let old = alone(method).await?;
    start(&page, &old.root).await?;
    let last = publish(&old, "the last of the old log").await?;
    shown(&page, last).await?;

    let address = old.end().await?;
    // A stream and a parked request are told at once; a client that polls meets a closed door.
    page.until(
        "a word about the end",
        "return Array.from(document.querySelectorAll('[data-role=note]'), (note) => note.textContent)
            .some((note) => /shutting down|going away|cannot be reached/.test(note))",
        &[],
    )
    .await?;

    let new = Served::start_at(address, router(method)).await?;
    page.until(
        "the new server",
        // As when the network comes back: without it, the test would wait for what Retry-After
        // asked.
        "dispatchEvent(new Event('online'));
        return document.querySelector(arguments[0]).dataset.state === 'open'",
        &[json!(part("status"))],
    )
    .await?;
    let gap: String = page
        .until_some(
            "a word about the gap",
            "return document.querySelector('[data-role=gap]')?.textContent",
            &[],
        )
        .await?;
    assert!(
        gap.contains("new log") && gap.contains(&last.to_string()),
        "{gap}"
    );
    let first = publish(&new, "the first of the new log").await?;
    shown(&page, first).await?;
    assert_eq!(cursors(&page).await?, [last, first]);
    assert_eq!(counts(&page).await?, [2, 0, 0, 1, 1]);
    Ok(())
}

pub(crate) async fn it_works_on_the_page_of_its_own_server(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(method).await?;
    page.open(&server.root).await?;
    ready(&page).await?;
    let live = |asked: &Asked| {
        ["/events", "/status", "/state", "/board"]
            .iter()
            .any(|path| asked.what.ends_with(path))
    };
    assert!(!server.asked().iter().any(live), "{:#?}", server.asked());
    page.click(&part("start")).await?;
    state(&page, "open").await?;
    hurry(&page).await?;
    let event = publish(&server, "alone").await?;
    shown(&page, event).await?;
    for asked in server.asked() {
        // The last question may still be parked. A WebSocket opens with 101.
        let well = asked
            .status
            .is_none_or(|status| [101, 200].contains(&status));
        assert!(well, "{asked:?}");
    }
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn the_keyboard_starts_and_stops_it(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.navigate(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    // From the heading before it, as a reader without a mouse would go on.
    page.run::<Value>(
        "const panel = document.querySelector('.live-panel');
        Array.from(document.querySelectorAll('main h2 a'))
            .findLast((link) => link.compareDocumentPosition(panel) & Node.DOCUMENT_POSITION_FOLLOWING)
            .focus()",
        &[],
    )
    .await?;
    tab_to(&page, "start", TAB).await?;
    page.press(ENTER).await?;
    state(&page, "open").await?;
    let focused: bool = page
        .run(
            "return document.activeElement?.dataset.role === 'start'",
            &[],
        )
        .await?;
    assert!(focused, "Start lost the focus when it was pressed");
    let event = publish(&site, "by keyboard").await?;
    shown(&page, event).await?;
    tab_to(&page, "name", TAB).await?;
    page.press("Ada").await?;
    tab_to(&page, "message", TAB).await?;
    page.press("sent with Enter").await?;
    page.press(ENTER).await?;
    page.until(
        "the message",
        "return document.querySelector(arguments[0])?.textContent.includes('sent with Enter')",
        &[json!(format!("{}:nth-child(2)", part("event")))],
    )
    .await?;
    // Back, with Shift held down.
    tab_to(&page, "stop", "\u{e008}\u{e004}").await?;
    page.press(ENTER).await?;
    state(&page, "idle").await?;
    Ok(())
}

/// Presses a key until the focus is on a part of the panel. There are fewer than 30 stops on the
/// way.
pub(crate) async fn tab_to(page: &Page, role: &str, key: &str) -> anyhow::Result<()> {
    let there = "return document.activeElement?.matches(arguments[0])";
    for _ in 0..30 {
        page.press(key).await?;
        if page.run(there, &[json!(part(role))]).await? {
            return Ok(());
        }
    }
    anyhow::bail!("the focus never came to {role}")
}

pub(crate) async fn it_goes_on_where_it_was_when_its_reader_comes_back(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(method).await?;
    start(&page, &server.root).await?;
    let first = publish(&server, "before the reader left").await?;
    shown(&page, first).await?;
    let mut second = None;
    let elsewhere = format!("{}?elsewhere", server.root);
    let restored = page
        .away_and_back(&elsewhere, async || {
            second = Some(publish(&server, "while the reader was away").await?);
            Ok(())
        })
        .await?;
    // Firefox keeps no page that had a request under way when its reader left, though the panel
    // ends it then.
    assert_eq!(restored, page.kind() != Kind::Firefox);
    if !restored {
        ready(&page).await?;
        state(&page, "idle").await?;
        page.click(&part("start")).await?;
        state(&page, "open").await?;
        return Ok(());
    }
    let second = second.expect("published");
    shown(&page, second).await?;
    assert_eq!(cursors(&page).await?, [first, second]);
    assert_eq!(counts(&page).await?[..4], [2, 0, 0, 0]);
    Ok(())
}

pub(crate) async fn in_a_chapter_it_comes_back_as_it_was(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    start(&page, &site.at(CHAPTER)).await?;
    let first = publish(&site, "before the reader left").await?;
    shown(&page, first).await?;
    page.fill(&part("name"), "Ada").await?;
    let mut second = None;
    let restored = page
        .away_and_back(&site.at("glossary.html"), async || {
            second = Some(publish(&site, "while the reader was away").await?);
            Ok(())
        })
        .await?;
    // See the test above.
    assert_eq!(restored, page.kind() != Kind::Firefox);
    if !restored {
        return ready(&page).await;
    }
    shown(&page, second.expect("published")).await?;
    state(&page, "open").await?;
    assert_eq!(cursors(&page).await?[0], first);
    assert_eq!(counts(&page).await?[..4], [2, 0, 0, 0]);
    let name: String = page
        .run(
            "return document.querySelector(arguments[0]).value",
            &[json!(part("name"))],
        )
        .await?;
    assert_eq!(name, "Ada");
    Ok(())
}

pub(crate) async fn it_fits_a_phone(suite: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    /// CSS pixels: with the bar above it, what a phone of 844 shows at once.
    const HEIGHT: f64 = 600.0;
    /// WCAG 2.2, 2.5.8.
    const FINGER: f64 = 24.0;
    let site = suite.site().await?;
    page.resize(390, 844).await?;
    for name in [
        "polling/index.html",
        "long-polling/index.html",
        CHAPTER,
        "sse/tokens.html",
        "websocket/index.html",
        "websocket/whiteboard.html",
        "http2-push/index.html",
    ] {
        page.open(&site.at(name)).await?;
        page.until(
            "panels",
            "const panels = [...document.querySelectorAll('.live-panel')];
            return panels.length > 0 && panels.every((panel) => panel.querySelector('.lp')?.checkVisibility())",
            &[],
        )
        .await?;
        let has_log = "return document.querySelector(arguments[0]) !== null";
        if page.run(has_log, &[json!(part("log"))]).await? {
            page.click(&part("start")).await?;
            state(&page, "open").await?;
            let event = publish(&site, "hello").await?;
            shown(&page, event).await?;
        }
        let (tall, small): (Vec<f64>, Vec<String>) = page
            .run(
                "const panels = [...document.querySelectorAll('.live-panel')];
                const controls = panels.flatMap((panel) =>
                    [...panel.querySelectorAll('button, select, summary, textarea, label:has(input), input')]);
                return [
                    // Of a twin, that both lanes are seen at once.
                    panels.map((panel) => panel.querySelector('.tw-lanes') ?? panel)
                        .map((panel) => panel.getBoundingClientRect().height)
                        .filter((height) => height >= arguments[0]),
                    controls.filter((control) => control.checkVisibility()
                        // A box to tick has its label around it.
                        && !control.matches('label [type=radio], label [type=checkbox]'))
                        .filter((control) => {
                            const { width, height } = control.getBoundingClientRect();
                            return Math.min(width, height) < arguments[1];
                        })
                        .map((control) => control.outerHTML),
                ]",
                &[json!(HEIGHT), json!(FINGER)],
            )
            .await?;
        assert!(tall.is_empty(), "{name}: {tall:?} px");
        assert_eq!(small, [""; 0], "{name}");
    }
    Ok(())
}

pub(crate) async fn a_page_long_hidden_lets_go_and_comes_back(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(method).await?;
    // The half minute that a panel waits, in a moment.
    server.inject(
        "const wait = window.setTimeout;
        window.setTimeout = (act, time, ...rest) => wait(act, time === 30_000 ? 100 : time, ...rest)",
    );
    start(&page, &server.root).await?;
    let first = publish(&server, "seen").await?;
    shown(&page, first).await?;
    page.hide().await?;
    let words = state(&page, "waiting").await?;
    assert!(words.contains("Paused"), "{words}");
    let gone = async {
        while server.feed.subscribers() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(browser::HANG, gone).await?;
    let second = publish(&server, "while nobody looked").await?;
    page.show().await?;
    shown(&page, second).await?;
    assert_eq!(cursors(&page).await?, [first, second]);
    assert_eq!(counts(&page).await?[..4], [2, 0, 0, 0]);
    Ok(())
}
