//! The pages of the methods: each has the same sections in the same order, a box that says the
//! whole in four lines, and its failures under headings that stay outside a fold. Readers compare
//! two of these pages side by side.

use std::ops::Range;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};

use super::includes::line_of;
use super::Problem;

/// The pages that have to have this form. Any other page that has the box is held to it as well,
/// outside of [`OTHER`].
const METHODS: [&str; 5] = [
    "polling/index.md",
    "long-polling/index.md",
    "sse/index.md",
    "websocket/index.md",
    "http2-push/index.md",
];

/// The sections of such a page, in order.
const SECTIONS: [&str; 13] = [
    "The idea",
    "Try it",
    COPY,
    "When to use it, and when not",
    "On the wire",
    "The server, step by step",
    "The client",
    "What replaced it",
    FAILURES,
    "Behind proxies, and on HTTP/1.1, HTTP/2 and HTTP/3",
    COSTS,
    "Exercises",
    "Sources",
];

/// What a page may leave out: a method that lives has not been replaced, and a cost that nobody has
/// measured is not told. A method that nobody should take has nothing to copy.
const OPTIONAL: [&str; 3] = ["What replaced it", COSTS, COPY];

const COPY: &str = "Copy this";
/// The folders of the pages whose box lists what a team has to do, and which compare no methods.
const OTHER: [&str; 2] = ["production", "servers"];
const FAILURES: &str = "What goes wrong";
const COSTS: &str = "What it costs, measured";

/// What the items of the box begin with.
const IN_SHORT: [&str; 4] = ["What it is", "Take it when", "Not when", "It costs"];

const BOX: &str = "<div class=\"in-short";
const FOLD: &str = "<details class=\"wrong\">";
const SUMMARY: &str = "<summary>Cause, cure and tests</summary>";

/// A part of a page that stands by itself.
struct Block {
    at: Range<usize>,
    what: What,
    text: String,
}

#[derive(Debug, PartialEq)]
enum What {
    Heading(HeadingLevel),
    Paragraph,
    /// Tags, without what stands between an opening and a closing one.
    Html,
    Table,
    /// The beginnings in bold letters of its items.
    List(Vec<String>),
    Other,
}

/// Checks every page that has the form, and that every method's page has it.
pub(super) fn check<'a>(
    src: &Path,
    chapters: impl Iterator<Item = (PathBuf, &'a str)>,
    problems: &mut Vec<Problem>,
) {
    for (path, text) in chapters {
        let blocks = blocks(text);
        let mut faults = Vec::new();
        costs(&blocks, &mut faults);
        if text.contains(BOX) && !OTHER.iter().any(|other| path.starts_with(other)) {
            in_short(&blocks, &mut faults);
            order(&blocks, &mut faults);
            failures(&blocks, &mut faults);
        }
        if METHODS.iter().any(|page| path == Path::new(page)) {
            // The class from which the page has its colour and its shape (theme/book.css).
            let method = path.parent().unwrap_or(Path::new("")).display();
            let with_class = format!("{BOX} method-{method}\">");
            if !text.contains(&with_class) {
                faults.push((0, format!("a method's page has the box `{with_class}`")));
            }
        }
        problems.extend(faults.into_iter().map(|(at, message)| Problem {
            place: format!("{}:{}", src.join(&path).display(), line_of(text, at)),
            message,
        }));
    }
}

type Faults = Vec<(usize, String)>;

/// Below the title and the paragraph that describes the page, and above the first section.
fn in_short(blocks: &[Block], faults: &mut Faults) {
    let start = (blocks.iter().position(|block| block.text.contains(BOX))).unwrap_or_default();
    let at = blocks.get(start).map_or(0, |block| block.at.start);
    let before: Vec<&What> = blocks[..start].iter().map(|block| &block.what).collect();
    if before != [&What::Heading(HeadingLevel::H1), &What::Paragraph] {
        faults.push((
            at,
            "the box stands right after the page's first paragraph".to_owned(),
        ));
    }
    let inside: Vec<&Block> = blocks[start..]
        .iter()
        .skip(1)
        .take_while(|block| block.what != What::Html)
        .collect();
    let (first, list) = match inside[..] {
        [first, list] => (first, list),
        _ => {
            let message = "the box holds a paragraph and a list, with empty lines inside its tags";
            faults.push((at, message.to_owned()));
            return;
        }
    };
    if !first.text.starts_with("In short.") {
        faults.push((
            first.at.start,
            "the box begins with **In short.**".to_owned(),
        ));
    }
    let wanted = What::List(IN_SHORT.map(str::to_owned).into());
    if list.what != wanted {
        let message = format!(
            "the box lists in bold letters: {}; here it is {:?}",
            IN_SHORT.join(", "),
            list.what
        );
        faults.push((list.at.start, message));
    }
}

