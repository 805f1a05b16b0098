//! Connections that are half-open: from one moment to the next no packet arrives on either side,
//! and nobody says so. Who notices, by what, and what the client has lost.
//!
//! The client runs in a network namespace, behind a way that eats packets. Beside it, on the same
//! way, a mute client waits at each of several servers, each of which listens for one thing only.

use crate::{peer::wait, server_at};
use anyhow::{bail, ensure, Context as _};
use client::{
    Client as _, LongPollingClient, PollingClient, Rhythm, SseClient, Update, WebSocketClient,
};
use contract::{Data, Position};
use futures_util::{
    future::{join, join3, join_all},
    stream::BoxStream,
    StreamExt,
};
use harness::{Server, BRISK};
use method::Method;
use serving::Config;
use std::{
    env,
    ffi::OsStr,
    net::SocketAddr,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};
use testbed::{faults::came_to, in_time, link::Link};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{self, ChildStdout, Command},
    time::sleep,
};
use url::Url;

/// Names the method in the process on the other side: `slow URL ADDRESS...`.
pub const PLAYS: &str = "FAULTS_HALF_OPEN";

/// Longer than a test.
const NEVER: Duration = Duration::from_secs(3_600);

/// How long a server waits that listens for something, and its heartbeats.
const SOON: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_millis(500);

/// By what a server could notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    Nothing,
    /// The limit for a connection without a request.
    Idle,
    /// TCP asks a peer that has been silent.
    KeepAlive,
    /// What was sent is not acknowledged (`TCP_USER_TIMEOUT`).
    Unacknowledged,
    /// A write waits.
    Write,
    /// No byte came for two heartbeats, no pong either.
    Pong,
}

impl Ear {
    /// An edge that listens for this, and for nothing else; and how often it says something.
    fn edge(self, method: &str) -> (Config, Duration) {
        let mut edge = Config {
            headers: NEVER,
            keep_alive: NEVER,
            // The system's own, which are a quarter of an hour.
            unacknowledged: Duration::ZERO,
            write_progress: NEVER,
            ..Config::default()
        };
        // On a socket a heartbeat is a question too.
        let mut beat = match method {
            "websocket" => NEVER,
            _ => BEAT,
        };
        match self {
            Self::Nothing => {}
            Self::Idle => edge.headers = SOON,
            Self::KeepAlive => {
                edge.keep_alive = SOON / 2;
                edge.keep_alive_interval = SOON / 2;
            }
            Self::Unacknowledged => edge.unacknowledged = SOON,
            Self::Write => edge.write_progress = SOON,
            Self::Pong => beat = BEAT,
        }
        (edge, beat)
    }

    /// Listens for everything.
    fn all() -> (Config, Duration) {
        let edge = Config {
            keep_alive: SOON / 2,
            keep_alive_interval: SOON / 2,
            unacknowledged: SOON,
            ..Config::default()
        };
        (edge, BEAT)
    }
}

/// What is tried: what a server listens for, how many bytes of events it has to send meanwhile, and
/// whether it notices.
type Tried = (Ear, usize, bool);

const SMALL: usize = 100;
const MUCH: usize = 8 * 1024 * 1024;

fn tried(method: &str) -> (&'static [Tried], &'static str) {
    use Ear::{Idle, KeepAlive, Nothing, Pong, Unacknowledged, Write};
    match method {
        // Between two questions. What happens in the log is nothing to the connection.
        "polling" => (
            &[
                (Nothing, SMALL, false),
                (Unacknowledged, SMALL, false),
                (Idle, SMALL, true),
                (KeepAlive, SMALL, true),
            ],
            "holds no place; its connection ends as an idle one, or by TCP keep-alive; the client \
             gives its request up after 10 s, and asks again: nothing is lost",
        ),
        "long-polling" => (
            &[
                (Nothing, 0, false),
                (Unacknowledged, 0, false),
                (KeepAlive, 0, true),
                // It is answered, and the answer reaches nobody.
                (Unacknowledged, SMALL, true),
            ],
            "in silence only TCP keep-alive frees its place; an answer ends its connection when \
             nobody acknowledges it; the client gives up 10 s after its wait, and asks again: \
             nothing is lost",
        ),
        "sse" => (
            &[
                (Nothing, 0, false),
                // No question while bytes of its own are on the way.
                (KeepAlive, 0, false),
                (Write, SMALL, false),
                (Unacknowledged, 0, true),
                (Write, MUCH, true),
            ],
            "is cut when a heartbeat is not acknowledged (`TCP_USER_TIMEOUT`), and not by TCP \
             keep-alive; the client misses two heartbeats, and comes back with its cursor: \
             nothing is lost",
        ),
        _ => (
            &[
                (Nothing, SMALL, false),
                (KeepAlive, 0, true),
                (Unacknowledged, SMALL, true),
                (Pong, 0, true),
                (Write, MUCH, true),
            ],
            "is dropped after two heartbeats without a pong, or when a message is not \
             acknowledged; the client misses two heartbeats, and comes back with its cursor: \
             nothing is lost",
        ),
    }
}

