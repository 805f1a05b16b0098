//! The command `engines`: what it costs that an engine keeps the log, beside a log in memory.
//!
//! Two windows of one log stand for two servers, in this process and on one clock: the first
//! publishes, the second is read. There is no HTTP between them, which would be the same for all.
//! The log in memory has one window, which is published to and read.

use crate::{
    clients::quantiles,
    results::{Directory, Quantiles},
    run::{self, Kept},
};
use anyhow::{bail, ensure, Context as _};
use contract::{Cursor, Data, Kind, Position};
use engines::{Address, Opened};
use feed::{Delivery, Feed, Retention, Subscription};
use futures_util::{stream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use testbed::{
    engine::{self, Engine},
    parts::Missing,
};
use tokio::{task::JoinHandle, time::timeout};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Less of everything: some seconds, to see that it works
    #[arg(long)]
    quick: bool,

    /// How often each is measured [default: 9; with --quick 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,

    /// What is measured; all that this program was built with by default
    #[arg(long, value_delimiter = ',', value_name = "LOG")]
    logs: Vec<Log>,

    /// A new directory for the results [default: one named by the time, in target/lab]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Log {
    /// In memory: the floor
    Memory,
    /// In a file of SQLite
    File,
    /// In NATS JetStream, one node
    Nats,
    /// In PostgreSQL
    Postgres,
}

