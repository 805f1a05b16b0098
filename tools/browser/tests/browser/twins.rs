//! The twins: one button for two servers, of which one loses what the other keeps.

use crate::{
    access::look_in_light_and_dark,
    panel::{ask_every, chapter},
    published::at,
};
use axum::Router;
use browser::{
    page::Page,
    served::Served,
    suite::{Suite, SITE},
};
use method::Method;
use serde_json::json;
use std::sync::Arc;
use tower_http::services::ServeDir;

const TWIN: &str = ".live-panel[data-method=twin]:not([data-view=foreign])";

fn part(role: &str) -> String {
    format!("{TWIN} [data-role={role}]")
}

/// Waits until the twin can be used: nothing is under way, and both lanes are open.
async fn usable(page: &Page) -> anyhow::Result<String> {
    page.until_some(
        "both lanes to be there, and nothing under way",
        "const verdict = document.querySelector(arguments[1])?.textContent;
        return document.querySelector(arguments[0])?.ariaDisabled === 'false' && verdict",
        &[json!(part("cut")), json!(part("verdict"))],
    )
    .await
}

/// What a lane has received, lost, got twice, and been told of as a gap.
async fn counts(page: &Page, side: &str) -> anyhow::Result<[u32; 4]> {
    page.run(
        "const lane = document.querySelector(arguments[0]);
        return ['received', 'lost', 'doubled', 'gaps'].map((role) =>
            Number(lane.querySelector(`[data-role=${role}]`).textContent))",
        &[json!(format!("{TWIN} .tw-lane[data-side={side}]"))],
    )
    .await
}

/// Presses a button, and gives what the twin says came of it.
async fn press(page: &Page, role: &str) -> anyhow::Result<String> {
    page.click(&part(role)).await?;
    usable(page).await
}

/// Cuts both, and then falls behind the window: a loss without a word, and one with it.
async fn loses_on_one_side(page: &Page) -> anyhow::Result<()> {
    let said = press(page, "cut").await?;
    let [_, lost, ..] = counts(page, "plain").await?;
    assert!(lost >= 3, "{said}");
    let [received, lost, doubled, gaps] = counts(page, "real").await?;
    assert!(received > 3, "{said}");
    assert_eq!([lost, doubled, gaps], [0; 3], "{said}");
    assert!(said.contains("with the log lost nothing"), "{said}");
    let hole = "return document.querySelector('.tw-lane [data-mark=hole]').textContent";
    let hole: String = page.run(hole, &[]).await?;
    assert!(hole.contains("never came"), "{hole}");

    let said = press(page, "behind").await?;
    let [_, lost, _, gaps] = counts(page, "real").await?;
    // Where the browser is slow, it falls behind more than once.
    assert!(lost >= 200 - 64 && gaps >= 1, "{said}");
    let [_, lost, _, gaps] = counts(page, "plain").await?;
    assert!(lost >= 200 && gaps == 0, "{said}");
    Ok(())
}

async fn start(page: &Page, method: Method) -> anyhow::Result<()> {
    page.click(&part("start")).await?;
    usable(page).await?;
    if method.name == "polling" {
        ask_every(page, &part("interval"), 500).await?;
    }
    Ok(())
}

/// The chapter of a method on the running site, with its twin there.
async fn open(page: &Page, site: &Served, method: Method) -> anyhow::Result<()> {
    page.open(&site.at(&chapter(method))).await?;
    page.until(
        "a twin with a Start button",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("start"))],
    )
    .await
}