fn order(blocks: &[Block], faults: &mut Faults) {
    let mut wanted = SECTIONS.iter();
    for section in sections(blocks) {
        let Some(name) = wanted.find(|name| **name == section.text || !OPTIONAL.contains(name))
        else {
            let message = format!("no section follows \"{}\"", SECTIONS[SECTIONS.len() - 1]);
            faults.push((section.at.start, message));
            return;
        };
        if *name != section.text {
            let message = format!(
                "here stands \"{}\", and \"{name}\" comes next: see STYLE.md",
                section.text
            );
            faults.push((section.at.start, message));
            return;
        }
    }
    if let Some(name) = wanted.find(|name| !OPTIONAL.contains(name)) {
        let end = blocks.last().map_or(0, |block| block.at.start);
        faults.push((end, format!("the section \"{name}\" is missing")));
    }
}

fn sections(blocks: &[Block]) -> impl Iterator<Item = &Block> {
    let is_section = |block: &&Block| block.what == What::Heading(HeadingLevel::H2);
    blocks.iter().filter(is_section)
}

/// The blocks between the heading of a section and the next.
fn section<'a>(blocks: &'a [Block], name: &'a str) -> impl Iterator<Item = &'a Block> {
    let is_section = |block: &Block| block.what == What::Heading(HeadingLevel::H2);
    blocks
        .iter()
        .skip_while(move |block| !(is_section(block) && block.text.starts_with(name)))
        .skip(1)
        .take_while(move |block| !is_section(block))
}

/// A section about costs has the figures: a table of them, or a picture.
fn costs(blocks: &[Block], faults: &mut Faults) {
    let name = COSTS.split(',').next().unwrap_or(COSTS);
    let starts = |block: &&Block| block.text.starts_with(name);
    let Some(heading) = sections(blocks).find(starts) else {
        return;
    };
    let shows = |block: &Block| block.what == What::Table || block.text.contains("<figure");
    if !section(blocks, name).any(shows) {
        let message = "a section about costs without a figure is left out until there is one";
        faults.push((heading.at.start, message.to_owned()));
    }
}

/// Each failure: a heading, a sentence, and a fold.
fn failures(blocks: &[Block], faults: &mut Faults) {
    let all: Vec<&Block> = section(blocks, FAILURES).collect();
    let is_failure = |block: &&Block| block.what == What::Heading(HeadingLevel::H3);
    let opens = |block: &Block| block.text.contains(FOLD) && block.text.contains(SUMMARY);
    let mut headings = 0;
    // What stands before the first failure is about all of them.
    for start in (0..all.len()).filter(|place| is_failure(&all[*place])) {
        headings += 1;
        let rest = &all[start + 1..];
        let end = rest.iter().position(&is_failure);
        let folded = match &rest[..end.unwrap_or(rest.len())] {
            [sentence, open, inside @ .., close] => {
                sentence.what == What::Paragraph
                    && opens(open)
                    && !inside.is_empty()
                    && !inside.iter().any(|block| block.text.contains("</details>"))
                    && close.text.contains("</details>")
            }
            _ => false,
        };
        if !folded {
            let message = format!(
                "under \"{}\" stand one sentence of what it looks like, and then `{FOLD}` with `{SUMMARY}`, an empty \
                 line, the text, an empty line and `</details>`",
                all[start].text
            );
            faults.push((all[start].at.start, message));
        }
    }
    if headings == 0 {
        if let Some(section) = sections(blocks).find(|block| block.text == FAILURES) {
            let message = format!("\"{FAILURES}\" has no failure, which would be a heading ###");
            faults.push((section.at.start, message));
        }
    }
}

/// The outermost blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut done = Vec::new();
    let mut depth = 0_usize;
    let mut bold = false;
    let parser = new_cmark_parser(page, &MarkdownOptions::default());
    for (event, at) in parser.into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    let what = match tag {
                        Tag::Heading { level, .. } => What::Heading(level),
                        Tag::Paragraph => What::Paragraph,
                        Tag::HtmlBlock => What::Html,
                        Tag::Table(_) => What::Table,
                        Tag::List(_) => What::List(Vec::new()),
                        _ => What::Other,
                    };
                    done.push(Block {
                        at,
                        what,
                        text: String::new(),
                    });
                } else if tag == Tag::Strong {
                    bold = true;
                    if let Some(What::List(items)) = done.last_mut().map(|block| &mut block.what) {
                        items.push(String::new());
                    }
                }
                depth += 1;
            }
            Event::End(tag) => {
                bold &= tag != TagEnd::Strong;
                depth -= 1;
            }
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                if let Some(block) = done.last_mut() {
                    block.text.push_str(&text);
                    if let (What::List(items), true) = (&mut block.what, bold) {
                        if let Some(item) = items.last_mut() {
                            item.push_str(text.trim_end_matches(['.', ':']));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    done
}
