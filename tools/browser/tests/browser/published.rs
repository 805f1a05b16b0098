//! The static site, as it is published: under a path, by a server that knows nothing but files.

use crate::{book::pages, panel::CHAPTER};
use anyhow::Context as _;
use axum::Router;
use browser::{
    page::Page,
    served::Served,
    suite::{Suite, EDITS, ORIGIN, REPOSITORY, SITE},
};
use serde_json::json;
use std::{collections::BTreeSet, path::Path, sync::Arc};
use tower_http::services::{ServeDir, ServeFile};

/// The site on a free port, with its own page for what is not there, as GitHub Pages serves it.
/// Whatever is asked for outside its path is not found at all.
pub(crate) async fn published(suite: &Suite) -> anyhow::Result<Served> {
    let directory = suite.published().await?;
    let files =
        ServeDir::new(directory).not_found_service(ServeFile::new(directory.join("404.html")));
    let path = SITE.trim_end_matches('/');
    Ok(Served::start(|_, _| Router::new().nest_service(path, files)).await?)
}

/// The address of a page of the site.
pub(crate) fn at(server: &Served, name: &str) -> String {
    format!("{}{name}", server.at(SITE.trim_start_matches('/')))
}

/// Whether all that was asked of the server is below the site's path. Another host cannot be asked
/// unseen.
fn asked_inside(server: &Served) {
    for asked in server.asked() {
        let inside = asked.what.starts_with(&format!("GET {SITE}"));
        assert!(inside, "{} is asked for", asked.what);
    }
}

/// A page that the search leads to.
const BOARD: &str = "websocket/whiteboard.html";

/// How a reader asks for the search.
enum Ask {
    Button,
    Key,
}

/// Looks for a word as a reader does, and follows the result that leads to `name`.
async fn search(
    page: &Page,
    server: &Served,
    ask: Ask,
    word: &str,
    name: &str,
) -> anyhow::Result<()> {
    let before = server.asked().len();
    match ask {
        Ask::Button => page.click("#mdbook-search-toggle").await?,
        Ask::Key => page.press("/").await?,
    }
    page.until(
        "the field to search in",
        "return !document.getElementById('mdbook-search-wrapper').classList.contains('hidden')
            && document.activeElement.id === 'mdbook-searchbar'",
        &[],
    )
    .await?;
    // What searches has come now, and not with the page.
    let is_search = |what: &str| what.contains("/searcher-");
    let asked = server.asked();
    assert!(asked[before..].iter().any(|asked| is_search(&asked.what)));
    page.press(word).await?;
    let result = format!("#mdbook-searchresults a[href*='{name}']");
    page.until(
        "the result",
        "return document.querySelector(arguments[0]) !== null",
        &[json!(result)],
    )
    .await?;
    page.click(&result).await?;
    page.until(
        "the page of the result, with the word marked",
        "return document.readyState === 'complete' && location.href.startsWith(arguments[0])
            && document.querySelector('main mark')?.textContent.toLowerCase() === arguments[1]",
        &[json!(at(server, name)), json!(word)],
    )
    .await
}

