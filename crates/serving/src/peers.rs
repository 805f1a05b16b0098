//! The connections of one server, and what each holds: which gives way when there are
//! too many, and which has stopped taking its answers.

use crate::Config;
use axum::{body::Body, extract::FromRequestParts};
use bytes::Bytes;
use http::{header, request::Parts, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{ready, Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{sleep_until, Instant};

/// An answer is handed to hyper in pieces of this many bytes: the progress that a slow
/// reader makes is seen by them, and an HTTP/2 stream whose window is all but shut
/// holds one of them and not the whole answer.
const PIECE: usize = 16 * 1024;

/// How long a connection that was told to end may take for it: a round trip, or two on
/// a bad line.
const GOODBYE: Duration = Duration::from_secs(5);

/// `wait` after `instant`, or years later where that is beyond all clocks.
fn later(instant: Instant, wait: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    instant.checked_add(wait).unwrap_or_else(|| instant + YEARS)
}

/// Every connection that a server has open as HTTP. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    table: Arc<Mutex<Table>>,
    limits: Arc<Limits>,
}

#[derive(Debug)]
struct Limits {
    idle: Duration,
    progress: Duration,
    unsent: usize,
}

/// Locked at the beginning and the end of each request and of each piece of an answer;
/// not for the events of a stream.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    peers: HashMap<u64, State>,
    /// The bytes of all answers that are in memory and not yet sent, but those of
    /// connections that are being ended.
    unsent: usize,
}

/// What one connection is doing.
#[derive(Debug)]
struct State {
    /// How many of its requests are not over: their answer is not there yet, or not all
    /// handed over, or is a stream.
    requests: usize,
    /// The bytes of its answers that are in memory and not yet sent.
    unsent: usize,
    /// Since when it has had no request, or no piece of an answer has gone.
    since: Instant,
    /// It is to end.
    ends: bool,
    /// Who waits for that. Not a [`Signal`](signal::Signal), which has room of its own:
    /// only the task of the connection waits, and the table is locked in any case.
    task: Option<Waker>,
}

/// One connection; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    peers: Peers,
    number: u64,
}

/// Why a connection is ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nothing was asked for a while. It may say goodbye.
    Idle,
    /// It gives way to another, or does not take its answers.
    Dropped,
}

impl Peers {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            table: Arc::default(),
            limits: Arc::new(Limits {
                idle: config.idle,
                progress: config.write_progress,
                unsent: config.max_unsent_bytes,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection.
    pub(crate) fn join(&self) -> Arc<Peer> {
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        let state = State {
            requests: 0,
            unsent: 0,
            since: Instant::now(),
            ends: false,
            task: None,
        };
        table.peers.insert(number, state);
        Arc::new(Peer {
            peers: self.clone(),
            number,
        })
    }

    /// Ends the connection that has had no request for longest; whether there is one.
    pub(crate) fn end_idlest(&self) -> bool {
        let mut table = self.lock();
        let idle = table.peers.iter().filter(|(_, it)| it.requests == 0);
        let live = idle.filter(|(_, it)| !it.ends);
        let idlest = live.min_by_key(|(_, it)| it.since);
        let number = idlest.map(|(number, _)| *number);
        number.inspect(|number| table.end(*number)).is_some()
    }
}

impl Table {
    fn end(&mut self, number: u64) {
        if let Some(state) = self.peers.get_mut(&number) {
            state.ends = true;
            state.task.take().inspect(Waker::wake_by_ref);
            self.unsent -= state.unsent;
        }
    }

    /// Adds to what a connection has not been sent yet, and ends the one with most
    /// where that is too much.
    fn hold(&mut self, number: u64, bytes: usize, limit: usize) {
        let Some(state) = self.peers.get_mut(&number) else {
            return;
        };
        if state.unsent == 0 {
            // The clock of its progress starts.
            state.since = Instant::now();
        }
        state.unsent += bytes;
        if state.ends {
            return;
        }
        self.unsent += bytes;
        if self.unsent > limit {
            let live = self.peers.iter().filter(|(_, it)| !it.ends);
            let most = live.max_by_key(|(_, it)| it.unsent);
            if let Some(number) = most.map(|(number, _)| *number) {
                self.end(number);
            }
        }
    }

    fn let_go(&mut self, number: u64, bytes: usize) {
        // Always there: what is held keeps its connection in the table.
        if let Some(state) = self.peers.get_mut(&number) {
            state.unsent -= bytes;
            state.since = Instant::now();
            if !state.ends {
                self.unsent -= bytes;
            }
        }
    }
}

impl Peer {
    /// Counts a request until every clone of what this returns is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> Underway {
        if let Some(state) = self.peers.lock().peers.get_mut(&self.number) {
            state.requests += 1;
        }
        Underway {
            _counted: Some(Arc::new(Counted(self.clone()))),
        }
    }

    /// Completes when this connection should end, with the reason. `told` is whether it
    /// was told so already; then it has a while to do so by itself.
    pub(crate) async fn overdue(&self, told: bool) -> Overdue {
        let limits = &self.peers.limits;
        let mut ends = Ends(self);
        loop {
            let due = self.with(|state| match (state.requests, state.unsent) {
                (0, 0) if told => {
                    let until = later(state.since, limits.idle.saturating_add(GOODBYE));
                    Some((until, Overdue::Dropped))
                }
                (0, 0) => Some((later(state.since, limits.idle), Overdue::Idle)),
                (_, 0) => None,
                _ => Some((later(state.since, limits.progress), Overdue::Dropped)),
            });
            // Whatever begins to count from now on is due no earlier than this.
            let next = later(Instant::now(), limits.idle.min(limits.progress));
            let until = match due.flatten() {
                Some((until, why)) if until <= Instant::now() => return why,
                Some((until, _)) => until.min(next),
                // A stream or a request that waits.
                None => next,
            };
            tokio::select! {
                // Cancel-safe, both: they only wait.
                () = &mut ends => return Overdue::Dropped,
                () = sleep_until(until) => {}
            }
        }
    }

    /// Whether a request of it is not over.
    pub(crate) fn is_busy(&self) -> bool {
        self.with(|state| state.requests > 0).unwrap_or_default()
    }

    fn with<T>(&self, look: impl FnOnce(&State) -> T) -> Option<T> {
        self.peers.lock().peers.get(&self.number).map(look)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.peers.lock().peers.remove(&self.number);
    }
}

/// The wait of a connection's task for being told to end. The last one counts.
struct Ends<'a>(&'a Peer);

