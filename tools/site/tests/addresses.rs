//! Every address that the book has ever published leads somewhere: a page, a heading or an entry of
//! the facts that moves or goes leaves a redirect in `book.toml`.
//!
//! `published.txt` is the list. After a change, `UPDATE_GOLDEN=1 cargo test -p site --test
//! addresses` adds what is new and removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use regex::Regex;
use site::book::{build, find_root, Options};

/// The ids of each page, by the page's path in the built book.
type Pages = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    find_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The pages of the book as it is built now.
fn pages() -> Pages {
    let out = tempfile::tempdir().unwrap();
    let dest = out.path().join("book");
    build(&root(), &dest, Options::default()).unwrap();
    let summary = fs::read_to_string(root().join("src/SUMMARY.md")).unwrap();
    let link = Regex::new(r"\]\(([^)]+)\.md\)").unwrap();
    let main = Regex::new(r"(?s)<main>(.*)</main>").unwrap();
    // Headings and the anchors of facts: what people link to. Buttons and diagrams have ids of
    // their own.
    let id = Regex::new(r#"<(?:h[1-6]|a)\b[^>]*?\sid="([^"]+)""#).unwrap();
    link.captures_iter(&summary)
        .map(|link| {
            let path = format!("{}.html", &link[1]);
            let html = fs::read_to_string(dest.join(&path)).unwrap();
            let main = &main.captures(&html).expect("a page has a main part")[1];
            let ids = id.captures_iter(main).map(|id| id[1].to_owned());
            (path, ids.collect())
        })
        .collect()
}

/// The redirects of `book.toml`, from an address with or without a fragment to another.
fn redirects() -> BTreeMap<String, String> {
    let config = fs::read_to_string(root().join("book.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let redirects = config["output"]["html"].get("redirect");
    redirects.map_or_else(BTreeMap::new, |table| table.clone().try_into().unwrap())
}

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published.txt")
}

/// The address without its leading slash, in two parts.
fn parts(address: &str) -> (&str, Option<&str>) {
    let address = address.trim_start_matches('/');
    match address.split_once('#') {
        Some((page, fragment)) => (page, Some(fragment)),
        None => (address, None),
    }
}

fn leads_somewhere(pages: &Pages, page: &str, fragment: Option<&str>) -> bool {
    pages
        .get(page)
        .is_some_and(|ids| fragment.is_none_or(|fragment| ids.contains(fragment)))
}

#[test]
fn every_published_address_leads_somewhere() {
    let (pages, redirects) = (pages(), redirects());
    let known = fs::read_to_string(list()).unwrap_or_default();
    let mut known: BTreeSet<String> = known.lines().map(str::to_owned).collect();
    let here = pages.iter().flat_map(|(page, ids)| {
        let headings = ids.iter().map(move |id| format!("{page}#{id}"));
        headings.chain([page.clone()])
    });
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        known.extend(here.clone());
        let lines: Vec<&str> = known.iter().map(String::as_str).collect();
        fs::write(list(), lines.join("\n") + "\n").unwrap();
    }
    let lost: Vec<&String> = known
        .iter()
        .filter(|address| {
            let (page, fragment) = parts(address);
            // mdBook looks at the fragment's own redirect first, and then at the page's.
            !leads_somewhere(&pages, page, fragment)
                && !redirects.contains_key(&format!("/{address}"))
                && !redirects.contains_key(&format!("/{page}"))
        })
        .collect();
    assert!(lost.is_empty(), "no redirect in book.toml for {lost:#?}");
    let new: Vec<String> = here.filter(|address| !known.contains(address)).collect();
    assert!(
        new.is_empty(),
        "not in published.txt yet (UPDATE_GOLDEN=1): {new:#?}"
    );
}

#[test]
fn every_redirect_leads_to_an_address_of_the_book() {
    let pages = pages();
    for (from, to) in redirects() {
        let (page, fragment) = parts(&from);
        assert!(
            !leads_somewhere(&pages, page, fragment),
            "{from} is there and has a redirect all the same"
        );
        let (file, fragment) = match to.split_once('#') {
            Some((file, fragment)) => (file, Some(fragment)),
            None => (to.as_str(), None),
        };
        let target = if file.is_empty() {
            page.to_owned()
        } else {
            beside(page, file)
        };
        assert!(
            leads_somewhere(&pages, &target, fragment),
            "{from} leads to {to}, which is not there"
        );
        // Relative, since the site is published under a path.
        assert!(!to.starts_with('/'), "{from} leads to {to}");
    }
}

/// The path of `file` as a link on `page` means it.
fn beside(page: &str, file: &str) -> String {
    let mut path = PathBuf::new();
    let joined = Path::new(page).parent().unwrap().join(file);
    for part in joined.components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.to_str().unwrap().replace('\\', "/")
}
