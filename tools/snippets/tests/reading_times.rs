//! The reading times that the lesson plan states are those of the chapters as they are.
//!
//! `UPDATE_GOLDEN=1 cargo test -p snippets --test reading_times` writes them anew.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};
use regex::{Captures, Regex};
use snippets::book::expand;

/// Words a minute: `fact-reading-rate` of the facts.
const RATE: usize = 238;

const PLAN: &str = "src/teaching.md";

/// Nobody reads these from end to end.
const LOOKED_UP: [&str; 4] = [
    "glossary.md",
    "facts.md",
    "production/faults.md",
    "teaching.md",
];

/// What there is to read of a chapter or of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Length {
    /// Words outside of listings and of closed folds.
    text: usize,
    /// Words inside folds, and outside of listings.
    folded: usize,
    /// Lines of listings outside of folds, without those that mdBook hides.
    code: usize,
}

fn minutes(words: usize) -> usize {
    (words + RATE / 2) / RATE
}

impl Length {
    fn minus(self, other: Self) -> Self {
        Self {
            text: self.text - other.text,
            folded: self.folded - other.folded,
            code: self.code - other.code,
        }
    }

    /// The numbers of its row: minutes, minutes and lines.
    fn row(self) -> [usize; 3] {
        let lines = if self.code < 10 {
            self.code
        } else {
            (self.code + 5) / 10 * 10
        };
        [minutes(self.text).max(1), minutes(self.folded), lines]
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [text, folded, code] = self.row();
        let or_dash = |number: usize, unit: &str| match number {
            0 => "–".to_owned(),
            1 if unit == "lines" => "1 line".to_owned(),
            number => format!("{number} {unit}"),
        };
        write!(
            f,
            "{text} min | {} | {}",
            or_dash(folded, "min"),
            or_dash(code, "lines")
        )
    }
}

/// The id that mdBook gives to a heading.
fn id(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    kept.collect()
}

/// The lengths of a page and of each of its sections, by the section's id; the page's own is "".
fn lengths(text: &str) -> BTreeMap<String, Length> {
    let mut sections: BTreeMap<String, Length> = BTreeMap::new();
    // Level, id, and how much had been read where it begins.
    let mut open: Vec<(usize, String, Length)> = Vec::new();
    let mut read = Length::default();
    let mut folds = 0_usize;
    let mut listing: Option<(bool, bool)> = None;
    let mut heading: Option<(usize, String, Length)> = None;
    for event in new_cmark_parser(text, &MarkdownOptions::default()) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let CodeBlockKind::Fenced(info) = kind else {
                    listing = Some((true, false));
                    continue;
                };
                listing = Some((!info.starts_with("mermaid"), info.starts_with("rust")));
            }
            Event::End(TagEnd::CodeBlock) => listing = None,
            Event::Start(Tag::Heading { level, .. }) => {
                heading = Some((level as usize, String::new(), read));
            }
            Event::End(TagEnd::Heading(_)) => {
                let (level, title, before) = heading.take().expect("it has begun");
                while open.last().is_some_and(|(above, ..)| *above >= level) {
                    let (_, id, from) = open.pop().expect("there is one");
                    sections.insert(id, before.minus(from));
                }
                open.push((level, id(&title), before));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                folds += html.matches("<details").count();
                folds -= html.matches("</details").count();
            }
            Event::Text(text) | Event::Code(text) => match listing {
                Some((true, rust)) if folds == 0 => {
                    let hidden = |line: &str| {
                        let line = line.trim_start();
                        rust && (line == "#" || line.starts_with("# "))
                    };
                    read.code += text.lines().filter(|line| !hidden(line)).count();
                }
                Some(_) => {}
                None => {
                    if let Some((_, title, _)) = &mut heading {
                        title.push_str(&text);
                    }
                    let words = text
                        .split_whitespace()
                        .filter(|word| word.contains(char::is_alphanumeric));
                    if folds == 0 {
                        read.text += words.count();
                    } else {
                        read.folded += words.count();
                    }
                }
            },
            _ => {}
        }
    }
    for (_, id, from) in open {
        sections.insert(id, read.minus(from));
    }
    sections.insert(String::new(), read);
    sections
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A row that begins with a link to a page or a section of it, and has three cells after that.
fn row() -> Regex {
    Regex::new(
        r"(?m)^\| (\[[^\]]+\]\(([^)#]+\.md)(?:#([^)]*))?\)) \|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$",
    )
    .expect("a pattern")
}

