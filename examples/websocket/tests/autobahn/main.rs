//! The Autobahn test suite, by kosoku (PyPI: `kosoku`), against this server and against
//! the socket of the Rust client.
//!
//! Needs python3 and kosoku; without them each test is ignored, with the reason, or
//! fails under `REQUIRE_PARTS=1`.

use anyhow::{ensure, Context as _};
use client::websocket::{open, Opened, Socket};
use futures_util::{SinkExt, StreamExt};
use libtest_mimic::Arguments;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env, fmt,
    process::{ExitCode, Stdio},
    time::Duration,
};
use testbed::parts::{installed, trial, Missing};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};
use tokio_tungstenite::tungstenite::Message;

/// How long a run may take; it takes about ten seconds, most of them in cases that wait
/// on purpose.
const LIMIT: Duration = Duration::from_secs(120);

/// The cases of the suite but for the groups 9, 12 and 13.
const CASES: usize = 247;

/// A text whose UTF-8 is wrong in the middle comes in one frame, in pieces with a pause
/// of a second between them. A strict reader fails at the first wrong byte. tungstenite
/// looks at a frame when all of it is there, and fails then: as late as the suite
/// allows, and before anything has reached the program.
const NON_STRICT: &[&str] = &["6.4.3", "6.4.4"];

/// The suite gives no verdict on these, because RFC 6455 leaves open what to do: 7.1.6
/// sends 256 KiB, a close and a ping without waiting, and how much of it is answered
/// depends on who is faster; 7.13.1 and 7.13.2 close with the codes 5000 and 65535,
/// which nobody has defined.
const INFORMATIONAL: &[&str] = &["7.1.6", "7.13.1", "7.13.2"];

fn main() -> ExitCode {
    let trials = vec![
        trial("the_echo_server_keeps_the_protocol", LIMIT, the_echo_server),
        trial(
            "the_socket_of_the_client_keeps_the_protocol",
            LIMIT,
            the_client,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

async fn the_echo_server() -> anyhow::Result<()> {
    // The program as it is started by hand, with all of its limits, and the suite as it
    // is.
    let mut server = Command::new(env!("CARGO_BIN_EXE_websocket"))
        .args(["--port", "0", "--rate", "0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = String::new();
    let output = server.stdout.take().context("its output")?;
    BufReader::new(output).read_line(&mut said).await?;
    let (_, address) = said.trim().split_once("http://").context("no address")?;
    let mut run = Kosoku::start(&["against", &format!("ws://{address}echo")]).await?;
    check(&run.verdicts().await?)
}

async fn the_client() -> anyhow::Result<()> {
    let mut run = Kosoku::start(&["as-server"]).await?;
    let port: u16 = run.line().await?.trim().parse()?;
    let ask = |target: String| ask(format!("http://127.0.0.1:{port}/{target}"));
    let Some(count) = ask("getCaseCount".to_owned()).await?.next().await else {
        anyhow::bail!("no count");
    };
    for case in 1..=count?.to_text()?.parse()? {
        repeat(ask(format!("runCase?case={case}&agent=websocket")).await?).await;
    }
    repeat(ask("updateReports?agent=websocket".to_owned()).await?).await;
    check(&run.verdicts().await?)
}

/// Opens a socket as the client does, with all of its limits.
async fn ask(url: String) -> anyhow::Result<Socket> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    match open(client.get(url), None).await? {
        Opened::Socket(socket) => Ok(*socket),
        Opened::Refused(response) => anyhow::bail!("refused: {}", response.status()),
    }
}

/// Sends back what comes, to the end of the connection, however it ends: the suite
/// judges that.
async fn repeat(mut socket: Socket) {
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && socket.send(message).await.is_err()
        {
            return;
        }
    }
}

#[derive(Debug, Deserialize)]
struct Verdict {
    case: String,
    behaviour: String,
    close: String,
    why: String,
}

/// All cases are run; all are good, or one of those named above.
fn check(verdicts: &[Verdict]) -> anyhow::Result<()> {
    let mut counts = BTreeMap::new();
    for verdict in verdicts {
        *counts
            .entry((&*verdict.behaviour, &*verdict.close))
            .or_insert(0) += 1;
    }
    let bad = verdicts.iter().filter(|verdict| !verdict.is_good());
    let bad: Vec<_> = bad.map(Verdict::to_string).collect();
    ensure!(bad.is_empty(), "of {counts:?}:\n{}", bad.join("\n"));
    ensure!(verdicts.len() == CASES, "{} cases", verdicts.len());
    for (behaviour, expected) in
        [("NON-STRICT", NON_STRICT), ("INFORMATIONAL", INFORMATIONAL)]
    {
        let found = verdicts.iter().filter(|it| it.behaviour == behaviour);
        let found: Vec<_> = found.map(|it| &*it.case).collect();
        ensure!(found == expected, "{behaviour}: {found:?}");
    }
    Ok(())
}

impl Verdict {
    fn is_good(&self) -> bool {
        ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&&*self.behaviour)
            && ["OK", "INFORMATIONAL"].contains(&&*self.close)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            case,
            behaviour,
            close,
            why,
        } = self;
        write!(f, "{case}: {behaviour}, close {close}: {why}")
    }
}

/// kosoku at work, in a process that ends with this value.
struct Kosoku {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Kosoku {
    async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let found = python().args(["-c", "import kosoku"]).output().await;
        let found = found
            .context("no python3 on the search path")
            .map_err(Missing)?;
        if !found.status.success() {
            let said = String::from_utf8_lossy(&found.stderr);
            let reason = anyhow::anyhow!(
                "no kosoku for python3, in {} or elsewhere (PyPI: kosoku): {}",
                installed("python").display(),
                said.lines().last().unwrap_or("it says nothing")
            );
            return Err(Missing(reason).into());
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/autobahn/verdicts.py");
        let mut process = python().arg(script).args(arguments).spawn()?;
        let output = process.stdout.take().context("its output")?;
        let output = BufReader::new(output);
        Ok(Self { process, output })
    }

    /// The next line that it prints.
    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).await?;
        Ok(line)
    }

    /// What it prints at its end.
    async fn verdicts(&mut self) -> anyhow::Result<Vec<Verdict>> {
        let mut text = String::new();
        self.output.read_to_string(&mut text).await?;
        let ended = self.process.wait().await?;
        ensure!(ended.success(), "kosoku: {ended}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// python3, which finds what `.ci/run` has installed.
fn python() -> Command {
    let mut python = Command::new("python3");
    let mut path = vec![installed("python")];
    path.extend(env::split_paths(
        &env::var_os("PYTHONPATH").unwrap_or_default(),
    ));
    if let Ok(path) = env::join_paths(path) {
        python.env("PYTHONPATH", path);
    }
    for proxy in testbed::parts::PROXIES {
        python.env_remove(proxy);
    }
    python.stdout(Stdio::piped());
    python.kill_on_drop(true);
    python
}
