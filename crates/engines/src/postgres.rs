//! A log in tables of PostgreSQL, beside the business's own.
//!
//! The row that holds the newest id is locked by whoever publishes until the
//! transaction has committed. So ids are given in the order in which their events can
//! be seen, and a reader at 18 has seen 17. `NOTIFY` only wakes: what it says is read
//! from the table, and a look once a second finds what no notification told of.

use crate::{Failure, Filling, Opened};
use contract::{Cursor, Data, Epoch, EventId, IdempotencyKey, Kind};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use feed::{
    Entries, Entry, Feed, Filler, PublishError, Published, Retention, Source,
    Unavailable,
};
use futures_util::{
    future::{poll_fn, BoxFuture},
    pin_mut, TryStreamExt as _,
};
use jiff::Timestamp;
use std::{
    fmt,
    net::IpAddr,
    num::NonZeroU64,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc, PoisonError, RwLock,
    },
    time::Duration,
};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_postgres::{
    config::{Host, SslMode},
    error::SqlState,
    types::ToSql,
    AsyncMessage, Config, NoTls,
};
use tracing::{debug, warn};

/// How long the database may take to connect and to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Connections that publish and read.
const CONNECTIONS: usize = 8;

/// How often a server looks for events of which no notification told it.
const LOOK: Duration = Duration::from_secs(1);

/// How often partitions are made and dropped.
const MAINTENANCE: Duration = Duration::from_secs(10);

/// Ids of one partition.
const PARTITION: i64 = 100_000;

/// Events that are read together at most.
const TOGETHER: usize = 256;

const SCHEMA: &str = include_str!("postgres.sql");

/// The log in the tables.
struct Tables {
    config: Config,
    pool: Pool,
    /// Events that are kept: older ones stay in the tables for less than a partition
    /// more, and nobody is given them.
    kept: i64,
    /// The name of the log, as this server knows it.
    epoch: RwLock<Epoch>,
    /// Somebody has dropped what is needed here. The next look makes it.
    dropped: AtomicBool,
    /// Somebody has published.
    news: Notify,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tables")
            .field(&self.config.get_dbname())
            .finish()
    }
}

/// What the log's row says.
struct Row {
    epoch: Epoch,
    last: u64,
}

/// The tables are there, and nobody has named the log.
#[derive(Clone, Copy, Debug, Error)]
#[error("the log has no row")]
struct NoRow;

pub(crate) async fn open(
    url: &str,
    retention: Retention,
    kept: NonZeroU64,
) -> Result<Opened, Failure> {
    let mut config: Config = url.parse()?;
    if config.get_ssl_mode() != SslMode::Disable && !is_local(&config) {
        return Err(NO_TLS.into());
    }
    config.connect_timeout(PATIENCE);
    // What nobody waits for any more is not to hold the row for the others.
    let options = config.get_options().unwrap_or_default();
    let options = format!("{options} -c statement_timeout=4s -c lock_timeout=4s");
    config.options(options.trim());
    let recycling_method = RecyclingMethod::Fast;
    let manager =
        Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method });
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .recycle_timeout(Some(PATIENCE))
        .runtime(Runtime::Tokio1)
        .build()?;
    let log = Arc::new(Tables {
        config,
        pool,
        kept: kept.get().try_into()?,
        epoch: RwLock::new(feed::draw_epoch()),
        dropped: AtomicBool::new(false),
        news: Notify::new(),
    });
    log.make().await?;
    let (feed, filler) = Feed::builder()
        .retention(retention)
        .build_window(log.clone());
    let row = log.row().await?;
    log.begin(&filler, row, retention).await?;
    while log.read_on(&filler, retention).await? {}
    let filling: Filling = Box::pin(async move {
        tokio::select! {
            // Cancel-safe, all of them: they are not polled again.
            () = log.listen() => {}
            () = log.maintain() => {}
            () = log.fill(&filler, retention) => {}
        }
    });
    Ok(Opened {
        feed,
        filling: Some(filling),
    })
}

/// Here is no TLS, and what goes between machines in the clear is for somebody to
/// decide.
const NO_TLS: &str = "this client has no TLS: where the way to the database is safe \
                      without it, say sslmode=disable";

/// Whether the way to the database is within this machine.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<IpAddr>().is_ok_and(|host| host.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

