//! The fault run: publishers and readers, while what stands between them is killed and
//! paused; and in the end the history of all that, checked.

use crate::{
    load::{self, Method, Opened, Read, Shift},
    plan,
    world::World,
};
use anyhow::{ensure, Context as _};
use contract::{Cursor, EventId, Position};
use fastrand::Rng;
use servers::history::{Answer, Fault, History, Loser, Received, Seen};
use std::{sync::PoisonError, time::Duration};
use tokio::{
    task::JoinSet,
    time::{sleep, Instant},
};

/// How long things may take in the end, once all is mended: generous, other tests run
/// beside this.
const PATIENCE: Duration = Duration::from_secs(90);

/// At least so many events are acknowledged in the short run, or nothing was proved.
const ENOUGH: u64 = 100;

/// How many faults of a history are told.
const TOLD: usize = 20;

/// What a run does.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// For how long things break.
    pub(crate) time: Duration,
    /// Whether the engine is hurt more than its copies are for.
    pub(crate) harsh: bool,
}

/// Runs it, and checks what has happened.
pub(crate) async fn run(run: Run) -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let ran = in_world(&mut world, run).await;
    ran.with_context(|| {
        let words = world.last_words();
        let seed = run.seed;
        format!("seed {seed}, NATS JetStream with three nodes\n{words}\n--- so")
    })
}

async fn in_world(world: &mut World, run: Run) -> anyhow::Result<()> {
    let Run { seed, time, .. } = run;
    let base = world.base();
    let shift = Shift::default();
    let limit = time + 2 * PATIENCE;
    // Two readers by each method, before anybody publishes: one stays, one comes and
    // goes.
    let mut readers = JoinSet::new();
    let mut from = None;
    for (number, method) in Method::ALL.into_iter().enumerate() {
        for (restless, name) in [(false, "stays"), (true, "comes and goes")] {
            let opened = Opened::at(method, &base, Position::Latest, name).await?;
            from.get_or_insert(opened.from());
            let draws = seed.wrapping_add(100 + number as u64);
            let draws = restless.then(|| Rng::with_seed(draws));
            readers.spawn(opened.read(draws, limit));
        }
    }
    let from = from.context("nobody reads")?;
    let mut publishers = JoinSet::new();
    for (number, method) in Method::ALL.into_iter().enumerate() {
        let draws = Rng::with_seed(seed.wrapping_add(number as u64));
        publishers.spawn(load::publish(method, base.clone(), shift.clone(), draws));
    }

    hurt(world, run).await?;
    shift.end();
    world.answers(PATIENCE).await?;
    let mut history = History::default();
    while let Some(published) = publishers.join_next().await {
        history.publishes.extend(published??);
    }
    // Of them, those while the faults lasted, and not in the calm after them.
    let acknowledged = shift
        .acknowledged
        .load(std::sync::atomic::Ordering::Relaxed);
    let last = load::publish_last(&base, &shift, PATIENCE).await?;
    history.publishes.push(last);
    // Who comes late is owed the whole log, most of which is in no server's window.
    let servers: Vec<_> = world.bases().collect();
    for (server, method) in servers.iter().cycle().zip(Method::ALL) {
        let position = Position::After(Cursor {
            id: EventId::ZERO,
            ..from
        });
        let opened = Opened::at(method, server, position, "late").await?;
        readers.spawn(opened.read(None, PATIENCE));
    }
    let mut read = Vec::new();
    while let Some(reader) = readers.join_next().await {
        read.push(reader?);
    }
    history.kept = Some(kept(&world.nodes()).await?);
    judge(world, history, read, &shift, acknowledged, seed)
}

