//! What the pages say of costs comes from the data.

use figures::{outputs, root, Data};
use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};
use regex::Regex;
use std::{fs, path::Path};

/// The sections whose figures are measured, by page and heading.
const SECTIONS: [(&str, &str); 6] = [
    ("polling/index.md", COSTS),
    ("long-polling/index.md", COSTS),
    ("sse/index.md", COSTS),
    ("websocket/index.md", COSTS),
    ("choosing/index.md", "Measured"),
    ("choosing/index.md", "How many readers"),
];
const COSTS: &str = "What it costs, measured";

/// The text of a section's paragraphs, items and rows, as it is in the source: what an include
/// brings is not in it.
fn blocks(page: &str, heading: &str) -> Vec<String> {
    // An include would end a row or stand as text.
    let include = Regex::new(r"\{\{#include [^}]*\}\}").unwrap();
    let page = include.replace_all(page, "INCLUDED");
    let mut level: Option<HeadingLevel> = None;
    let (mut found, mut text, mut has_source, mut title) = (Vec::new(), String::new(), false, None);
    let mut in_code = false;
    for event in new_cmark_parser(&page, &MarkdownOptions::default()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => title = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => {
                let (this, name) = title.take().unwrap();
                match level {
                    Some(of_section) if this <= of_section => return found,
                    None if name == heading => level = Some(this),
                    _ => {}
                }
            }
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { dest_url, .. }) => {
                has_source |= dest_url.contains("facts.md#fact-");
            }
            Event::Text(piece) if !in_code => match &mut title {
                Some((_, title)) => title.push_str(&piece),
                None => text.push_str(&piece),
            },
            Event::Html(html) if html.contains("figcaption") => text.push_str(&html),
            Event::SoftBreak => text.push(' '),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::TableRow
                | TagEnd::TableHead
                | TagEnd::HtmlBlock,
            ) => {
                let block = std::mem::take(&mut text);
                if level.is_some() && !std::mem::take(&mut has_source) && !block.is_empty() {
                    found.push(block);
                }
            }
            _ => {}
        }
    }
    found
}

/// A number that stands in a sentence by hand stays when the figures move. What somebody else has
/// measured has its source beside it.
#[test]
fn no_figure_of_ours_stands_in_prose_by_hand() {
    let names = Regex::new(r"HTTP/[123](?:\.1)?|Figure \d+|99 (?:of|in) 100").unwrap();
    for (page, heading) in SECTIONS {
        let text = fs::read_to_string(root().join("src").join(page)).unwrap();
        let blocks = blocks(&text, heading);
        assert!(blocks.len() > 2, "{page}: {heading} has {blocks:?}");
        for block in blocks {
            let rest = names.replace_all(&block, "");
            let number = rest.chars().any(|letter| letter.is_ascii_digit());
            assert!(!number, "{page}, {heading}: by hand in {block:?}");
        }
    }
}

#[test]
fn a_figure_by_hand_is_found() {
    let page =
        "# A\n\n## Measured\n\nIt takes 5 ms.\n\nIt takes 6 ms ([source](facts.md#fact-a)).\n\n\
                - {{#include a.md:p50}} is late\n\n## Next\n\n7\n";
    assert_eq!(
        blocks(page, "Measured"),
        ["It takes 5 ms.", "INCLUDED is late"]
    );
}

/// Every page of the book.
fn pages() -> String {
    fn collect(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join("src"), &mut text);
    text
}

#[test]
fn some_page_shows_each_part_and_each_chart() {
    let pages = pages();
    for (path, text) in outputs(&Data::read(root()).unwrap()).unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".svg") {
            assert!(
                pages.contains(&format!("measured/{name}}}}}")),
                "no page shows {name}"
            );
        }
        for part in text.split("\nANCHOR: ").skip(1) {
            let part = part.lines().next().unwrap();
            let include = format!("measured/{name}:{part}}}}}");
            assert!(
                pages.contains(&include),
                "no page includes {part} of {name}"
            );
        }
    }
}

/// What the prose says in words.
#[test]
fn what_the_prose_says_of_the_figures_is_so() {
    let data = Data::read(root()).unwrap();
    let intervals = data.intervals();
    let [short, long] = [&intervals[0], intervals.last().unwrap()];
    let [short, long] = [short, long].map(|interval| format!("polling:{interval}ms"));
    let median = |measurement: &str, method: &str, figure: &str| {
        data.median(measurement, method, figure).unwrap()
    };
    // "With a longer interval each event costs the server less."
    let cpu = |method| median("delivery", method, "server CPU");
    assert!(cpu(&long) < cpu(&short));
    // "An answer takes along what has gathered", and not less than one event.
    assert!(median("traffic", "long-polling", "requests") < 1.0);
    for method in ["sse", "websocket"] {
        // "Nothing goes up."
        assert_eq!(median("traffic", method, "bytes up"), 0.0);
        // "Times the processor time of a loop."
        assert!(
            data.row("delivery", method, "server CPU")
                .unwrap()
                .ratio_median
                > Some(1.0)
        );
    }
    // "A poll waits for its interval; the others wait for the server."
    for method in ["long-polling", "sse", "websocket"] {
        let p50 = median("delivery", method, "delay p50");
        assert!(p50 < median("delivery", &long, "delay p50"), "{method}");
    }
}
