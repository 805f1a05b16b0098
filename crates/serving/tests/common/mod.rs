//! A server on pipes: no sockets, so the clock can be paused, and the test owns both
//! ends.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this that it needs"
)]

use axum::Router;
use serving::{serve, Config, Ending, Guarded};
use std::{future::Future, io, time::Duration};
use testbed::{Dialer, Pipes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};

/// What a pipe holds before its writer waits: small, so that a peer that does not read
/// is noticed at once.
pub const PIPE_BYTES: usize = 1024;

/// A guard against tests that hang. On a paused clock it passes as soon as nothing else
/// can happen.
const HANG: Duration = Duration::from_secs(3600);

/// What `future` gives, or a failure where it would never come.
#[track_caller]
pub fn in_time<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(HANG, future).await {
            Ok(output) => output,
            Err(_) => panic!("what is waited for at {caller} never came"),
        }
    }
}

pub struct Server {
    pub ending: Ending,
    /// What `serve` returned.
    pub task: JoinHandle<io::Result<()>>,
    dialer: Dialer,
}

impl Server {
    pub fn start(router: Router, config: Config) -> Self {
        let ending = Ending::new();
        Self::start_with(ending, router, config)
    }

    pub fn start_with(ending: Ending, router: Router, config: Config) -> Self {
        // Guarded, each request would have to name a host that is ours.
        let router = Guarded::unchecked(router);
        Self::guarded(ending, router, config)
    }

    pub fn guarded(ending: Ending, router: Guarded, config: Config) -> Self {
        let (dialer, pipes) = Pipes::new();
        let task = tokio::spawn(serve(pipes, router, config, ending.clone()));
        Self {
            ending,
            task,
            dialer,
        }
    }

    pub fn connect(&self) -> DuplexStream {
        self.dialer.connect(PIPE_BYTES)
    }

    pub fn fail(&self, error: io::Error) {
        self.dialer.fail(error);
    }

    /// Completes once the listener was dropped.
    pub async fn refused(&self) {
        in_time(self.dialer.refused()).await;
    }
}

/// Whatever the server writes until it closes, however it closes.
pub async fn rest(peer: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    let _ = in_time(peer.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).expect("the server writes UTF-8 here")
}

/// Writes, and does not mind a server that has gone.
pub async fn send(peer: &mut DuplexStream, text: &str) {
    let _ = peer.write_all(text.as_bytes()).await;
}

/// Reads until what came contains `text`; gives all of it.
pub async fn read_until(peer: &mut DuplexStream, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut buffer = [0; 256];
        let count = in_time(peer.read(&mut buffer))
            .await
            .expect("the server is there");
        assert_ne!(count, 0, "the server closed after {seen:?}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).expect("UTF-8"));
    }
    seen
}

/// How much of the paused clock's time `future` took, with its output.
pub async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let start = tokio::time::Instant::now();
    let output = in_time(future).await;
    (output, start.elapsed())
}

/// The paused clock moves only when nothing else can happen, so a deadline is met to
/// the timer's grain (1 ms).
#[track_caller]
pub fn assert_took(took: Duration, expected: Duration) {
    let grain = Duration::from_millis(5);
    assert!(
        took >= expected && took <= expected + grain,
        "took {took:?}, not {expected:?}"
    );
}
