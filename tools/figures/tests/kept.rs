//! What the book shows of the lab's data is what the data gives.

use capacity::measured;
use figures::{keep, left_over, outputs, root, wire, write, Data};
use std::{collections::BTreeSet, fs};

fn data() -> Data {
    Data::read(root()).expect("src/measured has the data")
}

#[test]
fn every_kept_file_is_what_the_data_gives() {
    let files = outputs(&data()).unwrap();
    let mut stale = left_over(root(), &files).unwrap();
    stale.extend(files.into_iter().filter_map(|(path, text)| {
        let kept = fs::read_to_string(root().join(&path)).ok();
        (kept.as_ref() != Some(&text)).then_some(path)
    }));
    assert!(stale.is_empty(), "run `cargo xtask figures`: {stale:#?}");
}

#[test]
fn the_constants_of_capacity_are_the_measured_ones() {
    assert_eq!(wire(&data()).unwrap(), measured::HTTP1);
}

#[test]
fn the_table_for_spreadsheets_has_the_same_figures() {
    let csv = fs::read_to_string(root().join("src/measured/compare.csv")).unwrap();
    assert_eq!(csv.lines().count(), data().rows.len() + 1);
    for row in data().rows {
        let (figure, median) = (&row.figure, row.median);
        let quoted = format!("\"{figure}\"");
        let name = if figure.contains(',') {
            &quoted
        } else {
            figure
        };
        let begin = format!(
            "{},{},{},{:?},{:?},",
            row.measurement, row.method, row.workers, row.rtt_ms, row.loss_percent
        );
        let middle = format!(",{name},{},", row.unit);
        let end = format!(",{}", row.protocol);
        let mut lines = csv.lines();
        let found = lines.find(|line| {
            line.starts_with(&begin) && line.contains(&middle) && line.ends_with(&end)
        });
        let found = found.unwrap_or_else(|| panic!("no {begin}…{middle}"));
        let (_, numbers) = found.split_once(&middle).unwrap();
        let written: f64 = numbers.split(',').nth(1).unwrap().parse().unwrap();
        assert!(
            (written - median).abs() <= 1e-9 * median.abs(),
            "{found}: {median}"
        );
    }
}

#[test]
fn a_chart_is_text_that_a_page_can_hold() {
    let files = outputs(&data()).unwrap();
    let charts = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "svg"));
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for (path, svg) in charts {
        let name = path.display();
        count += 1;
        assert!(svg.len() <= 20_000, "{name}: {} bytes", svg.len());
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
fn another_run_moves_the_figures_and_nothing_is_left_of_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let (run, root) = (directory.path().join("run"), directory.path().join("root"));
    for path in [
        &run,
        &root.join("src/measured"),
        &root.join("crates/capacity/src"),
    ] {
        fs::create_dir_all(path).unwrap();
    }
    let data = data();
    let mut record = serde_json::json!({
        "run": data.run, "rows": data.rows, "noise": data.noise, "notes": data.notes,
        "faults": [],
    });
    let text = serde_json::to_string(&record["run"]).unwrap();
    fs::write(run.join("run.json"), text).unwrap();
    fs::write(run.join("summary.csv"), "").unwrap();
    let mut lines: Vec<_> = data
        .curves
        .iter()
        .map(|(method, curve)| {
            let delay = serde_json::json!({ "p50": 1.0, "curve": curve });
            let measurement = "delivery";
            serde_json::json!({ "method": method, "measurement": measurement, "delay_ms": delay, "protocol": "h1", "workers": "all" })
        })
        .collect();
    lines.push(serde_json::json!({
        "method": "sse", "measurement": "traffic", "payload": 1000, "counts": { "delivered": 10 },
        "protocol": "h1", "workers": "all",
    }));
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    fs::write(run.join("results.jsonl"), lines.join("\n")).unwrap();
    for row in record["rows"].as_array_mut().unwrap() {
        if row["figure"] == "delay p50" && row["method"] == "sse" {
            for number in ["median", "low", "high"] {
                row[number] = 77.0.into();
            }
        }
    }
    let summary = run.join("summary.json");
    fs::write(&summary, record.to_string()).unwrap();
    fs::write(root.join("src/measured/gone.svg"), "").unwrap();

    keep(&run, Some("a test".to_owned()), &root).unwrap();
    let kept = Data::read(&root).unwrap();
    assert_eq!(kept.provisional.as_deref(), Some("a test"));
    assert_eq!(kept.event_bytes, 100.0);
    write(&root, &kept).unwrap();
    let tables = fs::read_to_string(root.join("src/measured/tables.md")).unwrap();
    assert!(tables.contains("| 77 ms |"), "{tables}");
    assert!(!root.join("src/measured/gone.svg").exists());
    assert!(
        write(&root, &kept).unwrap().is_empty(),
        "the second time all is there"
    );

    // A run that lost events is not shown.
    record["faults"] = serde_json::json!(["sse: of 2 events, 1 were lost"]);
    fs::write(&summary, record.to_string()).unwrap();
    let error = keep(&run, None, &root).unwrap_err().to_string();
    assert!(error.contains("1 were lost"), "{error}");
}
