//! The drawings in the repository are those that their sources give.

use std::{fs, path::Path};

use diagrams::{draw, Drawings};

fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate lies in tools/")
}

#[test]
fn every_kept_drawing_is_what_its_source_gives() {
    let drawings = Drawings::of(root()).unwrap();
    assert!(drawings.iter().count() > 10);
    let problems = drawings.problems().unwrap();
    assert!(
        problems.is_empty(),
        "run `cargo xtask diagrams`:\n{}",
        problems.join("\n")
    );
}

#[test]
fn a_drawing_is_text_that_a_page_can_hold() {
    let drawings = Drawings::of(root()).unwrap();
    let mut ids = Vec::new();
    for drawing in drawings.iter() {
        let svg = &drawing.svg;
        for part in ["<style", "<foreignObject", "<script", "\n\n", "NaN"] {
            assert!(!svg.contains(part), "{}: {part:?}", drawing.source);
        }
        for part in ["<title ", "<desc ", "role=\"img\"", "<text "] {
            assert!(svg.contains(part), "{}: no {part}", drawing.source);
        }
        // Colours are the page's, each with one of its own for a drawing by itself.
        for attribute in ["fill=\"", "stroke=\""] {
            for rest in svg.split(attribute).skip(1) {
                let colour = rest.split('"').next().unwrap();
                let is_theirs = colour.starts_with("var(--") && colour.contains(", #");
                assert!(
                    is_theirs || colour == "none",
                    "{}: {colour}",
                    drawing.source
                );
            }
        }
        ids.extend(
            svg.split(" id=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
        // At 12 px for a letter it fits the figure of a page 390 px wide.
        let width: f64 = svg
            .split(" width=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(width <= 425.0, "{}: {width} px wide", drawing.source);
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id twice");
}

#[test]
fn what_is_not_kept_changed_or_left_over_is_named() {
    let root = std::env::temp_dir().join(format!("diagrams-{}", std::process::id()));
    fs::create_dir_all(root.join("src/sub")).unwrap();
    let page = root.join("src/sub/page.md");
    let chart = |text: &str| {
        format!("# Page\n\n```mermaid\nflowchart TB\n  accTitle: T\n  accDescr: D\n{text}\n```\n")
    };
    fs::write(&page, chart("  A[\"one\"] --> B[\"two\"]")).unwrap();
    let problems = || Drawings::of(&root).unwrap().problems().unwrap();
    assert_eq!(problems(), ["src/sub/page.md:3: its drawing is not kept"]);
    assert_eq!(Drawings::of(&root).unwrap().keep().unwrap(), 1);
    assert!(problems().is_empty());
    assert_eq!(Drawings::of(&root).unwrap().keep().unwrap(), 0);

    fs::write(&page, chart("  A[\"one\"] --> B[\"three\"]")).unwrap();
    assert_eq!(
        problems(),
        ["src/sub/page.md:3: its drawing is not the one that is kept"]
    );
    fs::write(&page, chart("  A[\"one\"] ==> B[\"two\"]")).unwrap();
    let error = Drawings::of(&root).unwrap_err().to_string();
    assert_eq!(
        error,
        "src/sub/page.md:7: unknown: A[\"one\"] ==> B[\"two\"]"
    );
    fs::write(&page, "# Page\n").unwrap();
    assert_eq!(problems().len(), 1);
    assert_eq!(Drawings::of(&root).unwrap().keep().unwrap(), 1);
    assert!(problems().is_empty());
    fs::remove_dir_all(root).unwrap();
}

fn sequence(statements: &str) -> String {
    format!("sequenceDiagram\naccTitle: T\naccDescr: D\nparticipant A\nparticipant B as Server\n{statements}")
}

#[test]
fn nothing_unknown_is_left_out() {
    for (statements, line, problem) in [
        ("A->>C: hello", 6, "unknown: A->>C: hello"),
        ("A->>B hello", 6, "unknown: A->>B hello"),
        ("activate A", 6, "unknown: activate A"),
        ("Note left of A: x", 6, "unknown: Note left of A: x"),
        ("loop always\nA->>B: x", 6, "it has no end"),
        ("A->>B: x\nend", 7, "unknown: end"),
        (
            "%% sometimes\nA->>B: x",
            6,
            "unknown note for the drawing: sometimes",
        ),
        (
            "%% at noon\nA->>B: x",
            6,
            "unknown note for the drawing: at noon",
        ),
        (
            "A->>B: x\n%% at 3 s",
            7,
            "a note for the drawing, and no statement below it",
        ),
        (
            "%% at 3 s\nA->>B: x\n%% at 2 s\nA->>B: x",
            9,
            "2 s is before 3 s",
        ),
    ] {
        let error = draw(&sequence(statements), "d").unwrap_err();
        assert_eq!(
            (error.line, &*error.problem),
            (line, problem),
            "{statements}"
        );
    }
    for (source, problem) in [
        ("pie", "unknown kind of diagram: pie"),
        ("flowchart LR", "unknown kind of diagram: flowchart LR"),
        (
            "sequenceDiagram\naccTitle: T\nparticipant A\nparticipant B",
            "no accDescr",
        ),
        ("flowchart TB\naccDescr: D\nA[\"a\"]", "no accTitle"),
        (
            "flowchart TB\naccTitle: T\naccDescr: D\nA --> B[\"b\"]",
            "A has no text",
        ),
        (
            "flowchart TB\naccTitle: T\naccDescr: D\nA[(\"a\")]",
            "unknown: A[(\"a\")]",
        ),
        (
            "flowchart TB\naccTitle: T\naccDescr: D\nA(\"a\")",
            "unknown: A(\"a\")",
        ),
        (
            "flowchart TB\naccTitle: T\naccDescr: D\nA[\"a\"]\nclass A red",
            "unknown: class A red",
        ),
        (
            "flowchart TB\naccTitle: T\naccDescr: D\nsubgraph one",
            "unknown: subgraph one",
        ),
    ] {
        let error = draw(source, "d").unwrap_err();
        assert_eq!(error.problem, problem, "{source}");
    }
}

#[test]
fn what_fails_is_drawn_with_a_cross() {
    const CROSS: &str = "l9 9m0 -9l-9 9";
    for (statements, crosses) in [
        ("A->>B: x", 0),
        ("A-xB: x", 1),
        ("%% fails\nA->>B: x", 1),
        ("%% fails\nNote over A: x", 1),
        (
            "%% fails\nrect rgb(1,1,1)\nNote over A,B: x\nA->>B: y\nend",
            1,
        ),
    ] {
        let svg = draw(&sequence(statements), "d").unwrap();
        assert_eq!(svg.matches(CROSS).count(), crosses, "{statements}");
        assert_eq!(svg.contains("--fails"), crosses > 0, "{statements}");
    }
    let chart = "flowchart TB\naccTitle: T\naccDescr: D\n%% fails\nA[\"a\"] -->|no| B[\"b\"]\nclass B fails";
    assert_eq!(draw(chart, "d").unwrap().matches(CROSS).count(), 2);
}

#[test]
fn a_message_that_takes_time_slopes_and_the_axis_names_its_times() {
    let svg = draw(
        &sequence("%% at 0 ms, until 30 ms\nA->>B: 0 ms: SYN\n%% at 30 ms, until 60 ms\nB-->>A: 60 ms: ACK"),
        "d",
    )
    .unwrap();
    for label in ["0 ms", "30 ms", "60 ms", "SYN", "ACK"] {
        assert_eq!(
            svg.matches(&format!(">{label}</text>")).count(),
            1,
            "{label}: {svg}"
        );
    }
    assert_eq!(svg.matches("rotate(").count(), 2);
    // Without a time to arrive it is level.
    let level = draw(
        &sequence("%% at 0 ms\nA->>B: SYN\n%% at 30 ms\nB-->>A: ACK"),
        "d",
    )
    .unwrap();
    assert!(!level.contains("rotate("));
}

#[test]
fn colours_without_a_page_are_those_of_the_light_theme() {
    let css = fs::read_to_string(root().join("theme/book.css")).unwrap();
    let mut seen = 0;
    for drawing in Drawings::of(root()).unwrap().iter() {
        for rest in drawing.svg.split("var(--").skip(1) {
            let (name, rest) = rest.split_once(", ").unwrap();
            let colour = rest.split(')').next().unwrap();
            if matches!(name, "fg" | "bg") {
                continue;
            }
            let defined = format!("--{name}: light-dark({colour},");
            assert!(css.contains(&defined), "{}: no {defined}", drawing.source);
            seen += 1;
        }
    }
    assert!(seen > 0);
}
