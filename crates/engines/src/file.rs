//! A log in a file of SQLite: the smallest that survives a restart.
//!
//! One thread has the file. What is published while it writes is written together,
//! with one sync, and so a publisher who waits costs the others nothing. Servers of one
//! machine may share the file: each looks, many times a second, whether another has
//! written.

use crate::{Failure, Opened};
use contract::{Cursor, Data, Epoch, EventId, IdempotencyKey, Kind};
use feed::{
    Entries, Entry, Filler, PublishError, Published, Retention, Source, Unavailable,
};
use jiff::Timestamp;
use rusqlite::{params, Connection, OptionalExtension as _, TransactionBehavior};
use std::{
    future::Future,
    num::NonZeroU64,
    path::Path,
    pin::Pin,
    sync::{
        mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender},
        Arc,
    },
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::warn;

/// Questions that may wait for the thread. Beyond it, whoever asks is told to come
/// later.
const QUESTIONS: usize = 1024;

/// Questions that are answered together at most.
const TOGETHER: usize = 256;

/// How often the thread looks whether another process has written.
const LOOK: Duration = Duration::from_millis(25);

/// How long another process may write before this one gives up.
const BUSY: Duration = Duration::from_secs(4);

// Without `full`, what was acknowledged in the last moments before a power cut is lost.
const SCHEMA: &str = "
pragma journal_mode = wal;
pragma synchronous = full;
create table if not exists log (
    one integer primary key check (one = 1),
    epoch text not null
);
create table if not exists events (
    id integer primary key autoincrement,
    at integer not null, -- milliseconds since 1970
    kind text not null,
    data text not null,
    key text unique
);
";

/// What the thread is asked.
enum Question {
    Append {
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
        answer: oneshot::Sender<Published>,
    },
    Latest(oneshot::Sender<Cursor>),
    Read {
        id: EventId,
        max_events: usize,
        max_bytes: usize,
        answer: oneshot::Sender<Entries>,
    },
}

/// The log in the file, for whoever asks the thread.
#[derive(Debug)]
struct FileLog {
    questions: SyncSender<Question>,
}

impl FileLog {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let asked = self.questions.try_send(question(answer));
        asked.map_err(|_| Unavailable)?;
        // An answer that was dropped is one that failed.
        answered.await.map_err(|_| Unavailable)
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Source for FileLog {
    fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Boxed<'_, Result<Published, PublishError>> {
        Box::pin(async move {
            let published = self.ask(|answer| Question::Append {
                key,
                kind,
                data,
                answer,
            });
            Ok(published.await?)
        })
    }

    fn latest(&self) -> Boxed<'_, Result<Cursor, Unavailable>> {
        Box::pin(self.ask(Question::Latest))
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> Boxed<'_, Result<Entries, Unavailable>> {
        Box::pin(self.ask(move |answer| Question::Read {
            id,
            max_events,
            max_bytes,
            answer,
        }))
    }
}

pub(crate) async fn open(
    path: &Path,
    retention: Retention,
    kept: NonZeroU64,
) -> Result<Opened, Failure> {
    let (questions, asked) = sync_channel(QUESTIONS);
    let path = path.to_owned();
    let (feed, filler) = feed::Feed::builder()
        .retention(retention)
        .build_window(Arc::new(FileLog { questions }));
    let file = tokio::task::spawn_blocking(move || {
        let file = File::open(&path, filler, kept.get())?;
        file.begin(retention.max_events)?;
        Ok::<_, Failure>(file)
    });
    let mut file = file.await??;
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread.spawn(move || file.run(&asked))?;
    Ok(Opened {
        feed,
        filling: None,
    })
}

/// The file, and the window that it fills.
struct File {
    connection: Connection,
    epoch: Epoch,
    filler: Filler,
    /// Events that it keeps.
    kept: u64,
    /// Changes when another connection has written.
    version: i64,
    /// Events that were published here since old ones were deleted.
    since_deleted: u64,
}