impl Tables {
    fn epoch(&self) -> Epoch {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tables where they are not, and names the log. What is left of one goes
    /// on under the new name.
    async fn make(&self) -> Result<(), Failure> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        // `if not exists` fails where two make the same at once.
        let lock = "select pg_advisory_xact_lock(hashtext('waiting.make'))";
        transaction.execute(lock, &[]).await?;
        transaction.batch_execute(SCHEMA).await?;
        let name = "insert into waiting.log (epoch, last)
                    select $1, coalesce(max(id), 0) from waiting.events
                    on conflict do nothing";
        let epoch = feed::draw_epoch().to_string();
        transaction.execute(name, &[&epoch]).await?;
        transaction
            .execute("select waiting.maintain($1, $2)", &[&PARTITION, &self.kept])
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// It did not answer. What somebody has dropped is made with the next look.
    fn away(&self, error: Failure) -> Unavailable {
        if is_missing(&error) {
            self.dropped.store(true, Relaxed);
        }
        warn!(error, "the database did not answer");
        Unavailable
    }

    async fn row(&self) -> Result<Row, Failure> {
        let client = self.pool.get().await?;
        let row = client
            .prepare_cached("select epoch, last from waiting.log")
            .await?;
        let row = client.query_opt(&row, &[]).await?.ok_or(NoRow)?;
        Ok(Row {
            epoch: row.try_get::<_, &str>(0)?.parse()?,
            last: u64::try_from(row.try_get::<_, i64>(1)?)?,
        })
    }

    /// Empties the window, before the newest events that it is to hold.
    async fn begin(
        &self,
        filler: &Filler,
        Row { epoch, last }: Row,
        retention: Retention,
    ) -> Result<(), Failure> {
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = epoch;
        let client = self.pool.get().await?;
        let oldest = client.query_one("select min(id) from waiting.events", &[]);
        let oldest: Option<i64> = oldest.await?.try_get(0)?;
        let kept = oldest
            .and_then(|id| u64::try_from(id - 1).ok())
            .unwrap_or(last);
        let count = u64::try_from(retention.max_events).unwrap_or(u64::MAX);
        let count = count.min(self.kept.unsigned_abs());
        let id = EventId::new(kept.max(last.saturating_sub(count)));
        filler.begin(Cursor { epoch, id });
        Ok(())
    }

    /// Appends to the window what the tables have beyond it. Whether there was any.
    async fn read_on(
        &self,
        filler: &Filler,
        retention: Retention,
    ) -> Result<bool, Failure> {
        let Some(place) = filler.latest() else {
            return Ok(false);
        };
        if self.dropped.swap(false, Relaxed) {
            warn!("somebody dropped the tables, or one of them: they are made again");
            self.make().await?;
        }
        // The row first: what was committed when it was read is found below.
        let mut row = self.row().await?;
        if row.epoch == place.epoch && row.last < place.id.get() {
            // Restored, or promoted, without what readers have seen. What comes now
            // would have the same ids.
            warn!(known = %place, is = row.last, "the tables lost events: a new log begins");
            let client = self.pool.get().await?;
            let next = feed::draw_epoch().to_string();
            client
                .execute(
                    "update waiting.log set epoch = $1 where epoch = $2",
                    &[&next, &row.epoch.to_string()],
                )
                .await?;
            row = self.row().await?;
        }
        if row.epoch != place.epoch {
            self.begin(filler, row, retention).await?;
            return Ok(true);
        }
        if row.last == place.id.get() {
            return Ok(false);
        }
        let entries = self.fetch(place.id, TOGETHER, usize::MAX).await?;
        crate::read_on(filler, place, EventId::new(row.last), TOGETHER, entries);
        Ok(true)
    }

    // ANCHOR: fill
    /// Fills the window until nobody holds the log.
    async fn fill(&self, filler: &Filler, retention: Retention) {
        let mut away = false;
        while filler.latest().is_some() {
            let read = timeout(PATIENCE, self.read_on(filler, retention));
            match read.await.unwrap_or_else(|late| Err(late.into())) {
                Ok(any) => {
                    if std::mem::take(&mut away) {
                        filler.is_back();
                    }
                    if !any {
                        timeout(LOOK, self.news.notified()).await.ok();
                    }
                }
                Err(error) => {
                    self.away(error);
                    away = true;
                    sleep(LOOK).await;
                }
            }
        }
    }
    // ANCHOR_END: fill

    /// Passes on the database's notifications, for ever.
    async fn listen(&self) {
        loop {
            if let Err(error) = self.notifications().await {
                debug!(error, "no notifications");
            }
            sleep(LOOK).await;
        }
    }

    async fn notifications(&self) -> Result<(), Failure> {
        let (client, mut connection) = self.config.connect(NoTls).await?;
        let messages = async {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(_) = message? {
                    self.news.notify_one();
                }
            }
            Ok::<_, Failure>(())
        };
        let ask = async {
            client.batch_execute("listen waiting").await?;
            // What came before is found by a look.
            self.news.notify_one();
            // The client is to live as long as its connection.
            std::future::pending::<Result<(), Failure>>().await
        };
        tokio::select! {
            // Cancel-safe, both: neither is polled again.
            ended = messages => ended,
            failed = ask => failed,
        }
    }

