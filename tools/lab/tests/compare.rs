//! The lab itself: what it counts is exact, and nothing that it has started outlives it.
//!
//! No time is looked at. The servers must have been built, as they are by `cargo test` for the
//! workspace; where they are not, these tests are ignored.

mod processes;

use anyhow::{ensure, Context as _};
use libtest_mimic::Arguments;
use processes::{descendants, runs, Ended};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};
use testbed::{
    golden,
    parts::{self, Missing, PROXIES},
};

fn main() -> ExitCode {
    let limit = Duration::from_secs(180);
    let mut trials = vec![
        parts::trial("counts_are_exact", limit, counts_are_exact),
        parts::trial(
            "every_client_of_each_size_gets_each_event",
            limit,
            every_client_gets_each_event,
        ),
        parts::trial("each_event_comes_across_a_line", limit, || {
            across_a_line(&[])
        }),
        parts::trial("each_event_comes_across_a_relay", limit, || {
            across_a_line(&["--relay"])
        }),
        parts::trial("tls_is_told_apart", limit, tls_is_told_apart),
        parts::trial(
            "missing_servers_are_named",
            limit,
            missing_servers_are_named,
        ),
    ];
    if cfg!(target_os = "linux") {
        trials.extend([
            parts::trial("all_end_with_a_lab_that_is_killed", limit, || {
                end_with_the_lab(false)
            }),
            parts::trial("an_interrupted_lab_keeps_what_it_has", limit, || {
                end_with_the_lab(true)
            }),
        ]);
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const METHODS: [&str; 4] = ["polling", "long-polling", "sse", "websocket"];

/// The lab, with servers that lie beside it.
fn lab(subcommand: &str) -> anyhow::Result<Command> {
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    for method in METHODS {
        let program = lab.with_file_name(format!("{method}{}", std::env::consts::EXE_SUFFIX));
        if !program.exists() {
            let missing = anyhow::anyhow!("{} is not built", program.display());
            return Err(Missing(missing).into());
        }
    }
    let mut command = Command::new(lab);
    command
        .args([subcommand, "--no-build"])
        .stdin(Stdio::null());
    for name in PROXIES {
        command.env_remove(name);
    }
    Ok(command)
}

fn records(directory: &Path) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(directory.join("results.jsonl"))?;
    let lines: Result<_, _> = text.lines().map(serde_json::from_str).collect();
    Ok(lines?)
}

const CLIENTS: u64 = 3;
const EVENTS: u64 = 5;

/// In lockstep no clock decides what is sent.
async fn counts_are_exact() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let output = lab("compare")?
        .args(["--quick", "--arrivals", "lockstep", "--repetitions", "1"])
        .args([
            "--clients",
            &CLIENTS.to_string(),
            "--events",
            &EVENTS.to_string(),
        ])
        .args(["--methods", "polling:50ms,long-polling,sse,websocket"])
        .args(["--measure", "delivery,traffic,idle"])
        .arg("--out")
        .arg(&out)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let records = records(&out)?;
    // The loop and the floors of three libraries are measured for their delivery alone.
    ensure!(records.len() == 4 + 3 * METHODS.len(), "{records:#?}");
    let number = |record: &Value, path: &str| {
        let value = record.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("{path} of {record}"))
    };
    let mut counts = BTreeMap::new();
    for record in &records {
        let method = record["method"].as_str().context("method")?;
        let measurement = record["measurement"].as_str().context("measurement")?;
        if measurement != "idle" {
            let all = (CLIENTS * EVENTS) as f64;
            for (field, expected) in [
                ("expected", all),
                ("delivered", all),
                ("lost", 0.0),
                ("doubled", 0.0),
                ("misordered", 0.0),
                ("gaps", 0.0),
                ("reconnects", 0.0),
            ] {
                let found = number(record, &format!("/counts/{field}"))?;
                ensure!(found == expected, "{field} is not {expected}: {record}");
            }
        }
        let of = |path| number(record, path);
        match measurement {
            "traffic" => {
                // The relay counts requests, and the clients their answers.
                let polls = method.contains("polling");
                let answers = of("/counts/answers")?;
                ensure!(!polls || of("/requests")? == answers, "{record}");
                ensure!(of("/connections")? == CLIENTS as f64, "{record}");
                let line = match method {
                    // How often it asks is for the clock to say.
                    "polling:50ms" => {
                        ensure!(answers >= (CLIENTS * (EVENTS + 1)) as f64, "{record}");
                        format!("opening requests {}", of("/opening/requests")?)
                    }
                    _ => format!(
                        "opening requests {} up {} down {}; events requests {} up {} down {}; payload {}",
                        of("/opening/requests")?,
                        of("/opening/up")?,
                        of("/opening/down")?,
                        of("/events/requests")?,
                        of("/events/up")?,
                        of("/events/down")?,
                        of("/payload")?
                    ),
                };
                counts.insert(format!("traffic {method}"), line);
            }
            "idle" => {
                let line = format!(
                    "a silence: requests {} up {} down {}",
                    of("/per_cycle/requests")?,
                    of("/per_cycle/up")?,
                    of("/per_cycle/down")?
                );
                counts.insert(format!("idle {method}"), line);
            }
            _ => {}
        }
    }
    let mut text = format!("{CLIENTS} clients, {EVENTS} events, one after the other\n");
    for (what, line) in counts {
        writeln!(text, "{what}: {line}")?;
    }
    golden!("counts.txt", &text);
    for name in ["run.json", "summary.json", "summary.csv"] {
        ensure!(out.join(name).exists(), "no {name}");
    }
    Ok(())
}

