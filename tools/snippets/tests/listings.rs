//! Each rule about the line above a listing, shown to bite on a small book that breaks it.

use std::fs;

use snippets::book::expand;

/// The problems of a chapter, in a book with a file to include.
fn problems(chapter: &str) -> Vec<String> {
    let root = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, text).expect("written");
    };
    write("src/SUMMARY.md", "# Summary\n\n- [Chapter](chapter.md)\n");
    write("src/chapter.md", chapter);
    write("code/Cargo.toml", "[package]\nname = \"code\"\n");
    write(
        "code/src/lib.rs",
        "fn hidden() {}\n// ANCHOR: sum\nlet sum = 1 + 2;\nlet same = sum < 4; // same: '\nlet text = \"a & b\";\n\
         // ANCHOR_END: sum\n",
    );
    let book = expand(root.path()).expect("a book");
    book.problems.iter().map(ToString::to_string).collect()
}

/// A chapter with this line above its one listing.
fn chapter(line: &str) -> String {
    format!("{line}\n\n```rust\n{{{{#rustdoc_include ../code/src/lib.rs:sum}}}}\n```\n")
}

#[track_caller]
fn accepted(chapter: &str) {
    assert_eq!(problems(chapter), Vec::<String>::new(), "{chapter}");
}

/// Asserts that the chapter has one problem, on this line, that says `part`.
#[track_caller]
fn refused(chapter: &str, line: usize, part: &str) {
    let problems = problems(chapter);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let place = format!("src/chapter.md:{line}: ");
    assert!(problems[0].starts_with(&place), "{problems:#?}");
    assert!(problems[0].contains(part), "{problems:#?}");
}

#[test]
fn a_listing_has_its_file_above_it() {
    accepted(&chapter(r#"<p class="listing">code/src/lib.rs</p>"#));
    accepted("```text\nTyped.\n```\n");
    refused(&chapter("Some text."), 3, "code/src/lib.rs</p>");
    // Markdown would take the code for a part of the line's HTML.
    let close = chapter(r#"<p class="listing">code/src/lib.rs</p>"#).replacen("\n\n", "\n", 1);
    assert!(!problems(&close).is_empty());
    for path in ["code/src/main.rs", "../code/src/lib.rs", "lib.rs"] {
        let line = format!(r#"<p class="listing">{path}</p>"#);
        refused(&chapter(&line), 1, "included from code/src/lib.rs");
    }
    for line in [
        r#"<p class="listing broken">code/src/lib.rs</p>"#,
        r#"<p class="listing">code/src/lib.rs, in part</p>"#,
        r#"<p class="listing" data-line='sum'>code/src/lib.rs</p>"#,
    ] {
        refused(&chapter(line), 1, "not the form");
    }
    refused(
        "<p class=\"listing\">code/src/lib.rs</p>\n\n```text\nTyped.\n```\n",
        1,
        "no included listing",
    );
}

#[test]
fn what_fails_and_what_mends_says_so_in_words() {
    for (class, label) in [
        ("fails", "fails: loses the sum"),
        ("mends", "mended: keeps the sum"),
    ] {
        accepted(&chapter(&format!(
            r#"<p class="listing {class}">code/src/lib.rs <strong>{label}</strong></p>"#
        )));
    }
    for line in [
        r#"<p class="listing fails">code/src/lib.rs</p>"#,
        r#"<p class="listing mends">code/src/lib.rs <strong>fails: loses</strong></p>"#,
        r#"<p class="listing fails">code/src/lib.rs <strong>mended: keeps</strong></p>"#,
        r#"<p class="listing">code/src/lib.rs <strong>fails: loses</strong></p>"#,
    ] {
        refused(&chapter(line), 1, "`fails` has");
    }
}

#[test]
fn a_line_that_matters_is_in_the_listing_once() {
    for lines in [
        "let sum",
        "let same ;; let text",
        "sum < 4 ;; \"a & b\"",
        "\"a &amp; b\"",
        "same: &#39;",
    ] {
        accepted(&chapter(&format!(
            r#"<p class="listing" data-lines='{lines}'>code/src/lib.rs</p>"#
        )));
    }
    for (lines, part) in [
        ("sum", "`sum` is in 2 lines"),
        ("let none", "`let none` is in 0"),
        ("", "`` is in 0"),
        ("let sum ;; hidden", "`hidden` is in 0"),
        ("let same ;; let sum", "`let sum` stands before"),
    ] {
        let line = format!(r#"<p class="listing" data-lines='{lines}'>code/src/lib.rs</p>"#);
        refused(&chapter(&line), 1, part);
    }
}