impl Future for Ends<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Peer { peers, number } = self.0;
        match peers.lock().peers.get_mut(number) {
            Some(state) if !state.ends => {
                state.task = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
            None => unreachable!("it leaves the table when it is dropped"),
        }
    }
}

impl Drop for Ends<'_> {
    /// A waker keeps the memory of its task, and an upgraded connection outlives that.
    fn drop(&mut self) {
        let Peer { peers, number } = self.0;
        if let Some(state) = peers.lock().peers.get_mut(number) {
            state.task = None;
        }
    }
}

/// A request that is not over. It is over when its answer is, or when the handler drops
/// the last clone of this, where it took one from the request: one that upgrades an
/// HTTP/2 stream keeps it for as long as the stream is open, because an idle connection
/// is ended ([`Config::idle`]).
///
/// Empty where the request came another way than through [`serve`](crate::serve).
#[derive(Clone, Debug, Default)]
pub struct Underway {
    _counted: Option<Arc<Counted>>,
}

#[derive(Debug)]
struct Counted(Arc<Peer>);

impl Drop for Counted {
    fn drop(&mut self) {
        let peer = &self.0;
        if let Some(state) = peer.peers.lock().peers.get_mut(&peer.number) {
            state.requests -= 1;
            if state.requests == 0 {
                state.since = Instant::now();
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Underway {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// An answer on its way. Of one whose length is known, and so lies in memory, the bytes
/// are counted until they are sent.
pub(crate) struct Answer {
    body: Body,
    /// Bytes that the body has given and that were not handed on yet.
    rest: Bytes,
    /// What is counted. `None` for a stream of events, which is bounded by its place,
    /// and may have nothing to say.
    held: Option<Held>,
    /// Whether it is all that the body will give, and `rest`; otherwise it stands for
    /// what the body, a file for example, has open.
    exact: bool,
    _underway: Underway,
}

/// Bytes that are counted until this is dropped.
struct Held {
    peer: Arc<Peer>,
    bytes: usize,
}

impl Held {
    fn new(peer: Arc<Peer>, bytes: usize) -> Self {
        let limit = peer.peers.limits.unsent;
        peer.peers.lock().hold(peer.number, bytes, limit);
        Self { peer, bytes }
    }

    /// Some of it has been asked for.
    fn moves(&self) {
        if let Some(state) = self.peer.peers.lock().peers.get_mut(&self.peer.number) {
            state.since = Instant::now();
        }
    }

    /// Takes some of them out, to be counted apart.
    fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            peer: self.peer.clone(),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.peer.peers.lock().let_go(self.peer.number, self.bytes);
        }
    }
}

/// A piece of an answer that is counted until nobody needs it any more.
struct Piece {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answer {
    /// `version` is the request's.
    pub(crate) fn of(
        response: Response<Body>,
        version: Version,
        peer: &Arc<Peer>,
        underway: Underway,
    ) -> Response<Self> {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let events =
            kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        response.map(|body| {
            let exact = body.size_hint().exact();
            let exact = exact.and_then(|bytes| usize::try_from(bytes).ok());
            let counted = match exact {
                // On HTTP/1 its connection has one such, and the deadline of its
                // writes.
                None if events || version < Version::HTTP_2 => None,
                bytes => Some(bytes.unwrap_or(PIECE)),
            };
            Self {
                held: counted.map(|bytes| Held::new(peer.clone(), bytes)),
                exact: exact.is_some(),
                body,
                rest: Bytes::new(),
                _underway: underway,
            }
        })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let held = match &mut this.held {
            Some(held) if this.exact => held,
            held => {
                let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
                if let Some(held) = held {
                    held.moves();
                }
                return Poll::Ready(frame);
            }
        };
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let bytes = this.rest.split_to(this.rest.len().min(PIECE));
        let _held = held.split(bytes.len());
        let piece = Bytes::from_owner(Piece { bytes, _held });
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.exact {
            true => {
                let rest = self.rest.len() as u64;
                let exact = self.body.size_hint().exact().map(|bytes| bytes + rest);
                exact.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            false => self.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn who_no_longer_waits_is_not_kept() {
        let peer = Peers::new(&Config::default()).join();
        let task = Arc::new(Task);
        {
            let mut ends = Ends(&peer);
            let waker = task.clone().into();
            let polled = Pin::new(&mut ends).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            drop(waker);
            assert_eq!(Arc::strong_count(&task), 2);
        }
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
