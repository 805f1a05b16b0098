//! The book's dated claims: what time can make false has an entry on the page of facts, each link
//! to an entry finds it, and each entry says where it comes from and when somebody last checked it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{offset, TimeZone};
use jiff::Timestamp;
use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};
use regex::Regex;

use super::includes::line_of;
use super::Problem;

/// The page of facts, below the book's `src`.
const PAGE: &str = "facts.md";

/// The heading of a chapter's list of sources. There a link may say in its own words what it leads
/// to.
const SOURCES: &str = "Sources";

/// What a dated claim looks like, as far as a pattern can tell. Code, listings and the addresses of
/// links are not searched. A year after "in" or "since" is one from 2001 to 2039, so that "in 2000
/// ms" is none.
static DATED: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        // "March 2026", "2026-03-24"
        r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December) 20\d\d\b",
        r"\b20[0-3]\d-(?:0\d|1[0-2])\b",
        // "since 2016"
        r"\b(?i:since|until|before|after|in|of|from|by) 20(?:0[1-9]|[1-3]\d)\b",
        // "version 106", "1.30.0", but not 127.0.0.1
        r"\b(?i:versions?) \d+(?:\.\d+)*",
        r"(?:^|[^\d.])\d+\.\d+\.\d+(?:[^\d.]|\.?$|\.[^\d])",
        // "nginx 1.22", "Chrome 106"
        r"\b(?:Android|Apache|Caddy|Chrome|Chromium|Edge|Envoy|Firefox|Go|HAProxy|iOS|Kafka|Linux|NATS|Node(?:\.js)?|PostgreSQL|Python|Redis|SQLite|Safari|Varnish|WebKit|WebKitGTK|axum|curl|h2|hyper|nghttp2|nginx|tokio|tokio-tungstenite|tower-http|tungstenite) \d+(?:\.\d+)*",
    ];
    Regex::new(&patterns.join("|")).expect("a valid pattern")
});
/// What says that a block which looks dated is no claim about the world.
static EXCUSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--\s*no fact:(.*?)-->").expect("a valid pattern"));
static MARKUP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->|<[^>]*>").expect("a valid pattern"));
static ANCHOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"<a id="(fact-[^"]*)">"#).expect("a valid pattern"));
static SOURCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^Source: \S").expect("a valid pattern"));
/// The date, and a comma before the words that say how.
static CHECKED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^Checked: (\d{4}-\d\d-\d\d), \S").expect("a valid pattern"));
/// The same with a date that the data brings, for what the book itself has measured.
static MEASURED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^Checked: \{\{#include measured/[^{}]+\}\}, \S").expect("a valid pattern")
});

/// A piece of a page that has to carry its own sources: a paragraph, a row of a table, an item of a
/// list.
#[derive(Default)]
struct Block {
    at: Range<usize>,
    /// What a reader reads, without code.
    text: String,
    links: Vec<Link>,
    /// The reasons of the comments that excuse it, and the anchors of facts in it, each with its
    /// place.
    excuses: Vec<(usize, String)>,
    anchors: Vec<(usize, String)>,
    among_sources: bool,
}

struct Link {
    at: usize,
    target: String,
    text: String,
}

/// Checks the chapters against the page of facts, where the book has one. `src` is the book's
/// directory of chapters.
pub(super) fn check<'a>(
    src: &Path,
    chapters: impl Iterator<Item = (PathBuf, &'a str)>,
    problems: &mut Vec<Problem>,
) {
    let pages: Vec<(PathBuf, &str, Vec<Block>)> = chapters
        .map(|(path, text)| {
            let blocks = blocks(text);
            (path, text, blocks)
        })
        .collect();
    let mut problem = |path: &Path, text: &str, at: usize, message: String| {
        problems.push(Problem {
            place: format!("{}:{}", src.join(path).display(), line_of(text, at)),
            message,
        });
    };

    let mut entries: HashMap<&str, usize> = HashMap::new();
    let facts = pages.iter().find(|(path, ..)| path == Path::new(PAGE));
    if let Some((path, text, blocks)) = facts {
        for block in blocks {
            for (at, name) in &block.anchors {
                if let Some(first) = entries.insert(name, *at) {
                    let line = line_of(text, first);
                    problem(
                        path,
                        text,
                        *at,
                        format!("`{name}` is on line {line} already"),
                    );
                }
                for message in faults(&text[block.at.clone()]) {
                    problem(path, text, *at, format!("`{name}` {message}"));
                }
            }
        }
    }

    let mut linked: HashSet<&str> = HashSet::new();
    for (path, text, blocks) in &pages {
        let is_facts = path == Path::new(PAGE);
        for block in blocks {
            let mut has_source = false;
            for link in &block.links {
                let Some(name) = fact(path, &link.target) else {
                    continue;
                };
                has_source = true;
                if !entries.contains_key(name) {
                    problem(path, text, link.at, format!("{PAGE} has no entry `{name}`"));
                }
                if is_facts {
                    continue;
                }
                linked.insert(name);
                if !block.among_sources && link.text != "source" {
                    let message = format!(
                        "the link to `{name}` stands right after the claim and says `source`, but for those \
                         under \"{SOURCES}\""
                    );
                    problem(path, text, link.at, message);
                }
            }
            if is_facts {
                continue;
            }
            let claim = DATED.find(&block.text).filter(|_| !has_source);
            match (claim, &block.excuses[..]) {
                (Some(claim), []) => {
                    let message = format!(
                        "\"{}\" looks like a claim that time can make false: link to its entry in {PAGE}, or say \
                         `<!-- no fact: REASON -->` in the same paragraph, row or item",
                        claim.as_str().trim()
                    );
                    problem(path, text, block.at.start, message);
                }
                (_, excuses) => {
                    for (at, reason) in excuses {
                        if reason.is_empty() {
                            problem(path, text, *at, "`no fact` needs a reason".to_owned());
                        } else if claim.is_none() {
                            problem(path, text, *at, "`no fact` excuses nothing here".to_owned());
                        }
                    }
                }
            }
        }
    }

    if let Some((path, text, _)) = facts {
        let mut orphans: Vec<_> = entries
            .iter()
            .filter(|(name, _)| !linked.contains(*name))
            .collect();
        orphans.sort_by_key(|(_, at)| **at);
        for (name, at) in orphans {
            problem(path, text, *at, format!("no page links to `{name}`"));
        }
    }
}

/// What is wrong with an entry, whose Markdown is `text`.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !SOURCE.is_match(text) {
        faults.push("has no line `Source: …`".to_owned());
    }
    match CHECKED.captures(text).map(|found| found[1].to_owned()) {
        None if MEASURED.is_match(text) => {}
        None => faults.push("has no line `Checked: YEAR-MONTH-DAY, how`".to_owned()),
        Some(day) => match day.parse::<Date>() {
            Err(_) => faults.push(format!("was checked on {day}, and there is no such day")),
            Ok(date) if date > today() => {
                faults.push(format!(
                    "was checked on {day}, and that day is still to come"
                ));
            }
            Ok(_) => {}
        },
    }
    faults
}

