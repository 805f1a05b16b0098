//! Three servers of the book over one log, and what their readers notice when any part
//! of that is killed or paused: nothing.
//!
//! With `--long`, or `LONG_FAULTS=1`, the faults last ten minutes, their seed is
//! another one each time, and the engine is hurt more than its three copies are for.
//! `FAULTS_SEED` repeats what was drawn for whom and when; what runs at the same moment
//! is up to the schedule.

#[cfg(unix)]
mod load;
#[cfg(unix)]
mod plan;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod script;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod world;

use std::process::ExitCode;

#[cfg(not(unix))]
fn main() -> ExitCode {
    // There are no signals.
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn main() -> ExitCode {
    use libtest_mimic::Trial;
    use std::{env, time::Duration};
    use testbed::{parts::trial, seeded};

    // What a test starts as a process of its own.
    if env::var_os(server::LISTEN).is_some() {
        return server::play();
    }
    if env::var_os(script::BOOK).is_some() {
        return script::play();
    }
    let (arguments, long) = seeded::arguments();
    let (time, limit) = match long {
        true => (600, 1200),
        false => (40, 300),
    };
    if !long && env::var_os(seeded::SEED).is_none() {
        // The same in each automatic run.
        env::set_var(seeded::SEED, "16");
    }
    let seed = seeded::say();
    let trials: Vec<Trial> = vec![
        Trial::test("plan/is-fixed-by-its-seed", || {
            plan::is_fixed_by_its_seed().map_err(|error| format!("{error:#}").into())
        }),
        trial("faults", Duration::from_secs(limit), move || {
            run::run(run::Run {
                seed,
                time: Duration::from_secs(time),
                harsh: long,
            })
        }),
        trial(
            "script/starts-and-ends",
            Duration::from_secs(120),
            script::starts_and_ends,
        ),
        trial(
            "script/says-what-is-missing",
            Duration::from_secs(60),
            script::says_what_is_missing,
        ),
        trial(
            "script/says-whose-port-it-is",
            Duration::from_secs(60),
            script::says_whose_port_it_is,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
