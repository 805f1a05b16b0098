//! Each rule of the book's Rust blocks, shown to bite on a small book that breaks it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use snippets::book::{expand, Book, Kind, Problem};
use snippets::watchdog;
use tempfile::TempDir;

/// A book of one chapter, `src/chapter.md`, beside a package `code` with listings and tests.
fn small_book(chapter: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, text).expect("written");
    };
    write(
        "src/SUMMARY.md",
        "# Summary\n\n- [Chapter](chapter.md)\n- [Later]()\n",
    );
    write("src/chapter.md", chapter);
    write("code/Cargo.toml", "[package]\nname = \"code\"\n");
    write(
        "code/examples/hello.rs",
        "fn main() {\n    println!(\"hello\");\n}\n",
    );
    write(
        "code/examples/long.rs",
        "fn main() {\n    // ANCHOR: part\n    let _ = 1;\n    // ANCHOR_END: part\n}\n",
    );
    write(
        "code/src/lib.rs",
        "// ANCHOR: double\npub fn double(n: u32) -> u32 {\n    n * 2\n}\n// ANCHOR_END: double\n\
         // ANCHOR: nothing\n// ANCHOR_END: nothing\n\
         // ANCHOR: twice\nfn a() {}\n// ANCHOR_END: twice\n\
         // ANCHOR: twice\nfn b() {}\n// ANCHOR_END: twice\n\
         #[cfg(test)]\nmod tests {\n    #[test]\n    fn doubles() {}\n\
         #[test]\n #[ignore = \"slow\"]\n fn is_ignored() {}\n\
         fn only_a_helper() {}\n}\n\
         // ANCHOR: open\n",
    );
    write("code/src/fence.rs", "/*\n```\n*/\n");
    write("code/src/link.rs", "// {{#include lib.rs}}\n");
    write(
        "code/tests/wire.rs",
        "#[tokio::test(start_paused = true)]\nasync fn gap() {}\n\
         proptest! { #[test]\n fn order(n in 0..9u8) {} }\n\
         fn main() { let t = Trial::test(\"over sockets::resume\", || Ok(())); }\n",
    );
    write(
        "conformance/Cargo.toml",
        "[package]\nname = \"conformance\"\n",
    );
    write(
        "conformance/src/cases.rs",
        "cases![a_case, another_case];\n",
    );
    write(
        "code/tests/suite.rs",
        "fn main() { conformance::main(Wire) }\n",
    );
    root
}

/// Without the rule that each listing has its file above it: `listings.rs` is about that one.
fn checked(chapter: &str) -> Book {
    without_names(small_book(chapter).path())
}

fn without_names(root: &Path) -> Book {
    let mut book = expand(root).expect("a book");
    let about_names = |problem: &Problem| problem.message.contains("a listing has its file above");
    book.problems.retain(|problem| !about_names(problem));
    book
}

/// Asserts that this chapter has exactly one problem, on line 3, that says `part`.
#[track_caller]
fn refused(chapter: &str, part: &str) {
    let problems = checked(chapter).problems;
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert!(texts[0].starts_with("src/chapter.md:3: "), "{texts:#?}");
    assert!(texts[0].contains(part), "{texts:#?}");
}

#[track_caller]
fn accepted(chapter: &str) -> Book {
    let book = checked(chapter);
    assert_eq!(book.problems, []);
    book
}

fn rust(attributes: &str, content: &str) -> String {
    format!("# Title\n\n```rust{attributes}\n{content}\n```\n")
}

const DOUBLE: &str = "{{#include ../code/src/lib.rs:double}}";

#[test]
fn the_three_kinds_are_told_apart() {
    let book = accepted(&format!(
        "# Title\n\n\
         ```rust\n{{{{#include ../code/examples/hello.rs}}}}\n```\n\n\
         ```rust\n# // hidden\n{DOUBLE}\n```\n\n\
         ```rust\n{{{{#rustdoc_include ../code/src/lib.rs:double}}}}\n```\n\n\
         ```rust\n{{{{#rustdoc_include ../code/examples/long.rs:part}}}}\n```\n\n\
         <!-- untested: reason=\"private\" target=\"code\" test=\"tests::doubles\" -->\n\
         ```rust,ignore\n{DOUBLE}\n```\n\n\
         <!-- untested: reason=\"waits for a key\" target=\"code\" test=\"gap\" -->\n\
         ```rust,no_run\n{DOUBLE}\n```\n\n\
         ```json\n{{\"not\": \"Rust\"}}\n```\n"
    ));
    let kinds: Vec<&Kind> = book.pages[0]
        .snippets
        .iter()
        .map(|snippet| &snippet.kind)
        .collect();
    assert!(
        matches!(
            kinds[..],
            [
                Kind::Program,
                Kind::Fragment { of_program: false },
                Kind::Fragment { of_program: false },
                Kind::Fragment { of_program: true },
                Kind::Covered(_),
                Kind::Fragment { of_program: false }
            ]
        ),
        "{kinds:?}"
    );
    assert!(book.pages[0].snippets[5].not_run.is_some());
    let report = book.report();
    let numbers: Vec<&str> = report
        .lines()
        .take(6)
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(numbers, ["1", "4", "1", "1", "0", "1"], "{report}");
    assert!(report.contains("src/chapter.md:21: private; covered by tests::doubles in code"));
}

