//! Places in the log: epochs, ids, cursors and positions.

use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Letters and digits that survive a URL, a header and a log line without escaping.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Six characters give two thousand million names: enough that a restarted server does
/// not meet the name of its earlier life, and short enough to read aloud.
const EPOCH_LEN: usize = 6;

/// The name of one log's life, made at its birth: six characters of `[a-z0-9]`.
///
/// Ids start again at 1 when a log held in memory is lost. The epoch is what keeps `17`
/// of yesterday apart from `17` of today.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch([u8; EPOCH_LEN]);

impl Epoch {
    /// The name that this number stands for; a log draws the number at random when it
    /// is born.
    pub fn from_number(number: u64) -> Self {
        let mut rest = number;
        Self(std::array::from_fn(|_| {
            let letters = ALPHABET.len() as u64;
            let letter = ALPHABET[(rest % letters) as usize];
            rest /= letters;
            letter
        }))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII is stored")
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

impl FromStr for Epoch {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; EPOCH_LEN] =
            text.as_bytes().try_into().map_err(|_| ParseCursorError)?;
        if bytes.iter().all(|byte| ALPHABET.contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(ParseCursorError)
        }
    }
}

/// An event's number in its log. It only grows; it need not be dense.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct EventId(u64);

impl EventId {
    /// The place before the first event.
    pub const ZERO: Self = Self(0);

    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one log: after the event with this id. Printed as `k3f9x2.17`; `k3f9x2.0`
/// is before the first event.
///
/// It is also the id under which clients see an event, in every method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which log.
    pub epoch: Epoch,
    /// The last event that the holder of this cursor has seen.
    pub id: EventId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.id)
    }
}

/// The text is no cursor of the form `k3f9x2.17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cursor looks like k3f9x2.17: six of [a-z0-9], a dot, a number without leading zeros")]
pub struct ParseCursorError;

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, number) = text.split_once('.').ok_or(ParseCursorError)?;
        // One spelling for each place, so that cursors may be compared as text: no
        // sign, no leading zero.
        let canonical = number == "0" || !number.starts_with(['0', '+']);
        if !canonical {
            return Err(ParseCursorError);
        }
        let id = EventId(number.parse().map_err(|_| ParseCursorError)?);
        Ok(Self {
            epoch: epoch.parse()?,
            id,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where a reader asks to start. Every method has the same three in `after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Before the oldest event that is retained.
    Earliest,
    /// After the newest event: only what comes from now on.
    #[default]
    Latest,
    /// After the event that the cursor names.
    After(Cursor),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::After(cursor) => cursor.fmt(f),
        }
    }
}

/// The text is neither `earliest` nor `latest` nor a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a position is `earliest`, `latest` or a cursor like k3f9x2.17")]
pub struct ParsePositionError;

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            cursor => cursor
                .parse()
                .map(Self::After)
                .map_err(|_| ParsePositionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        let cursor: Cursor = "k3f9x2.17".parse().unwrap();
        assert_eq!(cursor.to_string(), "k3f9x2.17");
        assert_eq!(cursor.id.get(), 17);
        for wrong in [
            "",
            "17",
            "k3f9x2",
            "k3f9x2.",
            ".17",
            "k3f9x2.017",
            "k3f9x2.+17",
            "k3f9x2.-1",
            "k3f9x2. 17",
            "K3F9X2.17",
            "k3f9x.17",
            "k3f9x22.17",
            "k3f9x2.17.1",
            "k3f9é2.17",
            "k3f9x2.18446744073709551616",
            "k3f9x2.1\n",
            "k3f9x2.\u{0}",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(ParseCursorError), "{wrong:?}");
        }
    }

    #[test]
    fn positions_print_as_they_parse() {
        for text in [
            "earliest",
            "latest",
            "k3f9x2.0",
            "k3f9x2.18446744073709551615",
        ] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        assert_eq!("Latest".parse::<Position>(), Err(ParsePositionError));
    }

    #[test]
    fn an_epoch_from_a_number_parses() {
        for number in [0, 35, 36, 1 << 32, u64::MAX] {
            let epoch = Epoch::from_number(number);
            assert_eq!(epoch.to_string().parse::<Epoch>(), Ok(epoch));
        }
        assert_ne!(Epoch::from_number(1), Epoch::from_number(2));
        assert_ne!(Epoch::from_number(1), Epoch::from_number(36));
    }
}
