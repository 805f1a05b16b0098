//! The book's table of faults is what the tests have noted, and names tests that are there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use testbed::faults::{kept, table, titles};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust and JavaScript below a directory.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && name != "node_modules" {
                sources(&path, text);
            }
        } else if name.ends_with(".rs") || name.ends_with(".test.js") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn each_fault_has_a_title_and_each_title_was_tried() {
    let titled: BTreeSet<_> = titles().into_iter().map(|title| title.name).collect();
    let tried: BTreeSet<_> = kept().into_keys().collect();
    assert_eq!(titled, tried);
}

#[test]
fn each_test_of_the_table_is_there() {
    let mut code = String::new();
    for directory in ["crates", "examples", "tools"] {
        sources(&root().join(directory), &mut code);
    }
    for (fault, methods) in kept() {
        for (method, seen) in methods {
            let name = seen.test.rsplit("::").next().unwrap_or_default();
            let there = [format!("fn {name}("), format!("\"{name}\"")]
                .iter()
                .any(|text| code.contains(text));
            assert!(there, "{fault}/{method}: there is no test {}", seen.test);
            let what = seen.what;
            assert!(
                !what.is_empty() && !what.ends_with('.') && what.len() <= 200,
                "{fault}/{method}: {what}"
            );
        }
    }
}

/// With `UPDATE_GOLDEN=1` they are written anew.
#[test]
fn the_tables_of_the_book_are_what_the_tests_have_noted() {
    let (titles, kept) = (titles(), kept());
    let pages: BTreeSet<_> = titles.iter().map(|title| title.page.as_str()).collect();
    for page in pages {
        let stem = page.trim_end_matches(".md");
        assert!(root().join("src/production").join(page).is_file(), "{page}");
        let path = root().join(format!("src/production/faults/{stem}.md"));
        let html = table(page, &titles, &kept);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &html).expect("the file can be written");
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(html, written, "{}", path.display());
        let whole = fs::read_to_string(root().join("src/production/faults.md")).expect("the page");
        let include = format!("{{{{#include faults/{stem}.md}}}}");
        assert!(whole.contains(&include), "faults.md lacks {include}");
    }
}
