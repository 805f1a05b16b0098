//! nginx and HAProxy on free ports, with the files that the book shows.

use anyhow::Context as _;
use rustix::{
    io::{fcntl_setfd, FdFlags},
    process::{kill_process_group, Pid, Signal},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    process::Stdio,
};
use tempfile::TempDir;
use testbed::{in_time, parts::Missing, Raw};
use tokio::process::{Child, Command};
use url::Url;

/// Where the servers of the files are, in their order.
const SERVERS: [&str; 3] = ["127.0.0.1:4201", "127.0.0.1:4202", "127.0.0.1:4203"];

/// A proxy that runs until it is dropped.
pub struct Proxy {
    child: Child,
    _directory: TempDir,
    pub address: SocketAddr,
}

impl Proxy {
    /// nginx before these servers.
    pub async fn nginx(servers: &[SocketAddr]) -> anyhow::Result<Self> {
        let (listener, address) = inherited()?;
        let directory = tempfile::tempdir()?;
        let site = with_servers(include_str!("nginx.conf"), servers)
            .replace("127.0.0.1:8080", &address.to_string());
        // Its files are in a directory of its own.
        let configuration = format!(
            "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr crit;\n\
             events {{ worker_connections 12000; }}\n\
             http {{\naccess_log off;\nclient_body_temp_path temporary;\n\
             proxy_temp_path temporary;\nfastcgi_temp_path temporary;\n\
             uwsgi_temp_path temporary;\nscgi_temp_path temporary;\n{site}}}\n"
        );
        fs::write(directory.path().join("nginx.conf"), configuration)?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "stderr"])
            // As nginx hands its listeners on to a new version of itself.
            .env("NGINX", format!("{};", listener.as_raw_fd()))
            // It says that it has inherited a listener.
            .stderr(Stdio::null())
            .env("PATH", path())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .context("nginx")
            .map_err(Missing)?;
        Self::started(child, directory, listener, address).await
    }

    /// HAProxy before these servers.
    pub async fn haproxy(servers: &[SocketAddr]) -> anyhow::Result<Self> {
        let (listener, address) = inherited()?;
        let directory = tempfile::tempdir()?;
        let backend = with_servers(include_str!("haproxy.cfg"), servers);
        let configuration = format!(
            "global\n    maxconn 4000\ndefaults\n    mode http\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\n    timeout tunnel 1h\n\
             frontend all\n    bind fd@{}\n    default_backend waiting\n{backend}",
            listener.as_raw_fd()
        );
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, configuration)?;
        let child = Command::new("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&file)
            .env("PATH", path())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .context("haproxy")
            .map_err(Missing)?;
        Self::started(child, directory, listener, address).await
    }

    async fn started(
        child: Child,
        directory: TempDir,
        listener: TcpListener,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        drop(listener);
        let mut proxy = Self {
            child,
            _directory: directory,
            address,
        };
        // Whoever connects waits in the listener's queue until the proxy is there.
        let answer = in_time("the proxy", async {
            let mut raw = Raw::get(address, "/nothing").await;
            raw.until("HTTP/1.1 ").await;
        });
        tokio::select! {
            () = answer => Ok(proxy),
            ended = proxy.child.wait() => anyhow::bail!("the proxy ended: {:?}", ended?),
        }
    }

    /// Where the routes of `prefix` lie, by way of the proxy.
    pub fn base(&self, prefix: &str) -> Url {
        let url = format!("http://{}{prefix}", self.address);
        url.parse().expect("a URL")
    }
}

impl Drop for Proxy {
    /// Ends nginx with its worker, which would outlive it.
    fn drop(&mut self) {
        let id = self.child.id().and_then(|id| id.try_into().ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A listener that a child inherits, by number.
fn inherited() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    fcntl_setfd(&listener, FdFlags::empty())?;
    Ok((listener, address))
}

fn with_servers(file: &str, servers: &[SocketAddr]) -> String {
    let mut text = String::new();
    for line in file.lines() {
        let server = SERVERS.iter().position(|server| line.contains(server));
        let line = match server {
            None => line.to_owned(),
            Some(at) => match servers.get(at) {
                Some(server) => line.replace(SERVERS[at], &server.to_string()),
                // A file may have more servers than a test.
                None => continue,
            },
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Debian has both where only an administrator's shell looks.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin")
}
