//! Readers that stop, and readers that take a byte now and then.

use crate::{
    peer::{post, wait, Peer},
    server,
};
use anyhow::{bail, ensure, Context as _};
use client::{
    Client, LongPollingClient, PollingClient, Rhythm, SseClient, Update, WebSocketClient,
};
use contract::{Data, Position};
use faults::{Child, Settings};
use futures_util::{Stream, StreamExt};
use harness::Server;
use method::Method;
use serving::Config;
use std::{pin::Pin, time::Duration};
use testbed::{eventually, faults::came_to, in_time};
use tokio::{
    io::AsyncReadExt,
    time::{sleep, timeout},
};
use url::Url;

/// What the system keeps for a reader that does not read, in the reader; as little as it allows.
const ROOM: Option<u32> = Some(2_048);

/// How large an event is, in bytes of its data.
const EVENT: usize = 16 * 1024;

type Updates = Pin<Box<dyn Stream<Item = Result<Update, client::Error>> + Send>>;

fn neighbour(method: &str, base: Url) -> anyhow::Result<Updates> {
    let after = Position::Latest;
    Ok(match method {
        "polling" => {
            let rhythm = Rhythm {
                interval: Duration::from_millis(5),
                jitter: 0.0,
            };
            let client = PollingClient::with_pace(base, harness::BRISK).with_rhythm(rhythm);
            Box::pin(client.subscribe(after))
        }
        "long-polling" => Box::pin(LongPollingClient::new(base).subscribe(after)),
        "sse" => Box::pin(SseClient::new(base).subscribe(after)),
        "websocket" => Box::pin(WebSocketClient::new(base).subscribe(after)),
        other => bail!("no method {other}"),
    })
}

/// Waits until the neighbour has so many events more; fails at anything that is lost.
async fn gets(updates: &mut Updates, mut count: usize) -> anyhow::Result<()> {
    while count > 0 {
        let update = in_time("an update", updates.next()).await;
        match update.context("no end")?? {
            Update::Events(events) => {
                count = count.checked_sub(events.len()).context("too many")?;
            }
            Update::Gap(gap) => bail!("the neighbour has {gap:?}"),
            _ => {}
        }
    }
    Ok(())
}

