//! The race and the calculator, on a static site: what needs no server is there without one.

use crate::{
    access::look,
    book::WIDE,
    published::{at, published},
};
use browser::{page::Page, parts, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;
use testbed::parts::Missing;

const INTRODUCTION: &str = "introduction.html";
const CHOOSING: &str = "choosing/index.html";
const RACE: &str = ".in-page[data-module^=race]";
const CALCULATOR: &str = ".in-page[data-module^=calculator]";

/// A piece of the race or of the calculator.
fn part(role: &str) -> String {
    format!(".in-page [data-role={role}]")
}

/// Presses the button of a part, and waits until it is at work.
async fn start(page: &Page, css: &str) -> anyhow::Result<()> {
    page.click(&format!("{css} .in-page-start button")).await?;
    ready(page, css).await
}

async fn ready(page: &Page, css: &str) -> anyhow::Result<()> {
    page.until(
        css,
        "const part = document.querySelector(arguments[0]);
        return part.dataset.state === 'live' && part.querySelector('.lp:not([hidden])') !== null",
        &[json!(css)],
    )
    .await
}

/// Sets a control as a reader does, and tells the page.
async fn set(page: &Page, role: &str, value: &str) -> anyhow::Result<()> {
    let script = "const control = document.querySelector(arguments[0]);
        control.value = arguments[1];
        for (const type of ['input', 'change'])
            control.dispatchEvent(new Event(type, { bubbles: true }))";
    page.run::<Value>(script, &[json!(part(role)), json!(value)])
        .await?;
    Ok(())
}

async fn value(page: &Page, role: &str) -> anyhow::Result<String> {
    let script = "return document.querySelector(arguments[0]).value";
    page.run(script, &[json!(part(role))]).await
}

/// The texts of a table's column, row by row.
async fn column(page: &Page, css: &str, column: usize) -> anyhow::Result<Vec<String>> {
    page.run(
        "return Array.from(document.querySelectorAll(`${arguments[0]} tbody tr`),
            (row) => row.cells[arguments[1]].textContent)",
        &[json!(css), json!(column)],
    )
    .await
}

/// That nothing of the page is wider than a phone, on which it is opened.
async fn fits_a_phone(page: &Page, address: &str, css: &str) -> anyhow::Result<()> {
    page.resize(390, 844).await?;
    page.open("about:blank").await?;
    page.open(address).await?;
    match css {
        RACE => start(page, css).await?,
        // Its address has it open.
        _ => ready(page, css).await?,
    }
    let wide: Vec<String> = page.run(WIDE, &[]).await?;
    assert!(wide.is_empty(), "wider than the window: {wide:#?}");
    Ok(())
}

pub(crate) async fn the_race_runs_and_loses_where_no_cursor_is(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    const LOST: usize = 4;
    let server = published(&suite).await?;
    page.open(&at(&server, INTRODUCTION)).await?;
    let asked = |what: &str| server.asked().iter().any(|asked| asked.what.contains(what));
    assert!(!asked("assets/modules/race"), "nobody has pressed anything");
    start(&page, RACE).await?;
    page.until(
        "time to pass",
        "return Number(document.querySelector(arguments[0]).value) > 100",
        &[json!(part("time"))],
    )
    .await?;
    page.click(&part("start")).await?;
    let stopped = value(&page, "time").await?;
    page.settle().await?;
    assert_eq!(value(&page, "time").await?, stopped, "it plays on");

    // To the end, by its time.
    set(&page, "time", "20000").await?;
    let lost = column(&page, ".race-table", LOST).await?;
    let [polling, long_polling, sse, websocket, no_cursor] = lost.as_slice() else {
        panic!("{lost:?}");
    };
    for kept in [polling, long_polling, sse, websocket] {
        assert_eq!(kept, "0");
    }
    assert!(no_cursor.starts_with('✕'), "{no_cursor}");

    // A cut at the reader's hand, where there was none: it loses more.
    set(&page, "time", "5000").await?;
    page.click(&part("cut")).await?;
    set(&page, "time", "20000").await?;
    let after = column(&page, ".race-table", LOST).await?;
    assert_eq!(after[..4], lost[..4]);
    let count = |text: &str| text.trim_start_matches("✕ ").parse::<u32>();
    assert!(count(&after[4])? > count(no_cursor)?, "{after:?} {lost:?}");

    // The same as text.
    page.click(&format!("{RACE} summary")).await?;
    page.until(
        "the text",
        "return document.querySelector(arguments[0]).textContent.includes('is lost')",
        &[json!(part("log"))],
    )
    .await?;
    fits_a_phone(&page, &at(&server, INTRODUCTION), RACE).await?;
    assert_eq!(page.complaints().await?, [""; 0]);
    Ok(())
}

