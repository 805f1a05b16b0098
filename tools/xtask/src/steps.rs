//! One program after the other, until one fails.

use anyhow::{bail, ensure, Context as _};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Step {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, Option<OsString>)>,
}

impl Step {
    /// A program of the search path.
    pub fn new(program: impl Into<OsString>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: Vec::new(),
        }
    }

    /// The cargo that runs this.
    pub fn cargo(arguments: &[&str]) -> Self {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo, arguments)
    }

    /// More arguments.
    pub fn arguments<A: Into<OsString>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, or with `None` unsets it.
    pub fn variable<V: Into<OsString>>(mut self, name: &'static str, value: Option<V>) -> Self {
        self.environment.push((name, value.map(Into::into)));
        self
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(root);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// As a shell would have it, but for quotes.
    fn line(&self) -> String {
        let program = Path::new(&self.program);
        let name = program.file_stem().unwrap_or(program.as_os_str());
        let words = [name]
            .into_iter()
            .chain(self.arguments.iter().map(OsStr::new));
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        words.join(" ")
    }
}

/// The steps of a task. Dropped, it prints how long each took, and what was missing.
#[derive(Debug)]
pub struct Steps {
    /// The repository.
    pub root: PathBuf,
    path: OsString,
    done: Vec<(String, Duration)>,
    missing: Vec<String>,
}

impl Steps {
    /// None yet. Their programs are sought first where `.ci/run` installs them.
    ///
    /// # Errors
    /// If the search path cannot be extended.
    pub fn new() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let root = root.context("this crate lies in tools/")?.to_owned();
        let parts = parts(&root);
        let installed = ["bin", "python/bin", "node_modules/.bin"].map(|name| parts.join(name));
        let inherited = env::var_os("PATH").unwrap_or_default();
        // Debian has nghttpd in /usr/sbin, which not every user searches.
        let system = [PathBuf::from("/usr/sbin")];
        let directories = installed
            .into_iter()
            .chain(env::split_paths(&inherited))
            .chain(system);
        Ok(Self {
            path: env::join_paths(directories)?,
            root,
            done: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// Runs a step, and waits until it is done.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&mut self, name: &'static str, step: Step) -> anyhow::Result<()> {
        self.run_in_parts(name, step, |mut command| {
            Ok((command.status()?, Vec::new()))
        })
    }

    /// The same for a step that has parts of its own, each with its name and how long it took.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_in_parts(
        &mut self,
        name: &'static str,
        step: Step,
        run: impl FnOnce(Command) -> io::Result<(ExitStatus, Vec<(String, Duration)>)>,
    ) -> anyhow::Result<()> {
        println!("\n==> {name}: {}", step.line());
        let begun = Instant::now();
        let ran = run(self.command(&step));
        let (status, parts) = ran.with_context(|| format!("{name}: {}", step.line()))?;
        self.done.push((name.to_owned(), begun.elapsed()));
        let parts = parts.into_iter();
        self.done
            .extend(parts.map(|(part, took)| (format!("  {part}"), took)));
        ensure!(status.success(), "FAILED: {name} ({status})");
        Ok(())
    }

    /// The same for a step whose program may be missing, which is where `probe` does not start or
    /// fails. It is then left out, and `install` is printed; it fails where parts are required.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_if_here(
        &mut self,
        name: &'static str,
        probe: Step,
        install: &str,
        step: Step,
    ) -> anyhow::Result<()> {
        let mut probing = self.command(&probe);
        probing
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if probing.status().is_ok_and(|status| status.success()) {
            return self.run(name, step);
        }
        self.leave_out(name, install)
    }

    /// A step is left out, because something is missing. `install` says how to get it; where parts
    /// are required, it fails.
    ///
    /// # Errors
    /// Where parts are required.
    pub fn leave_out(&mut self, name: &'static str, install: &str) -> anyhow::Result<()> {
        let missing = format!("{name}: left out; `.ci/run` installs what it needs, or {install}");
        if env::var_os("REQUIRE_PARTS").is_some() {
            bail!("{missing}");
        }
        println!("\n==> {missing}");
        self.missing.push(missing);
        Ok(())
    }

    /// A command in the environment that every step has.
    pub fn command(&self, step: &Step) -> Command {
        let mut command = step.command(&self.root);
        command.env("PATH", &self.path);
        // For the tests in a browser.
        if env::var_os("AXE_CORE").is_none() {
            let installed = self.parts().join("node_modules/axe-core/axe.min.js");
            command.env("AXE_CORE", installed);
        }
        command
    }

    /// Where `.ci/run` installs what is no part of Rust.
    pub fn parts(&self) -> PathBuf {
        parts(&self.root)
    }
}

fn parts(root: &Path) -> PathBuf {
    root.join("target/parts")
}

impl Drop for Steps {
    fn drop(&mut self) {
        let lines = self.done.iter();
        let lines = lines.map(|(name, took)| format!("{:5.0} s  {name}\n", took.as_secs_f64()));
        let table: String = lines.collect();
        // One step alone needs no table.
        if self.done.len() > 1 {
            print!("\n{table}");
        }
        // For the table of a run that has this task as one of its stages.
        if let Some(path) = env::var_os("XTASK_TIMINGS") {
            let file = OpenOptions::new().create(true).append(true).open(path);
            if let Err(error) = file.and_then(|mut file| file.write_all(table.as_bytes())) {
                eprintln!("xtask: XTASK_TIMINGS: {error}");
            }
        }
        for missing in &self.missing {
            println!("{missing}");
        }
    }
}
