//! What the book shows of the lab's data is what the data gives.

use capacity::measured;
use figures::{keep, left_over, outputs, over_tls, root, wire, write, Book, Kind};
use serde_json::{json, Value};
use std::{collections::BTreeSet, fs, path::Path};

fn book() -> Book {
    Book::read(root()).expect("src/measured has the data")
}

#[test]
fn every_kept_file_is_what_the_data_gives() {
    let files = outputs(&book()).unwrap();
    let mut stale = left_over(root(), &files).unwrap();
    stale.extend(files.into_iter().filter_map(|(path, text)| {
        let kept = fs::read_to_string(root().join(&path)).ok();
        (kept.as_ref() != Some(&text)).then_some(path)
    }));
    assert!(stale.is_empty(), "run `cargo xtask figures`: {stale:#?}");
}

#[test]
fn the_constants_of_capacity_are_the_measured_ones() {
    let data = book().compare;
    assert_eq!(wire(&data).unwrap(), measured::HTTP1);
    assert_eq!(over_tls(&data).unwrap(), measured::HTTP2_TLS);
}

#[test]
fn the_pings_of_http2_are_in_each_hour_of_silence() {
    let mut data = book().compare;
    let row = |row: &&mut figures::Row| {
        let it = (&*row.method, &*row.figure, &*row.protocol);
        it == ("sse", "bytes up an hour", "h2-tls")
    };
    data.rows.iter_mut().find(row).unwrap().median = 0.0;
    data.shortened = false;
    assert_eq!(over_tls(&data).unwrap().sse.quiet_up, 0.0);
    // 180 of 39 bytes in an hour, of 240 heartbeats.
    data.shortened = true;
    assert_eq!(over_tls(&data).unwrap().sse.quiet_up, 29.25);
}

/// The medians in a kept table, each behind what it is of.
fn table(kind: Kind) -> Vec<(Vec<String>, f64)> {
    let path = format!("src/measured/{}.csv", kind.name());
    let text = fs::read_to_string(root().join(path)).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|it| *it == name);
    let median = column("median").unwrap();
    let of = [
        "axis",
        "log",
        "measurement",
        "method",
        "figure",
        "floor",
        "protocol",
    ];
    let of: Vec<_> = of.into_iter().filter_map(column).collect();
    // A name with a comma stands in quotes.
    let cells = |line: &str| -> Vec<String> {
        let parts = line.split('"').enumerate();
        let parts = parts.map(|(number, part)| match number % 2 {
            1 => part.replace(',', "\u{1}"),
            _ => part.to_owned(),
        });
        let line: String = parts.collect();
        let cells = line.split(',');
        cells.map(|cell| cell.replace('\u{1}', ",")).collect()
    };
    let rows = lines.map(|line| {
        let cells = cells(line);
        let names = of.iter().map(|at| cells[*at].clone()).collect();
        (names, cells[median].parse().unwrap())
    });
    rows.collect()
}

#[test]
fn the_tables_for_spreadsheets_have_the_same_figures() {
    let Book {
        compare,
        many,
        lines,
        scale,
        peers,
        engines,
        ..
    } = book();
    for (kind, rows) in [
        (Kind::Compare, compare.rows),
        (Kind::Many, many.rows),
        (Kind::Lines, lines.rows),
        (Kind::Peers, peers.rows),
    ] {
        // A server that failed is in the table alone.
        let mut table = table(kind);
        table.retain(|(names, _)| rows.iter().any(|row| row.method == names[1]));
        assert_eq!(table.len(), rows.len(), "{kind:?}");
        for (row, (names, median)) in rows.iter().zip(table) {
            let floor = row.floor.clone().unwrap_or_default();
            let of_row = [
                &row.measurement,
                &row.method,
                &row.figure,
                &floor,
                &row.protocol,
            ];
            assert_eq!(names.iter().collect::<Vec<_>>(), of_row);
            assert!(
                (median - row.median).abs() <= 1e-9 * row.median.abs(),
                "{names:?}: {median}, {}",
                row.median
            );
        }
    }
    let of_engines = table(Kind::Engines);
    assert_eq!(of_engines.len(), engines.rows.len());
    for (row, (names, median)) in engines.rows.iter().zip(of_engines) {
        assert_eq!(names, [&*row.log, &*row.figure]);
        assert!((median - row.median).abs() <= 1e-9 * row.median.abs());
    }
    let table = table(Kind::Scale);
    assert_eq!(table.len(), scale.rows.len());
    for (row, (names, median)) in scale.rows.iter().zip(table) {
        assert_eq!(names, [&*row.axis, &*row.method, &*row.figure]);
        assert!((median - row.median).abs() <= 1e-9 * row.median.abs());
    }
}

