//! A log in a file of SQLite: the smallest that survives a restart.
//!
//! One thread has the file. What is published while it writes is written together,
//! with one sync, and so a publisher who waits costs the others nothing. Servers of one
//! machine may share the file: each looks, many times a second, whether another has
//! written, and whether its path still names the file that it has open.

use crate::{read_on, Failure, Opened};
use contract::{Cursor, Data, EventId, IdempotencyKey, Kind};
use feed::{
    Entries, Entry, Filler, PublishError, Published, Retention, Source, Unavailable,
};
use jiff::Timestamp;
use rusqlite::{params, Connection, OptionalExtension as _, TransactionBehavior};
use std::{
    fs,
    future::Future,
    io,
    num::NonZeroU64,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender},
        Arc,
    },
    time::{Duration, Instant},
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

/// What failed is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);

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
        let file = File {
            opened: Connected::open(&path)?,
            path,
            filler,
            window: retention.max_events,
            kept: kept.get(),
            behind: true,
            failed: None,
            since_deleted: 0,
        };
        file.fill()?;
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

/// Which file it is, whatever its name.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata(path) {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Elsewhere nobody can delete or replace a file that is open.
#[cfg(not(unix))]
fn identity(_path: &Path) -> io::Result<Option<Identity>> {
    Ok(Some((0, 0)))
}

/// A connection, and which file it is to.
struct Connected {
    connection: Connection,
    /// The file's own path: what SQLite keeps beside it has that, with an ending.
    path: PathBuf,
    file: Option<Identity>,
    beside: Vec<(PathBuf, Option<Identity>)>,
    /// Changes when another connection has written.
    version: i64,
}

impl Connected {
    /// Opens the file, and makes in it what is missing.
    fn open(path: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SCHEMA)?;
        // Whoever comes first names the log.
        connection.execute(
            "insert or ignore into log (one, epoch) values (1, ?1)",
            [feed::draw_epoch().to_string()],
        )?;
        let path = fs::canonicalize(path)?;
        let beside = ["-wal", "-shm"].map(|ending| {
            let mut path = path.clone().into_os_string();
            path.push(ending);
            let path = PathBuf::from(path);
            let file = identity(&path)?;
            Ok::<_, io::Error>((path, file))
        });
        Ok(Self {
            connection,
            file: identity(&path)?,
            path,
            beside: beside.into_iter().collect::<Result<_, _>>()?,
            version: 0,
        })
    }

    /// Takes leave of a file that is not at its path any more. What SQLite keeps beside
    /// it would be taken for that of the file which is there now, or will be.
    fn leave(&self) -> Result<(), Failure> {
        let Self { connection, .. } = self;
        if identity(&self.path)? == self.file {
            return Ok(());
        }
        // It may have been moved, and is to have all its events. Where others have it
        // open, the last of them sees to it.
        connection.busy_timeout(Duration::ZERO)?;
        connection
            .execute_batch("pragma wal_checkpoint(truncate)")
            .ok();
        let directory = self.path.parent().ok_or("a file is in a directory")?;
        let directory = match fs::File::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            directory => directory?,
        };
        // For the others who leave it: the next file has its own there soon.
        directory.lock()?;
        for (path, file) in &self.beside {
            if file.is_some() && identity(path)? == *file {
                fs::remove_file(path)?;
            }
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

/// The name of the log, and the newest id that was ever given.
fn latest(connection: &Connection) -> Result<Cursor, Failure> {
    let (epoch, id): (String, u64) = connection
        .prepare_cached(
            "select epoch, coalesce(
                 (select seq from sqlite_sequence where name = 'events'), 0) from log",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Cursor {
        epoch: epoch.parse()?,
        id: EventId::new(id),
    })
}

/// Whether the file has lost events that the window's readers have seen.
fn is_rolled_back(latest: Cursor, known: Cursor) -> bool {
    latest.epoch == known.epoch && latest.id < known.id
}

/// The file, and the window that it fills.
struct File {
    path: PathBuf,
    opened: Connected,
    filler: Filler,
    /// Events that the window holds.
    window: usize,
    /// Events that the file keeps.
    kept: u64,
    /// Whether there may be events that the window does not have.
    behind: bool,
    /// When it was last found that the file cannot be read.
    failed: Option<Instant>,
    /// Events that were published here since old ones were deleted.
    since_deleted: u64,
}

impl File {
    /// Whether the path names the file that is open.
    fn is_named(&self) -> bool {
        identity(&self.path).is_ok_and(|file| file == self.opened.file)
    }

    /// Fills the window, if there may be something new. What failed is tried again in
    /// a while.
    fn look(&mut self) {
        if self.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        match self.catch_up() {
            Ok(()) if self.failed.take().is_some() => self.filler.is_back(),
            Ok(()) => {}
            Err(error) => {
                warn!(%error, "the file of the log cannot be read");
                self.failed = Some(Instant::now());
            }
        }
    }

    /// Up to this id no event counts any more, whether it was deleted yet or not.
    fn horizon(&self, latest: Cursor) -> u64 {
        latest.id.get().saturating_sub(self.kept)
    }

