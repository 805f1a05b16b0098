//! Ends a snippet that does not end by itself. skeptic waits for ever, and the run with it.

use std::any::Any;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// How long a snippet may run. The book's programs end within a second or two; the rest is for a
/// loaded machine. Compiling does not count.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often to look whether a snippet has reached its limit, once it may have.
const LOOK: Duration = Duration::from_millis(500);

/// How often to try a program that the system will not start. Each try meets the same narrow race,
/// so a few are plenty.
const TRIES: u32 = 10;

/// Calls `test`, which lets skeptic run the program `text`. If the program runs for longer than
/// `limit`, ends it.
///
/// # Panics
///
/// If `test` does, after saying that the block is at `place`; and if the program was ended.
pub fn run(place: &str, text: &str, limit: Duration, test: impl Fn()) {
    let (done, is_done) = mpsc::channel::<()>();
    let was_ended = AtomicBool::new(false);
    let ended = &was_ended;
    let outcome = thread::scope(|scope| {
        scope.spawn(move || {
            // Nothing is sent: the sender is dropped as soon as the test is done, which ends the
            // wait.
            let mut wait = limit;
            while is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                if end_overdue(text, limit) {
                    ended.store(true, Ordering::Release);
                }
                wait = LOOK;
            }
        });
        let mut outcome = panic::catch_unwind(AssertUnwindSafe(&test));
        for _ in 1..TRIES {
            if !outcome.as_ref().is_err_and(|cause| is_busy(&**cause)) {
                break;
            }
            outcome = panic::catch_unwind(AssertUnwindSafe(&test));
        }
        drop(done);
        outcome
    });
    if was_ended.load(Ordering::Acquire) {
        panic!(
            "{place}: this snippet had not ended after {limit:?}. A snippet must end by itself."
        );
    }
    if let Err(cause) = outcome {
        eprintln!("{place}: this snippet failed.");
        panic::resume_unwind(cause);
    }
}

/// Whether the system refused to start the program because its file is open for writing: ETXTBSY,
/// error 26 on Linux, macOS and the BSDs. skeptic opens a program in its cache for writing to note
/// the time of use. For a moment that opening lives on in whatever another thread, or another run
/// of the tests, starts just then.
fn is_busy(cause: &(dyn Any + Send)) -> bool {
    cfg!(unix)
        && cause.downcast_ref::<String>().is_some_and(|message| {
            message.starts_with("Could not run") && message.ends_with("(os error 26)")
        })
}

/// Ends the process that runs the program `text`, if it has run for `limit`. skeptic starts it as
/// our child, in a directory of its own that holds the program as `test.rs`. (The compiler is our
/// child too, but not in that directory.)
fn end_overdue(text: &str, limit: Duration) -> bool {
    let (Ok(this), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else {
        return false;
    };
    system.refresh_processes_specifics(
        ProcessesToUpdate::All,
        true,
        ProcessRefreshKind::nothing()
            .with_cwd(UpdateKind::Always)
            .without_tasks(),
    );
    let mut ended = false;
    for process in system.processes().values() {
        let is_it = process.parent() == Some(this)
            && process.run_time() >= limit.as_secs()
            && process
                .cwd()
                .and_then(|directory| fs::read_to_string(directory.join("test.rs")).ok())
                .is_some_and(|program| program == text);
        if is_it {
            ended |= process.kill();
        }
    }
    ended
}
