//! The links to facts and the page they lead to.

use browser::{page::Page, suite::Suite};
use std::{collections::HashMap, sync::Arc};

const CHAPTER: &str = "foundations/in-between.html";

pub(crate) async fn a_link_names_its_fact_and_the_fact_leads_back(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    page.open(&site.at(CHAPTER)).await?;
    let names: Vec<[String; 3]> = page
        .run(
            "return Array.from(document.querySelectorAll(\"main a[href*='#fact-']\"))
                .filter((link) => link.textContent === 'source')
                .map((link) => [link.hash, link.title, link.getAttribute('aria-label') ?? ''])",
            &[],
        )
        .await?;
    assert!(names.len() > 20, "{names:?}");
    let mut facts = HashMap::new();
    for [fact, title, name] in &names {
        // What is seen is part of what is heard.
        assert!(name.starts_with("source: ") && title == name, "{names:?}");
        let first = facts.entry(name).or_insert(fact);
        assert_eq!(*first, fact, "one name for two facts");
    }

    page.run::<()>(
        "const link = document.querySelector(\"main a[href$='#fact-alb-idle']\");
        link.id = 'to-the-fact';
        link.scrollIntoView({ block: 'center' });",
        &[],
    )
    .await?;
    page.click("#to-the-fact").await?;
    page.until(
        "the entry, marked, with its origin apart and a link to itself",
        "const entry = document.querySelector('#fact-alb-idle:target')?.parentElement;
        const origin = entry?.querySelector('small')?.textContent ?? '';
        return /^\\s*Source: [^]*Checked: /.test(origin)
            && getComputedStyle(entry).borderInlineStartWidth !== '0px'
            && entry.querySelector('a.fact-link').hash === '#fact-alb-idle'",
        &[],
    )
    .await?;
    page.run::<()>(
        "const links = document.querySelectorAll('p:has(> :target) > a');
        links[links.length - 1].id = 'back';",
        &[],
    )
    .await?;
    page.click("#back").await?;
    page.until(
        "the page with the link",
        "return location.pathname.endsWith('/foundations/in-between.html')",
        &[],
    )
    .await
}
