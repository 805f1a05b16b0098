//! The four methods that the contract describes.

use std::{fmt, str::FromStr};

/// A way to wait for the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The client asks again and again.
    Polling,
    /// The server parks the question until there is an answer.
    LongPolling,
    /// Server-Sent Events.
    Sse,
    /// WebSocket.
    WebSocket,
}

impl Method {
    /// Each of them.
    pub const ALL: &'static [Self] =
        &[Self::Polling, Self::LongPolling, Self::Sse, Self::WebSocket];

    /// Those that answer with pages.
    pub(crate) const PAGES: &'static [Self] = &[Self::Polling, Self::LongPolling];

    /// Those whose events are published by `POST`.
    pub(crate) const POST: &'static [Self] =
        &[Self::Polling, Self::LongPolling, Self::Sse];

    /// Long polling alone.
    pub(crate) const LONG_POLLING: &'static [Self] = &[Self::LongPolling];

    /// SSE alone.
    pub(crate) const SSE: &'static [Self] = &[Self::Sse];

    /// WebSocket alone.
    pub(crate) const WEBSOCKET: &'static [Self] = &[Self::WebSocket];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::LongPolling => "long-polling",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|method| method.name() == text);
        found.copied().ok_or_else(|| {
            "a method is polling, long-polling, sse or websocket".to_owned()
        })
    }
}
