//! What every transport owes its subscribers, as one suite that each crate runs over
//! real sockets through its own client.
//!
//! A crate implements [`Transport`] and calls [`main`] from a test target without a
//! harness:
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     conformance::main(Sse)
//! }
//! ```
//!
//! The suite is itself tested: `tests/faults.rs` of this crate holds transports
//! that are broken on purpose, each in one way, and states which cases catch which.

mod cases;
mod relay;

pub use cases::{Case, CASES};
pub use relay::Relay;

use client::Update;
use contract::{Cursor, Data, Event, Gap, IdempotencyKey, Kind, Position};
use feed::Feed;
use futures_util::{future::BoxFuture, stream::BoxStream, StreamExt};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    collections::VecDeque, future::Future, process::ExitCode, sync::Arc, time::Duration,
};

/// How long a case waits for what it was promised. Not a figure that is measured: a
/// hang becomes a failure that says what was awaited, and on a busy machine nothing
/// else happens.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a case asks of the server it is given.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest silence the server allows itself.
    pub heartbeat: Duration,
}

/// A method under test: its own server and its own client.
pub trait Transport: Send + Sync + 'static {
    /// Starts a server of this feed, and whatever stands between it and its clients.
    fn start(
        &self,
        feed: Feed,
        settings: Settings,
    ) -> BoxFuture<'static, Box<dyn Running>>;
}

/// A refusal, by the name of its problem (`future-cursor`, `key-reused`, …), as the
/// wire contract lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A server that runs, seen through its own client.
pub trait Running: Send + Sync {
    /// A client that starts at `position` and keeps itself connected.
    fn subscribe(
        &self,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>>;

    /// Publishes through the method, as a client would.
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>>;

    /// Breaks every connection without a word, and lets none through until
    /// [`restore`](Self::restore).
    fn cut(&self) -> BoxFuture<'_, ()>;

    /// Lets connections through again.
    fn restore(&self) -> BoxFuture<'_, ()>;

    /// Asks the server to end, and returns when it has.
    fn shut_down(&self) -> BoxFuture<'_, ()>;
}

/// Runs one case against one transport, on the runtime of the caller.
///
/// # Errors
/// What the case expected and what came instead, for a person to read.
pub async fn run(case: &Case, transport: &dyn Transport) -> Result<(), String> {
    (case.run)(cases::Bench::new(transport)).await
}

/// Runs the whole suite as a test program, each case as a test of its own.
pub fn main(transport: impl Transport) -> ExitCode {
    let arguments = Arguments::from_args();
    let transport = Arc::new(transport);
    let trials = CASES
        .iter()
        .map(|case| {
            let transport = Arc::clone(&transport);
            Trial::test(case.name, move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?;
                runtime
                    .block_on(run(case, &*transport))
                    .map_err(Failed::from)
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A client under observation: what it has reported so far decides what may come next.
pub(crate) struct Client {
    updates: BoxStream<'static, Result<Update, Refused>>,
    /// Events that came in one update but were not looked at yet.
    pending: VecDeque<Event>,
}

impl Client {
    pub(crate) fn new(updates: BoxStream<'static, Result<Update, Refused>>) -> Self {
        Self {
            updates,
            pending: Default::default(),
        }
    }

    /// The next update.
    async fn update(&mut self) -> Result<Update, String> {
        match self.updates.next().await {
            Some(Ok(update)) => Ok(update),
            Some(Err(Refused(problem))) => Err(format!("refused: {problem}")),
            None => Err("the client ended".to_owned()),
        }
    }

    /// The next thing that is neither a heartbeat nor news of the connection.
    async fn matter(&mut self) -> Result<Update, String> {
        loop {
            match self.update().await? {
                Update::Heartbeat | Update::Opened(_) | Update::Reconnecting(_) => {}
                matter => return Ok(matter),
            }
        }
    }

    /// The next event; anything else but heartbeats and reconnects is an error.
    pub(crate) async fn event(&mut self) -> Result<Event, String> {
        promised("an event", async {
            loop {
                if let Some(event) = self.pending.pop_front() {
                    return Ok(event);
                }
                match self.matter().await? {
                    Update::Events(events) => self.pending.extend(events),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// The next thing, which must be a gap.
    pub(crate) async fn gap(&mut self) -> Result<Gap, String> {
        promised("a gap", async {
            if let Some(event) = self.pending.pop_front() {
                return unexpected(&event);
            }
            match self.matter().await? {
                Update::Gap(gap) => Ok(gap),
                other => unexpected(&other),
            }
        })
        .await
    }

    /// The very next update, which must say that the connection stands.
    pub(crate) async fn opened(&mut self) -> Result<Cursor, String> {
        promised("a cursor before anything else", async {
            match self.update().await? {
                Update::Opened(cursor) => Ok(cursor),
                other => unexpected(&other),
            }
        })
        .await
    }

    /// The next update that is not news of the connection, which must be a heartbeat.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), String> {
        promised("a heartbeat", async {
            loop {
                match self.update().await? {
                    Update::Opened(_) => {}
                    Update::Heartbeat => return Ok(()),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// News that the connection was lost. Heartbeats may come before it, and events
    /// that were on their way, which are kept.
    pub(crate) async fn reconnecting(&mut self) -> Result<(), String> {
        promised("news that the connection is lost", async {
            loop {
                match self.update().await? {
                    Update::Opened(_) | Update::Heartbeat => {}
                    Update::Events(events) => self.pending.extend(events),
                    Update::Reconnecting(_) => return Ok(()),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// The word that the log is finished, and then the end of the client.
    pub(crate) async fn finished(&mut self) -> Result<(), String> {
        promised("the end of the log, and of the client", async {
            match self.matter().await? {
                Update::Finished => self.ended().await,
                other => unexpected(&other),
            }
        })
        .await
    }

    /// A refusal, by name, and then the end of the client.
    pub(crate) async fn refused(&mut self) -> Result<String, String> {
        promised("a refusal, and the end of the client", async {
            loop {
                match self.updates.next().await {
                    Some(Err(Refused(problem))) => {
                        return self.ended().await.map(|()| problem)
                    }
                    Some(Ok(Update::Reconnecting(_) | Update::Heartbeat)) => {}
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    async fn ended(&mut self) -> Result<(), String> {
        match self.updates.next().await {
            None => Ok(()),
            Some(more) => unexpected(&more),
        }
    }
}

fn unexpected<T>(found: &dyn std::fmt::Debug) -> Result<T, String> {
    Err(format!("got {found:?}"))
}

/// Waits for what was promised, all in all no longer than [`PATIENCE`]: heartbeats on
/// the way do not prolong it.
async fn promised<T>(
    what: &str,
    coming: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(outcome) => outcome.map_err(|error| format!("awaited {what}; {error}")),
        Err(_) => Err(format!("awaited {what}; it did not come")),
    }
}
