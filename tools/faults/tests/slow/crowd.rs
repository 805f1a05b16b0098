//! More come than there is room for: what is given up first, and how often those ask who were
//! refused.

use crate::{
    limits::{edge, HEARTBEAT, NONE},
    peer::{get, post, wait, Peer},
    server,
};
use anyhow::{ensure, Context as _};
use client::Pace;
use futures_util::future::{join, try_join_all};
use harness::Server;
use method::Method;
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};
use testbed::{eventually, faults::came_to, in_time};
use tokio::{
    io::AsyncReadExt as _,
    time::{sleep, timeout},
};

/// Of forty connections, 36 are for those who wait.
const CONNECTIONS: usize = 40;
const PLACES: usize = 36;

async fn connect(server: &Server) -> anyhow::Result<Peer> {
    Peer::connect(1, None, server.address).await
}

/// As many connections as there may be, each of which has asked once and is idle.
async fn idle(server: &Server) -> anyhow::Result<Vec<Peer>> {
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = connect(server).await?;
        let answer = peer.ask(&get("/status")).await?.context("an answer")?;
        ensure!(answer.status == 200, "{answer:?}");
        idle.push(peer);
    }
    Ok(idle)
}

/// What a request on a connection of its own is answered with.
async fn asks(server: &Server, request: &str) -> anyhow::Result<(u16, String)> {
    let answer = connect(server).await?.ask(request).await?;
    let answer = answer.context("an answer")?;
    Ok((answer.status, answer.head))
}

/// A refusal says when to come back.
async fn is_refused(server: &Server, request: &str) -> anyhow::Result<()> {
    let (status, head) = asks(server, request).await?;
    ensure!(status == 503 && head.contains("retry-after: "), "{head}");
    Ok(())
}

/// What is served however many wait or poll.
async fn serves_the_rest(server: &Server) -> anyhow::Result<()> {
    for _ in 0..CONNECTIONS {
        let (status, head) = asks(server, &post(1)).await?;
        ensure!(status == 201, "a publish: {head}");
    }
    let (status, head) = asks(server, &get("/")).await?;
    ensure!(status == 200, "the page: {head}");
    Ok(())
}

