//! A program that is started, killed, paused and started again.

use anyhow::Context as _;
use rustix::process::{kill_process_group, Pid, Signal};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};
use testbed::parts::PROXIES;

/// How its command is made, each time that it starts.
type Make = Box<dyn Fn() -> Command + Send + Sync>;

/// A program in a process group of its own, with all that it starts. It ends with this.
pub(crate) struct Process {
    /// For a person.
    pub(crate) name: String,
    make: Make,
    child: Option<Child>,
    /// What it says, in all its lives.
    log: PathBuf,
}

impl Process {
    /// A program that does not run yet.
    pub(crate) fn new(
        name: impl Into<String>,
        log: PathBuf,
        make: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            make: Box::new(make),
            child: None,
            log,
        }
    }

    /// Starts it.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        use std::os::unix::process::CommandExt as _;
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .context("its log")?;
        let mut command = (self.make)();
        for name in PROXIES {
            command.env_remove(name);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child = command.spawn().with_context(|| self.name.clone())?;
        self.child = Some(child);
        Ok(())
    }

    /// How it has ended by itself, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Sends a signal to it and to all that it has started, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(|it| it.id().try_into().ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // It may have ended a moment ago.
            kill_process_group(group, signal).ok();
        }
    }

    /// `kill -9`. What it has given to the system is kept, as by any end of a process:
    /// this is no power cut.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            child.wait().ok();
        }
    }

    /// The end of what it has said.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        let from = lines.len().saturating_sub(count);
        format!("--- {}\n{}", self.name, lines[from..].join("\n"))
    }

    /// Whether it has ever said this.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        said.contains(text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is paused dies of this, too.
        self.kill();
    }
}
