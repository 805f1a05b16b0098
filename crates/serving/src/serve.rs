//! The accept loop, and the life of one connection.

use crate::{
    counts::Counts,
    deadline_io::{DeadlineIo, Held, Watch},
    edge::Edge,
    http::Http,
    peers::{Answer, Overdue, Peer, Peers},
    secure::Secure,
    when_woken::WhenWoken,
    Config, Ending, Guarded, Listener,
};
use axum::body::Body;
use contract::{metrics::ConnectionEnd, ProblemKind};
use futures_util::FutureExt as _;
use http::{Request, StatusCode, Version};
use hyper::{body::Incoming, service::service_fn};
use shares::Shares;
use std::{
    convert::Infallible,
    future::{pending, Future},
    io,
    pin::pin,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc,
    },
    time::Duration,
};
use tls::{Acceptor, Identity, Protocol};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tracing::{debug, debug_span, field, info, warn, Instrument as _, Span};

/// The first pause after an error of `accept`: long enough for some connection to end
/// and free its descriptor.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause. A server out of descriptors should take the next peer within a
/// second of having one again, and write one line a second about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a connection that can be spared is looked for while every place is taken
/// and a peer waits.
const ROOM_SOUGHT: Duration = Duration::from_millis(100);

/// How long one that was ended has to be gone before another is ended in its stead.
const ROOM_MADE: Duration = Duration::from_secs(1);

/// How long tasks have to notice that they were cut. Dropping them takes one turn of
/// the scheduler; a task that never yields must not hold the server.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Serves `router` to every connection of `listener`, within the limits of `config`,
/// until `ending` begins.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge) share the port: the first bytes tell them
/// apart. Requests may be upgraded.
///
/// An ending that is [announced](Ending::announce) begins after [`Config::lame_duck`].
/// When it begins, no more connections are accepted and idle ones are closed. A
/// request under way may finish, and streams are expected to end themselves (see
/// [`Ending::begun`]). Whatever is still open after [`Config::drain`] is cut. `serve`
/// returns when nothing is open any more.
///
/// # Errors
/// It survives what passes: a peer that left before it was accepted (`ECONNABORTED`) is
/// skipped, and after any other error, such as running out of descriptors (`EMFILE`),
/// it pauses and goes on. It returns an error only if the listener cannot be one
/// ([`io::ErrorKind::InvalidInput`], [`io::ErrorKind::Unsupported`]); that, too, drains
/// first.
pub async fn serve<L: Listener>(
    listener: L,
    router: Guarded,
    config: Config,
    ending: Ending,
) -> io::Result<()> {
    serve_http(listener, None, router, config, ending).await
}

/// The same over TLS.
///
/// `identity` is who the server is. In ALPN it offers `h2` and `http/1.1`, in this
/// order. A client that knows no ALPN speaks HTTP/1.1.
///
/// A WebSocket over HTTP/1.1 needs a connection on which `http/1.1` was agreed, and
/// browsers offer nothing else on one that they open for it. On one that speaks HTTP/2
/// it is a stream ([RFC 8441](https://www.rfc-editor.org/rfc/rfc8441)), where the
/// client can do that.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls<L: Listener>(
    listener: L,
    identity: Identity,
    router: Guarded,
    config: Config,
    ending: Ending,
) -> io::Result<()> {
    let protocols = [Protocol::Http2, Protocol::Http1];
    let acceptor = identity.acceptor(&protocols, config.handshake);
    serve_http(listener, Some(acceptor), router, config, ending).await
}

