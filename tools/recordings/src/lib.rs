//! What went over real connections, recorded with its times, for the pages to replay.
//!
//! - [`format`](mod@format): a recording, as it is kept and as the view of the wire reads it.
//! - [`failures`]: a page of another origin, and a peer that has vanished.
//! - [`panels`]: the live panels, in three browsers.
//! - [`push`]: one page that comes by HTTP/2 push, with a 103, and with neither, over a line with a
//!   round trip ([`delay`]).
//! - [`table`]: what the pages say of them, made from them.
//! - [`tapped`]: what the server's tap has kept, as a recording.

pub mod delay;
pub mod failures;
pub mod format;
pub mod panels;
pub mod push;
pub mod table;
pub mod tapped;

use format::Recording;
use std::path::{Path, PathBuf};

/// The repository.
///
/// # Panics
/// If this crate is moved.
pub fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate lies in tools/")
}

/// Where the recordings are kept: in the book, which publishes them as they are.
pub fn folder() -> PathBuf {
    root().join("src/recordings")
}

/// The file of a recording.
pub fn path(name: &str) -> PathBuf {
    folder().join(format!("{name}.json"))
}

/// A recording that is kept.
///
/// # Errors
/// If it cannot be read, or is none.
pub fn read(name: &str) -> anyhow::Result<Recording> {
    use anyhow::Context as _;
    let path = path(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Keeps a recording, in place of the older one, once it is found to be whole.
///
/// # Errors
/// If it is not, or cannot be written.
pub fn keep(name: &str, recording: &Recording) -> anyhow::Result<()> {
    recording.check()?;
    std::fs::create_dir_all(folder())?;
    std::fs::write(path(name), serde_json::to_string(recording)? + "\n")?;
    println!("{}", path(name).display());
    Ok(())
}
