//! Every page of the book, as the site serves it.

use crate::panel::{part, ready, state, CHAPTER};
use anyhow::Context as _;
use browser::{engine::Kind, page::Page, served::Asked, suite::Suite};
use serde_json::json;
use std::{fs, sync::Arc};

/// The pages, relative to the book's root: what SUMMARY.md links to.
pub(crate) fn pages() -> anyhow::Result<Vec<String>> {
    let summary = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/SUMMARY.md");
    let text = fs::read_to_string(summary).context(summary)?;
    let pages: Vec<_> = text
        .split("](")
        .filter_map(|rest| Some(format!("{}.html", rest.split_once(".md)")?.0)))
        .collect();
    assert!(pages.iter().any(|page| page == CHAPTER), "{pages:?}");
    Ok(pages)
}

/// All of them in Chromium; elsewhere one of each kind, for what takes seconds on each page and
/// hangs little on the browser.
pub(crate) fn some_pages(kind: Kind) -> anyhow::Result<Vec<String>> {
    let mut names = pages()?;
    if kind != Kind::Chromium {
        let kinds = [
            "introduction.html",
            CHAPTER,
            "choosing/index.html",
            "facts.html",
            "cheat-sheet.html",
        ];
        names.retain(|name| kinds.contains(&name.as_str()));
        assert_eq!(names.len(), kinds.len());
    }
    Ok(names)
}

/// Waits until every panel of the page is live, and its machines and questions are ready; how many
/// panels there are.
async fn panels(page: &Page) -> anyhow::Result<usize> {
    page.until_some(
        "live panels",
        "const panels = Array.from(document.querySelectorAll('.live-panel'));
        const others = Array.from(document.querySelectorAll('.question'));
        return others.every((other) => other.dataset.state === 'ready') && panels.every((panel) => panel.dataset.state === 'live' && panel.querySelector('.lp')) && panels.length",
        &[],
    )
    .await
}

/// What is wider than the window, with a word at its end. mdBook's boxes around the content scroll,
/// so the document alone would not tell.
pub(crate) const WIDE: &str = "const boxes = [];
    for (let box = document.querySelector('main'); box; box = box.parentElement) boxes.push(box);
    if (boxes.every((box) => box.scrollWidth <= box.clientWidth)) return [];
    return Array.from(document.querySelectorAll('main, main *'))
        .filter((element) => element.getBoundingClientRect().right > innerWidth)
        .map((element) => element.outerHTML.slice(0, 80))
        .slice(0, 5)
        .concat('something')";

pub(crate) async fn every_page_is_quiet_asks_no_other_host_and_fits_a_phone(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    const PHONE: u32 = 390;
    let site = suite.site().await?;
    let width = page.resize(PHONE, 844).await?;
    let mut all_panels = 0;
    for name in pages()? {
        page.open(&site.at(&name)).await?;
        let panels = panels(&page).await?;
        let has_status = "return document.querySelector(arguments[0]) !== null";
        if page.run(has_status, &[json!(part("status"))]).await? {
            ready(&page).await?;
            page.click(&part("start")).await?;
            state(&page, "open").await?;
            page.click(&part("stop")).await?;
            state(&page, "idle").await?;
        }
        all_panels += panels;
        page.settle().await?;
        assert_eq!(page.complaints().await?, Vec::<String>::new(), "{name}");
        let wide: Vec<String> = page.run(WIDE, &[]).await?;
        assert_eq!(
            wide,
            Vec::<String>::new(),
            "{name} is wider than {width} px"
        );
    }
    assert!(all_panels > 0, "no page has a panel");
    let failed = |asked: &&Asked| asked.status.is_some_and(|status| status >= 400);
    assert_eq!(site.asked().iter().find(failed), None);
    Ok(())
}

pub(crate) async fn diagrams_are_there_before_any_script(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    site.hold(|path| path.ends_with(".js"));
    page.resize(390, 844).await?;
    let mut all = 0;
    for name in pages()? {
        page.navigate(&site.at(&name)).await?;
        let loaded =
            "return location.href === arguments[0] && document.querySelector('#mdbook-content nav') !== null";
        page.until(&name, loaded, &[json!(site.at(&name))]).await?;
        let (count, problems): (usize, Vec<String>) = page
            .run(
                "const drawn = Array.from(document.querySelectorAll('.diagram > svg'));
                const problems = [];
                if (document.querySelector('.mermaid, .language-mermaid')) problems.push('a source');
                for (const svg of drawn) {
                    const title = svg.querySelector('title')?.textContent;
                    if (!title || !svg.querySelector('desc')?.textContent) problems.push('no words: ' + title);
                    const { left, right, top, bottom, width } = svg.getBoundingClientRect();
                    if (width < 100) problems.push(`${title} is ${width} px wide`);
                    const size = parseFloat(getComputedStyle(svg).fontSize) * width / svg.viewBox.baseVal.width;
                    if (size < 11.95) problems.push(`${title} has letters of ${size} px`);
                    for (const text of svg.querySelectorAll('text')) {
                        const box = text.getBoundingClientRect();
                        if (box.left < left - 1 || box.right > right + 1 || box.top < top - 1 || box.bottom > bottom + 1)
                            problems.push(`${title}: ${text.textContent} is outside`);
                        // The page's colours, and not those of a drawing by itself.
                        if (getComputedStyle(text).fill === 'rgb(31, 35, 40)' && getComputedStyle(text).color !== 'rgb(31, 35, 40)')
                            problems.push(`${title}: ${text.textContent} has the colour of another theme`);
                    }
                }
                return [drawn.length, problems];",
                &[],
            )
            .await?;
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        all += count;
    }
    assert!(all > 10, "{all} diagrams");
    let asked = site.asked();
    let drawer = asked.iter().find(|asked| asked.what.contains("mermaid"));
    assert_eq!(drawer, None, "a page asks for what draws");
    Ok(())
}

pub(crate) async fn content_is_painted_before_any_script_has_come(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    site.hold(|path| path.ends_with(".js"));
    page.navigate(&site.at(CHAPTER)).await?;
    let painted: f64 = page
        .until_some(
            "the first paint of content",
            "return document.querySelector('main h1') && performance.getEntriesByName('first-contentful-paint')[0]?.startTime",
            &[],
        )
        .await?;
    assert!(painted > 0.0);
    let script = |asked: &Asked| asked.what.ends_with(".js");
    let asked = site
        .until("script", |asked| asked.iter().any(script))
        .await?;
    let answered = asked
        .iter()
        .find(|asked| script(asked) && asked.status.is_some());
    assert_eq!(answered, None, "a script had come");

    // And nothing was broken by coming late.
    site.release();
    ready(&page).await?;
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}
