//! The recordings that are kept are whole, and what the pages say of them is true.

use recordings::{
    folder,
    format::{Recording, LARGEST},
    push,
    table::{table, Cost},
};
use std::fs;

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
fn the_table_of_http2_push_is_that_of_its_recordings() {
    let shown = fs::read_to_string(folder().join("http2-push.md")).unwrap();
    assert_eq!(shown, table().unwrap());
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
