//! How wide a line of Rust may be: rustfmt holds the code to it, and this the comments.

use regex::Regex;
use site::book::find_root;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    find_root(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the root of the book")
}

/// The files below a directory with this extension, without what cargo and mdBook write.
fn files(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// `max_width` of the rustfmt.toml that rustfmt takes for a file: the nearest above it.
fn width(root: &Path, file: &Path) -> usize {
    let path = file
        .ancestors()
        .take_while(|directory| directory.starts_with(root))
        .map(|directory| directory.join("rustfmt.toml"))
        .find(|path| path.is_file())
        .expect("a rustfmt.toml");
    let settings: toml::Table = fs::read_to_string(path)
        .expect("settings")
        .parse()
        .expect("TOML");
    let width = settings["max_width"].as_integer().expect("a number");
    usize::try_from(width).expect("a width")
}

/// Whether a line is a comment that could have been broken: a link, a row of a table and an
/// example of what goes over the wire cannot.
fn could_break(line: &str, width: usize) -> bool {
    let Some(text) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    let text = text.trim_start_matches(['/', '!']);
    let is_table = text.trim_start().starts_with('|');
    let is_code = text.starts_with("     ");
    // The last space at which the line may end.
    let breaks = line
        .char_indices()
        .filter(|(_, character)| *character == ' ')
        .any(|(at, _)| at > line.len() - text.trim_start().len() && at <= width);
    breaks && !is_table && !is_code
}

#[test]
fn a_comment_is_as_wide_as_code_may_be() {
    let root = root();
    let mut sources = Vec::new();
    for directory in ["crates", "examples", "tools"] {
        files(&root.join(directory), "rs", &mut sources);
    }
    assert!(sources.len() > 200, "only {} sources", sources.len());
    let mut wrong = Vec::new();
    for source in sources {
        let width = width(&root, &source);
        let text = fs::read_to_string(&source).expect("a source");
        let mut in_example = false;
        for (number, line) in text.lines().enumerate() {
            let comment = line.trim_start();
            if comment.starts_with("//") && comment.contains("```") {
                in_example = !in_example;
            }
            if line.chars().count() > width && !in_example && could_break(line, width) {
                let name = source.strip_prefix(&root).expect("below").display();
                wrong.push(format!("{name}:{}: wider than {width}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_book_includes_fits_its_page() {
    let root = root();
    let include = Regex::new(r"\{\{#(?:rustdoc_)?include (\S+?\.rs)").expect("a pattern");
    let mut chapters = Vec::new();
    files(&root.join("src"), "md", &mut chapters);
    let mut included = BTreeSet::new();
    for chapter in chapters {
        let text = fs::read_to_string(&chapter).expect("a chapter");
        for found in include.captures_iter(&text) {
            let source = chapter.parent().expect("a directory").join(&found[1]);
            included.insert(source.canonicalize().expect("an included source"));
        }
    }
    assert!(included.len() > 60, "only {} sources", included.len());
    let root = root.canonicalize().expect("the root");
    for source in included {
        assert_eq!(width(&root, &source), 88, "{}", source.display());
    }
}

#[test]
fn a_comment_that_is_too_wide_is_found() {
    assert!(could_break("/// a few words that go on and on", 20));
    assert!(could_break("    // a few words that go on and on", 20));
    assert!(!could_break("let text = \"a few words that go on\";", 20));
    assert!(!could_break("/// [one](https://example.com/very/long)", 20));
    assert!(!could_break("//! | a row | of a table |", 10));
}
