//! The book and its live panels in a real browser.
//!
//! What is live runs in Chromium, in Firefox and in WebKitGTK, and each trial is named after its
//! browser. Where that, or its driver, is missing, the trial is ignored, with the reason, or fails
//! under `REQUIRE_PARTS=1`.

mod access;
mod book;
mod copied_pages;
mod folds;
mod in_page;
mod killed;
mod listings;
mod loading;
mod long_polling_panel;
mod look;
mod machines;
mod panel;
mod paper;
mod polling_panel;
mod published;
mod push_panel;
mod reading;
mod recordings;
mod room;
mod sheet;
mod tabs;
mod themes;
mod tickets;
mod tokens;
mod twins;
mod vectors;
mod websocket_panel;
mod whiteboard;
mod wire;
mod without_script;
mod worker;

use browser::{engine::Kind, page::Page, suite::Suite};
use libtest_mimic::Trial;
use method::Method;
use std::{future::Future, process::ExitCode, sync::Arc, thread::available_parallelism};

/// The trials, each under its function's path.
macro_rules! trials {
    ($suite:expr, $kind:expr; $($tests:tt)*) => { trials!(trial, $suite, $kind; $($tests)*) };
    ($trial:ident, $suite:expr, $kind:expr; $($module:ident::$test:ident),* $(,)?) => {
        vec![$($suite.$trial($kind, concat!(stringify!($module), "::", stringify!($test)), $module::$test)),*]
    };
}

/// One trial for each of some methods.
fn for_each<T>(
    methods: &[Method],
    suite: &Arc<Suite>,
    kind: Kind,
    name: &str,
    test: fn(Arc<Suite>, Method, Page) -> T,
) -> Vec<Trial>
where
    T: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let trial = |method: Method| {
        let name = format!("{name}::{}", method.name);
        suite.trial(kind, &name, move |suite, page| test(suite, method, page))
    };
    methods.iter().copied().map(trial).collect()
}