#[test]
fn a_chart_is_text_that_a_page_can_hold() {
    let files = outputs(&book()).unwrap();
    let charts = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "svg"));
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for (path, svg) in charts {
        let name = path.display();
        count += 1;
        assert!(svg.len() <= 30_000, "{name}: {} bytes", svg.len());
        for part in ["<style", "<script", "\n\n", "NaN", "inf"] {
            assert!(!svg.contains(part), "{name}: {part:?}");
        }
        for part in ["<title ", "<desc ", "role=\"img\"", "<text "] {
            assert!(svg.contains(part), "{name}: no {part}");
        }
        for attribute in [" fill=\"", " stroke=\""] {
            for rest in svg.split(attribute).skip(1) {
                let colour = rest.split('"').next().unwrap();
                let of_page = colour.starts_with("var(--") && colour.contains(", #");
                assert!(of_page || colour == "none", "{name}: {colour}");
            }
        }
        for rest in svg.split(" id=\"").skip(1) {
            let id = rest.split('"').next().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
    assert!(count > 4, "{count} charts");
}

#[test]
fn no_kept_run_names_a_path_of_a_machine() {
    fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => found.push(text),
            Value::Array(values) => values.iter().for_each(|it| texts(it, found)),
            Value::Object(fields) => fields.values().for_each(|it| texts(it, found)),
            _ => {}
        }
    }
    for (kind, ..) in runs(&book()) {
        let path = root().join(format!("src/measured/{}.json", kind.name()));
        let kept: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut found = Vec::new();
        texts(&kept, &mut found);
        for text in found {
            let mut words = text.split(|it: char| it.is_whitespace() || "\"'(,;:".contains(it));
            assert!(!words.any(|word| word.starts_with('/')), "{kind:?}: {text}");
            assert!(!text.contains("target/"), "{kind:?}: {text}");
        }
    }
}

/// A run as the lab writes it.
fn write_run(run: &Path, conditions: &Value, summary: &Value, records: &[Value]) {
    fs::create_dir_all(run).unwrap();
    // The program, and where it was told to write to, which are not kept.
    let mut conditions = conditions.clone();
    let command = conditions["command"].as_array_mut().unwrap();
    command.insert(0, "/a/machine/lab".into());
    command.extend(["--no-build", "--out", "/a/machine/run"].map(Value::from));
    fs::write(run.join("run.json"), conditions.to_string()).unwrap();
    fs::write(run.join("summary.json"), summary.to_string()).unwrap();
    fs::write(run.join("summary.csv"), "").unwrap();
    let records: Vec<_> = records.iter().map(Value::to_string).collect();
    fs::write(run.join("results.jsonl"), records.join("\n")).unwrap();
}

