//! Each rule of the book's dated claims, shown to bite on a small book that breaks it.

use std::fs;

use snippets::book::expand;

/// An entry that keeps the rules, and a paragraph that links to it.
const ENTRY: &str = "<a id=\"fact-six\"></a>**Six.** A browser opens six.\\\n\
                     Source: [MDN](https://developer.mozilla.org/).\\\nChecked: 2026-11-26, read.\n";
const LINKED: &str = "A browser opens six ([source](facts.md#fact-six)).\n";

/// What is wrong with a book of one chapter and a page of facts, each with a title on its first
/// line.
fn problems(chapter: &str, facts: &str) -> Vec<String> {
    let root = tempfile::tempdir().expect("a temporary directory");
    let src = root.path().join("src");
    let write = |path: &str, text: &str| {
        let path = src.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, text).expect("written");
    };
    write(
        "SUMMARY.md",
        "- [Chapter](chapter.md)\n- [Deep](deep/index.md)\n- [Facts](facts.md)\n",
    );
    write("chapter.md", &format!("# Chapter\n\n{chapter}"));
    write("deep/index.md", "# Deep\n");
    write("facts.md", &format!("# Facts\n\n{facts}"));
    let book = expand(root.path()).expect("a book");
    book.problems.iter().map(ToString::to_string).collect()
}

/// Asserts that there is exactly one problem, which is at `place` and says `part`.
#[track_caller]
fn refused(chapter: &str, facts: &str, place: &str, part: &str) {
    let problems = problems(chapter, facts);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with(&format!("{place}: ")),
        "{problems:#?}"
    );
    assert!(problems[0].contains(part), "{problems:#?}");
}

#[track_caller]
fn accepted(chapter: &str, facts: &str) {
    assert_eq!(problems(chapter, facts), [""; 0]);
}

/// Asserts that `claim` alone is refused, and that a link to its source is all it needs.
#[track_caller]
fn is_dated(claim: &str) {
    let chapter = format!("{LINKED}\n{claim}\n");
    refused(&chapter, ENTRY, "src/chapter.md:5", "looks like a claim");
    accepted(&format!("{claim} ([source](facts.md#fact-six))\n"), ENTRY);
}

#[test]
fn a_claim_with_its_entry_is_accepted() {
    accepted(LINKED, ENTRY);
    // Entries may lead to each other.
    accepted(LINKED, &format!("{ENTRY}\nSee [six](#fact-six).\n"));
    accepted("No claims, and no facts.\n", "");
}

#[test]
fn the_day_of_what_the_book_has_measured_comes_from_its_data() {
    let day = "{{#include measured/figures.md:day}}";
    let facts = ENTRY.replace("2026-11-26, read", &format!("{day}, measured"));
    // The include itself leads nowhere in this small book.
    refused(LINKED, &facts, "src/facts.md:5", "measured/figures.md");
    let facts = facts.replace(", measured", "");
    assert_eq!(problems(LINKED, &facts).len(), 2, "and no word says how");
}

#[test]
fn a_link_to_no_entry_is_refused() {
    let chapter = format!("{LINKED}\nAnd five ([source](facts.md#fact-five)).\n");
    refused(&chapter, ENTRY, "src/chapter.md:5", "no entry `fact-five`");
    let facts = format!("{ENTRY}\nSee [five](#fact-five).\n");
    refused(LINKED, &facts, "src/facts.md:7", "no entry `fact-five`");
}

#[test]
fn an_entry_that_is_there_twice_is_refused() {
    let facts = format!("{ENTRY}\n{ENTRY}");
    refused(LINKED, &facts, "src/facts.md:7", "is on line 3 already");
}

#[test]
fn an_entry_that_nobody_links_to_is_refused() {
    refused("None.\n", ENTRY, "src/facts.md:3", "no page links to");
    let facts = format!("{ENTRY}\nSee [six](#fact-six).\n");
    refused("None.\n", &facts, "src/facts.md:3", "no page links to");
    let second = ENTRY.replace("fact-six", "fact-five");
    let facts = format!("{ENTRY}\n{second}");
    refused(LINKED, &facts, "src/facts.md:7", "links to `fact-five`");
    // A page of that name elsewhere is another page.
    let other = "A browser opens six ([source](deep/facts.md#fact-six)).\n";
    refused(other, ENTRY, "src/facts.md:3", "no page links to");
}

#[test]
fn a_link_finds_the_page_from_any_directory() {
    accepted("Six ([source](deep/../facts.md#fact-six)).\n", ENTRY);
    accepted("Six ([source](./facts.md#fact-six)).\n", ENTRY);
}

