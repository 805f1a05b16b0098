//! The suite over a network, by the clients of the crate `client`.

use crate::{
    streams::random_key, subject::relay_to, Gate, Held, Hook, Method, Outcome, Refused,
    Relay, Running, Server, Servers, Settings, Subject, Transport,
};
use client::{
    Client, Credential, Endpoint, Error, LongPollingClient, Pace, PollingClient,
    Publisher, Rhythm, SseClient, Update, WebSocketClient,
};
use contract::{Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{BoxStream, Stream, StreamExt},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::OnceCell, task::JoinHandle};
use url::Url;

/// A client that was cut does not make the suite wait.
const PACE: Pace = Pace {
    first: Duration::from_millis(5),
    cap: Duration::from_millis(50),
};

/// The pause of a client that polls. As many as run at the same time stay below 1,000
/// questions a second, which the contract allows.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A subject, asked by one method.
pub struct Sockets {
    method: Method,
    subject: Arc<dyn Subject>,
}

impl Sockets {
    /// Asks `subject` by `method`.
    pub fn new(method: Method, subject: Arc<dyn Subject>) -> Self {
        Self { method, subject }
    }
}

impl Transport for Sockets {
    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Running>, String>> {
        async move {
            let server = self.subject.start(settings).await?;
            let base = server.base().clone();
            let (relay, through) = if settings.relayed {
                let (relay, through) = relay_to(&base).await?;
                (Some(relay), through)
            } else {
                (None, base.clone())
            };
            // Whoever publishes for the cases needs a credential as well.
            let own = match server.gate() {
                Some(gate) => Some(Held::new(gate.admit().await?)),
                None => None,
            };
            let running: Box<dyn Running> = match self.method {
                Method::Polling => {
                    let rhythm = Rhythm {
                        interval: POLL_EVERY,
                        ..Rhythm::default()
                    };
                    let client =
                        |base| PollingClient::with_pace(base, PACE).with_rhythm(rhythm);
                    Box::new(Clients {
                        method: self.method,
                        subscriber: client(through),
                        publisher: named(
                            client(base),
                            own,
                            PollingClient::with_endpoint,
                        ),
                        with: PollingClient::with_endpoint,
                        relay,
                        server,
                    })
                }
                Method::LongPolling => {
                    let client = |base| {
                        LongPollingClient::with_pace(base, PACE)
                            .with_wait(settings.heartbeat)
                    };
                    Box::new(Clients {
                        method: self.method,
                        subscriber: client(through),
                        publisher: named(
                            client(base),
                            own,
                            LongPollingClient::with_endpoint,
                        ),
                        with: LongPollingClient::with_endpoint,
                        relay,
                        server,
                    })
                }
                Method::Sse => {
                    let client = |base| SseClient::with_pace(base, PACE);
                    Box::new(Clients {
                        method: self.method,
                        subscriber: client(through),
                        publisher: named(client(base), own, SseClient::with_endpoint),
                        with: SseClient::with_endpoint,
                        relay,
                        server,
                    })
                }
                Method::WebSocket => {
                    let client = |base| WebSocketClient::with_pace(base, PACE);
                    let with = WebSocketClient::with_endpoint;
                    Box::new(Clients {
                        method: self.method,
                        subscriber: client(through),
                        publisher: OneSocket {
                            client: named(client(base), own, with),
                            open: OnceCell::new(),
                        },
                        with,
                        relay,
                        server,
                    })
                }
            };
            Ok(running)
        }
        .boxed()
    }

    fn starts_anew(&self) -> bool {
        self.subject.hooks().contains(&Hook::Start)
    }
}

/// What appends events.
trait Publish: Send + Sync {
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Error>>;
}

impl<C: Client> Publish for C {
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Error>> {
        async move { Client::publish(self, key.as_ref(), kind, data).await }.boxed()
    }
}

/// Publishes over one socket, so that a thousand events are no thousand handshakes.
struct OneSocket {
    client: WebSocketClient,
    open: OnceCell<OpenSocket>,
}

struct OpenSocket {
    publisher: Publisher,
    /// Reads the socket, without which nothing is sent either.
    reading: JoinHandle<()>,
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Publish for OneSocket {
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Error>> {
        async move {
            let open = || async {
                let (publisher, updates) = self.client.connect(Position::Latest);
                let reading = tokio::spawn(updates.for_each(|_| async {}));
                OpenSocket { publisher, reading }
            };
            let socket = self.open.get_or_init(open).await;
            // By the key, a second attempt is no second event.
            let key = key.unwrap_or_else(|| {
                let key: Result<IdempotencyKey, _> = random_key().parse();
                key.expect("hex digits are a key")
            });
            let publisher = &socket.publisher;
            match publisher
                .publish(Some(&key), kind.clone(), data.clone())
                .await
            {
                // The server has ended the subscription, as that of a complete log. The
                // next socket hears why.
                Err(Error::NoAnswer) => {
                    Client::publish(&self.client, Some(&key), kind, data).await
                }
                published => published,
            }
        }
        .boxed()
    }
}

/// The same client, which proves with what is held, if anything is, who it is.
fn named<C: Client>(client: C, held: Option<Held>, with: With<C>) -> C {
    let Some(held) = held else { return client };
    let endpoint = client.endpoint().clone().with_renewer(move || {
        let credential = Credential::bearer(&held.get());
        async { Ok(credential) }
    });
    with(client, endpoint)
}

/// Gives a client another endpoint.
type With<C> = fn(C, Endpoint) -> C;

/// A server, and the clients of it.
struct Clients<C, P> {
    method: Method,
    subscriber: C,
    publisher: P,
    with: With<C>,
    relay: Option<Relay>,
    server: Box<dyn Server>,
}

fn refused(error: Error) -> Refused {
    let problem = error.problem().map(str::to_owned);
    Refused(problem.unwrap_or_else(|| error.to_string()))
}

fn updates(
    stream: impl Stream<Item = Result<Update, Error>> + Send + 'static,
) -> BoxStream<'static, Result<Update, Refused>> {
    stream.map(|update| update.map_err(refused)).boxed()
}

impl<C: Client + Clone, P: Publish> Running for Clients<C, P> {
    fn subscribe(
        &self,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>> {
        updates(self.subscriber.subscribe(position))
    }

    fn subscribe_as(
        &self,
        held: Held,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>> {
        let client = named(self.subscriber.clone(), Some(held), self.with);
        updates(client.subscribe(position))
    }

    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>> {
        async move {
            let published = self.publisher.publish(key, kind, data).await;
            published.map_err(refused)
        }
        .boxed()
    }

    fn cut(&self) {
        if let Some(relay) = &self.relay {
            relay.cut();
        }
    }

    fn restore(&self) {
        if let Some(relay) = &self.relay {
            relay.restore();
        }
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        self.server.stop()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.server.finish()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        self.server.gate()
    }

    fn servers(&self) -> Option<&dyn Servers> {
        self.server.servers()
    }

    fn address(&self) -> Option<(Method, &Url)> {
        Some((self.method, self.server.base()))
    }
}