async fn serve_http<L: Listener>(
    listener: L,
    acceptor: Option<Acceptor>,
    router: Guarded,
    config: Config,
    ending: Ending,
) -> io::Result<()> {
    let http = Arc::new(Http::new(&config));
    let edge = Edge::new(router, &config, ending.clone());
    let peers = Peers::new(&config);
    let room = {
        let peers = peers.clone();
        move || peers.end_idlest()
    };
    let connection = move |io, ending| {
        let (acceptor, http) = (acceptor.clone(), http.clone());
        // Boxed: it passes from future to future, and each has room for what passes.
        connection(
            Box::new(io),
            acceptor,
            http,
            edge.clone(),
            peers.clone(),
            ending,
        )
    };
    serve_all(listener, config, ending, room, connection).await
}

/// The same for what is no router: `connection` serves each connection to its end, and
/// ends by itself soon after the ending begins. It is cut after [`Config::drain`].
///
/// Of the limits those hold here that know nothing of HTTP:
/// [`Config::max_connections`], [`Config::first_bytes`], [`Config::write_progress`] and
/// [`Config::drain`]. The others are those of an HTTP server, which `connection` is to
/// be.
///
/// # Errors
/// As [`serve`].
pub async fn serve_connections<L, C, F>(
    listener: L,
    config: Config,
    ending: Ending,
    connection: C,
) -> io::Result<()>
where
    L: Listener,
    C: Fn(DeadlineIo<L::Io>, Ending) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // Which of its connections are idle is known to the caller alone.
    serve_all(listener, config, ending, || false, connection).await
}

/// `room` is called where every place is taken and a peer waits: it ends a connection
/// that can be spared, or says that there is none.
async fn serve_all<L, R, C, F>(
    mut listener: L,
    config: Config,
    ending: Ending,
    room: R,
    connection: C,
) -> io::Result<()>
where
    L: Listener,
    R: Fn() -> bool,
    C: Fn(DeadlineIo<L::Io>, Ending) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let accepted = tokio::select! {
        // Dropped only when the other has completed, which it does not.
        accepted = accept_all(&mut listener, room, connection, &config, &ending) => accepted,
        never = begin_when_announced(&config, &ending) => match never {},
    };
    // Closed before the drain, not after: a peer that connects now should be refused at
    // once and try elsewhere, not wait in the queue of a server that will never take
    // it.
    drop(listener);
    ending.begin();
    drain(&config, &ending).await;
    accepted
}

/// Begins an ending that was announced, after the time in which nobody new should come.
async fn begin_when_announced(config: &Config, ending: &Ending) -> Infallible {
    ending.announced().await;
    if !config.lame_duck.is_zero() && !ending.has_begun() {
        info!(
            "not ready any more; what is open ends in {:?}",
            config.lame_duck
        );
        sleep(config.lame_duck).await;
    }
    ending.begin();
    pending().await
}