/// What runs in every browser.
fn everywhere(suite: &Arc<Suite>, kind: Kind) -> Vec<Trial> {
    // The longest first, so that no thread is left with one of them at the end.
    let mut trials = trials![
        suite, kind;
        book::every_page_is_quiet_asks_no_other_host_and_fits_a_phone,
        vectors::the_browser_reads_the_format_as_the_vectors_say,
        vectors::the_parser_of_this_book_reads_it_so_too,
        panel::it_resumes_after_a_cut_with_nothing_lost_and_nothing_doubled,
        panel::the_keyboard_starts_and_stops_it,
        panel::it_connects_only_on_start,
        panel::two_tabs_talk_to_each_other,
        panel::it_fits_a_phone,
        push_panel::each_way_shows_its_frames,
        push_panel::the_keyboard_is_enough,
        push_panel::it_says_in_words_that_no_push_server_runs,
        push_panel::the_page_of_the_push_server_tells_what_it_saw,
        room::four_methods_share_one_room,
        wire::a_cut_and_what_follows_it_are_drawn,
        worker::two_tabs_share_one_room,
        worker::another_worker_is_another_log,
        worker::an_old_worker_serves_a_new_site_and_a_new_one_old_tabs,
        worker::a_site_that_names_no_worker_ends_it,
        worker::many_tabs_share_one_stream_and_the_seventh_does_not_wait,
        worker::what_is_not_below_its_path_is_not_its_own,
        polling_panel::a_client_far_behind_catches_up_without_its_pauses,
        polling_panel::a_hidden_page_asks_less_often_and_at_once_when_it_is_shown,
        polling_panel::the_state_is_sent_only_when_it_has_changed,
        in_page::the_race_runs_and_loses_where_no_cursor_is,
        in_page::the_calculator_keeps_its_numbers_in_the_address,
        machines::each_does_its_work_on_a_static_site,
        machines::a_question_is_answered_and_remembered_and_forgotten,
        long_polling_panel::one_question_is_parked_and_resumes_after_a_cut,
        websocket_panel::it_resumes_after_a_cut_and_publishes_over_its_socket,
        websocket_panel::a_page_of_another_site_gets_no_socket,
        twins::a_page_of_another_origin_opens_the_plain_socket_alone,
        whiteboard::it_is_one_board_for_all_and_nothing_is_lost_in_a_cut,
        killed::an_event_source_comes_back_by_itself,
        tickets::each_connection_has_its_own_and_nothing_is_lost,
        tickets::a_logout_in_one_tab_ends_the_stream_of_another,
        tokens::stop_ends_the_generator_too,
        tokens::a_text_comes_token_by_token,
        tokens::a_page_that_is_reloaded_in_mid_answer_reads_on,
        listings::each_has_its_file_its_edge_and_its_marked_lines,
        book::content_is_painted_before_any_script_has_come,
        book::diagrams_are_there_before_any_script,
        loading::a_page_on_a_desk_is_small_and_stays_in_place,
        loading::a_page_on_a_phone_is_small_and_stays_in_place,
        paper::every_diagram_and_fold_is_printed_and_nothing_to_press,
        paper::a_printer_opens_every_fold_and_leaves_the_page_as_it_was,
        tabs::eight_tabs_share_one_worker,
        tabs::the_lock_of_a_silent_leader_is_taken_by_force,
    ];
    for theme in themes::OFFERED {
        trials.extend((0..themes::PARTS).map(|part| {
            let name = format!("themes::nothing_serious_in::{theme}::{part}");
            suite.trial(kind, &name, move |suite, page| {
                themes::nothing_serious_in(suite, theme, part, page)
            })
        }));
    }
    trials.extend(for_each(
        &site::methods(),
        suite,
        kind,
        "panel::it_survives_the_end_of_its_server_and_tells_of_the_new_log",
        panel::it_survives_the_end_of_its_server_and_tells_of_the_new_log,
    ));
    trials.extend(for_each(
        &site::methods(),
        suite,
        kind,
        "panel::it_works_on_the_page_of_its_own_server",
        panel::it_works_on_the_page_of_its_own_server,
    ));
    trials.extend(for_each(
        &site::methods(),
        suite,
        kind,
        "copied_pages::one_shows_each_event_once_across_a_cut_and_tells_of_a_gap",
        copied_pages::one_shows_each_event_once_across_a_cut_and_tells_of_a_gap,
    ));
    trials.extend(for_each(
        &[sse::METHOD],
        suite,
        kind,
        "twins::one_button_makes_one_lose_and_one_keep",
        twins::one_button_makes_one_lose_and_one_keep,
    ));
    trials.extend(for_each(
        &site::methods(),
        suite,
        kind,
        "worker::each_method_runs_where_no_server_is",
        worker::each_method_runs_where_no_server_is,
    ));
    trials.extend(for_each(
        &[sse::METHOD],
        suite,
        kind,
        "tabs::eight_tabs_share_one_stream",
        tabs::eight_tabs_share_one_stream,
    ));
    trials.extend(for_each(
        &[long_polling::METHOD, sse::METHOD],
        suite,
        kind,
        "tabs::the_seventh_tab_waits",
        tabs::the_seventh_tab_waits,
    ));
    // Polling holds no connection that it could let go.
    let holding: Vec<_> = site::methods()
        .into_iter()
        .filter(|method| method.cuts)
        .collect();
    trials.extend(for_each(
        &holding,
        suite,
        kind,
        "panel::a_page_long_hidden_lets_go_and_comes_back",
        panel::a_page_long_hidden_lets_go_and_comes_back,
    ));
    // WebKitGTK's driver answers no question that meets a page while it is left. All of these one
    // after the other: they have a browser of their own.
    trials.extend(trials![
        patient_trial, suite, kind;
        without_script::the_text_the_diagrams_and_the_answers_can_be_read,
        panel::in_a_chapter_it_comes_back_as_it_was,
    ]);
    if kind == Kind::Chromium {
        trials.extend(trials![
            patient_trial, suite, kind;
            tabs::a_page_comes_back_from_the_cache,
        ]);
    }
    trials.extend(site::methods().into_iter().map(|method| {
        let test = panel::it_goes_on_where_it_was_when_its_reader_comes_back;
        let name = "panel::it_goes_on_where_it_was_when_its_reader_comes_back";
        let name = format!("{name}::{}", method.name);
        suite.patient_trial(kind, &name, move |suite, page| test(suite, method, page))
    }));
    trials
}