/// A repository that has nothing yet.
fn write_root(root: &Path) {
    for path in ["src/measured", "crates/capacity/src", "crates/web/figures"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    // Of which there is no other run.
    let steps = "src/measured/steps.json";
    fs::copy(figures::root().join(steps), root.join(steps)).unwrap();
}

/// The kept runs, as the lab has written them: each with its conditions, summary and records.
fn runs(book: &Book) -> Vec<(Kind, Value, Value, Vec<Value>)> {
    let near = json!({ "rtt_ms": 0.0, "loss_percent": 0.0, "by": "nothing" });
    let far = json!({ "rtt_ms": 20.0, "loss_percent": 0.0, "by": "tun" });
    let record = |method: &str, curve: &Value, line: &Value| {
        json!({
            "method": method, "measurement": "delivery", "protocol": "h1", "workers": "all",
            "line": line, "delay_ms": { "p50": 1.0, "curve": curve },
        })
    };
    let mut records: Vec<_> = book
        .compare
        .curves
        .iter()
        .map(|(method, curve)| record(method, &json!(curve), &near))
        .collect();
    // The curve of a line is none of the book's.
    records.push(record("sse", &json!([[1.0, 9999.0]]), &far));
    records.push(record("sse", &json!([[1.0, 9999.0]]), &far));
    records.push(json!({
        "method": "sse", "measurement": "traffic", "payload": 1000, "counts": { "delivered": 10 },
        "protocol": "h1", "workers": "all", "line": near,
    }));
    let compare = &book.compare;
    let summary = |rows: Value| json!({ "rows": rows, "faults": [], "notes": [] });
    let mut scale = summary(json!(book.scale.rows));
    scale["bends"] = json!(book.scale.bends);
    vec![
        (
            Kind::Compare,
            json!(compare.run),
            summary(json!(compare.rows)),
            records,
        ),
        (
            Kind::Lines,
            json!(book.lines.run),
            summary(json!(book.lines.rows)),
            vec![],
        ),
        (Kind::Scale, json!(book.scale.run), scale, vec![]),
        (
            Kind::Peers,
            json!(book.peers.run),
            summary(json!(book.peers.rows)),
            vec![],
        ),
        (
            Kind::Engines,
            json!(book.engines.run),
            summary(json!(book.engines.rows)),
            vec![],
        ),
        (
            Kind::Many,
            json!(book.many.run),
            summary(json!(book.many.rows)),
            vec![],
        ),
    ]
}

#[test]
fn each_kind_of_run_is_known_and_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    write_root(&root);
    let first = book();
    for (number, (kind, conditions, summary, records)) in runs(&first).into_iter().enumerate() {
        let run = directory.path().join(number.to_string());
        write_run(&run, &conditions, &summary, &records);
        let kept = keep(&run, Some("a test".to_owned()), &root).unwrap();
        assert_eq!(kept, kind);
    }
    let book = Book::read(&root).unwrap();
    assert_eq!(book.compare.run.command(), first.compare.run.command());
    assert_eq!(book.peers.run.command(), first.peers.run.command());
    assert_eq!(book.compare.curves, first.compare.curves);
    assert_eq!(book.compare.event_bytes, 100.0);
    assert_eq!(book.many.rows, first.many.rows);
    assert_eq!(book.lines.rows, first.lines.rows);
    assert_eq!(book.scale.rows, first.scale.rows);
    assert_eq!(book.scale.bends, first.scale.bends);
    assert_eq!(book.peers.rows, first.peers.rows);
    assert_eq!(book.engines.rows, first.engines.rows);
    assert_eq!(book.scale.provisional.as_deref(), Some("a test"));
    assert!(!write(&root, &book).unwrap().is_empty());
}

