//! The results: kept, compared, and shown as a table.

use anyhow::{ensure, Context as _};
use http2_push::{
    frames::ENABLE_PUSH,
    recording::{Recording, Side},
    Way,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

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

/// What a version of a client did, and when somebody last looked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Dated {
    version: String,
    date: jiff::civil::Date,
    #[serde(flatten)]
    seen: Seen,
}

/// The results of one client, the newest last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct History {
    client: String,
    results: Vec<Dated>,
}

/// The file is read, changed and written by one trial at a time.
static FILE: Mutex<()> = Mutex::new(());

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/push_clients");
    PathBuf::from(folder).join(name)
}

fn read() -> anyhow::Result<Vec<History>> {
    match fs::read_to_string(path("results.json")) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(_) if updating() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Whether new results are to be kept.
pub(crate) fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// What the client did when somebody last looked.
pub(crate) fn newest(client: &str) -> anyhow::Result<Option<Seen>> {
    let _held = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let all = read()?;
    let history = all.iter().find(|history| history.client == client);
    Ok(history.and_then(|history| history.results.last().map(|dated| dated.seen)))
}

/// Compares what the client did now with its newest result, or keeps it.
///
/// # Errors
/// If it did something else.
pub(crate) fn check(client: &str, version: &str, seen: Seen) -> anyhow::Result<()> {
    if updating() {
        return keep(client, version, seen);
    }
    let kept = newest(client)?.with_context(|| format!("no result of {client} yet"))?;
    ensure!(
        seen == kept,
        "{client} {version} does something else than when somebody last looked: {seen:?}, then {kept:?}; \
         if that is so, keep it with UPDATE_GOLDEN=1"
    );
    Ok(())
}

fn keep(client: &str, version: &str, seen: Seen) -> anyhow::Result<()> {
    let _held = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = read()?;
    let index = match all.iter().position(|history| history.client == client) {
        Some(index) => index,
        None => {
            all.push(History {
                client: client.to_owned(),
                results: Vec::new(),
            });
            all.len() - 1
        }
    };
    let results = &mut all[index].results;
    // The same version that does the same: only the day is new.
    results.pop_if(|last| last.version == version && last.seen == seen);
    results.push(Dated {
        version: version.to_owned(),
        date: jiff::Zoned::now().date(),
        seen,
    });
    all.sort_by_key(|history| CLIENTS.iter().position(|client| *client == history.client));
    fs::write(
        path("results.json"),
        serde_json::to_string_pretty(&all)? + "\n",
    )?;
    Ok(())
}

/// Keeps what the book shows of a browser's connection: its settings, and the frames from its request for the page with early hints
/// to the head of that page. Of the browser's requests only the four pseudo-headers are kept; its own headers are long and beside the
/// point. The port is the book's.
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
    fs::write(path(&format!("{}.txt", client.to_lowercase())), text)?;
    Ok(())
}

fn table() -> anyhow::Result<String> {
    let mut table = String::from(
        "| client | looked at | says `ENABLE_PUSH` | a push | a 103 |\n| --- | --- | --- | --- | --- |\n",
    );
    for History { client, results } in read()? {
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

/// Writes the table anew.
pub(crate) fn write_table() -> anyhow::Result<()> {
    fs::write(path("table.md"), table()?)?;
    Ok(())
}

/// Whether the table that the book shows has every result.
///
/// # Errors
/// If it does not.
pub(crate) fn table_is_current() -> anyhow::Result<()> {
    if updating() {
        // Written when all trials are over.
        return Ok(());
    }
    ensure!(
        fs::read_to_string(path("table.md"))? == table()?,
        "table.md is older than results.json; write it anew with UPDATE_GOLDEN=1"
    );
    Ok(())
}
