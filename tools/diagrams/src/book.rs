//! The diagrams of the book: where their sources are, and where their drawings are kept.

use std::{
    collections::BTreeSet,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

/// Where the drawings are kept, below the repository's root. Not below `src`: mdBook would publish
/// them a second time.
pub const DIRECTORY: &str = "tools/diagrams/drawn";

/// A mermaid block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// The bytes of the page that it takes, with its fences.
    pub range: Range<usize>,
    /// The line of its first fence, from 1.
    pub line: usize,
    /// What is between the fences.
    pub source: &'a str,
}

/// The mermaid blocks of a page, in their order.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    /// What a mermaid block is known by when it begins.
    struct Begun {
        first: usize,
        line: usize,
        inside: usize,
    }
    let mut blocks = Vec::new();
    // The fence that is open: its character, how many there are, and the block if it is mermaid.
    let mut open: Option<(char, usize, Option<Begun>)> = None;
    let mut at = 0;
    for (number, line) in page.split_inclusive('\n').enumerate() {
        let (begin, end) = (at, at + line.len());
        at = end;
        let text = line.trim_end();
        let text = text.trim_start_matches(' ');
        let fence = text.chars().next().filter(|c| matches!(c, '`' | '~'));
        let count = text.chars().take_while(|c| Some(*c) == fence).count();
        let info = text.get(count..).unwrap_or_default().trim();
        match &open {
            None if count >= 3 => {
                let mermaid = (info == "mermaid").then_some(Begun {
                    first: begin,
                    line: number + 1,
                    inside: end,
                });
                open = fence.map(|fence| (fence, count, mermaid));
            }
            Some((c, least, mermaid))
                if Some(*c) == fence && count >= *least && info.is_empty() =>
            {
                if let Some(begun) = mermaid {
                    blocks.push(Block {
                        range: begun.first..end,
                        line: begun.line,
                        source: &page[begun.inside..begin],
                    });
                }
                open = None;
            }
            _ => {}
        }
    }
    blocks
}

/// The name of a page's diagram with this number, from 1: it begins every id in the drawing, and
/// is unique in the book, whose pages are all printed as one. `page` is relative to `src`.
#[must_use]
pub fn id(page: &Path, number: usize) -> String {
    let page = page.with_extension("");
    let mut parts: Vec<_> = page.iter().map(|part| part.to_string_lossy()).collect();
    if parts.len() > 1 && parts.last().is_some_and(|last| last == "index") {
        parts.pop();
    }
    format!("diagram-{}-{number}", parts.join("-"))
}

/// The file that the drawing of this name is kept in.
#[must_use]
pub fn file_of(root: &Path, id: &str) -> PathBuf {
    let name = id.strip_prefix("diagram-").unwrap_or(id);
    root.join(DIRECTORY).join(format!("{name}.svg"))
}

/// A drawing, and where its source is.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// Its name.
    pub id: String,
    /// Such as `src/sse/index.md:38`.
    pub source: String,
    /// The drawing.
    pub svg: String,
}

/// Every drawing of the book, made anew.
#[derive(Debug)]
pub struct Drawings {
    root: PathBuf,
    all: Vec<Drawing>,
}

impl Drawings {
    /// Draws every diagram of the book in `root`.
    ///
    /// # Errors
    /// If a page cannot be read, or with the file and the line of what cannot be drawn.
    pub fn of(root: &Path) -> io::Result<Self> {
        let src = root.join("src");
        let mut pages = Vec::new();
        collect(&src, &mut pages)?;
        pages.sort();
        let mut all = Vec::new();
        for path in pages {
            let text = fs::read_to_string(&path)?;
            let page = path.strip_prefix(&src).unwrap_or(&path);
            for (number, block) in blocks(&text).iter().enumerate() {
                let id = id(page, number + 1);
                let place = |line| format!("src/{}:{line}", page.display());
                let svg = crate::draw(block.source, &id).map_err(|error| {
                    let place = place(block.line + error.line);
                    io::Error::other(format!("{place}: {}", error.problem))
                })?;
                let source = place(block.line);
                all.push(Drawing { id, source, svg });
            }
        }
        Ok(Self {
            root: root.to_owned(),
            all,
        })
    }

    /// The drawings, in the order of their pages' names.
    pub fn iter(&self) -> impl Iterator<Item = &Drawing> {
        self.all.iter()
    }

    /// What is wrong with the drawings that are kept: which differ from what their source gives,
    /// which are missing, and which have no source.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn problems(&self) -> io::Result<Vec<String>> {
        let mut problems = Vec::new();
        for drawing in &self.all {
            let kept = fs::read_to_string(file_of(&self.root, &drawing.id)).ok();
            let problem = match kept {
                None => "is not kept",
                Some(kept) if kept != drawing.svg => "is not the one that is kept",
                Some(_) => continue,
            };
            problems.push(format!("{}: its drawing {problem}", drawing.source));
        }
        for path in self.left_over()? {
            problems.push(format!("{}: has no source", path.display()));
        }
        Ok(problems)
    }

    /// Writes every drawing, and deletes what has no source. Returns how many have changed.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn keep(&self) -> io::Result<usize> {
        fs::create_dir_all(self.root.join(DIRECTORY))?;
        let mut changed = 0;
        for drawing in &self.all {
            let path = file_of(&self.root, &drawing.id);
            let kept = fs::read_to_string(&path).ok();
            if kept.as_deref() != Some(&drawing.svg) {
                fs::write(&path, &drawing.svg)?;
                changed += 1;
            }
        }
        for path in self.left_over()? {
            fs::remove_file(path)?;
            changed += 1;
        }
        Ok(changed)
    }

    /// The files of drawings that no source gives.
    fn left_over(&self) -> io::Result<Vec<PathBuf>> {
        let drawn: BTreeSet<_> = self
            .all
            .iter()
            .map(|drawing| file_of(&self.root, &drawing.id))
            .collect();
        let mut left = Vec::new();
        match fs::read_dir(self.root.join(DIRECTORY)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries? {
                    let path = entry?.path();
                    if !drawn.contains(&path) {
                        left.push(path);
                    }
                }
            }
        }
        left.sort();
        Ok(left)
    }
}

fn collect(directory: &Path, pages: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_and_quoted_ones_are_not() {
        let page = "a\n\n```mermaid\none\n```\n\n````md\n```mermaid\nno\n```\n````\n~~~mermaid\ntwo\n~~~\n";
        let found = blocks(page);
        let sources: Vec<_> = found
            .iter()
            .map(|block| (block.line, block.source))
            .collect();
        assert_eq!(sources, [(3, "one\n"), (12, "two\n")]);
        assert_eq!(&page[found[0].range.clone()], "```mermaid\none\n```\n");
    }

    #[test]
    fn names_are_those_of_the_pages() {
        for (page, name) in [
            ("sse/index.md", "diagram-sse-2"),
            ("sse/tokens.md", "diagram-sse-tokens-2"),
            ("index.md", "diagram-index-2"),
        ] {
            assert_eq!(id(Path::new(page), 2), name);
        }
        let path = file_of(Path::new("/book"), "diagram-sse-2");
        assert_eq!(path, Path::new("/book/tools/diagrams/drawn/sse-2.svg"));
    }
}
