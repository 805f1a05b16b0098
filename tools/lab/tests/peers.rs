//! Each server that is here delivers every event once, and ends with the lab.
//!
//! No time is looked at. Where a server is missing, its trial is ignored with the reason. What
//! `.ci/run` installs may not be missing there.

mod processes;

use anyhow::{bail, ensure, Context as _};
use libtest_mimic::Arguments;
use processes::{descendants, runs, Ended};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};
use testbed::parts::{self, Forbidden, Missing, PROXIES};

/// By name, and whether `.ci/run` installs what it needs.
const PEERS: [(&str, bool); 17] = [
    ("websocket", true),
    ("websocket:walk", true),
    ("axum-socket", true),
    ("ws:websocket", true),
    ("socket.io:websocket", true),
    ("nchan:websocket", true),
    ("socketify:websocket", false),
    ("sse", true),
    ("hyper-stream", true),
    ("node-http:sse", true),
    ("better-sse:sse", true),
    ("nchan:sse", true),
    ("durable-streams:sse", false),
    ("long-polling", true),
    ("hyper-answer", true),
    ("nchan:long-polling", true),
    ("durable-streams:long-polling", false),
];

const CLIENTS: u64 = 3;
const EVENTS: u64 = 5;

fn main() -> ExitCode {
    let limit = Duration::from_secs(60);
    let mut trials = Vec::new();
    if cfg!(target_os = "linux") {
        for (name, installed) in PEERS {
            let test = move || delivers(name, installed);
            trials.push(parts::trial(name, limit, test));
        }
        let name = "nginx_and_its_workers_end_with_a_lab_that_is_killed";
        trials.push(parts::trial(name, limit, nginx_ends));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn lab(name: &str, installed: bool) -> anyhow::Result<Command> {
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    // `websocket:walk` is a flag of the same program.
    let program = name.strip_suffix(":walk").unwrap_or(name);
    let is_the_books = ["websocket", "sse", "long-polling"].contains(&program);
    if is_the_books && !lab.with_file_name(program).exists() {
        return Err(Missing(anyhow::anyhow!("{program} is not built")).into());
    }
    let mut command = Command::new(lab);
    command
        .args(["peers", "--peers", name])
        .stdin(Stdio::null());
    for name in PROXIES {
        command.env_remove(name);
    }
    let list = command.arg("--list").output()?;
    let list = String::from_utf8(list.stdout)?;
    let skipped = format!("skipped: {name}: ");
    if let Some(reason) = list.lines().find_map(|line| line.strip_prefix(&skipped)) {
        let reason = anyhow::anyhow!("{reason}");
        return Err(match installed {
            true => Missing(reason).into(),
            // For a run by hand: nothing is wrong where it is not here.
            false => Forbidden(reason).into(),
        });
    }
    ensure!(list.contains(&format!("here: {name}\n")), "{list}");
    let mut command = Command::new(lab);
    command.args(["peers", "--peers", name, "--no-build", "--quick"]);
    for name in PROXIES {
        command.env_remove(name);
    }
    command
        .args(["--clients", &CLIENTS.to_string()])
        .args(["--rate", "100", "--events", &EVENTS.to_string()])
        .stdin(Stdio::null());
    Ok(command)
}

fn records(directory: &Path) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(directory.join("results.jsonl"))?;
    let lines: Result<_, _> = text.lines().map(serde_json::from_str).collect();
    Ok(lines?)
}

async fn delivers(name: &'static str, installed: bool) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let output = lab(name, installed)?
        .args(["--idle-clients", "10", "--out"])
        .arg(&out)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let records = records(&out)?;
    // Of the loop and of this one, a delivery and the memory.
    ensure!(records.len() == 4, "{records:#?}");
    for record in &records {
        match record["measurement"].as_str() {
            Some("delivery") => {
                for (field, expected) in [
                    ("expected", CLIENTS * EVENTS),
                    ("delivered", CLIENTS * EVENTS),
                    ("lost", 0),
                    ("doubled", 0),
                    ("misordered", 0),
                ] {
                    let found = record["counts"][field].as_u64().context(field)?;
                    ensure!(found == expected, "{field} is not {expected}: {record}");
                }
            }
            Some("memory") => ensure!(record["clients"] == 10, "{record}"),
            _ => bail!("{record}"),
        }
    }
    Ok(())
}

/// The master is held by the lab, and the workers are the master's.
async fn nginx_ends() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let mut command = lab("nchan:sse", true)?;
    command.args(["--workers", "2", "--repetitions", "500"]);
    command.args(["--measure", "delivery", "--out"]).arg(&out);
    let mut lab = Ended(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut started = Vec::new();
    let workers = |processes: &[u32]| {
        let name = |process| fs::read_to_string(format!("/proc/{process}/cmdline"));
        let names = processes.iter().filter_map(|process| name(process).ok());
        names.filter(|name| name.contains("nginx: worker")).count()
    };
    testbed::eventually("two workers of nginx", || {
        started = descendants(lab.0.id());
        workers(&started) == 2
    })
    .await;
    lab.0.kill()?;
    testbed::eventually("the end of all processes", || {
        // The lab itself is gone only once it is waited for.
        let _ = lab.0.try_wait();
        !started.iter().any(|process| runs(*process))
    })
    .await;
    Ok(())
}
