//! The accept loop, and the life of one connection.

use crate::{
    body,
    deadline_io::{DeadlineIo, Held},
    Config, Ending, Listener,
};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// The first pause after an error of `accept`: long enough for some connection to end and free its descriptor.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause. A server out of descriptors should take the next peer within a second of having one again, and
/// write one line a second about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long tasks have to notice that they were cut. Dropping them takes one turn of the scheduler; a task that never
/// yields must not hold the server.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Serves `router` to every connection of `listener`, within the limits of `config`, until `ending` begins.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge) share the port: the first bytes tell them apart. Requests may be upgraded.
///
/// When the ending begins, no more connections are accepted and idle ones are closed. A request under way may finish, and
/// streams are expected to end themselves (see [`Ending::begun`]). Whatever is still open after [`Config::drain`] is cut.
/// `serve` returns when nothing is open any more.
///
/// # Errors
/// It survives what passes: a peer that left before it was accepted (`ECONNABORTED`) is skipped, and after any other
/// error, such as running out of descriptors (`EMFILE`), it pauses and goes on. It returns an error only if the listener
/// cannot be one ([`io::ErrorKind::InvalidInput`], [`io::ErrorKind::Unsupported`]); that, too, drains first.
pub async fn serve<L: Listener>(
    listener: L,
    router: Router,
    config: Config,
    ending: Ending,
) -> io::Result<()> {
    let builder = builder(&config);
    let router = body::limit(router, &config);
    serve_connections(listener, config, ending, move |io, ending| {
        connection(io, builder.clone(), router.clone(), ending)
    })
    .await
}

/// The same for what is no router: `connection` serves each connection to its end, and ends by itself soon after the ending
/// begins. It is cut after [`Config::drain`].
///
/// Of the limits those hold here that know nothing of HTTP: [`Config::max_connections`], [`Config::first_bytes`],
/// [`Config::write_progress`] and [`Config::drain`]. The others are those of an HTTP server, which `connection` is to be.
///
/// # Errors
/// As [`serve`].
pub async fn serve_connections<L, C, F>(
    mut listener: L,
    config: Config,
    ending: Ending,
    connection: C,
) -> io::Result<()>
where
    L: Listener,
    C: Fn(DeadlineIo<L::Io>, Ending) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let accepted = accept_all(&mut listener, connection, &config, &ending).await;
    // Closed before the drain, not after: a peer that connects now should be refused at once and try elsewhere, not wait
    // in the queue of a server that will never take it.
    drop(listener);
    ending.begin();
    drain(&config, &ending).await;
    accepted
}

fn builder(config: &Config) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Without a timer hyper has no clock, and drops its time limits in silence.
        .timer(TokioTimer::new())
        .header_read_timeout(config.headers)
        .max_headers(config.http1_max_headers)
        .max_buf_size(config.http1_max_buffer);
    builder
        .http2()
        .timer(TokioTimer::new())
        // A WebSocket over HTTP/2 is one of its streams, opened by a CONNECT that names the protocol (RFC 8441 §3).
        .enable_connect_protocol()
        .max_concurrent_streams(config.http2_max_streams)
        .max_header_list_size(config.http2_max_header_list)
        .max_send_buf_size(config.http2_send_buffer)
        .keep_alive_interval(config.http2_ping_interval)
        .keep_alive_timeout(config.http2_ping_timeout);
    builder
}

/// Accepts until the ending begins.
async fn accept_all<L, C, F>(
    listener: &mut L,
    connection: C,
    config: &Config,
    ending: &Ending,
) -> io::Result<()>
where
    L: Listener,
    C: Fn(DeadlineIo<L::Io>, Ending) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut begun = pin!(ending.begun());
    let mut pause = FIRST_PAUSE;
    loop {
        // The place comes before the peer: a peer that is accepted and then kept waiting would hold a descriptor.
        let place = tokio::select! {
            // Cancel-safe: it only waits.
            () = &mut begun => return Ok(()),
            // Cancel-safe here: dropping it gives up its turn, and nobody else is in line.
            place = places.clone().acquire_owned() => match place {
                Ok(place) => place,
                Err(_) => unreachable!("nobody closes this semaphore"),
            },
        };
        let accepted = tokio::select! {
            // Cancel-safe: it only waits.
            () = &mut begun => return Ok(()),
            // Cancel-safe: `Listener` promises it.
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(io) => {
                pause = FIRST_PAUSE;
                let held = Held::new(place, ending.token());
                let io = DeadlineIo::new(io, config.first_bytes, config.write_progress, held);
                let served = ending.until_cut(connection(io, ending.clone()));
                tokio::spawn(async move {
                    if served.await.is_none() {
                        debug!("a connection was cut");
                    }
                });
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

/// The error is of the one connection. The next may be tried at once.
fn was_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
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

/// Serves one connection to its end.
async fn connection<I>(
    io: DeadlineIo<I>,
    builder: Builder<TokioExecutor>,
    router: Router,
    ending: Ending,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let mut served = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    let mut begun = pin!(ending.begun());
    let mut told = false;
    let result = loop {
        tokio::select! {
            // The ending before the answers that it causes: those of parked requests then say `Connection: close`.
            biased;
            // Only once: the token stays cancelled, and would be ready again on every turn.
            () = &mut begun, if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
            // Never dropped by the other arm: it is borrowed, and goes on where it was.
            result = &mut served => break result,
        }
    };
    if let Err(error) = result {
        // Not a warning: peers leave in every possible way, all day long.
        debug!(error, "a connection ended");
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