/// Idle connections, then waits, and publishes last.
pub async fn gives_up_waits(method: Method) -> anyhow::Result<()> {
    let server = server(method, 100, edge(CONNECTIONS, NONE), HEARTBEAT).await;
    let idle = idle(&server).await?;
    let request = match method.name {
        // Who has no cursor yet is answered at once.
        "long-polling" => wait(method.name, &server.feed.state().latest.to_string()),
        _ => wait(method.name, "latest"),
    };
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        let mut peer = connect(&server).await?;
        peer.write(&request).await?;
        waiting.push(peer);
    }
    // Each of them has come in for one that was idle.
    let taken = async {
        while asks(&server, &get("/status")).await?.0 != 503 {}
        anyhow::Ok(())
    };
    in_time("every place is taken", taken).await?;
    for mut peer in idle.into_iter().take(PLACES) {
        let ended = in_time("an idle one gives way", peer.socket.read(&mut [0])).await;
        ensure!(matches!(ended, Ok(0)), "{ended:?}");
    }

    is_refused(&server, &request).await?;
    if method.name == "long-polling" {
        // A publish answers those who wait.
        let (status, head) = asks(&server, &get("/")).await?;
        ensure!(status == 200, "the page: {head}");
    } else {
        serves_the_rest(&server).await?;
        is_refused(&server, &request).await?;
    }
    waits_its_turn(&server).await?;
    // None of them was given up for another.
    for mut peer in waiting {
        ensure!(peer.until(r#""kind":"message""#).await, "it has its event");
    }
    came_to(
        "more-than-room",
        method.name,
        "idle connections give way first; then a new wait gets `503` with `Retry-After`, and none \
         that waits is ended for it; pages and publishes are served, at last each in its turn",
        &format!("faults::slow::more_than_room::{}", method.name),
    );
    Ok(())
}

/// Where every connection has a request, one that comes waits until another is free.
async fn waits_its_turn(server: &Server) -> anyhow::Result<()> {
    let (head, body) = {
        let request = post(1);
        let (head, body) = request.split_once("\r\n\r\n").context("a head")?;
        (
            format!("{head}\r\nExpect: 100-continue\r\n\r\n"),
            body.to_owned(),
        )
    };
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS - PLACES {
        let mut peer = connect(server).await?;
        peer.write(&head).await?;
        let goes_on = peer.answer().await?.context("100")?;
        ensure!(goes_on.status == 100, "{goes_on:?}");
        busy.push(peer);
    }
    let mut last = connect(server).await?;
    last.write(&post(1)).await?;
    let early = timeout(Duration::from_millis(300), last.answer()).await;
    ensure!(early.is_err(), "it waits for its turn: {early:?}");
    let mut first = busy.pop().context("one of them")?;
    let answer = first.ask(&body).await?.context("an answer")?;
    ensure!(answer.status == 201, "{answer:?}");
    let answer = last.answer().await?.context("an answer")?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(())
}

/// A polling server that answers so many polls a second.
async fn polled(edge: serving::Config, rate: u32) -> Server {
    let config = polling::Config {
        max_rate: NonZeroU32::new(rate).expect("some"),
        ..polling::Config::default()
    };
    Server::start_with(harness::still_feed(1_000), edge, move |log, ending| {
        polling::router(log, config, ending)
    })
    .await
}

/// Idle connections, then polls, and publishes last.
pub async fn gives_up_polls() -> anyhow::Result<()> {
    let server = polled(edge(CONNECTIONS, NONE), 20).await;
    let idle = idle(&server).await?;
    let question = get("/events?after=latest");
    let (status, head) = asks(&server, &question).await?;
    ensure!(status == 200, "a poll: {head}");
    eventually("an idle connection has given way", || {
        matches!(idle[0].socket.try_read(&mut [0]), Ok(0))
    })
    .await;
    let mut refused = 0;
    let mut poller = connect(&server).await?;
    poller.write(&question.repeat(100)).await?;
    for _ in 0..100 {
        let answer = poller.answer().await?.context("an answer")?;
        if answer.status == 503 {
            ensure!(answer.head.contains("retry-after: "), "{answer:?}");
            refused += 1;
        }
    }
    ensure!(refused > 0, "more than it answers");
    serves_the_rest(&server).await?;
    came_to(
        "more-than-room",
        "polling",
        "idle connections give way first; a poll above the rate gets `503` with a drawn \
         `Retry-After`; pages and publishes are served",
        "faults::slow::more_than_room::polling",
    );
    Ok(())
}

/// So many come at once, and a tenth of them is answered in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd(pub u16);

impl Crowd {
    /// So few that a busy machine answers them within a fraction of a second.
    pub const SMALL: Self = Self(100);
}

/// How those come back who were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// After a second, whatever they were told.
    EachSecond,
    /// When `Retry-After` says.
    WhenTold,
    /// The same, and a rest of its own later, as the clients of this book.
    WhenToldAndLater,
}

impl Comes {
    /// How long a client rests that was told to, after so many refusals.
    fn rest(self, told: Duration, refusals: u32) -> Duration {
        let bound = Duration::from_secs(1) * 2_u32.pow((refusals - 1).min(5));
        match self {
            Self::EachSecond => Duration::from_secs(1),
            Self::WhenTold => told,
            Self::WhenToldAndLater => {
                told + bound.min(Pace::default().cap).mul_f64(fastrand::f64())
            }
        }
    }
}

/// When a client of the crowd was answered each time; the last time with a page.
async fn until_served(mut peer: Peer, comes: Comes) -> anyhow::Result<Vec<Instant>> {
    let mut answers = Vec::new();
    loop {
        let answer = peer.ask(&get("/events?after=latest")).await?;
        let answer = answer.context("an answer")?;
        answers.push(Instant::now());
        if answer.status == 200 {
            return Ok(answers);
        }
        let mut lines = answer.head.lines();
        let told = lines.find_map(|line| line.strip_prefix("retry-after: "));
        let told = told.context("when to come back")?.trim().parse()?;
        let refusals = answers.len().try_into()?;
        sleep(comes.rest(Duration::from_secs(told), refusals)).await;
    }
}

