//! A stream that breaks before its first event.

use crate::{results::Outcome, Client};
use axum::{
    body::Body,
    extract::{Query, State},
    http::{header, HeaderMap},
    response::{Html, IntoResponse},
    routing::get,
    Router,
};
use contract::{Data, Position};
use feed::{Delivery, Feed};
use futures_util::{stream, StreamExt as _};
use harness::{still_feed, Server};
use serde::Deserialize;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How long a client waits before it comes back, in milliseconds, if it heeds that.
const RETRY_MS: u64 = 100;

/// A page that does what a browser's client does by itself.
const PAGE: &str = "<!doctype html><title>A stream</title><script>
window.seen = [];
new EventSource('events').onmessage = (message) => window.seen.push(message.data);
</script>";

/// How a stream opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A block of an id and `retry`, without data: the client shall keep the id.
    IdAlone,
    /// As this book's server does.
    Hello,
}

impl Opening {
    pub(crate) const BOTH: [Self; 2] = [Self::IdAlone, Self::Hello];
}

/// A server, and a relay before it that breaks the first stream once its opening block has passed.
pub(crate) struct Stand {
    server: Server,
    address: SocketAddr,
    /// How many streams have opened.
    streams: watch::Receiver<usize>,
}

impl Stand {
    pub(crate) async fn start(opening: Opening) -> anyhow::Result<Self> {
        let server = Server::start(still_feed(100), |feed, ending| {
            let page = Router::new().route("/page", get(|| async { Html(PAGE) }));
            page.merge(match opening {
                Opening::IdAlone => Router::new()
                    .route("/events", get(id_alone))
                    .with_state(feed),
                Opening::Hello => {
                    let config = sse::Config {
                        retry_ms: RETRY_MS..RETRY_MS + 1,
                        ..sse::Config::default()
                    };
                    sse::router(feed, config, ending)
                }
            })
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (opened, streams) = watch::channel(0);
        let relay = Arc::new(Relay {
            upstream: server.address,
            feed: server.feed.clone(),
            opened,
        });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let relay = relay.clone();
                tokio::spawn(async move { relay.pass(client).await });
            }
        });
        Ok(Self {
            server,
            address,
            streams,
        })
    }

    pub(crate) fn page(&self) -> String {
        format!("http://{}/page", self.address)
    }

    pub(crate) fn stream(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// What becomes of the event that was published while the client was away.
    pub(crate) async fn outcome(mut self, client: &mut impl Client) -> anyhow::Result<Outcome> {
        self.streams.wait_for(|streams| *streams > 1).await?;
        // It comes to everybody, and after the other.
        publish(&self.server.feed, "two").await?;
        loop {
            let seen = client.seen().await?;
            let count = |text: &str| seen.iter().filter(|data| data.contains(text)).count();
            if count("two") > 0 {
                return Ok(match count("one") {
                    0 => Outcome::Lost,
                    1 => Outcome::Once,
                    _ => Outcome::Twice,
                });
            }
        }
    }
}

async fn publish(feed: &Feed, text: &str) -> anyhow::Result<()> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

struct Relay {
    upstream: SocketAddr,
    feed: Feed,
    opened: watch::Sender<usize>,
}

impl Relay {
    /// Passes one connection on. An error is the end of either side, and ends both.
    async fn pass(&self, client: TcpStream) -> anyhow::Result<()> {
        let upstream = TcpStream::connect(self.upstream).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = upstream.into_split();
        let asking =
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let answering = async {
            let (mut seen, mut piece) = (String::new(), vec![0; 64 * 1024]);
            let mut is_open = false;
            loop {
                let read = from_server.read(&mut piece).await?;
                if read == 0 {
                    return anyhow::Ok(());
                }
                to_client.write_all(&piece[..read]).await?;
                seen += &String::from_utf8_lossy(&piece[..read]);
                // A client reuses the connection over which it got the page.
                let stream = seen.rsplit_once("text/event-stream");
                if !is_open && stream.is_some_and(|(_, body)| body.contains("\n\n")) {
                    is_open = true;
                    let mut first = false;
                    self.opened.send_modify(|streams| {
                        *streams += 1;
                        first = *streams == 1;
                    });
                    if first {
                        publish(&self.feed, "one").await?;
                        return Ok(());
                    }
                }
            }
        };
        let answered = answering.await;
        // Both halves go, so the socket closes: after what was sent, and without the last chunk.
        asking.abort();
        let _ = asking.await;
        answered
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    last_event_id: Option<String>,
}

/// A stream that opens with a block of an id alone.
async fn id_alone(
    State(feed): State<Feed>,
    Query(Parameters { last_event_id }): Query<Parameters>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let header = headers.get("last-event-id");
    let header = header.and_then(|id| id.to_str().ok().map(str::to_owned));
    let id = header.or(last_event_id).and_then(|id| id.parse().ok());
    let position = id.map_or(Position::Latest, Position::After);
    let subscription = feed.subscribe(position);
    let subscription = subscription.map_err(|error| error.to_string())?;
    let cursor = subscription.cursor();
    let opening = format!("id: {cursor}\nretry: {RETRY_MS}\n\n").into();
    let events = subscription.into_stream().flat_map(|delivery| {
        let events = match delivery {
            Delivery::Batch(batch) => batch.events,
            Delivery::Gap(_) => Vec::new(),
        };
        stream::iter(events).map(|event| sse::framing::event(&event))
    });
    let blocks = stream::iter([opening]).chain(events);
    let body = Body::from_stream(blocks.map(Ok::<_, Infallible>));
    Ok::<_, String>(([(header::CONTENT_TYPE, "text/event-stream")], body))
}