#[test]
fn an_entry_without_a_source_or_a_day_is_refused() {
    for (from, to, part) in [
        ("Source: ", "", "no line `Source: "),
        (
            "Source: [MDN](https://developer.mozilla.org/).",
            "Source:",
            "no line `Source: ",
        ),
        ("Checked: 2026-11-26, read.", "", "no line `Checked: "),
        (
            "Checked: 2026-11-26, read.",
            "Checked: 2026-11-26",
            "no line `Checked: ",
        ),
        ("2026-11-26", "2026-11", "no line `Checked: "),
        ("2026-11-26", "26 November", "no line `Checked: "),
        ("2026-11-26", "2026-02-29", "no such day"),
        ("2026-11-26", "2026-13-01", "no such day"),
        ("2026-11-26", "9999-01-01", "still to come"),
    ] {
        let facts = ENTRY.replace(from, to);
        assert_ne!(facts, ENTRY);
        refused(LINKED, &facts, "src/facts.md:3", part);
    }
    accepted(LINKED, &ENTRY.replace("2026-11-26", "2024-02-29"));
}

#[test]
fn a_link_says_source_but_for_a_list_of_sources() {
    let chapter = "A browser opens [six](facts.md#fact-six).\n";
    refused(chapter, ENTRY, "src/chapter.md:3", "says `source`");
    let list = "## Sources\n\n- [`six` of them](facts.md#fact-six)\n\n### Browsers\n\n[Six](facts.md#fact-six)\n";
    accepted(list, ENTRY);
    let after = format!("{list}\n## More\n\n[Six](facts.md#fact-six)\n");
    refused(&after, ENTRY, "src/chapter.md:13", "says `source`");
}

#[test]
fn a_dated_claim_needs_a_source() {
    for claim in [
        "All browsers have had it since March 2026.",
        "It was withdrawn on 2021-01-28, at last.",
        "The request has been open since 2016.",
        "Chrome turned it off in version 106.",
        "Since 1.30.0 the default is another.",
        "The default changed with 1.30.0.",
        "Here nginx 1.22 held it back.",
        "*HAProxy* 2.4 has it.",
        "- It works in Firefox 132.",
        "> It works in Firefox 132.",
        "### Of Firefox 132",
    ] {
        is_dated(claim);
    }
}

#[test]
fn a_source_counts_for_its_own_row_item_or_paragraph() {
    let rows = |cell: &str| {
        format!(
            "| who | what |\n| --- | --- |\n| Firefox 132 | yes ([source](facts.md#fact-six)) |\n| Safari 18 | {cell} |\n"
        )
    };
    refused(&rows("yes"), ENTRY, "src/chapter.md:6", "Safari 18");
    accepted(&rows("[source](facts.md#fact-six)"), ENTRY);
    let items = "- Firefox 132 ([source](facts.md#fact-six))\n- Safari 18\n";
    refused(items, ENTRY, "src/chapter.md:4", "Safari 18");
    let term = format!("{LINKED}\nPush\n: Off since Chrome 106.\n");
    refused(&term, ENTRY, "src/chapter.md:6", "Chrome 106");
    let caption = format!("{LINKED}\n<figcaption>Chrome 106</figcaption>\n");
    refused(&caption, ENTRY, "src/chapter.md:5", "Chrome 106");
}

#[test]
fn what_is_no_claim_about_the_world_needs_no_source() {
    for text in [
        "It listens on 127.0.0.1, and uses HTTP/1.1 and TLS 1.3.",
        "You need Rust 1.95 or newer. A page has 2048 bytes in 2048 rows.",
        "`nginx 1.22` and `2026-03-24` stand in code.",
        "```text\nnginx 1.22, 2026-03-24\n```",
        "See [the log](https://example.org/2026-03-24/nginx%201.22).",
        "<!-- Firefox 132 -->",
        "Events 20 to 419 happen in 2000 ms.",
    ] {
        accepted(&format!("{LINKED}\n{text}\n"), ENTRY);
    }
}

#[test]
fn an_excuse_is_seen_and_has_a_reason() {
    let chapter = |text: &str| format!("{LINKED}\n{text}\n");
    let excuse = "<!-- no fact: our own version -->";
    accepted(&chapter(&format!("The book's version 1 {excuse}")), ENTRY);
    accepted(
        &chapter(&format!(
            "| a | b |\n| --- | --- |\n| version 1 | c {excuse} |"
        )),
        ENTRY,
    );
    let at = "src/chapter.md:5";
    refused(
        &chapter("The book's version 1 <!-- no fact: -->"),
        ENTRY,
        at,
        "needs a reason",
    );
    refused(
        &chapter(&format!("No date {excuse}")),
        ENTRY,
        at,
        "nothing here",
    );
    let both = format!("Chrome 106 ([source](facts.md#fact-six)) {excuse}");
    refused(&chapter(&both), ENTRY, at, "nothing here");
    // Above the paragraph it is a block of its own.
    let above = problems(&chapter(&format!("{excuse}\n\nChrome 106")), ENTRY);
    assert_eq!(above.len(), 2, "{above:#?}");
}
