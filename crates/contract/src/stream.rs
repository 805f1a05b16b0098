//! The messages of an event stream (Server-Sent Events, WHATWG HTML §9.2).

use crate::{End, Event, Gap, Heartbeat, Hello};
use serde::{Deserialize, Serialize};

/// The type of a block that has no line `event:`, which is that of the log's events
/// (WHATWG HTML §9.2.6).
pub const DEFAULT_TYPE: &str = "message";

/// One message of a stream: the block's `event:` says which it is, its `data:` is the
/// JSON of what it holds.
#[derive(Clone, Debug)]
pub enum StreamMessage {
    /// The first message: the stream stands, at this place.
    Hello(Hello),
    /// One event of the log.
    Event(Event),
    /// Events were missed.
    Gap(Gap),
    /// Nothing happened, and the connection lives.
    Heartbeat(Heartbeat),
    /// The stream ends on purpose.
    End(End),
}

impl StreamMessage {
    /// The block's `event:`; [`DEFAULT_TYPE`] goes without that line.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Event(_) => DEFAULT_TYPE,
            Self::Gap(_) => "gap",
            Self::Heartbeat(_) => "heartbeat",
            Self::End(_) => "end",
        }
    }

    /// The block's `data:`, on one line.
    pub fn data(&self) -> String {
        fn json(of: &impl Serialize) -> String {
            serde_json::to_string(of).expect("texts and numbers become JSON")
        }
        match self {
            Self::Hello(hello) => json(hello),
            Self::Event(event) => json(event),
            Self::Gap(gap) => json(gap),
            Self::Heartbeat(heartbeat) => json(heartbeat),
            Self::End(end) => json(end),
        }
    }

    /// Reads a message; `None` where its type is not known. The contract may grow, and
    /// a client that is older than its server ignores what it does not know.
    ///
    /// # Errors
    /// What is wrong with the data of a known type.
    pub fn read(
        event_type: &str,
        data: &str,
    ) -> Result<Option<Self>, serde_json::Error> {
        fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> serde_json::Result<T> {
            serde_json::from_str(data)
        }
        let message = match event_type {
            "hello" => Self::Hello(parse(data)?),
            DEFAULT_TYPE => Self::Event(parse(data)?),
            "gap" => Self::Gap(parse(data)?),
            "heartbeat" => Self::Heartbeat(parse(data)?),
            "end" => Self::End(parse(data)?),
            _ => return Ok(None),
        };
        Ok(Some(message))
    }
}
