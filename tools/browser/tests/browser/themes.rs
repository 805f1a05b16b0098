//! Every theme that the menu offers, on every page of the published site: barriers, as axe-core
//! finds them.

use crate::{
    book::some_pages,
    machines,
    published::{at, published},
};
use browser::{page::Page, parts, suite::Suite};
use serde_json::{json, Value};
use std::{collections::BTreeMap, sync::Arc};
use testbed::parts::Missing;

/// What the menu offers beside the system's choice.
pub(crate) const OFFERED: [&str; 2] = ["light", "navy"];

/// Of the pages: all in one trial would take longer than a trial may.
pub(crate) const PARTS: usize = 6;

pub(crate) async fn nothing_serious_in(
    suite: Arc<Suite>,
    theme: &'static str,
    part: usize,
    page: Page,
) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    let server = published(&suite).await?;
    page.open(&at(&server, "404.html")).await?;
    let offered: Vec<String> = page
        .run(
            "const first = document.getElementById('mdbook-theme-list');
            return Array.from(first.querySelectorAll('button.theme'))
                .filter((button) => !button.closest('[hidden]') && getComputedStyle(button.parentElement).display !== 'none')
                .map(({ id }) => id.replace('mdbook-theme-', ''))",
            &[],
        )
        .await?;
    assert_eq!(offered[1..], OFFERED);
    // As its button does, and kept for the pages that follow.
    page.run::<Value>(
        "document.getElementById(`mdbook-theme-${arguments[0]}`).click()",
        &[json!(theme)],
    )
    .await?;
    let mut wrong = BTreeMap::new();
    for name in some_pages(page.kind())?
        .into_iter()
        .skip(part)
        .step_by(PARTS)
    {
        page.open(&at(&server, &name)).await?;
        page.until(
            "the theme",
            "return document.documentElement.classList.contains(arguments[0])",
            &[json!(theme)],
        )
        .await?;
        machines::start(&page).await?;
        // What a fold hides is seen by whoever opens it.
        page.run::<Value>(
            "for (const fold of document.querySelectorAll('details')) fold.open = true",
            &[],
        )
        .await?;
        page.run::<Value>(&axe, &[]).await?;
        let found: Vec<String> = page
            .run(
                "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
                    violations
                        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
                        .flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ target, failureSummary }) =>
                            `${id} (${nodes.length}) at ${target.join(' ')}: ${failureSummary}`)))",
                &[],
            )
            .await?;
        if !found.is_empty() {
            wrong.insert(name, found);
        }
    }
    assert!(wrong.is_empty(), "{theme}: {wrong:#?}");
    Ok(())
}
