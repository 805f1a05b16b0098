//! The server: HTTP/2 over TLS by the `h2` crate, because no axum router and no hyper
//! can push.

use crate::{
    pages::{find, page, Content, Found, Part, Way, PARTS},
    recording::{Recording, Tap},
};
use bytes::Bytes;
use contract::Problem;
use futures_util::{
    future::{BoxFuture, FutureExt as _},
    stream::{FuturesUnordered, StreamExt as _},
};
use h2::server::{Builder, Connection, SendResponse};
use http::{
    header, uri::Uri, HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
};
use serde_json::json;
use serving::{Allowed, Ending, Listener};
use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tls::{Acceptor, Identity, Protocol};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout, Instant},
};
use tracing::debug;

/// How long a connection has, once it was told that it ends, for the answers that are
/// under way.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What the page has to wait for, with what was recorded of its connection so far.
pub type Work = Arc<dyn Fn(Recording) -> BoxFuture<'static, ()> + Send + Sync>;

/// Every limit of the server, and what the page waits for. The limits of its
/// connections are those of [`serving::Config`].
#[derive(Clone)]
pub struct Config {
    /// The hosts that the server answers for, besides IP addresses and `localhost`;
    /// default none.
    pub allowed: Allowed,
    /// How long TLS and the first bytes of HTTP/2 may take; default 10 s, as long as
    /// the edge waits for the head of a request.
    pub handshake: Duration,
    /// How long a connection stays open after its newest request; default 60 s.
    ///
    /// A browser keeps its connection for the next click, which comes within a minute
    /// or not at all. It also ends a client that takes no bytes of an answer, by
    /// leaving its window shut.
    pub idle: Duration,
    /// The most streams (requests) at once on one connection; default 100, the least
    /// that [RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)
    /// recommends.
    pub max_streams: u32,
    /// The most bytes of a request's headers, uncompressed; default 16 KiB, as much as
    /// at the edge of the other servers.
    pub max_header_list: u32,
    /// What stands between the request for a page and the page; default: a pause of 300
    /// ms.
    ///
    /// In a real server that is a database. It is the time in which a push, or a hint,
    /// can be of use: without it, the page itself would be there first.
    pub work: Work,
    /// What the header `Date` is taken from; default [`SystemTime::now`]. A test that
    /// compares bytes lets it stand still.
    pub clock: fn() -> SystemTime,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed: Allowed::default(),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            max_streams: 100,
            max_header_list: 16 * 1024,
            work: Arc::new(|_| sleep(Duration::from_millis(300)).boxed()),
            clock: SystemTime::now,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("allowed", &self.allowed)
            .field("handshake", &self.handshake)
            .field("idle", &self.idle)
            .field("max_streams", &self.max_streams)
            .field("max_header_list", &self.max_header_list)
            .finish_non_exhaustive()
    }
}

