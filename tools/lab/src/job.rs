//! What `compare` and the process with the clients say to each other: JSON, a line each.

use crate::{
    line::Line,
    method::{Method, Silence},
    protocol::Protocol,
    results::Outcome,
    schedule::Plan,
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, BufRead as _, Write as _},
    process, thread,
};
use tokio::sync::mpsc;
use url::Url;

/// What the clients shall do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// What is measured.
    pub method: Method,
    /// Where its server is: a URL.
    pub base: String,
    /// What the clients speak.
    pub protocol: Protocol,
    /// The server's certificate as text, where it speaks TLS.
    pub certificate: Option<String>,
    /// Where the server's own counts are: a URL.
    pub metrics: Option<String>,
    /// The server's process.
    pub server: u32,
    /// What stands between the clients and the server.
    pub line: Line,
    /// How many clients follow the log.
    pub clients: u32,
    /// What is published, if anything is.
    pub plan: Plan,
    /// Whether the silence is shortened.
    pub silence: Silence,
    /// What is measured of it.
    pub task: Task,
}

impl Job {
    /// Where its server is.
    ///
    /// # Errors
    /// Where that is no URL.
    pub fn base(&self) -> anyhow::Result<Url> {
        Ok(self.base.parse()?)
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// How late events come, and the CPU time that they take.
    Delivery,
    /// The same of so many events that come faster than each is answered.
    Burst {
        /// How many.
        events: u32,
    },
    /// Requests and bytes of the same events, counted by a relay.
    Traffic,
    /// Requests and bytes of so many silences of one client, counted by a relay.
    Idle {
        /// How many.
        cycles: u32,
    },
    /// Memory of connections on which nothing happens, after so many others.
    Memory {
        /// How many are open before.
        warm: u32,
    },
    /// How long it takes until all clients follow a server that was restarted.
    Recovery,
}

/// What the clients report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// This part of the events, from 0 to 1, is published.
    Progress(f64),
    /// All clients follow; the server may be restarted.
    Ready,
    /// It is done.
    Done(Box<Outcome>),
}

/// The lines from whoever wants an outcome. This process ends when their sender does.
pub fn orders() -> mpsc::UnboundedReceiver<String> {
    let (lines, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
        // Whoever wanted the outcome is gone.
        process::exit(1);
    });
    orders
}

/// Reports.
///
/// # Errors
/// Where nobody listens.
pub fn reply(reply: &Reply) -> anyhow::Result<()> {
    let line = serde_json::to_string(reply)? + "\n";
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}

/// The one thing that the clients are told after their job: the server listens again.
pub const LISTENING: &str = "listening";
