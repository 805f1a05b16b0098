//! What the panels of polling do that no other does.

use crate::panel::{alone, ask_every, counts, part, publish, shown, start};
use browser::{
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use contract::{Cursor, Data};
use serde_json::json;
use std::sync::Arc;

const EVENTS: &str = "GET /events";
const STATE: &str = "GET /state";

/// Waits until the server has been asked for something `more` times more than now.
async fn until_asked(server: &Served, what: &str, more: usize) -> anyhow::Result<Vec<Asked>> {
    let wanted = server.asked_for(what).len() + more;
    server
        .until(&format!("{wanted} × {what}"), |asked| {
            asked.iter().filter(|asked| asked.what == what).count() >= wanted
        })
        .await?;
    Ok(server.asked_for(what))
}

/// Lets the questions for something wait at the door, and waits for one of them. How many came
/// before it.
async fn hold_next(server: &Served, what: &str, holds: fn(&str) -> bool) -> anyhow::Result<usize> {
    let open = |asked: &[Asked]| {
        asked
            .iter()
            .filter(|asked| asked.what == what && asked.status.is_none())
            .count()
    };
    // From an answer that has just been given: then the client pauses, and no question slips
    // through the door meanwhile.
    until_asked(server, what, 1).await?;
    server
        .until("answer to each question", |asked| open(asked) == 0)
        .await?;
    server.hold(holds);
    let asked = server
        .until("question at the door", |asked| open(asked) == 1)
        .await?;
    Ok(asked.iter().filter(|asked| asked.what == what).count() - 1)
}

pub(crate) async fn a_client_far_behind_catches_up_without_its_pauses(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    // Eight pages. With the pauses between them this would take a minute, which is longer than any
    // wait of a test.
    const EVENTS_DUE: usize = 8 * feed::BATCH_EVENTS;
    let server = alone(polling::METHOD).await?;
    start(&page, &server.root).await?;
    let before = hold_next(&server, EVENTS, |path| path == "/events").await?;
    ask_every(&page, &part("interval"), 10_000).await?;
    let mut last = None;
    for number in 0..EVENTS_DUE {
        last = Some(publish(&server, &number.to_string()).await?);
    }
    server.release();
    let last: Cursor = last.expect("some were published");
    shown(&page, last).await?;
    let received = u32::try_from(EVENTS_DUE)?;
    assert_eq!(counts(&page).await?, [received, 0, 0, 0, 0]);
    let pages = server.asked_for(EVENTS).len() - before;
    assert!((8..=9).contains(&pages), "{pages} questions");
    Ok(())
}

pub(crate) async fn a_hidden_page_asks_less_often_and_at_once_when_it_is_shown(
    _: Arc<Suite>,
    hidden: Page,
) -> anyhow::Result<()> {
    let asks_less = alone(polling::METHOD).await?;
    start(&hidden, &asks_less.root).await?;
    until_asked(&asks_less, EVENTS, 1).await?;

    // Another page with the same interval, which is seen, is the clock of this test.
    let seen = hidden.another().await?;
    let clock = alone(polling::METHOD).await?;
    start(&seen, &clock.root).await?;

    hidden.to_front().await?;
    hidden.hide().await?;
    hidden
        .until(
            "a hidden page",
            "return document.visibilityState === 'hidden'",
            &[],
        )
        .await?;
    // A question may have been under way.
    until_asked(&clock, EVENTS, 1).await?;
    let before = asks_less.asked_for(EVENTS).len();
    until_asked(&clock, EVENTS, 3).await?;
    assert_eq!(asks_less.asked_for(EVENTS).len(), before);

    // Now its pause is twenty times the other's, also when it is seen again; and it does not wait
    // for its end.
    ask_every(&hidden, &part("interval"), 10_000).await?;
    let event = publish(&asks_less, "while it was hidden").await?;
    let before = clock.asked_for(EVENTS).len();
    hidden.show().await?;
    shown(&hidden, event).await?;
    let meanwhile = clock.asked_for(EVENTS).len() - before;
    assert!(meanwhile < 10, "{meanwhile}");
    assert_eq!(counts(&hidden).await?, [1, 0, 0, 0, 0]);
    Ok(())
}

/// A part of the panel that shows the state.
fn state_part(role: &str) -> String {
    format!(".live-panel[data-view=state] [data-role={role}]")
}

async fn tick(server: &Served, symbol: &str, price: f64) -> anyhow::Result<()> {
    let data = Data::new(&json!({ "symbol": symbol, "price": price, "change": 0.25 }))?;
    server.feed.publish("tick".parse()?, data).await?;
    Ok(())
}

/// Waits until the table has this row, and this mark in it.
async fn row(page: &Page, symbol: &str, price: &str, changed: bool) -> anyhow::Result<()> {
    page.until(
        &format!("{symbol} at {price}, changed: {changed}"),
        "return Array.from(document.querySelectorAll('[data-role=prices] tr')).some((row) =>
            row.querySelector('th[scope=row]')?.textContent === arguments[0]
                && row.textContent.includes(arguments[1])
                && row.dataset.changed === String(arguments[2])
                && row.lastElementChild.textContent.includes('yes') === arguments[2])",
        &[json!(symbol), json!(price), json!(changed)],
    )
    .await
}

pub(crate) async fn the_state_is_sent_only_when_it_has_changed(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(polling::METHOD).await?;
    tick(&server, "ACME", 101.25).await?;
    tick(&server, "HOOLI", 7.0).await?;
    page.open(&server.root).await?;
    page.until(
        "the panel",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(state_part("start"))],
    )
    .await?;
    ask_every(&page, &state_part("interval"), 500).await?;
    page.click(&state_part("start")).await?;
    // The first answer's marks are gone with the second, which brings no body.
    row(&page, "ACME", "101.25", false).await?;
    // A message is an event, and changes no price.
    publish(&server, "not about prices").await?;
    until_asked(&server, STATE, 2).await?;

    // What the next answer brings is to be seen for long.
    hold_next(&server, STATE, |path| path == "/state").await?;
    ask_every(&page, &state_part("interval"), 10_000).await?;
    tick(&server, "ACME", 101.5).await?;
    server.release();
    row(&page, "ACME", "101.50", true).await?;
    row(&page, "HOOLI", "7.00", false).await?;

    let asked = server.asked_for(STATE);
    let statuses: Vec<_> = asked.iter().filter_map(|asked| asked.status).collect();
    let [200, same @ .., 200] = statuses.as_slice() else {
        anyhow::bail!("{statuses:?}");
    };
    assert!(
        same.len() >= 2 && same.iter().all(|status| *status == 304),
        "{statuses:?}"
    );
    let counted: [usize; 4] = page
        .run(
            "return arguments[0].map((part) => Number(document.querySelector(part).textContent))",
            &[json!(["asked", "full", "same", "bytes"].map(state_part))],
        )
        .await?;
    let [questions, full, unchanged, bytes] = counted;
    assert_eq!(
        [questions, full, unchanged],
        [statuses.len(), 2, same.len()]
    );
    // Both bodies held the same prices, but for one digit.
    assert!(bytes.abs_diff(2 * length(&page).await?) <= 2, "{bytes}");
    page.click(&state_part("stop")).await?;
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

/// The length of the state's body, in bytes.
async fn length(page: &Page) -> anyhow::Result<usize> {
    page.run(
        "return fetch('state').then((response) => response.arrayBuffer()).then(({ byteLength }) => byteLength)",
        &[],
    )
    .await
}
