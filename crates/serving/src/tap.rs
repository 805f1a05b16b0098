//! What went over watched connections, kept for a page that draws it.
//!
//! A client that wants to see its own bytes makes up a key, puts `tap=KEY` into the
//! query of its requests, and reads what was kept with `GET wire?tap=KEY&after=N`.
//! Whoever knows a key sees all that is kept under it, so a key is a secret of the page
//! that made it: no list has it, no log names it, and a wrong one is answered as one
//! under which nothing is kept.
//!
//! A connection is watched from a request that names a key, until one that does not or
//! names another. Which is which is seen in the bytes, at the start of each read. A
//! client that sends its next request before it has the answer to the last one, in one
//! write with it, is not told apart: no browser does that. HTTP/2 is not watched, where
//! requests of many keys are mixed in one connection's frames, compressed.
//!
//! All is bounded, and each bound is a constant here.

use crate::ProblemResponse;
use axum::{
    extract::{Query, RawQuery},
    routing::{get, MethodRouter},
    Json,
};
use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use contract::Problem;
use http::{header, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many keys there are at once. Beyond it the one goes that nobody has read for
/// longest.
pub const MAX_KEYS: usize = 64;

/// How many connections are kept of a key. Beyond it the oldest closed one goes, with
/// its pieces.
pub const MAX_CONNECTIONS: usize = 256;

/// How many pieces are kept of a key. Beyond it the oldest goes.
pub const MAX_PIECES: usize = 4096;

/// How many bytes are kept of a key, of all its pieces. Beyond it the oldest go.
pub const MAX_BYTES: usize = 256 * 1024;

/// How much of one piece is kept. Its size is told all the same.
pub const MAX_PIECE: usize = 16 * 1024;

/// How long a key is kept that nobody reads: a view that has gone costs nothing.
pub const UNREAD: Duration = Duration::from_secs(60);

/// How long a key is, in characters. Each is one of 62, so that the shortest has 95
/// bits to guess.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// The last part of the route's path. A request to it is never watched itself.
pub(crate) const WIRE: &str = "wire";

/// The query parameter with a key.
const PARAMETER: &str = "tap";

/// What is kept of watched connections. Clones share it.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Records>>);

impl fmt::Debug for Tap {
    // The keys are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// Which way a piece went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

/// Who closed a connection first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Client,
    Server,
}

/// One connection in the record of its key.
#[derive(Debug)]
pub(crate) struct Joined {
    key: Box<str>,
    /// Which record of that key, since one may have been dropped and begun anew.
    record: u64,
    connection: u32,
}

impl Joined {
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

#[derive(Default)]
struct Records {
    by_key: HashMap<Box<str>, Record>,
    /// How many there ever were.
    count: u64,
}

/// What is kept under one key.
struct Record {
    number: u64,
    started: Timestamp,
    start: Instant,
    last_read: Instant,
    connections: VecDeque<Connection>,
    /// How many connections there ever were.
    count: u32,
    pieces: VecDeque<Piece>,
    /// How many pieces there ever were.
    next: u64,
    bytes: usize,
    dropped: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Connection {
    id: u32,
    opened: Millis,
    closed: Option<Millis>,
    by: Option<Side>,
}

/// A time since the start of its record.
#[derive(Clone, Copy, Debug)]
struct Millis(Duration);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_micros() as f64 / 1000.0)
    }
}

/// What one read or one write has moved.
#[derive(Clone, Serialize)]
struct Piece {
    #[serde(skip)]
    number: u64,
    #[serde(rename = "c")]
    connection: u32,
    #[serde(rename = "t")]
    at: Millis,
    way: Way,
    size: usize,
    /// Shared with an answer that is being written.
    #[serde(serialize_with = "base64")]
    data: Arc<[u8]>,
}

fn base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

#[derive(Serialize)]
struct Answer {
    version: u32,
    source: &'static str,
    started: Timestamp,
    now: Millis,
    next: u64,
    dropped: u64,
    connections: Vec<Connection>,
    pieces: Vec<Piece>,
}

