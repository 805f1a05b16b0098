//! What every method owes its clients, over two and three servers with one log, on each
//! engine: the suite, by clients that are at another server with each connection.

mod door;
#[path = "../../../proxies/tests/routers/mod.rs"]
mod routers;
mod server;

use anyhow::Context as _;
use conformance::{Hook, Method, Server, Settings, Sockets, Subject, CASES};
use futures_util::future::{BoxFuture, FutureExt as _};
use libtest_mimic::Arguments;
use server::Several;
use std::{
    process::ExitCode,
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        Arc,
    },
    time::Duration,
};
use testbed::{
    engine::{Engine, Kind},
    parts,
};
use tokio::sync::OnceCell;

/// A guard against hanging; each case has its own.
const LIMIT: Duration = Duration::from_secs(300);

/// How many cases run at the same time. Most of them wait.
const AT_ONCE: usize = 6;

const ENGINES: [(&str, Kind); 3] = [
    ("file", Kind::File),
    ("nats", Kind::Nats),
    ("postgres", Kind::Postgres),
];

/// What cannot hold over an engine, and why.
const OTHERWISE: &[(Kind, &str, &str)] = &[(
    Kind::Nats,
    "a_key_is_forgotten_with_its_event",
    "JetStream knows the ids of messages for two minutes, whatever it keeps",
)];

/// What cannot be tried, and why.
const NOT_TRIED: &[(Kind, &str, &str)] = &[
    (
        Kind::File,
        "a_cursor_ahead_of_one_server_is_waited_for",
        "a thread of the file's own fills the windows, and nobody can hold it back",
    ),
    (
        Kind::Postgres,
        "a_key_is_forgotten_with_its_event",
        "keys are deleted each ten seconds, with the partitions: before or after",
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = Vec::new();
    for (name, kind) in ENGINES {
        let logs = Arc::new(Logs::new(kind));
        for count in [2, 3] {
            for method in Method::ALL.iter().copied() {
                let subject = Arc::new(Over {
                    logs: Arc::clone(&logs),
                    count,
                    method,
                });
                let hooks = subject.hooks();
                let is_tried = |case: &&conformance::Case| {
                    case.can_be_tried(method, &hooks)
                        && !names(NOT_TRIED, kind, case.name)
                };
                for case in CASES.iter().filter(is_tried) {
                    let name = format!("{name}/{count}/{method}/{}", case.name);
                    let subject = Arc::clone(&subject);
                    trials.push(parts::trial(&name, LIMIT, move || async move {
                        subject.logs.engine().await?;
                        let sockets = Sockets::new(method, subject);
                        let outcome = conformance::run(case, &sockets).await;
                        judge(kind, case.name, outcome)
                    }));
                }
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn names(list: &[(Kind, &str, &str)], kind: Kind, name: &str) -> bool {
    list.iter()
        .any(|(of, case, _)| *of == kind && *case == name)
}

fn judge(kind: Kind, name: &str, outcome: conformance::Outcome) -> anyhow::Result<()> {
    let known = names(OTHERWISE, kind, name);
    match outcome {
        Ok(()) if known => anyhow::bail!("it holds after all"),
        Err(why) if !known => anyhow::bail!("{why}"),
        _ => Ok(()),
    }
}

/// One engine for all cases, and a new log of it for each.
struct Logs {
    kind: Kind,
    engine: OnceCell<Engine>,
    made: AtomicU32,
}

impl Logs {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            engine: OnceCell::new(),
            made: AtomicU32::new(0),
        }
    }

    async fn engine(&self) -> anyhow::Result<&Engine> {
        let start = || async {
            let engine = Engine::start(self.kind).await?;
            if self.kind == Kind::Postgres {
                // No power is cut here, and it makes hundreds of databases.
                engine.psql("alter system set fsync = off")?;
                engine.psql("select pg_reload_conf()")?;
            }
            Ok(engine)
        };
        self.engine.get_or_try_init(start).await
    }

    async fn another(&self) -> anyhow::Result<String> {
        let number = self.made.fetch_add(1, Relaxed);
        let engine = self.engine().await?;
        engine.another_log(&format!("log_{number}"))
    }
}

/// Servers of one method over one engine.
struct Over {
    logs: Arc<Logs>,
    count: usize,
    method: Method,
}

impl Subject for Over {
    fn hooks(&self) -> Vec<Hook> {
        let mut hooks = Hook::ALL.to_vec();
        // No engine knows that a log is complete.
        hooks.retain(|hook| *hook != Hook::Finish);
        hooks
    }

    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        let settings = routers::beside_others(settings);
        async move {
            let several = async {
                let log = self.logs.another().await.context("another log")?;
                Several::start(&log, self.count, self.method, settings).await
            };
            let several = several.await.map_err(|error| format!("{error:#}"))?;
            Ok(Box::new(several) as Box<dyn Server>)
        }
        .boxed()
    }
}
