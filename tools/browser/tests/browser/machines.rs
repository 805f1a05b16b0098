//! The machines on the book's pages, and the questions in its chapters, on a static site.

use crate::published::{at, published};
use browser::{page::Page, served::Served, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;

/// Sets a control as a reader does, and tells the page.
const SET: &str = "const [css, value] = arguments;
    const control = document.querySelector(css);
    control.value = value;
    for (const type of ['input', 'change'])
        control.dispatchEvent(new Event(type, { bubbles: true }));";

/// Waits until the page's machines and questions, if it has any, are what they will be.
pub(crate) async fn settled(page: &Page) -> anyhow::Result<()> {
    page.until(
        "the machines and questions",
        "return Array.from(document.querySelectorAll('.machine, .question'))
            .every(({ dataset }) => dataset.state)",
        &[],
    )
    .await
}

/// Starts every machine of the page.
pub(crate) async fn start(page: &Page) -> anyhow::Result<()> {
    settled(page).await?;
    page.run::<Value>(
        "for (const button of document.querySelectorAll('.machine-start')) button.click()",
        &[],
    )
    .await?;
    page.until(
        "the machines",
        "return Array.from(document.querySelectorAll('.machine'))
            .every(({ dataset }) => dataset.state === 'ready')",
        &[],
    )
    .await
}

/// Opens a page of the site that has some, and waits until they are at work.
async fn open(page: &Page, server: &Served, name: &str) -> anyhow::Result<()> {
    page.open(&at(server, name)).await?;
    start(page).await?;
    page.until(
        &format!("the machines and questions of {name}"),
        "const parts = Array.from(document.querySelectorAll('.machine, .question'));
        return parts.length > 0 && parts.every(({ dataset }) => dataset.state === 'ready')",
        &[],
    )
    .await
}

async fn set(page: &Page, css: &str, value: &str) -> anyhow::Result<()> {
    page.run::<Value>(SET, &[json!(css), json!(value)]).await?;
    Ok(())
}

async fn text(page: &Page, css: &str) -> anyhow::Result<String> {
    page.run(
        "return document.querySelector(arguments[0]).innerText",
        &[json!(css)],
    )
    .await
}

pub(crate) async fn each_does_its_work_on_a_static_site(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;

    open(&page, &server, "websocket/index.html").await?;
    const FRAME: &str = ".machine[data-machine=frame]";
    // The frame of the chapter, and then another.
    let shown = text(&page, FRAME).await?;
    assert!(shown.contains("5f 9f 4d 51 58 c5"), "{shown}");
    assert!(!shown.contains("A frame by hand"), "{shown}");
    set(&page, &format!("{FRAME} input:not([type])"), "ok").await?;
    let shown = text(&page, FRAME).await?;
    assert!(shown.contains("58 91"), "{shown}");
    assert!(shown.contains("8 bytes on the wire"), "{shown}");
    set(
        &page,
        &format!("{FRAME} textarea"),
        "88 82 37 fa 21 3d 34 13",
    )
    .await?;
    page.click(&format!("{FRAME} .mc-reader button")).await?;
    let shown = text(&page, &format!("{FRAME} .mc-reader")).await?;
    assert!(shown.contains("code 1001"), "{shown}");

    open(&page, &server, "sse/index.html").await?;
    const STREAM: &str = ".machine[data-view=exercise]";
    let events = format!("{STREAM} .mc-events tbody");
    assert_eq!(text(&page, &events).await?.trim(), "nothing yet");
    // The second button of the bar shows all of it.
    page.click(&format!("{STREAM} .mc-bar button:nth-child(2)"))
        .await?;
    let rows: usize = page
        .run(
            "return document.querySelectorAll(`${arguments[0]} tr`).length",
            &[json!(events)],
        )
        .await?;
    assert_eq!(rows, 4);

    open(&page, &server, "foundations/in-between.html").await?;
    const CHAIN: &str = ".machine[data-machine=timeouts]";
    let status = format!("{CHAIN} .mc-status");
    let verdict = text(&page, &status).await?;
    assert!(verdict.contains("The server gives up first"), "{verdict}");
    // The proxy of the third field.
    set(
        &page,
        &format!("{CHAIN} .mc-field:nth-child(3) input"),
        "15",
    )
    .await?;
    let verdict = text(&page, &status).await?;
    assert!(verdict.contains("The proxy gives up first"), "{verdict}");
    let sees = text(&page, &format!("{CHAIN} .mc-sees")).await?;
    assert!(sees.contains("504"), "{sees}");

    open(&page, &server, "production/ends.html").await?;
    const HERD: &str = ".machine[data-machine=herd]";
    let status = format!("{HERD} .mc-status");
    let verdict = text(&page, &status).await?;
    assert!(verdict.contains("hardly anything but refuse"), "{verdict}");
    page.until(
        "the picture of the herd",
        "return document.querySelector(`${arguments[0]} svg`)?.clientWidth > 300",
        &[json!(HERD)],
    )
    .await?;
    // The policy of the first field.
    let policy = format!("{HERD} .mc-field:nth-child(1) select");
    set(&page, &policy, "jitter").await?;
    let verdict = text(&page, &status).await?;
    assert!(verdict.contains("All are back 29."), "{verdict}");
    assert_eq!(page.complaints().await?, [""; 0]);
    Ok(())
}

pub(crate) async fn a_question_is_answered_and_remembered_and_forgotten(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    open(&page, &server, "introduction.html").await?;
    page.run::<Value>("localStorage.clear()", &[]).await?;

    // Wrong, and then right.
    const WALL: &str = "#q-wall";
    let said = format!("{WALL} .q-said");
    for (item, word) in [(1, "Not yet."), (2, "Right.")] {
        page.click(&format!("{WALL} li:nth-child({item}) input"))
            .await?;
        page.click(&format!("{WALL} .q-line button")).await?;
        page.until(
            word,
            "return document.querySelector(arguments[0]).textContent.startsWith(arguments[1])",
            &[json!(said), json!(word)],
        )
        .await?;
    }
    let open_now = "return document.querySelector(arguments[0]).open";
    assert!(
        page.run::<bool>(open_now, &[json!(format!("{WALL} details"))])
            .await?
    );

    // By the keyboard: the first item of a list that begins with the third.
    const LOST: &str = "#q-lost";
    page.run::<Value>(
        "const items = () => Array.from(document.querySelectorAll(`${arguments[0]} li`));
        const text = 'The answer with event 17';
        for (let moves = 0; moves < 5 && !items()[0].textContent.includes(text); moves++)
            items().find((item) => item.textContent.includes(text)).querySelector('button').click();",
        &[json!(LOST)],
    )
    .await?;
    page.click(&format!("{LOST} .q-line button")).await?;
    let said = text(&page, &format!("{LOST} .q-said")).await?;
    assert!(said.contains("2 of 4"), "{said}");

    // Another page of the site knows it, and so does the same one when it is loaded anew.
    open(&page, &server, "introduction.html").await?;
    let summary = format!("{WALL} summary");
    assert!(text(&page, &summary).await?.contains("answered"));
    page.click(&summary).await?;
    page.click(&format!("{WALL} .q-after button")).await?;
    assert!(!text(&page, &summary).await?.contains("answered"));
    let kept: Vec<String> = page
        .run(
            "return Object.keys(localStorage).filter((key) => key.startsWith('questions'))",
            &[],
        )
        .await?;
    assert_eq!(kept, [""; 0]);

    // What a reader writes is marked by Rust code, which comes once, when it is needed.
    open(&page, &server, "websocket/index.html").await?;
    const WRITE: &str = "#q-write-frame";
    let asked = |what: &str| {
        let all = server.asked();
        all.iter().filter(|asked| asked.what.contains(what)).count()
    };
    assert_eq!([asked("checkers.js"), asked("marker")], [0, 0]);
    for (bytes, word) in [
        ("81 02 6f 6b", "Received an unmasked frame"),
        (
            "81 82 37 fa 21 3d 58 91",
            "Right. Marked by the Rust code of tungstenite",
        ),
    ] {
        set(&page, &format!("{WRITE} textarea"), bytes).await?;
        page.click(&format!("{WRITE} .q-line button")).await?;
        page.until(
            word,
            "return document.querySelector(arguments[0]).textContent.includes(arguments[1])",
            &[json!(format!("{WRITE} .q-said")), json!(word)],
        )
        .await?;
    }
    assert_eq!([asked("checkers.js"), asked("marker_bg.wasm")], [1, 1]);
    assert_eq!(page.complaints().await?, [""; 0]);
    Ok(())
}
