//! One entry of the log.

use bytes::{Buf, Bytes};
use contract::{Cursor, Data, Kind};
use jiff::Timestamp;
use std::{fmt, io::Write};

/// One entry of the log: immutable, shared by [`Arc`](std::sync::Arc), serialised once.
pub struct Event {
    cursor: Cursor,
    at: Timestamp,
    kind: Kind,
    /// The whole event as JSON; `data` is its last field, so [`Event::data`] is a slice
    /// of this and not a copy.
    json: Bytes,
    /// How long that last field is, in bytes.
    data_len: usize,
}

/// Room for what comes before `kind`: an id of at most 27 characters and a time of at
/// most 27, as a year of six digits has it, with their names.
const HEAD: usize = 80;

/// An event that has no place in the log yet. Its JSON is there but for the head,
/// `{"id":…,"at":…`, so that the log's lock is held for the few bytes that depend on
/// the place, and not for the data.
pub(crate) struct Draft {
    /// `HEAD` bytes of room, and then the JSON from `,"kind"` on.
    json: Vec<u8>,
    kind: Kind,
    data_len: usize,
}

impl Draft {
    pub(crate) fn new(kind: Kind, data: &Data) -> Self {
        let data = data.as_str();
        // Grown once, so that `Bytes` keeps this allocation.
        let mut json = Vec::with_capacity(
            HEAD + r#","kind":"","data":}"#.len() + kind.as_str().len() + data.len(),
        );
        json.resize(HEAD, b' ');
        // As they are: a kind has no character that JSON escapes, and data is JSON.
        for part in [r#","kind":""#, kind.as_str(), r#"","data":"#, data, "}"] {
            json.extend_from_slice(part.as_bytes());
        }
        Self {
            json,
            kind,
            data_len: data.len(),
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn into_event(mut self, cursor: Cursor, at: Timestamp) -> Event {
        let mut head = [0; HEAD];
        let mut rest = &mut head[..];
        write!(rest, r#"{{"id":"{cursor}","at":"{at:.3}""#).expect("the head has room");
        let unused = rest.len();
        self.json[unused..HEAD].copy_from_slice(&head[..HEAD - unused]);
        let mut json = Bytes::from(self.json);
        json.advance(unused);
        Event {
            cursor,
            at,
            kind: self.kind,
            json,
            data_len: self.data_len,
        }
    }
}

/// The value of the last member of an object, which has `len` bytes.
fn last_member(json: &[u8], len: usize) -> &[u8] {
    let end = json.len() - "}".len();
    &json[end - len..end]
}

impl Event {
    /// The event's id as clients see it, which is also the place after it.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// When the log took it, in UTC. Informative: clocks step back, ids never do.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What it is about.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its data, as JSON text on one line.
    pub fn data(&self) -> &str {
        std::str::from_utf8(last_member(&self.json, self.data_len))
            .expect("data is text")
    }

    /// The whole event as JSON (a [`contract::Event`]), on one line,
    /// written when it was published.
    pub fn json(&self) -> &Bytes {
        &self.json
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", String::from_utf8_lossy(&self.json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: Data) -> Event {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let kind = "tick".parse().unwrap();
        Draft::new(kind, &data).into_event("k3f9x2.17".parse().unwrap(), at)
    }

    #[test]
    fn the_json_is_the_contracts() {
        let event = event(Data::from_json(r#"{"price": 101.25}"#).unwrap());
        assert_eq!(
            event.json(),
            r#"{"id":"k3f9x2.17","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":{"price": 101.25}}"#
        );
        assert_eq!(event.data(), r#"{"price": 101.25}"#);
    }

    /// The parts are put together here and not by serde, so they are compared with what
    /// serde makes of them.
    #[test]
    fn the_json_is_what_the_contracts_type_writes() {
        for id in [0, 1, u64::MAX] {
            for at in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
                for data in ["null", r#"{"a": "\"\u00e9ü}"}"#, "[1,2.50]"] {
                    let cursor = Cursor {
                        epoch: "k3f9x2".parse().unwrap(),
                        id: contract::EventId::new(id),
                    };
                    let kind: Kind = "a-kind".parse().unwrap();
                    let data = Data::from_json(data).unwrap();
                    let wire = contract::Event {
                        id: cursor,
                        at: format!("{at:.3}"),
                        kind: kind.clone(),
                        data: data.clone().into_raw(),
                    };
                    let event = Draft::new(kind, &data).into_event(cursor, at);
                    assert_eq!(event.json(), &serde_json::to_string(&wire).unwrap());
                    assert_eq!(event.data(), data.as_str());
                }
            }
        }
    }
}
