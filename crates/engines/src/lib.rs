//! Logs that outlive their process, or that several servers share.
//!
//! [`open`] gives a [`Feed`] for an [`Address`]: the log in memory, or a window of one
//! that an engine keeps. Whoever waits for the next entry cannot tell one from the
//! other.
//!
//! - `nats://…`: a stream of NATS JetStream (feature `nats`).
//! - `postgres://…`: a table of PostgreSQL (feature `postgres`).
//! - `file:…`: a file of SQLite, which the servers of one machine may share (feature
//!   `file`).

mod address;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
mod postgres;

pub use address::{Address, AddressError};

#[cfg(any(feature = "file", feature = "postgres"))]
use contract::{Cursor, EventId};
use feed::{Feed, Retention};
use std::{error::Error, fmt, future::Future, num::NonZeroU64, pin::Pin};
use thiserror::Error;

/// A log, and the work that fills it.
pub struct Opened {
    /// The log.
    pub feed: Feed,
    /// Fills the log for as long as it is polled; it has no end. `None` where nothing
    /// has to.
    pub filling: Option<Filling>,
}

/// A task for the runtime.
pub type Filling = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.feed).finish()
    }
}

impl Opened {
    fn in_memory(retention: Retention) -> Self {
        Self {
            feed: Feed::new(retention),
            filling: None,
        }
    }
}

/// What an engine's client says.
type Failure = Box<dyn Error + Send + Sync>;

/// Why there is no log.
#[derive(Debug, Error)]
pub enum OpenError {
    /// This program was built without the engine.
    #[error(
        "this program was built without {engine}; build it with `--features {feature}`"
    )]
    Missing {
        /// Which engine.
        engine: &'static str,
        /// The feature of cargo that brings it.
        feature: &'static str,
    },
    /// The engine did not answer, or refused.
    #[error("{engine} at {address}: {}", reasons(error.as_ref()))]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// Where, without a password.
        address: String,
        /// What it said.
        error: Failure,
    },
}

/// Events that an engine keeps, unless somebody says otherwise.
pub const KEPT: NonZeroU64 = NonZeroU64::new(1_000_000).unwrap();

/// Passes on what was read of the log after `place`: so many of its entries `together`,
/// of which the newest has the id `last`. Where none of them is an event, the window
/// begins after them.
#[cfg(any(feature = "file", feature = "postgres"))]
fn read_on(
    filler: &feed::Filler,
    place: Cursor,
    last: EventId,
    together: usize,
    entries: feed::Entries,
) {
    if entries.entries.is_empty() && entries.epoch == place.epoch {
        let id = last.get().min(place.id.get() + together as u64);
        let id = EventId::new(id);
        filler.begin(Cursor { id, ..place });
    } else {
        filler.append(entries);
    }
}

/// What an error says, and what those behind it add: a client says that it could not
/// connect, and only the last of them why.
fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let reason = error.to_string();
        if !said.ends_with(&reason) {
            said = format!("{said}: {reason}");
        }
        behind = error.source();
    }
    said
}

/// Opens the log at `address`, and makes it where there is none: one that keeps its
/// newest `kept` events. When it returns, those that `retention` has room for are in
/// the window.
///
/// All servers of one log are to say the same of `kept`. A stream of JetStream keeps
/// what was said when it was made.
///
/// # Errors
/// Where this program was built without the engine, and where the engine cannot be
/// reached or refuses.
pub async fn open(
    address: &Address,
    retention: Retention,
    kept: NonZeroU64,
) -> Result<Opened, OpenError> {
    let opened: Result<Opened, Failure> = match address {
        Address::Memory => Ok(Opened::in_memory(retention)),
        #[cfg(feature = "nats")]
        Address::Nats(url) => nats::open(url, retention, kept).await,
        #[cfg(feature = "postgres")]
        Address::Postgres(url) => postgres::open(url, retention, kept).await,
        #[cfg(feature = "file")]
        Address::File(path) => file::open(path, retention, kept).await,
        #[cfg(not(all(feature = "file", feature = "nats", feature = "postgres")))]
        _ => {
            // Where there is no engine at all, nobody else asks for it.
            let _ = kept;
            let (engine, feature) = (address.engine(), address.feature());
            return Err(OpenError::Missing { engine, feature });
        }
    };
    opened.map_err(|error| OpenError::Engine {
        engine: address.engine(),
        address: address.to_string(),
        error,
    })
}

#[cfg(all(
    test,
    not(any(feature = "file", feature = "nats", feature = "postgres"))
))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_engine_it_is_said_which_feature_is_missing() {
        for (address, words) in [
            (
                "nats://a:4222",
                "without NATS JetStream; build it with `--features nats`",
            ),
            (
                "postgres://a/b",
                "without PostgreSQL; build it with `--features postgres`",
            ),
            (
                "file:log.db",
                "without SQLite; build it with `--features file`",
            ),
        ] {
            let address = address.parse().unwrap();
            let error = open(&address, Retention::default(), KEPT)
                .await
                .unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let memory = open(&Address::Memory, Retention::default(), KEPT).await;
        assert!(memory.is_ok());
    }
}
