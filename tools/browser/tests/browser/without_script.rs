//! The published site where no script runs: text, diagrams and answers can be read.

use crate::{
    book::some_pages,
    published::{at, published},
};
use browser::{page::Page, suite::Suite};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) async fn the_text_the_diagrams_and_the_answers_can_be_read(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    server.forbid_scripts();
    let (mut diagrams, mut folds) = (0, 0);
    let mut all_wrong = BTreeMap::new();
    for name in some_pages(page.kind())? {
        page.open(&at(&server, &name)).await?;
        let ran: bool = page
            .run(
                "return document.documentElement.classList.contains('js') || document.querySelector('.skip') !== null",
                &[],
            )
            .await?;
        assert!(!ran, "a script has run in {name}");
        let (wrong, drawn, folded): (Vec<String>, usize, usize) = page
            .run(
                "const wrong = [];
                const seen = (element) => {
                    const { width, height } = element.getBoundingClientRect();
                    return element.checkVisibility({ visibilityProperty: true }) && width > 0 && height > 0;
                };
                const told = (element) => element.outerHTML.slice(0, 100);
                const text = document.querySelector('main').innerText;
                if (text.length < 500) wrong.push('there is no text');
                const vain = /\\bPress .?(Start|Cut)\\b.*/.exec(text);
                if (vain) wrong.push(`nothing can be pressed: ${vain[0]}`);
                for (const box of document.querySelectorAll('main pre.mermaid, main code.language-mermaid'))
                    if (seen(box)) wrong.push(`no diagram: ${told(box)}`);
                const diagrams = Array.from(document.querySelectorAll('main svg[role=img]'));
                for (const diagram of diagrams) {
                    if (!seen(diagram)) wrong.push(`not seen: ${told(diagram)}`);
                    if (!(diagram.querySelector('title')?.textContent || diagram.ariaLabel)) wrong.push(`no name: ${told(diagram)}`);
                    if (!diagram.querySelector('text')) wrong.push(`no text: ${told(diagram)}`);
                }
                for (const control of document.querySelectorAll('main button, main input, main canvas'))
                    if (seen(control)) wrong.push(`does nothing: ${told(control)}`);
                return [wrong, diagrams.length, document.querySelectorAll('main details').length]",
                &[],
            )
            .await?;
        if !wrong.is_empty() {
            all_wrong.insert(name, wrong);
        }
        diagrams += drawn;
        folds += folded;
        if folded > 0 {
            page.find("main details > summary").await?.click().await?;
            page.until(
                "the fold to open",
                "const fold = document.querySelector(arguments[0]);
                return fold.open && fold.lastElementChild.getBoundingClientRect().height > 0",
                &[json!("main details")],
            )
            .await?;
        }
    }
    assert!(all_wrong.is_empty(), "{all_wrong:#?}");
    assert!(
        diagrams > 5 && folds > 5,
        "{diagrams} diagrams, {folds} folds"
    );
    Ok(())
}