/// Serves the pages to every connection of `listener` until `ending` begins.
///
/// `edge` bounds connections, their first bytes and their writes, as for every server
/// of the book.
///
/// # Errors
/// As [`serving::serve`].
pub async fn serve<L: Listener>(
    listener: L,
    identity: Identity,
    config: Config,
    edge: serving::Config,
    ending: Ending,
) -> io::Result<()> {
    // Shared by all connections and never changed.
    // Nothing but HTTP/2: a client that does not offer it is told so by TLS.
    let acceptor = identity.acceptor(&[Protocol::Http2], config.handshake);
    let site = Arc::new(Site { acceptor, config });
    serving::serve_connections(listener, edge, ending, move |io, ending| {
        let site = site.clone();
        async move {
            if let Err(error) = site.connection(io, &ending).await {
                // Not a warning: browsers try whether they like a certificate, and
                // peers leave in every possible way.
                debug!(%error, "a connection ended");
            }
        }
    })
    .await
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the handshake took too long")]
    TooSlow(#[from] tokio::time::error::Elapsed),
    #[error("TLS: {0}")]
    Tls(#[from] io::Error),
    #[error("HTTP/2: {0}")]
    Http(#[from] h2::Error),
}

/// A request whose page is not ready yet, and later the place for the page.
type Waiting = BoxFuture<'static, Option<(Way, Asked, SendResponse<Bytes>)>>;

/// What an answer has to know of its request.
struct Asked {
    uri: Uri,
    /// A HEAD: the answer has no body.
    head: bool,
}

struct Site {
    acceptor: Acceptor,
    config: Config,
}

impl Site {
    async fn connection<I>(&self, io: I, ending: &Ending) -> Result<(), Ended>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let patience = self.config.handshake;
        let tls = self.acceptor.accept(io).await?;
        let recording = Recording::new();
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(self.config.max_streams)
            .max_header_list_size(self.config.max_header_list);
        let tap = Tap::of_server(tls, recording.clone());
        let connection = timeout(patience, builder.handshake(tap)).await??;
        self.requests(connection, &recording, ending).await
    }

    /// Answers the requests of one connection until it ends. There is no task for each:
    /// every answer lies in memory, except for the page, whose wait is polled here
    /// beside the connection.
    async fn requests<I>(
        &self,
        mut connection: Connection<I, Bytes>,
        recording: &Recording,
        ending: &Ending,
    ) -> Result<(), Ended>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        // As many as there are streams: a wait ends when its stream does.
        let mut waiting = FuturesUnordered::new();
        let mut begun = pin!(ending.begun());
        let mut idle = pin!(sleep(self.config.idle));
        let mut closing = false;
        loop {
            tokio::select! {
                // Cancel-safe: it only waits. Not again: the token stays cancelled.
                () = &mut begun, if !closing => {
                    closing = true;
                    connection.graceful_shutdown();
                    idle.as_mut().reset(Instant::now() + LAST_WORDS);
                }
                // Cancel-safe: it only waits.
                () = &mut idle => {
                    if closing {
                        return Ok(());
                    }
                    closing = true;
                    connection.graceful_shutdown();
                    idle.as_mut().reset(Instant::now() + LAST_WORDS);
                }
                // Cancel-safe: what was not taken stays in the set. Off while the set
                // is empty.
                Some(ready) = waiting.next() => {
                    if let Some((way, asked, respond)) = ready {
                        send_answer(self.page(way), &asked, respond);
                    }
                }
                // Cancel-safe: it is one poll of the connection, which keeps whatever
                // it has read.
                accepted = connection.accept() => match accepted {
                    None => return Ok(()),
                    Some(accepted) => {
                        let (request, respond) = accepted?;
                        if !closing {
                            idle.as_mut().reset(Instant::now() + self.config.idle);
                        }
                        waiting.extend(self.answer(request.map(drop), respond, recording));
                    }
                },
            }
        }
    }

    /// Answers a request, or begins to, if it is for a page.
    fn answer(
        &self,
        request: Request<()>,
        respond: SendResponse<Bytes>,
        recording: &Recording,
    ) -> Option<Waiting> {
        let method = request.method();
        let asked = Asked {
            uri: request.uri().clone(),
            head: method == Method::HEAD,
        };
        let refused =
            match self
                .config
                .allowed
                .check(method, request.uri(), request.headers())
            {
                Err(problem) => problem,
                Ok(()) => match find(asked.uri.path()) {
                    None => Problem::not_found(),
                    Some(_) if !matches!(*method, Method::GET | Method::HEAD) => {
                        Problem::method_not_allowed()
                    }
                    Some(Found::Page(way)) => {
                        return Some(self.begin(way, asked, respond, recording))
                    }
                    Some(Found::Part(part)) => {
                        send_answer(self.ok(part.content()), &asked, respond);
                        return None;
                    }
                    Some(Found::Connection) => {
                        let told = json!({
                            "enable_push": recording.enable_push(),
                            "promises": recording.promises(),
                            "refused": recording.refused(),
                            "hints": recording.hints(),
                            "frames": recording.to_string(),
                        });
                        let content =
                            Content::new("application/json", told.to_string());
                        send_answer(self.ok(content), &asked, respond);
                        return None;
                    }
                },
            };
        send_answer(self.refusal(&refused), &asked, respond);
        None
    }

    // ANCHOR: begin
    /// Sends what can be sent before there is a page, and returns the wait for the
    /// page.
    fn begin(
        &self,
        way: Way,
        asked: Asked,
        mut respond: SendResponse<Bytes>,
        recording: &Recording,
    ) -> Waiting {
        let early = match way {
            Way::Push => PARTS
                .iter()
                .try_for_each(|part| self.push(part, &asked.uri, &mut respond)),
            Way::EarlyHints => hint(&mut respond),
            Way::Plain => Ok(()),
        };
        if let Err(error) = early {
            // Above all: the client takes no pushes. The page does not depend on any of
            // it.
            debug!(%error, "nothing was sent ahead of the page");
        }
        let work = (self.config.work)(recording.clone());
        async move {
            tokio::select! {
                // Cancel-safe as far as it matters: its page is dropped with it.
                () = work => Some((way, asked, respond)),
                // The client does not want the page any more. Without this arm, one
                // that asks and takes back would leave a wait behind each time.
                // Cancel-safe: it only looks.
                _ = poll_fn(|cx| respond.poll_reset(cx)) => None,
            }
        }
        .boxed()
    }
    // ANCHOR_END: begin

    // ANCHOR: push
    /// Promises a part of the page, and sends it.
    ///
    /// # Errors
    /// If the client takes no pushes: `h2` knows its SETTINGS and refuses to promise
    /// (RFC 9113 §8.4).
    fn push(
        &self,
        part: &Part,
        page: &Uri,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        // The request that the client has not made. Its host is the page's: a server
        // may push only what it could answer.
        let mut promised = Request::new(());
        *promised.uri_mut() = on_same_host(page, &part.path(Way::Push));
        // Promised now, before the page that names it. A promise that came later could
        // meet a request on its way.
        let mut pushed = respond.push_request(promised)?;
        let Answer { head, body } = self.ok(part.content());
        pushed.send_response(head, false)?.send_data(body, true)
    }
    // ANCHOR_END: push

    fn ok(&self, content: Content) -> Answer {
        let mut head = Response::new(());
        *head.headers_mut() = content.headers();
        // An origin with a clock sends it (RFC 9110 §6.6.1).
        if let Ok(now) =
            HeaderValue::try_from(httpdate::fmt_http_date((self.config.clock)()))
        {
            head.headers_mut().insert(header::DATE, now);
        }
        Answer {
            head,
            body: content.body,
        }
    }

    fn page(&self, way: Way) -> Answer {
        let mut answer = self.ok(page(way));
        if way == Way::EarlyHints {
            // Once more in the final answer: who did not see the 103 may still use them
            // (RFC 8297 §2).
            add_links(answer.head.headers_mut());
        }
        answer
    }

    fn refusal(&self, problem: &Problem) -> Answer {
        let body = serde_json::to_vec(problem).expect("texts and numbers become JSON");
        let mut answer = self.ok(Content::new(contract::PROBLEM_JSON, body));
        *answer.head.status_mut() = StatusCode::from_u16(problem.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if problem.status == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static("GET, HEAD");
            answer.head.headers_mut().insert(header::ALLOW, allow);
        }
        answer
    }
}

// ANCHOR: hint
/// Sends a 103 that names the parts (RFC 8297).
fn hint(respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut early = Response::new(());
    *early.status_mut() = StatusCode::EARLY_HINTS;
    add_links(early.headers_mut());
    respond.send_informational(early)
}
// ANCHOR_END: hint

/// Names the parts in `Link` headers, as the 103 and the page itself do.
fn add_links(headers: &mut HeaderMap) {
    for part in &PARTS {
        // Never refused: the names are known, and are plain.
        if let Ok(link) = HeaderValue::try_from(part.link(Way::EarlyHints)) {
            headers.append(header::LINK, link);
        }
    }
}

/// The address of `path` on the host of `page`.
fn on_same_host(page: &Uri, path: &str) -> Uri {
    let mut parts = page.clone().into_parts();
    parts.path_and_query = Some(path.parse().expect("a plain path of this server"));
    Uri::from_parts(parts).expect("the parts of an address, with another path")
}

/// An answer whose every byte is there.
struct Answer {
    head: Response<()>,
    body: Bytes,
}

/// Sends an answer. It is handed over whole and without waiting for the peer's window:
/// every body is a few KiB, that of a record at most as long as a [`Recording`] is, and
/// a connection has at most [`Config::max_streams`] of them.
fn send_answer(answer: Answer, asked: &Asked, mut respond: SendResponse<Bytes>) {
    let sent = respond
        .send_response(answer.head, asked.head)
        .and_then(|mut body| match asked.head {
            true => Ok(()),
            false => body.send_data(answer.body, true),
        });
    if let Err(error) = sent {
        debug!(%error, "the client took its request back");
    }
}
