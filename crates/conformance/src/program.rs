//! A subject that is a program: the suite starts it, and ends it by signals.

use crate::{
    subject::of_address, Hook, Method, Outcome, Server, Settings, Subject, PATIENCE,
};
use futures_util::future::{BoxFuture, FutureExt};
use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex as SyncMutex, PoisonError,
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};
use url::Url;

/// How long a program may take until it prints its address. A first `cargo run`
/// compiles.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How many lines of its errors are kept, for the reason of a failure.
const KEPT_LINES: usize = 10;

/// The variables that name a proxy. What the program asks is on this machine.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// A program, and how to start and end it.
#[derive(Clone, Debug)]
pub struct Program {
    words: Vec<String>,
    path: String,
    stop: Option<Signal>,
    finish: Option<Signal>,
}

/// A signal that asks a program for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// What a service manager sends to end a program.
    Term,
    /// What Ctrl-C sends.
    Int,
    /// What a terminal sends that is closed.
    Hup,
    /// For a program's own use.
    Usr1,
    /// For a program's own use.
    Usr2,
}

impl std::str::FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("SIG").unwrap_or(text) {
            "TERM" => Ok(Self::Term),
            "INT" => Ok(Self::Int),
            "HUP" => Ok(Self::Hup),
            "USR1" => Ok(Self::Usr1),
            "USR2" => Ok(Self::Usr2),
            _ => {
                Err("a signal is SIGTERM, SIGINT, SIGHUP, SIGUSR1 or SIGUSR2"
                    .to_owned())
            }
        }
    }
}

impl Program {
    /// A program by its command line, in which these stand for what a case asks for:
    /// `{port}`, `{retention}`, `{heartbeat-ms}`, `{heartbeat-s}` (rounded up) and
    /// `{method}`. No shell reads it; quotation marks keep words together. The routes
    /// lie under `path`, below the address that the program prints.
    ///
    /// # Errors
    /// That the command line is empty, or has an odd quotation mark.
    pub fn new(command: &str, method: Method, path: &str) -> Result<Self, String> {
        let words = words(command)?;
        if words.is_empty() {
            return Err("the command line is empty".to_owned());
        }
        let words = words
            .into_iter()
            .map(|word| word.replace("{method}", method.name()))
            .collect();
        Ok(Self {
            words,
            path: path.replace("{method}", method.name()),
            stop: None,
            finish: None,
        })
    }

    /// The signal that ends it gracefully.
    #[must_use]
    pub fn stopped_by(mut self, signal: Option<Signal>) -> Self {
        self.stop = signal;
        self
    }

    /// The signal that completes its log.
    #[must_use]
    pub fn finished_by(mut self, signal: Option<Signal>) -> Self {
        self.finish = signal;
        self
    }

    async fn spawn(&self, settings: Settings) -> Result<Running, String> {
        let ms = settings.heartbeat.as_millis();
        let values = [
            ("{port}", "0".to_owned()),
            ("{retention}", settings.retention.to_string()),
            ("{heartbeat-ms}", ms.to_string()),
            ("{heartbeat-s}", ms.div_ceil(1000).to_string()),
        ];
        let filled = |word: &String| {
            let fill = |word: String, (name, value): &(&str, String)| {
                word.replace(name, value)
            };
            values.iter().fold(word.clone(), fill)
        };
        let words: Vec<String> = self.words.iter().map(filled).collect();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("PORT", "0")
            .env("RETENTION", settings.retention.to_string())
            .env("HEARTBEAT_MS", ms.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in PROXIES {
            command.env_remove(name);
        }
        // A group of its own, so that what a program starts in its turn ends with it.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        let errors = Lines::default();
        let stderr = child.stderr.take().ok_or("it has no standard error")?;
        tokio::spawn(keep(stderr, errors.clone()));
        let stdout = child.stdout.take().ok_or("it has no standard output")?;
        let group = child.id();
        let mut running = Running {
            base: "http://127.0.0.1/".parse().expect("an address"),
            group,
            child: Mutex::new(child),
            stop: self.stop,
            finish: self.finish,
            has_ended: AtomicBool::new(false),
        };
        let mut lines = BufReader::new(stdout).lines();
        let address = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = address(&line) {
                    return Some(address.to_owned());
                }
            }
            None
        };
        let found = timeout(START_LIMIT, address).await;
        let why = |what: &str| format!("{what}{}", errors.text());
        let address = found
            .map_err(|_| why("it printed no address in time"))?
            .ok_or_else(|| why("it ended and printed no address"))?;
        // Whoever writes to a pipe that nobody reads would stop one day.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let base: Url = address
            .parse()
            .map_err(|error| format!("{address}: {error}"))?;
        let base = base
            .join(&self.path)
            .map_err(|error| format!("{}: {error}", self.path))?;
        running.base = base;
        Ok(running)
    }
}

