//! What clients did when somebody last looked: kept beside a test as `results.json`, compared with
//! what they do now, and shown as the `table.md` that the book includes. With `UPDATE_GOLDEN=1` new
//! results are kept.

use anyhow::{ensure, Context as _};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use std::{
    fmt::Debug,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Whether new results are to be kept.
pub fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The results of one test.
#[derive(Debug)]
pub struct Results {
    /// Where they lie, as an absolute path.
    folder: &'static str,
    /// The file is read, changed and written by one trial at a time.
    file: Mutex<()>,
}

impl Results {
    /// Those in `folder`, an absolute path.
    pub const fn new(folder: &'static str) -> Self {
        let file = Mutex::new(());
        Self { folder, file }
    }

    /// A file beside them.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.folder).join(name)
    }

    /// Holds the file against other trials.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them; nothing where there are none yet and some are to be kept.
    ///
    /// # Errors
    /// If they are not there, or are no such results.
    pub fn read<T: DeserializeOwned + Default>(&self) -> anyhow::Result<T> {
        match fs::read_to_string(self.path("results.json")) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(_) if updating() => Ok(T::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts these in place of all.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, all: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(all)? + "\n";
        Ok(fs::write(self.path("results.json"), text)?)
    }

    /// Writes the table anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_table(&self, table: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.path("table.md"), table)?)
    }

    /// Whether the table that the book shows has every result.
    ///
    /// # Errors
    /// If it does not.
    pub fn table_is_current(
        &self,
        table: impl Fn() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        if updating() {
            // Written when all trials are over.
            return Ok(());
        }
        ensure!(
            fs::read_to_string(self.path("table.md"))? == table()?,
            "table.md is older than results.json; write it anew with UPDATE_GOLDEN=1"
        );
        Ok(())
    }
}

/// What a version of a client did, and when somebody last looked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dated<S> {
    /// The client's version.
    pub version: String,
    /// The day.
    pub date: jiff::civil::Date,
    /// What it did.
    #[serde(flatten)]
    pub seen: S,
}

/// The results of one client, the newest last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History<S> {
    /// Its name.
    pub client: String,
    /// One for each version, and for each change of what it does.
    pub results: Vec<Dated<S>>,
}

/// Results of clients, each with its history.
#[derive(Debug)]
pub struct Histories {
    /// Where they are kept.
    pub results: Results,
    /// The clients in the order of the table.
    pub clients: &'static [&'static str],
}

impl Histories {
    /// What the client did when somebody last looked.
    ///
    /// # Errors
    /// As [`Results::read`].
    pub fn newest<S: DeserializeOwned + Copy>(&self, client: &str) -> anyhow::Result<Option<S>> {
        let _held = self.results.hold();
        let all: Vec<History<S>> = self.results.read()?;
        let history = all.iter().find(|history| history.client == client);
        Ok(history.and_then(|history| history.results.last().map(|dated| dated.seen)))
    }

    /// Compares what the client did now with its newest result, or keeps it.
    ///
    /// # Errors
    /// If it did something else.
    pub fn check<S>(&self, client: &str, version: &str, seen: S) -> anyhow::Result<()>
    where
        S: Serialize + DeserializeOwned + Copy + PartialEq + Debug,
    {
        if updating() {
            return self.keep(client, version, seen);
        }
        let kept: Option<S> = self.newest(client)?;
        let kept = kept.with_context(|| format!("no result of {client} yet"))?;
        ensure!(
            seen == kept,
            "{client} {version} does something else than when somebody last looked: {seen:?}, then {kept:?}; \
             if that is so, keep it with UPDATE_GOLDEN=1"
        );
        Ok(())
    }

    fn keep<S>(&self, client: &str, version: &str, seen: S) -> anyhow::Result<()>
    where
        S: Serialize + DeserializeOwned + PartialEq,
    {
        let _held = self.results.hold();
        let mut all: Vec<History<S>> = self.results.read()?;
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
            let mut clients = self.clients.iter();
            clients.position(|client| *client == history.client)
        });
        self.results.write(&all)
    }
}