#[test]
fn a_block_without_main_gets_the_one_that_mdbook_gives_it() {
    let book = accepted(&rust("", DOUBLE));
    assert_eq!(
        book.pages[0].text,
        "# Title\n\n```rust\n# #![allow(unused)]\n# fn main() {\n\
         pub fn double(n: u32) -> u32 {\n    n * 2\n}\n# }\n```\n"
    );
}

#[test]
fn a_file_that_is_not_there_is_refused_in_every_language() {
    for language in ["rust", "json", "text", ""] {
        let problems = checked(&format!(
            "# Title\n\n```{language}\n{{{{#include ../code/none.rs}}}}\n```\n"
        ))
        .problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].place, "src/chapter.md:4");
        assert!(problems[0].message.contains("none.rs"));
    }
    refused("# Title\n\n{{#include ../code/none.md}}\n", "none.md");
}

#[test]
fn an_anchor_that_holds_nothing_is_refused() {
    for (include, part) in [
        ("{{#include ../code/src/lib.rs:none}}", "no `ANCHOR: none`"),
        (
            "{{#rustdoc_include ../code/src/lib.rs:none}}",
            "no `ANCHOR: none`",
        ),
        ("{{#include ../code/src/lib.rs:nothing}}", "is empty"),
        (
            "{{#include ../code/src/lib.rs:open}}",
            "no `ANCHOR_END: open`",
        ),
        ("{{#include ../code/src/lib.rs:twice}}", "2 anchors"),
        ("{{#include ../code/src/lib.rs:1:3}}", "line numbers"),
        ("{{#include ../code/src/lib.rs:2}}", "line numbers"),
        ("{{#include ../code/src/lib.rs:}}", "line numbers"),
        ("{{#include ../code/src/lib.rs}}", "ANCHOR lines"),
        (
            "{{#rustdoc_include ../code/examples/hello.rs}}",
            "name an anchor",
        ),
        ("{{#include ../code/src/link.rs}}", "another link"),
        ("{{#include /etc/hostname}}", "not part of this repository"),
        ("{{#include}}", "does not understand"),
        ("{{#inclde ../code/examples/hello.rs}}", "no `#inclde`"),
        ("{{#playground ../code/examples/hello.rs}}", "no playground"),
    ] {
        refused(&format!("# Title\n\n`{include}`\n"), part);
    }
    accepted("# Title\n\n`\\{{#include ../code/none.rs}}`\n");
    accepted("# Title\n\n```text\n{{#rustdoc_include ../code/src/lib.rs:twice}}\n```\n");
}

#[test]
fn an_included_text_that_ends_the_block_is_refused() {
    let problems = checked("# Title\n\n```text\n{{#include ../code/src/fence.rs}}\n```\n").problems;
    assert!(
        problems[0].message.contains("opens or closes"),
        "{problems:?}"
    );
    let problems = checked(&format!("# Title\n\n> ```rust\n> {DOUBLE}\n> ```\n")).problems;
    assert!(
        problems[0].message.contains("opens or closes"),
        "{problems:?}"
    );
}

#[test]
fn typed_rust_is_refused() {
    refused(&rust("", "fn main() {}"), "Rust typed into a chapter");
    refused("# Title\n\n```rs\nfn main() {}\n```\n", "marked `rust`");
    refused("# Title\n\n```rust\n# fn main() {}\n", "not closed");
    refused(&rust("", ""), "empty");
}

#[test]
fn an_excuse_without_a_reason_is_refused() {
    refused(&rust(",ignore", DOUBLE), "`ignore` needs a reason");
    refused(&rust(",no_run", DOUBLE), "`no_run` needs a reason");
    // A blank line between.
    let problems = checked(&format!(
        "# Title\n\n<!-- untested: reason=\"r\" target=\"code\" test=\"gap\" -->\n\n```rust,ignore\n{DOUBLE}\n```\n"
    ))
    .problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    refused(
        "# Title\n\nSome <!-- untested: reason=\"r\" target=\"code\" test=\"gap\" --> text.\n",
        "stands alone",
    );
}

