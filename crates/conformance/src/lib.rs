//! What a server of the wire contract owes its clients, as a suite of cases that tests
//! any server, in any language.
//!
//! A [`Case`] stands for one sentence of the contract. Most cases need only the address
//! of a server. Some need a [`Hook`]: the suite then starts the server itself, ends it,
//! completes its log, cuts its connections, admits and dismisses its readers, or holds
//! back one of several servers. A case
//! whose hook is missing is not tried, and never counts as passed.
//!
//! The cases come in two kinds. Those of the module `streams` follow the log by the
//! crate `client`, across as many connections as it takes. Those of the module `wire`
//! read the bytes themselves, so that nothing that a client forgives is missed.
//!
//! The program of this crate tests a server by its address, or by the command that
//! starts it. A crate that has its server in Rust implements [`Subject`] and calls
//! [`main`] from a test target without a harness.
//!
//! The suite is itself tested: `tests/faults.rs` has servers that are broken on
//! purpose, each in one way, and lists which cases catch which.

mod cases;
mod method;
mod observer;
mod raw;
mod relay;
mod report;
mod sockets;
mod streams;
mod subject;
mod wire;

pub mod program;
pub mod scripted;

pub use cases::{Case, CASES};
pub use method::Method;
pub use relay::Relay;
pub use report::{Report, Row, Verdict};
pub use sockets::Sockets;
pub use subject::{
    Address, Gate, Held, Hook, Server, Servers, Settings, Subject, Withdrawn,
};
pub use subject::{Refused, Running, Transport};

use futures_util::{future::BoxFuture, stream, StreamExt};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{process::ExitCode, sync::Arc, time::Duration};

/// What a case comes to: nothing, or what it expected and what came instead, for a
/// person to read.
pub type Outcome = Result<(), String>;

/// How long a case waits for what it was promised. Not a figure that is measured: a
/// hang becomes a failure that says what was awaited.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a whole case may take. Many waits in a row, each within [`PATIENCE`], must
/// end as well.
const CASE_LIMIT: Duration = Duration::from_secs(180);

/// How many cases run at the same time.
const AT_ONCE: usize = 4;

/// Runs one case against one transport, on the runtime of the caller.
///
/// # Errors
/// What the case expected and what came instead, for a person to read.
pub async fn run(case: &Case, transport: &dyn Transport) -> Outcome {
    let running = (case.run)(cases::Bench::new(case, transport));
    match tokio::time::timeout(CASE_LIMIT, running).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("it took more than {} s", CASE_LIMIT.as_secs())),
    }
}

/// Runs the cases of a method against a subject, and calls `done` with each row in the
/// order of the suite.
pub async fn test(
    method: Method,
    subject: Arc<dyn Subject>,
    names: &[String],
    mut done: impl FnMut(&Row),
) -> Report {
    let hooks = subject.hooks();
    let sockets = Sockets::new(method, subject);
    let chosen = |case: &&Case| {
        let named =
            |name: &String| case.name == name.as_str() || case.name.contains(&**name);
        case.methods.contains(&method) && (names.is_empty() || names.iter().any(named))
    };
    let sockets = &sockets;
    let rows = CASES.iter().filter(chosen).map(|case| {
        let missing: Vec<Hook> = case
            .needs
            .iter()
            .copied()
            .filter(|hook| !hooks.contains(hook))
            .collect();
        let tested: BoxFuture<'_, Row> = Box::pin(async move {
            let verdict = if !missing.is_empty() {
                Verdict::NotTried(missing)
            } else {
                match run(case, sockets).await {
                    Ok(()) => Verdict::Passed,
                    Err(reason) => Verdict::Failed(reason),
                }
            };
            Row::new(case.name, case.sentence, verdict)
        });
        tested
    });
    let mut rows = stream::iter(rows).buffered(AT_ONCE);
    let mut report = Report::default();
    while let Some(row) = rows.next().await {
        done(&row);
        report.rows.push(row);
    }
    report
}

/// Runs the whole suite as a test program, each case as a test of its own. The subject
/// has to have every hook but [`Hook::Servers`]: cases of several servers are left out
/// where there is one.
pub fn main(method: Method, subject: impl Subject + 'static) -> ExitCode {
    let arguments = Arguments::from_args();
    let hooks = subject.hooks();
    let sockets = Arc::new(Sockets::new(method, Arc::new(subject)));
    let trials = CASES
        .iter()
        .filter(|case| case.methods.contains(&method))
        .filter(|case| {
            hooks.contains(&Hook::Servers) || !case.needs.contains(&Hook::Servers)
        })
        .map(|case| {
            let sockets = Arc::clone(&sockets);
            let missing = case.needs.iter().find(|hook| !hooks.contains(hook));
            Trial::test(case.name, move || {
                if let Some(hook) = missing {
                    return Err(Failed::from(format!("not tried: {hook}")));
                }
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?;
                runtime.block_on(run(case, &*sockets)).map_err(Failed::from)
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
