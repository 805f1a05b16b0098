//! A server in a process of its own.

use crate::Settings;
use anyhow::Context as _;
use std::{net::SocketAddr, path::Path, process::Stdio};
use testbed::{in_time, parts::PROXIES};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{self, Command},
};
use url::Url;

/// A server that runs until it is dropped, or ends.
pub struct Child {
    process: process::Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Child {
    /// Starts the program of this crate: `program` is `env!("CARGO_BIN_EXE_faults")`.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(program: impl AsRef<Path>, settings: &Settings) -> anyhow::Result<Self> {
        let mut command = Command::new(program.as_ref());
        for name in PROXIES {
            command.env_remove(name);
        }
        command
            .arg(serde_json::to_string(settings)?)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().context("the server")?;
        let stdout = process.stdout.take().context("its output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = in_time("its address", lines.next_line()).await?;
        let line = line.context("it says where it listens")?;
        let (_, url) = line.split_once(' ').context("NAME: URL")?;
        let url: Url = url.parse()?;
        let address = url.socket_addrs(|| None)?.remove(0);
        Ok(Self { process, address })
    }

    /// The URL under which its routes lie.
    pub fn base(&self) -> Url {
        let url = format!("http://{}/", self.address);
        url.parse().expect("a URL")
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has in memory, in bytes. Linux only.
    ///
    /// # Errors
    /// Where it has ended, or the system does not say.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let id = self.id().context("it runs")?;
        let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.context("VmRSS")?.parse()?;
        Ok(kib * 1024)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// Where it has ended.
    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let id = self.id().context("it runs")?;
        let id = rustix::process::Pid::from_raw(id.try_into()?).context("a process")?;
        Ok(rustix::process::kill_process(id, signal)?)
    }

    /// Waits for its end; whether it ended well.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub async fn ended(&mut self) -> anyhow::Result<bool> {
        let status = in_time("its end", self.process.wait()).await?;
        Ok(status.success())
    }
}
