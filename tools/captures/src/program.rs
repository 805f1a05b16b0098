//! A program from outside, whose output is read while it runs.

use anyhow::{ensure, Context as _};
use std::{io::ErrorKind, process::Stdio};
use testbed::{parts::Missing, HANG};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// The date in every capture: the one thing that no server can hold still.
pub const DATE: &str = "date: Thu, 01 Jan 2026 00:00:00 GMT";

/// The words of a command up to the first pipe. Of a shell's rules it knows blanks and single
/// quotes.
pub fn words(command: &str) -> Vec<String> {
    let command = command.split(" | ").next().unwrap_or_default();
    let mut words = vec![String::new()];
    for (at, part) in command.split('\'').enumerate() {
        let quoted = at % 2 == 1;
        for (at, piece) in part.split(if quoted { '\n' } else { ' ' }).enumerate() {
            if at > 0 {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push_str(piece);
            }
        }
    }
    words
}

/// A program that runs, and dies with this value.
pub struct Program {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Program {
    /// Starts it. What it would print to the standard error is not seen.
    ///
    /// # Errors
    /// [`Missing`] where there is no such program.
    pub fn start(name: &'static str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(name);
        command.args(arguments);
        for proxy in testbed::parts::PROXIES {
            command.env_remove(proxy);
        }
        // Another language would be another text.
        command.env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let started = command.stdout(Stdio::piped()).spawn();
        let mut child = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Missing(anyhow::anyhow!("{name} is not here")).into());
            }
            started => started.with_context(|| format!("starting {name}"))?,
        };
        let out = child.stdout.take().context("its output")?;
        Ok(Self {
            name,
            child,
            lines: BufReader::new(out).lines(),
            seen: Vec::new(),
        })
    }

    /// Reads on until there was a line with `text`.
    ///
    /// # Errors
    /// Where the program ends before that, or takes too long.
    pub async fn until(&mut self, text: &str) -> anyhow::Result<()> {
        self.until_each(&[text]).await
    }

    /// Reads on until there was a line with each of these texts, in whatever order.
    ///
    /// # Errors
    /// Where the program ends before that, or takes too long.
    pub async fn until_each(&mut self, texts: &[&str]) -> anyhow::Result<()> {
        let mut missing = texts.to_vec();
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                missing.retain(|text| !line.contains(text));
                self.seen.push(line);
                if missing.is_empty() {
                    return Ok(());
                }
            }
            anyhow::bail!("{} ended without {missing:?}: {:#?}", self.name, self.seen)
        };
        timeout(HANG, read)
            .await
            .with_context(|| format!("waiting for {texts:?}"))?
    }

    /// Reads to the end, and gives all its lines.
    ///
    /// # Errors
    /// Where the program fails, or takes too long.
    pub async fn lines(mut self) -> anyhow::Result<Vec<String>> {
        let name = self.name;
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen.push(line);
            }
            let status = self.child.wait().await?;
            ensure!(status.success(), "{name}: {status}: {:#?}", self.seen);
            Ok(self.seen)
        };
        timeout(HANG, read)
            .await
            .with_context(|| format!("waiting for the end of {name}"))?
    }
}
