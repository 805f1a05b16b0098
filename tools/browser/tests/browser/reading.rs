//! What a reader does with a page: copies from it, scrolls in it by the keyboard, searches, leaves
//! it and comes back.

use crate::panel::{ready, CHAPTER};
use browser::{page::Page, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;

/// The key that scrolls to the right, and that turns mdBook's page; the one that follows a link
/// (WebDriver §17.4.2).
const RIGHT: &str = "\u{e014}";
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

pub(crate) async fn the_copy_button_of_a_console_copies_commands(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.navigate(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    // What is copied, and not how: a browser gives the clipboard to no script without asking.
    page.run::<Value>(
        "document.addEventListener('copy', () => {
            const field = document.activeElement;
            window.copied = field.value.slice(field.selectionStart, field.selectionEnd);
        });
        const box = document.querySelector('pre > code.language-console').parentElement;
        box.id = 'console';
        box.querySelector('code').textContent = '$ cd book\\n$ cargo run -- \\\\\\n    --open\\nsite: http://127.0.0.1:4000/\\n';
        const listings = [...document.querySelectorAll('pre > code.language-rust')];
        listings.find((code) => !code.closest('details')).parentElement.id = 'listing';",
        &[],
    )
    .await?;
    for (id, text) in [
        ("console", Some("cd book\ncargo run -- \\\n    --open")),
        ("listing", None),
    ] {
        let shown: String = page
            .run(
                "window.copied = undefined;
                const box = document.getElementById(arguments[0]);
                // As under a mouse, or on a screen to touch.
                box.querySelector('.buttons').style.cssText = 'opacity: 1; visibility: visible';
                return box.querySelector('code').innerText",
                &[json!(id)],
            )
            .await?;
        page.click(&format!("#{id} .clip-button")).await?;
        let copied: String = page
            .until_some("a copy", "return window.copied", &[])
            .await?;
        assert_eq!(copied, text.unwrap_or(&shown), "{id}");
    }
    Ok(())
}