async fn publish(server: &Server, bytes: usize) -> anyhow::Result<()> {
    const MOST: usize = 16 * 1024;
    let data = Data::new(&"x".repeat(bytes.min(MOST)))?;
    for _ in 0..bytes.div_ceil(MOST) {
        server
            .feed
            .publish("message".parse()?, data.clone())
            .await?;
    }
    Ok(())
}

/// The other side: a client that follows a server, and mute ones.
struct Other {
    lines: Lines<BufReader<ChildStdout>>,
    _process: process::Child,
}

impl Other {
    async fn start(
        link: &Link,
        method: &str,
        follows: &Server,
        mute: impl Iterator<Item = SocketAddr>,
    ) -> anyhow::Result<Self> {
        let mut process = Command::from(link.inside()?)
            .env(PLAYS, method)
            .arg(format!("http://{}/", follows.address))
            .args(mute.map(|address| address.to_string()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        let mut other = Self {
            lines,
            _process: process,
        };
        other.until("ready").await?;
        Ok(other)
    }

    /// What it says next.
    async fn line(&mut self) -> anyhow::Result<String> {
        let line = in_time("a line", self.lines.next_line()).await?;
        line.context("it goes on")
    }

    async fn until(&mut self, wanted: &str) -> anyhow::Result<()> {
        while self.line().await? != wanted {}
        Ok(())
    }

    /// Reads until the event with this id; fails unless each before it comes, once.
    async fn events(&mut self, ids: std::ops::RangeInclusive<u64>) -> anyhow::Result<()> {
        for id in ids {
            loop {
                match &*self.line().await? {
                    line if line == format!("event {id}") => break,
                    "opened" | "reconnecting" | "heartbeat" => {}
                    line => bail!("{line}, and not event {id}"),
                }
            }
        }
        Ok(())
    }
}

/// What the process on the other side does.
pub fn play(method: &OsStr) -> ExitCode {
    let runtime = testbed::seeded::runtime().expect("a runtime");
    let method = method.to_str().expect("a name");
    match runtime.block_on(follow(method)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn follow(method: &str) -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let base: Url = arguments.next().context("a URL")?.parse()?;
    let mut mute = Vec::new();
    for address in arguments {
        let mut socket = TcpStream::connect(address.parse::<SocketAddr>()?).await?;
        // A cursor of the tests' log, before its first event.
        let request = wait(method, "k3f9x2.0");
        socket.write_all(request.as_bytes()).await?;
        mute.push(tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while matches!(socket.read(&mut bytes).await, Ok(1..)) {}
        }));
    }
    let after = Position::Latest;
    let mut updates: BoxStream<'static, Result<Update, client::Error>> = match method {
        "polling" => {
            let rhythm = Rhythm {
                interval: BEAT / 5,
                jitter: 0.1,
            };
            let client = PollingClient::with_pace(base, BRISK).with_rhythm(rhythm);
            client.subscribe(after).boxed()
        }
        "long-polling" => LongPollingClient::with_pace(base, BRISK)
            .with_wait(Duration::from_secs(1))
            .subscribe(after)
            .boxed(),
        "sse" => SseClient::with_pace(base, BRISK).subscribe(after).boxed(),
        _ => WebSocketClient::with_pace(base, BRISK)
            .subscribe(after)
            .boxed(),
    };
    let mut opened = false;
    while let Some(update) = updates.next().await {
        match update? {
            Update::Opened(_) if !opened => {
                opened = true;
                println!("ready");
            }
            Update::Opened(_) => println!("opened"),
            Update::Events(events) => {
                for event in events {
                    println!("event {}", event.id.id.get());
                }
            }
            Update::Gap(gap) => println!("{gap:?}"),
            Update::Heartbeat => println!("heartbeat"),
            Update::Reconnecting(_) => println!("reconnecting"),
            Update::Finished => println!("finished"),
        }
    }
    Ok(())
}

