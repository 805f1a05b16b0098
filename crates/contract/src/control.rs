//! What a stream or a socket reports beside events.

use crate::Cursor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The first message of a stream or a socket: it stands, at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's place: what comes next is after this.
    pub cursor: Cursor,
    /// As in [`Heartbeat::every`].
    pub every: u64,
}

/// Nothing happened, and the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The longest silence the server allows itself, in milliseconds. A client that
    /// hears nothing for clearly longer may take the connection for dead.
    pub every: u64,
    /// Where the reader stands, on a WebSocket: it may be past events that it was not
    /// sent. In a stream the block's id says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// Why events were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// Events after the cursor have left the retained window.
    Expired,
    /// The cursor is of another epoch: the log that gave it is gone, and this one
    /// started anew.
    NewLog,
    /// The cursor names no place in this log, so it is unknown what was missed. A
    /// client also reads a reason that it does not know as this one: events were
    /// missed, whatever the reason.
    #[serde(other)]
    Unknown,
}

impl GapReason {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Expired, Self::NewLog, Self::Unknown];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        crate::metrics::GAP_REASONS[self as usize]
    }
}

/// Events were missed and cannot be had any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why there is a gap.
    pub reason: GapReason,
    /// The cursor that the reader held; left out where the reason is
    /// [`GapReason::Unknown`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Cursor>,
    /// The place from which reading goes on: the oldest that is still retained.
    pub resume: Cursor,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, resume, .. } = self;
        match asked {
            Some(asked) => write!(
                f,
                "events after {asked} are missing; going on from {resume}"
            ),
            None => write!(f, "events may be missing; going on from {resume}"),
        }
    }
}

/// Why a stream ended on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// This server is going away; another, or the same one later, goes on with the log.
    Shutdown,
    /// The log is complete. There is nothing to reconnect for.
    Finished,
    /// The reader's credential is over. With another one it goes on from its cursor,
    /// and has missed nothing.
    Renew,
    /// The reader may not listen any more: it has logged out, or lost the right.
    Denied,
    /// A reason that this program does not know: of a newer server. It comes back, as
    /// after [`Shutdown`](Self::Shutdown). Nobody sends this one.
    #[serde(other)]
    Unknown,
}

/// The stream ends on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
}
