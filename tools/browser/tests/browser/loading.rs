//! What a page of the published site loads before its reader presses anything, and that nothing
//! moves meanwhile.

use crate::{
    book::{some_pages, WIDE},
    published::{at, published},
};
use anyhow::Context as _;
use browser::{
    engine::Kind,
    page::Page,
    served::Served,
    suite::{Suite, SITE},
};
use flate2::{write::GzEncoder, Compression};
use serde_json::{json, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    sync::Arc,
};

/// Bytes of a page and all that it asks for, compressed as GitHub Pages does, without headers.
const LIMIT: usize = 150_000;

/// The score of layout shifts that Lighthouse shows as 0.00.
const SHIFT: f64 = 0.005;

/// Where each block and each entry of the sidebar is that a reader sees. In a page that has painted
/// and waits for its scripts.
const PLACES: &str = "window.places = Array.from(
        document.querySelectorAll('main > *, main li, main figure > *, #mdbook-menu-bar button, .sidebar li > *'),
        (element) => [element, element.getBoundingClientRect()],
    ).filter(([, { top, bottom, height }]) => height > 0 && bottom > 0 && top < innerHeight);
    return window.places.length";

/// What has moved since, and by how many pixels.
const MOVED: &str = "return window.places.flatMap(([element, before]) => {
        const after = element.getBoundingClientRect();
        const [right, down] = [after.left - before.left, after.top - before.top];
        if (Math.max(Math.abs(right), Math.abs(down)) < 1) return [];
        return [`${right}, ${down}: ${element.outerHTML.slice(0, 80)}`];
    }).slice(0, 5)";

/// The layout shifts that the browser itself has noted
/// (<https://wicg.github.io/layout-instability/>).
const SHIFTS: &str = "window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput, sources } of list.getEntries())
            if (!hadRecentInput)
                window.shifts.push([value, sources.map(({ node, previousRect, currentRect }) => {
                    const [from, to] = [previousRect, currentRect].map(({ x, y, width, height }) => [x, y, width, height].join(' '));
                    return `${from} to ${to}: ${(node?.parentElement ?? node)?.outerHTML?.slice(0, 80)}`;
                }).join('; ')]);
    }).observe({ type: 'layout-shift', buffered: true });";

/// Whether something of the page has been painted.
const PAINTED: &str = "return performance.getEntriesByName('first-contentful-paint').length > 0";

/// Whether the text of the page is all there.
const THERE: &str = "return location.href === arguments[0] && document.readyState !== 'loading'";

pub(crate) async fn a_page_on_a_desk_is_small_and_stays_in_place(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    page.resize(1280, 900).await?;
    load_all(&suite, &page).await
}

pub(crate) async fn a_page_on_a_phone_is_small_and_stays_in_place(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    page.resize(390, 844).await?;
    load_all(&suite, &page).await
}

async fn load_all(suite: &Suite, page: &Page) -> anyhow::Result<()> {
    let directory = suite.published().await?;
    let mut sizes = BTreeMap::new();
    let mut wrong = BTreeMap::new();
    for name in some_pages(page.kind())? {
        // On a port of its own: then nothing comes from the browser's cache.
        let server = published(suite).await?;
        if page.kind() == Kind::Chromium {
            server.inject(SHIFTS);
        }
        let mut found = in_place(page, &server, &name).await?;
        if page.kind() == Kind::Chromium {
            let shifts: Vec<(f64, String)> = page.run("return window.shifts", &[]).await?;
            let sum: f64 = shifts.iter().map(|(value, _)| value).sum();
            if sum > SHIFT {
                found.extend(
                    shifts
                        .iter()
                        .map(|(value, what)| format!("shifts by {value}: {what}")),
                );
            }
        }
        to_the_end(page).await?;
        let asked: BTreeSet<_> = server.asked().into_iter().map(|asked| asked.what).collect();
        let mut bytes = 0;
        for what in &asked {
            if what.contains("mermaid") {
                found.push(format!("asks for {what}"));
            }
            bytes += size(directory, what, &mut sizes)?;
        }
        assert!(
            bytes > 20_000,
            "only {bytes} bytes of {name} were seen: {asked:?}"
        );
        if bytes > LIMIT {
            found.push(format!("{bytes} bytes"));
            found.extend(asked.iter().map(|what| format!("{what}: {}", sizes[what])));
        }
        let wide: Vec<String> = page.run(WIDE, &[]).await?;
        found.extend(
            wide.iter()
                .map(|element| format!("wider than the window: {element}")),
        );
        if !found.is_empty() {
            wrong.insert(name, found);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Loads a page as over a network: its heading is painted before its text is there, and its text
/// before its scripts. What of that which is in view has moved when they have come.
async fn in_place(page: &Page, server: &Served, name: &str) -> anyhow::Result<Vec<String>> {
    server.hold(|path| path.ends_with(".js") || path.ends_with(".json"));
    // Elsewhere a page is not painted before all of it is there, or the entry of its paint is
    // sometimes not made.
    let in_parts = page.kind() == Kind::Chromium;
    if in_parts {
        server.hold_after("</a></h1>");
    }
    let address = at(server, name);
    page.navigate(&address).await?;
    if in_parts {
        page.until(
            &format!("the heading of {name} to be painted"),
            PAINTED,
            &[],
        )
        .await?;
        page.settle().await?;
        server.release_rest();
    }
    page.until(&format!("the text of {name}"), THERE, &[json!(address)])
        .await?;
    page.settle().await?;
    let seen: usize = page.run(PLACES, &[]).await?;
    assert!(seen > 2, "{name} shows {seen} elements");
    server.release();
    page.until(
        &format!("{name} to load"),
        "return document.readyState === 'complete'
            && Array.from(document.querySelectorAll('.live-panel, .machine, .question')).every((part) => part.dataset.state)",
        &[],
    )
    .await?;
    page.settle().await?;
    let moved: Vec<String> = page.run(MOVED, &[]).await?;
    Ok(moved
        .iter()
        .map(|element| format!("moves by {element}"))
        .collect())
}

/// Scrolls to the end, as a reader does who presses nothing, and shows each screen.
async fn to_the_end(page: &Page) -> anyhow::Result<()> {
    page.run::<Value>(
        "return new Promise((resolve) => {
            let place = 0;
            const step = () => {
                place += innerHeight;
                if (place > document.documentElement.scrollHeight) return setTimeout(resolve);
                scrollTo({ top: place, behavior: 'instant' });
                requestAnimationFrame(step);
            };
            step();
        })",
        &[],
    )
    .await?;
    page.settle().await
}

/// How many bytes GitHub Pages sends for a request, without headers.
fn size(
    directory: &Path,
    what: &str,
    sizes: &mut BTreeMap<String, usize>,
) -> anyhow::Result<usize> {
    if let Some(&size) = sizes.get(what) {
        return Ok(size);
    }
    let path = what
        .strip_prefix(&format!("GET {SITE}"))
        .with_context(|| format!("{what}, outside the site"))?;
    let file = fs::read(directory.join(path)).with_context(|| what.to_owned())?;
    let packed = [".html", ".css", ".js", ".json", ".svg", ".txt"];
    let bytes = if packed.iter().any(|kind| path.ends_with(kind)) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&file)?;
        encoder.finish()?.len()
    } else {
        file.len()
    };
    sizes.insert(what.to_owned(), bytes);
    Ok(bytes)
}
