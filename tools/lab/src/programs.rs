//! The programs that are measured: found, built, started and ended.

use crate::{
    hold,
    job::{Job, Reply, LISTENING},
    line::{self, By, Line, Passed},
    method::{Method, Silence},
    plan::{Step, Workers},
    protocol::Protocol,
    results::Outcome,
    system,
};
use anyhow::{bail, ensure, Context as _};
use serde::Serialize;
use std::{
    collections::VecDeque,
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command as StdCommand, Stdio},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc, Mutex, PoisonError,
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use url::Url;

/// How long a server may take until it listens, and until it has ended. Servers give open streams 5
/// s to finish.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many lines of a program's errors are kept, for the reason of a failure.
const KEPT_LINES: usize = 10;

/// How many servers were started: for the names of their certificates.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The variables that name a proxy. All programs are on this machine.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// Where the workspace is.
pub fn root() -> PathBuf {
    // Two directories up from this crate.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.map(Path::to_owned).unwrap_or_default()
}

/// A directory for the results of a run that began then.
pub fn new_directory(started: jiff::Timestamp) -> PathBuf {
    let name = started.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    root().join("target/lab").join(name)
}

/// Which servers are measured.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Servers {
    /// Measure the book's servers that are there, and build none
    #[arg(long)]
    no_build: bool,

    /// Measure the book's servers in this directory, such as those of another commit, and build
    /// none
    #[arg(long, value_name = "DIRECTORY")]
    server_directory: Option<PathBuf>,
}

impl Servers {
    /// The other directory, for `run.json`.
    pub fn directory(&self) -> Option<String> {
        let directory = self.server_directory.as_ref();
        directory.map(|it| it.display().to_string())
    }
}

/// The programs: servers and lab beside each other, and so of the same profile, or those of another
/// build.
#[derive(Clone, Debug)]
pub struct Programs {
    lab: PathBuf,
    /// Of the servers.
    directory: PathBuf,
}

impl Programs {
    /// Builds those of these methods, unless they shall only be found.
    ///
    /// # Errors
    /// Names what is missing and how to get it.
    pub fn new(methods: &[Method], servers: &Servers) -> anyhow::Result<Self> {
        let lab = env::current_exe().context("where this program is")?;
        let (build, directory) = match &servers.server_directory {
            Some(directory) => (false, directory.clone()),
            None => {
                let directory = lab.parent().context("a directory")?;
                (!servers.no_build, directory.to_owned())
            }
        };
        let programs = Self { lab, directory };
        let mut packages: Vec<_> = methods.iter().filter_map(|it| it.program()).collect();
        packages.sort_unstable();
        packages.dedup();
        let wanted: Vec<_> = packages.iter().flat_map(|name| ["-p", name]).collect();
        let release = programs.profile() == "release";
        let flags: &[&str] = if release { &["--release"] } else { &[] };
        if build && !packages.is_empty() {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = StdCommand::new(cargo);
            command
                .args(["build", "--locked"])
                .args(flags)
                .args(&wanted)
                .current_dir(root());
            let status = command.status().context("cargo")?;
            ensure!(status.success(), "the servers could not be built");
        }
        let missing = packages.iter().map(|name| programs.path(name));
        let missing: Vec<_> = missing.filter(|path| !path.exists()).collect();
        ensure!(
            missing.is_empty(),
            "there is no {missing:?}; cargo build {} {}",
            flags.join(" "),
            wanted.join(" ")
        );
        Ok(programs)
    }

    /// `release` or `debug`: that of the lab.
    pub fn profile(&self) -> String {
        let name = self.lab.parent().and_then(Path::file_name);
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.directory.join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .env("RUST_LOG", "warn");
        for name in PROXIES {
            command.env_remove(name);
        }
        // A group of its own: a Ctrl-C in the terminal is for this program, which ends the others.
        #[cfg(unix)]
        command.process_group(0);
        command
    }

