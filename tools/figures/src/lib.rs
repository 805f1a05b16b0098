//! From what the lab has measured to what the book shows.
//!
//! `src/measured` keeps a run of each kind: `compare`, `many`, `lines`, `scale`, `peers` and
//! `engines`, each as JSON and as CSV; and `steps`, what servers of several commits took. All else
//! follows from them: charts, tables, the figures that pages include, and the constants of the
//! crate `capacity`. The same data always gives the same bytes, and a test compares.

mod calculated;
mod cases;
mod charts;
mod constants;
mod data;
mod engines;
mod keep;
mod others;
mod panels;
mod steps;
mod tables;
mod text;

pub use constants::{over_tls, wire};
pub use data::{one_thread, Book, Data, EngineRow, Engines, Kept, Kind, Row, Scale, SizeRow};
pub use keep::keep;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Where the data is, and what pages include, below the repository's root.
pub const DIRECTORY: &str = "src/measured";

/// The repository.
///
/// # Panics
/// If this crate does not lie in its `tools`.
#[must_use]
pub fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate lies in tools/")
}

/// Every file that follows from the data, by its path below the repository's root.
///
/// # Errors
/// If something is not measured that the book shows, or does not fit what the book says of it.
pub fn outputs(book: &Book) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let in_the_clear = wire(&book.compare)?;
    let over_tls = over_tls(&book.compare)?;
    let directory = Path::new(DIRECTORY);
    let mut files = BTreeMap::new();
    for (name, svg) in charts::all(book)?.into_iter().chain(panels::all(book)?) {
        files.insert(directory.join(format!("{name}.svg")), svg);
    }
    let mut parts = text::figures(book)?;
    parts.extend(calculated::figures(&over_tls));
    parts.extend(cases::figures(&over_tls));
    parts.extend(steps::figures(&book.steps));
    parts.extend(engines::figures(&book.engines)?);
    files.insert(directory.join("figures.md"), text::anchored(parts));
    let mut parts = tables::all(book)?;
    parts.extend(calculated::tables(&over_tls));
    parts.extend(cases::tables(&in_the_clear, &over_tls));
    parts.extend(steps::tables(&book.steps)?);
    parts.push(engines::table(&book.engines)?);
    files.insert(directory.join("tables.md"), text::anchored(parts));
    let constants = constants::source(&book.compare)?;
    files.insert("crates/capacity/src/measured.rs".into(), constants);
    let script = constants::script(&book.compare)?;
    files.insert("crates/web/figures/measured.js".into(), script);
    Ok(files)
}

/// Writes what has changed, and removes charts that are no more. Returns the paths of both.
///
/// # Errors
/// As [`outputs`], or if a file cannot be written.
pub fn write(root: &Path, book: &Book) -> anyhow::Result<Vec<PathBuf>> {
    let files = outputs(book)?;
    let mut changed = Vec::new();
    for path in left_over(root, &files)? {
        fs::remove_file(root.join(&path))?;
        changed.push(path);
    }
    for (path, text) in files {
        if fs::read_to_string(root.join(&path)).ok().as_ref() != Some(&text) {
            fs::write(root.join(&path), text)?;
            changed.push(path);
        }
    }
    Ok(changed)
}

/// Charts that nothing gives any more.
///
/// # Errors
/// If the directory cannot be read.
pub fn left_over(root: &Path, files: &BTreeMap<PathBuf, String>) -> anyhow::Result<Vec<PathBuf>> {
    let mut left_over = Vec::new();
    for entry in fs::read_dir(root.join(DIRECTORY))? {
        let path = Path::new(DIRECTORY).join(entry?.file_name());
        let is_chart = path.extension().is_some_and(|extension| extension == "svg");
        if is_chart && !files.contains_key(&path) {
            left_over.push(path);
        }
    }
    Ok(left_over)
}