pub(crate) async fn one_button_makes_one_lose_and_one_keep(
    suite: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    open(&page, &site, method).await?;
    start(&page, method).await?;
    loses_on_one_side(&page).await?;
    page.click(&part("stop")).await?;
    // Of what was cut, and of the gap, browsers complain.
    let mut complaints = page.complaints().await?;
    complaints.retain(|it| !it.contains("Failed to load resource"));
    assert_eq!(complaints, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn a_page_of_another_origin_opens_the_plain_socket_alone(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    const FOREIGN: &str = ".live-panel[data-view=foreign]";
    let site = suite.site().await?;
    page.open(&site.at(&chapter(websocket::METHOD))).await?;
    // What comes above it moves it away from under the pointer.
    page.until(
        "all panels",
        "return [...document.querySelectorAll('.live-panel')]
            .every((panel) => panel.dataset.state === 'live' && !panel.querySelector('.lp[hidden]'))",
        &[],
    )
    .await?;
    for (button, plain, real) in [("own", 1, 1), ("foreign", 2, 1)] {
        let button = format!("{FOREIGN} [data-role={button}]");
        page.until(
            "the button",
            "return document.querySelector(arguments[0])?.checkVisibility()",
            &[json!(button)],
        )
        .await?;
        page.click(&button).await?;
        page.until(
            &format!("{plain} open sockets of one, and {real} of the other"),
            "const panel = document.querySelector(arguments[0]);
            const count = (side, mark) =>
                panel.querySelectorAll(`[data-role=${side}] [data-mark=${mark}]`).length;
            return count('plain', 'open') === arguments[1] && count('real', 'open') === arguments[2]
                && count('real', 'refused') === arguments[1] - arguments[2]",
            &[json!(FOREIGN), json!(plain), json!(real)],
        )
        .await?;
    }
    let asked = site.asked_for("GET /live/twin/foreign/real");
    assert_eq!(asked.last().and_then(|asked| asked.status), Some(403));
    Ok(())
}

pub(crate) async fn in_a_stream_each_case_is_what_its_chapter_says(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    open(&page, &site, sse::METHOD).await?;
    start(&page, sse::METHOD).await?;
    let said = press(&page, "burst").await?;
    assert!(counts(&page, "plain").await?[1] > 0, "{said}");
    assert_eq!(counts(&page, "real").await?[1], 0, "{said}");
    // With ids, and none at first: only the first break loses.
    choose(&page, "1").await?;
    start(&page, sse::METHOD).await?;
    press(&page, "cut").await?;
    assert_eq!(counts(&page, "plain").await?, [1, 3, 0, 0]);
    assert_eq!(counts(&page, "real").await?, [4, 0, 0, 0]);
    press(&page, "burst").await?;
    assert_eq!(counts(&page, "plain").await?[1], 3, "it has a log");
    // Half of each text.
    choose(&page, "2").await?;
    start(&page, sse::METHOD).await?;
    press(&page, "burst").await?;
    let spoiled = "return [...document.querySelectorAll('.tw-lane [data-role=spoiled]')]
        .map((it) => Number(it.textContent))";
    let [plain, real]: [u32; 2] = page.run(spoiled, &[]).await?;
    assert!(plain > 0 && real == 0, "{plain} {real}");
    look_in_light_and_dark(&page).await
}

async fn choose(page: &Page, case: &str) -> anyhow::Result<()> {
    page.run(
        "const select = document.querySelector(arguments[0]);
        select.value = arguments[1];
        select.dispatchEvent(new Event('change'))",
        &[json!(part("case")), json!(case)],
    )
    .await
}

pub(crate) async fn it_works_in_a_service_worker(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let files = ServeDir::new(suite.published_with_worker().await?);
    let path = SITE.trim_end_matches('/');
    let site = Served::start(|_, _| Router::new().nest_service(path, files)).await?;
    page.open(&at(&site, &chapter(websocket::METHOD))).await?;
    let offer = format!("{TWIN} .live-panel-start");
    page.until(
        "the offer",
        "return document.querySelector(arguments[0]) !== null",
        &[json!(offer)],
    )
    .await?;
    // It presses Start by itself.
    page.click(&offer).await?;
    usable(&page).await?;
    loses_on_one_side(&page).await?;
    page.open(&at(&site, &chapter(sse::METHOD))).await?;
    page.until(
        "a twin with a Start button",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("start"))],
    )
    .await?;
    start(&page, sse::METHOD).await?;
    loses_on_one_side(&page).await
}
