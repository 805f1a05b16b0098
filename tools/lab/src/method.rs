//! The methods that are compared, by the names that the command line has for them.

use crate::protocol::Protocol;
use client::{
    Client as _, Error, LongPollingClient, PollingClient, Rhythm, SseClient, Update,
    WebSocketClient,
};
use contract::Position;
use futures_util::stream::{BoxStream, StreamExt as _};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};
use url::Url;

/// What is measured: a method of the book, or a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Method {
    /// No method: a loop in Rust's standard library that writes the same bytes to as many sockets.
    Loop,
    /// A question each so often.
    Polling(Duration),
    /// A question that the server waits with.
    LongPolling,
    /// One response that does not end.
    Sse,
    /// Frames, both ways.
    WebSocket,
    /// The same, written by one task for all sockets (`--fan-out walk`).
    WebSocketWalk,
    /// The floor of [`Method::Sse`]: the least event stream that hyper makes.
    HyperStream,
    /// The floor of [`Method::WebSocket`]: the least socket that axum makes.
    AxumSocket,
    /// The floor of [`Method::LongPolling`]: the least answer that hyper makes.
    HyperAnswer,
}

/// How the silence of an idle client is shortened, so that it takes a second and not half a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Silence {
    /// As long as servers and clients have it by default.
    #[default]
    Usual,
    /// One second.
    Short,
}

impl Method {
    /// The name of the server's program, which is that of its package too; a floor has none, since
    /// it is a command of the lab.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::Loop | Self::HyperStream | Self::AxumSocket | Self::HyperAnswer => None,
            Self::Polling(_) => Some("polling"),
            Self::LongPolling => Some("long-polling"),
            Self::Sse => Some("sse"),
            Self::WebSocket | Self::WebSocketWalk => Some("websocket"),
        }
    }

    /// What its program is started with, besides what all are.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Self::WebSocketWalk => &["--fan-out", "walk"],
            _ => &[],
        }
    }

    /// The name of a floor, which is the argument of `lab floor` too.
    pub fn floor_name(self) -> Option<&'static str> {
        match self {
            Self::Loop => Some("loop"),
            Self::HyperStream => Some("hyper-stream"),
            Self::AxumSocket => Some("axum-socket"),
            Self::HyperAnswer => Some("hyper-answer"),
            _ => None,
        }
    }

    /// The least server that the same library makes, if there is one to compare with.
    pub fn library_floor(self) -> Option<Self> {
        match self {
            Self::Sse => Some(Self::HyperStream),
            Self::WebSocket | Self::WebSocketWalk => Some(Self::AxumSocket),
            Self::LongPolling => Some(Self::HyperAnswer),
            _ => None,
        }
    }

    /// Whether the server's program has a flag for its heartbeat.
    pub fn has_heartbeat(self) -> bool {
        self == Self::Sse || self.is_websocket()
    }

    /// Whether it speaks the WebSocket protocol by a server of the book.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::WebSocketWalk)
    }

    /// How long nothing is exchanged with an idle client on average, by the defaults of servers and
    /// clients: until the next question, or heartbeat. A long poll is parked for 20 to 25 s, drawn
    /// in whole seconds.
    pub fn silence(self) -> Option<Duration> {
        match self {
            Self::Loop | Self::HyperStream | Self::AxumSocket | Self::HyperAnswer => None,
            Self::Polling(interval) => Some(interval),
            Self::LongPolling => Some(Duration::from_millis(22_500)),
            Self::Sse | Self::WebSocket | Self::WebSocketWalk => Some(Duration::from_secs(15)),
        }
    }

    /// Follows the log of the server at `base` by the book's own client, from its end. The loop has
    /// no such client.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn subscribe(
        self,
        base: Url,
        silence: Silence,
        protocol: Protocol,
    ) -> anyhow::Result<Option<BoxStream<'static, Result<Update, Error>>>> {
        let latest = Position::Latest;
        Ok(Some(match self {
            Self::Loop => return Ok(None),
            Self::Polling(interval) => {
                let rhythm = Rhythm {
                    interval,
                    ..Rhythm::default()
                };
                let client = PollingClient::new(base.clone()).with_rhythm(rhythm);
                let client = client.with_endpoint(protocol.endpoint(base)?);
                client.subscribe(latest).boxed()
            }
            Self::LongPolling | Self::HyperAnswer => {
                let client = LongPollingClient::new(base.clone());
                let client = client.with_endpoint(protocol.endpoint(base)?);
                let client = match silence {
                    Silence::Usual => client,
                    Silence::Short => client.with_wait(Duration::from_secs(1)),
                };
                client.subscribe(latest).boxed()
            }
            Self::Sse | Self::HyperStream => {
                let client = SseClient::new(base.clone());
                let client = client.with_endpoint(protocol.endpoint(base)?);
                client.subscribe(latest).boxed()
            }
            // By HTTP/1.1 over either.
            Self::WebSocket | Self::WebSocketWalk | Self::AxumSocket => {
                WebSocketClient::new(base).subscribe(latest).boxed()
            }
        }))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Polling(interval) => write!(f, "polling:{}ms", interval.as_millis()),
            Self::WebSocketWalk => f.write_str("websocket:walk"),
            other => {
                let name = other.program().or(other.floor_name());
                f.write_str(name.expect("what has no program is a floor"))
            }
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, interval) = match text.split_once(':') {
            Some((name, interval)) => (name, Some(interval)),
            None => (text, None),
        };
        Ok(match (name, interval) {
            ("polling", interval) => Self::Polling(parse_interval(interval.unwrap_or("1s"))?),
            ("long-polling", None) => Self::LongPolling,
            ("sse", None) => Self::Sse,
            ("websocket", None) => Self::WebSocket,
            ("websocket", Some("walk")) => Self::WebSocketWalk,
            ("loop", None) => Self::Loop,
            ("hyper-stream", None) => Self::HyperStream,
            ("axum-socket", None) => Self::AxumSocket,
            ("hyper-answer", None) => Self::HyperAnswer,
            _ => {
                return Err(format!(
                    "{text}: a method is polling:INTERVAL (such as polling:100ms or polling:2s), \
                     long-polling, sse, websocket or websocket:walk"
                ))
            }
        })
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or_default(), 1000),
    };
    let milliseconds = number.parse::<u64>().ok().map(|number| number * unit);
    match milliseconds.filter(|it| (10..=3_600_000).contains(it)) {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(format!(
            "{text}: an interval is from 10ms to 3600s, such as 100ms or 2s"
        )),
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.to_string()
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_read_as_it_is_written() {
        for text in [
            "loop",
            "polling:100ms",
            "polling:2000ms",
            "long-polling",
            "sse",
            "websocket",
            "websocket:walk",
            "hyper-stream",
            "axum-socket",
            "hyper-answer",
        ] {
            let method: Method = text.parse().unwrap();
            assert_eq!(method.to_string(), text);
        }
        let second = Method::Polling(Duration::from_secs(1));
        assert_eq!("polling".parse(), Ok(second));
        assert_eq!("polling:1s".parse(), Ok(second));
        for wrong in [
            "",
            "poll",
            "polling:",
            "polling:1",
            "polling:0s",
            "polling:9ms",
            "polling:-1s",
            "sse:1s",
            "websocket:tasks",
            "sse:walk",
        ] {
            assert!(wrong.parse::<Method>().is_err(), "{wrong:?}");
        }
    }
}
