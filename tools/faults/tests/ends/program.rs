//! The program of a method, as a reader starts it, in a process of its own.

use anyhow::{ensure, Context as _};
use rustix::process::{kill_process, Pid, Signal};
use std::{
    env,
    ffi::OsStr,
    net::SocketAddr,
    process::{ExitCode, ExitStatus, Stdio},
};
use testbed::{in_time, parts::PROXIES, Metrics, Raw};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use url::Url;

/// Names the method in the process that plays its program.
pub const PLAYS: &str = "FAULTS_PLAYS";

/// What `main` of the program of this method does, with the flags of this process.
pub fn play(method: &OsStr) -> ExitCode {
    let methods = [
        polling::METHOD,
        long_polling::METHOD,
        sse::METHOD,
        websocket::METHOD,
    ];
    let method = methods.into_iter().find(|it| method == it.name);
    let runtime = testbed::seeded::runtime().expect("a runtime");
    runtime.block_on(method::run(method.expect("a method")))
}

/// A program that runs until it is told to end, or is dropped.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it says what it has counted.
    metrics: SocketAddr,
    /// What else it says, if anything.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// On a free port, with these flags.
    pub async fn start(method: &str, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(method, 0, flags).await
    }

    /// The same on a port that was free a moment ago.
    pub async fn start_at(method: &str, port: u16, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        for name in PROXIES {
            command.env_remove(name);
        }
        command
            .env(PLAYS, method)
            .args(["--port", &port.to_string(), "--metrics-port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().context("the program")?;
        let output = child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(output).lines();
        let mut address = async || {
            let line = in_time("an address", lines.next_line()).await?;
            let line = line.context("it says where it listens")?;
            let (_, url) = line.split_once(": ").context("NAME: URL")?;
            let url: Url = url.parse()?;
            anyhow::Ok(url.socket_addrs(|| None)?.remove(0))
        };
        let (address, metrics) = (address().await?, address().await?);
        Ok(Self {
            child,
            address,
            metrics,
            _lines: lines,
        })
    }

    /// The URL under which its routes lie.
    pub fn base(&self) -> Url {
        let url = format!("http://{}/", self.address);
        url.parse().expect("a URL")
    }

    /// What it has counted under this name.
    pub async fn count(&self, name: &str) -> f64 {
        let mut raw = Raw::get(self.metrics, "/metrics").await;
        let answer = raw.answer().await;
        Metrics::parse(&answer.body)
            .0
            .get(name)
            .copied()
            .unwrap_or(0.0)
    }

    /// Waits until as many wait.
    pub async fn has_waiting(&self, method: &str, count: usize) {
        let name = format!("waiting_waits_open{{method=\"{method}\"}}");
        let what = format!("{count} that wait");
        in_time(&what, async {
            while self.count(&name).await != count as f64 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// What `GET ready` answers.
    pub async fn ready(&self) -> u16 {
        let mut raw = Raw::get(self.address, "/ready").await;
        raw.answer().await.status()
    }

    /// Waits until it says that it is not ready.
    pub async fn is_not_ready(&self) {
        in_time("not ready", async {
            while self.ready().await != 503 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("it runs")?;
        let id = Pid::from_raw(id.try_into()?).context("a process")?;
        Ok(kill_process(id, signal)?)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(in_time("its end", self.child.wait()).await?)
    }

    /// Waits for its end, which must be a good one.
    pub async fn ended_well(&mut self) -> anyhow::Result<()> {
        let status = self.ended().await?;
        ensure!(status.code() == Some(0), "it ended with {status}");
        Ok(())
    }
}
