//! The conformance suite against a method's router in the same process.

use crate::{server::base, Doorkeeper, Server as Running};
use axum::Router;
use conformance::{Gate, Hook, Method, Outcome, Server, Settings, Subject};
use feed::{Feed, Retention};
use futures_util::future::{BoxFuture, FutureExt};
use serving::Ending;
use std::process::ExitCode;
use tokio::sync::Mutex;
use url::Url;

/// Runs the whole suite against one method, as a test program without a harness.
///
/// `router` makes the method's server of a log.
pub fn main<R>(method: Method, router: R) -> ExitCode
where
    R: Fn(Feed, Settings, Ending) -> Router + Send + Sync + 'static,
{
    conformance::main(method, InProcess { router })
}

/// A subject in this process, so that it has every hook.
pub struct InProcess<R> {
    /// Makes the method's server of a log.
    pub router: R,
}

/// A server that the suite may stop, whose log it may finish, and whose readers it may admit.
pub struct Started {
    base: Url,
    feed: Feed,
    gate: Option<Doorkeeper>,
    /// Taken when it is stopped.
    server: Mutex<Option<Running>>,
}

impl Started {
    /// This server, to be asked at `base`: its own address, or that of what stands before it.
    pub fn new(server: Running, base: Url) -> Self {
        Self {
            base,
            feed: server.feed.clone(),
            gate: None,
            server: Mutex::new(Some(server)),
        }
    }

    /// The same, where somebody stands [before its router](Doorkeeper::before).
    #[must_use]
    pub fn guarded(self, gate: Option<Doorkeeper>) -> Self {
        Self { gate, ..self }
    }
}

impl<R> Subject for InProcess<R>
where
    R: Fn(Feed, Settings, Ending) -> Router + Send + Sync + 'static,
{
    fn hooks(&self) -> Vec<Hook> {
        Hook::of_one_server()
    }

    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        async move {
            let feed = Feed::new(Retention {
                max_events: settings.retention,
                ..Retention::default()
            });
            let gate = settings.guarded.then(Doorkeeper::default);
            let router = |feed, ending| {
                let router = (self.router)(feed, settings, ending);
                Doorkeeper::before(gate.as_ref(), router)
            };
            let server = Running::start(feed, router).await;
            let base = base(server.address);
            let started = Started::new(server, base).guarded(gate);
            Ok(Box::new(started) as Box<dyn Server>)
        }
        .boxed()
    }
}

impl Server for Started {
    fn base(&self) -> &Url {
        &self.base
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        async move {
            let Some(server) = self.server.lock().await.take() else {
                return Ok(());
            };
            server.ending.begin();
            match server.serving.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        }
        .boxed()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.feed.finish();
        async { Ok(()) }.boxed()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        let gate = self.gate.as_ref()?;
        Some(gate)
    }
}