impl Tap {
    /// One with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// `GET wire?tap=KEY&after=N`: what is kept under the key, of the pieces those from
    /// number N on.
    pub fn route<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        let tap = self.clone();
        get(move |RawQuery(query): RawQuery, uri: Uri| async move {
            let key = query.as_deref().and_then(key_in).unwrap_or_default();
            let Query(Asked { after }) =
                Query::try_from_uri(&uri).map_err(Problem::bad_cursor)?;
            // As JSON after the lock was given back: it is two thirds of a megabyte at
            // most.
            let answer = Json(tap.answer(key, after));
            Ok::<_, ProblemResponse>(([(header::CACHE_CONTROL, "no-store")], answer))
        })
    }

    fn answer(&self, key: &str, after: u64) -> Answer {
        let now = Instant::now();
        let mut records = self.records(now);
        match records.by_key.get_mut(key) {
            Some(record) => {
                record.last_read = now;
                record.answer(now, after)
            }
            None => Record::new(0, now).answer(now, after),
        }
    }

    /// Adds a connection to what is kept under a key.
    pub(crate) fn join(&self, key: &str) -> Joined {
        let now = Instant::now();
        let mut records = self.records(now);
        let (record, connection) = records.of(key, now).open(now);
        Joined {
            key: key.into(),
            record,
            connection,
        }
    }

    /// Keeps what a connection has moved; `false` where its record is gone.
    pub(crate) fn keep(&self, joined: &Joined, way: Way, parts: &[&[u8]]) -> bool {
        let now = Instant::now();
        let mut records = self.records(now);
        let record = records.joined(joined);
        record.map(|it| it.keep(joined, now, way, parts)).is_some()
    }

    /// One side has closed the connection; `None` where neither has, and it is watched
    /// no more. The other side may still send: the first to close is kept.
    pub(crate) fn close(&self, joined: &Joined, by: Option<Side>) {
        let now = Instant::now();
        if let Some(record) = self.records(now).joined(joined) {
            record.close(joined, now, by);
        }
    }

    /// Drops what nobody reads. For when there is something to do anyway: no task of
    /// its own looks for it.
    pub(crate) fn drop_unread(&self) {
        drop(self.records(Instant::now()));
    }

    /// Locked for one piece or one answer, and never over a wait.
    fn records(&self, now: Instant) -> MutexGuard<'_, Records> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by_key = &mut records.by_key;
        by_key.retain(|_, record| now.duration_since(record.last_read) < UNREAD);
        records
    }
}

/// `after` of the route's query.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    after: u64,
}

impl Records {
    /// The record of a key, which is begun where there is none.
    fn of(&mut self, key: &str, now: Instant) -> &mut Record {
        if !self.by_key.contains_key(key) && self.by_key.len() >= MAX_KEYS {
            let oldest = self.by_key.iter().min_by_key(|(_, it)| it.last_read);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.by_key.remove(&oldest);
            }
        }
        let count = &mut self.count;
        self.by_key.entry(key.into()).or_insert_with(|| {
            *count += 1;
            Record::new(*count, now)
        })
    }

    fn joined(&mut self, joined: &Joined) -> Option<&mut Record> {
        let record = self.by_key.get_mut(&joined.key);
        record.filter(|record| {
            record.number == joined.record && record.place(joined).is_some()
        })
    }
}

impl Record {
    fn new(number: u64, now: Instant) -> Self {
        Self {
            number,
            started: Timestamp::now(),
            start: now,
            last_read: now,
            connections: VecDeque::new(),
            count: 0,
            pieces: VecDeque::new(),
            next: 0,
            bytes: 0,
            dropped: 0,
        }
    }

    fn answer(&self, now: Instant, after: u64) -> Answer {
        let from = self.pieces.partition_point(|piece| piece.number < after);
        Answer {
            version: 1,
            source: "tap",
            started: self.started,
            now: self.at(now),
            next: self.next,
            dropped: self.dropped,
            connections: self.connections.iter().cloned().collect(),
            pieces: self.pieces.range(from..).cloned().collect(),
        }
    }

    /// Where a connection is in the list, if it is still listed.
    fn place(&self, joined: &Joined) -> Option<usize> {
        let id = joined.connection;
        self.connections.binary_search_by_key(&id, |it| it.id).ok()
    }