    /// Makes and drops partitions, for ever.
    async fn maintain(&self) {
        loop {
            sleep(MAINTENANCE).await;
            let maintain = async {
                let client = self.pool.get().await?;
                let parameters: [&(dyn ToSql + Sync); 2] = [&PARTITION, &self.kept];
                client
                    .execute("select waiting.maintain($1, $2)", &parameters)
                    .await?;
                Ok::<_, Failure>(())
            };
            if let Err(error) = maintain.await {
                debug!(error, "the partitions are as they were");
            }
        }
    }

    async fn fetch(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Entries, Failure> {
        // As of the same moment as the events: the log may have been put back
        // meanwhile.
        let mut epoch = self.epoch();
        let client = self.pool.get().await?;
        let events = client
            .prepare_cached(
                "select id, (extract(epoch from at) * 1000)::bigint, kind, data::text,
                 (select log.epoch from waiting.log)
                 from waiting.events
                 where id > greatest($1, (select last from waiting.log) - $3)
                 order by id limit $2",
            )
            .await?;
        let after = i64::try_from(id.get())?;
        let limit = i64::try_from(max_events.clamp(1, TOGETHER))?;
        let parameters: [&(dyn ToSql + Sync); 3] = [&after, &limit, &self.kept];
        let rows = client.query_raw(&events, parameters).await?;
        pin_mut!(rows);
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        while let Some(row) = rows.try_next().await? {
            let data: &str = row.try_get(3)?;
            epoch = row.try_get::<_, &str>(4)?.parse()?;
            bytes = bytes.saturating_add(data.len());
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            let id = EventId::new(u64::try_from(row.try_get::<_, i64>(0)?)?);
            let kind = row.try_get::<_, &str>(2)?.parse();
            let (Ok(kind), Ok(data)) = (kind, Data::from_json(data)) else {
                warn!(%id, "no event by the contract: its readers are told of a gap");
                continue;
            };
            entries.push(Entry {
                id,
                at: Timestamp::from_millisecond(row.try_get(1)?)?,
                kind,
                data,
            });
        }
        Ok(Entries { epoch, entries })
    }

    async fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Published, Failure> {
        let client = self.pool.get().await?;
        let publish = client
            .prepare_cached(
                "select epoch, id, repeated
                 from waiting.publish($1, $2::text::json, $3)",
            )
            .await?;
        let (kind, data) = (kind.as_str(), data.as_str());
        let key = key.as_ref().map(IdempotencyKey::as_str);
        let row = client.query_one(&publish, &[&kind, &data, &key]).await?;
        // Of the log that took it. This server may not have noticed yet that it is
        // another one.
        let epoch = row.try_get::<_, &str>(0)?.parse()?;
        let id = EventId::new(u64::try_from(row.try_get::<_, i64>(1)?)?);
        Ok(Published {
            cursor: Cursor { epoch, id },
            repeated: row.try_get(2)?,
        })
    }
}

/// Whether a table, a function, or the row that names the log is missing.
fn is_missing(error: &Failure) -> bool {
    let missing = [
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
    ];
    let error = match error.downcast_ref::<tokio_postgres::Error>() {
        Some(error) => error,
        None => return error.is::<NoRow>(),
    };
    error.code().is_some_and(|code| missing.contains(code))
}

impl Source for Tables {
    fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Published, PublishError>> {
        Box::pin(async move {
            let published = self.publish(key, kind, data).await;
            Ok(published.map_err(|error| self.away(error))?)
        })
    }

    fn latest(&self) -> BoxFuture<'_, Result<Cursor, Unavailable>> {
        Box::pin(async {
            let row = self.row().await.map_err(|error| self.away(error));
            let Row { epoch, last } = row?;
            let id = EventId::new(last);
            Ok(Cursor { epoch, id })
        })
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<Entries, Unavailable>> {
        Box::pin(async move {
            let entries = self.fetch(id, max_events, max_bytes).await;
            entries.map_err(|error| self.away(error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_leaves_this_machine_in_the_clear_unless_somebody_said_so() {
        for (url, refused) in [
            ("postgres://me@db.example/log", true),
            ("postgres://me@127.0.0.1,db.example/log", true),
            ("postgres://me@db.example/log?sslmode=require", true),
            ("postgres://me@db.invalid/log?sslmode=disable", false),
            // Where nobody listens.
            ("postgres://me@127.0.0.1:1/log", false),
            ("postgres://me@localhost:1/log", false),
        ] {
            let error = open(url, Retention::default(), crate::KEPT)
                .await
                .unwrap_err();
            assert_eq!(error.to_string() == NO_TLS, refused, "{url}: {error}");
        }
    }
}
