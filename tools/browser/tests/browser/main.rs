//! The book and its live panels in a real browser.
//!
//! Needs Chromium and chromedriver; without them each test is ignored, with the reason, or fails under
//! `REQUIRE_PARTS=1`.

mod access;
mod book;
mod panel;
mod published;
mod tokens;
mod vectors;

use browser::suite::Suite;
use std::process::ExitCode;

/// The trials, each under its function's path.
macro_rules! trials {
    ($suite:expr; $($module:ident::$test:ident),* $(,)?) => {
        vec![$($suite.trial(concat!(stringify!($module), "::", stringify!($test)), $module::$test)),*]
    };
}

fn main() -> ExitCode {
    let suite = Suite::new();
    let trials = trials![
        suite;
        // The longest first, so that no thread is left with one of them at the end.
        access::no_barriers_in_light_and_dark,
        book::every_page_is_quiet_asks_no_other_host_and_fits_a_phone,
        book::diagrams_are_drawn_when_they_come_near,
        published::a_static_site_says_that_no_live_server_is_here,
        vectors::the_browser_reads_the_format_as_the_vectors_say,
        vectors::the_parser_of_this_book_reads_it_so_too,
        panel::it_resumes_after_a_cut_with_nothing_lost_and_nothing_doubled,
        panel::the_keyboard_starts_and_stops_it,
        panel::it_connects_only_on_start,
        panel::two_tabs_talk_to_each_other,
        panel::it_survives_the_end_of_its_server_and_tells_of_the_new_log,
        panel::it_works_on_the_page_of_its_own_server,
        tokens::stop_ends_the_generator_too,
        tokens::a_text_comes_token_by_token,
        book::content_is_painted_before_any_script_has_come,
    ];
    suite.finish(trials)
}
