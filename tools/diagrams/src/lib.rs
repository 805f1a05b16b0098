//! Draws the book's diagrams: mermaid source in, SVG out.
//!
//! It reads as much of mermaid as the book uses, and reports everything else as an error, so that
//! nothing is left out of a picture. The same source always gives the same bytes: the drawings in
//! the repository are checked by drawing them again.
//!
//! ```
//! let source = "flowchart TB
//!   accTitle: A call
//!   accDescr: A calls B.
//!   A[\"Client\"] -->|hello| B[\"Server\"]";
//! let svg = diagrams::draw(source, "a-call")?;
//! assert!(svg.contains("hello"));
//! # Ok::<(), diagrams::Error>(())
//! ```

mod book;
mod flowchart;
mod layers;
mod marks;
mod sequence;
mod source;
mod svg;
mod text;
mod timeline;

pub use book::{blocks, file_of, id, Block, Drawing, Drawings, DIRECTORY};

use source::Kind;

/// What is wrong with a diagram, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The line of the diagram's source, from 1.
    pub line: usize,
    /// Such as `unknown: subgraph one`.
    pub problem: String,
}

impl Error {
    fn new(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of the diagram: {}", self.line, self.problem)
    }
}

impl std::error::Error for Error {}

/// Draws a diagram as an SVG element. `id` begins every id in it.
///
/// # Errors
/// With what it cannot read or draw.
pub fn draw(source: &str, id: &str) -> Result<String, Error> {
    let read = source::read(source)?;
    let picture = match read.kind {
        Kind::Sequence => sequence::draw(&read.lines)?,
        Kind::Flowchart => flowchart::draw(&read.lines)?,
    };
    Ok(picture.element(id, &read.title, &read.description))
}