    fn at(&self, now: Instant) -> Millis {
        Millis(now.duration_since(self.start))
    }

    fn open(&mut self, now: Instant) -> (u64, u32) {
        if self.connections.len() >= MAX_CONNECTIONS {
            let closed = self.connections.iter().position(|it| it.closed.is_some());
            // Where all are open, the oldest is no longer watched.
            if let Some(gone) = self.connections.remove(closed.unwrap_or(0)) {
                self.drop_pieces(|piece| piece.connection == gone.id);
            }
        }
        self.count += 1;
        self.connections.push_back(Connection {
            id: self.count,
            opened: self.at(now),
            closed: None,
            by: None,
        });
        (self.number, self.count)
    }

    fn keep(&mut self, joined: &Joined, now: Instant, way: Way, parts: &[&[u8]]) {
        let size = parts.iter().map(|part| part.len()).sum();
        let kept = parts.iter().flat_map(|part| part.iter().copied());
        let data: Arc<[u8]> = kept.take(MAX_PIECE).collect();
        self.bytes += data.len();
        self.pieces.push_back(Piece {
            number: self.next,
            connection: joined.connection,
            at: self.at(now),
            way,
            size,
            data,
        });
        self.next += 1;
        while self.pieces.len() > MAX_PIECES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.pieces.pop_front() else {
                return;
            };
            self.bytes -= oldest.data.len();
            self.dropped += 1;
        }
    }

    fn drop_pieces(&mut self, which: impl Fn(&Piece) -> bool) {
        let (bytes, dropped) = (&mut self.bytes, &mut self.dropped);
        self.pieces.retain(|piece| {
            let goes = which(piece);
            if goes {
                *bytes -= piece.data.len();
                *dropped += 1;
            }
            !goes
        });
    }

    fn close(&mut self, joined: &Joined, now: Instant, by: Option<Side>) {
        let at = self.at(now);
        if let Some(place) = self.place(joined) {
            let connection = &mut self.connections[place];
            if connection.closed.is_none() {
                (connection.closed, connection.by) = (Some(at), by);
            }
        }
    }
}

