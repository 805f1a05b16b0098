//! A text that is generated token by token and outlives its reader's connection: each
//! generation is a log of its own.
//!
//! `POST generations` starts one and answers with its address; asked again with the
//! same `Idempotency-Key`, it answers with the same address and starts nothing. `GET
//! generations/ID/events` streams its log, as `GET events` does the server's: from the
//! beginning or after a cursor, to any number of readers, with `status` beside it.
//! `DELETE generations/ID` ends it. A task makes the tokens, whether anybody reads or
//! not, until nobody has read for a while.

use crate::{
    server::{self, LastEventId, Server},
    tokens::{Request, Token},
};
use axum::{
    extract::{Path, State},
    http::{header, StatusCode, Version},
    response::{IntoResponse, Response},
    Json,
};
use bytes::Bytes;
use contract::{Cursor, Data, IdempotencyKey, Position, Problem};
use feed::{Feed, PublishError, Retention};
use futures_util::{stream, FutureExt, Stream, StreamExt};
use serde::Serialize;
use serving::ProblemResponse;
use signal::Signal;
use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    select,
    sync::watch,
    time::{timeout, Instant},
};
use waiting::{
    http::{After, JsonBody, Key, Sender},
    Door, Framings, Place, Places, Room,
};

// ANCHOR: limits
/// What is kept of generations, and how long one goes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many run at once; default 20. One more is refused with 503 `busy`. How many
    /// of them one address may have is the edge's limit (`tasks` of its `Limits`).
    pub running: usize,
    /// How many are kept at once, running or done; default 100.
    pub kept: usize,
    /// How long one that is done can still be read; default 10 min.
    pub kept_for: Duration,
    /// The most tokens of one text; default 4,000. Its log keeps all of them, so that a
    /// reader can always begin at the beginning.
    pub max_tokens: usize,
    /// The most bytes of one text; default 256 KiB.
    pub max_bytes: usize,
    /// How long one goes on that nobody reads; default 30 s: longer than a reload, a
    /// tunnel, or the way from one device to another.
    pub unread_for: Duration,
}
// ANCHOR_END: limits

impl Default for Limits {
    fn default() -> Self {
        Self {
            running: 20,
            kept: 100,
            kept_for: Duration::from_secs(600),
            max_tokens: 4_000,
            max_bytes: 256 * 1024,
            unread_for: Duration::from_secs(30),
        }
    }
}

/// The pieces of a text, as they are made; an error says why there will be no more.
pub type Tokens = Pin<Box<dyn Stream<Item = Result<String, String>> + Send>>;

/// What makes a text of a prompt. Dropping the tokens ends its work.
#[derive(Clone)]
pub struct Model(Arc<dyn Fn(&str) -> Tokens + Send + Sync>);

impl Model {
    /// A model that is this function.
    pub fn new(generate: impl Fn(&str) -> Tokens + Send + Sync + 'static) -> Self {
        Self(Arc::new(generate))
    }

    /// The tokens of one text.
    fn generate(&self, prompt: &str) -> Tokens {
        (self.0)(prompt)
    }

    /// A model that knows its text at once, and pauses before each of its tokens.
    pub(crate) fn of_words(text: fn(&str) -> Vec<String>, pause: Duration) -> Self {
        Self::new(move |prompt| {
            let tokens = stream::iter(text(prompt)).then(move |token| async move {
                tokio::time::sleep(pause).await;
                Ok(token)
            });
            Box::pin(tokens)
        })
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model")
    }
}

/// One text: its log, and who reads it.
struct Generation {
    /// Its part of the address.
    id: String,
    /// By what it is found again when its answer was lost.
    asked: Option<Asked>,
    room: Room,
    log: Feed,
    /// The block of each event, made once for all readers.
    blocks: Framings<Bytes>,
    /// How many read it now.
    readers: watch::Sender<usize>,
    /// Raised where somebody asks for its end.
    stop: Signal,
    /// When it was done.
    done: OnceLock<Instant>,
}

/// What somebody has asked for, and will ask for again where no answer comes.
#[derive(PartialEq, Eq)]
struct Asked {
    key: IdempotencyKey,
    prompt: String,
}

// ANCHOR: last
/// The data of the last event of a log, whose kind says which it is. Without one of
/// these the text is not whole.
#[derive(Serialize)]
#[serde(untagged)]
enum Last {
    /// `done`: the text is whole, or as long as it may become.
    Done { tokens: usize, cut: bool },
    /// `failed`: the model could not go on.
    Failed(Problem),
    /// `stopped`: somebody has asked for it, or nobody has read it.
    Stopped {
        tokens: usize,
        because: &'static str,
    },
}
// ANCHOR_END: last

impl Last {
    fn done(tokens: usize, cut: bool) -> Self {
        Self::Done { tokens, cut }
    }

