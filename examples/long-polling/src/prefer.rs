//! The request header `Prefer` ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240)), as
//! far as it speaks of a wait.

use axum::{extract::FromRequestParts, http::request::Parts};
use std::{convert::Infallible, time::Duration};

// ANCHOR: extractor
/// How long the client is willing to wait: its `Prefer: wait=N` (§4.3), or nothing
/// without one.
///
/// A preference that cannot be read is none, and never an error (§2): the client gets
/// an answer, only sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreferWait(pub(crate) Duration);

impl<S: Sync> FromRequestParts<S> for PreferWait {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        // Several headers are one list (RFC 9110 §5.3). Bytes that are no text can only
        // stand in somebody else's quotes.
        let mut lines = parts.headers.get_all("prefer").iter();
        let wait =
            lines.find_map(|line| wait(&String::from_utf8_lossy(line.as_bytes())));
        Ok(Self(Duration::from_secs(wait.unwrap_or(0))))
    }
}
// ANCHOR_END: extractor

// ANCHOR: parse
/// The seconds of the first `wait` in a line of `Prefer`; 0 where they cannot be read.
/// If it is said twice, only the first counts (§2).
fn wait(line: &str) -> Option<u64> {
    for preference in split(line, ',') {
        // What follows a semicolon are parameters. A wait has none.
        let said = split(preference, ';').next().unwrap_or_default();
        let (name, value) = said.split_once('=').unwrap_or((said, ""));
        if name.trim().eq_ignore_ascii_case("wait") {
            return Some(seconds(value.trim()).unwrap_or(0));
        }
    }
    None
}

fn seconds(word: &str) -> Option<u64> {
    let quoted = word.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let digits = quoted.unwrap_or(word);
    let is_number =
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for 64 bits is a number all the same, and will be bounded.
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}
// ANCHOR_END: parse

// ANCHOR: split
/// Splits at a separator, but not within a quoted string (RFC 9110 §5.6.4): `a="b,
/// wait=9"` asks for no wait.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let literal = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !literal => escaped = true,
            '"' if !literal => quoted = !quoted,
            other => return other == separator && !quoted,
        }
        false
    })
}
// ANCHOR_END: split

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, Request};

    async fn granted(lines: &[&[u8]]) -> u64 {
        let mut request = Request::get("/events");
        for line in lines {
            request = request.header("prefer", HeaderValue::from_bytes(line).unwrap());
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(PreferWait(wait)) =
            PreferWait::from_request_parts(&mut parts, &()).await;
        wait.as_secs()
    }

    #[tokio::test]
    async fn a_wait_is_read_wherever_it_may_stand() {
        for (line, seconds) in [
            ("wait=20", 20),
            ("WAIT=20", 20),
            (" wait = 20 ", 20),
            ("wait=\"20\"", 20),
            ("wait=0", 0),
            ("wait=007", 7),
            ("wait=20; really", 20),
            ("respond-async, wait=20", 20),
            ("respond-async;wait=5, wait=20", 20),
            (",, wait=20,", 20),
            // The first one counts, also where it is nonsense.
            ("wait=20, wait=5", 20),
            ("wait=soon, wait=5", 0),
            ("wait, wait=5", 0),
            // Others' quotes hide what they hold, up to where they end.
            (r#"a="b, wait=9""#, 0),
            (r#"a="b\", wait=9", wait=20"#, 20),
            (r#"a="b\\", wait=20"#, 20),
            (r#"a="b, wait=9"#, 0),
            (r#"a\, wait=20"#, 20),
            ("wait=99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(granted(&[line.as_bytes()]).await, seconds, "{line}");
        }
    }

    #[tokio::test]
    async fn what_is_no_wait_is_none() {
        for line in [
            "",
            "wait",
            "wait=",
            "wait=\"\"",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=1s",
            "wait=1 2",
            "wait=٣",
            "wait=\"1",
            "await=20",
            "wait-for=20",
            "x; wait=20",
        ] {
            assert_eq!(granted(&[line.as_bytes()]).await, 0, "{line}");
        }
        assert_eq!(granted(&[]).await, 0);
    }

    #[tokio::test]
    async fn several_headers_are_one_list() {
        assert_eq!(
            granted(&[b"respond-async", b"wait=20", b"wait=5"]).await,
            20
        );
        assert_eq!(granted(&[b"a=\"\xff, wait=9\"", b"wait=20"]).await, 20);
    }
}