#[test]
fn another_run_moves_the_figures_and_nothing_is_left_of_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let (run, root) = (directory.path().join("run"), directory.path().join("root"));
    write_root(&root);
    for (kind, ..) in runs(&book()) {
        let path = format!("src/measured/{}.json", kind.name());
        fs::copy(figures::root().join(&path), root.join(&path)).unwrap();
    }
    let (_, conditions, mut summary, records) = runs(&book()).remove(0);
    for row in summary["rows"].as_array_mut().unwrap() {
        if row["figure"] == "delay p50" && row["method"] == "sse" && row["workers"] == "all" {
            for number in ["median", "low", "high"] {
                row[number] = 77.0.into();
            }
        }
    }
    write_run(&run, &conditions, &summary, &records);
    fs::write(root.join("src/measured/gone.svg"), "").unwrap();

    keep(&run, Some("a test".to_owned()), &root).unwrap();
    let kept = Book::read(&root).unwrap();
    write(&root, &kept).unwrap();
    let tables = fs::read_to_string(root.join("src/measured/tables.md")).unwrap();
    assert!(tables.contains("| 77 ms |"), "{tables}");
    assert!(!root.join("src/measured/gone.svg").exists());
    assert!(
        write(&root, &kept).unwrap().is_empty(),
        "the second time all is there"
    );

    // A run that lost events is not shown.
    let lost = "sse: of 2 events, 1 were lost";
    let rows = summary["rows"].take();
    summary = json!({ "rows": rows, "faults": [lost], "notes": [] });
    write_run(&run, &conditions, &summary, &records);
    let error = keep(&run, None, &root).unwrap_err().to_string();
    assert!(error.contains("1 were lost"), "{error}");

    // What a floor lacks once is noted.
    let reset = "loop: memory: Connection reset by peer";
    summary["faults"] = json!([reset]);
    write_run(&run, &conditions, &summary, &records);
    keep(&run, None, &root).unwrap();
    let notes = Book::read(&root).unwrap().compare.notes;
    assert!(notes.iter().any(|note| note.contains(reset)), "{notes:?}");

    // Nor one that lacks what the book shows.
    let rows = summary["rows"].as_array_mut().unwrap();
    rows.retain(|row| row["figure"] != "bytes an hour");
    summary["faults"] = json!([]);
    write_run(&run, &conditions, &summary, &records);
    let error = format!("{:#}", keep(&run, None, &root).unwrap_err());
    assert!(error.contains("bytes an hour"), "{error}");
    assert_eq!(Book::read(&root).unwrap().compare.rows, kept.compare.rows);
}

#[test]
fn a_server_of_others_that_failed_is_left_out_and_one_of_ours_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let (run, root) = (directory.path().join("run"), directory.path().join("root"));
    write_root(&root);
    let first = book();
    let (_, conditions, mut summary, _) = runs(&first).remove(3);
    let other = "ws:websocket";
    let mut rows: Vec<_> = first.peers.rows.clone();
    rows.retain(|row| row.method != "ws:websocket");
    let mut row = rows[0].clone();
    row.method = other.to_owned();
    rows.push(row);
    summary["rows"] = json!(rows);
    let mut kept = |faults: Value| {
        summary["faults"] = faults;
        write_run(&run, &conditions, &summary, &[]);
        keep(&run, None, &root).unwrap();
        let kept = fs::read_to_string(root.join("src/measured/peers.json")).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let has_row = kept["rows"].to_string().contains(other);
        (kept["run"]["parameters"]["skipped"].to_string(), has_row)
    };
    // What was not measured is not there; what was is.
    let failed = format!("{other}: {}: it does not answer", rows[0].measurement);
    let (skipped, has_row) = kept(json!([failed, failed]));
    assert_eq!(
        skipped.matches("it does not answer").count(),
        1,
        "{skipped}"
    );
    assert!(!has_row);
    let (_, has_row) = kept(json!([format!("{other}: nothing: it does not answer")]));
    assert!(!has_row, "what it means is not known");
    let another = match &*rows[0].measurement {
        "delivery" => "memory",
        _ => "delivery",
    };
    let failed = format!("{other}: {another}: it does not answer");
    let (_, has_row) = kept(json!([failed]));
    assert!(has_row);
    let (_, has_row) = kept(json!([format!("{other}: of 2 events, 1 were lost")]));
    assert!(!has_row);

    summary["faults"] = json!(["websocket:walk: of 2 events, 1 were lost"]);
    write_run(&run, &conditions, &summary, &[]);
    let error = keep(&run, None, &root).unwrap_err().to_string();
    assert!(error.contains("1 were lost"), "{error}");
}
