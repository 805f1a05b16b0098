//! The floors of the libraries: the least server of each that the book's own clients can follow.
//!
//! A log in memory behind a channel, no limits, no heartbeats, no resuming, no gaps, no shutdown.
//! An event is encoded once, when it is published, into the bytes that the book's server of the
//! same method sends. Each reader is a task that waits for the channel. What the book's server
//! costs beyond this is what its guarantees cost, and its own code.

use crate::{
    floor::{self, EPOCH},
    method::Method,
};
use anyhow::{bail, Context as _};
use axum::{
    extract::{
        ws::{Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::IntoResponse,
    routing, Router,
};
use bytes::Bytes;
use contract::{headers::PREFER, socket::SUBPROTOCOL, NewEvent};
use futures_util::stream::{self, Stream};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
    Request, Response, StatusCode,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible, future::Future, net::IpAddr, process::ExitCode, sync::Arc, time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

/// How long a question is parked, as the book's server does at most.
const PARKED: Duration = Duration::from_secs(25);

/// An hour, so that no client misses the heartbeats.
const EVERY: u64 = 3_600_000;

/// As the book's server has it. axum's default is 128 KiB.
const READ_BUFFER: usize = 1024;

/// Serves until the process is ended.
pub fn run(floor: Method, host: IpAddr) -> anyhow::Result<ExitCode> {
    // The worker threads follow TOKIO_WORKER_THREADS, as those of the book's servers do.
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind((host, 0)).await?;
        println!("{floor}: http://{}/", listener.local_addr()?);
        match floor {
            Method::HyperStream => serve(listener, Log::new(stream_block), open_stream).await,
            Method::HyperAnswer => serve(listener, Log::new(page_of_one), answer).await,
            Method::AxumSocket => {
                let events = routing::get(open_socket).post(publish_to_sockets);
                let router = Router::new()
                    .route("/events", events)
                    .with_state(Log::new(socket_message));
                let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
                    // An event is a small write that somebody waits for.
                    let _ = socket.set_nodelay(true);
                });
                axum::serve(listener, router).await?;
                Ok(ExitCode::SUCCESS)
            }
            other => bail!("{other} is no floor of a library"),
        }
    })
}

/// All events, each as it is sent.
#[derive(Clone)]
struct Log {
    encoded: Arc<watch::Sender<Vec<Bytes>>>,
    encode: fn(usize, &str) -> String,
}

impl Log {
    /// `encode` makes what is sent of an event's place and its JSON.
    fn new(encode: fn(usize, &str) -> String) -> Self {
        let encoded = Arc::new(watch::Sender::new(Vec::new()));
        Self { encoded, encode }
    }

    /// Takes the body of a publish; the body of its answer.
    fn publish(&self, body: &[u8]) -> anyhow::Result<String> {
        let NewEvent { kind, data } = serde_json::from_slice(body)?;
        let mut id = 0;
        self.encoded.send_modify(|encoded| {
            let n = encoded.len();
            let json = floor::event_json(n, kind.as_str(), data.as_str());
            encoded.push((self.encode)(n, &json).into());
            id = n + 1;
        });
        Ok(format!(r#"{{"id":"{EPOCH}.{id}"}}"#))
    }

    /// A place at the end.
    fn end(&self) -> Place {
        let encoded = self.encoded.subscribe();
        let seen = encoded.borrow().len();
        Place { encoded, seen }
    }
}

/// A reader's place in the log.
struct Place {
    encoded: watch::Receiver<Vec<Bytes>>,
    seen: usize,
}

impl Place {
    /// The next event, as it is sent. It may be dropped and called again.
    async fn next(&mut self) -> Bytes {
        loop {
            let next = self.encoded.borrow_and_update().get(self.seen).cloned();
            if let Some(next) = next {
                self.seen += 1;
                return next;
            }
            if self.encoded.changed().await.is_err() {
                // The log is as old as the process.
                std::future::pending::<()>().await;
            }
        }
    }
}

type Body<S> = Either<Full<Bytes>, StreamBody<S>>;

/// Serves HTTP/1.1 by hyper alone: publishes, and what `read` answers.
async fn serve<F, S>(
    listener: TcpListener,
    log: Log,
    read: fn(Request<Incoming>, Log) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = Response<Body<S>>> + Send + 'static,
    S: Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
{
    loop {
        let (socket, _) = listener.accept().await.context("accept")?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket, log.clone(), read));
    }
}

async fn connection<F, S>(socket: TcpStream, log: Log, read: fn(Request<Incoming>, Log) -> F)
where
    F: Future<Output = Response<Body<S>>> + Send + 'static,
    S: Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let log = log.clone();
        async move {
            if request.method() != hyper::Method::POST {
                return anyhow::Ok(read(request, log).await);
            }
            let body = request.into_body().collect().await?.to_bytes();
            Ok(whole("application/json", log.publish(&body)?.into()))
        }
    });
    // A client that goes away ends it with an error.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

fn whole<S>(content_type: &'static str, body: Bytes) -> Response<Body<S>> {
    respond(content_type, Either::Left(Full::new(body)))
}

