//! Which clients of Server-Sent Events lose an event when their connection breaks before the first
//! one.
//!
//! Each client opens two streams. One begins with a block of an id alone, as the standard allows,
//! and the other as this book's server begins it. After that block the connection breaks, an event
//! is published while nobody is connected, and the client comes back. The second stream must give
//! every client that event once. What becomes of the first is compared with the newest result in
//! `results.json`. Where they differ a client has changed: `UPDATE_GOLDEN=1 cargo test -p browser
//! --test sse_clients` adds the new result with its date, and writes the table that the book shows.
//!
//! Each client is a part from outside. Where it is missing, its trial is ignored, with the reason,
//! or fails under `REQUIRE_PARTS=1`.

mod broken;
mod results;

use anyhow::{ensure, Context as _};
use broken::{Opening, Stand};
use browser::results::updating;
use browser::{
    driver::{Browser, Driver},
    engine::{Engine, Kind},
};
use libtest_mimic::{Arguments, Trial};
use results::{Outcome, Seen, KEPT};
use serde_json::Value;
use std::{
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};
use testbed::parts::{self, Missing};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::sleep,
};

/// How long one client may take in all. Some wait three seconds before they come back, and this
/// machine may be busy.
const LIMIT: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let browsers = [
        parts::trial("Chromium", LIMIT, || async {
            in_browser(Engine::find(Kind::Chromium).map_err(Missing)?).await
        }),
        parts::trial("Firefox", LIMIT, || async {
            in_browser(Engine::find(Kind::Firefox).map_err(Missing)?).await
        }),
        parts::trial("WebKitGTK", LIMIT, || async {
            in_browser(Engine::find(Kind::WebKit).map_err(Missing)?).await
        }),
    ];
    let packages = results::node()
        .iter()
        .map(|name| parts::trial(name, LIMIT, move || async move { in_node(name).await }));
    let table = Trial::test("the_table_says_what_the_results_say", || {
        KEPT.results
            .table_is_current(results::table)
            .map_err(|error| format!("{error:#}").into())
    });
    let trials = browsers.into_iter().chain(packages).chain([table]);
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    if updating() {
        if let Err(error) = results::table().and_then(|table| KEPT.results.write_table(&table)) {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// Both streams, in a window of a browser each.
async fn in_browser(engine: Engine) -> anyhow::Result<()> {
    let (name, version) = (engine.kind.to_string(), engine.version().await?);
    let driver = Driver::start(engine).await?;
    let mut seen = Vec::new();
    for opening in Opening::BOTH {
        let browser = driver.browser().await?;
        let stand = Stand::start(opening).await?;
        browser.client.goto(&stand.page()).await?;
        seen.push(stand.outcome(&mut InBrowser(&browser)).await?);
        browser.close().await;
    }
    KEPT.check(&name, &version, both(&seen)?)
}

/// Both streams, in a process of Node.js each.
async fn in_node(name: &'static str) -> anyhow::Result<()> {
    let modules = parts::installed("node_modules");
    let package = modules.join(name).join("package.json");
    let package = std::fs::read_to_string(&package).map_err(|error| {
        let missing = anyhow::anyhow!("no {} ({error}); .ci/run installs it", package.display());
        Missing(missing)
    })?;
    let package: Value = serde_json::from_str(&package)?;
    let version = package["version"].as_str().context("no version")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sse_clients/client.mjs");
    let mut seen = Vec::new();
    for opening in Opening::BOTH {
        let stand = Stand::start(opening).await?;
        let mut command = Command::new("node");
        command.arg(&script).arg(name).arg(&modules);
        command.arg(stand.stream());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // Some print each broken connection.
        command.stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| Missing(anyhow::anyhow!("no node on the search path ({error})")))?;
        let output = child.stdout.take().context("no output")?;
        let lines = BufReader::new(output).lines();
        let mut client = InNode {
            _child: child,
            lines,
            seen: Vec::new(),
        };
        seen.push(stand.outcome(&mut client).await?);
    }
    KEPT.check(name, version, both(&seen)?)
}

/// The promise of this book's server, and what happens without it.
fn both(seen: &[Outcome]) -> anyhow::Result<Seen> {
    let [id_alone, hello] = *seen else {
        anyhow::bail!("two streams, and {} outcomes", seen.len());
    };
    ensure!(
        hello == Outcome::Once,
        "an event that was published while the client was away: {hello:?}"
    );
    Ok(Seen { id_alone, hello })
}

/// A client that hands out events.
trait Client {
    /// The data of each event that it has handed out, once there is another.
    async fn seen(&mut self) -> anyhow::Result<Vec<String>>;
}

struct InBrowser<'a>(&'a Browser);

impl Client for InBrowser<'_> {
    async fn seen(&mut self) -> anyhow::Result<Vec<String>> {
        sleep(Duration::from_millis(15)).await;
        let seen = self.0.client.execute("return window.seen ?? []", vec![]);
        // While the page is loading there may be nothing to ask.
        Ok(serde_json::from_value(seen.await.unwrap_or_default()).unwrap_or_default())
    }
}

struct InNode {
    /// It ends with this.
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Client for InNode {
    async fn seen(&mut self) -> anyhow::Result<Vec<String>> {
        let line = self.lines.next_line().await?;
        self.seen.push(line.context("the client has ended")?);
        Ok(self.seen.clone())
    }
}
