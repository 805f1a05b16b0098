//! The script that starts three servers for a reader.

use crate::world::found;
use anyhow::{bail, ensure, Context as _};
use rustix::process::{kill_process, test_kill_process, Pid, Signal};
use std::{
    collections::BTreeSet,
    env,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{ExitCode, Output, Stdio},
    time::Duration,
};
use testbed::{answer_to, in_time, parts::PROXIES, post};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::sleep,
};

/// In the environment of a process that is to be the book's server.
pub(crate) const BOOK: &str = "SERVERS_BOOK";

/// What the server of the book does, with the flags of this process.
pub(crate) fn play() -> ExitCode {
    let runtime = testbed::seeded::runtime().expect("a runtime");
    match runtime.block_on(site::cli::run(env::args_os())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// nats-server, three servers, nginx.
const COUNT: usize = 5;

/// Free a moment ago.
fn ports() -> anyhow::Result<Vec<u16>> {
    let taken = (0..COUNT).map(|_| TcpListener::bind("127.0.0.1:0"));
    let taken: Vec<_> = taken.collect::<Result<_, _>>()?;
    let ports = taken.iter().map(|it| Ok(it.local_addr()?.port()));
    ports.collect()
}

fn script(ports: &[u16]) -> anyhow::Result<Command> {
    found("nats-server")?;
    found("nginx")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A shell cannot trap a signal that was ignored when it started, as in the
    // background.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", "bash"]);
    for name in PROXIES {
        command.env_remove(name);
    }
    let servers: Vec<_> = ports[1..4].iter().map(u16::to_string).collect();
    command
        .arg(root.join("run.sh"))
        .env("BOOK_SERVER", env::current_exe()?)
        .env(BOOK, "1")
        .env("NATS_PORT", ports[0].to_string())
        .env("SERVER_PORTS", servers.join(" "))
        .env("PROXY_PORT", ports[4].to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// The script, and what it has started.
struct Running {
    script: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The processes, as it has told them.
    pids: Vec<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where the test has failed, and the script was not told to end.
        for pid in &self.pids {
            kill_process(*pid, Signal::KILL).ok();
        }
    }
}

impl Running {
    async fn start(ports: &[u16]) -> anyhow::Result<Self> {
        let mut script = script(ports)?.spawn().context("bash")?;
        let stdout = script.stdout.take().context("its output")?;
        let mut running = Self {
            script,
            lines: BufReader::new(stdout).lines(),
            pids: Vec::new(),
        };
        running.line("Three servers, one log: ").await?;
        while running.pids.len() < COUNT {
            let line = running.line(" process ").await?;
            running.pids.push(process(&line)?);
        }
        Ok(running)
    }

    /// The next line that has this in it. Building three books takes a while.
    async fn line(&mut self, text: &str) -> anyhow::Result<String> {
        let lines = async {
            while let Some(line) = self.lines.next_line().await? {
                if line.contains(text) {
                    return Ok(line);
                }
            }
            bail!("it has ended without {text:?}")
        };
        tokio::time::timeout(Duration::from_secs(90), lines).await?
    }
}

/// The process that a line speaks of.
fn process(line: &str) -> anyhow::Result<Pid> {
    let (_, rest) = line.split_once(" process ").context("no process")?;
    let number = rest.split_whitespace().next().context("no number")?;
    Pid::from_raw(number.parse()?).context("no process")
}

/// The whole answer: behind nginx it has chunks, or a length.
async fn get(port: u16, path: &str) -> String {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    answer_to(address, &format!("GET {path} HTTP/1.1"), "").await
}

pub(crate) async fn starts_and_ends() -> anyhow::Result<()> {
    let ports = ports()?;
    let mut running = Running::start(&ports).await?;
    let proxy = ports[4];
    let book = get(proxy, "/").await;
    ensure!(book.starts_with("HTTP/1.1 200 ") && book.contains("<html"));
    // Whoever asks several times is sent to each of the three.
    let mut servers = BTreeSet::new();
    for _ in 0..6 {
        let answer = get(proxy, "/live/sse/status").await;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let server = answer.lines().find_map(|it| it.strip_prefix("X-Server: "));
        servers.insert(server.context("which server")?.trim().to_owned());
    }
    ensure!(servers.len() == 3, "{servers:?}");
    // What one server takes, the others have.
    let first = SocketAddr::from(([127, 0, 0, 1], ports[1]));
    let event = r#"{"kind":"message","data":"to all of you"}"#;
    let published =
        post(first, "/live/polling/events", "application/json", event).await;
    ensure!(published.starts_with("HTTP/1.1 201 "), "{published}");
    for port in &ports[2..] {
        in_time("the event", async {
            let path = "/live/polling/events?after=earliest";
            while !get(*port, path).await.contains("to all of you") {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    // One that is killed is missed by nobody, and comes back.
    kill_process(running.pids[2], Signal::KILL)?;
    let again = running.line("server 2 has ended").await?;
    running.pids[2] = process(&again.replace("as process", " process"))?;
    let answer = get(proxy, "/live/polling/status").await;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let script = running.script.id().and_then(|id| id.try_into().ok());
    let script = script.and_then(Pid::from_raw).context("it runs")?;
    kill_process(script, Signal::INT)?;
    let status = in_time("its end", running.script.wait()).await?;
    ensure!(status.code() == Some(0), "{status}");
    for pid in std::mem::take(&mut running.pids) {
        ensure!(test_kill_process(pid).is_err(), "{pid:?} still runs");
    }
    Ok(())
}

/// Runs it to its end, which is to be a failure.
async fn fails(command: &mut Command) -> anyhow::Result<String> {
    command.stderr(Stdio::piped());
    let output: Output = in_time("its end", command.output()).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

pub(crate) async fn says_what_is_missing() -> anyhow::Result<()> {
    for (variable, name) in [("NATS_SERVER", "no-nats"), ("NGINX", "no-nginx")] {
        let said = fails(script(&ports()?)?.env(variable, name)).await?;
        let expected = format!("run.sh: {name} is not installed. On Debian: ");
        ensure!(said.starts_with(&expected), "{said}");
        ensure!(said.lines().count() == 1, "{said}");
    }
    Ok(())
}

pub(crate) async fn says_whose_port_it_is() -> anyhow::Result<()> {
    let ports = ports()?;
    let _taken = TcpListener::bind(("127.0.0.1", ports[2]))?;
    let said = fails(&mut script(&ports)?).await?;
    let expected = format!("run.sh: port {} is in use. ", ports[2]);
    ensure!(said.starts_with(&expected), "{said}");
    Ok(())
}
