//! What real browsers do where standards leave it open or browsers differ, and what they did on the
//! day when somebody last looked.
//!
//! Each trial has one browser meet a server that answers byte by byte, and compares what it did
//! with `results.json`. Where they differ the world has changed: `UPDATE_GOLDEN=1 cargo test -p
//! browser --test browser_habits` keeps the new results with their date, and writes the table that
//! the book shows.
//!
//! A browser or driver that is missing: its trials are ignored, with the reason, or fail under
//! `REQUIRE_PARTS=1`.

mod cookies;
mod pages;
mod raw;
mod requests;
mod results;
mod streams;

use browser::results::updating;
use browser::{
    engine::{Engine, Kind},
    page::Page,
    suite::Suite,
};
use libtest_mimic::Trial;
use results::KEPT;
use std::{future::Future, process::ExitCode, sync::Arc};

/// How many trials run side by side, however few processors there are: they wait most of the time.
const AT_ONCE: usize = 4;

/// What a browser did, by the key of its row.
type Seen = Vec<(&'static str, String)>;

fn trial<T>(suite: &Arc<Suite>, kind: Kind, name: &str, measure: fn(Page) -> T) -> Trial
where
    T: Future<Output = anyhow::Result<Seen>> + Send + 'static,
{
    suite.trial(kind, name, move |_, page| async move {
        let seen = measure(page).await?;
        results::check(kind, &Engine::find(kind)?.version().await?, &seen)
    })
}

fn main() -> ExitCode {
    let suite = Suite::new();
    let mut trials = vec![Trial::test("the_table_says_what_the_results_say", || {
        KEPT.table_is_current(results::table)
            .map_err(|error| format!("{error:#}").into())
    })];
    for kind in Kind::ALL {
        trials.extend([
            trial(&suite, kind, "hidden", pages::hidden),
            trial(&suite, kind, "back", pages::back),
            trial(&suite, kind, "six_streams", streams::six),
            trial(&suite, kind, "sockets", streams::sockets),
            trial(&suite, kind, "stream_answers", streams::answers),
            trial(&suite, kind, "stream_cookies", cookies::of_streams),
            trial(&suite, kind, "handshakes", cookies::of_handshakes),
            trial(&suite, kind, "cut_bodies", requests::cut_bodies),
            trial(&suite, kind, "repeats", requests::repeats),
            trial(&suite, kind, "validators", requests::validators),
            trial(&suite, kind, "shown_again", pages::shown_again),
            trial(&suite, kind, "long_timer", pages::long_timer),
        ]);
    }
    let code = suite.finish(trials, AT_ONCE);
    if updating() {
        if let Err(error) = results::table().and_then(|table| KEPT.write_table(&table)) {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    code
}

/// `yes` or `no`.
fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
