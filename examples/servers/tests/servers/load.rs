//! Those who publish and those who read, and what they note of it.

use anyhow::{bail, Context as _};
use client::{
    Client, Error, LongPollingClient, Pace, PollingClient, Rhythm, SseClient, Update,
    WebSocketClient,
};
use contract::{is_temporary, Cursor, Data, IdempotencyKey, Kind, Position};
use fastrand::Rng;
use futures_util::{stream::BoxStream, StreamExt};
use servers::history::{Answer, Publish, Reader, Received, Seen, Try};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc, Mutex, PoisonError,
    },
    time::Duration,
};
use tokio::time::{sleep, timeout, Instant};
use url::Url;

/// The methods of the book that wait for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Polling,
    LongPolling,
    Sse,
    WebSocket,
}

impl Method {
    pub(crate) const ALL: [Self; 4] =
        [Self::Polling, Self::LongPolling, Self::Sse, Self::WebSocket];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::LongPolling => "long-polling",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }

    /// Where its routes lie.
    pub(crate) fn prefix(self) -> String {
        format!("/{}/", self.name())
    }
}

/// The kind of the event at which readers stop.
pub(crate) const LAST: &str = "last";

/// The kind of all others.
const MESSAGE: &str = "message";

/// Servers are away for seconds here, and not for minutes.
const PACE: Pace = Pace {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(2),
};

const RHYTHM: Rhythm = Rhythm {
    interval: Duration::from_millis(200),
    jitter: 0.5,
};

/// One of the book's clients.
#[derive(Clone)]
enum Any {
    Polling(PollingClient),
    LongPolling(LongPollingClient),
    Sse(SseClient),
    WebSocket(WebSocketClient),
}

/// The updates of a client.
type Updates = BoxStream<'static, Result<Update, Error>>;

impl Any {
    /// A client of the servers behind this proxy.
    fn of(method: Method, proxy: &Url) -> Self {
        let base = proxy.join(&method.prefix()).expect("it has a path");
        match method {
            Method::Polling => {
                Self::Polling(PollingClient::with_pace(base, PACE).with_rhythm(RHYTHM))
            }
            Method::LongPolling => {
                Self::LongPolling(LongPollingClient::with_pace(base, PACE))
            }
            Method::Sse => Self::Sse(SseClient::with_pace(base, PACE)),
            Method::WebSocket => {
                Self::WebSocket(WebSocketClient::with_pace(base, PACE))
            }
        }
    }

    fn subscribe(&self, position: Position) -> Updates {
        match self {
            Self::Polling(client) => client.subscribe(position).boxed(),
            Self::LongPolling(client) => client.subscribe(position).boxed(),
            Self::Sse(client) => client.subscribe(position).boxed(),
            Self::WebSocket(client) => client.subscribe(position).boxed(),
        }
    }