    /// Starts the server of a method, with room for the clients of this step.
    ///
    /// # Errors
    /// Where it cannot be started, or prints no address in time.
    pub async fn serve(&self, step: &Step, port: u16) -> anyhow::Result<Server> {
        let method = step.method;
        let mut command = self.command(&self.lab);
        command.arg("hold");
        // Written before the server prints its address, and read then.
        let certificate = format!("lab-{}-{}.pem", process::id(), COUNT.fetch_add(1, Relaxed));
        let certificate = env::temp_dir().join(certificate);
        match method.program() {
            None => {
                command.arg(&self.lab).args(["floor", &method.to_string()]);
            }
            Some(name) => {
                command.arg(self.path(name)).args(flags(step, port));
                if step.protocol == Protocol::H2Tls {
                    command.arg("--tls").arg("--certificate").arg(&certificate);
                }
            }
        }
        let many = system::client_ports().is_some_and(|ports| step.connections() > ports);
        if many || step.line.by == By::Tun {
            // So many connect to several addresses of 127.0.0.0/8; and a line has its own.
            command.args(["--host", "0.0.0.0"]);
        }
        match step.workers {
            Workers::Some(count) => command.env("TOKIO_WORKER_THREADS", count.to_string()),
            Workers::All => command.env_remove("TOKIO_WORKER_THREADS"),
        };
        let name = method.to_string();
        let mut server = started(command, &name, method.program().is_some()).await?;
        if step.protocol == Protocol::H2Tls {
            let text = fs::read_to_string(&certificate);
            let _ = fs::remove_file(&certificate);
            server.certificate = Some(text.context("the server's certificate")?);
        }
        Ok(server)
    }

    /// Starts any other server, which prints its address in a line of its own.
    ///
    /// # Errors
    /// Where it cannot be started, or prints no address in time.
    pub async fn hold(&self, name: &str, server: &StdCommand) -> anyhow::Result<Server> {
        let mut command = self.command(&self.lab);
        command.arg("hold").arg(server.get_program());
        command.args(server.get_args());
        for (variable, value) in server.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        started(command, name, false).await
    }

    /// This program.
    pub fn lab(&self) -> &Path {
        &self.lab
    }

    /// Starts a line of packets.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub async fn line(&self, line: &Line, seed: u64) -> anyhow::Result<Running> {
        let mut command = self.command(&self.lab);
        command
            .arg("line")
            .args(["--rtt", &line.rtt_ms.to_string()])
            .args(["--loss", &line.loss_percent.to_string()])
            .args(["--seed", &seed.to_string()]);
        let mut talk = Talk::with(command.spawn().context("lab line")?)?;
        let ready = timeout(PATIENCE, talk.lines.next_line()).await;
        let ready = ready.context("a line is not made")??;
        if ready.as_deref() != Some(line::READY) {
            // Its last words may still be on their way.
            let _ = timeout(PATIENCE, talk.child.wait()).await;
            tokio::task::yield_now().await;
            bail!("a line was not made{}", talk.errors.text());
        }
        Ok(Running(talk))
    }

    /// Starts the process with the clients.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn clients(&self, job: &Job) -> anyhow::Result<Clients> {
        self.work("clients", job).await
    }

    /// Starts this program again with one of its commands, which reads a job and reports.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn work(&self, name: &str, job: &impl Serialize) -> anyhow::Result<Clients> {
        let mut command = self.command(&self.lab);
        let child = command.arg(name).spawn();
        let child = child.with_context(|| format!("lab {name}"))?;
        let mut talk = Talk::with(child)?;
        talk.write(&serde_json::to_string(job)?).await?;
        Ok(Clients(talk))
    }
}

/// What a server of the book is started with, so that the clients of this step have room.
fn flags(step: &Step, port: u16) -> Vec<String> {
    let port = port.to_string();
    let room = connections(step.connections()).to_string();
    let mut flags = vec!["--port", &port, "--rate", "0", "--metrics-port", "0"];
    flags.extend(["--max-connections", &room]);
    flags.extend(step.method.flags());
    if step.method.has_heartbeat() && step.silence == Silence::Short {
        flags.extend(["--heartbeat", "1"]);
    }
    flags.into_iter().map(str::to_owned).collect()
}

