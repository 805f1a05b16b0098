//! What a fault comes to, method by method: noted by the tests that inject it, for the book's
//! table.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The methods, in the order of the book.
pub const METHODS: [(&str, &str); 4] = [
    ("polling", "Polling"),
    ("long-polling", "Long polling"),
    ("sse", "SSE"),
    ("websocket", "WebSocket"),
];

/// What a test has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What client and server experience, as one sentence without its full stop.
    pub what: String,
    /// The test: `PACKAGE::TARGET::name`, where the last part is its function or trial.
    pub test: String,
}

/// A fault, as the table names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    /// The directory of what was seen.
    pub name: String,
    /// What is done to whom.
    pub title: String,
    /// The page of the book that tells of it, in `src/production`, such as `ends.md`.
    pub page: String,
}

fn directory() -> PathBuf {
    // Two directories up from this crate.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new("")).join("src/production/faults")
}

/// Notes what `fault` came to for `method`: compares it with what is kept, or keeps it where the
/// variable `UPDATE_GOLDEN` is set. To be called at the end of the test that has asserted it.
///
/// # Panics
/// Where what is kept differs, or is not there; and for a fault without a title.
#[track_caller]
pub fn came_to(fault: &str, method: &str, what: &str, test: &str) {
    assert!(
        METHODS.iter().any(|(name, _)| *name == method),
        "{method} is no method"
    );
    assert!(
        titles().iter().any(|title| title.name == fault),
        "{fault} has no title in titles.json"
    );
    let seen = Seen {
        what: what.to_owned(),
        test: test.to_owned(),
    };
    let path = directory().join(fault).join(format!("{method}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&seen).expect("texts") + "\n";
        fs::create_dir_all(directory().join(fault)).expect("a directory");
        fs::write(&path, text).expect("the file can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let kept: Option<Seen> = serde_json::from_str(&kept).ok();
    assert_eq!(
        Some(seen),
        kept,
        "{} differs; if on purpose, write it anew with UPDATE_GOLDEN=1",
        path.display()
    );
}

/// The faults, in the order of the table.
///
/// # Panics
/// Where their file is none.
pub fn titles() -> Vec<Title> {
    let text = fs::read_to_string(directory().join("titles.json")).expect("titles.json");
    serde_json::from_str(&text).expect("a list of faults")
}

/// Everything that is kept: by fault, and then by method.
///
/// # Panics
/// Where a file is in the wrong place, or is none.
pub fn kept() -> BTreeMap<String, BTreeMap<String, Seen>> {
    let mut kept = BTreeMap::<String, BTreeMap<String, Seen>>::new();
    for fault in fs::read_dir(directory()).expect("a directory") {
        let fault = fault.expect("an entry").path();
        if !fault.is_dir() {
            continue;
        }
        let name = fault.file_name().unwrap_or_default().to_string_lossy();
        for seen in fs::read_dir(&fault).expect("a directory") {
            let path = seen.expect("an entry").path();
            let method = path.file_stem().unwrap_or_default().to_string_lossy();
            assert!(
                METHODS.iter().any(|(known, _)| *known == method),
                "{}: no method",
                path.display()
            );
            let text = fs::read_to_string(&path).expect("a file");
            let seen = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let methods = kept.entry(name.clone().into_owned()).or_default();
            methods.insert(method.into_owned(), seen);
        }
    }
    kept
}

/// The table of `page`, as HTML in Markdown; a row for each method that was tried.
pub fn table(
    page: &str,
    titles: &[Title],
    kept: &BTreeMap<String, BTreeMap<String, Seen>>,
) -> String {
    let mut html = String::from(
        "<div class=\"table-wrapper\">\n<table class=\"faults\">\n<thead><tr><th>Fault</th><th>Method</th>\
         <th>What happens</th></tr></thead>\n",
    );
    for title in titles.iter().filter(|title| title.page == page) {
        let Some(methods) = kept.get(&title.name) else {
            continue;
        };
        html.push_str("<tbody>\n");
        let mut first = true;
        for (method, shown) in METHODS {
            let Some(seen) = methods.get(method) else {
                continue;
            };
            html.push_str("<tr>");
            if std::mem::take(&mut first) {
                let (name, rows) = (&title.name, methods.len());
                let text = markup(&title.title);
                write!(
                    html,
                    "<th scope=\"rowgroup\" rowspan=\"{rows}\" id=\"fault-{name}\">{text}</th>"
                )
                .expect("a text");
            }
            let (what, test) = (markup(&seen.what), markup(&seen.test));
            writeln!(
                html,
                "<td><span class=\"method-{method}\">{shown}</span></td>\
                 <td>{what}<br><code>{test}</code></td></tr>"
            )
            .expect("a text");
        }
        html.push_str("</tbody>\n");
    }
    html.push_str("</table>\n</div>\n");
    html
}

/// A text within HTML, with `code` in backticks.
fn markup(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            0 => html.push_str(part),
            _ => write!(html, "<code>{part}</code>").expect("a text"),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_a_row_for_each_method_that_was_tried() {
        let titles = [("cut", "A <cut>", "ends.md"), ("other", "Other", "slow.md")].map(
            |(name, title, page)| Title {
                name: name.to_owned(),
                title: title.to_owned(),
                page: page.to_owned(),
            },
        );
        let seen = |what: &str| Seen {
            what: what.to_owned(),
            test: "a::b::c".to_owned(),
        };
        let methods = BTreeMap::from([
            ("sse".to_owned(), seen("ends with `end`")),
            ("polling".to_owned(), seen("asks again")),
        ]);
        let kept = BTreeMap::from([("cut".to_owned(), methods)]);
        let html = table("ends.md", &titles, &kept);
        assert!(html.contains("rowspan=\"2\" id=\"fault-cut\">A &lt;cut&gt;</th>"));
        let polling = html.find("asks again<br><code>a::b::c</code>");
        let sse = html.find("ends with <code>end</code><br>");
        assert!(polling.is_some() && polling < sse, "{html}");
        assert!(!html.contains("Other"));
    }
}