/// Starts a client of somebody else's, which ends when this is dropped. In its command
/// line `{url}` stands for the address to follow.
///
/// # Errors
/// That the command line is malformed, or the program cannot be started.
pub fn start_client(command: &str, url: &Url) -> Result<Child, String> {
    let words = words(command)?;
    let words: Vec<String> = words
        .into_iter()
        .map(|word| word.replace("{url}", url.as_str()))
        .collect();
    let first = words.first().ok_or("the command line is empty")?;
    let mut command = Command::new(first);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for name in PROXIES {
        command.env_remove(name);
    }
    let child = command.spawn();
    child.map_err(|error| format!("{first}: {error}"))
}

/// The words of a command line, of which quotation marks of both kinds keep some
/// together.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quotation mark has no second one: {line}"));
    }
    words.extend(word);
    Ok(words)
}

/// The first address of a line such as `listening on http://127.0.0.1:4100/`.
fn address(line: &str) -> Option<&str> {
    let start = line.find("http://")?;
    let rest = &line[start..];
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The last lines of a program's errors.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<SyncMutex<VecDeque<String>>>);

impl Lines {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line);
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("; {line}")).collect()
    }
}

async fn keep(errors: impl AsyncRead + Unpin, lines: Lines) {
    let mut read = BufReader::new(errors).lines();
    while let Ok(Some(line)) = read.next_line().await {
        lines.push(line);
    }
}

impl Subject for Program {
    fn hooks(&self) -> Vec<Hook> {
        let mut hooks = vec![Hook::Start];
        if cfg!(unix) {
            hooks.extend(self.stop.map(|_| Hook::Stop));
            hooks.extend(self.finish.map(|_| Hook::Finish));
        }
        // It runs on this machine, and tells by which address it is reached.
        let here = "http://127.0.0.1/".parse().expect("an address");
        hooks.extend(of_address(&here));
        hooks
    }

    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        async move {
            let running = self.spawn(settings).await;
            let running = running.map_err(|why| format!("the start failed: {why}"))?;
            Ok(Box::new(running) as Box<dyn Server>)
        }
        .boxed()
    }
}

/// A program that runs, until this is dropped.
struct Running {
    base: Url,
    /// The process group, which is named after its first process.
    group: Option<u32>,
    child: Mutex<Child>,
    stop: Option<Signal>,
    finish: Option<Signal>,
    /// Whether it was seen to end. Its number may belong to another program by now.
    has_ended: AtomicBool,
}

impl Running {
    #[cfg(unix)]
    fn send(&self, signal: rustix::process::Signal) -> Outcome {
        use rustix::process::{kill_process_group, Pid};
        let group = self.group.and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = group.ok_or("the program has ended")?;
        kill_process_group(group, signal).map_err(|error| error.to_string())
    }

    #[cfg(unix)]
    fn ask(&self, signal: Option<Signal>) -> Outcome {
        use rustix::process::Signal as Number;
        self.send(match signal.ok_or("no signal is known for that")? {
            Signal::Term => Number::TERM,
            Signal::Int => Number::INT,
            Signal::Hup => Number::HUP,
            Signal::Usr1 => Number::USR1,
            Signal::Usr2 => Number::USR2,
        })
    }

    #[cfg(not(unix))]
    fn ask(&self, _: Option<Signal>) -> Outcome {
        Err("there are no signals on this system".to_owned())
    }
}

impl Server for Running {
    fn base(&self) -> &Url {
        &self.base
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        async move {
            self.ask(self.stop)?;
            let mut child = self.child.lock().await;
            match timeout(PATIENCE, child.wait()).await {
                Ok(Ok(_)) => {
                    self.has_ended.store(true, Ordering::Relaxed);
                    Ok(())
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!(
                    "the program did not end within {} s",
                    PATIENCE.as_secs()
                )),
            }
        }
        .boxed()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        async move { self.ask(self.finish) }.boxed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `kill_on_drop` ends the program itself; this, also what it has started.
        #[cfg(unix)]
        if !self.has_ended.load(Ordering::Relaxed) {
            let _ = self.send(rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_into_words() {
        let split = |line| words(line).expect("words");
        assert_eq!(
            split("node  s.mjs --port 0"),
            ["node", "s.mjs", "--port", "0"]
        );
        assert_eq!(split("'a b' c\"d e\"f ''"), ["a b", "cd ef", ""]);
        assert!(words("'a").is_err());
    }

    #[test]
    fn an_address_is_found_in_its_line() {
        let found = address("listening on http://127.0.0.1:4100/ now");
        assert_eq!(found, Some("http://127.0.0.1:4100/"));
        assert_eq!(address("sse: http://[::1]:1"), Some("http://[::1]:1"));
        assert_eq!(address("starting"), None);
    }
}
