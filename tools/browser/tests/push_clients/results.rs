//! What the clients do, and the table of it.

use anyhow::Context as _;
use browser::results::{Dated, Histories, History, Results};
use http2_push::{
    frames::ENABLE_PUSH,
    recording::{Recording, Side},
    Way,
};
use serde::{Deserialize, Serialize};
use std::{fmt, fs};

/// The name of this book's own client in the results.
pub(crate) const OURS: &str = "this book's client (h2)";

/// The clients in the order of the table.
const CLIENTS: [&str; 7] = [
    OURS,
    "nghttp",
    "Node.js",
    "curl",
    "Chromium",
    "Firefox",
    "WebKitGTK",
];

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Its `SETTINGS_ENABLE_PUSH`; none if it leaves the setting out, which means 1.
    pub(crate) enable_push: Option<u32>,
    pub(crate) push: Push,
    pub(crate) hints: Hints,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Push {
    /// The client had refused beforehand, by its settings.
    NoneSent,
    /// The client kept it and did not ask for the same.
    Taken,
    /// The client let it come, and asked for the same all the same.
    AskedAnyway,
    /// The client refused it when it came.
    Reset,
}

/// What became of a 103.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hints {
    /// The client asked for what it names before the page came.
    Heeded,
    /// The client told whoever uses it, and did nothing by itself.
    Told,
    /// Nothing.
    Ignored,
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneSent => "none was sent",
            Self::Taken => "taken",
            Self::AskedAnyway => "not used: asked for the same again",
            Self::Reset => "reset",
        })
    }
}

impl fmt::Display for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heeded => "asked for the parts before the page came",
            Self::Told => "told its user, no more",
            Self::Ignored => "nothing",
        })
    }
}

/// The results, beside this test.
pub(crate) static KEPT: Histories = Histories {
    results: Results::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/push_clients")),
    clients: &CLIENTS,
};

/// Keeps what the book shows of a browser's connection: its settings, and the frames from its
/// request for the page with early hints to the head of that page. Of the browser's requests only
/// the four pseudo-headers are kept; its own headers are long and beside the point. The port is the
/// book's.
pub(crate) fn keep_frames(client: &str, recording: &Recording) -> anyhow::Result<()> {
    let frames = recording.frames();
    let page = Way::EarlyHints.folder();
    let asked = frames
        .iter()
        .position(|(_, frame)| frame.field(":path") == Some(page))
        .context("no request for the page")?;
    let stream = frames[asked].1.stream;
    let sent = frames
        .iter()
        .position(|(_, frame)| frame.stream == stream && frame.field(":status") == Some("200"))
        .context("no page")?;
    let settings = frames
        .iter()
        .filter(|(side, frame)| *side == Side::Client && frame.setting(ENABLE_PUSH).is_some());
    let mut text = String::new();
    for (side, frame) in settings.chain(&frames[asked..=sent]) {
        let told = frame.to_string();
        let lines = told.lines().filter(|line| {
            let field = line.trim_start();
            *side == Side::Server || !field.contains(": ") || field.starts_with(':')
        });
        for (number, line) in lines.enumerate() {
            let line = match line.split_once(":authority: ") {
                Some((space, _)) => format!("{space}:authority: 127.0.0.1:4443"),
                None => line.to_owned(),
            };
            text += &match number {
                0 => format!("{side} {line}\n"),
                _ => format!("{line}\n"),
            };
        }
    }
    fs::write(
        KEPT.results.path(&format!("{}.txt", client.to_lowercase())),
        text,
    )?;
    Ok(())
}

/// The table that the book shows.
pub(crate) fn table() -> anyhow::Result<String> {
    let mut table = String::from(
        "| client | looked at | says `ENABLE_PUSH` | a push | a 103 |\n| --- | --- | --- | --- | --- |\n",
    );
    for History { client, results } in KEPT.results.read::<Vec<History<Seen>>>()? {
        for Dated {
            version,
            date,
            seen,
        } in results.iter().rev()
        {
            let says = seen
                .enable_push
                .map_or("nothing, which means 1".to_owned(), |value| {
                    value.to_string()
                });
            let Seen { push, hints, .. } = seen;
            table += &format!("| {client} {version} | {date} | {says} | {push} | {hints} |\n");
        }
    }
    Ok(table)
}
