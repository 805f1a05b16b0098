//! Every page of the book, as the site serves it.

use crate::panel::{part, ready, state, CHAPTER};
use anyhow::Context as _;
use browser::{page::Page, served::Asked, suite::Suite};
use serde_json::{json, Value};
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

/// Draws every diagram of the page, as for a printer, and waits until all are there.
pub(crate) async fn draw_all(page: &Page) -> anyhow::Result<()> {
    page.run::<Value>("dispatchEvent(new Event('beforeprint'))", &[])
        .await?;
    page.until(
        "every diagram",
        "return Array.from(document.querySelectorAll('pre.mermaid')).every((box) => box.querySelector('svg'))",
        &[],
    )
    .await
}

/// Waits until every panel of the page is live; how many there are.
async fn panels(page: &Page) -> anyhow::Result<usize> {
    page.until_some(
        "live panels",
        "const panels = Array.from(document.querySelectorAll('.live-panel'));
        return panels.every((panel) => panel.dataset.state === 'live' && panel.querySelector('.lp')) && panels.length",
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
        draw_all(&page).await?;
        let panels = panels(&page).await?;
        let has_start = "return document.querySelector(arguments[0]) !== null";
        if page.run(has_start, &[json!(part("start"))]).await? {
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

pub(crate) async fn diagrams_are_drawn_when_they_come_near(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    // So low that the first diagram of a page is far away, which the loader takes for more than one
    // screen.
    page.resize(1280, 150).await?;
    let (mut diagrams, mut far_away) = (0, 0);
    for name in pages()? {
        page.open(&site.at(&name)).await?;
        page.settle().await?;
        let near: Vec<bool> = page
            .run(
                "return Array.from(document.querySelectorAll('pre.mermaid'),
                    (box) => box.getBoundingClientRect().top <= 2 * innerHeight)",
                &[],
            )
            .await?;
        let requested: bool = page
            .run(
                "return performance.getEntriesByType('resource').some(({ name }) => name.includes('mermaid'))
                    || document.querySelector('script[src*=mermaid]') !== null",
                &[],
            )
            .await?;
        if !near.contains(&true) {
            assert!(
                !requested,
                "{name} has no diagram near, and asked for the library"
            );
            far_away += near.len();
        }
        for number in 0..near.len() {
            let scroll =
                "document.querySelectorAll('pre.mermaid')[arguments[0]].scrollIntoView({ behavior: 'instant' })";
            page.run::<Value>(scroll, &[json!(number)]).await?;
            let (title, description, width, cut): (String, String, f64, Vec<String>) = page
                .until_some(
                    &format!("diagram {number} of {name}"),
                    "const box = document.querySelectorAll('pre.mermaid')[arguments[0]];
                    if (box.dataset.state === 'failed') throw new Error('failed');
                    const svg = box.querySelector('svg');
                    return svg && [
                        svg.querySelector('title')?.textContent ?? '',
                        svg.querySelector('desc')?.textContent ?? '',
                        svg.getBoundingClientRect().width,
                        Array.from(svg.querySelectorAll('foreignObject'))
                            .filter((box) => box.firstElementChild?.getBoundingClientRect().height > box.getBoundingClientRect().height + 1)
                            .map((box) => box.textContent),
                    ]",
                    &[json!(number)],
                )
                .await?;
            assert!(
                !title.is_empty(),
                "diagram {number} of {name} has no accTitle"
            );
            assert!(
                !description.is_empty(),
                "diagram {number} of {name} has no accDescr"
            );
            assert!(
                width > 100.0,
                "diagram {number} of {name} is {width} px wide"
            );
            assert_eq!(
                cut,
                Vec::<String>::new(),
                "labels of diagram {number} of {name} do not fit"
            );
        }
        assert_eq!(page.complaints().await?, Vec::<String>::new(), "{name}");
        diagrams += near.len();
    }
    assert!(diagrams > 0, "no page has a diagram");
    assert!(
        far_away > 0,
        "on every page a diagram is near from the start, so this test saw nothing"
    );
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