/// Starts `lab hold` with a server, and waits for its address, and for that of its counts.
async fn started(mut command: Command, name: &str, counts: bool) -> anyhow::Result<Server> {
    // `hold` does not end this one by signals: it ends when its input does.
    let child = command.spawn().context("lab hold")?;
    let mut held = Talk::with(child)?;
    let started = async {
        let (mut process, mut base, mut metrics) = (None, None, None);
        while process.is_none() || base.is_none() || counts && metrics.is_none() {
            let line = held.lines.next_line().await?.context("it has ended")?;
            match line.strip_prefix(hold::PROCESS) {
                Some(id) => process = Some(id.parse()?),
                None if line.contains(" certificate: ") => {}
                None if line.contains(" metrics: ") => {
                    metrics = Some(address(&line)?.to_string());
                }
                None => base = Some(address(&line)?),
            }
        }
        anyhow::Ok((process.context("process")?, base.context("base")?, metrics))
    };
    let started = timeout(PATIENCE, started).await;
    let started = started.context("it does not listen").and_then(|it| it);
    let (process, base, metrics) = started.map_err(|error| {
        let errors = held.errors.text();
        error.context(format!("the server of {name} did not start{errors}"))
    })?;
    Ok(Server {
        held,
        process,
        base,
        certificate: None,
        metrics,
    })
}

/// How many connections a server allows, so that this many clients may wait: nine in ten may.
fn connections(clients: u32) -> u32 {
    (clients + 2) * 10 / 9 + 12
}

/// The most clients that a server can have with this many files.
pub fn most_clients(files: u64) -> u64 {
    (files.saturating_sub(64 + 13) * 9 / 10).saturating_sub(2)
}

/// How many files a server of this many clients, or the process with the clients, may need; through
/// a relay two for each client.
pub fn descriptors(clients: u32, relayed: u32) -> u64 {
    let (server, relay) = (connections(clients) + 64, 3 * relayed + 64);
    u64::from(server.max(relay))
}

fn address(line: &str) -> anyhow::Result<Url> {
    let schemes = ["http://", "https://"];
    let start = schemes.iter().find_map(|scheme| line.find(scheme));
    let start = start.context("a line without an address")?;
    let address = line[start..].split_whitespace().next().unwrap_or_default();
    // One that listens on all addresses is reached by this.
    let address = address.replace("//0.0.0.0:", "//127.0.0.1:");
    Ok(address.parse()?)
}

/// A process with which lines are exchanged. It ends when this is dropped, because then its input
/// does.
#[derive(Debug)]
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    errors: Errors,
}

impl Talk {
    fn with(mut child: Child) -> anyhow::Result<Self> {
        let errors = Errors::default();
        let stderr = child.stderr.take().context("standard error")?;
        tokio::spawn(keep(stderr, errors.clone()));
        let output = child.stdout.take().context("standard output")?;
        Ok(Self {
            input: child.stdin.take(),
            lines: BufReader::new(output).lines(),
            child,
            errors,
        })
    }

    async fn write(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("standard input")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }
}

/// The last lines of a program's errors.
#[derive(Clone, Debug, Default)]
struct Errors(Arc<Mutex<VecDeque<String>>>);

impl Errors {
    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("; {line}")).collect()
    }
}

async fn keep(errors: ChildStderr, Errors(kept): Errors) {
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(line);
        if kept.len() > KEPT_LINES {
            kept.pop_front();
        }
    }
}

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub struct Server {
    held: Talk,
    /// The server's own process, not that of its holder.
    pub process: u32,
    /// Where it is.
    pub base: Url,
    /// Its certificate as text, where it speaks TLS.
    pub certificate: Option<String>,
    /// Where its own counts are; a floor has none.
    pub metrics: Option<String>,
}

