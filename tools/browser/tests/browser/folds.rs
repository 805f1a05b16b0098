//! The folds under "What goes wrong": what opens them, and what they are without a script.

use browser::{page::Page, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;

const CHAPTER: &str = "polling/index.html";
/// A failure, by the anchor of its heading.
const FAILURE: &str = "the-load-comes-in-waves";

/// The anchors of the failures whose folds are open.
async fn open(page: &Page) -> anyhow::Result<Vec<String>> {
    page.run(
        "return Array.from(document.querySelectorAll('details.wrong[open]'), (fold) => {
            let before = fold;
            while (before && before.tagName !== 'H3') before = before.previousElementSibling;
            return before.id;
        })",
        &[],
    )
    .await
}

async fn folds(page: &Page) -> anyhow::Result<usize> {
    page.run(
        "return document.querySelectorAll('details.wrong').length",
        &[],
    )
    .await
}

pub(crate) async fn a_link_to_a_failure_or_into_its_fold_opens_it(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    let chapter = site.at(CHAPTER);
    page.open(&chapter).await?;
    assert!(folds(&page).await? > 5);
    assert_eq!(open(&page).await?, [""; 0], "folded until somebody asks");

    // From outside, as a result of the search or a link of another page.
    page.open(&format!("{chapter}#{FAILURE}")).await?;
    assert_eq!(open(&page).await?, [FAILURE]);

    // Within the page, and once more after the reader has closed it.
    page.open(&chapter).await?;
    page.run::<Value>(
        "const link = document.createElement('a');
        link.id = 'to-the-failure';
        link.href = `#${arguments[0]}`;
        link.textContent = 'the failure';
        document.querySelector('main').prepend(link);",
        &[json!(FAILURE)],
    )
    .await?;
    let is_open = "return document.querySelector('details.wrong[open]') !== null";
    for _ in 0..2 {
        page.click("#to-the-failure").await?;
        page.until("the fold to open", is_open, &[]).await?;
        assert_eq!(open(&page).await?, [FAILURE]);
        page.run::<Value>(
            "document.querySelector('details.wrong[open]').open = false",
            &[],
        )
        .await?;
    }

    // Into a fold: what it holds is shown and brought into view.
    page.run::<Value>(
        "const fold = document.querySelectorAll('details.wrong')[1];
        fold.lastElementChild.id = 'inside';
        location.hash = 'inside';",
        &[],
    )
    .await?;
    page.until(
        "the place in the fold",
        "const { top, height } = document.getElementById('inside').getBoundingClientRect();
        return height > 0 && top >= 0 && top < innerHeight",
        &[],
    )
    .await?;
    assert_eq!(open(&page).await?.len(), 1);

    // A fragment that names nothing, or nothing that can be decoded, is no error.
    page.run::<Value>(
        "window.failures = [];
        addEventListener('error', ({ message }) => window.failures.push(message));",
        &[],
    )
    .await?;
    for nothing in ["#none", "#%"] {
        page.run::<Value>("location.hash = arguments[0]", &[json!(nothing)])
            .await?;
    }
    page.settle().await?;
    assert_eq!(open(&page).await?.len(), 1);
    let failures: Vec<String> = page.run("return window.failures", &[]).await?;
    assert_eq!(failures, [""; 0]);
    Ok(())
}

pub(crate) async fn an_address_that_a_page_had_once_leads_on(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    for (chapter, old) in [
        ("sse/tokens.html", "what-it-costs-measured"),
        ("websocket/index.html", "put-together"),
    ] {
        page.navigate(&format!("{}#{old}", site.at(chapter)))
            .await?;
        page.until(
            &format!("{chapter}#{old} to lead on"),
            "return document.readyState === 'complete' && location.hash !== `#${arguments[0]}`
                && document.getElementById(location.hash.slice(1)) !== null
                && location.pathname.endsWith(arguments[1])",
            &[json!(old), json!(format!("/{chapter}"))],
        )
        .await?;
    }
    Ok(())
}