fn respond<S>(content_type: &'static str, body: Body<S>) -> Response<Body<S>> {
    let response = Response::builder()
        .header(CONTENT_TYPE, content_type)
        .header(CACHE_CONTROL, "no-store");
    response.body(body).expect("these headers are valid")
}

fn hello(seen: usize) -> String {
    format!(r#"{{"cursor":"{EPOCH}.{seen}","every":{EVERY}}}"#)
}

// An event stream.

fn stream_block(n: usize, json: &str) -> String {
    format!("id: {EPOCH}.{}\ndata: {json}\n\n", n + 1)
}

async fn open_stream(
    _request: Request<Incoming>,
    log: Log,
) -> Response<Body<impl Stream<Item = Result<Frame<Bytes>, Infallible>>>> {
    let place = log.end();
    let seen = place.seen;
    let greeting = format!(
        "id: {EPOCH}.{seen}\nevent: hello\nretry: 1500\ndata: {}\n\n",
        hello(seen)
    );
    let blocks = stream::unfold((Some(greeting), place), |(greeting, mut place)| async {
        let block = match greeting {
            Some(greeting) => greeting.into(),
            None => place.next().await,
        };
        Some((Ok(Frame::data(block)), (None, place)))
    });
    respond("text/event-stream", Either::Right(StreamBody::new(blocks)))
}

// A socket.

fn socket_message(_n: usize, json: &str) -> String {
    format!(r#"{{"event":{json}}}"#)
}

async fn open_socket(
    State(log): State<Log>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER);
    upgrade.on_upgrade(move |socket| follow(socket, log.end()))
}

async fn follow(mut socket: WebSocket, mut place: Place) {
    let greeting = format!(r#"{{"hello":{}}}"#, hello(place.seen));
    let mut sent = socket.send(Message::Text(greeting.into())).await;
    while sent.is_ok() {
        sent = tokio::select! {
            // Cancel-safe, both: a message stays in the socket, an event in the log.
            event = place.next() => {
                let text = event.try_into().expect("JSON is UTF-8");
                socket.send(Message::Text(text)).await
            }
            received = socket.recv() => match received {
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) | None => return,
            },
        };
    }
}

async fn publish_to_sockets(
    State(log): State<Log>,
    body: Bytes,
) -> Result<impl IntoResponse, StatusCode> {
    match log.publish(&body) {
        Ok(accepted) => Ok(([(CONTENT_TYPE, "application/json")], accepted)),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

// A long poll.

fn page_of_one(n: usize, json: &str) -> String {
    let next = n + 1;
    format!(r#"{{"after":"{EPOCH}.{n}","events":[{json}],"next":"{EPOCH}.{next}"}}"#)
}

/// Answers with the event after the one that the reader has, or when there is one; one in a page.
/// Who has no place yet gets it at once.
async fn answer(
    request: Request<Incoming>,
    log: Log,
) -> Response<Body<stream::Empty<Result<Frame<Bytes>, Infallible>>>> {
    let mut place = log.end();
    let after = request.uri().query().and_then(|query| {
        let cursor = query.strip_prefix("after=")?;
        cursor.strip_prefix(EPOCH)?.strip_prefix('.')?.parse().ok()
    });
    let parked = request.headers().contains_key(PREFER);
    place.seen = after.unwrap_or(place.seen);
    let event = match parked {
        true => timeout(PARKED, place.next()).await.ok(),
        false => None,
    };
    let page = event.unwrap_or_else(|| {
        let seen = place.seen;
        format!(r#"{{"after":"{EPOCH}.{seen}","events":[],"next":"{EPOCH}.{seen}"}}"#).into()
    });
    let mut response = whole("application/json", page);
    let applied = hyper::header::HeaderValue::from_static("wait=25");
    response.headers_mut().insert("preference-applied", applied);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{socket::ServerMessage, LogPage};

    #[tokio::test]
    async fn what_is_sent_is_what_the_contracts_types_read() {
        let body = br#"{"kind":"message","data":{"n":7}}"#;
        let sent = async |encode: fn(usize, &str) -> String| {
            let log = Log::new(encode);
            let mut place = log.end();
            let accepted = log.publish(body).unwrap();
            assert_eq!(accepted, r#"{"id":"k3f9x2.1"}"#);
            String::from_utf8(place.next().await.to_vec()).unwrap()
        };
        let page: LogPage = serde_json::from_str(&sent(page_of_one).await).unwrap();
        assert_eq!(page.after.to_string(), "k3f9x2.0");
        assert_eq!(page.next, page.events[0].id);
        let json = serde_json::to_string(&page.events[0]).unwrap();
        let message = ServerMessage::read(&sent(socket_message).await).unwrap();
        assert!(
            matches!(message, Some(ServerMessage::Event(_))),
            "{message:?}"
        );
        let block = format!("id: k3f9x2.1\ndata: {json}\n\n");
        assert_eq!(sent(stream_block).await, block);
    }

    #[tokio::test]
    async fn a_reader_gets_each_event_however_many_came_meanwhile() {
        let log = Log::new(|n, _| n.to_string());
        let mut place = log.end();
        for _ in 0..3 {
            log.publish(br#"{"kind":"tick","data":1}"#).unwrap();
        }
        for n in ["0", "1", "2"] {
            assert_eq!(place.next().await, n);
        }
    }
}
