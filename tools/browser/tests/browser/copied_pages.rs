//! The pages of "Copy this", each over the server of its method in this book: the contract is that
//! of the copied server.

use axum::{response::Html, routing::get, Router};
use browser::{page::Page, served::Served, suite::Suite};
use contract::Data;
use feed::{Feed, Retention};
use method::{Host, Method};
use serde_json::json;
use serving::Ending;
use std::{fs, sync::Arc};

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/programs");

/// Where the page lies: beside the routes, which it names relative to itself.
const PAGE: &str = "/copy.html";

/// A method over a log that outlives its server, and the copied page.
fn router(method: Method, log: &Feed) -> anyhow::Result<impl FnOnce(&Feed, &Ending) -> Router> {
    let page = fs::read_to_string(format!("{PROGRAMS}/{}/copy/index.html", method.name))?;
    let log = log.clone();
    Ok(move |_: &Feed, ending: &Ending| {
        let router = (method.router)(Host::alone(log, ending.clone()));
        router.route(PAGE, get(async move || Html(page)))
    })
}

async fn publish(log: &Feed, text: &str) -> anyhow::Result<()> {
    let data = Data::new(&json!({ "text": text }))?;
    log.publish("message".parse()?, data).await?;
    Ok(())
}

/// Waits until the page has this item in its list, and no other after it.
async fn ends_with(page: &Page, text: &str) -> anyhow::Result<()> {
    page.until(
        &format!("an item that ends with {text}"),
        "return document.querySelector('li:last-child')?.textContent.endsWith(arguments[0])",
        &[json!(text)],
    )
    .await
}

pub(crate) async fn one_shows_each_event_once_across_a_cut_and_tells_of_a_gap(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let log = Feed::new(Retention::default());
    let server = Served::start(router(method, &log)?).await?;
    publish(&log, "before the page").await?;
    page.open(&server.at(PAGE.trim_start_matches('/'))).await?;
    ends_with(&page, "message: before the page").await?;
    let connected = "return document.querySelector('[role=status]').textContent === 'Connected'";
    page.until("a page that is connected", connected, &[])
        .await?;

    page.fill("input[name=text]", "<b>from</b> the page")
        .await?;
    page.click("button").await?;
    ends_with(&page, "message: <b>from</b> the page").await?;

    let address = server.cut().await?;
    let lost = "return document.querySelector('[role=status]').textContent !== 'Connected'";
    page.until("a page that has lost its server", lost, &[])
        .await?;
    for number in 1..=3 {
        publish(&log, &format!("while it is cut {number}")).await?;
    }
    let server = Served::start_at(address, router(method, &log)?).await?;
    ends_with(&page, "message: while it is cut 3").await?;
    publish(&log, "after the cut").await?;
    ends_with(&page, "message: after the cut").await?;

    let address = server.cut().await?;
    let new = Feed::new(Retention::default());
    publish(&new, "in another log").await?;
    let _server = Served::start_at(address, router(method, &new)?).await?;
    ends_with(&page, "message: in another log").await?;

    let items: Vec<String> = page
        .run(
            "return Array.from(document.querySelectorAll('li'), (item) => item.textContent)",
            &[],
        )
        .await?;
    // Each event begins with its time, which holds no space.
    let items: Vec<&str> = items
        .iter()
        .map(|item| {
            item.split_once(" message: ")
                .map_or(&**item, |(_, text)| text)
        })
        .collect();
    assert_eq!(
        items,
        [
            "before the page",
            "<b>from</b> the page",
            "while it is cut 1",
            "while it is cut 2",
            "while it is cut 3",
            "after the cut",
            "Messages are missing here (new-log).",
            "in another log",
        ]
    );
    Ok(())
}