/// Ten readers stop, and 1,500 events of 16 KiB go by: 24 MB for each of them. What is kept for
/// all ten is what the configuration says, a neighbour gets every event, and who reads on finds a
/// gap.
pub async fn stops(method: Method) -> anyhow::Result<()> {
    const STUCK: usize = 10;
    const KEPT: usize = 100;
    const BURSTS: usize = 75;
    const BURST: usize = 20;
    let settings = Settings {
        keep_events: KEPT,
        // Nobody is cut here.
        write_progress: 120_000,
        heartbeat: 120_000,
        ..Settings::of(method.name)
    };
    let child = Child::start(env!("CARGO_BIN_EXE_faults"), &settings).await?;
    let mut updates = neighbour(method.name, child.base())?;
    let mut publisher = Peer::connect(1, None, child.address).await?;
    let event = post(EVENT);
    let mut publish = async |count: usize| {
        for _ in 0..count {
            let answer = publisher.ask(&event).await?.context("an answer")?;
            ensure!(answer.status == 201, "{answer:?}");
        }
        anyhow::Ok(())
    };
    let connected = async { while !matches!(updates.next().await, Some(Ok(Update::Opened(_)))) {} };
    in_time("the neighbour", connected).await;
    // The log is full, and the neighbour has it: memory is what it stays from here on.
    for _ in 0..2 * KEPT / BURST {
        publish(BURST).await?;
        gets(&mut updates, BURST).await?;
    }
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut peer = Peer::connect(1, ROOM, child.address).await?;
        // Over and over, where a wait ends with its answer: pages that nobody reads.
        let times = match method.name {
            "polling" | "long-polling" => 50,
            _ => 1,
        };
        peer.write(&wait(method.name, "earliest").repeat(times))
            .await?;
        stuck.push(peer);
    }
    let before = child.memory()?;
    for _ in 0..BURSTS {
        publish(BURST).await?;
        gets(&mut updates, BURST).await?;
    }
    let after = child.memory()?;
    let grown = after.saturating_sub(before);
    println!(
        "{}: {before} bytes before, {after} after {} bytes for each of {STUCK} who do not read",
        method.name,
        BURSTS * BURST * EVENT
    );
    // For each a page of 64 KiB or a write buffer, and one event; once more what the log keeps;
    // and what an allocator does not give back. A queue for each would hold 240 MB.
    let bound = STUCK * 256 * 1024 + 2 * KEPT * EVENT + 16 * 1024 * 1024;
    ensure!(grown < bound as u64, "{grown} of {bound} bytes");

    // It reads on, and is told what it has missed.
    let mut reader = stuck.pop().context("one of them")?;
    let what = match method.name {
        "sse" => {
            ensure!(reader.until("event: gap").await, "the stream tells a gap");
            "holds one write buffer while it stops; reads on, and finds `gap`"
        }
        "websocket" => {
            ensure!(reader.until(r#"{"gap":"#).await, "the socket tells a gap");
            "holds one write buffer while it stops; reads on, and finds `gap`"
        }
        _ => {
            let page = reader.answer().await?.context("a page")?;
            let next = page.body.rsplit_once("\"next\":\"").context("next")?.1;
            let cursor = next.split('"').next().context("a cursor")?;
            let mut again = Peer::connect(1, None, child.address).await?;
            let answer = again.ask(&wait(method.name, cursor)).await?;
            let status = answer.context("an answer")?.status;
            ensure!(status == 410, "{status}");
            "holds one page while it stops; its next question gets `410` with `resume`"
        }
    };
    came_to(
        "reader-stops",
        method.name,
        &format!("{what}; a neighbour gets every event"),
        &format!("faults::slow::a_reader_that_stops::{}", method.name),
    );
    Ok(())
}

/// A server whose writes may wait for `PROGRESS`, with more in its log than all buffers on the way
/// take; and the request for all of it.
async fn with_much_to_send(method: Method) -> anyhow::Result<(Server, String)> {
    let edge = Config {
        write_progress: PROGRESS,
        unacknowledged: Duration::from_secs(60),
        ..Config::default()
    };
    // The pings of a socket would find such a reader too; here it is the write that does.
    let server = server(method, 1_000, edge, Duration::from_secs(60)).await;
    let kind: contract::Kind = "message".parse()?;
    let data = Data::new(&"x".repeat(EVENT))?;
    for _ in 0..1_000 {
        server.feed.publish(kind.clone(), data.clone()).await?;
    }
    let times = match method.name {
        "polling" | "long-polling" => 500,
        _ => 1,
    };
    Ok((server, wait(method.name, "earliest").repeat(times)))
}

/// How long a write may wait.
const PROGRESS: Duration = Duration::from_secs(2);

/// How many bytes a reader takes within that time, and stays. With 30 s it is 1.1 kB a second.
const ENOUGH: usize = 32 * 1024;

/// Takes so many bytes in each `PROGRESS`, a tenth of them ten times, for `periods` of these;
/// whether it is still there.
async fn stays(server: &Server, request: &str, bytes: usize, periods: u32) -> anyhow::Result<bool> {
    let mut peer = Peer::connect(1, ROOM, server.address).await?;
    peer.write(request).await?;
    let mut bytes = vec![0; bytes / 10];
    let mut turn = tokio::time::interval(PROGRESS / 10);
    for _ in 0..10 * periods {
        turn.tick().await;
        // Never for long: what there is was sent before.
        let _ = timeout(PROGRESS / 10, peer.socket.read_exact(&mut bytes)).await;
    }
    Ok(server.ending.open() > 0)
}

/// How slowly a reader may take what it is sent, and stays: tried with the powers of two.
pub async fn slowest(method: Method) -> anyhow::Result<()> {
    for kib in [1, 2, 4, 8, 12, 16, 24, 32, 64] {
        let (server, request) = with_much_to_send(method).await?;
        let stays = stays(&server, &request, kib * 1024, 6).await?;
        println!("{}: {kib} KiB in {PROGRESS:?}: {stays}", method.name);
    }
    Ok(())
}

/// A reader that takes a byte ten times within the time that a write may wait. Its window never
/// opens: it is cut as one that takes nothing. One that takes `ENOUGH` is slow, and stays.
pub async fn byte_at_a_time(method: Method) -> anyhow::Result<()> {
    let (server, request) = with_much_to_send(method).await?;
    let mut peer = Peer::connect(1, ROOM, server.address).await?;
    peer.write(&request).await?;
    eventually("it is connected", || server.ending.open() > 0).await;
    let ended = async {
        while server.ending.open() > 0 {
            let mut byte = [0];
            let _ = peer.socket.read(&mut byte).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    in_time("its end", ended).await;

    ensure!(stays(&server, &request, ENOUGH, 4).await?, "it is not cut");
    came_to(
        "byte-a-second",
        method.name,
        "opens no window, and is cut when no write has moved for as long as `write_progress`; \
         one that takes 32 KiB in that time, a kilobyte a second by default, stays",
        &format!("faults::slow::a_byte_at_a_time::{}", method.name),
    );
    Ok(())
}
