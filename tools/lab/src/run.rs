//! What the commands that measure share: their flags, and a run that keeps what it has finished,
//! however it ends.

use crate::{
    programs::{self, Programs, Servers},
    results::{Directory, Run},
};
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// The flags of each.
#[derive(Clone, Debug, clap::Args)]
pub struct RunOptions {
    /// Less of everything: about a minute, for counts and not for figures
    #[arg(long)]
    pub quick: bool,

    /// Decides what events hold, and when they come if that is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// How often each is measured [default: 9, of `scale` 3; with --quick 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repetitions: Option<u32>,

    #[command(flatten)]
    pub servers: Servers,

    /// A new directory for the results [default: one named by the time, in target/lab]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
}

impl RunOptions {
    /// What was asked for, or what a full or a quick run has.
    pub fn or<T>(&self, asked: Option<T>, full: T, quick: T) -> T {
        asked.unwrap_or(if self.quick { quick } else { full })
    }

    /// The same of several.
    pub fn or_all<T: Clone>(&self, asked: &[T], full: &[T], quick: &[T]) -> Vec<T> {
        let default = if self.quick { quick } else { full };
        let all = if asked.is_empty() { default } else { asked };
        all.to_vec()
    }
}

/// What a run has measured so far.
pub struct Kept<T> {
    pub directory: Directory,
    pub records: Vec<T>,
}

impl<T: Serialize> Kept<T> {
    /// Keeps a measurement: what is written here stays, whatever happens to the run.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&mut self, record: T) -> anyhow::Result<()> {
        self.directory.keep(&record)?;
        self.records.push(record);
        Ok(())
    }
}

/// Measures the servers of these programs, and keeps and sums up what was measured, however it
/// ends.
///
/// `heading` says what was asked for. `sum_up` writes and prints what the run comes to, and returns
/// what is wrong with it.
///
/// # Errors
/// Where it was interrupted, or cannot measure or write.
pub fn run<P: Serialize, T: Serialize>(
    options: &RunOptions,
    programs: &Programs,
    parameters: P,
    heading: impl FnOnce(&P) -> String,
    measure: impl AsyncFnOnce(&P, &mut Kept<T>) -> anyhow::Result<()>,
    sum_up: impl FnOnce(&Run<P>, &Kept<T>) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<ExitCode> {
    let profile = programs.profile();
    in_process(&options.out, profile, parameters, heading, measure, sum_up)
}

/// The same of what runs in this process, which has this profile.
///
/// # Errors
/// As [`run`].
pub fn in_process<P: Serialize, T: Serialize>(
    out: &Option<PathBuf>,
    profile: String,
    parameters: P,
    heading: impl FnOnce(&P) -> String,
    measure: impl AsyncFnOnce(&P, &mut Kept<T>) -> anyhow::Result<()>,
    sum_up: impl FnOnce(&Run<P>, &Kept<T>) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<ExitCode> {
    let started = jiff::Timestamp::now();
    let out = out.clone();
    let out = out.unwrap_or_else(|| programs::new_directory(started));
    let run = Run::new(started, profile, parameters);
    let mut kept = Kept {
        directory: Directory::create(&out, &run)?,
        records: Vec::new(),
    };
    println!("{}\n{}", run.conditions(), heading(&run.parameters));
    // One thread is enough for whoever only waits for others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            // Dropped at a signal: with it all processes that it has started end.
            ended = measure(&run.parameters, &mut kept) => ended,
            () = interrupted() => bail!("interrupted; what was finished is kept"),
        }
    });
    let faults = sum_up(&run, &kept)?;
    println!("results: {}", out.display());
    ended?;
    Ok(match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Completes at Ctrl-C, and where there are signals at the one that asks a process to end.
async fn interrupted() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{signal, SignalKind};
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            // The system's own handling stays.
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        // Cancel-safe, both: the first ends the program.
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// How far a run is, for a terminal.
pub struct Progress {
    bar: ProgressBar,
}

/// How finely the progress of one measurement is shown.
const PARTS: f64 = 20.0;

impl Progress {
    /// Of so many measurements.
    pub fn of(measurements: usize) -> Self {
        let bar = ProgressBar::new((measurements as f64 * PARTS) as u64);
        let style = "{elapsed_precise} {bar:30} {percent:>3} % (left: {eta}) {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a template"));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar }
    }

    /// One of them begins, after so many; `part` of it, from 0 to 1, is shown by what this returns.
    pub fn begin(&self, done: usize, what: String) -> impl Fn(f64) + Clone {
        self.bar.set_message(what);
        let bar = self.bar.clone();
        let show = move |part: f64| bar.set_position(((done as f64 + part) * PARTS) as u64);
        show(0.0);
        show
    }

    /// Prints what is wrong with a measurement, if anything is.
    pub fn report(&self, fault: Option<String>) {
        if let Some(fault) = fault {
            self.bar.suspend(|| eprintln!("lab: {fault}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