/// Whether a number may stay where the text has come to another: within a tenth, and small
/// differences of a small number.
fn near(stated: usize, found: usize, slack: usize) -> bool {
    stated.abs_diff(found) <= (found / 10).max(slack)
}

/// The rows whose numbers are off, as they are and as they ought to be.
fn stale(plan: &str, of: impl Fn(&Captures<'_>) -> Length) -> Vec<(String, String)> {
    let number = |cell: &str| {
        cell.split(' ')
            .next()
            .and_then(|number| number.parse().ok())
    };
    let mut stale = Vec::new();
    for found in row().captures_iter(plan) {
        let length = of(&found);
        let slack = [1, 1, 15];
        let good = length.row().iter().enumerate().all(|(cell, expected)| {
            let stated = match found[4 + cell].trim() {
                "–" => Some(0),
                text => number(text),
            };
            stated.is_some_and(|stated: usize| near(stated, *expected, slack[cell]))
        });
        if !good {
            stale.push((found[0].to_owned(), format!("| {} | {length} |", &found[1])));
        }
    }
    stale
}

#[test]
fn the_lesson_plan_states_the_reading_times_of_today() {
    let book = expand(&root()).expect("a book");
    let pages: BTreeMap<String, BTreeMap<String, Length>> = book
        .pages
        .iter()
        .filter_map(|page| {
            let path = page.source.strip_prefix("src").ok()?;
            Some((path.to_str()?.replace('\\', "/"), lengths(&page.text)))
        })
        .collect();
    let mut plan = fs::read_to_string(root().join(PLAN)).expect("the plan");
    let of = |found: &Captures<'_>| {
        let page = pages
            .get(&found[2])
            .unwrap_or_else(|| panic!("{} is no page", &found[2]));
        let section = found.get(3).map_or("", |section| section.as_str());
        *page
            .get(section)
            .unwrap_or_else(|| panic!("{} has no section {section}", &found[2]))
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (old, new) in stale(&plan, of) {
            plan = plan.replace(&old, &new);
        }
        fs::write(root().join(PLAN), &plan).expect("written");
    }
    let stale = stale(&plan, of);
    assert!(
        stale.is_empty(),
        "{PLAN} states other times than the chapters take (UPDATE_GOLDEN=1 mends it): {stale:#?}"
    );

    for page in pages
        .keys()
        .filter(|page| !LOOKED_UP.contains(&page.as_str()))
    {
        let whole = format!("]({page}) | ");
        assert!(
            plan.contains(&whole),
            "{PLAN} has no reading time of {page}"
        );
    }
}

#[test]
fn words_folds_and_lines_are_counted_apart() {
    let text = "# A title\n\nThree words `here`, – and no dash.\n\n## Part & parcel\n\n\
        ```rust\n# hidden\nlet x = 1;\n#[test]\n```\n\n```mermaid\nflowchart TB\n```\n\n\
        <details>\n<summary>Seen</summary>\n\nTwo words\n\n```text\na\nb\n```\n\n</details>\n\n\
        ### Below\n\nOne\n\n## Next\n\nA [link](to/nowhere.md) here.\n";
    let lengths = lengths(text);
    let length = |text, folded, code| Length { text, folded, code };
    assert_eq!(lengths["part--parcel"], length(4, 2, 2));
    assert_eq!(lengths["below"], length(2, 0, 0));
    assert_eq!(lengths["next"], length(4, 0, 0));
    assert_eq!(lengths[""], length(16, 2, 2));
    assert_eq!(lengths["a-title"], lengths[""]);
}

#[test]
fn a_row_that_is_off_is_found() {
    let length = Length {
        text: 238 * 20,
        folded: 0,
        code: 300,
    };
    let row = |cells: &str| format!("| Section | Text |\n| [Page](page.md) | {cells} |\n");
    let stale = |cells: &str| stale(&row(cells), |_| length).len();
    for near in [
        "20 min | – | 300 lines",
        "22 min | 1 min | 330 lines",
        "18 min | – | 270 lines",
    ] {
        assert_eq!(stale(near), 0, "{near}");
    }
    for off in [
        "23 min | – | 300 lines",
        "20 min | 2 min | 300 lines",
        "20 min | – | 340 lines",
        " | | ",
    ] {
        assert_eq!(stale(off), 1, "{off}");
    }
}
