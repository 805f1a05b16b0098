//! Keeps a run of the lab: its conditions, its summary, and what the charts need of its
//! measurements.

use crate::data::{Data, Run, Summary, PROTOCOL, WORKERS};
use crate::DIRECTORY;
use anyhow::{ensure, Context as _};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// As much of a line of `results.jsonl` as is kept.
#[derive(Debug, Deserialize)]
struct Record {
    method: String,
    measurement: String,
    delay_ms: Option<Quantiles>,
    counts: Option<Counts>,
    payload: Option<f64>,
    protocol: String,
    workers: String,
}

#[derive(Debug, Deserialize)]
struct Quantiles {
    p50: f64,
    curve: Vec<(f64, f64)>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    delivered: f64,
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Copies what the book needs of the run in this directory to `src/measured`.
///
/// # Errors
/// If the run has faults, lacks one of its files, or has them in another form.
pub fn keep(from: &Path, provisional: Option<String>, root: &Path) -> anyhow::Result<()> {
    let run: Run = read(&from.join("run.json"))?;
    run.check()?;
    let summary: Summary = read(&from.join("summary.json"))?;
    ensure!(
        summary.faults.is_empty(),
        "the run has faults: {:?}",
        summary.faults
    );
    let lines = fs::read_to_string(from.join("results.jsonl"))?;
    let records = lines.lines().map(serde_json::from_str);
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    let plain = records
        .iter()
        .filter(|record| (&*record.protocol, &*record.workers) == (PROTOCOL, WORKERS));
    let mut delays: BTreeMap<&str, Vec<&Quantiles>> = BTreeMap::new();
    let mut event_bytes = None;
    for record in plain {
        if let ("delivery", Some(delay)) = (&*record.measurement, &record.delay_ms) {
            delays.entry(&record.method).or_default().push(delay);
        }
        if let (Some(payload), Some(counts)) = (record.payload, &record.counts) {
            event_bytes = Some(payload / counts.delivered);
        }
    }
    // Of each method the repetition in the middle.
    let curves = delays.into_iter().map(|(method, mut repetitions)| {
        repetitions.sort_by(|one, other| one.p50.total_cmp(&other.p50));
        let middle = repetitions[repetitions.len() / 2];
        (method.to_owned(), middle.curve.clone())
    });
    let data = Data {
        provisional,
        run,
        event_bytes: event_bytes.context("the run has no traffic")?,
        curves: curves.collect(),
        rows: summary.rows,
        noise: summary.noise,
        notes: summary.notes,
    };
    let directory = root.join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    let json = serde_json::to_string_pretty(&data)? + "\n";
    fs::write(directory.join("compare.json"), json)?;
    fs::copy(from.join("summary.csv"), directory.join("compare.csv"))?;
    Ok(())
}