impl Server {
    /// Ends it at once, and waits until it has.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.held.input = None;
        self.ended().await
    }

    /// Asks it to end, as a deployment does, and waits until it has.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.held.write(hold::END).await?;
        self.ended().await
    }

    async fn ended(&mut self) -> anyhow::Result<()> {
        let ended = timeout(PATIENCE, self.held.child.wait()).await;
        ended.context("a server does not end")??;
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Before the child, which `kill_on_drop` would kill: a holder that is killed ends nothing.
        self.input = None;
        #[cfg(unix)]
        group::kill(&self.child);
    }
}

#[cfg(unix)]
mod group {
    use rustix::process::{kill_process_group, Pid, Signal};
    use tokio::process::Child;

    /// Kills a process and what it has started, unless it was seen to end.
    pub fn kill(child: &Child) {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A line that passes packets on, until this is dropped.
#[derive(Debug)]
pub struct Running(Talk);

impl Running {
    /// Ends it; what it has done.
    ///
    /// # Errors
    /// Where it ended before.
    pub async fn end(mut self) -> anyhow::Result<Passed> {
        self.0.input = None;
        let passed = timeout(PATIENCE, self.0.lines.next_line()).await;
        let passed = passed.context("a line does not end")??;
        Ok(serde_json::from_str(&passed.context("a line has ended")?)?)
    }
}

/// The process with the clients.
#[derive(Debug)]
pub struct Clients(Talk);

impl Clients {
    /// What it reports next.
    ///
    /// # Errors
    /// Why it has ended, where it has.
    pub async fn next(&mut self) -> anyhow::Result<Reply> {
        match self.0.lines.next_line().await? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => {
                // Its last words may still be on their way.
                let _ = timeout(PATIENCE, self.0.child.wait()).await;
                tokio::task::yield_now().await;
                bail!("the clients have ended{}", self.0.errors.text())
            }
        }
    }

    /// The server listens again.
    ///
    /// # Errors
    /// Where they have ended.
    pub async fn listening(&mut self) -> anyhow::Result<()> {
        self.0.write(LISTENING).await
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn done(&mut self, mut progress: impl FnMut(f64)) -> anyhow::Result<Outcome> {
        loop {
            match self.next().await? {
                Reply::Progress(part) => progress(part),
                Reply::Ready => bail!("there is nothing to be ready for"),
                Reply::Done(outcome) => return Ok(*outcome),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Task;

    #[test]
    fn each_websocket_server_is_started_as_it_is_named() {
        let flags = |method| {
            let step = Step {
                method,
                task: Task::Delivery,
                clients: 10,
                silence: Silence::Usual,
                protocol: Protocol::H1,
                workers: Workers::All,
                line: Line::NONE,
                repetition: 0,
            };
            flags(&step, 0).join(" ")
        };
        assert!(flags(Method::WebSocketWalk).contains("--fan-out walk"));
        assert!(!flags(Method::WebSocket).contains("--fan-out"));
        assert!(flags(Method::WebSocket).contains("--max-connections "));
    }

    #[test]
    fn a_server_has_a_place_for_each_client() {
        for clients in [1, 50, 1000, 10_000] {
            let connections = connections(clients);
            let places = connections - connections.div_ceil(10);
            assert!(places >= clients, "{places} of {connections}");
        }
    }

    #[test]
    fn the_most_clients_are_as_many_as_the_files_allow() {
        for files in [1024, 20_000, 1_048_576] {
            let most = u32::try_from(most_clients(files)).unwrap();
            assert!(descriptors(most, 0) <= files, "{most} of {files}");
            assert!(descriptors(most + 3, 0) > files, "{most} of {files}");
        }
    }

    #[test]
    fn an_address_is_found_in_its_line() {
        let base = address("sse: http://127.0.0.1:4100/").unwrap();
        assert_eq!(base.as_str(), "http://127.0.0.1:4100/");
        let other = address("listening on http://127.0.0.1:4437 (data: /tmp)").unwrap();
        assert_eq!(other.port(), Some(4437));
        assert_eq!(address("sse: http://0.0.0.0:4100/").unwrap(), base);
        assert!(address("starting").is_err());
    }
}
