//! An event on the wire, and the parts of which it is made.

use crate::{bounds, object::Object, Cursor};
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::{fmt, str::FromStr, sync::Arc};
use thiserror::Error;

/// An event as JSON:
/// `{"id":"k3f9x2.17","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":{…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id, which is also the cursor after it.
    pub id: Cursor,
    /// When the log took it: RFC 3339, UTC, milliseconds. A text, because it is for
    /// display alone, and a reader of any other spelling would lose the event.
    pub at: String,
    /// What it is about.
    pub kind: Kind,
    /// Its data, untouched.
    pub data: Box<RawValue>,
}

/// The body of a publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct NewEvent {
    /// What it is about.
    pub kind: Kind,
    /// Any JSON value.
    pub data: Data,
}

impl Serialize for NewEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for NewEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

/// The answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The event's id.
    pub id: Cursor,
}

/// What an event is about: `[a-z][a-z0-9-]{0,31}`.
///
/// So narrow on purpose. A kind travels in header-like places, where a line end or a
/// quote would let a publisher write protocol of its own; a name of this form cannot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind(Arc<str>);

impl Kind {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a kind is a lower-case letter, then at most 31 of [a-z0-9-]")]
pub struct ParseKindError;

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right = text.len() <= 32
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if right {
            Ok(Self(text.into()))
        } else {
            Err(ParseKindError)
        }
    }
}

impl TryFrom<&str> for Kind {
    type Error = ParseKindError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One JSON value, kept as text, on one line.
///
/// Kept as text, because a value that is parsed and printed again can change: large
/// integers and long fractions lose digits. On one line, because JSON allows a raw CR
/// or LF only *between* tokens, where a space means the same; so a framing that ends at
/// a line end never meets one inside.
///
/// Not every JSON value: one that many readers could not read would take with it
/// whatever stands in the same page. So arrays and objects nest at most
/// [`MAX_DEPTH`](crate::MAX_DEPTH) deep, numbers have at most
/// [`MAX_DIGITS`](crate::MAX_DIGITS) digits and a double's range, and no text holds
/// half a surrogate pair.
#[derive(Clone, Debug)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The value's JSON, as serde writes it.
    ///
    /// # Errors
    /// What `value`'s own `Serialize` reports, for example a map whose keys are not
    /// text; and a value out of bounds.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        // Through `from_json`, since a `T` that holds raw JSON may hold line ends too.
        Self::from_json(&serde_json::to_string(value)?)
    }

    /// The JSON value that `text` spells.
    ///
    /// # Errors
    /// Where `text` is not one JSON value, or one that is out of bounds.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<Box<RawValue>>(text).and_then(Self::checked)
    }

    /// The value as JSON text, without a raw CR or LF.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, as an [`Event`] holds it.
    pub fn into_raw(self) -> Box<RawValue> {
        self.0
    }

    fn checked(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        bounds::check(raw.get()).map_err(de::Error::custom)?;
        Self::on_one_line(raw)
    }

    fn on_one_line(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        if !raw.get().contains(['\r', '\n']) {
            return Ok(Self(raw));
        }
        RawValue::from_string(raw.get().replace(['\r', '\n'], " ")).map(Self)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Box::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A name that its publisher gives to one attempt to publish, so that a retry is not a
/// second event: 1 to 64 visible ASCII characters, for example a UUID
/// (draft-ietf-httpapi-idempotency-key-header).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The key that spells this number in hex; a publisher draws the number at random.
    pub fn from_number(number: u128) -> Self {
        Self(format!("{number:032x}").into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an idempotency key is 1 to 64 visible ASCII characters")]
pub struct ParseKeyError;

impl FromStr for IdempotencyKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 64 characters hold a UUID or a SHA-256 in hex, and bound what a key costs
        // while it is remembered.
        if (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Ok(Self(text.into()))
        } else {
            Err(ParseKeyError)
        }
    }
}

impl Serialize for IdempotencyKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for IdempotencyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = ParseKeyError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_between_tokens_become_spaces_and_those_inside_text_stay() {
        let data = Data::from_json("{\r\n  \"text\":\n\"a\\r\\nb\"\r}").unwrap();
        assert_eq!(data.as_str(), "{    \"text\": \"a\\r\\nb\" }");
        let data: Data = serde_json::from_str("[1,\n2]").unwrap();
        assert_eq!(data.as_str(), "[1, 2]");
    }

    #[test]
    fn numbers_keep_every_digit() {
        let text = "[123456789012345678901234567890,0.1234567890123456789012345]";
        assert_eq!(Data::from_json(text).unwrap().as_str(), text);
    }

    #[test]
    fn data_is_a_value_that_every_reader_can_read() {
        for wrong in [r#""\ud800""#, "1e400", &"[".repeat(600), &"9".repeat(5_000)] {
            let closed = format!("{wrong}{}", "]".repeat(wrong.matches('[').count()));
            assert!(Data::from_json(&closed).is_err(), "{wrong:.20}");
            assert!(
                serde_json::from_str::<Data>(&closed).is_err(),
                "{wrong:.20}"
            );
        }
    }

    #[test]
    fn data_is_one_json_value() {
        for wrong in ["", "{", "1 2", "nul", "{\"a\":1}}", "\u{0}"] {
            assert!(Data::from_json(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_kind_cannot_inject() {
        for right in ["a", "tick", "a-1", "abcdefghijklmnopqrstuvwxyz-01234"] {
            assert_eq!(right.parse::<Kind>().unwrap().as_str(), right);
        }
        for wrong in [
            "",
            "A",
            "1a",
            "-a",
            "a b",
            "a\n",
            "a\r",
            "tické",
            "abcdefghijklmnopqrstuvwxyz-012345",
        ] {
            assert_eq!(wrong.parse::<Kind>(), Err(ParseKindError), "{wrong:?}");
        }
    }
}