/// Accepts until the ending begins.
async fn accept_all<L, R, C, F>(
    listener: &mut L,
    room: R,
    connection: C,
    config: &Config,
    ending: &Ending,
) -> io::Result<()>
where
    L: Listener,
    R: Fn() -> bool,
    C: Fn(DeadlineIo<L::Io>, Ending) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(config.max_connections));
    let counts = Arc::new(match config.counted {
        true => Counts::registered(),
        false => Counts::none(),
    });
    let shares = Shares::new(config.per_address, config.trusted_proxies.clone());
    let mut begun = pin!(ending.begun());
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: it only waits.
            () = &mut begun => return Ok(()),
            // Cancel-safe: `Listener` promises it.
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(io) => {
                pause = FIRST_PAUSE;
                let peer = L::peer(&io);
                let senders = shares.senders(peer.map(|peer| peer.ip()));
                // Before a place is sought: who has too many keeps nobody waiting.
                let Some(share) = senders.connect() else {
                    counts.refuses(ProblemKind::TooMany);
                    debug!(
                        peer = peer.map(field::display),
                        "too many connections of one address: closed"
                    );
                    continue;
                };
                // After the peer and not before: that somebody waits is the reason for
                // another to make room. One peer at a time waits so, and holds one
                // descriptor.
                let place = tokio::select! {
                    // Cancel-safe: it only waits.
                    () = &mut begun => return Ok(()),
                    // Cancel-safe here: dropping it gives up its turn, and nobody else
                    // is in line.
                    place = place(&places, &room) => place,
                };
                L::prepare(&io, config);
                let departed = L::departed(&io);
                let span = debug_span!(
                    "connection",
                    peer = peer.map(field::display),
                    protocol = field::Empty,
                    ended = field::Empty,
                );
                let (counts, open) = (counts.clone(), ending.count());
                let held =
                    Held::new(place, (senders, share), open, counts, span.clone());
                let io = DeadlineIo::new(io, config, departed, held);
                // Boxed, so that what is around it is small: what is moved from one
                // future into another takes its room in both.
                let connection = Box::pin(connection(io, ending.clone()));
                let served = ending.until_cut(connection);
                tokio::spawn(served.instrument(span));
            }
            Err(error) if was_the_peer(&error) => {
                debug!(%error, "a peer left before it was accepted")
            }
            Err(error) if is_for_good(&error) => return Err(error),
            Err(error) => {
                warn!(%error, "no connection could be accepted; trying again in {pause:?}");
                tokio::select! {
                    // Cancel-safe: it only waits.
                    () = &mut begun => return Ok(()),
                    // Cancel-safe: it only waits.
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// A place for one more connection, as soon as there is one.
async fn place(
    places: &Arc<Semaphore>,
    room: impl Fn() -> bool,
) -> OwnedSemaphorePermit {
    loop {
        if let Ok(place) = places.clone().try_acquire_owned() {
            return place;
        }
        // Where one was ended, its task has to run before its place is free. Where none
        // could be, one may become idle.
        let patience = if room() { ROOM_MADE } else { ROOM_SOUGHT };
        // Cancel-safe: its turn is lost, and nobody else is in line.
        match timeout(patience, places.clone().acquire_owned()).await {
            Ok(Ok(place)) => return place,
            Ok(Err(_)) => unreachable!("nobody closes this semaphore"),
            Err(_) => {}
        }
    }
}

/// The error is of the one connection. The next may be tried at once.
fn was_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// The error is of the listener, and stays.
fn is_for_good(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported)
}

/// The TLS of a connection, where there is any, and the version of HTTP.
async fn open<I>(
    mut io: Box<DeadlineIo<I>>,
    acceptor: Option<Acceptor>,
) -> io::Result<(Secure<Box<DeadlineIo<I>>>, Version)>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let Some(acceptor) = acceptor else {
        let version = io.version().await?;
        return Ok((Secure::Plain(io), version));
    };
    let stream = acceptor.accept(io).await?;
    let version = match tls::protocol(&stream) {
        Some(Protocol::Http2) => Version::HTTP_2,
        // Also where the peer knows no ALPN.
        Some(Protocol::Http1) | None => Version::HTTP_11,
    };
    Ok((Secure::Tls(Box::new(stream)), version))
}