/// The day where it comes first, so that no author is ahead of it.
fn today() -> Date {
    Timestamp::now()
        .to_zoned(TimeZone::fixed(offset(14)))
        .date()
}

/// The name of the fact that a link on the page `from` leads to.
fn fact<'a>(from: &Path, target: &'a str) -> Option<&'a str> {
    let (file, name) = target.split_once('#')?;
    if !name.starts_with("fact-") {
        return None;
    }
    if file.is_empty() {
        return (from == Path::new(PAGE)).then_some(name);
    }
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    (path == Path::new(PAGE)).then_some(name)
}

/// The blocks of a page, in the order in which they end.
fn blocks(page: &str) -> Vec<Block> {
    let mut done = Vec::new();
    let mut open: Vec<Block> = Vec::new();
    let mut link: Option<Link> = None;
    let mut in_listing = false;
    let mut among_sources = false;
    let parser = new_cmark_parser(page, &MarkdownOptions::default());
    for (event, at) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_listing = true,
            Event::End(TagEnd::CodeBlock) => in_listing = false,
            Event::Start(
                Tag::Paragraph
                | Tag::Heading { .. }
                | Tag::Item
                | Tag::DefinitionListTitle
                | Tag::DefinitionListDefinition
                | Tag::TableHead
                | Tag::TableRow
                | Tag::HtmlBlock,
            ) => open.push(Block {
                at,
                among_sources,
                ..Block::default()
            }),
            Event::End(
                end @ (TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::DefinitionListTitle
                | TagEnd::DefinitionListDefinition
                | TagEnd::TableHead
                | TagEnd::TableRow
                | TagEnd::HtmlBlock),
            ) => {
                if let Some(block) = open.pop() {
                    if let TagEnd::Heading(HeadingLevel::H1 | HeadingLevel::H2) = end {
                        among_sources = block.text == SOURCES;
                    }
                    done.push(block);
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                link = Some(Link {
                    at: at.start,
                    target: dest_url.into_string(),
                    text: String::new(),
                });
            }
            Event::End(TagEnd::Link) => {
                if let (Some(block), Some(link)) = (open.last_mut(), link.take()) {
                    block.links.push(link);
                }
            }
            Event::Text(text) if !in_listing => {
                if let Some(link) = &mut link {
                    link.text.push_str(&text);
                }
                if let Some(block) = open.last_mut() {
                    block.text.push_str(&text);
                }
            }
            Event::Code(code) => {
                if let Some(link) = &mut link {
                    link.text.push_str(&code);
                }
                if let Some(block) = open.last_mut() {
                    block.text.push('`');
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(block) = open.last_mut() {
                    block.text.push(' ');
                }
            }
            // The cells of a row are not one sentence.
            Event::End(TagEnd::TableCell) => {
                if let Some(block) = open.last_mut() {
                    block.text.push_str(" | ");
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                if let Some(block) = open.last_mut() {
                    let named = |pattern: &Regex| -> Vec<(usize, String)> {
                        pattern
                            .captures_iter(&html)
                            .map(|found| (at.start, found[1].trim().to_owned()))
                            .collect()
                    };
                    block.excuses.extend(named(&EXCUSE));
                    block.anchors.extend(named(&ANCHOR));
                    block.text.push_str(&MARKUP.replace_all(&html, ""));
                }
            }
            _ => {}
        }
    }
    done
}
