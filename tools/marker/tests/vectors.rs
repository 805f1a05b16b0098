//! The vectors: answers, and what is wrong with each. The tests of the browser modules mark the
//! same answers with what is kept in `crates/web/marker`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Question {
    checker: String,
    wanted: Value,
    right: Vec<String>,
    /// Each with the sentence that says what is wrong.
    wrong: Vec<(String, String)>,
}

#[test]
fn answers_are_marked_as_the_vectors_say() {
    let vectors = include_str!("vectors.json");
    let questions: Vec<Question> = serde_json::from_str(vectors).unwrap();
    let (mut checkers, mut differ) = (BTreeSet::new(), Vec::new());
    for question in questions {
        let Question {
            checker, wanted, ..
        } = &question;
        let note = |given: &str| marker::mark(checker, given, &wanted.to_string()).unwrap();
        for given in &question.right {
            assert_eq!(note(given), None, "{checker} {wanted}: {given:?}");
        }
        for (given, wanted) in &question.wrong {
            let note = note(given).map_or("right".to_owned(), |wrong| wrong.0);
            if note != *wanted {
                differ.push((given.clone(), note));
            }
        }
        checkers.insert(question.checker);
    }
    assert_eq!(differ, []);
    assert_eq!(checkers, marker::CHECKERS.map(str::to_owned).into());
}

#[test]
fn whatever_is_written_is_marked() {
    let wanted = [
        ("event-stream", r#"{"events":[]}"#),
        ("frame", r#"{"sender":"client","opcode":1}"#),
        ("request", r#"{"line":"GET events"}"#),
        (
            "page",
            r#"{"after":"k3f9x2.1","events":[],"next":"k3f9x2.1"}"#,
        ),
        ("message", r#"{"publish":{"ref":"a","kind":"a","data":1}}"#),
    ];
    for (checker, wanted) in wanted {
        for given in [
            "",
            " ",
            "\n",
            "\0",
            "é",
            ":",
            "?",
            "0x",
            "0",
            "ffffffffff",
            "88 80",
            "{}",
            "[]",
            "null",
            "GET",
            "GET  ",
            "GET /?%zz HTTP/1.1",
            "a b c d",
            "\u{feff}data:\n\n",
            "{\"publish\":1}",
            "82 ff ff ff ff ff ff ff ff ff 00 00 00 00",
            "88 81 00 00 00 00 01",
        ] {
            assert!(
                marker::mark(checker, given, wanted).is_ok(),
                "{checker}: {given:?}"
            );
        }
    }
}

#[test]
fn a_question_that_cannot_be_asked_so_is_refused() {
    for (checker, wanted) in [
        ("json", "{}"),
        ("event-stream", "{}"),
        ("event-stream", r#"{"events":[{"kind":"tick"}]}"#),
        ("frame", r#"{"sender":"proxy","opcode":1}"#),
        ("request", "GET events"),
        ("page", r#"{"after":"k3f9x2.18"}"#),
        ("message", r#"{"subscribe":{}}"#),
    ] {
        assert!(
            marker::mark(checker, "", wanted).is_err(),
            "{checker} {wanted}"
        );
    }
}
