//! What a printer gets: every diagram, every fold open, and nothing to press.

use crate::{
    book::some_pages,
    machines::settled,
    published::{at, published},
};
use browser::{engine::Kind, page::Page, suite::Suite};
use fantoccini::wd::PrintConfiguration;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Applies the rules for paper to the window, as this browser reads them.
const ON_PAPER: &str = "
    const queries = (media) => {
        if (!/print|screen/.test(media.mediaText)) return;
        media.mediaText = media.mediaText.split(',').map((query) =>
            /\\bscreen\\b/.test(query) !== /\\bnot\\b/.test(query) ? 'not all' : query.replace(/(not +screen|print)/, 'all')
        ).join(',');
    };
    const walk = (rules) => {
        for (const rule of rules) {
            if (rule.media) queries(rule.media);
            if (rule.cssRules) walk(rule.cssRules);
        }
    };
    for (const sheet of document.styleSheets) {
        queries(sheet.media);
        walk(sheet.cssRules);
    }
    dispatchEvent(new Event('beforeprint'));";

/// What is wrong with the page as it is shown now, and how many diagrams and folds it has.
const WRONG: &str = "
    const wrong = [];
    const seen = (element) => {
        const { width, height } = element.getBoundingClientRect();
        return element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && width > 0 && height > 0;
    };
    const told = (element) => element.outerHTML.slice(0, 100);
    const diagrams = Array.from(document.querySelectorAll('main svg[role=img], main pre.mermaid'));
    for (const diagram of diagrams)
        if (!seen(diagram) || diagram.getBoundingClientRect().height < 60 || diagram.matches('.mermaid:not(:has(svg))'))
            wrong.push(`not drawn: ${told(diagram)}`);
    const folds = Array.from(document.querySelectorAll('main details'));
    for (const fold of folds)
        if (!fold.open || !seen(fold.lastElementChild)) wrong.push(`closed: ${told(fold)}`);
    for (const control of document.querySelectorAll('button, input, select, textarea, canvas, nav a, .skip, .fact-link, .lp'))
        if (seen(control)) wrong.push(`to be pressed: ${told(control)}`);
    return [wrong, diagrams.length, folds.length];";

pub(crate) async fn every_diagram_and_fold_is_printed_and_nothing_to_press(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    server.inject("window.print = () => { window.printed = true }");
    let mut all = (0, 0);
    let mut all_wrong = BTreeMap::new();
    for name in some_pages(page.kind())? {
        page.open(&at(&server, &name)).await?;
        settled(&page).await?;
        page.run::<Value>(ON_PAPER, &[]).await?;
        let (wrong, diagrams, folds): (Vec<String>, usize, usize) = page.run(WRONG, &[]).await?;
        if !wrong.is_empty() {
            all_wrong.insert(name, wrong);
        }
        all = (all.0 + diagrams, all.1 + folds);
    }
    assert!(all.0 > 5 && all.1 > 5, "diagrams and folds: {all:?}");
    assert!(all_wrong.is_empty(), "{all_wrong:#?}");
    page.open(&at(&server, "print.html")).await?;
    page.until("the printer to be asked", "return window.printed", &[])
        .await?;
    page.run::<Value>(ON_PAPER, &[]).await?;
    let (wrong, diagrams, folds): (Vec<String>, usize, usize) = page.run(WRONG, &[]).await?;
    assert_eq!(wrong, [""; 0], "print.html");
    // It has all of the pages that were looked at, and of the others.
    let more = page.kind() != Kind::Chromium;
    assert_eq!((diagrams > all.0, folds > all.1), (more, more));
    Ok(())
}

pub(crate) async fn a_printer_opens_every_fold_and_leaves_the_page_as_it_was(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    page.open(&at(&server, "polling/index.html")).await?;
    // One is open already, by its reader's hand.
    let all: usize = page
        .run(
            "const folds = Array.from(document.querySelectorAll('main details'));
            folds[1].open = true;
            const open = () => folds.filter(({ open }) => open).length;
            window.opened = [];
            for (const when of ['beforeprint', 'afterprint'])
                addEventListener(when, () => window.opened.push(open()));
            return folds.length",
            &[],
        )
        .await?;
    assert!(all > 5);
    if page.kind() == Kind::WebKit {
        // Its driver has no printer (WebKitGTK 2.50).
        let printed =
            "dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))";
        page.run::<Value>(printed, &[]).await?;
    } else {
        page.client().print(PrintConfiguration::default()).await?;
    }
    let open: [usize; 2] = page
        .until_some(
            "the end of the print",
            "return window.opened.length > 1 && window.opened",
            &[],
        )
        .await?;
    assert_eq!(open, [all, 1]);
    let kept = "return document.querySelectorAll('main details')[1].open";
    assert!(page.run::<bool>(kept, &[]).await?);
    Ok(())
}
