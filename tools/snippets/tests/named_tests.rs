//! The tests and programs that the chapters name are there, and so is what a line of `cargo test`
//! would run: who reads of one wants to run it.

use std::collections::{BTreeMap, BTreeSet};
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

/// What is named and is not there, from a "Test:", a "Tests in …:" or a line that runs some to the
/// end of the paragraph.
fn missing(chapter: &str, code: &str, programs: &BTreeSet<String>) -> Vec<String> {
    let paragraph =
        Regex::new(r"(?m)(?:\bTests?\b[^.:\n]{0,30}: |`cargo test ).*$").expect("a pattern");
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

/// The directories of this workspace's packages, by name.
fn packages() -> BTreeMap<String, PathBuf> {
    let name = Regex::new("(?m)^name = \"([^\"]+)\"").expect("a pattern");
    let mut manifests = Vec::new();
    for directory in ["crates", "examples", "tools"] {
        files(&root().join(directory), &["Cargo.toml"], &mut manifests);
    }
    let package = |path: PathBuf| {
        let manifest = fs::read_to_string(&path).expect("a manifest");
        let name = name.captures(&manifest)?[1].to_owned();
        Some((name, path.parent()?.to_owned()))
    };
    manifests.into_iter().filter_map(package).collect()
}

/// All code of one package, or of one of its test targets.
fn code_of(directory: &Path, target: Option<&str>) -> Option<String> {
    let mut sources = Vec::new();
    match target {
        None => files(directory, &[".rs"], &mut sources),
        Some(target) => {
            let file = directory.join(format!("tests/{target}.rs"));
            let folder = directory.join("tests").join(target);
            if file.is_file() {
                sources.push(file);
            }
            if folder.is_dir() {
                files(&folder, &[".rs"], &mut sources);
            }
            if sources.is_empty() {
                return None;
            }
        }
    }
    let read = |path| fs::read_to_string(path).expect("a source");
    Some(sources.into_iter().map(read).collect())
}

/// The lines of a chapter with `cargo test` that would run nothing. A name in capitals is for a
/// reader to fill in.
fn idle(chapter: &str, packages: &BTreeMap<String, PathBuf>) -> Vec<String> {
    let line = Regex::new(
        r"(?x)cargo\ test\ -p\ ([a-z][a-z0-9-]*)(?:\ --(?:all-features|features\ [a-z]+))?
        (?:\ --test\ ([a-z][a-z0-9_-]*))?(?:\ (?:--\ )?([a-z0-9_:/-]+))?",
    )
    .expect("a pattern");
    let mut idle = Vec::new();
    for found in line.captures_iter(chapter) {
        let package = packages.get(&found[1]);
        let target = found.get(2).map(|target| target.as_str());
        let code = package.and_then(|package| code_of(package, target));
        let whole = package.and_then(|package| code_of(package, None));
        let runs = code.zip(whole).is_some_and(|(code, whole)| {
            let Some(filter) = found.get(3) else {
                return true;
            };
            // A trial's name can be put together from those of a module, a proxy and a method.
            let mut parts = filter
                .as_str()
                .split([':', '/'])
                .filter(|part| !part.is_empty());
            let last = parts.next_back().unwrap_or_default();
            code.contains(last) && parts.all(|part| whole.contains(part))
        });
        if !runs {
            idle.push(found[0].to_owned());
        }
    }
    idle
}

#[test]
fn each_line_of_cargo_test_runs_something() {
    let packages = packages();
    let mut chapters = Vec::new();
    files(&root().join("src"), &[".md"], &mut chapters);
    let mut wrong = Vec::new();
    for chapter in chapters {
        let text = fs::read_to_string(&chapter).expect("a chapter");
        for line in idle(&text, &packages) {
            wrong.push(format!("{}: {line}", chapter.display()));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_line_that_runs_nothing_is_found() {
    let packages = packages();
    let found = |line: &str| idle(line, &packages);
    for sound in [
        "cargo test -p snippets",
        "cargo test -p snippets --test named_tests",
        "cargo test -p snippets --test named_tests a_line_that_runs",
        "cargo test -p proxies --test faults nginx::silence_is_cut",
        "cargo test -p CRATE NAME",
    ] {
        assert_eq!(found(sound), [""; 0]);
    }
    for idle in [
        "cargo test -p snippet",
        "cargo test -p snippets --test named_test",
        "cargo test -p proxies --test faults nginx::silence_is_kept",
    ] {
        assert_eq!(found(idle), [idle]);
    }
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
    assert_eq!(found("It holds. Tests, in `a`: `it_held`."), ["it_held"]);
    assert_eq!(found("Tests: `it_works`; \"a page\"."), ["a page"]);
}
