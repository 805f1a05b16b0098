//! The tests and programs that the chapters name under "What goes wrong" are there: who reads of
//! one wants to run it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files below a directory whose names end so.
fn files(directory: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && name != "node_modules" {
                files(&path, ends, found);
            }
        } else if ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// What is named and is not there, of a chapter's paragraphs that begin with "Test:" or "Tests:".
fn missing(chapter: &str, code: &str, programs: &BTreeSet<String>) -> Vec<String> {
    let paragraph = Regex::new(r"(?m)^Tests?: .*$").expect("a pattern");
    // Names of functions and programs have more than one word here; crates are named without an
    // underscore.
    let function = Regex::new(r"`(?:[a-z0-9_]+::)*([a-z0-9]+(?:_[a-z0-9]+)+)`").expect("a pattern");
    // The title of a test in JavaScript.
    let title = Regex::new("\"([^\"]+)\"").expect("a pattern");
    let mut missing = Vec::new();
    for tests in paragraph.find_iter(chapter) {
        for name in function.captures_iter(tests.as_str()) {
            let name = &name[1];
            let word = Regex::new(&format!(r"\b{name}\b")).expect("a pattern");
            if !programs.contains(name) && !word.is_match(code) {
                missing.push(name.to_owned());
            }
        }
        for name in title.captures_iter(tests.as_str()) {
            if !code.contains(&format!("test(\"{}\"", &name[1])) {
                missing.push(name[1].to_owned());
            }
        }
    }
    missing
}

#[test]
fn each_test_that_a_chapter_names_is_there() {
    let mut sources = Vec::new();
    for directory in ["crates", "examples", "tools"] {
        files(&root().join(directory), &[".rs", ".test.js"], &mut sources);
    }
    let programs = sources
        .iter()
        .filter(|path| path.starts_with(root().join("examples/programs")))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    let code: String = sources
        .iter()
        // This file names tests that are not there.
        .filter(|path| !path.ends_with("named_tests.rs"))
        .map(|path| fs::read_to_string(path).expect("a source"))
        .collect();

    let mut chapters = Vec::new();
    files(&root().join("src"), &[".md"], &mut chapters);
    let mut wrong = Vec::new();
    let mut named = 0;
    for chapter in chapters {
        let text = fs::read_to_string(&chapter).expect("a chapter");
        named += text.matches("\nTests: ").count();
        for name in missing(&text, &code, &programs) {
            wrong.push(format!("{}: {name}", chapter.display()));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(named > 20, "the chapters name tests");
}

#[test]
fn a_name_that_nothing_has_is_found() {
    let code = "fn it_works() {}\ntest(\"a page is shown\", () => {});";
    let programs = BTreeSet::from(["a_program".to_owned()]);
    let found = |text: &str| missing(text, code, &programs);
    let sound = "Tests: `it_works` and `golden::it_works` in `polling`, the program `a_program`; \"a page is shown\" in `x.test.js`.";
    assert_eq!(found(sound), [""; 0]);
    assert_eq!(found("Test: `it_worked` in `polling`."), ["it_worked"]);
    assert_eq!(found("Tests: `it_works`; \"a page\"."), ["a page"]);
}
