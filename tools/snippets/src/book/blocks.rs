//! Fenced blocks: which are Rust, of which kind, and whether they keep the rules.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};
use regex::Regex;

use super::coverage::{Coverage, Workspace};
use super::includes::{line_of, Include};
use super::{Kind, Problem, Snippet};

/// A fenced block of a page.
pub(super) struct Fence {
    pub(super) info: String,
    /// From the opening fence to the end of the closing one.
    pub(super) at: Range<usize>,
    pub(super) content: String,
}

/// What may stand after `rust` in an info string besides `skt-NAME`, with no effect on the test.
/// skeptic itself ignores words it does not know, and a misspelt `ignore` with them.
const HARMLESS: &[&str] = &["editable", "noplayground", "edition2021"];

static COMMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^<!--\s*untested:(.*)-->$").expect("a valid pattern"));

/// What [`Checker`] makes of a page.
pub(super) struct Checked {
    pub(super) text: String,
    pub(super) snippets: Vec<Snippet>,
}

pub(super) struct Checker<'a> {
    pub(super) source: &'a Path,
    pub(super) templates: HashSet<String>,
    pub(super) workspace: &'a mut Workspace,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    /// Checks a chapter, before and after expansion. `sound`: every include of it works.
    pub(super) fn chapter(
        mut self,
        raw: &str,
        expanded: &str,
        sound: bool,
        links: &[Include],
    ) -> Checked {
        let before = fences(raw);
        let after = fences(expanded);
        let infos = |fences: &[Fence]| -> Vec<String> {
            fences.iter().map(|fence| fence.info.clone()).collect()
        };
        if infos(&before) != infos(&after) {
            // As after an include in a list or a quotation, whose second line leaves it.
            if sound {
                self.problem(
                    raw,
                    0,
                    "an included text opens or closes a code block of the chapter",
                );
            }
            return Checked {
                text: expanded.to_owned(),
                snippets: Vec::new(),
            };
        }
        let mut snippets = Vec::new();
        let mut comments = Vec::new();
        let mut text = String::new();
        let mut copied = 0;
        for (before, after) in before.iter().zip(&after) {
            let words = words(&before.info);
            if !self.is_rust(raw, before, &words) {
                continue;
            }
            let excuse = self.excuse(raw, before, &words, &mut comments);
            let inside: Vec<&Include> = links
                .iter()
                .filter(|link| before.at.contains(&link.at.start))
                .collect();
            self.check_visible_lines(raw, before);
            let ignored = words.contains(&"ignore");
            let template = self.check_template(raw, before, &words);
            let kind = match (&excuse, &inside[..]) {
                (Some(coverage), _) if ignored => Kind::Covered(coverage.clone()),
                (_, [link])
                    if !template
                        && self.workspace.is_example(&link.file)
                        && after.content.contains("fn main") =>
                {
                    if link.hides_the_rest {
                        Kind::Fragment { of_program: true }
                    } else {
                        Kind::Program
                    }
                }
                _ => Kind::Fragment { of_program: false },
            };
            if sound && after.content.trim().is_empty() {
                self.problem(raw, before.at.start, "an empty Rust block");
            }
            snippets.push(Snippet {
                place: self.place(raw, before.at.start),
                not_run: excuse.filter(|_| !ignored),
                kind,
            });
            if !ignored && !template {
                if let Some(wrapped) = with_main(expanded, after) {
                    text.push_str(&expanded[copied..after.at.start]);
                    text.push_str(&wrapped);
                    copied = after.at.start + expanded[after.at.clone()].trim_end().len();
                }
            }
        }
        text.push_str(&expanded[copied..]);
        self.check_comments(raw, &comments);
        Checked { text, snippets }
    }

    /// Checks README.md, which is read where nothing expands it.
    pub(super) fn readme(mut self, text: &str) -> Checked {
        if let Some(at) = text.find("{{#") {
            self.problem(
                text,
                at,
                "nothing expands includes in README.md: type the code",
            );
        }
        let mut snippets = Vec::new();
        let mut comments = Vec::new();
        for fence in fences(text) {
            let words = words(&fence.info);
            if !self.is_rust(text, &fence, &words) {
                continue;
            }
            let excuse = self.excuse(text, &fence, &words, &mut comments);
            self.check_template(text, &fence, &words);
            let ignored = words.contains(&"ignore");
            let kind = match &excuse {
                Some(coverage) if ignored => Kind::Covered(coverage.clone()),
                _ => Kind::Typed,
            };
            snippets.push(Snippet {
                place: self.place(text, fence.at.start),
                kind,
                not_run: excuse.filter(|_| !ignored),
            });
        }
        self.check_comments(text, &comments);
        Checked {
            text: text.to_owned(),
            snippets,
        }
    }

    fn place(&self, text: &str, at: usize) -> String {
        format!("{}:{}", self.source.display(), line_of(text, at))
    }

    fn problem(&mut self, text: &str, at: usize, message: impl Into<String>) {
        let place = self.place(text, at);
        self.problems.push(Problem {
            place,
            message: message.into(),
        });
    }

    /// Whether skeptic takes the block for Rust; refuses what it would take in some other way than
    /// the author meant.
    fn is_rust(&mut self, text: &str, fence: &Fence, words: &[&str]) -> bool {
        let at = fence.at.start;
        if !is_closed(text, fence) {
            self.problem(text, at, "this code block is not closed");
        }
        if !words.contains(&"rust") {
            if words
                .iter()
                .any(|word| matches!(*word, "rs" | "Rust" | "ignore" | "no_run"))
            {
                self.problem(text, at, "a Rust block is marked `rust`");
            }
            return false;
        }
        if words[0] != "rust" {
            self.problem(text, at, "`rust` comes first");
        }
        for word in words.iter().skip(1) {
            let message = match *word {
                "ignore" | "no_run" => continue,
                word if HARMLESS.contains(&word) || word.starts_with("skt-") => continue,
                "should_panic" => {
                    "no `should_panic`: it would pass if the code did not even compile; \
                     let the code show the panic, or the error"
                        .to_owned()
                }
                "compile_fail" => "no `compile_fail`: skeptic does not know it; \
                     use `ignore` and name the test that shows the error"
                    .to_owned(),
                word if word.starts_with("edition") => {
                    format!("no `{word}`: the book's code is of the edition 2021")
                }
                word => format!("`{word}` means nothing in a Rust block"),
            };
            self.problem(text, at, message);
        }
        true
    }

    /// The comment that excuses `ignore` and `no_run`, proven. Notes where it is in `comments`.
    fn excuse(
        &mut self,
        text: &str,
        fence: &Fence,
        words: &[&str],
        comments: &mut Vec<Range<usize>>,
    ) -> Option<Coverage> {
        let at = fence.at.start;
        let attribute = words
            .iter()
            .find(|word| matches!(**word, "ignore" | "no_run"));
        let line = text[..at].rfind('\n').unwrap_or(0);
        let above = text[..line].rfind('\n').map_or(0, |end| end + 1)..line;
        let comment =
            text[above.clone()].trim_start_matches(|c: char| c == '>' || c.is_whitespace());
        let found = COMMENT.captures(comment.trim_end());
        match (attribute, found) {
            (None, None) => None,
            (None, Some(_)) => {
                comments.push(above);
                self.problem(
                    text,
                    at,
                    "this block is tested: remove the `untested` comment",
                );
                None
            }
            (Some(attribute), None) => {
                self.problem(
                    text,
                    at,
                    format!(
                        "`{attribute}` needs a reason on the line above: \
                         <!-- untested: reason=\"…\" target=\"PACKAGE\" test=\"TEST\" -->"
                    ),
                );
                None
            }
            (Some(_), Some(found)) => {
                let body = found[1].to_owned();
                comments.push(above);
                match Coverage::parse(&body).and_then(|coverage| {
                    self.workspace.prove(&coverage)?;
                    Ok(coverage)
                }) {
                    Ok(coverage) => Some(coverage),
                    Err(message) => {
                        self.problem(text, at, message);
                        None
                    }
                }
            }
        }
    }

    /// An `untested` comment excuses only the block right under it.
    fn check_comments(&mut self, text: &str, used: &[Range<usize>]) {
        let parser = new_cmark_parser(text, &MarkdownOptions::default());
        for (event, at) in parser.into_offset_iter() {
            let (Event::Html(html) | Event::InlineHtml(html)) = event else {
                continue;
            };
            let Some(start) = html.find("untested:") else {
                continue;
            };
            let start = at.start + start;
            if html.contains("<!--") && !used.iter().any(|range| range.contains(&start)) {
                self.problem(
                    text,
                    start,
                    "an `untested` comment stands alone on the line above its block",
                );
            }
        }
    }

    /// Code is typed in one place only, and that is not a chapter. Lines that mdBook hides may be
    /// typed: they are what makes a fragment compile.
    fn check_visible_lines(&mut self, text: &str, fence: &Fence) {
        let typed = fence.content.lines().find(|line| {
            let line = line.trim();
            !(line.is_empty() || line == "#" || line.starts_with("# ") || line.starts_with("{{"))
        });
        if let Some(line) = typed {
            self.problem(
                text,
                fence.at.start,
                format!(
                    "Rust typed into a chapter (`{}`): include it from a package's source",
                    line.trim()
                ),
            );
        }
    }

    fn check_template(&mut self, text: &str, fence: &Fence, words: &[&str]) -> bool {
        let Some(name) = words.iter().find_map(|word| word.strip_prefix("skt-")) else {
            return false;
        };
        if !self.templates.contains(name) {
            self.problem(
                text,
                fence.at.start,
                format!("there is no template `{name}`"),
            );
        }
        true
    }
}

