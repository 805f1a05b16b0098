//! Readers that are slow, half-open or abusive.

use anyhow::ensure;
use faults::{Child, Settings};
use libtest_mimic::{Arguments, Trial};
use std::{future::Future, process::ExitCode};

fn main() -> ExitCode {
    let trials = vec![Trial::test("a_server_of_its_own_has_a_memory", || {
        run(a_server_of_its_own_has_a_memory())
    })];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(trial: impl Future<Output = anyhow::Result<()>>) -> Result<(), libtest_mimic::Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime
        .block_on(trial)
        .map_err(|error| format!("{error:#}").into())
}

async fn a_server_of_its_own_has_a_memory() -> anyhow::Result<()> {
    let server = Child::start(env!("CARGO_BIN_EXE_faults"), &Settings::of("sse")).await?;
    ensure!(server.memory()? > 0);
    Ok(())
}
