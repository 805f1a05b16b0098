//! Each case quotes the contract, and the contract's page has that sentence.

use conformance::{scripted, CASES};
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn each_sentence_is_on_the_page_of_the_contract() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/contract.md");
    let page = fs::read_to_string(page).expect("the page");
    // Without what this suite itself shows of its output.
    let page = page.split("## Test a server of your own").next();
    let page = page.expect("a first part");
    let cases = CASES.iter().map(|case| case.sentence);
    let missing: BTreeSet<_> = cases
        .chain(scripted::sentences())
        .filter(|sentence| sentence.is_empty() || !page.contains(sentence))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn each_case_has_a_name_of_its_own() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
}