#[test]
fn an_excuse_that_names_no_target_or_test_is_refused() {
    for (excuse, part) in [
        ("target=\"code\" test=\"gap\"", "names no reason"),
        (
            "reason=\"\" target=\"code\" test=\"gap\"",
            "names no reason",
        ),
        ("reason=\"r\" test=\"gap\"", "names no target"),
        ("reason=\"r\" target=\"code\"", "names no test"),
        (
            "reason=\"r\" target=\"code\" test=\"gap\" by=\"me\"",
            "`by` is unknown",
        ),
        ("because it is hard", "is not name=\"value\""),
        (
            "reason=\"r\" target=\"none\" test=\"gap\"",
            "no such package",
        ),
        ("reason=\"r\" target=\"code\" test=\"none\"", "no such test"),
        (
            "reason=\"r\" target=\"code\" test=\"wire::doubles\"",
            "no such test",
        ),
        (
            "reason=\"r\" target=\"conformance\" test=\"a_case\"",
            "no such test",
        ),
        (
            "reason=\"r\" target=\"code\" test=\"only_a_helper\"",
            "no such test",
        ),
        (
            "reason=\"r\" target=\"code\" test=\"is_ignored\"",
            "itself ignored",
        ),
    ] {
        refused(
            &format!("# Title\n<!-- untested: {excuse} -->\n```rust,ignore\n{DOUBLE}\n```\n"),
            part,
        );
    }
    for test in [
        "doubles",
        "tests::doubles",
        "wire::gap",
        "order",
        "wire::over sockets::resume",
        "suite::another_case",
    ] {
        accepted(&format!(
            "# Title\n<!-- untested: reason=\"r\" target=\"code\" test=\"{test}\" -->\n```rust,ignore\n{DOUBLE}\n```\n"
        ));
    }
    refused(
        &format!("# Title\n<!-- untested: reason=\"r\" target=\"code\" test=\"gap\" -->\n```rust\n{DOUBLE}\n```\n"),
        "this block is tested",
    );
}

#[test]
fn attributes_that_hide_a_failure_are_refused() {
    for (attribute, part) in [
        ("should_panic", "no `should_panic`"),
        ("compile_fail", "no `compile_fail`"),
        ("edition2024", "edition 2021"),
        ("ingore", "`ingore` means nothing"),
        ("skt-none", "no template `none`"),
    ] {
        refused(&rust(&format!(",{attribute}"), DOUBLE), part);
    }
    accepted(&rust(",editable,noplayground,edition2021", DOUBLE));
}

#[test]
fn a_template_lies_beside_its_chapter() {
    let root = small_book(&rust(",skt-call", DOUBLE));
    let template = "```rust,skt-call\n{}\nfn main() {{ double(1); }}\n```\n";
    fs::write(root.path().join("src/chapter.md.skt.md"), template).expect("written");
    let book = without_names(root.path());
    assert_eq!(book.problems, []);
    assert!(book.pages[0].templates.contains(template));
}

#[test]
fn a_chapter_that_is_not_there_is_refused_and_not_made() {
    let root = small_book("# Title\n");
    fs::remove_file(root.path().join("src/chapter.md")).expect("removed");
    let error = expand(root.path()).expect_err("no chapter");
    assert!(format!("{error:#}").contains("chapter.md"), "{error:#}");
    assert!(!root.path().join("src/chapter.md").exists());
}

#[test]
fn pages_have_stems_of_their_own() {
    let root = small_book("# Title\n");
    let src = root.path().join("src");
    fs::create_dir(src.join("a")).expect("created");
    let paths = ["a/b.md", "a-b.md", "A_B.md", "1.md"];
    let mut summary = String::new();
    for path in paths {
        fs::write(src.join(path), "# Title\n").expect("written");
        summary.push_str(&format!("- [Chapter]({path})\n"));
    }
    fs::write(src.join("SUMMARY.md"), summary).expect("written");
    fs::write(
        root.path().join("README.md"),
        "```rust\nfn main() {}\n```\n",
    )
    .expect("written");
    let book = expand(root.path()).expect("a book");
    let stems: Vec<&str> = book.pages.iter().map(|page| page.stem.as_str()).collect();
    assert_eq!(
        stems,
        ["book_a_b", "book_a_b_2", "book_a_b_3", "book_1", "readme"]
    );
    assert_eq!(book.pages[4].snippets[0].kind, Kind::Typed);
}

