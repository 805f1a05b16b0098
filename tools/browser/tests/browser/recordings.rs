//! The recordings on a static site: they are replayed where no server is.

use crate::{
    access::look,
    book::WIDE,
    published::{at, published},
};
use browser::{page::Page, parts, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;
use testbed::parts::Missing;

const REPLAY: &str = ".in-page[data-module='wire/replay.js']";

async fn start(page: &Page) -> anyhow::Result<()> {
    page.click(&format!("{REPLAY} .in-page-start button"))
        .await?;
    page.until(
        "the recording",
        "return document.querySelectorAll(`${arguments[0]} .wire-arrow`).length > 0",
        &[json!(REPLAY)],
    )
    .await
}

/// The text of each element that matches, below the replay.
async fn texts(page: &Page, css: &str) -> anyhow::Result<Vec<String>> {
    let script = "return Array.from(document.querySelectorAll(`${arguments[0]} ${arguments[1]}`), (it) => it.textContent)";
    page.run(script, &[json!(REPLAY), json!(css)]).await
}

pub(crate) async fn a_push_is_replayed_beside_what_took_its_place(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    page.resize(390, 844).await?;
    page.open(&at(&server, "http2-push/index.html")).await?;
    let asked = |what: &str| server.asked().iter().any(|asked| asked.what.contains(what));
    assert!(!asked("/recordings/"), "nobody has pressed anything");
    start(&page).await?;
    let names = texts(&page, ".wire-name").await?;
    assert_eq!(names, ["HTTP/2 push", "103 Early Hints", "neither"]);
    // Whole at first. Half a round trip after the beginning nothing has come back.
    let come = "[data-role=wire-down]";
    let whole = texts(&page, come).await?;
    let scrub = "const time = document.querySelector(`${arguments[0]} input[type=range]`);
        time.value = arguments[1];
        time.dispatchEvent(new Event('input', { bubbles: true }))";
    page.run::<Value>(scrub, &[json!(REPLAY), json!("50")])
        .await?;
    page.until(
        "an earlier time",
        "return Array.from(document.querySelectorAll(`${arguments[0]} ${arguments[1]}`))
            .every((count) => /^0\\b/.test(count.textContent))",
        &[json!(REPLAY), json!(come)],
    )
    .await?;
    assert!(
        !whole.iter().any(|count| count.starts_with("0 ")),
        "{whole:?}"
    );
    let wide: Vec<String> = page.run(WIDE, &[]).await?;
    assert!(wide.is_empty(), "wider than the window: {wide:#?}");
    assert_eq!(page.complaints().await?, [""; 0]);
    Ok(())
}

pub(crate) async fn a_panel_is_replayed_in_the_browser_of_the_readers_choice(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    page.open(&at(&server, "sse/index.html")).await?;
    start(&page).await?;
    let choice = "const choice = document.querySelector(`${arguments[0]} [data-role=wire-choice]`);
        choice.selectedIndex = arguments[1];
        choice.dispatchEvent(new Event('change', { bubbles: true }));
        return Array.from(choice.options, (option) => option.text)";
    let browsers: Vec<String> = page.run(choice, &[json!(REPLAY), json!(1)]).await?;
    let [chromium, firefox, webkit] = browsers.as_slice() else {
        panic!("{browsers:?}");
    };
    for (name, of) in [
        (chromium, "Chromium "),
        (firefox, "Firefox "),
        (webkit, "WebKitGTK "),
    ] {
        assert!(name.starts_with(of), "{name}");
    }
    let [source] = &texts(&page, ".wire-source").await?[..] else {
        panic!("more than one is shown");
    };
    assert!(source.contains(firefox), "{source}");
    assert_eq!(page.complaints().await?, [""; 0]);
    Ok(())
}

pub(crate) async fn no_barriers_in_light_and_dark(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    let server = published(&suite).await?;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        page.open(&at(&server, "http2-push/index.html")).await?;
        start(&page).await?;
        page.click(&format!("{REPLAY} summary")).await?;
        look(&page, &axe, scheme).await?;
    }
    Ok(())
}