    fn failed(why: impl fmt::Display) -> Self {
        // As long as a person reads; the log takes no event of any size.
        let why: String = why.to_string().chars().take(500).collect();
        let problem = Problem::new(502, "no-text", "The text could not be generated");
        Self::Failed(problem.with_detail(why))
    }

    fn stopped(tokens: usize, because: &'static str) -> Self {
        Self::Stopped { tokens, because }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Failed(_) => "failed",
            Self::Stopped { .. } => "stopped",
        }
    }
}

/// The answer to `POST generations`.
#[derive(Serialize)]
struct Started {
    id: String,
}

impl Generation {
    fn new(door: Door, limits: &Limits, asked: Option<Asked>) -> Self {
        // Room for the last event. The bytes are counted as they are made.
        let log = Feed::new(Retention {
            max_events: limits.max_tokens + 1,
            max_bytes: usize::MAX,
        });
        Self {
            id: random_id(),
            asked,
            room: Room::new(crate::METHOD.name, log.clone(), door),
            log,
            blocks: Framings::default(),
            readers: watch::Sender::new(0),
            stop: Signal::new(),
            done: OnceLock::new(),
        }
    }

    /// Makes the text and ends its log.
    async fn run(self: Arc<Self>, tokens: Tokens, limits: Limits, place: Place) {
        let made = AssertUnwindSafe(self.make(tokens, &limits));
        // A model that panics has failed too, and its readers wait for a word.
        let made = made.catch_unwind().await;
        let last = made.unwrap_or_else(|_| Some(Last::failed("the model panicked")));
        if let Some(last) = last {
            self.finish(last).await;
        }
        drop(place);
    }

    // ANCHOR: run
    /// Makes the text, and says how it ended; `None` where the server ends.
    async fn make(&self, mut tokens: Tokens, limits: &Limits) -> Option<Last> {
        let mut unread = Box::pin(self.unread_for(limits.unread_for));
        let mut stopped = self.stop.raised();
        let mut ending = self.room.door().end().raised();
        let (mut count, mut bytes) = (0, 0);
        // However it ends, that drops the tokens, and with them the model's work.
        loop {
            let token = select! {
                token = tokens.next() => token,
                () = &mut stopped => return Some(Last::stopped(count, "asked")),
                () = &mut unread => return Some(Last::stopped(count, "unread")),
                // Its readers are told by their own waits. The log stays unfinished:
                // the text is not whole, and will never be.
                () = &mut ending => return None,
            };
            let text = match token {
                Some(Ok(text)) => text,
                Some(Err(why)) => return Some(Last::failed(why)),
                None => return Some(Last::done(count, false)),
            };
            bytes += text.len();
            if count == limits.max_tokens || bytes > limits.max_bytes {
                return Some(Last::done(count, true));
            }
            match self.publish("token", &Token { text: &text }).await {
                Ok(_) => count += 1,
                Err(error) => return Some(Last::failed(error)),
            }
        }
    }

    /// Returns when nobody has read for so long.
    async fn unread_for(&self, time: Duration) {
        let mut readers = self.readers.subscribe();
        loop {
            // Neither fails: `self` has the sender.
            let _ = readers.wait_for(|readers| *readers == 0).await;
            let somebody = readers.wait_for(|readers| *readers > 0);
            if timeout(time, somebody).await.is_err() {
                return;
            }
        }
    }
    // ANCHOR_END: run

    /// Ends the log with its last event.
    async fn finish(&self, last: Last) {
        let published = self.publish(last.kind(), &last).await;
        debug_assert!(published.is_ok(), "the last event is small");
        self.log.finish();
        let _ = self.done.set(Instant::now());
    }

    async fn publish(
        &self,
        kind: &str,
        data: &impl Serialize,
    ) -> Result<Cursor, PublishError> {
        let kind = kind.parse().expect("a kind of this module");
        let data = Data::new(data).expect("texts and numbers become JSON");
        self.log.publish(kind, data).await
    }

    /// Whether it was done so long ago.
    fn is_done_for(&self, time: Duration) -> bool {
        self.done.get().is_some_and(|done| done.elapsed() >= time)
    }
}

/// 128 bits from the system's randomness: whoever knows an address can read and stop,
/// so nobody must guess one. The name of a log is shorter, and no secret.
fn random_id() -> String {
    let [high, low] = [(); 2]
        .map(|()| getrandom::u64().expect("the system has a source of randomness"));
    format!("{high:016x}{low:016x}")
}

/// Counts somebody who reads a generation, until it is dropped.
struct Reader(Arc<Generation>);

impl Reader {
    fn of(generation: &Arc<Generation>) -> Self {
        generation.readers.send_modify(|readers| *readers += 1);
        Self(generation.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers -= 1);
    }
}

/// The generations that are kept. Clones share them.
#[derive(Clone)]
pub(crate) struct Generations {
    kept: Arc<Mutex<VecDeque<Arc<Generation>>>>,
    running: Places,
}

