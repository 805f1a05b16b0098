//! The servers to copy, made as their pages say: `cargo new`, the page's `cargo add`,
//! and its two files. Then the suite is run against each, and the page has to list the
//! cases that it does not pass.

use libtest_mimic::{Failed, Trial};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};
use testbed::parts::PROXIES;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

static BUILD: Mutex<()> = Mutex::new(());

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("polling_is_copied_and_tested", copied("polling")),
        Trial::test("long_polling_is_copied_and_tested", copied("long-polling")),
        Trial::test("sse_is_copied_and_tested", copied("sse")),
        Trial::test("websocket_is_copied_and_tested", copied("websocket")),
    ]
}

fn copied(method: &'static str) -> impl FnOnce() -> Result<(), Failed> {
    move || {
        copy_and_test(method);
        Ok(())
    }
}

fn copy_and_test(method: &str) {
    let section = section(method);
    let folder = env::temp_dir().join(format!("copy-{method}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the copy");
    let _removed = Removed(folder.clone());

    // The page's steps. The versions are those of the book, where it has them.
    let commands: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    let [new, enter, rest @ ..] = &commands[..] else {
        panic!("{method}: cargo new, cd, cargo add");
    };
    cargo(&folder, new, &["--vcs", "none"]);
    let name = enter.strip_prefix("cd ").expect("the third command is cd");
    let package = folder.join(name);
    fs::copy(
        Path::new(ROOT).join("Cargo.lock"),
        package.join("Cargo.lock"),
    )
    .expect("the book's versions");
    for add in rest.iter().filter(|line| line.starts_with("cargo add ")) {
        cargo(&package, add, &[]);
    }
    let includes = includes(method, &section);
    for (file, lines) in [("src/main.rs", 150), ("index.html", 80)] {
        let text = include(&includes, file);
        let count = text.lines().count();
        assert!(count <= lines, "{method}: {file} has {count} lines");
        let wide = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{method}: {file} has a line that is too wide");
        fs::write(package.join(file), text).expect("a file of the copy");
    }
    let added = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
    let shown = include(&includes, "Cargo.toml");
    assert_eq!(features(&added), features(&shown), "{method}: Cargo.toml");

    let main = package.join("src/main.rs");
    let formatted = Command::new("rustfmt")
        .args(["--check", "--edition", "2024", "--config", "max_width=88"])
        .arg(&main)
        .status()
        .expect("rustfmt runs");
    assert!(formatted.success(), "{method}: rustfmt changes the server");

    // One folder for all four, so that they share what they depend on. Their programs
    // have one name, so each is taken away before the next is built.
    let building = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copies");
    let build = format!("cargo build --target-dir {}", target.display());
    cargo(&package, &build, &[]);
    let program = package.join("server");
    fs::copy(target.join("debug").join(name), &program).expect("the program");
    drop(building);

    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args([method, "--json", "--stop", "SIGTERM", "--start"])
        .arg(&program)
        .output()
        .expect("the suite runs");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("a report");
    let cases = report["cases"].as_array().expect("its cases");
    let fails: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case["verdict"] != "passed")
        .map(|case| case["name"].as_str().expect("a name"))
        .collect();
    let listed: BTreeSet<&str> = section
        .lines()
        .filter(|line| line.starts_with("- `"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.contains('_'))
        .collect();
    let why: Vec<String> = cases
        .iter()
        .filter(|case| !listed.contains(case["name"].as_str().unwrap_or_default()))
        .filter(|case| case["verdict"] != "passed")
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        listed, fails,
        "{method}: the page's list, and the run\n{why:#?}"
    );
    let passed = cases.len() - fails.len();
    let sentence = format!("It passes {passed} cases of {},", cases.len());
    assert!(section.contains(&sentence), "{method}: \"{sentence}\"");
}

/// The section "Copy this" of a method's page, as it is written.
fn section(method: &str) -> String {
    let page = Path::new(ROOT).join("src").join(method).join("index.md");
    let page = fs::read_to_string(page).expect("the page");
    let start = page.find("\n## Copy this").expect("the section");
    let rest = &page[start + 1..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// The files that the section includes.
fn includes(method: &str, section: &str) -> Vec<PathBuf> {
    let pieces = section.split("{{#include ").skip(1);
    let paths = pieces.filter_map(|piece| piece.split("}}").next());
    let folder = Path::new(ROOT).join("src").join(method);
    paths.map(|path| folder.join(path)).collect()
}

fn include(files: &[PathBuf], name: &str) -> String {
    let found = files.iter().find(|file| file.ends_with(name));
    let file = found.unwrap_or_else(|| panic!("the page includes no {name}"));
    fs::read_to_string(file).expect("an included file")
}

/// Each dependency with its features; the versions are those of the day.
fn features(manifest: &str) -> BTreeMap<String, String> {
    let dependencies = manifest
        .split("[dependencies]\n")
        .nth(1)
        .unwrap_or_default();
    let lines = dependencies
        .lines()
        .filter_map(|line| line.split_once(" = "));
    lines
        .map(|(name, rest)| {
            let features = rest.split_once("features = ").map_or("", |(_, it)| it);
            (name.to_owned(), features.to_owned())
        })
        .collect()
}

fn cargo(folder: &Path, line: &str, more: &[&str]) {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("cargo"), "{line}");
    let mut command = Command::new(env!("CARGO"));
    command.args(words).args(more).current_dir(folder);
    // A registry is not behind the proxy that the automatic run invents.
    for name in PROXIES {
        command.env_remove(name);
    }
    command.env_remove("CARGO_TARGET_DIR");
    let output = command.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
}

/// A folder that goes when the test is over.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
