//! Each rule of a method's page, shown to bite on a small book that breaks it.

use std::fs;

use snippets::book::expand;

/// A page that keeps the rules.
const PAGE: &str = "# Method

What it is, in a paragraph.

<div class=\"in-short\">

**In short.** It waits.

- **What it is:** a way to wait.
- **Take it when** you like.
- **Not when** you do not.
- **It costs** little.

</div>

## The idea

## Try it

## When to use it, and when not

## On the wire

## The server, step by step

## The client

## What goes wrong

How to run a test.

### It is late

You see it late.

<details class=\"wrong\">
<summary>Cause, cure and tests</summary>

The cause.

</details>

### It is lost

You do not see it.

<details class=\"wrong\">
<summary>Cause, cure and tests</summary>

The cause.

Tests: one.

</details>

## Behind proxies, and on HTTP/1.1, HTTP/2 and HTTP/3

## Exercises

## Sources
";

fn problems(page: &str) -> Vec<String> {
    let root = tempfile::tempdir().expect("a temporary directory");
    let src = root.path().join("src");
    fs::create_dir(&src).expect("created");
    fs::write(src.join("SUMMARY.md"), "- [Method](method.md)\n").expect("written");
    fs::write(src.join("method.md"), page).expect("written");
    let book = expand(root.path()).expect("a book");
    book.problems.iter().map(ToString::to_string).collect()
}

/// Asserts that with `new` in the place of `old` the page has one problem, on this line, that says
/// `part`.
#[track_caller]
fn refused(old: &str, new: &str, line: usize, part: &str) {
    assert_eq!(PAGE.matches(old).count(), 1, "{old}");
    let problems = problems(&PAGE.replace(old, new));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let place = format!("src/method.md:{line}: ");
    assert!(problems[0].starts_with(&place), "{problems:#?}");
    assert!(problems[0].contains(part), "{problems:#?}");
}

#[track_caller]
fn accepted(old: &str, new: &str) {
    assert_eq!(PAGE.matches(old).count(), 1, "{old}");
    assert_eq!(problems(&PAGE.replace(old, new)), [""; 0]);
}

#[test]
fn a_page_in_this_form_is_accepted() {
    assert_eq!(problems(PAGE), [""; 0]);
    accepted("## What goes", "## What replaced it\n\n## What goes");
    // Any other page may look as it likes.
    assert_eq!(problems("# Title\n\n## Sources\n\n## The idea\n"), [""; 0]);
}

#[test]
fn a_methods_page_without_the_box_is_refused() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let src = root.path().join("src");
    fs::create_dir_all(src.join("sse")).expect("created");
    fs::write(src.join("SUMMARY.md"), "- [Events](sse/index.md)\n").expect("written");
    fs::write(src.join("sse/index.md"), "# Events\n\nAll of them.\n").expect("written");
    let problems = expand(root.path()).expect("a book").problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems[0].to_string();
    assert!(problem.starts_with("src/sse/index.md:1: "), "{problem}");
    assert!(problem.contains("has the box"), "{problem}");
}

#[test]
fn sections_out_of_order_missing_or_unknown_are_refused() {
    refused("## Try it\n\n", "", 18, "\"Try it\" comes next");
    refused("## Try it", "## Try this", 18, "\"Try it\" comes next");
    refused(
        "## The idea\n\n## Try it",
        "## Try it\n\n## The idea",
        16,
        "\"The idea\" comes next",
    );
    refused("## Sources\n", "", 58, "\"Sources\" is missing");
    refused(
        "## Sources\n",
        "## Sources\n\n## More\n",
        62,
        "no section follows",
    );
}

#[test]
fn a_box_at_another_place_or_of_another_form_is_refused() {
    refused(
        "\n<div",
        "\nAnother paragraph.\n\n<div",
        7,
        "the page's first paragraph",
    );
    refused(
        "What it is, in a paragraph.\n\n",
        "",
        3,
        "the page's first paragraph",
    );
    refused("**In short.**", "Shortly.", 7, "begins with **In short.**");
    refused("- **It costs** little.\n", "", 9, "It costs; here it is");
    refused("**Not when**", "**Never when**", 9, "Not when, It costs");
    refused(
        "\n</div>",
        "\nAnd more.\n\n</div>",
        5,
        "a paragraph and a list",
    );
}

#[test]
fn a_failure_without_its_sentence_or_its_fold_is_refused() {
    for (old, new) in [
        ("You see it late.\n\n", ""),
        (
            "You see it late.\n",
            "You see it late.\n\nAnd that is not all.\n",
        ),
        (
            "You see it late.\n\n<details class=\"wrong\">",
            "You see it late.\n\n<details>",
        ),
        (
            "The cause.\n\n</details>\n\n### It is lost",
            "The cause.\n\n</details>\n\nMore.\n\n### It is lost",
        ),
        (
            "The cause.\n\n</details>\n\n### It is lost",
            "</details>\n\n### It is lost",
        ),
    ] {
        refused(old, new, 32, "under \"It is late\" stand one sentence");
    }
    let start = PAGE.find("### It is late").expect("there");
    let end = PAGE.find("## Behind").expect("there");
    refused(&PAGE[start..end], "", 28, "has no failure");
}

#[test]
fn a_section_about_costs_needs_a_figure() {
    let with = |costs: &str| format!("## What it costs, measured\n\n{costs}\n\n## Exercises");
    let table = "| a | b |\n| --- | --- |\n| 1 ms | 2 ms |";
    accepted("## Exercises", &with(table));
    accepted(
        "## Exercises",
        &with("<figure>\n\n![a](a.png)\n\n</figure>"),
    );
    refused(
        "## Exercises",
        &with("At 10,000 clients it will be measured."),
        58,
        "left out until there is one",
    );
}
