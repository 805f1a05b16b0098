//! A peer that vanishes: from one moment to the next nothing that is sent to it
//! arrives, and nothing comes back.
//!
//! It runs in a network namespace of its own.

use axum::{body::Body, extract::State, response::IntoResponse, routing::get, Router};
use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use serving::{serve, Config, Ending, Guarded};
use std::{
    convert::Infallible,
    env,
    io::{Read as _, Write as _},
    net::SocketAddr,
    process::{Child, ExitCode},
    sync::Arc,
    time::Duration,
};
use testbed::{eventually, link::Link, parts::trial};
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
    let link = Link::new()?;
    let places = Arc::new(Semaphore::new(1));
    let router = Router::new()
        .route("/stream", get(stream))
        .route("/parked", get(park))
        .with_state(places.clone());
    let listener = TcpListener::bind((link.ours(), 0)).await?;
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
    let peer = link
        .inside()?
        .args([PEER, &address.to_string(), path])
        .spawn()?;
    let _peer = Killed(peer);
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

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
