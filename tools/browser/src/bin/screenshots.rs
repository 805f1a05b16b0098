//! Takes the pictures anew that are kept in the repository: those of the README, the card that is
//! shown where a page of the book is shared, and the icon of a phone's home screen.
//!
//! `cargo xtask screenshots` runs it. It needs Chromium and chromedriver, and the font DejaVu Sans.

use anyhow::Context as _;
use browser::{engine::Kind, page::Page, suite::Suite};
use serde_json::json;
use site::book;
use std::{fs, path::Path, sync::Arc};
use waiting::ticker;

/// How large the README's pictures are, in pixels.
const SIZE: (u32, u32) = (1100, 760);

fn main() -> anyhow::Result<()> {
    Suite::new().run_once(Kind::Chromium, pictures)
}

async fn pictures(suite: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    let root = book::find_root(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    page.resize(SIZE.0, SIZE.1).await?;
    save(
        &root,
        "docs/screenshots/panel.png",
        panel(&suite, &page).await?,
    )?;
    save(
        &root,
        "docs/screenshots/frames.png",
        frames(&suite, &page).await?,
    )?;
    let card = drawn(&page, &root.join("docs/card/card.svg"), (1200, 630), 0).await?;
    save(&root, "src/assets/card.png", card)?;
    let icon = drawn(&page, &root.join("theme/favicon.svg"), (180, 180), 20).await?;
    save(&root, "src/assets/touch-icon.png", icon)
}

fn save(root: &Path, name: &str, picture: Vec<u8>) -> anyhow::Result<()> {
    fs::write(root.join(name), picture).context(name.to_owned())?;
    println!("{name}");
    Ok(())
}

/// The panel of a chapter whose connection was cut, and nothing is lost.
async fn panel(suite: &Suite, page: &Page) -> anyhow::Result<Vec<u8>> {
    let site = suite.site().await?;
    page.prefer("light").await?;
    page.open(&site.at("sse/index.html")).await?;
    let rate = "5".parse().map_err(anyhow::Error::msg)?;
    let ticks = tokio::spawn(ticker::run(site.feed.clone(), rate, 1));
    click(page, "start").await?;
    received(page, 12).await?;
    click(page, "cut").await?;
    let again = "return document.querySelector(arguments[0]).textContent === '1'";
    page.until("a reconnect", again, &[json!(part("reconnects"))])
        .await?;
    received(page, 40).await?;
    ticks.abort();
    in_view(page, ".live-panel").await?;
    Ok(page.client().screenshot().await?)
}

/// The frames of an exchange, in the dark theme.
async fn frames(suite: &Suite, page: &Page) -> anyhow::Result<Vec<u8>> {
    let site = suite.site().await?;
    page.prefer("dark").await?;
    page.open(&site.at("http2-push/index.html")).await?;
    click(page, "ask").await?;
    let shown = "return document.querySelector(arguments[0]).textContent.includes('PUSH_PROMISE')";
    page.until("the frames", shown, &[json!(part("frames"))])
        .await?;
    in_view(page, ".live-panel").await?;
    Ok(page.client().screenshot().await?)
}

/// A drawing as pixels, with a white edge of so many of them.
async fn drawn(
    page: &Page,
    source: &Path,
    (width, height): (u32, u32),
    edge: u32,
) -> anyhow::Result<Vec<u8>> {
    let source = source.display();
    let style = format!("display: block; box-sizing: border-box; background: white; width: {width}px; height: {height}px; padding: {edge}px");
    let html = tempfile::Builder::new().suffix(".html").tempfile()?;
    let text = format!(
        "<!DOCTYPE html><body style='margin: 0'><img src='file://{source}' style='{style}'>"
    );
    fs::write(html.path(), text)?;
    page.prefer("light").await?;
    page.resize(width.max(600), height.max(400)).await?;
    page.open(&format!("file://{}", html.path().display()))
        .await?;
    Ok(page.find("img").await?.screenshot().await?)
}

/// Clicks on a part of the panel, once it is there.
async fn click(page: &Page, role: &str) -> anyhow::Result<()> {
    let there = "return document.querySelector(arguments[0])?.checkVisibility()";
    page.until(role, there, &[json!(part(role))]).await?;
    page.click(&part(role)).await
}

/// Waits until the panel has received so many events.
async fn received(page: &Page, count: u32) -> anyhow::Result<()> {
    let enough = "return Number(document.querySelector(arguments[0]).textContent) >= arguments[1]";
    page.until("events", enough, &[json!(part("received")), json!(count)])
        .await
}

/// Scrolls so that this is below the book's bar, and hides the bars for scrolling.
async fn in_view(page: &Page, css: &str) -> anyhow::Result<()> {
    let scroll = "const style = document.head.appendChild(document.createElement('style'));
        style.textContent = '* { scrollbar-width: none }';
        const top = document.querySelector(arguments[0]).getBoundingClientRect().top;
        scrollBy({ top: top - 64, behavior: 'instant' });";
    page.run::<Option<()>>(scroll, &[json!(css)]).await?;
    page.settle().await
}

fn part(role: &str) -> String {
    format!(".live-panel:not([data-view]) [data-role={role}]")
}
