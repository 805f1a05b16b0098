//! Files of expected bytes, from which the book takes what it shows.
//!
//! A server and a client by the same hand can agree on a mistake; these files can be read by
//! anybody. After a change on purpose, `UPDATE_GOLDEN=1 cargo test -p CRATE --test golden` writes
//! them anew, and the difference is reviewed.

use crate::Raw;
use std::{net::SocketAddr, path::Path};

/// Compares a text with the file of this name in the `tests/golden/` of the crate that calls it, or
/// writes that file where the variable `UPDATE_GOLDEN` is set.
#[macro_export]
macro_rules! golden {
    ($name:expr, $found:expr $(,)?) => {
        $crate::compare(env!("CARGO_MANIFEST_DIR"), $name, $found)
    };
}

/// What [`golden!`] does, for the crate whose manifest lies in the directory `manifest`.
///
/// # Panics
/// Where the file differs, or is not there.
#[track_caller]
pub fn compare(manifest: &str, name: &str, found: &str) {
    let path = Path::new(manifest).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, kept,
        "{name} differs; if on purpose, write it anew with UPDATE_GOLDEN=1"
    );
}

/// Sends a request, reads until the answer holds `last`, and gives both as text.
pub async fn exchange(server: impl Into<SocketAddr>, head: &str, body: &str, last: &str) -> String {
    let mut raw = Raw::send(server, head, body).await;
    raw.until(last).await;
    transcript(head, body, &raw.seen)
}

/// A request and its answer as text, with LF for line ends and a date that stands still.
pub fn transcript(head: &str, body: &str, answer: &str) -> String {
    let answer: String = answer
        .replace("\r\n", "\n")
        .lines()
        .map(|line| match line.strip_prefix("date: ") {
            // The one thing that no test can hold still.
            Some(_) => "date: Thu, 01 Jan 2026 00:00:00 GMT\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let body = if body.is_empty() {
        String::new()
    } else {
        format!("{body}\n\n")
    };
    format!("{head}\n\n{body}{}\n", answer.trim_end())
}
