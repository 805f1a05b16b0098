//! Puts the drawings of the diagrams into the pages, in place of their sources.

use std::path::Path;

use diagrams::{blocks, draw, file_of, id};
use mdbook_preprocessor::book::{Book, Chapter};
use mdbook_preprocessor::errors::{Error, Result};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Takes the place of the command of this name in `book.toml`, whose diagrams are drawn by a script
/// on the page.
pub(crate) struct Drawings;

impl Preprocessor for Drawings {
    fn name(&self) -> &str {
        "mermaid"
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let mut result = Ok(());
        book.for_each_chapter_mut(|chapter| {
            if result.is_ok() {
                result = put(&context.root, chapter);
            }
        });
        result.map(|()| book)
    }
}

fn put(root: &Path, chapter: &mut Chapter) -> Result<()> {
    let Some(page) = &chapter.source_path else {
        return Ok(());
    };
    let mut text = String::new();
    let mut done = 0;
    for (number, block) in blocks(&chapter.content).iter().enumerate() {
        let id = id(page, number + 1);
        let svg = draw(block.source, &id).map_err(|error| {
            let (page, problem) = (page.display(), error.problem);
            Error::msg(format!(
                "{page}, line {} of diagram {}: {problem}",
                error.line,
                number + 1
            ))
        })?;
        // Whoever writes sees at once what is drawn; what is published is what was looked at.
        let kept = std::fs::read_to_string(file_of(root, &id)).ok();
        if kept.as_ref() != Some(&svg) {
            let (page, number) = (page.display(), number + 1);
            tracing::warn!("{page}: diagram {number} has changed, run `cargo xtask diagrams`");
        }
        text.push_str(&chapter.content[done..block.range.start]);
        // One block of HTML, which ends with an empty line.
        text.push_str("<div class=\"diagram\">\n");
        text.push_str(&svg);
        text.push_str("</div>\n\n");
        done = block.range.end;
    }
    text.push_str(&chapter.content[done..]);
    chapter.content = text;
    Ok(())
}
