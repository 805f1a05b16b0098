//! Keeps a run of the lab: its conditions, its summary, and what the charts need of its
//! measurements.

use crate::{
    data::{
        Bend, Book, Data, EngineRow, Engines, Kept, Kind, PeersParameters, Row, Run, Scale,
        SizeRow, ONE_THREAD, PROTOCOL, WORKERS,
    },
    outputs,
    tables::{BARE_ANSWER, BARE_SOCKET, BARE_STREAM},
    DIRECTORY,
};
use anyhow::{ensure, Context as _};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use serde_json::{json, Value};
use std::{collections::BTreeMap, fs, mem, path::Path};

/// As much of a line of `results.jsonl` as is kept.
#[derive(Debug, Deserialize)]
struct Record {
    method: String,
    measurement: String,
    delay_ms: Option<Quantiles>,
    counts: Option<Counts>,
    payload: Option<f64>,
    shortened: Option<bool>,
    protocol: String,
    workers: String,
    line: Line,
}

#[derive(Debug, Deserialize)]
struct Line {
    rtt_ms: f64,
    loss_percent: f64,
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

/// `summary.json`.
#[derive(Debug, Deserialize)]
struct Summary<R> {
    rows: Vec<R>,
    #[serde(default)]
    noise: Value,
    #[serde(default)]
    bends: Vec<Bend>,
    faults: Vec<String>,
    notes: Vec<String>,
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// The conditions of a run, of what kind it may be.
fn read_run(from: &Path) -> anyhow::Result<Run<Value>> {
    let mut run: Run<Value> = read(&from.join("run.json"))?;
    run.check()?;
    run.command = repeatable(run.command);
    Ok(run)
}

/// What a reader would type to repeat a run: without the program, and without where servers were
/// and results went, which are paths of one machine.
fn repeatable(command: Vec<String>) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut given = command.into_iter().skip(1);
    while let Some(argument) = given.next() {
        match &*argument {
            "--no-build" => {}
            "--out" => {
                given.next();
            }
            _ => arguments.push(argument),
        }
    }
    arguments
}

/// The conditions as the run's kind has them.
fn typed<P: DeserializeOwned>(run: Run<Value>) -> anyhow::Result<Run<P>> {
    Ok(Run {
        schema: run.schema,
        started: run.started,
        command: run.command,
        machine: run.machine,
        versions: run.versions,
        parameters: serde_json::from_value(run.parameters)?,
    })
}

/// Which kind of run is in this directory.
///
/// # Errors
/// If it is none.
fn kind(run: &Run<Value>) -> anyhow::Result<Kind> {
    let parameters = &run.parameters;
    if parameters.get("sizes").is_some() {
        return Ok(Kind::Scale);
    }
    if parameters.get("small_window").is_some() {
        return Ok(Kind::Engines);
    }
    if parameters.get("servers").is_some() {
        return Ok(Kind::Peers);
    }
    let lines = parameters.get("lines").and_then(Value::as_array);
    let lines = lines.context("a run of none of the commands that the book shows")?;
    let is_none = |line: &Value| line["rtt_ms"] == 0.0 && line["loss_percent"] == 0.0;
    if !lines.iter().all(is_none) {
        return Ok(Kind::Lines);
    }
    let one_thread = parameters["workers"] == json!([ONE_THREAD]);
    Ok(match one_thread {
        true => Kind::Many,
        false => Kind::Compare,
    })
}

/// Copies what the book needs of the run in this directory to `src/measured`, and returns of which
/// kind it is.
///
/// # Errors
/// If a server of the book's failed, or the run lacks one of its files or something that the book
/// shows, or has it in another form.
pub fn keep(from: &Path, provisional: Option<String>, root: &Path) -> anyhow::Result<Kind> {
    let run = read_run(from)?;
    let kind = kind(&run)?;
    // What was there, to see whether the book can be made of the new run. At first nothing is.
    let mut book = Book::read(root).ok();
    let json = match kind {
        Kind::Compare => {
            let data = compare(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.compare)?
        }
        Kind::Many => {
            let data = kept(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.many)?
        }
        Kind::Lines => {
            let data = kept(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.lines)?
        }
        Kind::Scale => {
            let data = scale(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.scale)?
        }
        Kind::Peers => {
            let data = peers(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.peers)?
        }
        Kind::Engines => {
            let data = engines(from, run, provisional)?;
            replace(&mut book, data, |book| &mut book.engines)?
        }
    };
    if let Some(book) = &book {
        outputs(book).context("the book cannot be made of this run")?;
    }
    let directory = root.join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    let name = kind.name();
    fs::write(directory.join(format!("{name}.json")), json)?;
    let table = directory.join(format!("{name}.csv"));
    fs::copy(from.join("summary.csv"), table)?;
    Ok(kind)
}

/// Puts a run in the place of the last of its kind; its JSON.
fn replace<T: Serialize>(
    book: &mut Option<Book>,
    data: T,
    place: fn(&mut Book) -> &mut T,
) -> anyhow::Result<String> {
    let json = as_json(&data)?;
    if let Some(book) = book {
        *place(book) = data;
    }
    Ok(json)
}

/// The lab's own servers, which other figures stand beside.
const FLOORS: [&str; 4] = ["loop", BARE_STREAM.0, BARE_SOCKET.0, BARE_ANSWER.0];

/// The summary of a run in which none of the book's servers failed. Where a floor did, its figure
/// is of one repetition less; that is noted.
fn summary<R: DeserializeOwned>(from: &Path) -> anyhow::Result<Summary<R>> {
    let mut summary: Summary<R> = read(&from.join("summary.json"))?;
    let is_of_floor = |fault: &String| FLOORS.contains(&fault.split(':').next().unwrap_or(fault));
    let (of_floors, faults): (Vec<_>, Vec<_>) = mem::take(&mut summary.faults)
        .into_iter()
        .partition(is_of_floor);
    ensure!(faults.is_empty(), "the run has faults: {faults:?}");
    let noted = of_floors
        .into_iter()
        .map(|fault| format!("Once, of a floor: {fault}"));
    summary.notes.extend(noted);
    Ok(summary)
}

fn kept(from: &Path, run: Run<Value>, provisional: Option<String>) -> anyhow::Result<Kept> {
    let summary: Summary<Row> = summary(from)?;
    Ok(Kept {
        provisional,
        run: typed(run)?,
        rows: summary.rows,
        notes: summary.notes,
    })
}

fn scale(from: &Path, run: Run<Value>, provisional: Option<String>) -> anyhow::Result<Scale> {
    let summary: Summary<SizeRow> = summary(from)?;
    Ok(Scale {
        provisional,
        run: typed(run)?,
        rows: summary.rows,
        bends: summary.bends,
        notes: summary.notes,
    })
}

fn engines(from: &Path, run: Run<Value>, provisional: Option<String>) -> anyhow::Result<Engines> {
    let summary: Summary<EngineRow> = summary(from)?;
    Ok(Engines {
        provisional,
        run: typed(run)?,
        rows: summary.rows,
        notes: summary.notes,
    })
}

fn compare(from: &Path, run: Run<Value>, provisional: Option<String>) -> anyhow::Result<Data> {
    let summary: Summary<Row> = summary(from)?;
    let lines = fs::read_to_string(from.join("results.jsonl"))?;
    let records = lines.lines().map(serde_json::from_str);
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    let plain = records.iter().filter(|record| {
        (&*record.protocol, &*record.workers) == (PROTOCOL, WORKERS)
            && (record.line.rtt_ms, record.line.loss_percent) == (0.0, 0.0)
    });
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
    Ok(Data {
        provisional,
        run: typed(run)?,
        event_bytes: event_bytes.context("the run has no traffic")?,
        shortened: records.iter().any(|record| record.shortened == Some(true)),
        curves: curves.collect(),
        rows: summary.rows,
        noise: summary.noise,
        notes: summary.notes,
    })
}

/// Of a server that is not the book's, what failed is left out, with the reason: a measurement that
/// could not be made, or all of a server that lost events.
fn peers(
    from: &Path,
    run: Run<Value>,
    provisional: Option<String>,
) -> anyhow::Result<Kept<PeersParameters>> {
    let summary: Summary<Row> = read(&from.join("summary.json"))?;
    let mut data = Kept {
        provisional,
        run: typed::<PeersParameters>(run)?,
        rows: summary.rows,
        notes: summary.notes,
    };
    for fault in summary.faults {
        let mut parts = fault.split(": ");
        let server = parts.next().unwrap_or(&fault);
        ensure!(is_of_others(server), "the run has faults: {fault}");
        let failed = parts
            .next()
            .filter(|it| ["delivery", "memory"].contains(it));
        data.rows.retain(|row| {
            let is_wrong = failed.is_none_or(|failed| row.measurement == failed);
            row.method != server || !is_wrong
        });
        let skipped = format!("skipped: {fault}");
        // Each repetition has it.
        if !data.run.parameters.skipped.contains(&skipped) {
            data.run.parameters.skipped.push(skipped);
        }
    }
    Ok(data)
}

/// Whether a name of `lab peers` is that of a server that is neither the book's nor a floor.
fn is_of_others(server: &str) -> bool {
    let method = server.split_once(':').map(|(_, method)| method);
    matches!(method, Some("websocket" | "sse" | "long-polling"))
}

/// As JSON that shows in a diff which figure has changed: a line for each row.
fn as_json(data: &impl Serialize) -> anyhow::Result<String> {
    fn write(text: &mut String, value: &Value, depth: usize) -> anyhow::Result<()> {
        const DEEPEST: usize = 2;
        let indent = "  ".repeat(depth + 1);
        match value {
            Value::Object(fields) if depth < DEEPEST && !fields.is_empty() => {
                text.push_str("{\n");
                for (number, (name, value)) in fields.iter().enumerate() {
                    text.push_str(if number > 0 { ",\n" } else { "" });
                    text.push_str(&indent);
                    text.push_str(&serde_json::to_string(name)?);
                    text.push_str(": ");
                    write(text, value, depth + 1)?;
                }
                text.push_str(&format!("\n{}}}", &indent[2..]));
            }
            Value::Array(values) if depth < DEEPEST && !values.is_empty() => {
                text.push_str("[\n");
                for (number, value) in values.iter().enumerate() {
                    text.push_str(if number > 0 { ",\n" } else { "" });
                    text.push_str(&indent);
                    write(text, value, DEEPEST)?;
                }
                text.push_str(&format!("\n{}]", &indent[2..]));
            }
            _ => text.push_str(&serde_json::to_string(value)?),
        }
        Ok(())
    }
    let mut text = String::new();
    write(&mut text, &serde_json::to_value(data)?, 0)?;
    text.push('\n');
    Ok(text)
}
