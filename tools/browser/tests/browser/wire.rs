//! The view of the wire below a live panel.

use crate::{
    access::look_in_light_and_dark,
    book::WIDE,
    panel::{chapter, hurry, part, publish, ready, state, CHAPTER, ENTER},
};
use browser::{page::Page, served::Asked, suite::Suite};
use method::Method;
use serde_json::json;
use std::{collections::HashSet, sync::Arc};

/// What a test sends.
const SENT: &str = "over the wire";
/// The same as the view has it in bytes.
const HEX: &str = "6f 76 65 72 20 74 68 65 20 77 69 72 65";
/// The key of this name, as WebDriver has it (§17.4.2).
const HOME: &str = "\u{e011}";

/// Waits until an arrow of this direction says this, and gives the focus to it.
pub(crate) async fn arrow(page: &Page, way: &str, text: &str) -> anyhow::Result<()> {
    page.until(
        &format!("an arrow {way} with “{text}”"),
        "const arrow = Array.from(document.querySelectorAll(`.wire-${arguments[0]}`))
            .find((it) => it.getAttribute('aria-label').includes(arguments[1]));
        arrow?.focus();
        return document.activeElement === arrow",
        &[json!(way), json!(text)],
    )
    .await
}

/// A count of the view.
async fn count(page: &Page, role: &str) -> anyhow::Result<String> {
    let script = "return document.querySelector(arguments[0]).textContent";
    page.run(script, &[json!(part(role))]).await
}

/// Waits until the details of an arrow are open, and gives their text.
async fn opened(page: &Page) -> anyhow::Result<String> {
    page.until_some(
        "an arrow's bytes",
        "const detail = document.querySelector(arguments[0]);
        return detail.checkVisibility() && detail.textContent",
        &[json!(part("wire-detail"))],
    )
    .await
}

pub(crate) async fn each_method_has_its_arrows_and_each_arrow_its_bytes(
    suite: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.open(&site.at(&chapter(method))).await?;
    ready(&page).await?;
    page.click(&part("start")).await?;
    state(&page, "open").await?;
    hurry(&page).await?;
    let loaded = || site.asked().iter().any(|it| it.what.contains("/wire/"));
    assert!(!loaded(), "nobody has pressed its button");

    page.click(&part("wire")).await?;
    arrow(&page, "up", "GET /live").await?;
    publish(&site, SENT).await?;
    arrow(&page, "down", SENT).await?;
    page.press(ENTER).await?;
    let detail = opened(&page).await?;
    assert!(detail.contains(SENT) && detail.contains(HEX), "{detail}");
    assert_eq!(count(&page, "wire-lost").await?, "0");
    assert_eq!(count(&page, "wire-doubled").await?, "0");
    assert_ne!(count(&page, "wire-events").await?, "0");

    page.click(&format!("{} summary", part("wire-text")))
        .await?;
    page.until(
        "the same as text",
        "return document.querySelector(arguments[0]).textContent.includes(arguments[1])",
        &[
            json!(format!("{} [role=log]", part("wire-text"))),
            json!(SENT),
        ],
    )
    .await?;
    // It stands still, so that axe looks at one picture.
    page.click(&part("wire-play")).await?;
    look_in_light_and_dark(&page).await?;

    page.click(&part("wire")).await?;
    // The module is asked for again before it hides the view.
    let hidden = "return document.querySelector('.wire') === null";
    page.until("it to be hidden again", hidden, &[]).await?;
    let asked = site.asked();
    let keys: HashSet<_> = asked.iter().filter_map(Asked::tap_key).collect();
    assert_eq!(keys.len(), 1, "one key for all requests: {keys:?}");
    Ok(())
}

pub(crate) async fn a_cut_and_what_follows_it_are_drawn(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.resize(390, 844).await?;
    page.open(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    page.click(&part("wire")).await?;
    // On a slow machine the cut would have left a picture of ten seconds.
    page.until(
        "half a minute in the picture",
        "const length = document.querySelector(arguments[0]);
        length.value = '30000';
        return length.dispatchEvent(new Event('change'))",
        &[json!(part("wire-length"))],
    )
    .await?;
    page.click(&part("start")).await?;
    state(&page, "open").await?;
    arrow(&page, "down", "hello").await?;
    page.click(&part("cut")).await?;
    arrow(&page, "up", "POST /live/sse/cut").await?;
    page.until(
        "the close, and by whom",
        "return document.querySelector('.wire-closing title')?.textContent === 'closed by the server'",
        &[],
    )
    .await?;
    // Comes back by itself, on another connection.
    state(&page, "open").await?;
    page.until(
        "a bar that is open",
        "return document.querySelectorAll('.wire-bar.wire-stream').length === 2
            && document.querySelectorAll('.wire-bar.wire-stream.wire-is-open').length === 1",
        &[],
    )
    .await?;
    // Enter opens an arrow, and Home leads to the first.
    arrow(&page, "up", "POST /live/sse/cut").await?;
    page.press(ENTER).await?;
    let detail = opened(&page).await?;
    assert!(detail.contains("request line"), "{detail}");
    page.press(HOME).await?;
    page.press(ENTER).await?;
    let detail = opened(&page).await?;
    assert!(detail.contains("GET /live/sse/"), "{detail}");
    let wide: Vec<String> = page.run(WIDE, &[]).await?;
    assert!(wide.is_empty(), "wider than the window: {wide:#?}");
    Ok(())
}
