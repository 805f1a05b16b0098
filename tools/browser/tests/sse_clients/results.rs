//! What the clients do, and the table of it.

use browser::results::{Dated, Histories, History, Results};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The clients in the order of the table: the browsers, and then those for Node.js by the names
/// under which `.ci/run` installs them. Four versions of one package stand side by side.
const CLIENTS: [&str; 11] = [
    "Chromium",
    "Firefox",
    "WebKitGTK",
    "eventsource-2",
    "eventsource-3",
    "eventsource-4",
    "eventsource-5",
    "eventsource-client",
    "launchdarkly-eventsource",
    "@microsoft/fetch-event-source",
    "event-source-polyfill",
];

/// Those for Node.js.
pub(crate) fn node() -> &'static [&'static str] {
    &CLIENTS[3..]
}

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

/// The results, beside this test.
pub(crate) static KEPT: Histories = Histories {
    results: Results::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sse_clients")),
    clients: &CLIENTS,
};

/// The table that the book shows.
pub(crate) fn table() -> anyhow::Result<String> {
    let mut table = String::from(
        "| client | looked at | an id alone | an id with data |\n| --- | --- | --- | --- |\n",
    );
    for History { client, results } in KEPT.results.read::<Vec<History<Seen>>>()? {
        // `eventsource-5` is the package `eventsource`, in a version that stands beside it.
        let name = match client.strip_prefix("eventsource-") {
            Some(version) if version.len() == 1 => "eventsource",
            _ => &client,
        };
        let name = match node().contains(&&*client) {
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
