//! The event stream format: what the vectors say, held against each browser's own `EventSource` and
//! this book's parser.

use anyhow::Context as _;
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{header, HeaderMap, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::get,
    Router,
};
use base64::{prelude::BASE64_STANDARD, Engine as _};
use browser::{engine::Kind, page::Page, served::Served, suite::Suite};
use futures_util::{stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What a browser waits where the stream names no time, in milliseconds. The format leaves it open.
fn default_retry(kind: Kind) -> u64 {
    match kind {
        Kind::Chromium | Kind::WebKit => 3_000,
        Kind::Firefox => 5_000,
    }
}

/// How much earlier than its time a timer may seem to fire: two clocks, each read in whole
/// milliseconds.
const EARLY: Duration = Duration::from_millis(2);

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct StreamEvent {
    #[serde(rename = "type")]
    kind: String,
    data: String,
    last_event_id: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    text: Option<String>,
    base64: Option<String>,
    chunks: Option<Vec<usize>>,
    events: Vec<StreamEvent>,
    last_event_id: String,
    retry: Option<u64>,
    #[serde(default)]
    chromium: Differences,
    #[serde(default)]
    firefox: Differences,
    #[serde(default)]
    webkit: Differences,
}

/// Where a browser is known to differ.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Differences {
    events: Option<Vec<StreamEvent>>,
    last_event_id: Option<String>,
    retry: Option<u64>,
}

impl Vector {
    fn all() -> anyhow::Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct File {
            vectors: Vec<Vector>,
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../crates/client/tests/event-stream.json"
        );
        let text = fs::read_to_string(path).context(path)?;
        Ok(serde_json::from_str::<File>(&text)?.vectors)
    }

    fn differences(&self, kind: Kind) -> &Differences {
        match kind {
            Kind::Chromium => &self.chromium,
            Kind::Firefox => &self.firefox,
            Kind::WebKit => &self.webkit,
        }
    }

    /// The body in the pieces in which it shall arrive.
    fn pieces(&self) -> anyhow::Result<Vec<Bytes>> {
        let mut bytes = match (&self.text, &self.base64) {
            (Some(text), None) => Bytes::copy_from_slice(text.as_bytes()),
            (None, Some(base64)) => BASE64_STANDARD.decode(base64)?.into(),
            _ => anyhow::bail!("{}: text or base64", self.name),
        };
        let lengths = self.chunks.clone().unwrap_or(vec![bytes.len()]);
        Ok(lengths
            .iter()
            .map(|&length| bytes.split_to(length))
            .collect())
    }
}

/// What the server of the vectors saw of one `EventSource`.
#[derive(Clone, Debug, Default)]
struct Visit {
    /// When the last byte was given away.
    ended: Option<Instant>,
    /// How long after that the browser came back, and what it named as its last event id.
    back: Option<(Duration, String)>,
}

#[derive(Clone)]
struct Server {
    pieces: Arc<Vec<Vec<Bytes>>>,
    /// By the vector's number. Locked for one change.
    visits: Arc<Mutex<HashMap<usize, Visit>>>,
}

impl Server {
    fn new(vectors: &[Vector]) -> anyhow::Result<Self> {
        let pieces: Result<_, _> = vectors.iter().map(Vector::pieces).collect();
        Ok(Self {
            pieces: Arc::new(pieces?),
            visits: Arc::default(),
        })
    }

    fn visit<T>(&self, number: usize, change: impl FnOnce(&mut Visit) -> T) -> T {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        change(visits.entry(number).or_default())
    }

    fn body(&self, number: usize) -> Body {
        let server = self.clone();
        let pieces = stream::iter(self.pieces[number].clone());
        // Polled only when the last piece has been taken.
        let end = stream::poll_fn(move |_| {
            server.visit(number, |visit| visit.ended = Some(Instant::now()));
            std::task::Poll::Ready(None)
        });
        Body::from_stream(pieces.chain(end).map(Ok::<_, Infallible>))
    }

    async fn start(self) -> anyhow::Result<Served> {
        Ok(Served::start(|feed, ending| {
            Router::new()
                // An icon of its own, or the browser would ask for one.
                .route(
                    "/",
                    get(|| async { Html("<!doctype html><link rel=icon href=data:,>") }),
                )
                .route("/stream/{number}", get(answer))
                .route("/bytes/{number}", get(bytes))
                .with_state(self)
                .nest(
                    "/sse/",
                    sse::router(feed.clone(), sse::Config::default(), ending.clone()),
                )
        })
        .await?)
    }
}