/// Floors among them, whose clients are those of the book.
async fn every_client_gets_each_event() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let methods = "loop,hyper-answer,hyper-stream,axum-socket,sse";
    let output = lab("scale")?
        .args(["--quick", "--methods", methods])
        .args(["--clients", "2,5", "--rates", "20", "--payloads", "50"])
        .arg("--out")
        .arg(&out)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let records = records(&out)?;
    // Two numbers of clients; one rate, and one size of an event.
    ensure!(records.len() == 2 * 5, "{records:#?}");
    for record in &records {
        let clients = record["size"]["clients"].as_u64().context("clients")?;
        ensure!(record["counts"]["delivered"] == clients * 20, "{record}");
        ensure!(record["counts"]["doubled"] == 0, "{record}");
    }
    let rows = fs::read_to_string(out.join("summary.csv"))?;
    let of = |what: &str| rows.lines().filter(|row| row.contains(what)).count();
    let linux = cfg!(target_os = "linux");
    let measured = of(",server CPU,us/delivery,measured,");
    ensure!(measured == if linux { 10 } else { 0 }, "{rows}");
    ensure!(!linux || of("clients,sse,1000000,") > 0, "{rows}");
    ensure!(of(",1000000,") == of(",calculated,") / 4, "{rows}");
    ensure!(of(",16000,") == 0, "a client that nobody measured: {rows}");
    Ok(())
}

/// Where the system allows no line of packets, both are a relay.
async fn across_a_line(flags: &[&str]) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let output = lab("compare")?
        .args(["--quick", "--arrivals", "lockstep", "--repetitions", "1"])
        .args(["--clients", "3", "--events", "5"])
        .args(["--methods", "sse"])
        .args(["--measure", "delivery", "--rtt", "0,2", "--loss", "0,5"])
        .args(flags)
        .arg("--out")
        .arg(&out)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    let records = records(&out)?;
    // The loop, the library's floor and the method; each time with each loss, and with neither.
    ensure!(records.len() == 3 * 4, "{records:#?}");
    for record in &records {
        ensure!(record["counts"]["delivered"] == 15, "{record}");
        ensure!(record["counts"]["doubled"] == 0, "{record}");
        let line = &record["line"];
        let by = line["by"].as_str().context("by")?;
        let announced = match by {
            "tun" => "by a user-space line",
            "relay" => "by a relay",
            "nothing" if line["rtt_ms"] == 0.0 && line["loss_percent"] == 0.0 => continue,
            _ => anyhow::bail!("{record}"),
        };
        ensure!(
            said.contains(announced) || !flags.is_empty(),
            "{by}: {said}"
        );
        ensure!(flags.is_empty() || by == "relay", "{record}");
        if by == "tun" {
            let passed = |field: &str| record["passed"][field].as_u64().context("packets");
            // A handshake, and what carries the events to three clients.
            ensure!(passed("packets")? > 3 * 5, "{record}");
            ensure!(
                line["loss_percent"] == 5.0 || passed("lost")? == 0,
                "{record}"
            );
            ensure!(passed("overflowed")? == 0, "{record}");
        }
    }
    Ok(())
}