pub(crate) async fn every_page_of_a_static_site_is_whole_and_says_that_no_live_server_is_here(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    let names = pages()?;
    // The first chapter is also the page of the site itself.
    for name in ["".to_owned()].iter().chain(&names) {
        page.open(&at(&server, name)).await?;
        // Also because a page that is left while its diagrams come reports that they did not.
        let panels: Vec<String> = page
            .until_some(
                "every panel to say what it is",
                "const panels = Array.from(document.querySelectorAll('.live-panel'));
                const others = Array.from(document.querySelectorAll('.question'));
                return panels.every((panel) => panel.dataset.state === 'static')
                    && others.every((other) => other.dataset.state === 'ready')
                    && panels.map((panel) => panel.textContent)",
                &[],
            )
            .await?;
        assert!(name != CHAPTER || !panels.is_empty(), "{name} has no panel");
        for text in panels {
            assert!(text.contains("No live server is here"), "{name}: {text}");
            assert!(text.contains("cargo run"), "{name}: {text}");
            let clone = format!("git clone {REPOSITORY}\ncd async-book\ncargo run");
            assert!(text.contains(&clone), "{name}: {text}");
        }
        let links: Vec<String> = page
            .run(
                "return Array.from(document.querySelectorAll('.live-panel a'), ({ href }) => href)",
                &[],
            )
            .await?;
        for links in links.chunks(2) {
            assert_eq!(links, [REPOSITORY, "https://codespaces.new/ada/async-book"]);
        }

        // The script writes the table of contents of each page.
        let contents: BTreeSet<String> = page
            .run(
                "return Array.from(document.querySelectorAll('#mdbook-sidebar li a[href]:not(.header-in-summary)'),
                    ({ href }) => href.replace(/#.*/, ''))",
                &[],
            )
            .await?;
        assert_eq!(
            contents,
            names.iter().map(|name| at(&server, name)).collect(),
            "{name}"
        );

        let edit: String = page
            .run("return document.querySelector('a[rel=edit]').href", &[])
            .await?;
        let source = edit.strip_prefix(EDITS).context("another repository")?;
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        assert!(Path::new(root).join(source).is_file(), "{name}: {edit}");

        asked_inside(&server);
        assert_eq!(page.complaints().await?, Vec::<String>::new(), "{name}");
    }
    for asked in server.asked() {
        assert!(
            asked.status == Some(200) || asked.status == Some(304),
            "{asked:?}"
        );
    }
    Ok(())
}

pub(crate) async fn whatever_a_file_of_a_static_site_names_is_there(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    page.open(&at(&server, "404.html")).await?;
    // Each file from the ones that no link leads to, read as a browser reads it: pages with their
    // <base>, style sheets.
    let (wrong, files): (Vec<String>, usize) = page
        .run(
            "const [site, published, first] = arguments;
            const wrong = [];
            const seen = new Set();
            const queue = [];
            const add = (address, base, from) => {
                const url = new URL(address, base);
                url.hash = '';
                if (url.origin !== location.origin) return false;
                if (!url.href.startsWith(site)) wrong.push(`${from} names ${url}`);
                else if (!seen.has(url.href)) queue.push([url.href, from]), seen.add(url.href);
                return true;
            };
            const page = (text, address) => {
                const page = new DOMParser().parseFromString(text, 'text/html');
                const base = new URL(page.querySelector('base')?.getAttribute('href') ?? '', address);
                for (const element of page.querySelectorAll('[href], [src]')) {
                    const named = element.getAttribute('href') ?? element.getAttribute('src');
                    if (element.rel === 'canonical') {
                        // Nobody is asked for it: it names the page's own address.
                        if (!named.startsWith(published)) wrong.push(`${address} believes to be ${named}`);
                        else add(named.replace(published, site), base, address);
                        continue;
                    }
                    // A reader may follow a link to another site. A page asks no other site for
                    // anything.
                    if (!named.startsWith('data:') && !add(named, base, address) && element.localName !== 'a')
                        wrong.push(`${address} asks for ${named}`);
                }
                const image = page.querySelector('meta[property=\"og:image\"]')?.content;
                if (image && !image.startsWith(published)) wrong.push(`${address} has its picture at ${image}`);
                else if (image) add(image.replace(published, site), base, address);
            };
            const sheet = (text, address) => {
                for (const [, named] of text.matchAll(/url\\(\\s*[\"']?([^\"')]+)/g))
                    if (!named.startsWith('data:') && !add(named, address, address))
                        wrong.push(`${address} asks for ${named}`);
            };
            for (const name of first) add(name, site, 'this test');
            return (async () => {
                for (const [address, from] of queue) {
                    const answer = await fetch(address);
                    if (!answer.ok) wrong.push(`${address}, which ${from} names: ${answer.status}`);
                    const kind = answer.headers.get('content-type') ?? '';
                    if (kind.startsWith('text/html')) page(await answer.text(), address);
                    else if (kind.startsWith('text/css')) sheet(await answer.text(), address);
                    else await answer.arrayBuffer();
                }
                return [wrong, queue.length];
            })()",
            &[
                json!(at(&server, "")),
                json!(format!("{ORIGIN}{SITE}")),
                json!(["", "print.html", "toc.html", "404.html"]),
            ],
        )
        .await?;
    assert_eq!(wrong, Vec::<String>::new());
    assert!(files > 2 * pages()?.len(), "only {files} files were seen");

    let (width, height): (u32, u32) = page
        .run(
            "const image = new Image();
            image.src = 'assets/card.png';
            return image.decode().then(() => [image.naturalWidth, image.naturalHeight])",
            &[],
        )
        .await?;
    // The size that theme/head.hbs tells of.
    assert_eq!((width, height), (1200, 630));
    Ok(())
}

pub(crate) async fn a_search_in_a_static_site_leads_to_a_page(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    page.open(&at(&server, CHAPTER)).await?;
    search(&page, &server, Ask::Button, "whiteboard", BOARD).await?;
    asked_inside(&server);
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn a_page_that_is_not_there_leads_back_into_the_book(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    for name in ["no/such/page", "sse/nothing.html", "nothing"] {
        let address = at(&server, name);
        page.open(&address).await?;
        let missing = server.asked_for(&format!("GET {SITE}{name}"));
        assert_eq!(missing[0].status, Some(404), "{name}");
        let mut said = page.complaints().await?;
        // Chromium's console says so of the page itself, and has nothing else to say.
        said.retain(|said| !(said.contains(&address) && said.contains("404")));
        assert_eq!(said, Vec::<String>::new());
        // With its style, whose variables the sidebar takes its width from, and with its table of
        // contents.
        let (heading, contents, width): (String, usize, f64) = page
            .run(
                "return [
                    document.querySelector('main h1').textContent,
                    document.querySelectorAll('#mdbook-sidebar li a').length,
                    parseFloat(getComputedStyle(document.getElementById('mdbook-sidebar')).width),
                ]",
                &[],
            )
            .await?;
        assert_eq!(heading, "Page not found");
        assert!(contents >= pages()?.len(), "{contents} links");
        assert!((100.0..600.0).contains(&width), "{width} px");
        asked_inside(&server);
    }
    search(&page, &server, Ask::Key, "whiteboard", BOARD).await?;

    page.open(&at(&server, "no/such/page")).await?;
    page.click("main a[href*=introduction]").await?;
    let there = "return document.readyState === 'complete' && location.href === arguments[0]";
    page.until(
        "the introduction",
        there,
        &[json!(at(&server, "introduction.html"))],
    )
    .await?;
    asked_inside(&server);
    let failed = server.asked().into_iter();
    let failed = failed.filter(|asked| asked.status.is_some_and(|status| status >= 400));
    let failed: BTreeSet<_> = failed.map(|asked| asked.what).collect();
    let expected = ["no/such/page", "nothing", "sse/nothing.html"];
    assert_eq!(
        failed,
        expected.map(|name| format!("GET {SITE}{name}")).into()
    );
    Ok(())
}

pub(crate) async fn the_print_page_has_every_chapter_and_every_diagram(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    // In place of the printer.
    server.inject("window.print = () => { window.printed = document.querySelectorAll('.diagram > svg').length }");
    page.open(&at(&server, "print.html")).await?;
    let drawn: usize = page
        .until_some("the printer to be asked", "return window.printed", &[])
        .await?;
    let (headings, diagrams): (Vec<String>, usize) = page
        .run(
            "return [
                Array.from(document.querySelectorAll('main h1'), ({ textContent }) => textContent),
                document.querySelectorAll('.diagram > svg').length,
            ]",
            &[],
        )
        .await?;
    let (mut chapters, mut all): (Vec<String>, usize) = (Vec::new(), 0);
    for name in pages()? {
        let (heading, diagrams): (String, usize) = page
            .run(
                "return fetch(arguments[0]).then((answer) => answer.text()).then((text) => {
                    const page = new DOMParser().parseFromString(text, 'text/html');
                    return [page.querySelector('main h1').textContent, page.querySelectorAll('.diagram > svg').length];
                })",
                &[json!(at(&server, &name))],
            )
            .await?;
        chapters.push(heading);
        all += diagrams;
    }
    assert_eq!(headings, chapters);
    assert_eq!((diagrams, drawn), (all, all));
    asked_inside(&server);
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}
