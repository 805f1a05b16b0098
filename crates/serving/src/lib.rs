//! The HTTP edge that every server of the book shares.
//!
//! A server that waits for events keeps many connections open for a long time, and so
//! meets every peer that is slow, silent, gone or hostile. What it does about them is
//! the same for each method of the book, and is here once. This crate knows no log.
//!
//! ```no_run
//! use axum::{routing::get, Router};
//! use serving::{guard, serve, Allowed, Config, Ending};
//!
//! # async fn example() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:4100").await?;
//! let router = Router::new().route("/", get(|| async { "hello" }));
//! let router = guard(router, Allowed::default());
//! let ending = Ending::new();
//! serve(listener, router, Config::default(), ending).await
//! # }
//! ```
//!
//! A binary has even less to write: see [`command::run`].
//!
//! # Why not `axum::serve`
//!
//! `axum::serve` (0.8) gives hyper no timer. Without one, hyper's own time limit for
//! headers does nothing, and a peer that sends half a request keeps its connection for
//! ever. It also has no limit of connections, and no end to a graceful shutdown: one
//! open stream of events holds the process. [`serve`] builds on the same parts one step
//! lower (`hyper::server::conn`), where timers and limits can be set.
//!
//! # What a peer may do, and what happens
//!
//! Each limit is a field of [`Config`], with its default and the reason for it.
//!
//! | The peer | What happens | Field |
//! | --- | --- | --- |
//! | connects and says nothing | the connection ends | [`first_bytes`](Config::first_bytes) |
//! | shakes hands slowly (TLS) | the connection ends | [`handshake`](Config::handshake) |
//! | sends its headers slowly, or leaves the connection idle | the connection ends | [`headers`](Config::headers) |
//! | sends its body slowly | 408 | [`body`](Config::body) |
//! | sends too much | 413 (body), 431 (headers) | [`max_body_bytes`](Config::max_body_bytes), [`http1_max_headers`](Config::http1_max_headers), [`http1_max_buffer`](Config::http1_max_buffer) |
//! | asks and does not read | the connection ends | [`write_progress`](Config::write_progress) |
//! | keeps an HTTP/2 window shut | the connection ends | [`write_progress`](Config::write_progress), [`max_unsent_bytes`](Config::max_unsent_bytes) |
//! | closes its side before it has its answer | the connection ends | |
//! | vanishes while something is sent to it | the system finds out (Linux) | [`unacknowledged`](Config::unacknowledged) |
//! | vanishes while it waits | a question of the system finds out | [`keep_alive`](Config::keep_alive) |
//! | vanishes (HTTP/2) | a ping finds out | [`http2_ping_interval`](Config::http2_ping_interval) |
//! | asks nothing over HTTP/2 | the connection ends | [`idle`](Config::idle) |
//! | is one too many | the one that is idle for longest gives way; if none is, it waits | [`max_connections`](Config::max_connections) |
//! | is one stream too many | 503 with `Retry-After` | the crate `waiting` |
//! | has too many connections for one address | the new one is closed at once | [`per_address`](Config::per_address) |
//! | asks, or publishes, too often for one address | 429 with `Retry-After` | [`per_address`](Config::per_address) |
//! | waits too often at once for one address | 429 with `Retry-After` | [`per_address`](Config::per_address), and the crate `waiting` |
//! | names a host that is not ours | 421 | [`guard`] |
//! | is a page of another site, and wants to act | 403 | [`guard`] |
//!
//! A heartbeat alone finds nobody: it goes into the send buffer, and the write
//! succeeds. It makes the peer's system owe an acknowledgement, and that is what is
//! missed. A peer that hangs, and whose system still acknowledges, is found once its
//! window is full, or by a ping that it has to answer itself (WebSocket).
//!
//! # How it ends
//!
//! [`Ending::announce`] (SIGINT and SIGTERM call it) makes [`ready`] answer 503, and
//! nothing else, for [`Config::lame_duck`]: by default for no time at all. Then
//! [`Ending::begin`] closes the listener and idle connections. Requests under way may
//! finish. A stream that would never finish watches [`Ending::begun`], says goodbye and
//! ends itself. Whatever is open after [`Config::drain`] is cut.
//!
//! # TLS
//!
//! [`serve_tls`] is for a server on a reader's own machine, which has a certificate of
//! its own making ([`tls`]): browsers speak HTTP/2 over TLS alone. TLS stands above the
//! deadlines and the counts, so that all of them hold for what the socket carries. Its
//! handshake takes one of [`Config::max_connections`].
//!
//! # Errors
//!
//! Handlers answer errors as [`ProblemResponse`]s (RFC 9457), and [`fallbacks`] does
//! for what is not routed. Errors that hyper finds before there is a request (400 for
//! what is no HTTP, 431 for a head that is too large) have a status and no body.
//!
//! # What it tells
//!
//! A connection is a span of `tracing`, at the level of debug. Connections, requests,
//! bytes and problems are counted through the facade `metrics`: see [`metrics`] and
//! [`contract::metrics`].
//!
//! With a [`tap`] it also keeps, of the connections that ask for it, what went over
//! them, for a page that draws its own traffic. By default there is none.
//!
//! # What this does not do
//!
//! - Certificates that others trust, and compression: a proxy does these.
//! - Limits by user: only an address is known here.
//! - A peer that closes its HTTP/2 flow-control window and answers pings keeps its
//!   stream of events. It holds a cursor, a slot and at most
//!   [`http2_send_buffer`](Config::http2_send_buffer) bytes, as one that reads does.
//! - A deadline for handlers: here an answer may take as long as it takes for something
//!   to happen.

// In a browser tokio has no clock: the same names, on the browser's timers. And it lets
// no program listen, so that what serves connections is for other targets.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

pub mod assets;
#[cfg(not(target_family = "wasm"))]
mod body;
#[cfg(not(target_family = "wasm"))]
pub mod command;
mod conditional;
mod config;
#[cfg(not(target_family = "wasm"))]
mod counts;
#[cfg(not(target_family = "wasm"))]
mod deadline_io;
#[cfg(not(target_family = "wasm"))]
mod edge;
mod ending;
mod guard;
#[cfg(not(target_family = "wasm"))]
mod http;
#[cfg(not(target_family = "wasm"))]
mod listener;
#[cfg(not(target_family = "wasm"))]
pub mod metrics;
#[cfg_attr(
    target_family = "wasm",
    expect(dead_code, reason = "there are no peers")
)]
mod peers;
mod problem;
mod ready;
#[cfg(not(target_family = "wasm"))]
mod secure;
#[cfg(not(target_family = "wasm"))]
mod serve;
#[cfg(not(target_family = "wasm"))]
pub mod tap;
#[cfg(not(target_family = "wasm"))]
mod tapped_io;
#[cfg(not(target_family = "wasm"))]
mod when_woken;

pub use conditional::is_known;
pub use config::Config;
#[cfg(not(target_family = "wasm"))]
pub use deadline_io::DeadlineIo;
pub use ending::Ending;
pub use guard::{
    guard, Allowed, Guarded, HostName, Origin, ParseHostError, ParseOriginError,
};
#[cfg(not(target_family = "wasm"))]
pub use listener::{Listener, Tcp};
pub use peers::Underway;
pub use problem::{fallbacks, ProblemResponse};
pub use ready::ready;
#[cfg(not(target_family = "wasm"))]
pub use serve::{serve, serve_connections, serve_tls};
#[cfg(not(target_family = "wasm"))]
pub use shares::{Client, IpNet, Limits, Rate};
#[cfg(not(target_family = "wasm"))]
pub use tap::Tap;
