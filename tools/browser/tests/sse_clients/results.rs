//! The results: kept, compared, and shown as a table.

use anyhow::{ensure, Context as _};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// The clients for Node.js, by the names under which `.ci/run` installs them. Four versions of one package stand side by side.
pub(crate) const NODE: [&str; 8] = [
    "eventsource-2",
    "eventsource-3",
    "eventsource-4",
    "eventsource-5",
    "eventsource-client",
    "launchdarkly-eventsource",
    "@microsoft/fetch-event-source",
    "event-source-polyfill",
];

const BROWSERS: [&str; 3] = ["Chromium", "Firefox", "WebKitGTK"];

/// What became of an event that was published while a client was away, which had seen none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Once,
    Lost,
    Twice,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Once => "it came",
            Self::Lost => "**lost**",
            Self::Twice => "it came twice",
        })
    }
}

/// What a client did with two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Whose first block was an id alone.
    pub(crate) id_alone: Outcome,
    /// Whose first block was that of this book's server.
    pub(crate) hello: Outcome,
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sse_clients");
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
    all.sort_by_key(|history| {
        let mut clients = BROWSERS.iter().chain(&NODE);
        clients.position(|client| *client == history.client)
    });
    fs::write(
        path("results.json"),
        serde_json::to_string_pretty(&all)? + "\n",
    )?;
    Ok(())
}

fn table() -> anyhow::Result<String> {
    let mut table = String::from(
        "| client | looked at | an id alone | an id with data |\n| --- | --- | --- | --- |\n",
    );
    for History { client, results } in read()? {
        // `eventsource-5` is the package `eventsource`, in a version that stands beside it.
        let name = match client.strip_prefix("eventsource-") {
            Some(version) if version.len() == 1 => "eventsource",
            _ => &client,
        };
        let name = match NODE.contains(&&*client) {
            true => format!("npm `{name}`"),
            false => name.to_owned(),
        };
        for Dated {
            version,
            date,
            seen,
        } in results.iter().rev()
        {
            let Seen { id_alone, hello } = seen;
            table += &format!("| {name} {version} | {date} | {id_alone} | {hello} |\n");
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