pub(crate) async fn arrow_keys_scroll_a_box_that_has_the_focus(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.resize(500, 800).await?;
    page.navigate(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    // Also a listing that a fold has hidden so far.
    page.run::<Value>(
        "for (const fold of document.querySelectorAll('main details')) fold.open = true",
        &[],
    )
    .await?;
    page.until(
        "every wide box to be reachable",
        "const boxes = Array.from(document.querySelectorAll('main pre > code, .table-wrapper'))
            .filter((box) => box.scrollWidth > box.clientWidth);
        return boxes.length > 3 && boxes.every((box) => box.tabIndex === 0)",
        &[],
    )
    .await?;
    let boxes = [
        "main pre > code[tabindex='0']",
        "main details pre > code[tabindex='0']",
    ];
    for css in boxes {
        page.run::<Value>(
            "const box = document.querySelector(arguments[0]);
            box.style.scrollBehavior = 'auto';
            box.focus()",
            &[json!(css)],
        )
        .await?;
        page.press(RIGHT).await?;
        page.until(
            "the box to scroll",
            "return document.querySelector(arguments[0]).scrollLeft > 0",
            &[json!(css)],
        )
        .await?;
    }
    // A log is such a box, and a button of a panel is no place to leave the page from either.
    for css in [".live-panel [role=log]", ".live-panel [data-role=start]"] {
        page.run::<Value>(
            "document.querySelector(arguments[0]).focus()",
            &[json!(css)],
        )
        .await?;
        page.press(RIGHT).await?;
    }
    page.settle().await?;
    let here: bool = page
        .run(
            "return location.href === arguments[0]",
            &[json!(site.at(CHAPTER))],
        )
        .await?;
    assert!(here, "the page was turned");
    // Elsewhere the key does what mdBook says.
    page.run::<Value>("document.activeElement.blur()", &[])
        .await?;
    page.press(RIGHT).await?;
    page.until(
        "the next page",
        "return location.href !== arguments[0]",
        &[json!(site.at(CHAPTER))],
    )
    .await
}

pub(crate) async fn a_keyboard_skips_to_the_text_and_to_the_panel(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    for (words, target) in [
        ("Skip to the text", "main"),
        ("Skip to the live panel", ".live-panel"),
    ] {
        page.navigate(&site.at(CHAPTER)).await?;
        ready(&page).await?;
        // The first things that a keyboard meets.
        let mut tabs = 0;
        let on_link = "const link = document.activeElement;
            const { top } = link.getBoundingClientRect();
            return link.textContent === arguments[0] && top >= 0 && top < innerHeight";
        while !page.run::<bool>(on_link, &[json!(words)]).await? {
            page.press(TAB).await?;
            tabs += 1;
            assert!(tabs < 4, "{words} is not among them");
        }
        page.press(ENTER).await?;
        page.until(
            "the focus to be there",
            "return document.activeElement === document.querySelector(arguments[0])",
            &[json!(target)],
        )
        .await?;
    }
    // From there it is a few steps to the button, and not the seventy of the whole page.
    let mut steps = 0;
    let on_start = "return document.activeElement.matches('[data-role=start]')";
    while !page.run::<bool>(on_start, &[]).await? {
        page.press(TAB).await?;
        steps += 1;
        assert!(steps < 5, "more than {steps} steps");
    }
    Ok(())
}

/// Types as a paste does: no key comes up.
async fn look_for(page: &Page, word: &str) -> anyhow::Result<()> {
    page.run::<Value>(
        "const field = document.getElementById('mdbook-searchbar');
        field.value = arguments[0];
        field.dispatchEvent(new InputEvent('input', { bubbles: true }))",
        &[json!(word)],
    )
    .await
    .map(drop)
}

pub(crate) async fn a_word_of_the_contract_leads_to_its_section(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.open(&site.at("introduction.html")).await?;
    page.click("#mdbook-search-toggle").await?;
    for (word, result) in [
        ("after", "contract.html#a-position"),
        ("?after=", "contract.html#a-position"),
        ("Last-Event-ID", "contract.html#the-sse-stream"),
        // The one is shown for itself, and goes again.
        ("nginx", ""),
        ("at", "contract.html#an-event"),
    ] {
        look_for(&page, word).await?;
        page.until(
            &format!("the results for {word}"),
            "const first = document.querySelector('#mdbook-searchresults > li');
            const hits = document.querySelectorAll('#mdbook-searchresults > [data-word]');
            return arguments[0]
                ? first?.querySelector('a').href === arguments[1] && hits.length === 1
                : first !== null && hits.length === 0",
            &[json!(result), json!(site.at(result))],
        )
        .await?;
    }
    let count: String = page
        .run(
            "return document.getElementById('mdbook-searchresults-header').textContent",
            &[],
        )
        .await?;
    assert_eq!(count, "1 search result for 'at':");
    page.press(ENTER).await?;
    page.until(
        "the section",
        "return location.href === arguments[0]",
        &[json!(site.at("contract.html#an-event"))],
    )
    .await?;
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn a_page_comes_back_as_it_was_left(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.navigate(&site.at("glossary.html")).await?;
    let loaded = "return document.readyState === 'complete' && location.href === arguments[0]";
    page.until("the page", loaded, &[json!(site.at("glossary.html"))])
        .await?;
    page.run::<Value>(
        "addEventListener('pageshow', ({ persisted }) => window.persisted = persisted)",
        &[],
    )
    .await?;
    page.run::<Value>(
        "location.href = arguments[0]",
        &[json!(site.at("facts.html"))],
    )
    .await?;
    page.until("the other page", loaded, &[json!(site.at("facts.html"))])
        .await?;
    page.run::<Value>("history.back()", &[]).await?;
    page.until(
        "the page from the back/forward cache",
        "return window.persisted",
        &[],
    )
    .await
}
