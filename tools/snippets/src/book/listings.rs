//! The line above each included listing: the path of its file, what the listing is shown for, and
//! which of its lines matter.
//!
//! ```html
//! <p class="listing fails" data-lines='first ;; second'>path <strong>fails: how</strong></p>
//! ```

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::blocks::{fences, Fence};
use super::includes::{line_of, Include};
use super::Problem;

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^<p class="listing(?: (?<class>fails|mends))?"(?: data-lines='(?<lines>[^']*)')?>"#,
        r"(?<path>[^<> ]+)(?: <strong>(?<word>fails|mended): (?<how>[^<>]+)</strong>)?</p>$"
    ))
    .expect("a valid pattern")
});

/// What a line that names a listing begins with.
const OPENING: &str = "<p class=\"listing";

/// Between the texts of `data-lines`; no listing has it.
const SEPARATOR: &str = " ;; ";

/// Checks the lines of a chapter, all of whose includes work.
pub(super) fn check(
    root: &Path,
    source: &Path,
    raw: &str,
    expanded: &str,
    links: &[Include],
    problems: &mut Vec<Problem>,
) {
    let mut used = Vec::new();
    let mut problem = |at: usize, message: String| {
        problems.push(Problem {
            place: format!("{}:{}", source.display(), line_of(raw, at)),
            message,
        });
    };
    for (before, after) in fences(raw).iter().zip(&fences(expanded)) {
        let inside = |link: &&Include| before.at.contains(&link.at.start);
        let Some(link) = links.iter().find(inside) else {
            continue;
        };
        let file = link.file.strip_prefix(root).unwrap_or(&link.file);
        let file = file.display().to_string();
        let wanted = format!("{OPENING}\">{file}</p>");
        let Some((at, line)) = name_above(raw, before) else {
            let message = format!("a listing has its file above, and an empty line: {wanted}");
            problem(before.at.start, message);
            continue;
        };
        used.push(at);
        let Some(name) = NAME.captures(line) else {
            let message = format!(
                "this is not the form of a listing's line (tools/snippets/README.md): {wanted}"
            );
            problem(at, message);
            continue;
        };
        if name["path"] != file {
            problem(at, format!("the listing is included from {file}"));
        }
        match (name.name("class"), name.name("word")) {
            (None, None) => {}
            (Some(class), Some(word))
                if (class.as_str() == "fails") == (word.as_str() == "fails") => {}
            _ => problem(
                at,
                "`fails` has <strong>fails: how</strong>, and `mends` <strong>mended: how</strong>"
                    .to_owned(),
            ),
        }
        let mut last = 0;
        for text in name
            .name("lines")
            .into_iter()
            .flat_map(|lines| lines.as_str().split(SEPARATOR))
        {
            match *lines_with(after, &unescape(text)) {
                [line] if line < last => {
                    let message = format!("`{text}` stands before the piece to its left");
                    problem(at, message);
                }
                [line] => last = line,
                ref found => {
                    let found = found.len();
                    let message =
                        format!("`{text}` is in {found} lines of the listing, and not in one");
                    problem(at, message);
                }
            }
        }
    }
    for (at, _) in raw.match_indices(OPENING) {
        if !used.contains(&at) {
            problem(at, "no included listing is below this line".to_owned());
        }
    }
}

/// The line that names a listing, and where it begins: above its fence stand an empty line and
/// maybe an `untested` comment.
fn name_above<'a>(raw: &'a str, fence: &Fence) -> Option<(usize, &'a str)> {
    let above = raw[..fence.at.start].strip_suffix('\n')?;
    let above = match above.rsplit_once('\n') {
        Some((rest, comment)) if comment.starts_with("<!-- untested:") => rest,
        _ => above,
    };
    let above = above.strip_suffix('\n')?;
    let at = above.rfind('\n').map_or(0, |end| end + 1);
    above[at..].starts_with(OPENING).then(|| (at, &above[at..]))
}

/// Which of the lines that a reader sees hold a text.
fn lines_with(fence: &Fence, text: &str) -> Vec<usize> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let is_hidden = |line: &str| line.trim() == "#" || line.trim_start().starts_with("# ");
    let hides = fence.info.starts_with("rust");
    fence
        .content
        .lines()
        .enumerate()
        .filter(|(_, line)| !(hides && is_hidden(line)) && line.contains(text))
        .map(|(number, _)| number)
        .collect()
}

/// The texts are code, and code has more `"` than `'`.
fn unescape(text: &str) -> String {
    text.replace("&#39;", "'").replace("&amp;", "&")
}