/// Those that this program was built with.
fn built() -> Vec<Log> {
    let mut logs = vec![Log::Memory];
    if cfg!(feature = "file") {
        logs.push(Log::File);
    }
    if cfg!(feature = "nats") {
        logs.push(Log::Nats);
    }
    if cfg!(feature = "postgres") {
        logs.push(Log::Postgres);
    }
    logs
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
struct Parameters {
    quick: bool,
    repetitions: u32,
    /// Events that are published one after the other, with a rest in between.
    single: u32,
    /// The rest, in milliseconds.
    rest_ms: u64,
    /// Events that are published as fast as may be, one at a time.
    in_turn: u32,
    /// Events that are published as fast as may be, several at a time.
    at_once: u32,
    /// How many at a time.
    publishers: usize,
    /// Events that a reader has missed, who was away for a minute.
    missed: u32,
    /// Of that minute, each second.
    missed_rate: u32,
    /// Events that are in the window of a server that lets its readers ask the engine.
    small_window: usize,
    /// Bytes of an event's data.
    data_bytes: usize,
    /// How many events a window holds otherwise.
    window: usize,
    /// Of the engines that are programs of their own.
    versions: BTreeMap<&'static str, String>,
}

impl Parameters {
    fn new(options: &Options, logs: &[Log]) -> anyhow::Result<Self> {
        let or = |full: u32, quick: u32| if options.quick { quick } else { full };
        let mut versions = BTreeMap::new();
        for (log, name, kind) in [
            (Log::Nats, "nats-server", engine::Kind::Nats),
            (Log::Postgres, "PostgreSQL", engine::Kind::Postgres),
        ] {
            if logs.contains(&log) {
                match engine::version(kind) {
                    // It is left out below, too.
                    Err(error) if error.is::<Missing>() => {}
                    version => drop(versions.insert(name, version?)),
                }
            }
        }
        Ok(Self {
            quick: options.quick,
            repetitions: options.repetitions.unwrap_or(or(9, 1)),
            single: or(200, 20),
            rest_ms: 10,
            in_turn: or(500, 50),
            at_once: or(2000, 200),
            publishers: 32,
            missed: or(3000, 300),
            missed_rate: or(50, 5),
            small_window: 100,
            data_bytes: 100,
            window: 10_000,
            versions,
        })
    }
}

/// One repetition with one log.
#[derive(Clone, Debug, Serialize)]
struct Record {
    log: Log,
    repetition: u32,
    /// From before a publish until the reader at the other window has the event.
    receipt_ms: Quantiles,
    /// From before a publish until its answer.
    answer_ms: Quantiles,
    /// Publishes a second, one at a time.
    in_turn_per_s: f64,
    /// Publishes a second, several at a time.
    at_once_per_s: f64,
    /// From the subscription until the last of the missed events, out of the window.
    catch_up_ms: f64,
    /// The same where the window has only the newest of them: the engine is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_through_ms: Option<f64>,
    /// From opening a window until a reader who comes back has the event after his cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_ms: Option<f64>,
}

/// A server as far as the log goes: a window, and the task that fills it.
struct Window {
    feed: Feed,
    filling: Option<JoinHandle<()>>,
}

impl Drop for Window {
    fn drop(&mut self) {
        if let Some(filling) = &self.filling {
            filling.abort();
        }
    }
}

impl Window {
    async fn open(address: &str, max_events: usize) -> anyhow::Result<Self> {
        let retention = Retention {
            max_events,
            ..Retention::default()
        };
        let address: Address = address.parse()?;
        let Opened { feed, filling } = engines::open(&address, retention, engines::KEPT).await?;
        let filling = filling.map(tokio::spawn);
        Ok(Self { feed, filling })
    }

    /// The same log in memory once more, or another window of the log of an engine.
    async fn beside(&self, log: Log, address: &str, max_events: usize) -> anyhow::Result<Self> {
        match log {
            Log::Memory => Ok(Self {
                feed: self.feed.clone(),
                filling: None,
            }),
            _ => Self::open(address, max_events).await,
        }
    }
}

/// Nothing takes so long, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is published: text of a length.
fn data(bytes: usize) -> Data {
    // The quotes are two of them.
    let text = "x".repeat(bytes.saturating_sub(2));
    Data::new(&text).expect("text is JSON")
}

fn kind() -> Kind {
    "message".parse().expect("it is a kind")
}

async fn batch(subscription: &mut Subscription) -> anyhow::Result<feed::Batch> {
    let next = timeout(PATIENCE, subscription.next());
    match next.await.context("nothing comes")? {
        Some(Delivery::Batch(batch)) => Ok(batch),
        Some(Delivery::Gap(gap)) => bail!("a gap: {gap}"),
        None => bail!("the log ended"),
    }
}

/// Reads until a place.
async fn read_to(subscription: &mut Subscription, last: Cursor) -> anyhow::Result<u32> {
    let mut count = 0;
    loop {
        let batch = batch(subscription).await?;
        count += u32::try_from(batch.events.len())?;
        if batch.next.id >= last.id {
            return Ok(count);
        }
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Publishes one event after the other, and reads each at the other window.
async fn one_by_one(
    here: &Feed,
    there: &Feed,
    asked: &Parameters,
) -> anyhow::Result<(Quantiles, Quantiles)> {
    let mut reader = there.subscribe(Position::Latest)?;
    let (mut receipts, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..asked.single {
        let begun = Instant::now();
        let publish = async {
            let published = here.publish(kind(), data(asked.data_bytes)).await?;
            answers.push(begun.elapsed());
            anyhow::Ok(published)
        };
        let receipt = async {
            let read = batch(&mut reader).await?;
            receipts.push(begun.elapsed());
            ensure!(read.events.len() == 1, "more events than were published");
            anyhow::Ok(read.next)
        };
        // Whichever comes first: an engine may tell the others before it answers.
        let (published, read) = tokio::try_join!(publish, receipt)?;
        ensure!(published == read, "{published} was published, {read} read");
        tokio::time::sleep(Duration::from_millis(asked.rest_ms)).await;
    }
    Ok((quantiles(receipts)?, quantiles(answers)?))
}

/// Publishes, so many at a time; publishes a second, and the last place.
async fn publish(
    feed: &Feed,
    events: u32,
    at_once: usize,
    bytes: usize,
) -> anyhow::Result<(f64, Cursor)> {
    let begun = Instant::now();
    let last = stream::iter(0..events)
        .map(|_| feed.publish(kind(), data(bytes)))
        .buffer_unordered(at_once)
        .try_fold(None, async |last: Option<Cursor>, next| {
            let later = last.filter(|last| last.id > next.id);
            Ok(Some(later.unwrap_or(next)))
        });
    let last = last.await?.context("nothing was published")?;
    Ok((f64::from(events) / begun.elapsed().as_secs_f64(), last))
}

async fn measure(
    address: &str,
    log: Log,
    repetition: u32,
    asked: &Parameters,
) -> anyhow::Result<Record> {
    let here = Window::open(address, asked.window).await?;
    let there = here.beside(log, address, asked.window).await?;
    // Connections, caches and the like.
    publish(&here.feed, 50, 1, asked.data_bytes).await?;
    let (_, cursor) = publish(&here.feed, 50, asked.publishers, asked.data_bytes).await?;
    there.feed.reach(Position::After(cursor)).await?;

    let (receipt_ms, answer_ms) = one_by_one(&here.feed, &there.feed, asked).await?;
    let (in_turn_per_s, _) = publish(&here.feed, asked.in_turn, 1, asked.data_bytes).await?;
    let (at_once_per_s, cursor) = publish(
        &here.feed,
        asked.at_once,
        asked.publishers,
        asked.data_bytes,
    )
    .await?;

    let (_, last) = publish(&here.feed, asked.missed, asked.publishers, asked.data_bytes).await?;
    there.feed.reach(Position::After(last)).await?;
    let catch_up = async |feed: &Feed| {
        let begun = Instant::now();
        let mut reader = feed.subscribe(Position::After(cursor))?;
        let count = read_to(&mut reader, last).await?;
        ensure!(count == asked.missed, "{count} events came");
        anyhow::Ok(milliseconds(begun))
    };
    let catch_up_ms = catch_up(&there.feed).await?;
    let (mut read_through_ms, mut restart_ms) = (None, None);
    if log != Log::Memory {
        let small = here.beside(log, address, asked.small_window).await?;
        read_through_ms = Some(catch_up(&small.feed).await?);
        drop((small, there));
        let (_, _) = publish(&here.feed, 1, 1, asked.data_bytes).await?;
        let begun = Instant::now();
        let again = here.beside(log, address, asked.window).await?;
        let mut reader = again.feed.subscribe(Position::After(last))?;
        batch(&mut reader).await?;
        restart_ms = Some(milliseconds(begun));
    }
    Ok(Record {
        log,
        repetition,
        receipt_ms,
        answer_ms,
        in_turn_per_s,
        at_once_per_s,
        catch_up_ms,
        read_through_ms,
        restart_ms,
    })
}

/// Where the log is, and what keeps it there.
async fn start(log: Log) -> anyhow::Result<(String, Option<Engine>)> {
    let kind = match log {
        Log::Memory => return Ok((Address::Memory.to_string(), None)),
        Log::File => engine::Kind::File,
        Log::Nats => engine::Kind::Nats,
        Log::Postgres => engine::Kind::Postgres,
    };
    let engine = Engine::start(kind).await?;
    Ok((engine.address(), Some(engine)))
}

/// A figure of one log over the repetitions.
#[derive(Clone, Debug, Serialize)]
struct Row {
    log: Log,
    figure: &'static str,
    unit: &'static str,
    median: f64,
    low: f64,
    high: f64,
    /// To the log in memory, of the same repetition; the median of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_median: Option<f64>,
}

type Figure = (&'static str, &'static str, fn(&Record) -> Option<f64>);

const FIGURES: [Figure; 9] = [
    ("receipt p50", "ms", |it| Some(it.receipt_ms.p50)),
    ("receipt p99", "ms", |it| Some(it.receipt_ms.p99)),
    ("answer p50", "ms", |it| Some(it.answer_ms.p50)),
    ("answer p99", "ms", |it| Some(it.answer_ms.p99)),
    ("in turn", "1/s", |it| Some(it.in_turn_per_s)),
    ("at once", "1/s", |it| Some(it.at_once_per_s)),
    ("catch-up", "ms", |it| Some(it.catch_up_ms)),
    ("read through", "ms", |it| it.read_through_ms),
    ("restart", "ms", |it| it.restart_ms),
];

/// Of one value at least.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    f64::midpoint(values[last / 2], values[last.div_ceil(2)])
}

fn rows(records: &[Record]) -> Vec<Row> {
    let mut rows = Vec::new();
    for log in built() {
        for (figure, unit, value) in FIGURES {
            let of = |log: Log| {
                let own = records.iter().filter(move |it| it.log == log);
                own.filter_map(move |it| Some((it.repetition, value(it)?)))
            };
            let mut values: Vec<f64> = of(log).map(|(_, value)| value).collect();
            if values.is_empty() {
                continue;
            }
            let mut ratios: Vec<f64> = of(log)
                .filter_map(|(repetition, value)| {
                    let floor = of(Log::Memory).find(|floor| floor.0 == repetition)?;
                    Some(value / floor.1)
                })
                .collect();
            let has_floor = log != Log::Memory && !ratios.is_empty();
            rows.push(Row {
                log,
                figure,
                unit,
                median: median(&mut values),
                low: values[0],
                high: values[values.len() - 1],
                ratio_median: has_floor.then(|| median(&mut ratios)),
            });
        }
    }
    rows
}

/// The summary, as a person and as a program reads it.
fn sum_up(directory: &Directory, records: &[Record]) -> anyhow::Result<()> {
    let rows = rows(records);
    for row in &rows {
        let ratio = row.ratio_median;
        let ratio = ratio.map_or_else(String::new, |it| format!("  {it:.1}x"));
        let name = format!("{:?}", row.log).to_lowercase();
        println!(
            "{name:<9} {:<13} {:>10.3} {} ({:.3} to {:.3}){ratio}",
            row.figure, row.median, row.unit, row.low, row.high,
        );
    }
    let mut table = csv::Writer::from_path(directory.file("summary.csv"))?;
    table.write_record(["log", "figure", "unit", "median", "low", "high", "ratio"])?;
    for row in &rows {
        let name = format!("{:?}", row.log).to_lowercase();
        let ratio = row.ratio_median.map(|it| it.to_string());
        table.write_record([
            name.as_str(),
            row.figure,
            row.unit,
            &row.median.to_string(),
            &row.low.to_string(),
            &row.high.to_string(),
            ratio.as_deref().unwrap_or_default(),
        ])?;
    }
    table.flush()?;
    let summary = serde_json::json!({ "rows": rows, "faults": [], "notes": [] });
    let text = serde_json::to_string_pretty(&summary)?;
    Ok(std::fs::write(directory.file("summary.json"), text)?)
}

/// Measures, and keeps what it has measured.
///
/// # Errors
/// Where an engine is missing or fails, and where an event was lost or doubled.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let logs = match options.logs.is_empty() {
        true => built(),
        false => options.logs.clone(),
    };
    for log in &logs {
        ensure!(
            built().contains(log),
            "this program was built without {log:?}: cargo run --release -p lab --features file,nats,postgres -- engines"
        );
    }
    let parameters = Parameters::new(options, &logs)?;
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    run::in_process(
        &options.out,
        profile.to_owned(),
        parameters,
        |asked| {
            format!(
                "{} repetitions; events of {} bytes",
                asked.repetitions, asked.data_bytes
            )
        },
        async |asked, kept: &mut Kept<Record>| {
            for repetition in 0..asked.repetitions {
                // Each begins with another one.
                let first = repetition as usize % logs.len();
                let (before, from) = logs.split_at(first);
                for log in from.iter().chain(before) {
                    let (address, engine) = match start(*log).await {
                        Err(error) if error.is::<Missing>() => {
                            eprintln!("lab: skipped: {log:?}: {error:#}");
                            continue;
                        }
                        started => started?,
                    };
                    let measured = measure(&address, *log, repetition, asked).await;
                    let measured = measured.with_context(|| format!("{log:?}"))?;
                    drop(engine);
                    kept.keep(measured)?;
                }
            }
            Ok(())
        },
        |_, kept| sum_up(&kept.directory, &kept.records).map(|()| Vec::new()),
    )
}
