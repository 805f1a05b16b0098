//! Marks what readers write in answer to a question of the book: by the Rust code that reads such
//! bytes on a wire, so that an answer is right if, and only if, a peer would read it as is asked.
//!
//! `cargo xtask marker` compiles it into `crates/web/marker`, where it is kept: whoever builds the
//! book needs no compiler for WebAssembly.

#[cfg(target_family = "wasm")]
mod browser;
mod frame;
mod json;
mod request;
mod stream;

use serde::de::DeserializeOwned;
use std::fmt::Display;
use thiserror::Error;

/// The names of what can be marked, as `data-checker` has them.
pub const CHECKERS: [&str; 5] = ["event-stream", "frame", "request", "page", "message"];

/// The question cannot be asked so. That is a mistake of its page.
#[derive(Debug, Error)]
pub enum Unanswerable {
    /// There is nothing that reads this.
    #[error("nothing here reads `{0}`")]
    Checker(String),
    /// What is wanted has another form.
    #[error("this is nothing to compare with: {0}")]
    Wanted(#[from] serde_json::Error),
}

/// What is wrong with an answer, as a sentence; of several things the first. It says how the answer
/// is read, and not what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

/// An answer is right, or it is wrong.
type Marked = Result<(), Wrong>;

/// Marks an answer. `wanted` is the JSON of the question's `data-answer`.
///
/// # Errors
/// [`Unanswerable`].
pub fn mark(checker: &str, given: &str, wanted: &str) -> Result<Option<Wrong>, Unanswerable> {
    let mark: fn(&str, &str) -> Result<Marked, serde_json::Error> = match checker {
        "event-stream" => |given, wanted| Ok(stream::mark(given, &read(wanted)?)),
        "frame" => |given, wanted| Ok(frame::mark(given, &read(wanted)?)),
        "request" => |given, wanted| Ok(request::mark(given, &read(wanted)?)),
        "page" => json::mark_page,
        "message" => json::mark_message,
        other => return Err(Unanswerable::Checker(other.to_owned())),
    };
    let marked = mark(given, wanted)?;
    if given.trim().is_empty() {
        return Ok(Some(Wrong("Nothing is written yet.".to_owned())));
    }
    Ok(marked.err())
}

fn read<T: DeserializeOwned>(wanted: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(wanted)
}

/// Ends a marking.
fn wrong<T>(sentence: impl Display) -> Result<T, Wrong> {
    Err(Wrong(sentence.to_string()))
}

/// `1 byte`, `2 bytes`.
fn count(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}
