//! The second subject: a server and a client in plain Node, which share no code with
//! the book's, pass all cases. So what the suite tests is the contract, and not the
//! habits of one implementation.

use anyhow::{ensure, Context as _};
use conformance::{
    program::{start_client, Program, Signal},
    scripted::Script,
    test, Hook, Method, Report, Row, Verdict,
};
use libtest_mimic::Trial;
use std::{path::PathBuf, sync::Arc, time::Duration};
use testbed::parts::{trial, Missing};

/// Turns a hang into a failure. The script of a client waits for long connections and
/// back-offs, about half a minute in all.
const LIMIT: Duration = Duration::from_secs(400);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for method in Method::ALL.iter().copied() {
        trials.push(trial(&format!("server::{method}"), LIMIT, move || {
            server(method)
        }));
    }
    for method in [Method::Polling, Method::LongPolling, Method::Sse] {
        trials.push(trial(&format!("client::{method}"), LIMIT, move || {
            client(method)
        }));
    }
    trials
}

/// Node, and one of the programs written for it, as the start of a command line.
fn node(file: &str) -> anyhow::Result<String> {
    let node = which::which("node").context("node").map_err(Missing)?;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("subjects")
        .join(file);
    Ok(format!("'{}' '{}'", node.display(), file.display()))
}

fn all_passed(report: &Report) -> anyhow::Result<()> {
    ensure!(report.failed() == 0, "\n{}", report.failures());
    let tried = |row: &Row| match &row.verdict {
        // It is open to everybody, and alone.
        Verdict::NotTried(missing) => {
            let expected = [[Hook::Access], [Hook::Servers]];
            expected.iter().any(|hooks| missing[..] == *hooks)
        }
        verdict => *verdict != Verdict::NotReached,
    };
    ensure!(report.rows.iter().all(tried), "{}", report.sum());
    ensure!(report.rows.len() >= 9, "only {}", report.sum());
    Ok(())
}

async fn server(method: Method) -> anyhow::Result<()> {
    let command = node("server.mjs")?
        + " --port {port} --retention {retention} --heartbeat-ms {heartbeat-ms}";
    let program = Program::new(&command, method, "{method}/")
        .map_err(anyhow::Error::msg)?
        .stopped_by(Some(Signal::Term))
        .finished_by(Some(Signal::Usr2));
    all_passed(&test(method, Arc::new(program), &[], |_| {}).await)
}

async fn client(method: Method) -> anyhow::Result<()> {
    let command = node("client.mjs")? + &format!(" {method} {{url}}");
    let script = Script::bind(method).await?;
    let _client = start_client(&command, script.base()).map_err(anyhow::Error::msg)?;
    all_passed(&script.run().await)
}