/// Breaks what the seed says, and mends it.
async fn hurt(world: &mut World, run: Run) -> anyhow::Result<()> {
    let Run { seed, time, harsh } = run;
    let begun = Instant::now();
    let faults = plan::draw(seed, time, harsh);
    let mut due = Vec::new();
    for fault in &faults {
        due.push((fault.at, true, fault));
        due.push((fault.at + fault.lasts, false, fault));
    }
    due.sort_by_key(|(at, ..)| *at);
    let mut due = due.into_iter().peekable();
    while begun.elapsed() < time || due.peek().is_some() {
        while let Some((_, begins, fault)) = due.next_if(|it| it.0 <= begun.elapsed()) {
            match begins {
                true => {
                    println!("{fault}");
                    world.hurt(fault);
                }
                false => world.mend(fault)?,
            }
        }
        world.look_after()?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What the engine holds, read by its own client: whatever is wrong in the book's code
/// is not wrong here.
async fn kept(nodes: &[String]) -> anyhow::Result<Vec<Seen>> {
    let client = async_nats::connect(nodes).await?;
    let stream = async_nats::jetstream::new(client);
    let mut stream = stream.get_stream("events").await?;
    let state = stream.info().await?.state.clone();
    let mut kept = Vec::new();
    for number in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(number).await?;
        let epoch = message.subject.rsplit('.').next().context("no log")?;
        kept.push(Seen {
            id: format!("{epoch}.{number}").parse()?,
            key: load::text(std::str::from_utf8(&message.payload)?),
        });
    }
    Ok(kept)
}

fn judge(
    world: &World,
    mut history: History,
    read: Vec<Read>,
    shift: &Shift,
    acknowledged: u64,
    seed: u64,
) -> anyhow::Result<()> {
    let returns: u64 = read.iter().map(|it| it.returns).sum();
    let broken: Vec<_> = read.iter().filter_map(|it| it.broken.clone()).collect();
    history.readers = read.into_iter().map(|it| it.reader).collect();
    let faults = history.check();
    let unknown = history.publishes.iter().filter(|publish| {
        let unknown = |it: &_| matches!(it, Answer::Unknown);
        publish
            .tries
            .iter()
            .map(|it| it.answer)
            .all(|it| unknown(&it))
    });
    let kept = history.kept.as_ref().map_or(0, Vec::len);
    let tries: usize = history.publishes.iter().map(|it| it.tries.len()).sum();
    let received = history.readers.iter().flat_map(|it| &it.received);
    let (seen, gaps): (Vec<_>, Vec<_>) =
        received.partition(|it| matches!(it, Received::Event(_)));
    println!(
        "seed {seed}: {} published in {tries} attempts, {acknowledged} acknowledged, {} \
         unknown; {kept} kept by the engine, {} received by {} readers over {returns} \
         connections and {} servers that ended by themselves; {} faults of the log",
        history.publishes.len(),
        unknown.count(),
        seen.len(),
        history.readers.len(),
        world.ends,
        faults.len(),
    );
    let by_engine = |it: &&Fault| {
        let by = Loser::Engine;
        matches!(it, Fault::Lost { by: loser, .. } if *loser == by)
    };
    let by_engine = faults.iter().filter(by_engine).count();
    if by_engine > 0 {
        println!(
            "seed {seed}: {by_engine} lost by NATS JetStream, which had taken them"
        );
    }
    let told: Vec<_> = faults.iter().take(TOLD).map(ToString::to_string).collect();
    let refusals = shift
        .refusals
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    ensure!(
        faults.is_empty() && broken.is_empty() && refusals.is_empty(),
        "{} faults, of which {by_engine} are the engine's: {told:#?}; readers that broke \
         off: {broken:#?}; refused: {refusals:#?}",
        faults.len()
    );
    // The engine holds all of it, so nobody may be told that something is gone.
    ensure!(gaps.is_empty(), "gaps: {gaps:?}");
    let panicked = world.panicked();
    ensure!(panicked.is_empty(), "a panic in {panicked:?}");
    ensure!(acknowledged >= ENOUGH, "only {acknowledged} acknowledged");
    Ok(())
}
