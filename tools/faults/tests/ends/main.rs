//! Ends and beginnings: servers that are told to end, that are killed, that are replaced, and the
//! clients that come back.
//!
//! With `--long`, or `LONG_FAULTS=1`, ten times as many clients take part, and the run says its
//! seed: see `testbed::seeded` for what is held to it.

#[cfg(unix)]
mod balanced;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod follow;
#[cfg(unix)]
mod killed;
#[cfg(unix)]
mod node;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod proxy;
#[cfg(unix)]
mod rolling;
#[cfg(unix)]
mod sigterm;
#[cfg(unix)]
mod wire;

use std::process::ExitCode;

#[cfg(not(unix))]
fn main() -> ExitCode {
    // There are no signals.
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn main() -> ExitCode {
    use libtest_mimic::Trial;
    use rolling::Crowd;
    use std::{env, time::Duration};
    use testbed::{parts::trial, seeded};
    use wire::Method;

    // What a test starts as a process of its own.
    if let Some(method) = env::var_os(program::PLAYS) {
        return program::play(&method);
    }
    const LIMIT: Duration = Duration::from_secs(120);
    let (arguments, long) = seeded::arguments();
    let mut trials = Vec::<Trial>::new();
    for method in Method::ALL {
        let name = |fault: &str| format!("{fault}/{}", method.name());
        trials.extend([
            trial(&name("sigterm"), LIMIT, move || sigterm::a_thousand(method)),
            trial(&name("kill-9"), LIMIT, move || killed::direct(method)),
            trial(&name("kill-9-behind-nginx"), LIMIT, move || {
                killed::behind_nginx(method)
            }),
        ]);
    }
    trials.extend([
        trial("sigterm/mute-sockets", LIMIT, sigterm::mute_sockets),
        trial("sigterm/lame-duck", LIMIT, sigterm::lame_duck),
        trial("files/times-and-flags", LIMIT, files::times_and_flags),
        trial(
            "balanced/without-a-lame-duck",
            LIMIT,
            balanced::without_a_lame_duck,
        ),
        trial(
            "balanced/with-a-lame-duck",
            LIMIT,
            balanced::with_a_lame_duck,
        ),
        trial("rolling/deployment", LIMIT, || {
            rolling::deployment(Crowd::SMALL)
        }),
        trial("rolling/share-of-a-new-server", LIMIT, || {
            rolling::share_of_a_new_server(Crowd::SMALL, Duration::from_secs(8))
        }),
    ]);
    if long {
        seeded::say();
        // At a pace that a small machine can follow.
        let crowd = Crowd {
            clients: 2_000,
            pace: Duration::from_secs(3),
            poll: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            ..Crowd::SMALL
        };
        for (name, seconds) in [("a-second", 1), ("ten-seconds", 10)] {
            let crowd = Crowd {
                window: Duration::from_secs(seconds),
                ..crowd
            };
            let name = format!("rolling/2000-clients-over-{name}");
            trials.push(trial(&name, 5 * LIMIT, move || rolling::deployment(crowd)));
        }
        trials.push(trial(
            "rolling/share-among-2000-clients",
            5 * LIMIT,
            move || rolling::share_of_a_new_server(crowd, Duration::from_secs(60)),
        ));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