/// What a crowd has cost.
#[derive(Debug)]
struct Storm {
    /// For each client.
    questions: f64,
    /// Of all questions.
    refused: f64,
    /// In a tenth of a second, of those that came again.
    busiest: usize,
    /// Until the last was served, by the time that the rate takes for all.
    longer: f64,
    published: usize,
}

async fn storm(Crowd(clients): Crowd, comes: Comes) -> anyhow::Result<Storm> {
    let edge = serving::Config {
        // Nobody's connection is closed while they rest.
        headers: HEARTBEAT,
        ..edge(2 * usize::from(clients), NONE)
    };
    let rate = u32::from(clients / 10);
    let server = polled(edge, rate).await;
    // Connected before, so that they can ask at once.
    let mut peers = Vec::new();
    for _ in 0..clients {
        peers.push(connect(&server).await?);
    }
    let began = Instant::now();
    let crowd = peers.into_iter();
    let crowd = crowd.map(|peer| tokio::spawn(until_served(peer, comes)));
    let crowd = try_join_all(crowd);
    // Beside them somebody publishes.
    let (done, is_done) = tokio::sync::oneshot::channel();
    let crowd = async {
        let answers = crowd.await;
        let _ = done.send(());
        answers
    };
    let publishing = async {
        let mut is_done = is_done;
        let mut published = 0;
        while is_done.try_recv().is_err() {
            let (status, head) = asks(&server, &post(1)).await?;
            ensure!(status == 201, "{head}");
            published += 1;
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(published)
    };
    let (answers, published) = join(crowd, publishing).await;
    let answers = answers?.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    // Once they have all come.
    let later: Vec<_> = answers.iter().flat_map(|answers| &answers[1..]).collect();
    let tenth = |from: &Instant| {
        let within = *from..*from + Duration::from_millis(100);
        later.iter().filter(|at| within.contains(**at)).count()
    };
    let crowd = f64::from(clients);
    let all = answers.iter().flatten();
    let last = *all.clone().max().context("some")? - began;
    let questions = all.count() as f64;
    // As many as come in a second may come at once.
    let least = (crowd - f64::from(rate)) / f64::from(rate);
    Ok(Storm {
        questions: questions / crowd,
        refused: (questions - crowd) / questions,
        busiest: later.iter().map(|at| tenth(at)).max().unwrap_or_default(),
        longer: last.as_secs_f64() / least,
        published: published?,
    })
}

/// The same crowd, refused at once, and three ways to come back.
pub async fn is_refused_at_once(crowd: Crowd) -> anyhow::Result<()> {
    use Comes::{EachSecond, WhenTold, WhenToldAndLater};
    let ways = [EachSecond, WhenTold, WhenToldAndLater];
    let storms = match crowd == Crowd::SMALL {
        true => try_join_all(ways.map(|comes| storm(crowd, comes))).await?,
        // One after the other, so that none is in the way of another.
        false => {
            let mut storms = Vec::new();
            for comes in ways {
                storms.push(storm(crowd, comes).await?);
            }
            storms
        }
    };
    for (comes, storm) in ways.iter().zip(&storms) {
        let Storm {
            questions,
            refused,
            busiest,
            longer,
            published,
        } = storm;
        println!(
            "{crowd:?} {comes:?}: {questions:.1} questions of each, {:.0} % refused, {busiest} in \
             the busiest tenth of a second, {longer:.1} times as long as needed; {published} \
             publishes beside it",
            100.0 * refused
        );
    }
    let [each_second, when_told, and_later] = &storms[..] else {
        anyhow::bail!("three ways");
    };
    for storm in &storms {
        ensure!(storm.published > 0, "somebody publishes meanwhile");
    }
    for told in [when_told, and_later] {
        ensure!(
            2.0 * (told.questions - 1.0) < each_second.questions - 1.0,
            "who heeds it is refused less than half as often"
        );
        ensure!(told.longer < 2.0 * each_second.longer.max(2.0), "{told:?}");
    }
    ensure!(
        2 * and_later.busiest < each_second.busiest,
        "who draws comes alone"
    );
    came_to(
        "crowd-refused",
        "polling",
        "who heeds the drawn `Retry-After` is refused less than half as often as who comes each \
         second, and not in waves; a publish beside the crowd is taken each time",
        "faults::slow::a_crowd_that_is_refused::polling",
    );
    Ok(())
}