    fn catch_up(&mut self) -> Result<(), Failure> {
        if !self.is_named() || self.failed.is_some() {
            self.opened.leave()?;
            self.opened = Connected::open(&self.path)?;
            self.behind = true;
        }
        self.behind |= self.opened.has_changed()?;
        if self.behind {
            self.fill()?;
            self.behind = false;
        }
        Ok(())
    }

    /// Appends to the window whatever the file has beyond it.
    fn fill(&self) -> Result<(), Failure> {
        let connection = &self.opened.connection;
        while let Some(known) = self.filler.latest() {
            let mut latest = self::latest(connection)?;
            if is_rolled_back(latest, known) {
                // Restored from a copy. What comes now would have ids that readers
                // have seen.
                warn!(%known, is = %latest, "the file lost events: a new log begins");
                connection.execute(
                    "update log set epoch = ?1 where epoch = ?2",
                    [feed::draw_epoch(), latest.epoch].map(|epoch| epoch.to_string()),
                )?;
                latest = self::latest(connection)?;
            }
            if latest.epoch != known.epoch {
                self.begin(latest)?;
                continue;
            }
            if latest.id == known.id {
                break;
            }
            let entries = self.read(known.id, TOGETHER, usize::MAX)?;
            read_on(&self.filler, known, latest.id, TOGETHER, entries);
        }
        Ok(())
    }

    /// Empties the window, before the newest events that it is to hold.
    fn begin(&self, Cursor { epoch, id }: Cursor) -> Result<(), Failure> {
        let oldest: Option<u64> = self.opened.connection.query_row(
            "select min(id) from events",
            [],
            |row| row.get(0),
        )?;
        let count = u64::try_from(self.window).unwrap_or(u64::MAX);
        let kept = oldest.map_or(id.get(), |oldest| oldest - 1);
        let id = EventId::new(kept.max(id.get().saturating_sub(count.min(self.kept))));
        self.filler.begin(Cursor { epoch, id });
        Ok(())
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Entries, Failure> {
        let connection = &self.opened.connection;
        let latest = latest(connection)?;
        // As of the same moment as the events: the log may have been put back
        // meanwhile.
        let mut epoch = latest.epoch;
        let mut statement = connection.prepare_cached(
            "select id, at, kind, data, (select epoch from log)
             from events where id > ?1 order by id limit ?2",
        )?;
        let id = id.get().max(self.horizon(latest));
        let mut rows = statement.query(params![id, max_events.max(1)])?;
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        while let Some(row) = rows.next()? {
            let data: String = row.get(3)?;
            epoch = row.get::<_, String>(4)?.parse()?;
            bytes = bytes.saturating_add(data.len());
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            let id = EventId::new(row.get(0)?);
            let at = Timestamp::from_millisecond(row.get(1)?);
            let kind = row.get::<_, String>(2)?.parse();
            let (Ok(at), Ok(kind), Ok(data)) = (at, kind, Data::from_json(&data))
            else {
                warn!(%id, "no event by the contract: its readers are told of a gap");
                continue;
            };
            entries.push(Entry { id, at, kind, data });
        }
        Ok(Entries { epoch, entries })
    }

    /// Until nobody holds the log.
    fn run(&mut self, asked: &Receiver<Question>) {
        loop {
            let first = match asked.recv_timeout(LOOK) {
                Ok(question) => Some(question),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let questions = first.into_iter().chain(asked.try_iter().take(TOGETHER));
            let questions: Vec<_> = questions.collect();
            self.look();
            // Of a file that has no name any more nobody is told anything.
            if questions.is_empty() || !self.is_named() {
                continue;
            }
            if let Err(error) = self.answer(questions) {
                warn!(%error, "the file of the log");
            }
            self.look();
        }
        self.opened.leave().ok();
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
                    answer.send(latest(&self.opened.connection)?).ok();
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
        if !appends.is_empty() {
            let mut answers = Vec::with_capacity(appends.len());
            let transaction = self
                .opened
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.behind = true;
            let log = latest(&transaction)?;
            if self
                .filler
                .latest()
                .is_some_and(|it| is_rolled_back(log, it))
            {
                return Err("it was put back since the last look".into());
            }
            for (key, kind, data, answer) in appends {
                let key = key.as_ref().map(IdempotencyKey::as_str);
                let (id, repeated) =
                    append(&transaction, self.kept, key, &kind, &data)?;
                answers.push((id, repeated, answer));
            }
            transaction.commit()?;
            for (id, repeated, answer) in answers {
                let id = EventId::new(id);
                let cursor = Cursor { id, ..log };
                answer.send(Published { cursor, repeated }).ok();
                self.since_deleted += u64::from(!repeated);
            }
        }
        if self.since_deleted > self.kept / 100 {
            self.since_deleted = 0;
            let connection = &self.opened.connection;
            let horizon = self.horizon(latest(connection)?);
            connection.execute("delete from events where id <= ?1", [horizon])?;
        }
        Ok(())
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
