//! What SSE owes its subscribers, over real sockets and through its own client.

use client::Pace;
use feed::{
    conformance::{Refused, Relay, Running, Settings, Transport},
    contract::Update,
    Cursor, Data, Feed, IdempotencyKey, Kind, Position,
};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{BoxStream, StreamExt},
};
use serving::Ending;
use sse::client::{Client, ClientError};
use std::{process::ExitCode, time::Duration};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};

struct Sse;

struct Server {
    client: Client,
    relay: Relay,
    ending: Ending,
    serving: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

impl Transport for Sse {
    fn start(&self, feed: Feed, settings: Settings) -> BoxFuture<'static, Box<dyn Running>> {
        async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let ending = Ending::new();
            // Short, so that a client which was cut does not make the test wait.
            let config = sse::Config {
                heartbeat: settings.heartbeat,
                retry_ms: 5..10,
                ..Default::default()
            };
            let router = sse::router(feed, config, ending.clone());
            let serving = tokio::spawn(serving::serve(
                listener,
                router,
                Default::default(),
                ending.clone(),
            ));
            let relay = Relay::to(address).await.expect("a free port");
            let base = format!("http://{}/", relay.address())
                .parse()
                .expect("a URL");
            let pace = Pace {
                first: Duration::from_millis(5),
                cap: Duration::from_millis(50),
            };
            let client = Client::with_pace(base, pace);
            let serving = Mutex::new(Some(serving));
            Box::new(Server {
                client,
                relay,
                ending,
                serving,
            }) as Box<dyn Running>
        }
        .boxed()
    }
}

fn refused(error: ClientError) -> Refused {
    Refused(
        error
            .problem()
            .map_or_else(|| error.to_string(), str::to_owned),
    )
}

impl Running for Server {
    fn subscribe(&self, position: Position) -> BoxStream<'static, Result<Update, Refused>> {
        self.client
            .subscribe(position)
            .map(|update| update.map_err(refused))
            .boxed()
    }

    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>> {
        async move {
            self.client
                .publish(key.as_ref(), kind, data)
                .await
                .map_err(refused)
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
            self.ending.begin();
            if let Some(serving) = self.serving.lock().await.take() {
                serving
                    .await
                    .expect("the server did not panic")
                    .expect("the server ended well");
            }
        }
        .boxed()
    }
}

fn main() -> ExitCode {
    feed::conformance::main(Sse)
}