impl File {
    fn open(path: &Path, filler: Filler, kept: u64) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SCHEMA)?;
        // Whoever comes first names the log.
        let name = filler.latest().ok_or("nobody holds the log")?.epoch;
        connection.execute(
            "insert or ignore into log (one, epoch) values (1, ?1)",
            [name.to_string()],
        )?;
        let epoch: String =
            connection.query_row("select epoch from log", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            epoch: epoch.parse()?,
            filler,
            kept,
            version: 0,
            since_deleted: 0,
        })
    }

    fn cursor(&self, id: u64) -> Cursor {
        Cursor {
            epoch: self.epoch,
            id: EventId::new(id),
        }
    }

    /// The newest id that was ever given.
    fn latest(&self) -> rusqlite::Result<u64> {
        let latest = self
            .connection
            .prepare_cached("select seq from sqlite_sequence where name = 'events'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(latest.unwrap_or(0))
    }

    /// Up to this id no event counts any more, whether it was deleted yet or not.
    fn horizon(&self) -> rusqlite::Result<u64> {
        Ok(self.latest()?.saturating_sub(self.kept))
    }

    /// Fills the window with the newest events.
    fn begin(&self, count: usize) -> Result<(), Failure> {
        let latest = self.latest()?;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let oldest: Option<u64> =
            self.connection
                .query_row("select min(id) from events", [], |row| row.get(0))?;
        let kept = oldest.map_or(latest, |oldest| oldest - 1);
        let begin = kept.max(latest.saturating_sub(count.min(self.kept)));
        self.filler.begin(self.cursor(begin));
        self.fill()
    }

    /// Appends to the window whatever the file has beyond it.
    fn fill(&self) -> Result<(), Failure> {
        while let Some(place) = self.filler.latest() {
            let entries = self.read(place.id, TOGETHER, usize::MAX)?;
            if entries.entries.is_empty() {
                break;
            }
            self.filler.append(entries);
        }
        Ok(())
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Entries, Failure> {
        let mut statement = self.connection.prepare_cached(
            "select id, at, kind, data from events where id > ?1 order by id limit ?2",
        )?;
        let id = id.get().max(self.horizon()?);
        let mut rows = statement.query(params![id, max_events.max(1)])?;
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        while let Some(row) = rows.next()? {
            let data: String = row.get(3)?;
            bytes = bytes.saturating_add(data.len());
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(Entry {
                id: EventId::new(row.get(0)?),
                at: Timestamp::from_millisecond(row.get(1)?)?,
                kind: row.get::<_, String>(2)?.parse()?,
                data: Data::from_json(&data)?,
            });
        }
        Ok(Entries {
            epoch: self.epoch,
            entries,
        })
    }

    /// Until nobody holds the log.
    fn run(&mut self, asked: &Receiver<Question>) {
        loop {
            let first = match asked.recv_timeout(LOOK) {
                Ok(question) => Some(question),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let questions = first.into_iter().chain(asked.try_iter().take(TOGETHER));
            if let Err(error) = self.answer(questions.collect()) {
                warn!(%error, "the file of the log");
            }
        }
    }

    fn answer(&mut self, questions: Vec<Question>) -> Result<(), Failure> {
        let mut appends = Vec::new();
        for question in questions {
            match question {
                Question::Append {
                    key,
                    kind,
                    data,
                    answer,
                } => appends.push((key, kind, data, answer)),
                Question::Latest(answer) => {
                    let latest = self.latest()?;
                    answer.send(self.cursor(latest)).ok();
                }
                Question::Read {
                    id,
                    max_events,
                    max_bytes,
                    answer,
                } => {
                    answer.send(self.read(id, max_events, max_bytes)?).ok();
                }
            }
        }
        let mut changed = self.has_changed()?;
        if !appends.is_empty() {
            let mut answers = Vec::with_capacity(appends.len());
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (key, kind, data, answer) in appends {
                let key = key.as_ref().map(IdempotencyKey::as_str);
                let (id, repeated) =
                    append(&transaction, self.kept, key, &kind, &data)?;
                answers.push((id, repeated, answer));
            }
            transaction.commit()?;
            for (id, repeated, answer) in answers {
                let cursor = self.cursor(id);
                answer.send(Published { cursor, repeated }).ok();
                self.since_deleted += u64::from(!repeated);
            }
            changed = true;
        }
        if changed {
            self.fill()?;
        }
        if self.since_deleted > self.kept / 100 {
            self.since_deleted = 0;
            let horizon = self.horizon()?;
            self.connection
                .execute("delete from events where id <= ?1", [horizon])?;
        }
        Ok(())
    }

    fn has_changed(&mut self) -> rusqlite::Result<bool> {
        let version = self
            .connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }
}

/// The event's id, and whether it was there.
fn append(
    connection: &Connection,
    kept: u64,
    key: Option<&str>,
    kind: &Kind,
    data: &Data,
) -> rusqlite::Result<(u64, bool)> {
    if let Some(key) = key {
        let mut ids = connection.prepare_cached(
            "select id, (select max(id) from events) from events where key = ?1",
        )?;
        let there = ids.query_row([key], |row| Ok((row.get(0)?, row.get(1)?)));
        if let Some((id, latest)) = there.optional()? {
            let latest: u64 = latest;
            if id > latest.saturating_sub(kept) {
                return Ok((id, true));
            }
            // With its event the key is forgotten.
            connection.execute("delete from events where id = ?1", [id])?;
        }
    }
    let at = Timestamp::now().as_millisecond();
    connection
        .prepare_cached(
            "insert into events (at, kind, data, key) values (?1, ?2, ?3, ?4)",
        )?
        .execute(params![at, kind.as_str(), data.as_str(), key])?;
    let id = connection.last_insert_rowid();
    Ok((u64::try_from(id).unwrap_or_default(), false))
}