#[test]
fn the_readme_is_held_to_the_same_rules() {
    for (readme, part) in [
        (
            "```rust\n{{#include code/examples/hello.rs}}\n```\n",
            "README.md:2: nothing expands",
        ),
        (
            "```rust,ignore\nfn main() {}\n```\n",
            "README.md:1: `ignore` needs",
        ),
    ] {
        let root = small_book("# Title\n");
        fs::write(root.path().join("README.md"), readme).expect("written");
        let problems = expand(root.path()).expect("a book").problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().starts_with(part), "{problems:?}");
    }
}

#[test]
fn everything_the_result_depends_on_is_named() {
    let root = small_book(&format!(
        "# Title\n\n```rust\n{{{{#include ../code/examples/hello.rs}}}}\n```\n\n\
         <!-- untested: reason=\"r\" target=\"code\" test=\"gap\" -->\n```rust,ignore\n{DOUBLE}\n```\n"
    ));
    fs::write(root.path().join("book.toml"), "[book]\ntitle = \"Book\"\n").expect("written");
    fs::write(root.path().join("README.md"), "# Title\n").expect("written");
    let book = expand(root.path()).expect("a book");
    let root = fs::canonicalize(root.path()).expect("a path");
    let inputs: Vec<_> = book
        .inputs
        .iter()
        .map(|input| {
            input
                .strip_prefix(&root)
                .expect("inside")
                .to_str()
                .expect("text")
        })
        .collect();
    assert_eq!(
        inputs,
        [
            "README.md",
            "book.toml",
            "code/Cargo.toml",
            "code/examples/hello.rs",
            "code/src",
            "code/src/lib.rs",
            "code/tests",
            "src",
        ]
    );
}

/// Lets skeptic compile and run a program, as the generated tests do.
fn run(program: &str, limit: Duration) -> Result<(), String> {
    std::panic::catch_unwind(|| {
        watchdog::run("src/chapter.md:3", program, limit, || {
            let target = env!("SNIPPETS_TARGET");
            skeptic::rt::run_test(env!("CARGO_MANIFEST_DIR"), env!("OUT_DIR"), target, program);
        });
    })
    .map_err(|cause| match cause.downcast::<String>() {
        Ok(message) => *message,
        Err(_) => "no message".to_owned(),
    })
}

#[test]
fn a_sound_program_passes_and_a_wrong_one_fails() {
    assert_eq!(
        run("fn main() { assert_eq!(1 + 1, 2); }", watchdog::LIMIT),
        Ok(())
    );
    let error = run("fn main() { let n: u8 = \"one\"; }", watchdog::LIMIT).expect_err("wrong type");
    assert!(error.contains("rustc"), "{error}");
    let error = run("fn main() { panic!(); }", watchdog::LIMIT).expect_err("a panic");
    assert!(error.contains("Command failed"), "{error}");
}

#[test]
fn a_program_that_never_ends_is_ended_and_named() {
    // Much longer than the limit, but not for ever: without the watchdog this test fails and does
    // not hang.
    let program = "fn main() { std::thread::sleep(std::time::Duration::from_secs(30)); }";
    let error = run(program, Duration::from_secs(1)).expect_err("it never ends");
    assert_eq!(
        error,
        "src/chapter.md:3: this snippet had not ended after 1s. A snippet must end by itself."
    );
}

#[test]
fn only_the_program_that_never_ends_is_ended() {
    let program = "fn main() { std::thread::sleep(std::time::Duration::from_secs(30)); }";
    // Still running when the other is ended. Both are children of this process.
    let slow = "fn main() { std::thread::sleep(std::time::Duration::from_secs(3)); }";
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| run(slow, watchdog::LIMIT));
        assert!(run(&format!("{program} // 2"), Duration::from_secs(1)).is_err());
        assert_eq!(slow.join().expect("no panic"), Ok(()));
    });
}

#[test]
fn a_program_whose_file_is_busy_is_tried_again() {
    // As skeptic says it.
    let failure = String::from("Could not run \"it\": Text file busy (os error 26)");
    let tries = AtomicU32::new(0);
    watchdog::run("src/chapter.md:3", "", watchdog::LIMIT, || {
        if tries.fetch_add(1, Ordering::Relaxed) < 2 && cfg!(unix) {
            panic!("{failure}");
        }
    });
    let error = std::panic::catch_unwind(|| {
        watchdog::run("src/chapter.md:3", "", watchdog::LIMIT, || {
            panic!("{failure}")
        });
    });
    assert!(error.is_err(), "busy for ever");
}
