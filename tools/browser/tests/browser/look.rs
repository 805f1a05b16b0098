//! How the pages look: themes, room, the table of contents.

use crate::panel::{ready, CHAPTER};
use browser::{page::Page, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;

pub(crate) async fn a_theme_that_is_not_offered_counts_as_none(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    let address = site.at("glossary.html");
    page.prefer("dark").await?;
    for (stored, shown) in [
        (None, "navy"),
        (Some("light"), "light"),
        (Some("coal"), "navy"),
        (Some("rust"), "navy"),
        (Some("ayu"), "navy"),
        (Some("nothing"), "navy"),
    ] {
        page.open(&address).await?;
        page.run::<Value>(
            "localStorage.clear();
            if (arguments[0]) localStorage.setItem('mdbook-theme', arguments[0])",
            &[json!(stored)],
        )
        .await?;
        page.open(&address).await?;
        let (themes, ground, kept): (Vec<String>, String, Option<String>) = page
            .run(
                "return [
                    [...document.querySelectorAll('#mdbook-theme-list button')].map(({ id }) => id),
                    getComputedStyle(document.documentElement).backgroundColor,
                    localStorage.getItem('mdbook-theme'),
                ]",
                &[],
            )
            .await?;
        let offered = ["default_theme", "light", "navy"];
        assert_eq!(themes, offered.map(|name| format!("mdbook-theme-{name}")));
        let expected = match shown {
            "light" => "rgb(255, 255, 255)",
            _ => "rgb(22, 25, 35)",
        };
        assert_eq!(ground, expected, "{stored:?}");
        // Another book of the same host may offer it.
        assert_eq!(kept.as_deref(), stored);
    }
    // The menu by keyboard: the first key goes past the themes that are not there.
    page.run::<Value>("localStorage.clear()", &[]).await?;
    page.open(&address).await?;
    page.click("#mdbook-theme-toggle").await?;
    let focused = "return document.activeElement.id";
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(page.run::<String>(focused, &[]).await?);
        page.press("\u{e013}").await?;
    }
    assert_eq!(
        seen,
        ["navy", "light", "default_theme", "default_theme"]
            .map(|name| format!("mdbook-theme-{name}"))
    );
    page.prefer("light").await
}

pub(crate) async fn the_table_of_contents_follows_its_reader(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.resize(1280, 700).await?;
    page.navigate(&site.at(CHAPTER)).await?;
    ready(&page).await?;
    let headings: Vec<String> = page
        .run(
            "return [...document.querySelectorAll('main :is(h2, h3)[id]')].map(({ id }) => id)",
            &[],
        )
        .await?;
    assert!(headings.len() > 20, "{headings:?}");
    // To the end and back.
    for id in headings.iter().step_by(7).chain(headings.first()) {
        page.run::<Value>(
            "document.getElementById(arguments[0]).scrollIntoView({ behavior: 'instant' })",
            &[json!(id)],
        )
        .await?;
        page.until(
            &format!("the entry near {id} in view"),
            "const box = document.querySelector('.sidebar-scrollbox').getBoundingClientRect();
            const current = document.querySelector('.current-header');
            const { top, bottom, height } = current.getBoundingClientRect();
            return height > 0 && top >= box.top && bottom <= box.bottom",
            &[],
        )
        .await?;
        let open: usize = page
            .run(
                "return [...document.querySelectorAll('.on-this-page li > ol')]
                    .filter((list) => list.checkVisibility()).length",
                &[],
            )
            .await?;
        assert!(open <= 1, "{open} sections show their headings");
    }
    Ok(())
}

pub(crate) async fn code_of_88_columns_needs_no_scrolling(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.resize(1280, 800).await?;
    for name in ["polling/index.html", CHAPTER, "websocket/index.html"] {
        page.navigate(&site.at(name)).await?;
        ready(&page).await?;
        let (listings, wide, line): (usize, Vec<String>, f64) = page
            .run(
                "for (const fold of document.querySelectorAll('main details')) fold.open = true;
                const listings = [...document.querySelectorAll('main pre > code.language-rust')];
                const line = document.querySelector('main > p').getBoundingClientRect().width;
                return [
                    listings.length,
                    listings.filter((code) => code.scrollWidth > code.clientWidth)
                        .map((code) => code.textContent.slice(0, 200)),
                    line,
                ]",
                &[],
            )
            .await?;
        assert!(listings > 5, "{name}: {listings}");
        assert_eq!(wide, [""; 0], "{name}");
        // About 75 characters of 17 px.
        assert!(line <= 700.0, "{name}: {line} px of prose");
    }
    Ok(())
}

pub(crate) async fn a_table_of_four_columns_is_read_on_a_phone_row_by_row(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.resize(390, 844).await?;
    page.open(&site.at("choosing/index.html")).await?;
    let (wide, cells, unnamed): (usize, usize, Vec<String>) = page
        .run(
            "const boxes = [...document.querySelectorAll('main .table-wrapper')];
            const cells = [...document.querySelectorAll(
                'main table:has(thead th:nth-child(4)) tbody td:not(:first-child, :empty)')];
            return [
                boxes.filter((box) => box.scrollWidth > box.clientWidth).length,
                cells.length,
                cells.filter((cell) => !cell.firstElementChild?.matches('.column')
                        || !cell.firstElementChild.checkVisibility()
                        || cell.firstElementChild.textContent === ''
                        || cell.firstElementChild.scrollWidth > cell.firstElementChild.clientWidth)
                    .map((cell) => cell.textContent),
            ]",
            &[],
        )
        .await?;
    assert_eq!(wide, 0, "tables scroll sideways");
    assert!(cells > 30, "{cells}");
    assert_eq!(
        unnamed, [""; 0],
        "cells without the heading of their column, or with one that is too wide"
    );
    // On a wide window the headings stand above, once.
    page.resize(1280, 800).await?;
    page.until(
        "one heading for each column",
        "return [...document.querySelectorAll('td > .column')].every((name) => !name.checkVisibility())",
        &[],
    )
    .await
}
