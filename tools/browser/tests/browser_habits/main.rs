//! What real browsers do where standards leave it open or browsers differ, and what they did on the
//! day when somebody last looked.
//!
//! Each trial has one browser meet a server that answers byte by byte, and compares what it did
//! with `results.json`. Where they differ the world has changed: `UPDATE_GOLDEN=1 cargo test -p
//! browser --test browser_habits` keeps the new results with their date, and writes the table that
//! the book shows.
//!
//! How long a service worker lives takes a minute and a half to try: `cargo xtask engines` does,
//! and `cargo test` leaves it out.
//!
//! A browser or driver that is missing: its trials are ignored, with the reason, or fail under
//! `REQUIRE_PARTS=1`.

mod access;
mod cookies;
mod pages;
mod raw;
mod requests;
mod results;
mod streams;
mod workers;

use browser::results::updating;
use browser::{
    engine::{Engine, Kind},
    page::Page,
    suite::Suite,
};
use libtest_mimic::Trial;
use results::{Habits, ACCESS, BROWSERS, WORKERS};
use std::{future::Future, process::ExitCode, sync::Arc};

/// How many trials run side by side, however few processors there are: they wait most of the time.
const AT_ONCE: usize = 4;

/// What a browser did, by the key of its row.
type Seen = Vec<(&'static str, String)>;

fn trial<T>(
    habits: &'static Habits,
    suite: &Arc<Suite>,
    kind: Kind,
    name: &str,
    measure: fn(Page) -> T,
) -> Trial
where
    T: Future<Output = anyhow::Result<Seen>> + Send + 'static,
{
    suite.trial(kind, name, move |_, page| async move {
        let seen = measure(page).await?;
        habits.check(kind, &Engine::find(kind)?.version().await?, &seen)
    })
}

fn main() -> ExitCode {
    let suite = Suite::new();
    let current = |habits: &'static Habits| {
        move || {
            let current = habits.table_is_current();
            current.map_err(|error| format!("{error:#}").into())
        }
    };
    let mut trials = vec![
        Trial::test("the_table_says_what_the_results_say", current(&BROWSERS)),
        Trial::test("the_table_of_workers_says_it_too", current(&WORKERS)),
        Trial::test("the_table_of_access_says_it_too", current(&ACCESS)),
    ];
    for kind in Kind::ALL {
        trials.extend([
            // The longest first.
            trial(&WORKERS, &suite, kind, "worker_life", workers::life).with_ignored_flag(true),
            trial(&WORKERS, &suite, kind, "worker_streams", workers::streams),
            trial(&WORKERS, &suite, kind, "worker_gone", workers::gone),
            trial(&WORKERS, &suite, kind, "worker_code", workers::code),
            trial(&BROWSERS, &suite, kind, "hidden", pages::hidden),
            trial(&BROWSERS, &suite, kind, "back", pages::back),
            trial(&BROWSERS, &suite, kind, "six_streams", streams::six),
            trial(&BROWSERS, &suite, kind, "sockets", streams::sockets),
            trial(&BROWSERS, &suite, kind, "stream_answers", streams::answers),
            trial(
                &BROWSERS,
                &suite,
                kind,
                "stream_cookies",
                cookies::of_streams,
            ),
            trial(
                &BROWSERS,
                &suite,
                kind,
                "handshakes",
                cookies::of_handshakes,
            ),
            trial(&ACCESS, &suite, kind, "access_ticket", access::ticket),
            trial(
                &ACCESS,
                &suite,
                kind,
                "access_credentials",
                access::credentials,
            ),
            trial(
                &ACCESS,
                &suite,
                kind,
                "access_preflights",
                access::preflights,
            ),
            trial(&ACCESS, &suite, kind, "access_sockets", access::sockets),
            trial(
                &ACCESS,
                &suite,
                kind,
                "access_other_site",
                access::other_site,
            ),
            trial(&BROWSERS, &suite, kind, "cut_bodies", requests::cut_bodies),
            trial(&BROWSERS, &suite, kind, "repeats", requests::repeats),
            trial(&BROWSERS, &suite, kind, "validators", requests::validators),
            trial(&BROWSERS, &suite, kind, "shown_again", pages::shown_again),
            trial(&BROWSERS, &suite, kind, "long_timer", pages::long_timer),
        ]);
    }
    let code = suite.finish(trials, AT_ONCE);
    if updating() {
        for habits in [&BROWSERS, &WORKERS, &ACCESS] {
            if let Err(error) = habits.write_table() {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    code
}

/// `yes` or `no`.
fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