/// Serves one connection to its end.
async fn connection<I>(
    mut io: Box<DeadlineIo<I>>,
    acceptor: Option<Acceptor>,
    http: Arc<Http>,
    edge: Arc<Edge>,
    peers: Peers,
    ending: Ending,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wire = io.wire();
    let (counts, senders, span) = (io.counts(), io.senders(), Span::current());
    let is_named = AtomicBool::new(span.is_disabled());
    let mut watch = io.watch();
    let peer = peers.join();
    let mut begun = pin!(ending.begun());
    // An opening that fails takes the connection with it.
    wire.ends(ConnectionEnd::Failed);
    let opened = tokio::select! {
        // Dropped only when the connection is over. Boxed, so that the room that a
        // handshake of TLS needs is free again after it.
        opened = Box::pin(open(io, acceptor)) => opened,
        // Nothing was asked yet, so there is nothing to finish.
        () = &mut begun => {
            wire.ends(ConnectionEnd::Closed);
            return;
        }
        // It gives way to another.
        _ = peer.overdue(true) => {
            wire.ends(ConnectionEnd::Dropped);
            return;
        }
    };
    let (io, version) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            // Not a warning: peers try ports, and browsers whether they like a
            // certificate.
            debug!(%error, "a connection did not open");
            return;
        }
    };
    // Every other end than this being dropped is set below.
    wire.ends(ConnectionEnd::Cut);
    let service = {
        let (peer, wire) = (peer.clone(), wire.clone());
        service_fn(move |mut request: Request<Incoming>| {
            counts.request();
            if !is_named.swap(true, Relaxed) {
                span.record("protocol", field::debug(request.version()));
            }
            let underway = peer.request();
            let client = senders.of(request.headers());
            request.extensions_mut().insert(client);
            request.extensions_mut().insert(underway.clone());
            request.extensions_mut().insert(wire.clone());
            let version = request.version();
            let (peer, counts, wire) = (peer.clone(), counts.clone(), wire.clone());
            edge.answer(request.map(Body::new)).map(move |response| {
                if let Some(kind) = response.extensions().get::<ProblemKind>() {
                    counts.refuses(*kind);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    wire.ends(ConnectionEnd::Upgraded);
                }
                Ok::<_, Infallible>(Answer::of(response, version, &peer, underway))
            })
        })
    };
    let mut served = http.serve(io, &wire, version, service);
    let (mut ends, mut told) = (false, false);
    let result = loop {
        let seldom = pin!(gone_or_overdue(&mut watch, &peer, told));
        let mut seldom = WhenWoken::new(seldom);
        let overdue = tokio::select! {
            // The ending before the answers that it causes: those of parked requests
            // then say `Connection: close`.
            biased;
            // Only once: the signal stays raised, and would be ready again on every
            // turn.
            () = &mut begun, if !ends => {
                (ends, told) = (true, true);
                served.as_mut().end_gracefully();
                continue;
            }
            // Never dropped by the other arms: it is borrowed, and goes on where it
            // was. Before them, so that what has come is read first.
            result = &mut served => break result,
            // Cancel-safe: it only waits, and looks anew each time.
            overdue = &mut seldom => overdue,
        };
        wire.ends(match overdue {
            Some(Overdue::Idle) => {
                told = true;
                served.as_mut().end_gracefully();
                continue;
            }
            Some(Overdue::Dropped) => ConnectionEnd::Dropped,
            None => ConnectionEnd::Gone,
        });
        return;
    };
    match result {
        // What it became goes on without this.
        Ok(()) if wire.end() == ConnectionEnd::Upgraded => {}
        Ok(()) => wire.ends(ConnectionEnd::Closed),
        Err(error) => {
            wire.ends(match error.is_incomplete_message() && peer.is_busy() {
                true => ConnectionEnd::Gone,
                false => ConnectionEnd::Failed,
            });
            // Not a warning: peers leave in every possible way, all day long.
            debug!(%error, "a connection failed");
        }
    }
}

/// Completes once the peer has gone, with `None`, or once it is overdue. Cancel-safe.
async fn gone_or_overdue(
    watch: &mut Option<Watch>,
    peer: &Peer,
    told: bool,
) -> Option<Overdue> {
    let gone = async {
        match watch {
            Some(watch) => watch.gone().await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        // Cancel-safe, both.
        () = gone => None,
        overdue = peer.overdue(told) => Some(overdue),
    }
}

/// Waits until nothing is open, at most for the drain's time, and then cuts.
async fn drain(config: &Config, ending: &Ending) {
    if timeout(config.drain, ending.wait()).await.is_ok() {
        return;
    }
    warn!(
        open = ending.open(),
        "still open after {:?}: cut", config.drain
    );
    ending.cut();
    if timeout(AFTER_CUT, ending.wait()).await.is_err() {
        warn!(open = ending.open(), "open even after the cut: left behind");
    }
}
