//! One entry of the log.

use bytes::Bytes;
use contract::{Cursor, Data, Kind};
use jiff::Timestamp;
use std::{fmt, sync::OnceLock};

/// How many transports may keep their own framing of an event beside its JSON. The book
/// has two that frame; a fifth would still be right, and would frame anew each time.
pub const ENCODING_SLOTS: usize = 4;

/// The name under which a transport keeps its own framing of an event; from
/// [`Feed::encoding`](crate::Feed::encoding), for events of that feed only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(pub(crate) Option<usize>);

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
    /// Each transport's framing, made by the first subscriber that needs it and shared
    /// by all others.
    encodings: [OnceLock<Bytes>; ENCODING_SLOTS],
}

impl Event {
    pub(crate) fn new(cursor: Cursor, at: Timestamp, kind: Kind, data: Data) -> Self {
        let data_len = data.as_str().len();
        let wire = contract::Event {
            id: cursor,
            at: format!("{at:.3}"),
            kind,
            data: data.into_raw(),
        };
        let json = serde_json::to_vec(&wire).expect("texts become JSON").into();
        Self {
            cursor,
            at,
            kind: wire.kind,
            json,
            data_len,
            encodings: Default::default(),
        }
    }

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
        let end = self.json.len().saturating_sub(1);
        let bytes = self
            .json
            .get(end.saturating_sub(self.data_len)..end)
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The whole event as JSON (see [`contract`](crate::contract)), on one line,
    /// serialised when it was published.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// This event in a transport's own framing: made by `encode` the first time, shared
    /// ever after.
    ///
    /// `encode` must depend on the event alone, since whoever comes first makes it for
    /// all.
    pub fn encoded(
        &self,
        encoding: Encoding,
        encode: impl FnOnce(&Self) -> Bytes,
    ) -> Bytes {
        match encoding.0.and_then(|slot| self.encodings.get(slot)) {
            Some(slot) => slot.get_or_init(|| encode(self)).clone(),
            None => encode(self),
        }
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
        Event::new(
            "k3f9x2.17".parse().unwrap(),
            at,
            "tick".parse().unwrap(),
            data,
        )
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

    #[test]
    fn a_framing_is_made_once() {
        let event = event(Data::new(&1).unwrap());
        let framed = event.encoded(Encoding(Some(0)), |event| event.json().clone());
        let again = event.encoded(Encoding(Some(0)), |_| panic!("framed twice"));
        assert_eq!(framed.as_ptr(), again.as_ptr());
        let other = event.encoded(Encoding(Some(1)), |_| Bytes::from_static(b"other"));
        assert_eq!(other, "other");
        assert_eq!(
            event.encoded(Encoding(None), |_| Bytes::from_static(b"anew")),
            "anew"
        );
    }
}