pub(crate) async fn the_calculator_keeps_its_numbers_in_the_address(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    const POLLING: usize = 1;
    /// Of its rows.
    const REQUESTS: usize = 1;
    /// Of the table about many servers.
    const CONNECTIONS: usize = 1;
    let server = published(&suite).await?;
    page.open(&at(&server, CHOOSING)).await?;
    start(&page, CALCULATOR).await?;
    let requests = || async {
        let rows = column(&page, ".calculator-table", POLLING).await?;
        anyhow::Ok(rows[REQUESTS].clone())
    };
    // Every ten seconds.
    let before = requests().await?;
    assert!(before.ends_with("1,000"), "{before}");
    set(&page, "preset", "A chat").await?;
    assert!(requests().await?.ends_with("5,000"));
    set(&page, "interval", "2").await?;
    assert!(requests().await?.ends_with("2,500"));
    assert_eq!(
        value(&page, "preset").await?,
        "",
        "it is no preset any more"
    );
    set(&page, "cloud", "Azure Front Door").await?;
    let verdicts: Vec<String> = page
        .run(
            "return Array.from(document.querySelectorAll('.calculator-table [data-verdict]'),
                ({ dataset }) => dataset.verdict)",
            &[],
        )
        .await?;
    assert_eq!(verdicts, ["yes", "yes", "no", "yes"]);
    // Of two zones one is lost, and with it most copies of the log.
    let kept = || async {
        let script = "return document.querySelector(arguments[0]).innerText";
        page.run::<String>(script, &[json!(part("kept"))]).await
    };
    assert!(kept().await?.contains("✓ 2 must agree"));
    set(&page, "zones", "2").await?;
    assert!(kept().await?.contains("✕ 2 must agree"));
    set(&page, "zones", "1").await?;
    assert!(kept().await?.contains("in 2 zones"), "there are two");
    set(&page, "engine", "postgres").await?;
    let many = column(&page, "[data-role=many]", POLLING).await?;
    assert!(many[CONNECTIONS].ends_with("18 (of 97)"), "{many:?}");
    set(&page, "places", "100").await?;
    let many = column(&page, "[data-role=many]", POLLING).await?;
    assert!(many[CONNECTIONS].contains("✕ 900 (of 97)"), "{many:?}");
    // Nothing comes of what is no number of readers.
    set(&page, "readers", "-1").await?;
    assert!(requests().await?.ends_with("2,500"));

    // Whoever gets the address sees the same.
    let address: String = page.run("return location.href", &[]).await?;
    page.open("about:blank").await?;
    page.open(&address).await?;
    ready(&page, CALCULATOR).await?;
    assert!(requests().await?.ends_with("2,500"), "{address}");
    assert_eq!(value(&page, "cloud").await?, "Azure Front Door");
    assert_eq!(value(&page, "engine").await?, "postgres");
    assert_eq!(value(&page, "places").await?, "100");
    fits_a_phone(&page, &address, CALCULATOR).await?;
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
        page.open(&at(&server, CHOOSING)).await?;
        start(&page, CALCULATOR).await?;
        set(&page, "cloud", "Azure Front Door").await?;
        page.click(&format!("{CALCULATOR} summary")).await?;
        start(&page, RACE).await?;
        page.click(&part("start")).await?;
        set(&page, "time", "20000").await?;
        page.click(&format!("{RACE} summary")).await?;
        look(&page, &axe, scheme).await?;
    }
    Ok(())
}
