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
        parts::trial("servers_are_found_or_named", limit, servers_are_found),
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

/// A run that has ended well: what it printed, what it measured, and where its files are.
struct Ran {
    said: String,
    records: Vec<Value>,
    directory: tempfile::TempDir,
}

/// Runs the lab, with these flags, to a new directory.
fn run(subcommand: &str, flags: &[&str]) -> anyhow::Result<Ran> {
    let directory = tempfile::tempdir()?;
    let output = lab(subcommand)?
        .arg("--quick")
        .args(flags)
        .arg("--out")
        .arg(directory.path())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // The server's own counts agree with those of the lab, or it is a failure.
    ensure!(output.status.success(), "{errors}");
    Ok(Ran {
        said: String::from_utf8(output.stdout)?,
        records: records(directory.path())?,
        directory,
    })
}

const CLIENTS: u64 = 3;
const EVENTS: u64 = 5;

/// Three clients, five events, one after the other: no clock decides what is sent.
const LOCKSTEP: [&str; 8] = [
    "--arrivals",
    "lockstep",
    "--repetitions",
    "1",
    "--clients",
    "3",
    "--events",
    "5",
];

async fn counts_are_exact() -> anyhow::Result<()> {
    let methods = "polling:50ms,long-polling,sse,websocket,websocket:walk";
    let measures = "delivery,burst,traffic,idle";
    let flags = ["--methods", methods, "--measure", measures];
    let Ran {
        records, directory, ..
    } = run("compare", &[&LOCKSTEP[..], &flags].concat())?;
    // The loop, the floors of three libraries and the walk have nothing to count but deliveries; a
    // burst is of what is pushed, which is three of them, and of the loop and two of the floors.
    ensure!(records.len() == 5 + 3 * METHODS.len() + 6, "{records:#?}");
    let number = |record: &Value, path: &str| {
        let value = record.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("{path} of {record}"))
    };
    let mut counts = BTreeMap::new();
    for record in &records {
        let method = record["method"].as_str().context("method")?;
        let measurement = record["measurement"].as_str().context("measurement")?;
        if measurement != "idle" {
            let events = if measurement == "burst" { 60 } else { EVENTS };
            let all = (CLIENTS * events) as f64;
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
            "burst" => {
                let is_stream = ["sse", "hyper-stream"].contains(&method);
                let possible = CLIENTS..=CLIENTS * 60;
                match record["batches"].as_u64() {
                    Some(batches) => ensure!(possible.contains(&batches), "{record}"),
                    None => ensure!(is_stream, "{record}"),
                }
            }
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
        ensure!(directory.path().join(name).exists(), "no {name}");
    }
    Ok(())
}

/// Floors among them, whose clients are those of the book.
async fn every_client_gets_each_event() -> anyhow::Result<()> {
    let methods = "loop,hyper-answer,hyper-stream,axum-socket,sse";
    let sizes = ["--clients", "2,5", "--rates", "20", "--payloads", "50"];
    let flags = [&["--methods", methods], &sizes[..]].concat();
    let Ran {
        records, directory, ..
    } = run("scale", &flags)?;
    // Two numbers of clients; one rate, and one size of an event.
    ensure!(records.len() == 2 * 5, "{records:#?}");
    for record in &records {
        let clients = record["size"]["clients"].as_u64().context("clients")?;
        ensure!(record["counts"]["delivered"] == clients * 20, "{record}");
        ensure!(record["counts"]["doubled"] == 0, "{record}");
    }
    let rows = fs::read_to_string(directory.path().join("summary.csv"))?;
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
    let lines = ["--measure", "delivery", "--rtt", "0,2", "--loss", "0,5"];
    let all = [&LOCKSTEP[..], &["--methods", "sse"], &lines, flags].concat();
    let Ran { records, said, .. } = run("compare", &all)?;
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
    let methods = "polling:50ms,long-polling,sse,websocket";
    let measures = ["--measure", "traffic,idle", "--protocol", "h1,h2-tls"];
    let all = [&LOCKSTEP[..], &["--methods", methods], &measures].concat();
    let records = run("compare", &all)?.records;
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

async fn servers_are_found() -> anyhow::Result<()> {
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
    // Those of another build are found where it is told.
    let servers = lab("compare")?.get_program().to_owned();
    let servers = Path::new(&servers).parent().context("a directory")?;
    let out = directory.path().join("out");
    let output = Command::new(&alone)
        .args([
            "compare",
            "--quick",
            "--methods",
            "sse",
            "--measure",
            "delivery",
        ])
        .args(["--clients", "2", "--events", "2", "--server-directory"])
        .arg(servers)
        .arg("--out")
        .arg(&out)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let run: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json"))?)?;
    let recorded = run["parameters"]["server_directory"].as_str();
    ensure!(recorded.map(Path::new) == Some(servers), "{run}");
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
