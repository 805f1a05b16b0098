//! A peer that vanishes: from one moment to the next nothing that is sent to it
//! arrives, and nothing comes back.
//!
//! It runs in a network namespace of its own, at the other end of a pair of virtual
//! interfaces. To make it vanish, the server's side is told another hardware address
//! for it, so that every packet is for nobody.

use anyhow::{ensure, Context as _};
use axum::{body::Body, extract::State, response::IntoResponse, routing::get, Router};
use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use serving::{serve, Config, Ending, Guarded};
use std::{
    convert::Infallible,
    env,
    io::{Read as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, ExitCode},
    sync::Arc,
    time::Duration,
};
use testbed::{
    eventually,
    parts::{trial, Forbidden, Missing},
};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

/// The program is also the peer, in its namespace: `vanished peer ADDRESS PATH`.
const PEER: &str = "peer";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, peer, address, path] = &arguments[..] {
        if peer == PEER {
            return be_peer(address, path);
        }
    }
    let limit = Duration::from_secs(120);
    let trials: Vec<Trial> = ["/stream", "/parked"]
        .map(|path| {
            let name =
                format!("a_peer_that_vanishes_is_missed{}", path.replace('/', "::"));
            trial(&name, limit, move || vanishes(path))
        })
        .into();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Asks, and reads until the end of the world.
fn be_peer(address: &str, path: &str) -> ExitCode {
    let address: SocketAddr = address.parse().expect("an address");
    let mut socket = std::net::TcpStream::connect(address).expect("the server listens");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is taken");
    let mut bytes = [0; 1024];
    while matches!(socket.read(&mut bytes), Ok(1..)) {}
    ExitCode::SUCCESS
}

async fn vanishes(path: &'static str) -> anyhow::Result<()> {
    let link = Link::new(usize::from(path == "/parked"))?;
    let places = Arc::new(Semaphore::new(1));
    let router = Router::new()
        .route("/stream", get(stream))
        .route("/parked", get(park))
        .with_state(places.clone());
    let listener = TcpListener::bind((link.ours.as_str(), 0)).await?;
    let address = listener.local_addr()?;
    let config = Config {
        keep_alive: Duration::from_secs(1),
        keep_alive_interval: Duration::from_secs(1),
        unacknowledged: Duration::from_secs(2),
        ..Config::default()
    };
    tokio::spawn(serve(
        listener,
        Guarded::unchecked(router),
        config,
        Ending::new(),
    ));
    let _peer = link.peer(address, path)?;
    eventually("the place is taken", || places.available_permits() == 0).await;
    link.swallow()?;
    eventually("the place is free", || places.available_permits() == 1).await;
    Ok(())
}

/// Writes a little again and again, as heartbeats do.
async fn stream(State(places): State<Arc<Semaphore>>) -> impl IntoResponse {
    let place = places.try_acquire_owned();
    let beats = futures_util::stream::unfold(place, |place| async {
        sleep(Duration::from_millis(300)).await;
        Some((
            Ok::<_, Infallible>(Bytes::from_static(b": beat\n\n")),
            place,
        ))
    });
    Body::from_stream(beats)
}

/// Writes nothing.
async fn park(State(places): State<Arc<Semaphore>>) {
    let _place = places.try_acquire_owned();
    std::future::pending::<()>().await
}

/// What `ip` says where the system does not allow a namespace, or has no virtual
/// interfaces.
const FORBIDDEN: [&str; 5] = [
    "not permitted",
    "Permission denied",
    "Read-only file system",
    "Unknown device type",
    "not supported",
];

/// A namespace and the way to it; gone when dropped.
struct Link {
    name: String,
    /// The server's address.
    ours: String,
    theirs: String,
}

impl Link {
    /// `number` tells several of one process apart.
    fn new(number: usize) -> anyhow::Result<Self> {
        let pid = std::process::id();
        let network = format!("198.18.{}", (pid as usize + number) % 256);
        let link = Self {
            name: format!("w{number}-{pid}"),
            ours: format!("{network}.1"),
            theirs: format!("{network}.2"),
        };
        let Link { name, ours, theirs } = &link;
        link.ip(&format!("netns add {name}"))?;
        link.ip(&format!(
            "link add {name} type veth peer name inside netns {name}"
        ))?;
        link.ip(&format!("address add {ours}/30 dev {name}"))?;
        link.ip(&format!("link set {name} up"))?;
        link.ip(&format!("-n {name} address add {theirs}/30 dev inside"))?;
        link.ip(&format!("-n {name} link set inside up"))?;
        Ok(link)
    }

    fn ip(&self, arguments: &str) -> anyhow::Result<()> {
        let ip = Command::new("ip")
            .args(arguments.split_whitespace())
            .output()
            .context("ip, of iproute2, cannot be run")
            .map_err(Missing)?;
        if !ip.status.success() {
            let words = String::from_utf8_lossy(&ip.stderr);
            let error = anyhow::anyhow!("`ip {arguments}`: {}", words.trim());
            let forbidden = FORBIDDEN.iter().any(|word| words.contains(word));
            return Err(match forbidden {
                true => Forbidden(error).into(),
                false => error,
            });
        }
        Ok(())
    }

    fn peer(&self, address: SocketAddr, path: &str) -> anyhow::Result<Killed> {
        let program = env::current_exe()?;
        let peer = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(program)
            .args([PEER, &address.to_string(), path])
            .spawn()?;
        Ok(Killed(peer))
    }

    /// From now on nothing arrives there.
    fn swallow(&self) -> anyhow::Result<()> {
        let Self { name, theirs, .. } = self;
        let nobody = format!(
            "neigh replace {theirs} lladdr 02:00:00:00:00:01 dev {name} nud permanent"
        );
        let swallowed = self.ip(&nobody);
        ensure!(swallowed.is_ok(), "{swallowed:?}");
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // With it go its interfaces. Where it was not made, there is none.
        let _ = self.ip(&format!("netns delete {}", self.name));
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
