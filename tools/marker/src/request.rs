//! The head of a request, read by httparse, as hyper does.

use crate::{wrong, Marked};
use contract::{params, Position};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The head that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The method and the target, with a space between them.
    line: String,
    /// Those that have to be there. Others may be.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// More than anybody writes.
const MOST_HEADERS: usize = 64;

pub(crate) fn mark(given: &str, wanted: &Wanted) -> Marked {
    // A text field has other line ends than HTTP, and shows no spaces before them. It shows no
    // empty line at the end either, so that one is not asked for.
    let lines: Vec<&str> = given.trim().lines().map(str::trim_end).collect();
    if let [first, ..] = &lines[..] {
        if first.split(' ').count() == 2 {
            return wrong("The first line has no version yet, such as HTTP/1.1.");
        }
    }
    if lines.contains(&"") {
        return wrong("An empty line ends the head, and more follows here.");
    }
    let bytes = format!("{}\r\n\r\n", lines.join("\r\n"));
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    if let Err(error) = request.parse(bytes.as_bytes()) {
        return wrong(format!("A server refuses this head: {error}."));
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return wrong("This is no whole head of a request.");
    };
    if request.version != Some(1) {
        return wrong("The version is not HTTP/1.1 here.");
    }
    let (wanted_method, wanted_target) = wanted.line.split_once(' ').unwrap_or((&wanted.line, ""));
    if method != wanted_method {
        return wrong(format!("The method is `{method}` here."));
    }
    mark_target(target, wanted_target)?;
    for (name, wanted) in &wanted.headers {
        let mut values = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| String::from_utf8_lossy(header.value));
        let (Some(value), None) = (values.next(), values.next()) else {
            // Which one is a part of the answer.
            return wrong("A header is missing, or stands there twice.");
        };
        let value = value.trim_matches([' ', '\t']);
        if value != wanted {
            return wrong(format!("The value of {name} is `{value}` here."));
        }
    }
    Ok(())
}

/// A target from the base of the method: what comes before it depends on where the method is.
fn mark_target(given: &str, wanted: &str) -> Marked {
    let (path, query) = split(given);
    let (wanted_path, wanted_query) = split(wanted);
    if path != wanted_path {
        return wrong(format!("The path is `{path}` here."));
    }
    for (name, wanted) in &wanted_query {
        let Some((_, value)) = query.iter().find(|(other, _)| other == name) else {
            return wrong("A parameter is missing in the query.");
        };
        if name == params::AFTER {
            if let Err(error) = value.parse::<Position>() {
                return wrong(format!("The value of `{name}` is `{value}` here: {error}."));
            }
        }
        if value != wanted {
            return wrong(format!("The value of `{name}` is `{value}` here."));
        }
    }
    if query.len() != wanted_query.len() {
        return wrong("The query has more in it than is asked for.");
    }
    Ok(())
}

/// The path, and the parameters of the query.
fn split(target: &str) -> (&str, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = form_urlencoded::parse(query.as_bytes());
    (
        path.strip_prefix('/').unwrap_or(path),
        query.into_owned().collect(),
    )
}
