//! A limit that is lowered on purpose bites where it is calculated to.
//!
//! Where the system allows the lab no network namespace of its own, what needs one is ignored with
//! the reason.

use anyhow::{bail, ensure, Context as _};
use libtest_mimic::Arguments;
use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};
use testbed::parts::{self, Forbidden, Missing, PROXIES};

/// By their flags, with the programs that they need besides what each Linux has.
const LIMITS: [(&str, &[&str]); 5] = [
    ("descriptors", &[]),
    ("ports", &["unshare", "ip"]),
    ("backlog", &["unshare", "ip"]),
    ("conntrack", &["unshare", "ip"]),
    ("buffers", &["unshare", "ip", "ss"]),
];

fn main() -> ExitCode {
    let limit = Duration::from_secs(120);
    let mut trials = Vec::new();
    if cfg!(target_os = "linux") {
        for (name, programs) in LIMITS {
            let test = move || async move { bites(name, programs) };
            trials.push(parts::trial(name, limit, test));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn bites(name: &str, programs: &[&str]) -> anyhow::Result<()> {
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    if !lab.with_file_name("sse").exists() {
        return Err(Missing(anyhow::anyhow!("sse is not built")).into());
    }
    for program in programs {
        let found = Command::new(program).arg("--help").output();
        if let Err(error) = found {
            return Err(Missing(anyhow::anyhow!("{program}: {error}")).into());
        }
    }
    let mut command = Command::new(lab);
    command
        .args(["limits", "--no-build", "--limits", name])
        .stdin(Stdio::null());
    for variable in PROXIES {
        command.env_remove(variable);
    }
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{errors}");
    if let Some((_, reason)) = said.trim().split_once(": not tried: ") {
        let reason = anyhow::anyhow!("{reason}");
        return match name {
            "descriptors" => bail!("{reason}"),
            _ => Err(Forbidden(reason).into()),
        };
    }
    let (_, rest) = said.split_once(": predicted ").context("a prediction")?;
    let (predicted, rest) = rest.split_once(", seen ").context("what was seen")?;
    let (seen, _) = rest.split_once(' ').context("a unit")?;
    // A buffer takes a piece more or less.
    ensure!(name == "buffers" || predicted == seen, "{said}");
    Ok(())
}
