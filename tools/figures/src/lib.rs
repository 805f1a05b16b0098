//! From what the lab has measured to what the book shows.
//!
//! `src/measured/compare.json` and `compare.csv` are kept from a run of `lab compare`. All else
//! follows from them: charts, tables, the figures that pages include, and the constants of the
//! crate `capacity`. The same data always gives the same bytes, and a test compares.

mod calculated;
mod charts;
mod constants;
mod data;
mod keep;
mod tables;
mod text;

pub use constants::wire;
pub use data::{Data, Row};
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
pub fn outputs(data: &Data) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let wire = wire(data)?;
    let directory = Path::new(DIRECTORY);
    let mut files = BTreeMap::new();
    for (name, svg) in charts::all(data)? {
        files.insert(directory.join(format!("{name}.svg")), svg);
    }
    let mut parts = text::figures(data)?;
    parts.extend(calculated::figures(&wire));
    files.insert(directory.join("figures.md"), text::anchored(parts));
    let mut parts = tables::all(data)?;
    parts.extend(calculated::tables(&wire));
    files.insert(directory.join("tables.md"), text::anchored(parts));
    let constants = constants::source(&wire);
    files.insert("crates/capacity/src/measured.rs".into(), constants);
    Ok(files)
}

/// Writes what has changed, and removes charts that are no more. Returns the paths of both.
///
/// # Errors
/// As [`outputs`], or if a file cannot be written.
pub fn write(root: &Path, data: &Data) -> anyhow::Result<Vec<PathBuf>> {
    let files = outputs(data)?;
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