/// The key in a query, if it is one.
pub(crate) fn key_in(query: &str) -> Option<&str> {
    let mut parameters = query.split('&').filter_map(|it| it.split_once('='));
    let (_, key) = parameters.find(|(name, _)| *name == PARAMETER)?;
    // No character of a key is ever escaped.
    let is_key = KEY_LENGTH.contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_key.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const KEY: &str = "0123456789abcdef";

    /// Keeps pieces of these sizes on a new connection.
    fn kept(tap: &Tap, sizes: impl IntoIterator<Item = usize>) -> Answer {
        let joined = tap.join(KEY);
        for size in sizes {
            assert!(tap.keep(&joined, Way::Up, &[&vec![b'x'; size]]));
        }
        tap.answer(KEY, 0)
    }

    #[tokio::test]
    async fn the_oldest_pieces_go_where_there_are_too_many() {
        let tap = Tap::new();
        let answer = kept(&tap, std::iter::repeat_n(1, MAX_PIECES + 3));
        assert_eq!(answer.pieces.len(), MAX_PIECES);
        assert_eq!((answer.dropped, answer.pieces[0].number), (3, 3));
        assert_eq!(answer.next, MAX_PIECES as u64 + 3);
        // Numbers stay what they were.
        let later = tap.answer(KEY, answer.next - 1);
        assert_eq!(later.pieces.len(), 1);
    }

    #[tokio::test]
    async fn the_oldest_pieces_go_where_they_are_too_large() {
        let count = MAX_BYTES / MAX_PIECE;
        let answer = kept(&Tap::new(), std::iter::repeat_n(MAX_PIECE, count));
        assert_eq!((answer.pieces.len(), answer.dropped), (count, 0));
        let answer = kept(&Tap::new(), std::iter::repeat_n(MAX_PIECE, count + 2));
        assert_eq!((answer.pieces.len(), answer.dropped), (count, 2));
        let bytes: usize = answer.pieces.iter().map(|it| it.data.len()).sum();
        assert_eq!(bytes, MAX_BYTES);
    }

    #[tokio::test]
    async fn of_one_piece_only_the_beginning_is_kept_and_its_size() {
        let tap = Tap::new();
        let joined = tap.join(KEY);
        let (head, body) = ([b'h'; 10], vec![b'b'; MAX_PIECE]);
        tap.keep(&joined, Way::Down, &[&head, &body]);
        let piece = tap.answer(KEY, 0).pieces.remove(0);
        assert_eq!((piece.size, piece.data.len()), (MAX_PIECE + 10, MAX_PIECE));
        assert!(piece.data.starts_with(b"hhhhhhhhhhb"));
    }

    #[tokio::test]
    async fn the_oldest_closed_connection_goes_where_there_are_too_many() {
        let tap = Tap::new();
        let ids = |tap: &Tap| {
            let connections = tap.answer(KEY, 0).connections;
            connections.iter().map(|it| it.id).collect::<Vec<_>>()
        };
        let all: Vec<Joined> = (0..MAX_CONNECTIONS)
            .map(|_| {
                let joined = tap.join(KEY);
                tap.keep(&joined, Way::Up, &[b"x"]);
                joined
            })
            .collect();
        tap.close(&all[5], Some(Side::Client));
        tap.join(KEY);
        let (left, answer) = (ids(&tap), tap.answer(KEY, 0));
        assert_eq!(left.len(), MAX_CONNECTIONS);
        assert!(left.contains(&1) && !left.contains(&6), "{left:?}");
        assert!(answer.pieces.iter().all(|piece| piece.connection != 6));
        assert_eq!(answer.dropped, 1);
        // All are open: the oldest is watched no more.
        tap.join(KEY);
        assert!(!ids(&tap).contains(&1));
        assert!(!tap.keep(&all[0], Way::Up, &[b"x"]));
        assert!(tap.keep(&all[1], Way::Up, &[b"x"]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_goes_that_was_not_read_for_longest() {
        let tap = Tap::new();
        let key = |number: usize| format!("key0key0key0key0{number:04}");
        for number in 0..MAX_KEYS {
            tap.join(&key(number));
            sleep(Duration::from_millis(1)).await;
        }
        tap.answer(&key(0), 0);
        tap.join(&key(MAX_KEYS));
        let is_there = |number| !tap.answer(&key(number), 0).connections.is_empty();
        assert!(is_there(0) && is_there(2) && is_there(MAX_KEYS));
        assert!(!is_there(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_nobody_reads_is_gone_for_its_connections_too() {
        let tap = Tap::new();
        let joined = tap.join(KEY);
        sleep(UNREAD - Duration::from_millis(1)).await;
        // To keep more is not to read it.
        assert!(tap.keep(&joined, Way::Up, &[b"x"]));
        sleep(Duration::from_millis(1)).await;
        assert!(!tap.keep(&joined, Way::Up, &[b"x"]));
        // Begun anew, it is another record.
        let again = tap.join(KEY);
        assert!(!tap.keep(&joined, Way::Up, &[b"x"]));
        assert!(tap.keep(&again, Way::Up, &[b"x"]));
        assert_eq!(tap.answer(KEY, 0).next, 1);
        // What is left of a view goes with whatever happens next.
        sleep(UNREAD).await;
        tap.drop_unread();
        assert!(tap.0.lock().unwrap().by_key.is_empty());
    }

    #[test]
    fn a_key_is_what_a_page_makes_up() {
        let long = "a".repeat(64);
        for (query, key) in [
            (format!("tap={KEY}"), Some(KEY)),
            (format!("after=latest&tap={KEY}&x"), Some(KEY)),
            (format!("tap={long}"), Some(&*long)),
            (format!("tap={long}a"), None),
            (format!("tap={}", &KEY[1..]), None),
            (format!("tap={KEY}%41"), None),
            (format!("xtap={KEY}"), None),
            // The first one counts, as it does for a server that reads one.
            (format!("tap=&tap={KEY}"), None),
            (String::new(), None),
        ] {
            assert_eq!(key_in(&query), key, "{query}");
        }
    }
}