/// No size of a record is asserted, but what must hold for any.
async fn tls_is_told_apart() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let output = lab("compare")?
        .args([
            "--quick",
            "--arrivals",
            "lockstep",
            "--protocol",
            "h1,h2-tls",
        ])
        .args(["--clients", "3", "--events", "5"])
        .args(["--methods", "polling:50ms,long-polling,sse,websocket"])
        .args(["--measure", "traffic,idle"])
        .arg("--out")
        .arg(&out)
        .output()?;
    // The server's own counts agree with these, or it is a failure.
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let records = records(&out)?;
    ensure!(records.len() == 4 * METHODS.len(), "{records:#?}");
    let of = |record: &Value, path: &str| record.pointer(path).and_then(Value::as_u64);
    for method in ["long-polling", "sse", "websocket"] {
        let traffic = |protocol: &str| {
            let mut found = records.iter().filter(|record| {
                record["measurement"] == "traffic"
                    && record["method"] == method
                    && record["protocol"] == protocol
            });
            found.next().context("a record")
        };
        let (plain, tls) = (traffic("h1")?, traffic("h2-tls")?);
        for path in ["/opening/requests", "/events/requests", "/payload"] {
            ensure!(of(plain, path) == of(tls, path), "{path}: {plain} {tls}");
        }
        for way in ["up", "down"] {
            let handshake = format!("/handshake/{way}");
            ensure!(of(plain, &handshake) == Some(0), "{plain}");
            // Each client's hello has a key of 32 bytes, and so has the answer.
            ensure!(of(tls, &handshake) > Some(3 * 64), "{tls}");
            ensure!(
                of(tls, &format!("/opening/{way}")) > of(tls, &handshake),
                "{tls}"
            );
        }
        ensure!(of(tls, "/events/down") > of(tls, "/payload"), "{tls}");
    }
    Ok(())
}

async fn missing_servers_are_named() -> anyhow::Result<()> {
    // A lab on its own. A link, since a debug build is large.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let alone = directory.path().join("lab");
    fs::hard_link(env!("CARGO_BIN_EXE_lab"), &alone)?;
    let output = Command::new(&alone)
        .args(["compare", "--no-build", "--methods", "sse"])
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "it has found a server");
    ensure!(
        errors.contains("sse") && errors.contains("cargo build"),
        "{errors}"
    );
    Ok(())
}

/// Ends the lab while it measures; then nothing that it has started is left.
async fn end_with_the_lab(in_order: bool) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let mut lab = Ended(
        lab("compare")?
            .args(["--quick", "--methods", "sse", "--measure", "delivery"])
            .args(["--clients", "2", "--events", "20", "--rate", "20"])
            .args(["--repetitions", "500"])
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut started = Vec::new();
    testbed::eventually("a measurement, and then processes of another", || {
        started = descendants(lab.0.id());
        // The holder, its server and the clients.
        started.len() == 3 && records(&out).is_ok_and(|records| !records.is_empty())
    })
    .await;
    match in_order {
        true => interrupt(&lab.0)?,
        false => lab.0.kill()?,
    }
    testbed::eventually("the end of all processes", || {
        // The lab itself is gone only once it is waited for.
        let _ = lab.0.try_wait();
        !started.iter().any(|process| runs(*process))
    })
    .await;
    let status = lab.0.wait()?;
    ensure!(!status.success(), "it counts as a whole run");
    ensure!(!records(&out)?.is_empty(), "its results are gone");
    ensure!(
        out.join("summary.json").exists() == in_order,
        "who is killed writes no summary, and who is interrupted does"
    );
    Ok(())
}

#[cfg(unix)]
fn interrupt(child: &Child) -> anyhow::Result<()> {
    use rustix::process::{kill_process, Pid, Signal};
    let process = Pid::from_raw(child.id().cast_signed()).context("a process")?;
    Ok(kill_process(process, Signal::INT)?)
}

#[cfg(not(unix))]
fn interrupt(_child: &Child) -> anyhow::Result<()> {
    anyhow::bail!("there are no signals on this system")
}