/// Waits until a server has no connection; looks again only now and then, as it can take seconds.
async fn free(server: &Server) {
    let look = async {
        while server.ending.open() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    in_time("its connection is gone", look).await;
}

pub async fn vanishes(method: Method) -> anyhow::Result<()> {
    let link = Link::new()?;
    let (tried, what) = tried(method.name);
    let mut servers = Vec::new();
    for it in tried {
        let (edge, beat) = it.0.edge(method.name);
        servers.push(server_at(link.ours(), method, 1_000, edge, beat).await);
    }
    let (edge, beat) = Ear::all();
    let followed = server_at(link.ours(), method, 1_000, edge, beat).await;
    let addresses = servers.iter().map(|server| server.address);
    let mut other = Other::start(&link, method.name, &followed, addresses).await?;
    publish(&followed, SMALL).await?;
    other.events(1..=1).await?;
    for server in &servers {
        ensure!(server.ending.open() > 0, "it waits");
    }

    link.swallow()?;
    let began = Instant::now();
    // It is said to nobody, and no write fails.
    publish(&followed, SMALL).await?;
    for ((_, bytes, _), server) in tried.iter().zip(&servers) {
        publish(server, *bytes).await?;
    }
    let noticed = tried.iter().zip(&servers).filter(|(it, _)| it.2);
    let noticed = join_all(noticed.map(async |((ear, bytes, _), server)| {
        free(server).await;
        (ear, bytes, began.elapsed())
    }));
    // The client finds out by its own clock.
    let client = async {
        other.until("reconnecting").await?;
        anyhow::Ok(began.elapsed())
    };
    let (noticed, (), client) = join3(noticed, free(&followed), client).await;
    for (ear, bytes, after) in noticed {
        println!("{}: {ear:?}, {bytes} bytes to send: {after:?}", method.name);
    }
    println!("{}: the client: {:?}", method.name, client?);
    // Those that notice nothing have had time enough.
    sleep(3 * SOON - began.elapsed().min(3 * SOON)).await;
    for ((ear, bytes, notices), server) in tried.iter().zip(&servers) {
        let held = server.ending.open() > 0;
        ensure!(held != *notices, "{ear:?}, {bytes} bytes to send: {held}");
    }

    publish(&followed, SMALL).await?;
    link.restore()?;
    other.events(2..=3).await?;
    came_to(
        "half-open",
        method.name,
        what,
        &format!("faults::slow::half_open::{}", method.name),
    );
    Ok(())
}

/// The same by the servers' defaults, in real time.
pub async fn by_default(method: Method) -> anyhow::Result<()> {
    let link = Link::new()?;
    let edge = Config::default;
    let server = server_at(link.ours(), method, 1_000, edge(), method::HEARTBEAT).await;
    let followed = server_at(link.ours(), method, 1_000, edge(), method::HEARTBEAT).await;
    let mute = [server.address].into_iter();
    let mut other = Other::start(&link, method.name, &followed, mute).await?;
    let since = Instant::now();
    ensure!(server.ending.open() > 0, "it waits");
    link.swallow()?;
    // Longer than `in_time` allows.
    let noticed = async {
        while server.ending.open() > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        since.elapsed()
    };
    let client = async {
        while other.lines.next_line().await?.context("it goes on")? != "reconnecting" {}
        anyhow::Ok(since.elapsed())
    };
    let (noticed, client) = join(noticed, client).await;
    let client = client?;
    println!("{}: the server after {noticed:?}", method.name);
    println!("{}: the client after {client:?}", method.name);
    let most = Duration::from_secs(50);
    ensure!(noticed < most && client < most, "{noticed:?} {client:?}");
    Ok(())
}
