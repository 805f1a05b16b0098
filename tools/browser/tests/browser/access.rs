//! Barriers for people, as far as a program finds them: axe-core.

use crate::{
    machines::settled,
    panel::{alone, chapter, hurry, part, publish, ready, shown, state},
    push_panel, whiteboard,
};
use browser::{page::Page, parts, served::Served, suite::Suite};
use method::Method;
use serde_json::Value;
use std::sync::Arc;
use testbed::parts::Missing;

pub(crate) async fn no_barriers_in_light_and_dark(
    suite: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    let site = suite.site().await?;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        // Anew for each scheme: diagrams are drawn for one.
        open(&page, &site, &chapter(method), method).await?;
        look(&page, &axe, scheme).await?;
    }
    let alone = alone(method).await?;
    open(&page, &alone, "", method).await?;
    look_in_light_and_dark(&page).await
}

/// Has axe-core look at the page as it is, in both schemes.
pub(crate) async fn look_in_light_and_dark(page: &Page) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        look(page, &axe, scheme).await?;
    }
    Ok(())
}

pub(crate) async fn no_barriers_in_the_panel_of_http2_push(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    let site = suite.site().await?;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        push_panel::open(&page, &site).await?;
        page.click(&part("ask")).await?;
        push_panel::frames_with(&page, "PUSH_PROMISE").await?;
        look(&page, &axe, scheme).await?;
    }
    Ok(())
}

/// Opens a page with a panel, and brings out what a panel can show.
async fn open(page: &Page, server: &Served, name: &str, method: Method) -> anyhow::Result<()> {
    page.open(&server.at(name)).await?;
    ready(page).await?;
    // With all its kinds of text: an event, a note where there can be one, a status.
    page.click(&part("start")).await?;
    state(page, "open").await?;
    hurry(page).await?;
    let event = publish(server, "hello").await?;
    shown(page, event).await?;
    let has_board = "return document.querySelector('[data-view=whiteboard]') !== null";
    if page.run(has_board, &[]).await? {
        whiteboard::start(page).await?;
        whiteboard::draw(page).await?;
    }
    if method.cuts {
        page.click(&part("cut")).await?;
        page.until(
            "a note",
            "return document.querySelector('[data-role=note]') !== null",
            &[],
        )
        .await?;
    }
    Ok(())
}

/// Has axe-core look at the page.
pub(crate) async fn look(page: &Page, axe: &str, scheme: &str) -> anyhow::Result<()> {
    settled(page).await?;
    page.run::<Value>(axe, &[]).await?;
    let found: Vec<String> = page
        .run(
            "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
                violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
                    `${id} at ${target.join(' ')}: ${failureSummary}`)))",
            &[],
        )
        .await?;
    let address: String = page.run("return location.href", &[]).await?;
    assert!(found.is_empty(), "{scheme} {address}: {found:#?}");
    Ok(())
}
