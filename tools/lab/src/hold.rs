//! Holds a server, and ends it whatever becomes of the program that wants it.
//!
//! `compare` cannot end a server if it is itself killed, and without `unsafe` it cannot ask the
//! system to do so. So each server is started by this small process, whose standard input is a pipe
//! from `compare`. The system closes the pipe when `compare` ends, in whatever way; then this ends
//! the server, and itself. It is in a process group of its own, with the server, so that a Ctrl-C
//! in the terminal reaches `compare` alone.
//!
//! Only the holder itself must not be killed: then its server stays.

use anyhow::Context as _;
use std::{
    ffi::OsString,
    io::{self, BufRead as _},
    process::{ExitCode, Stdio},
};
use tokio::{process::Command, sync::mpsc};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// The line after which the server is asked to end, by SIGTERM.
pub const END: &str = "end";

/// What the line with the server's process begins with.
pub const PROCESS: &str = "process ";

/// Starts the server, and ends with it.
pub fn run(Options { command }: Options) -> anyhow::Result<ExitCode> {
    let (lines, mut ordered) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if lines.send(line).is_err() {
                break;
            }
        }
        // Dropping the sender tells of the end.
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        let mut server = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            // For a panic of this process: its end is that of the server.
            .kill_on_drop(true)
            .spawn()
            .with_context(|| command[0].display().to_string())?;
        let id = server.id().context("it has ended")?;
        println!("{PROCESS}{id}");
        loop {
            tokio::select! {
                // Cancel-safe, both: an end stays an end, a line stays in the channel.
                ended = server.wait() => {
                    let code = ended?.code().and_then(|code| u8::try_from(code).ok());
                    return Ok(ExitCode::from(code.unwrap_or(1)));
                }
                line = ordered.recv() => match line.as_deref() {
                    // The server's number is its own until `wait` has returned.
                    Some(END) => ask_to_end(id)?,
                    Some(_) => {}
                    None => {
                        server.kill().await?;
                        end_group();
                        return Ok(ExitCode::SUCCESS);
                    }
                },
            }
        }
    });
    // Its threads may be waiting for standard input.
    runtime.shutdown_background();
    code
}

#[cfg(unix)]
fn ask_to_end(process: u32) -> anyhow::Result<()> {
    use rustix::process::{kill_process, Pid, Signal};
    let process = Pid::from_raw(process.cast_signed()).context("no process")?;
    Ok(kill_process(process, Signal::TERM)?)
}

/// Ends what the server has started, such as nginx's workers, and this process with it: where it
/// leads a group, that holds nothing else.
#[cfg(unix)]
fn end_group() {
    use rustix::process::{getpgrp, getpid, kill_process_group, Signal};
    if getpgrp() == getpid() {
        let _ = kill_process_group(getpgrp(), Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end_group() {}

#[cfg(not(unix))]
fn ask_to_end(_process: u32) -> anyhow::Result<()> {
    anyhow::bail!("there are no signals on this system")
}