/// The names of the templates in a `.skt.md` text.
pub(super) fn template_names(text: &str) -> HashSet<String> {
    fences(text)
        .iter()
        .flat_map(|fence| {
            words(&fence.info)
                .iter()
                .filter_map(|word| word.strip_prefix("skt-"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// An info string's words, divided as skeptic (and rustdoc) divides them.
fn words(info: &str) -> Vec<&str> {
    info.split(|c: char| !(c == '_' || c == '-' || c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect()
}

pub(super) fn fences(text: &str) -> Vec<Fence> {
    let mut fences: Vec<Fence> = Vec::new();
    let mut inside = false;
    let parser = new_cmark_parser(text, &MarkdownOptions::default());
    for (event, at) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                inside = true;
                fences.push(Fence {
                    info: info.into_string(),
                    at,
                    content: String::new(),
                });
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => {
                if let Some(fence) = fences.last_mut() {
                    fence.content.push_str(&text);
                }
            }
            _ => {}
        }
    }
    fences
}

fn is_closed(text: &str, fence: &Fence) -> bool {
    let block = text[fence.at.clone()].trim_end();
    let last = block.lines().last().unwrap_or_default();
    let last = last.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
    block.lines().count() > 1 && (last.starts_with("```") || last.starts_with("~~~"))
}

/// The block as mdBook runs it where it has no `fn main`: wrapped in one, like a documentation
/// test. `None` if it has one.
fn with_main(text: &str, fence: &Fence) -> Option<String> {
    if fence.content.contains("fn main") {
        return None;
    }
    let line = text[..fence.at.start].rfind('\n').map_or(0, |end| end + 1);
    // What puts the block in a list or a quotation.
    let indent: String = text[line..fence.at.start]
        .chars()
        .map(|c| if c == '>' { '>' } else { ' ' })
        .collect();
    let block = text[fence.at.clone()].trim_end();
    let (opening, rest) = block.split_once('\n')?;
    let (inner, closing) = rest.rsplit_once('\n').unwrap_or(("", rest));
    Some(format!(
        "{opening}\n{indent}# #![allow(unused)]\n{indent}# fn main() {{\n{inner}\n{indent}# }}\n{closing}"
    ))
}
