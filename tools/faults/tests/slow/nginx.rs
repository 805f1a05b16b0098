//! A reader that stops behind nginx: who notices, and what nginx keeps.

use crate::{
    peer::{wait, Peer},
    server,
};
use anyhow::{ensure, Context as _};
use contract::{Data, Kind};
use method::Method;
use serving::Config;
use std::{net::SocketAddr, process::Stdio, time::Duration};
use testbed::{
    eventually,
    faults::came_to,
    in_time,
    parts::{Missing, PROXIES},
};
use tokio::{net::TcpStream, process, time::sleep};

/// How long a write may wait, and a socket be silent for half of it.
const PROGRESS: Duration = Duration::from_secs(2);

struct Nginx {
    _process: process::Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

/// nginx in front of `server`, with these lines for what is proxied.
async fn nginx(server: SocketAddr, lines: &str) -> anyhow::Result<Nginx> {
    let directory = tempfile::tempdir()?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let at = directory.path().display();
    let configuration = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
        events {{ }}
        http {{
          access_log off;
          client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
          fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
          server {{
            listen {address};
            location / {{
              proxy_pass http://{server};
              proxy_http_version 1.1;
              proxy_set_header Host $http_host;
              proxy_set_header Upgrade $http_upgrade;
              proxy_set_header Connection $http_connection;
              {lines}
            }}
          }}
        }}"
    );
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, configuration)?;
    let mut command = process::Command::new("nginx");
    for name in PROXIES {
        command.env_remove(name);
    }
    let process = command
        .arg("-e")
        .arg(directory.path().join("error.log"))
        .arg("-p")
        .arg(directory.path())
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("nginx cannot be run")
        .map_err(Missing)?;
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    in_time("nginx", listens).await;
    Ok(Nginx {
        _process: process,
        address,
        _directory: directory,
    })
}

/// Whether the server finds out, within three times as long as a write may wait.
async fn behind(method: Method, lines: &str) -> anyhow::Result<bool> {
    let edge = Config {
        write_progress: PROGRESS,
        ..Config::default()
    };
    let server = server(method, 1_000, edge, PROGRESS / 2).await;
    let (kind, data) = (
        "message".parse::<Kind>()?,
        Data::new(&"x".repeat(16 * 1024))?,
    );
    for _ in 0..1_000 {
        server.feed.publish(kind.clone(), data.clone()).await?;
    }
    let nginx = nginx(server.address, lines).await?;
    let mut peer = Peer::connect(1, Some(2_048), nginx.address).await?;
    peer.write(&wait(method.name, "earliest")).await?;
    eventually("it is connected", || server.ending.open() > 0).await;
    let began = std::time::Instant::now();
    while server.ending.open() > 0 && began.elapsed() < 3 * PROGRESS {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(server.ending.open() == 0)
}

/// nginx buffers as it does by default.
const HELD: &str = "proxy_ignore_headers X-Accel-Buffering;";

pub async fn stream() -> anyhow::Result<()> {
    let found = behind(sse::METHOD, "").await?;
    ensure!(found, "`X-Accel-Buffering: no` lets the server see it");
    let found = behind(sse::METHOD, HELD).await?;
    ensure!(!found, "nginx takes everything for it");
    let bounded = format!("{HELD} proxy_max_temp_file_size 0;");
    let found = behind(sse::METHOD, &bounded).await?;
    ensure!(found, "without a file nginx stops reading");
    came_to(
        "reader-stops-behind-nginx",
        "sse",
        "is cut when a write has waited too long, with `X-Accel-Buffering: no` or \
         `proxy_max_temp_file_size 0`; with nginx's buffering nobody notices, and nginx writes \
         the events into a file",
        "faults::slow::a_reader_that_stops_behind_nginx::sse",
    );
    Ok(())
}

pub async fn socket() -> anyhow::Result<()> {
    let found = behind(websocket::METHOD, "").await?;
    ensure!(found, "its pongs are missing");
    came_to(
        "reader-stops-behind-nginx",
        "websocket",
        "is dropped after two heartbeats without a pong",
        "faults::slow::a_reader_that_stops_behind_nginx::websocket",
    );
    Ok(())
}
