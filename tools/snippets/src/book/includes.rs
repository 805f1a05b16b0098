//! mdBook's includes. mdBook only logs an include that fails, and leaves it raw in the page; an
//! anchor that is not there it takes for an empty one. Here both are problems.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::Problem;

/// The pattern by which mdBook finds its links (mdbook-driver 0.5.4,
/// `builtin_preprocessors/links.rs`).
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\\{\{#.*\}\}|\{\{\s*#([a-zA-Z0-9_]+)\s+([^}]+)\}\}").expect("a valid pattern")
});
/// Whatever looks like one.
static OPENING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*#").expect("a valid pattern"));
static ANCHOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ANCHOR:\s*([\w_-]+)").expect("a valid pattern"));
static ANCHOR_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ANCHOR_END:\s*([\w_-]+)").expect("a valid pattern"));

/// An include that works.
#[derive(Clone, Debug)]
pub(super) struct Include {
    /// The bytes of the chapter that it replaces.
    pub(super) at: Range<usize>,
    /// The file, canonical.
    pub(super) file: PathBuf,
    /// `rustdoc_include`: everything outside the anchor is there too, hidden.
    pub(super) hides_the_rest: bool,
}

/// Checks every include of a chapter, in code blocks of whatever language and outside of them.
/// Returns those that work.
pub(super) fn check(
    root: &Path,
    source: &Path,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Include> {
    let mut works = Vec::new();
    let mut seen: Vec<Range<usize>> = Vec::new();
    let mut problem = |at: usize, message: String| {
        problems.push(Problem {
            place: format!("{}:{}", source.display(), line_of(text, at)),
            message,
        });
    };
    for found in LINK.captures_iter(text) {
        let whole = found.get(0).expect("group 0 is the match");
        seen.push(whole.range());
        // An escaped link, which mdBook shows as it is.
        let (Some(kind), Some(rest)) = (found.get(1), found.get(2)) else {
            continue;
        };
        let hides_the_rest = match kind.as_str() {
            "title" => continue,
            "include" => false,
            "rustdoc_include" => true,
            "playground" | "playpen" => {
                problem(
                    whole.start(),
                    "no playground links: include the file in a fenced block".to_owned(),
                );
                continue;
            }
            other => {
                problem(whole.start(), format!("mdBook has no `#{other}`"));
                continue;
            }
        };
        match resolve(root, source, rest.as_str(), hides_the_rest) {
            Ok(file) => works.push(Include {
                at: whole.range(),
                file,
                hides_the_rest,
            }),
            Err(message) => problem(whole.start(), message),
        }
    }
    for opening in OPENING.find_iter(text) {
        if !seen.iter().any(|range| range.contains(&opening.start())) {
            problem(
                opening.start(),
                "mdBook does not understand this link; to show `{{#`, write `\\{{#`".to_owned(),
            );
        }
    }
    works
}

/// A second look, at what mdBook made of the chapter: nothing may be left that looks like a link,
/// except the escaped ones.
pub(super) fn check_expanded(
    source: &Path,
    raw: &str,
    expanded: &str,
    problems: &mut Vec<Problem>,
) {
    let escaped: usize = LINK
        .captures_iter(raw)
        .filter(|found| found.get(1).is_none())
        .map(|found| OPENING.find_iter(&found[0]).count())
        .sum();
    let left = OPENING.find_iter(expanded).count();
    if left > escaped {
        problems.push(Problem {
            place: source.display().to_string(),
            message: format!("mdBook left {} link(s) unexpanded", left - escaped),
        });
    }
}

/// The file of `path[:anchor]`, if it is there and the anchor holds something.
fn resolve(
    root: &Path,
    source: &Path,
    rest: &str,
    hides_the_rest: bool,
) -> Result<PathBuf, String> {
    let argument = rest.split_whitespace().next().unwrap_or_default();
    let (path, anchor) = match argument.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (argument, None),
    };
    let directory = root.join(source);
    let directory = directory.parent().unwrap_or(root);
    let file = fs::canonicalize(directory.join(path))
        .map_err(|error| format!("cannot include {path}: {error}"))?;
    if !file.starts_with(root) {
        return Err(format!("{path} is not part of this repository"));
    }
    let text =
        fs::read_to_string(&file).map_err(|error| format!("cannot include {path}: {error}"))?;
    let taken = match anchor {
        None if hides_the_rest => return Err(format!("{argument}: name an anchor to show")),
        None if ANCHOR.is_match(&text) => {
            return Err(format!(
                "{path} has ANCHOR lines, which the reader would see: include an anchor of it"
            ))
        }
        None => text,
        Some(anchor) => anchored(&text, anchor, hides_the_rest)
            .map_err(|message| format!("{argument}: {message}"))?,
    };
    if taken.trim().is_empty() {
        return Err(format!("{argument} is empty"));
    }
    // mdBook would expand these too; nobody would expect it of a source file.
    if OPENING.is_match(&taken) {
        return Err(format!("{argument} holds `{{{{#`, another link"));
    }
    Ok(file)
}

/// The lines between `ANCHOR: name` and `ANCHOR_END: name`.
fn anchored(text: &str, name: &str, hides_the_rest: bool) -> Result<String, String> {
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    {
        return Err("include by anchor; line numbers drift".to_owned());
    }
    let mut taken = String::new();
    let mut starts = 0;
    let mut open = false;
    for line in text.lines() {
        if let Some(found) = ANCHOR_END.captures(line) {
            if &found[1] == name {
                open = false;
            }
        } else if let Some(found) = ANCHOR.captures(line) {
            if &found[1] == name {
                starts += 1;
                open = true;
            }
        } else if open {
            taken.push_str(line);
            taken.push('\n');
        }
    }
    match starts {
        0 => Err(format!("there is no `ANCHOR: {name}`")),
        _ if open => Err(format!("there is no `ANCHOR_END: {name}`")),
        // `include` takes the first region and drops the others without a word.
        2.. if !hides_the_rest => Err(format!("there are {starts} anchors of that name")),
        _ => Ok(taken),
    }
}

/// The number, from 1, of the line that holds byte `at`.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
