//! A server of all four methods, and connections of which every byte is kept.

use axum::{http::header, middleware::map_response, response::Response, Router};
use feed::{Feed, Retention};
use harness::Server;
use proxies::Proxy;
use serving::{guard, Allowed, Ending};
use std::{
    net::SocketAddr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};
use tls::Protocol;
use tokio::{
    io::{
        copy_bidirectional, AsyncRead, AsyncReadExt as _, AsyncWrite,
        AsyncWriteExt as _,
    },
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What matters of a server to a proxy in front of it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest silence on a stream and on a socket.
    pub heartbeat: Duration,
    /// The longest that a request is parked.
    pub park: Duration,
    /// Whether it asks proxies to hold nothing back and to compress nothing, as the
    /// book's servers do and many others do not.
    pub asks: bool,
}

impl Default for Settings {
    /// As the servers are by themselves.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            park: Duration::from_secs(25),
            asks: true,
        }
    }
}

/// All methods under one host, as the site has them: at `/live/polling/` and so on.
pub async fn server(settings: Settings) -> Server {
    let feed = Feed::new(Retention::default());
    Server::start(feed, |feed, ending| router(feed, ending, settings)).await
}

/// The same on a listener of one's own.
pub fn serve_on(listener: TcpListener, feed: Feed, settings: Settings) {
    let ending = Ending::new();
    let router = guard(router(feed, ending.clone(), settings), Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, ending));
}

fn router(feed: Feed, ending: Ending, settings: Settings) -> Router {
    let polling = polling::Config::default();
    let long_polling = long_polling::Config {
        max_wait: settings.park,
        ..long_polling::Config::default()
    };
    let sse = sse::Config {
        heartbeat: settings.heartbeat,
        ..sse::Config::default()
    };
    let websocket = websocket::Config {
        heartbeat: settings.heartbeat,
        ..websocket::Config::default()
    };
    let board = Feed::new(Retention::default());
    let polling = polling::router(feed.clone(), polling, ending.clone());
    let long_polling = long_polling::router(feed.clone(), long_polling, ending.clone());
    let sse = sse::router(feed.clone(), sse, ending.clone());
    let websocket = websocket::router(feed, board, websocket, ending);
    let router = Router::new()
        .nest("/live/polling/", polling)
        .nest("/live/long-polling/", long_polling)
        .nest("/live/sse/", sse)
        .nest("/live/websocket/", websocket);
    if settings.asks {
        router
    } else {
        router.layer(map_response(says_nothing))
    }
}

/// Without what our servers say to whatever stands in between.
async fn says_nothing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.remove("x-accel-buffering");
    headers.remove("incremental");
    if headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-cache"),
        );
    }
    response
}

/// A connection on which one request was sent, and all that came since.
pub struct Connection {
    came: watch::Receiver<(Vec<u8>, bool)>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Sends a request of HTTP/1.1 through the proxy, over TLS. Of a head that has no
    /// `Host`, the host is the proxy.
    pub async fn through(proxy: &Proxy, head: &str) -> anyhow::Result<Self> {
        let stream = proxy.connect(&[Protocol::Http1]).await?;
        Self::on(stream, &with_host(proxy, head)).await
    }

    /// Sends a request on this stream.
    pub async fn on<S>(stream: S, head: &str) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::send(stream, head, "").await
    }

    /// Sends a request with this content.
    pub async fn send<S>(mut stream: S, head: &str, body: &str) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = format!("{}{body}", testbed::wire(head));
        stream.write_all(request.as_bytes()).await?;
        let (tell, came) = watch::channel((Vec::new(), false));
        let task = tokio::spawn(async move {
            let mut piece = [0; 16 * 1024];
            while let Ok(length @ 1..) = stream.read(&mut piece).await {
                tell.send_modify(|(bytes, _)| bytes.extend(&piece[..length]));
            }
            tell.send_modify(|(_, ended)| *ended = true);
        });
        Ok(Self { came, task })
    }

    /// Waits until this has come.
    pub async fn until(&mut self, text: &str) -> anyhow::Result<()> {
        self.until_bytes(text.as_bytes()).await
    }

    /// The same for bytes.
    pub async fn until_bytes(&mut self, wanted: &[u8]) -> anyhow::Result<()> {
        let what = String::from_utf8_lossy(wanted).into_owned();
        let came = self
            .came
            .wait_for(|(bytes, ended)| holds(bytes, wanted) || *ended);
        let found = holds(&testbed::in_time(&what, came).await?.0, wanted);
        anyhow::ensure!(found, "ended without {what:?}: {}", self.seen());
        Ok(())
    }

    /// Waits until a text has come this often.
    pub async fn until_times(
        &mut self,
        text: &str,
        times: usize,
    ) -> anyhow::Result<()> {
        let came = self.came.wait_for(|(bytes, ended)| {
            let seen = String::from_utf8_lossy(bytes);
            *ended || seen.matches(text).count() >= times
        });
        testbed::in_time(text, came).await?;
        let count = self.seen().matches(text).count();
        anyhow::ensure!(count >= times, "ended after {count}: {}", self.seen());
        Ok(())
    }

    /// Waits until more than this many bytes have come; how many.
    pub async fn more_than(&mut self, bytes: usize) -> anyhow::Result<usize> {
        let came = self
            .came
            .wait_for(|(came, ended)| came.len() > bytes || *ended);
        let length = testbed::in_time("more", came).await?.0.len();
        anyhow::ensure!(length > bytes, "ended after {length} bytes");
        Ok(length)
    }

    /// Waits until the connection has ended.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let came = self.came.wait_for(|(_, ended)| *ended);
        testbed::in_time("the end of a connection", came).await?;
        Ok(())
    }

    /// What has come so far.
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.came.borrow().0).into_owned()
    }

    /// The status of the answer, once it has begun.
    pub async fn status(&mut self) -> anyhow::Result<u16> {
        self.until("\r\n").await?;
        let seen = self.seen();
        let code = seen.split(' ').nth(1).unwrap_or_default();
        Ok(code.parse()?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The head, with the proxy for its host where it names none.
pub fn with_host(proxy: &Proxy, head: &str) -> String {
    if head.to_ascii_lowercase().contains("\nhost:") {
        return head.to_owned();
    }
    format!("{head}\nHost: {}", proxy.address())
}

/// A request for a stream of events.
pub const STREAM: &str = "GET /live/sse/events HTTP/1.1\nAccept: text/event-stream";

/// A request to open a socket.
pub const SOCKET: &str = "GET /live/websocket/events HTTP/1.1\n\
    Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: waiting.v1";

/// Passes connections on to a server, and counts them.
pub struct Counted {
    /// Where it listens.
    pub address: SocketAddr,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Counted {
    /// In front of this server.
    pub async fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self {
            address,
            count,
            task,
        })
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.task.abort();
    }
}
