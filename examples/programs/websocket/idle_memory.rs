//! How much memory a socket costs on which nothing happens.
//!
//! ```text
//! cargo run --release --example idle_memory
//! cargo run --release --example idle_memory -- 5000 131072
//! cargo run --release --example idle_memory -- 5000 128 walk
//! ```
//!
//! Starts the server in a process of its own, opens sockets (the first number, 5,000
//! unless told otherwise), and reads what of that process lies in memory before and
//! after (`VmRSS`, Linux). The second number is the read buffer in bytes, and the word
//! is the value of the server's `--fan-out`. It reports, and judges nothing. What the
//! kernel keeps for a connection is not in these figures.

use anyhow::{Context, Result};
use feed::{Feed, Retention};
use serving::{guard, serve, Allowed, Ending};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use websocket::{router, Config, FanOut};

/// Opened before the first look, so that what the first connections alone cost is in
/// both figures.
const WARM_UP: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let read_buffer = arguments.next().map(|number| number.parse()).transpose()?;
    let read_buffer = read_buffer.unwrap_or(Config::default().read_buffer);
    let fan_out = arguments.next().unwrap_or("tasks".to_owned());
    match first.as_deref() {
        Some("serve") => run_server(read_buffer, &fan_out).await,
        Some(sockets) => measure(sockets.parse()?, read_buffer, &fan_out).await,
        None => measure(5_000, read_buffer, &fan_out).await,
    }
}

async fn run_server(read_buffer: usize, fan_out: &str) -> Result<()> {
    let many = 100_000;
    let config = Config {
        max_sockets: many,
        // None comes while it is measured.
        heartbeat: Duration::from_secs(3600),
        read_buffer,
        fan_out: match fan_out {
            "walk" => FanOut::Walk,
            _ => FanOut::Tasks,
        },
        ..Config::default()
    };
    let edge = serving::Config {
        max_connections: many,
        ..serving::Config::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let ending = Ending::new();
    let [feed, board] = [(); 2].map(|()| Feed::new(Retention::default()));
    let router = router(feed, board, config, ending.clone());
    let router = guard(router, Allowed::default());
    Ok(serve(listener, router, edge, ending).await?)
}

async fn measure(sockets: usize, read_buffer: usize, fan_out: &str) -> Result<()> {
    let (server, address) = start(read_buffer, fan_out)?;
    let _warm = open(address, WARM_UP).await?;
    let before = resident(&server)?;
    let _idle = open(address, sockets).await?;
    let after = resident(&server)?;
    println!(
        "{sockets} idle sockets, {fan_out}, read buffer {read_buffer} bytes, {}: {before} KiB before, {after} KiB after, {:.1} KiB each",
        if cfg!(debug_assertions) { "debug" } else { "release" },
        (after - before) as f64 / sockets as f64,
    );
    Ok(())
}

/// The server, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(read_buffer: usize, fan_out: &str) -> Result<(Server, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", &read_buffer.to_string(), fan_out])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("it was piped")?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((server, line.trim().parse()?))
}

/// Opens sockets, one after the other, each to its hello.
async fn open(address: SocketAddr, sockets: usize) -> Result<Vec<TcpStream>> {
    let request = format!(
        "GET /events HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: waiting.v1\r\n\r\n"
    );
    let mut opened = Vec::with_capacity(sockets);
    for _ in 0..sockets {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}}") {
            let read = socket.read_buf(&mut answer).await?;
            anyhow::ensure!(read > 0, "refused: {}", String::from_utf8_lossy(&answer));
        }
        opened.push(socket);
    }
    Ok(opened)
}

/// What of a process lies in memory, in KiB (`proc(5)`).
fn resident(server: &Server) -> Result<i64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.context("no VmRSS")?.trim().parse()?)
}
