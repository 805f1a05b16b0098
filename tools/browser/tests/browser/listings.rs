//! What stands above a listing and on its edge, on a site that knows its repository.

use crate::{
    book::some_pages,
    published::{at, published},
};
use browser::{
    engine::Kind,
    page::Page,
    suite::{Suite, REPOSITORY},
};
use serde::Deserialize;
use std::{path::Path, sync::Arc};

/// A listing as a reader gets it.
#[derive(Deserialize)]
struct Listing {
    /// The text above it, and where it leads.
    name: String,
    link: Option<String>,
    /// `fails` or `mends`, if it is shown for that.
    kind: Option<String>,
    /// The colours of the words that say so, and of the edge.
    word: Option<String>,
    edge: String,
    /// What is to be marked, and the lines that are.
    wanted: Vec<String>,
    marked: Vec<String>,
    /// Whether all that is visible of them is as wide as the box, and shaded.
    filled: bool,
    /// Whether the text of the code is what it was without them: the copy button copies it.
    whole: bool,
}

const LISTINGS: &str = "return Array.from(document.querySelectorAll('p.listing'), (name) => {
    const code = name.nextElementSibling.querySelector('code');
    const lines = Array.from(code.querySelectorAll('.marked-line'));
    const bare = code.cloneNode(true);
    for (const line of bare.querySelectorAll('.marked-line')) line.replaceWith(line.textContent);
    code.after(bare);
    const whole = bare.innerText === code.innerText;
    bare.remove();
    const word = name.querySelector('strong');
    return {
        name: name.textContent,
        link: name.querySelector('a')?.href ?? null,
        kind: ['fails', 'mends'].find((kind) => name.classList.contains(kind)) ?? null,
        word: word && getComputedStyle(word).color,
        edge: getComputedStyle(code).borderInlineStartColor,
        wanted: name.dataset.lines?.split(' ;; ') ?? [],
        marked: lines.map((line) => line.textContent),
        filled: lines.filter((line) => line.getClientRects().length > 0).every((line) =>
            line.getBoundingClientRect().width >= code.clientWidth - 1
                && line.getBoundingClientRect().height < 1.5 * parseFloat(getComputedStyle(code).lineHeight)
                && !/^(transparent|rgba\\(.*, 0\\))$/.test(getComputedStyle(line).backgroundColor)),
        whole,
    };
})";

pub(crate) async fn each_has_its_file_its_edge_and_its_marked_lines(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = published(&suite).await?;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let (mut all, mut marked, mut kinds) = (0, 0, [0, 0]);
    for name in some_pages(page.kind())? {
        page.navigate(&at(&server, &name)).await?;
        // Which comes after the scripts.
        page.until(
            "the page with its names",
            "return document.querySelector('.skip') !== null && location.href === arguments[0]",
            &[at(&server, &name).into()],
        )
        .await?;
        let listings: Vec<Listing> = page.run(LISTINGS, &[]).await?;
        for listing in listings {
            all += 1;
            let path = listing.name.split(' ').next().unwrap_or_default();
            let place = format!("{name}, {path}");
            assert!(root.join(path).is_file(), "{place}");
            let link = format!("{REPOSITORY}/blob/HEAD/{path}");
            assert_eq!(listing.link.as_deref(), Some(&*link), "{place}");

            assert_eq!(listing.wanted.len(), listing.marked.len(), "{place}");
            for (wanted, line) in listing.wanted.iter().zip(&listing.marked) {
                assert!(
                    line.contains(wanted) && !line.contains('\n'),
                    "{place}: {line}"
                );
                marked += 1;
            }
            assert!(listing.filled && listing.whole, "{place}");

            let Some(kind) = &listing.kind else { continue };
            let word = if kind == "fails" {
                " fails: "
            } else {
                " mended: "
            };
            assert!(listing.name.contains(word), "{place}: {}", listing.name);
            assert_eq!(listing.word, Some(listing.edge), "{place}");
            kinds[usize::from(kind == "mends")] += 1;
        }
    }
    let (least, least_of_kind) = match page.kind() {
        Kind::Chromium => (50, 10),
        _ => (5, 0),
    };
    assert!(
        all > 4 * least && marked > least,
        "{all} listings, {marked} lines"
    );
    assert!(kinds.iter().all(|it| *it > least_of_kind), "{kinds:?}");
    Ok(())
}