/// The vector at the first visit. At the second, 204, after which an `EventSource` asks no more.
async fn answer(
    State(server): State<Server>,
    Path(number): Path<usize>,
    headers: HeaderMap,
) -> Response {
    let now = Instant::now();
    let again = server.visit(number, |visit| {
        let ended = visit.ended?;
        let id = headers
            .get("last-event-id")
            .map_or(&[][..], |id| id.as_bytes());
        visit.back = Some((now - ended, String::from_utf8_lossy(id).into_owned()));
        Some(())
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match again {
        Some(()) => StatusCode::NO_CONTENT.into_response(),
        None => (headers, server.body(number)).into_response(),
    }
}

/// The vector, however often it is asked for.
async fn bytes(State(server): State<Server>, Path(number): Path<usize>) -> Body {
    server.body(number)
}

pub(crate) async fn the_browser_reads_the_format_as_the_vectors_say(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    let vectors = Vector::all()?;
    let types: BTreeSet<_> = vectors
        .iter()
        .flat_map(|vector| &vector.events)
        .map(|event| event.kind.as_str())
        .chain(["message"])
        .collect();
    let mut times: BTreeSet<_> = vectors.iter().filter_map(|vector| vector.retry).collect();
    let default_retry = default_retry(page.kind());
    times.insert(default_retry);

    let mut told = Vec::new();
    let mut left: Vec<usize> = (0..vectors.len()).collect();
    // A timer that fires late says nothing, on a machine that also does other things: its vector is
    // looked at again. One that fires early, or any other difference, is one too many.
    for _ in 0..4 {
        let state = Server::new(&vectors)?;
        let visits = state.clone();
        let server = state.start().await?;
        page.open(&server.root).await?;
        let seen: Vec<Vec<StreamEvent>> = page
            .run(
                "const [numbers, types] = arguments;
                return Promise.all(numbers.map((number) => new Promise((resolve) => {
                    const events = [];
                    const source = new EventSource(`stream/${number}`);
                    for (const kind of types) source.addEventListener(kind, ({ type, data, lastEventId }) =>
                        events.push({ type, data, lastEventId }));
                    source.onerror = () => {
                        if (source.readyState === EventSource.CLOSED) resolve(events);
                    };
                })))",
                &[json!(left), json!(types)],
            )
            .await?;
        told.clear();
        let (mut late, mut wrong) = (Vec::new(), Vec::new());
        for (number, events) in left.into_iter().zip(seen) {
            let vector = &vectors[number];
            let name = &vector.name;
            let differs = vector.differences(page.kind());
            // All that differs is told at once, and not the first alone.
            let mut expect = |what: &str, is: String, wanted: String| {
                if is != wanted {
                    wrong.push(format!("{name}: {what} {is}, not {wanted}"));
                }
            };
            let wanted = differs.events.as_ref().unwrap_or(&vector.events);
            expect("events", format!("{events:?}"), format!("{wanted:?}"));
            let (after, id) = visits
                .visit(number, |visit| visit.back.clone())
                .with_context(|| format!("{name}: the browser never came back"))?;
            let wanted = differs.last_event_id.as_ref();
            let wanted = wanted.unwrap_or(&vector.last_event_id);
            expect("Last-Event-ID", format!("{id:?}"), format!("{wanted:?}"));
            let retry = differs.retry.or(vector.retry).unwrap_or(default_retry);
            if after + EARLY < Duration::from_millis(retry) {
                wrong.push(format!(
                    "{name}: back after {after:?}, not after {retry} ms"
                ));
            }
            let next = times.range(retry + 1..).next();
            // Above all the times in use there is nothing to confuse it with.
            if next.is_some_and(|&next| after >= Duration::from_millis(next)) {
                late.push(number);
                told.push(format!("{name}: after {after:?}, not {retry} ms"));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        if late.is_empty() {
            return Ok(());
        }
        left = late;
    }
    anyhow::bail!("the browser came back too late, each time: {told:#?}")
}

pub(crate) async fn the_parser_of_this_book_reads_it_so_too(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Parsed {
        events: Vec<StreamEvent>,
        last_event_id: String,
        retry: Option<u64>,
        /// The same events through the loop that a page uses.
        read: Vec<StreamEvent>,
    }
    drop(suite);
    let vectors = Vector::all()?;
    let server = Server::new(&vectors)?.start().await?;
    page.open(&server.root).await?;
    let parse = "return (async () => {
        const { EventStreamParser, readEvents } = await import('/sse/event-stream.js');
        const all = [];
        for (let number = 0; number < arguments[0]; number += 1) {
            const events = [];
            const parser = new EventStreamParser((event) => events.push(event));
            const { body } = await fetch(`bytes/${number}`);
            for (let reader = body.getReader();;) {
                const { done, value } = await reader.read();
                if (done) break;
                parser.push(value);
            }
            const read = [];
            for await (const event of readEvents((await fetch(`bytes/${number}`)).body)) read.push(event);
            all.push({ events, lastEventId: parser.lastEventId, retry: parser.retry, read });
        }
        return all;
    })()";
    // An arrow function has the arguments of the function around it.
    let parsed: Vec<Parsed> = page.run(parse, &[json!(vectors.len())]).await?;
    assert_eq!(parsed.len(), vectors.len());
    for (parsed, vector) in parsed.into_iter().zip(vectors) {
        let Vector {
            name,
            events,
            last_event_id,
            retry,
            ..
        } = vector;
        let expected = Parsed {
            read: events.clone(),
            events,
            last_event_id,
            retry,
        };
        assert_eq!(parsed, expected, "{name}");
    }
    Ok(())
}