    async fn publish(
        &self,
        key: &IdempotencyKey,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, Error> {
        let key = Some(key);
        match self {
            Self::Polling(client) => client.publish(key, kind, data).await,
            Self::LongPolling(client) => client.publish(key, kind, data).await,
            Self::Sse(client) => client.publish(key, kind, data).await,
            Self::WebSocket(client) => client.publish(key, kind, data).await,
        }
    }
}

/// What all publishers share.
#[derive(Clone, Default)]
pub(crate) struct Shift {
    /// Counts beginnings and ends: the clock of a history.
    clock: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    /// Events that were acknowledged.
    pub(crate) acknowledged: Arc<AtomicU64>,
    /// What was refused, and how: nothing that is published here is to be.
    pub(crate) refusals: Arc<Mutex<Vec<String>>>,
}

impl Shift {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Nobody begins another event.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Publishes, one attempt; what is no refusal is unknown.
async fn attempt(
    shift: &Shift,
    client: &Any,
    kind: &str,
    key: &str,
) -> anyhow::Result<Try> {
    let begun = shift.now();
    let data = Data::new(key)?;
    let published = client.publish(&key.parse()?, kind.parse()?, data).await;
    let answer = match published {
        Ok(id) => Answer::Acknowledged(id),
        Err(Error::Refused(problem)) if !is_temporary(problem.status) => {
            let refusal = format!("{key}: {}", problem.title);
            let mut refusals = shift
                .refusals
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            refusals.push(refusal);
            Answer::Refused
        }
        Err(Error::Base(base)) => bail!("{base}"),
        // A server that says 503 may have handed it to the engine before.
        Err(_) => Answer::Unknown,
    };
    Ok(Try {
        begun,
        ended: shift.now(),
        answer,
    })
}

/// Publishes one event after the other until the shift is over. Each is tried again,
/// with its key, until it is acknowledged, or until its publisher gives it up.
pub(crate) async fn publish(
    method: Method,
    proxy: Url,
    shift: Shift,
    mut draws: Rng,
) -> anyhow::Result<Vec<Publish>> {
    let client = Any::of(method, &proxy);
    let mut publishes = Vec::new();
    while !shift.over.load(Ordering::Relaxed) {
        let key = format!("{}-{}", method.name(), publishes.len());
        let patience = draws.usize(1..=20);
        let mut tries = Vec::new();
        let mut answered = false;
        while !answered && tries.len() < patience {
            if !tries.is_empty() {
                sleep(Duration::from_millis(draws.u64(50..300))).await;
            }
            let tried = attempt(&shift, &client, MESSAGE, &key).await?;
            answered = tried.answer != Answer::Unknown;
            tries.push(tried);
        }
        if answered {
            shift.acknowledged.fetch_add(1, Ordering::Relaxed);
            // Some answers get lost on the way, and their publishers ask once more.
            if draws.u8(..10) == 0 {
                tries.push(attempt(&shift, &client, MESSAGE, &key).await?);
            }
        }
        publishes.push(Publish { key, tries });
        sleep(Duration::from_millis(draws.u64(10..80))).await;
    }
    Ok(publishes)
}

/// Publishes the last event.
pub(crate) async fn publish_last(
    proxy: &Url,
    shift: &Shift,
    limit: Duration,
) -> anyhow::Result<Publish> {
    let client = Any::of(Method::Sse, proxy);
    let mut tries = Vec::new();
    let ended = Instant::now() + limit;
    loop {
        let tried = attempt(shift, &client, LAST, LAST).await?;
        tries.push(tried);
        if tried.answer != Answer::Unknown {
            break;
        }
        anyhow::ensure!(
            Instant::now() < ended,
            "the world was mended, and nothing can be published"
        );
        sleep(Duration::from_millis(200)).await;
    }
    let key = LAST.to_owned();
    Ok(Publish { key, tries })
}

/// One who reads, and what it has met.
pub(crate) struct Read {
    pub(crate) reader: Reader,
    /// How often it came back to some server.
    pub(crate) returns: u64,
    /// Why it did not come to the last event.
    pub(crate) broken: Option<String>,
}

/// A reader who begins at `position`, and where that is.
pub(crate) struct Opened {
    method: Method,
    client: Any,
    updates: Updates,
    reader: Reader,
}

impl Opened {
    /// Waits until it has its cursor.
    pub(crate) async fn at(
        method: Method,
        proxy: &Url,
        position: Position,
        name: &str,
    ) -> anyhow::Result<Self> {
        let client = Any::of(method, proxy);
        let mut updates = client.subscribe(position);
        let from = loop {
            let update = timeout(Duration::from_secs(30), updates.next());
            match update.await?.context("it has ended")?? {
                Update::Opened(cursor) => break cursor,
                Update::Reconnecting(_) => {}
                other => bail!("{other:?} before a cursor"),
            }
        };
        let name = format!("{} ({name})", method.name());
        let received = Vec::new();
        Ok(Self {
            method,
            client,
            updates,
            reader: Reader {
                name,
                from,
                received,
            },
        })
    }

    /// Where it began.
    pub(crate) fn from(&self) -> Cursor {
        self.reader.from
    }

    /// Reads to the last event. Who is restless goes away now and then, and comes back
    /// with nothing but its cursor: as a page does that is closed and opened.
    pub(crate) async fn read(self, mut restless: Option<Rng>, limit: Duration) -> Read {
        let Self {
            method,
            client,
            mut updates,
            reader,
        } = self;
        let mut at = reader.from;
        let mut read = Read {
            reader,
            returns: 0,
            broken: None,
        };
        let mut rest = || {
            let seconds = restless.as_mut().map(|draws| draws.u64(2..8));
            Instant::now() + seconds.map_or(limit, Duration::from_secs)
        };
        let (late, mut leaves) = (Instant::now() + limit, rest());
        let broken = loop {
            let until = leaves.min(late);
            let update = match tokio::time::timeout_at(until, updates.next()).await {
                Ok(update) => update,
                Err(_) if Instant::now() >= late => {
                    break Some(format!("the last event did not come; it is at {at}"))
                }
                Err(_) => {
                    updates = client.subscribe(Position::After(at));
                    leaves = rest();
                    continue;
                }
            };
            match update {
                None => break Some("its stream has ended".to_owned()),
                Some(Err(error)) => break Some(format!("at {at}: {error}")),
                Some(Ok(Update::Finished)) => break Some("finished".to_owned()),
                Some(Ok(Update::Opened(_))) => read.returns += 1,
                Some(Ok(Update::Heartbeat | Update::Reconnecting(_))) => {}
                Some(Ok(Update::Gap(gap))) => {
                    at = gap.resume;
                    read.reader.received.push(Received::Gap(at));
                }
                Some(Ok(Update::Events(events))) => {
                    let mut last = false;
                    for event in events {
                        at = event.id;
                        last |= event.kind.as_str() == LAST;
                        let key = text(event.data.get());
                        let seen = Seen { id: at, key };
                        read.reader.received.push(Received::Event(seen));
                    }
                    if last {
                        break None;
                    }
                }
            }
        };
        read.broken = broken.map(|why| format!("{}: {why}", method.name()));
        read
    }
}

/// A JSON string without escapes, as all keys are here.
pub(crate) fn text(json: &str) -> String {
    json.trim_matches('"').to_owned()
}
