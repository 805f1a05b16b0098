//! The recordings that are kept are whole, and what the pages say of them is true.

use browser::engine::Kind;
use recordings::{
    failures, folder,
    format::{Recording, Way, LARGEST},
    panels, push,
    table::{self, requests, Cost, Dead, Seen},
};
use std::{collections::BTreeSet, fs};

fn kept() -> Vec<(String, Recording)> {
    let files = fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let names = names.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let names = names.map(|path| path.file_stem().unwrap().display().to_string());
    names
        .map(|name| (name.clone(), recordings::read(&name).unwrap()))
        .collect()
}

#[test]
fn every_recording_is_whole_and_small() {
    for (name, recording) in kept() {
        recording
            .check()
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let size = fs::metadata(recordings::path(&name)).unwrap().len();
        assert!(size <= LARGEST, "{name}: {size} bytes");
    }
}

#[test]
fn there_is_one_of_each_and_no_other() {
    let push = push::ALL.map(|(name, _)| name.to_owned());
    let panels = panels::ALL.iter();
    let panels = panels.flat_map(|panel| Kind::ALL.map(|kind| panel.recording(kind)));
    let failures = failures::ALL.into_iter();
    let failures = failures.flat_map(|name| Kind::ALL.map(|kind| failures::recording(name, kind)));
    let wanted: BTreeSet<_> = push.into_iter().chain(panels).chain(failures).collect();
    let kept: BTreeSet<_> = kept().into_iter().map(|(name, _)| name).collect();
    assert_eq!(kept, wanted);
}

#[test]
fn every_table_is_that_of_its_recordings() {
    let shown = |name: &str| fs::read_to_string(folder().join(format!("{name}.md"))).unwrap();
    assert_eq!(shown("http2-push"), table::push().unwrap());
    assert_eq!(
        shown(failures::FOREIGN_ORIGIN),
        table::foreign_origin().unwrap()
    );
    assert_eq!(shown(failures::HALF_OPEN), table::half_open().unwrap());
    for panel in &panels::ALL {
        assert_eq!(shown(panel.name), table::panel(panel).unwrap());
    }
}

/// The chapters say in words what happens in every browser after a cut.
#[test]
fn every_browser_comes_back_from_its_cursor() {
    for panel in panels::ALL.iter().filter(|panel| panel.is_cut) {
        for kind in Kind::ALL {
            let name = panel.recording(kind);
            let recording = recordings::read(&name).unwrap();
            assert!(Seen::of(&recording).unwrap().back.is_some(), "{name}");
            let requests = requests(&recording).unwrap();
            let (_, last) = requests.last().unwrap();
            let by_itself = last.to_ascii_lowercase().contains("\r\nlast-event-id: ");
            assert_eq!(by_itself, panel.name == "sse", "{name}: {last}");
            assert!(last.contains("after="), "{name}: {last}");
        }
    }
}

#[test]
fn every_browser_waits_as_long_as_the_stream_has_said() {
    for kind in Kind::ALL {
        let recording = recordings::read(&format!("sse-{}", kind.key())).unwrap();
        let Seen { back, retry, .. } = Seen::of(&recording).unwrap();
        let (back, retry) = (back.unwrap(), f64::from(retry.unwrap()));
        assert!(
            (retry..retry + 500.0).contains(&back),
            "{kind}: {back}, {retry}"
        );
    }
}

#[test]
fn the_script_of_websocket_asks_for_the_status_first() {
    for kind in Kind::ALL {
        let recording = recordings::read(&format!("websocket-{}", kind.key())).unwrap();
        let requests = requests(&recording).unwrap();
        let [.., (_, before), (_, last)] = requests.as_slice() else {
            panic!("{kind}: {requests:?}");
        };
        assert!(before.contains("/status?"), "{kind}: {before}");
        assert!(last.contains("Sec-WebSocket-Key"), "{kind}: {last}");
    }
}

#[test]
fn of_polling_more_goes_up_than_comes_down() {
    for kind in Kind::ALL {
        let recording = recordings::read(&format!("polling-{}", kind.key())).unwrap();
        assert!(
            recording.bytes(Way::Up) > recording.bytes(Way::Down),
            "{kind}"
        );
    }
}

/// The chapter says in words what a push, a 103 and neither cost.
#[test]
fn a_push_and_a_hint_save_a_round_trip() {
    let [pushed, hinted, plain] =
        push::ALL.map(|(name, _)| Cost::of(&recordings::read(name).unwrap()).unwrap());
    assert_eq!([pushed, hinted, plain].map(|cost| cost.asked), [1, 3, 3]);
    // Beside the work: one round trip, one, and two.
    let whole = [pushed, hinted, plain].map(|cost| cost.round_trips().round());
    assert_eq!(whole, [1.0, 1.0, 2.0]);
    // The parts of the page: after one round trip, two, and two beside the work.
    let trip = 2e3 * push::ONE_WAY.as_secs_f64();
    let parts = [pushed, hinted].map(|cost| (cost.parts / trip).round());
    assert_eq!(parts, [1.0, 2.0]);
    assert!(plain.parts > plain.page);
}

#[test]
fn every_browser_is_refused_and_every_dead_line_given_up() {
    for kind in Kind::ALL {
        let shown = table::foreign_origin().unwrap();
        assert_eq!(
            shown.matches("403 Forbidden").count(),
            Kind::ALL.len(),
            "{shown}"
        );
        let recording = recordings::read(&failures::recording(failures::HALF_OPEN, kind)).unwrap();
        let Dead { server, page, sent } = Dead::of(&recording).unwrap();
        let heartbeat = failures::HEARTBEAT.as_secs_f64() * 1e3;
        // What it last heard may be a heartbeat old when the line goes dead.
        assert!(
            (heartbeat..3.0 * heartbeat).contains(&server),
            "{kind}: {server}"
        );
        // The page needs longer: the heartbeats it misses count from its last message.
        assert!(page > server, "{kind}: {page} {server}");
        assert!(sent > 0, "{kind}");
    }
}

/// Two of them ask for the status first, over a connection that is dead as well.
#[test]
fn only_webkitgtk_comes_back_at_once_from_a_dead_line() {
    let [chromium, firefox, webkit] = Kind::ALL.map(|kind| {
        let name = failures::recording(failures::HALF_OPEN, kind);
        Dead::of(&recordings::read(&name).unwrap()).unwrap().page
    });
    for later in [chromium, firefox] {
        assert!((9e3..12e3).contains(&(later - webkit)), "{later} {webkit}");
    }
}