fn main() -> ExitCode {
    // What a test starts as a process of its own.
    if std::env::var_os(killed::PLAYS).is_some() {
        return killed::play();
    }
    let suite = Suite::new();
    // axe-core reads the page, and not what a browser makes of it; and whether files are whole does
    // not hang on the browser that asks for them. One is enough here.
    let mut trials = for_each(
        &site::methods(),
        &suite,
        Kind::Chromium,
        "access::no_barriers_in_light_and_dark",
        access::no_barriers_in_light_and_dark,
    );
    trials.extend(for_each(
        &site::methods(),
        &suite,
        Kind::Chromium,
        "wire::each_method_has_its_arrows_and_each_arrow_its_bytes",
        wire::each_method_has_its_arrows_and_each_arrow_its_bytes,
    ));
    trials.extend(trials![
        suite, Kind::Chromium;
        access::no_barriers_in_the_panel_of_http2_push,
        recordings::a_push_is_replayed_beside_what_took_its_place,
        recordings::a_panel_is_replayed_in_the_browser_of_the_readers_choice,
        recordings::no_barriers_in_light_and_dark,
        in_page::no_barriers_in_light_and_dark,
        worker::a_worker_that_was_ended_is_a_restart,
        worker::what_goes_over_watched_requests_is_kept,
        folds::a_link_to_a_failure_or_into_its_fold_opens_it,
        folds::an_address_that_a_page_had_once_leads_on,
        look::a_theme_that_is_not_offered_counts_as_none,
        look::the_table_of_contents_follows_its_reader,
        look::code_of_88_columns_needs_no_scrolling,
        look::a_table_of_four_columns_is_read_on_a_phone_row_by_row,
        reading::the_copy_button_of_a_console_copies_commands,
        reading::arrow_keys_scroll_a_box_that_has_the_focus,
        reading::a_keyboard_skips_to_the_text_and_to_the_panel,
        reading::a_word_of_the_contract_leads_to_its_section,
        // Firefox loads such a page anew.
        reading::a_page_comes_back_as_it_was_left,
        published::every_page_of_a_static_site_is_whole_and_says_that_no_live_server_is_here,
        published::the_print_page_has_every_chapter_and_every_diagram,
        published::whatever_a_file_of_a_static_site_names_is_there,
        published::a_page_that_is_not_there_leads_back_into_the_book,
        published::a_search_in_a_static_site_leads_to_a_page,
    ]);
    trials.extend(trials![
        suite, Kind::Chromium;
        tabs::eight_sockets_are_open,
        twins::in_a_stream_each_case_is_what_its_chapter_says,
        twins::it_works_in_a_service_worker,
    ]);
    trials.extend(for_each(
        &[polling::METHOD, long_polling::METHOD, websocket::METHOD],
        &suite,
        Kind::Chromium,
        "twins::one_button_makes_one_lose_and_one_keep",
        twins::one_button_makes_one_lose_and_one_keep,
    ));
    let holding = [long_polling::METHOD, websocket::METHOD];
    trials.extend(for_each(
        &holding,
        &suite,
        Kind::Chromium,
        "tabs::eight_tabs_share_one_stream",
        tabs::eight_tabs_share_one_stream,
    ));
    trials.extend(for_each(
        &[long_polling::METHOD, sse::METHOD, websocket::METHOD],
        &suite,
        Kind::Chromium,
        "tabs::a_frozen_leader_gives_way",
        tabs::a_frozen_leader_gives_way,
    ));
    for kind in [Kind::Chromium, Kind::Firefox] {
        trials.extend(trials![
            suite, kind;
            sheet::it_is_one_side_of_paper_and_another_page_is_more,
        ]);
    }
    for kind in Kind::ALL {
        trials.extend(everywhere(&suite, kind));
    }
    // A browser keeps one processor busy while its trial does not wait, and takes up to a gigabyte
    // of memory.
    let processors = available_parallelism().map_or(1, usize::from);
    suite.finish(trials, (processors + 1).min(8))
}
