//! A recording, as it is kept and as the view of the wire reads it. A server with its tap on
//! answers the same JSON, without what says where and when it was recorded.

use anyhow::{ensure, Context as _};
use base64::{engine::general_purpose::STANDARD, Engine as _};
use jiff::{civil::Date, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const VERSION: u32 = 1;

/// The largest recording as a file, in bytes. A page loads it when its reader asks for it.
pub const LARGEST: u64 = 60_000;

/// What went over some connections. Times are milliseconds since [`started`](Self::started).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`VERSION`].
    pub version: u32,
    /// `recording`, where a server says `tap`.
    pub source: String,
    /// Who recorded it.
    pub of: Of,
    /// What is recorded, and under which conditions, in a sentence or two.
    pub what: String,
    /// A few words, where several are shown side by side.
    pub name: String,
    /// Whose requests they are.
    pub engine: Engine,
    /// The day on which it was recorded.
    pub date: Date,
    /// The clock at time 0.
    pub started: Timestamp,
    /// The time of its end.
    pub now: f64,
    /// The number of pieces.
    pub next: usize,
    /// How many pieces were not kept; none in a recording.
    pub dropped: u64,
    /// The connections, in the order in which they were opened.
    pub connections: Vec<Connection>,
    /// What went over them, in the order of time.
    pub pieces: Vec<Piece>,
    /// What happened meanwhile.
    pub marks: Vec<Mark>,
}

/// Who recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// The server's edge: its times are the server's.
    Tap,
    /// The client: its times are the client's.
    Client,
}

/// A client, and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name, as people call it.
    pub name: String,
    /// Its version, as it says it.
    pub version: String,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its number, which its pieces have.
    pub id: u64,
    /// When it was opened.
    pub opened: f64,
    /// When it was closed; none while it is open.
    pub closed: Option<f64>,
    /// Who closed it.
    pub by: Option<By>,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The one that asks.
    Client,
    /// The one that answers.
    Server,
}

/// Where a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Some bytes of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// The connection.
    pub c: u64,
    /// When they were sent or had come.
    pub t: f64,
    /// Where they went.
    pub way: Way,
    /// How many there were.
    pub size: usize,
    /// The bytes, in base 64.
    pub data: String,
    /// What they are, where the view does not decode them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What they say, decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How it is drawn and counted, where it has a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// What a labelled piece counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The head of a request.
    Request,
    /// The head of a response.
    Response,
    /// An entry of the log.
    Event,
    /// None of these.
    Other,
}

/// Something that happened, and whoever recorded knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// When.
    pub t: f64,
    /// What.
    pub text: String,
}

/// The clock now, as a recording begins with it: to the millisecond.
///
/// # Errors
/// Never before the year 9999.
pub fn clock() -> anyhow::Result<Timestamp> {
    Ok(Timestamp::now().round(Unit::Millisecond)?)
}

/// Milliseconds, in thousandths.
pub fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Piece {
    /// The bytes.
    ///
    /// # Errors
    /// If they are not in base 64.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        STANDARD.decode(&self.data).context("no base 64")
    }

    /// A piece of these bytes.
    pub fn new(c: u64, t: f64, way: Way, bytes: &[u8]) -> Self {
        Self {
            c,
            t,
            way,
            size: bytes.len(),
            data: STANDARD.encode(bytes),
            label: None,
            text: None,
            kind: None,
        }
    }
}

impl Recording {
    /// Whether it is whole: nothing was dropped or cut, and its times grow.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.version == VERSION, "version {}", self.version);
        ensure!(self.source == "recording", "source {:?}", self.source);
        let said = !self.what.is_empty() && !self.name.is_empty();
        ensure!(said, "it does not say what it is");
        let Engine { name, version } = &self.engine;
        ensure!(!name.is_empty() && !version.is_empty(), "no engine");
        ensure!(self.dropped == 0, "{} pieces were dropped", self.dropped);
        ensure!(
            self.next == self.pieces.len(),
            "{} is not the number of pieces",
            self.next
        );
        ensure!(!self.pieces.is_empty(), "nothing was recorded");
        let mut before = 0.0;
        for (index, piece) in self.pieces.iter().enumerate() {
            let t = piece.t;
            ensure!(
                t >= before && t <= self.now,
                "piece {index} at {t}, after {before}"
            );
            before = t;
            let bytes = piece.bytes().with_context(|| format!("piece {index}"))?;
            let size = piece.size;
            ensure!(
                bytes.len() == size,
                "piece {index}: {} of {size} bytes",
                bytes.len()
            );
            ensure!(size > 0, "piece {index} is empty");
            let mut connections = self.connections.iter();
            let connection = connections.find(|connection| connection.id == piece.c);
            let connection =
                connection.with_context(|| format!("piece {index} of an unknown connection"))?;
            let closed = connection.closed.unwrap_or(self.now);
            ensure!(
                (connection.opened..=closed).contains(&t),
                "piece {index} at {t}, when its connection was not open"
            );
        }
        for pair in self.connections.windows(2) {
            ensure!(
                pair[0].opened <= pair[1].opened,
                "connections are not in order"
            );
        }
        let mut before = 0.0;
        for Mark { t, text } in &self.marks {
            ensure!(
                (before..=self.now).contains(t),
                "{text:?} at {t}, after {before}"
            );
            before = *t;
        }
        Ok(())
    }

    /// How many bytes went this way.
    pub fn bytes(&self, way: Way) -> usize {
        let pieces = self.pieces.iter().filter(|piece| piece.way == way);
        pieces.map(|piece| piece.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Recording {
        Recording {
            version: VERSION,
            source: "recording".to_owned(),
            of: Of::Tap,
            what: "A test.".to_owned(),
            name: "test".to_owned(),
            engine: Engine {
                name: "None".to_owned(),
                version: "1".to_owned(),
            },
            date: "2026-11-29".parse().unwrap(),
            started: "2026-11-29T12:00:00Z".parse().unwrap(),
            now: 10.0,
            next: 2,
            dropped: 0,
            connections: vec![Connection {
                id: 1,
                opened: 0.0,
                closed: Some(5.0),
                by: Some(By::Client),
            }],
            pieces: vec![
                Piece::new(1, 1.0, Way::Up, b"question"),
                Piece::new(1, 2.0, Way::Down, b"answer"),
            ],
            marks: Vec::new(),
        }
    }

    type Fault = fn(&mut Recording);

    #[test]
    fn what_is_not_whole_is_found_out() {
        whole().check().unwrap();
        let faults: [(&str, Fault); 10] = [
            ("version", |it| it.version = 2),
            ("source", |it| it.source = "tap".to_owned()),
            ("what it is", |it| it.what.clear()),
            ("engine", |it| it.engine.version.clear()),
            ("dropped", |it| it.dropped = 1),
            ("number of pieces", |it| it.next = 1),
            ("piece 1 at", |it| it.pieces[1].t = 0.5),
            ("when its connection", |it| it.pieces[1].t = 6.0),
            ("unknown connection", |it| it.pieces[1].c = 2),
            ("of 7 bytes", |it| it.pieces[1].size = 7),
        ];
        for (reason, fault) in faults {
            let mut recording = whole();
            fault(&mut recording);
            let error = format!("{:#}", recording.check().unwrap_err());
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
