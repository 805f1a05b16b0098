//! The conformance suite over real sockets, through a method's own Rust client.

use crate::{server::base, Server, BRISK};
use axum::Router;
use client::{Client, Error, Pace, Update};
use conformance::{Refused, Relay, Running, Settings, Transport};
use contract::{Cursor, Data, IdempotencyKey, Kind, Position};
use feed::Feed;
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{BoxStream, StreamExt},
};
use serving::Ending;
use std::{process::ExitCode, sync::Arc};
use tokio::sync::Mutex;
use url::Url;

/// Runs the whole suite against one method, as a test program without a harness.
///
/// `router` makes the method's server of a log, `client` its client of the server at a URL.
pub fn main<R, C, F>(router: R, client: C) -> ExitCode
where
    R: Fn(Feed, Settings, Ending) -> Router + Send + Sync + 'static,
    C: Fn(Url, Settings, Pace) -> F + Send + Sync + 'static,
    F: Client,
{
    conformance::main(Method(Arc::new(Parts { router, client })))
}

/// How a method is started. In an `Arc`, because a start outlives the call that asks for it.
struct Method<R, C>(Arc<Parts<R, C>>);

struct Parts<R, C> {
    router: R,
    client: C,
}

/// A server of one case, the network in front of it, and a client.
struct Stand<F> {
    client: F,
    relay: Relay,
    /// Taken by the first shutdown; a second one finds nothing left to end.
    server: Mutex<Option<Server>>,
}

impl<R, C, F> Transport for Method<R, C>
where
    R: Fn(Feed, Settings, Ending) -> Router + Send + Sync + 'static,
    C: Fn(Url, Settings, Pace) -> F + Send + Sync + 'static,
    F: Client,
{
    fn start(&self, feed: Feed, settings: Settings) -> BoxFuture<'static, Box<dyn Running>> {
        let parts = self.0.clone();
        async move {
            let router = |feed, ending| (parts.router)(feed, settings, ending);
            let server = Server::start(feed, router).await;
            let relay = Relay::to(server.address).await.expect("a free port");
            let client = (parts.client)(base(relay.address()), settings, BRISK);
            Box::new(Stand {
                client,
                relay,
                server: Mutex::new(Some(server)),
            }) as Box<dyn Running>
        }
        .boxed()
    }
}

fn refused(error: Error) -> Refused {
    let problem = error.problem().map(str::to_owned);
    Refused(problem.unwrap_or_else(|| error.to_string()))
}

impl<F: Client> Running for Stand<F> {
    fn subscribe(&self, position: Position) -> BoxStream<'static, Result<Update, Refused>> {
        let updates = self.client.subscribe(position);
        updates.map(|update| update.map_err(refused)).boxed()
    }

    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>> {
        async move {
            let published = self.client.publish(key.as_ref(), kind, data);
            published.await.map_err(refused)
        }
        .boxed()
    }

    fn cut(&self) -> BoxFuture<'_, ()> {
        self.relay.cut();
        async {}.boxed()
    }

    fn restore(&self) -> BoxFuture<'_, ()> {
        self.relay.restore();
        async {}.boxed()
    }

    fn shut_down(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(server) = self.server.lock().await.take() {
                server.ending.begin();
                let ended = server.serving.await.expect("the server did not panic");
                ended.expect("the server ended well");
            }
        }
        .boxed()
    }
}