impl Generations {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            kept: Arc::default(),
            running: Places::new(limits.running.min(limits.kept)),
        }
    }

    // ANCHOR: add
    /// Keeps one more, with its place among those that run; or finds the one that was
    /// asked for with this key before, which needs none. Nothing runs for what is kept:
    /// those that are past their time, and if there is no room the one that was done
    /// first, go when another one comes.
    ///
    /// # Errors
    /// 503 `ending`, 422 `key-reused` for another prompt, 429 `too-many` where as many
    /// of this client run as may, and 503 `busy` where as many of all.
    fn add(
        &self,
        door: &Door,
        sender: &Sender,
        limits: &Limits,
        asked: Option<Asked>,
    ) -> Result<(Arc<Generation>, Option<Place>), Problem> {
        door.check_open()?;
        // Held until it is kept: the same key may come twice at once.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|generation| !generation.is_done_for(limits.kept_for));
        if let Some(asked) = &asked {
            let same_key = |it: &Asked| it.key == asked.key;
            let mut kept = kept.iter();
            if let Some(it) = kept.find(|it| it.asked.as_ref().is_some_and(same_key)) {
                if it.asked.as_ref() == Some(asked) {
                    return Ok((it.clone(), None));
                }
                return Err(Problem::key_reused());
            }
        }
        let place = self.running.acquire_for_task(&sender.0)?;
        if kept.len() >= limits.kept {
            // No more run than are kept, and this one is not among them yet: one of
            // them is done.
            let done = |at: usize| kept[at].done.get();
            let all = (0..kept.len()).filter(|at| done(*at).is_some());
            if let Some(first) = all.min_by_key(|at| done(*at)) {
                kept.remove(first);
            }
        }
        let generation = Arc::new(Generation::new(door.clone(), limits, asked));
        kept.push_back(generation.clone());
        Ok((generation, Some(place)))
    }
    // ANCHOR_END: add

    /// The one with this id.
    ///
    /// # Errors
    /// 404 `not-found` where there is none, or none any more.
    fn get(&self, id: &str, limits: &Limits) -> Result<Arc<Generation>, Problem> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|generation| generation.id == id);
        let found = found.filter(|generation| !generation.is_done_for(limits.kept_for));
        found.cloned().ok_or_else(Problem::not_found)
    }
}

// ANCHOR: routes
/// `POST generations`: starts one, and says where it is; or where the one is that was
/// started with this key.
pub(crate) async fn start(
    State(server): State<Server>,
    sender: Sender,
    Key(key): Key,
    JsonBody(request): JsonBody<Request>,
) -> Result<Response, ProblemResponse> {
    let prompt = request.prompt()?;
    let limits = server.config.generations.clone();
    let asked = key.map(|key| {
        let prompt = prompt.clone();
        Asked { key, prompt }
    });
    let door = server.room.door();
    let (generation, place) = server.generations.add(door, &sender, &limits, asked)?;
    let id = generation.id.clone();
    let status = match place {
        Some(place) => {
            let tokens = server.config.model.generate(&prompt);
            tokio::spawn(generation.run(tokens, limits, place));
            StatusCode::CREATED
        }
        None => StatusCode::OK,
    };
    // Relative, since only whoever has mounted the router knows where it is.
    let location = [(header::LOCATION, format!("generations/{id}"))];
    Ok((status, location, Json(Started { id })).into_response())
}

/// `GET generations/ID/events`: its log, from the beginning or after a cursor.
pub(crate) async fn events(
    State(server): State<Server>,
    Path(id): Path<String>,
    version: Version,
    last: LastEventId,
    After(after): After,
    listener: waiting::Reader,
    Sender(client): Sender,
) -> Result<Response, ProblemResponse> {
    let generation = server.generations.get(&id, &server.config.generations)?;
    let after = after.unwrap_or(Position::Earliest);
    let room = generation.room.for_client(client);
    let wait = server::join(&room, last, after, listener).await?;
    let reader = Reader::of(&generation);
    let blocks = generation.blocks.clone();
    Ok(server::stream(
        wait,
        blocks,
        &server.config,
        version,
        reader,
    ))
}

/// `GET generations/ID/status`: what its log holds, as of any other log.
pub(crate) async fn status(
    State(server): State<Server>,
    Path(id): Path<String>,
    After(after): After,
) -> Result<Response, ProblemResponse> {
    let generation = server.generations.get(&id, &server.config.generations)?;
    let status = generation.room.status(after.unwrap_or_default()).await?;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(status)).into_response())
}

/// `DELETE generations/ID`: ends it. What was made stays there to be read.
pub(crate) async fn stop(
    State(server): State<Server>,
    Path(id): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    let generation = server.generations.get(&id, &server.config.generations)?;
    generation.stop.raise();
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: routes
