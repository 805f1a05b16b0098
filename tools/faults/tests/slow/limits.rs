//! One client that takes, asks or publishes more than its share: without a limit for it, and with
//! one.

use crate::{
    peer::{get, post, wait, Peer},
    server,
};
use anyhow::{ensure, Context as _};
use contract::{socket::SUBPROTOCOL, Position};
use futures_util::{SinkExt, StreamExt};
use harness::Server;
use method::Method;
use serving::{Config, Limits, Rate};
use std::time::Duration;
use testbed::{eventually, faults::came_to, in_time};
use tokio::time::{interval, MissedTickBehavior};
use tokio_tungstenite::{
    client_async,
    tungstenite::{client::IntoClientRequest, Message},
    WebSocketStream,
};

/// The one who takes too much, by the last number of its address; and another.
const GREEDY: u8 = 2;
const OTHER: u8 = 3;

/// Longer than a test.
pub const HEARTBEAT: Duration = Duration::from_secs(60);

/// As if there were no limits for an address.
pub const NONE: Limits = Limits {
    connections: usize::MAX,
    waits: usize::MAX,
    reads: Rate::new(u32::MAX, u32::MAX),
    publishes: Rate::new(u32::MAX, u32::MAX),
    refused_publishes: u32::MAX,
    tasks: usize::MAX,
    addresses: 100,
    loopback: true,
};

pub fn edge(max_connections: usize, per_address: Limits) -> Config {
    Config {
        max_connections,
        per_address,
        ..Config::default()
    }
}

/// How a wait of somebody is answered: its status, or nothing.
async fn status_of(last: u8, server: &Server, request: &str) -> anyhow::Result<Option<u16>> {
    let mut peer = Peer::connect(last, None, server.address).await?;
    Ok(peer.ask(request).await?.map(|answer| answer.status))
}

/// Where one address has all connections, or all places, and where it has its share.
pub async fn one_address_takes_all(method: Method) -> anyhow::Result<()> {
    const PLACES: usize = 36;
    const SHARE: usize = 8;
    let begins = match method.name {
        "websocket" => 101,
        _ => 200,
    };
    // Who has no cursor yet is answered at once by long polling.
    let request = wait(method.name, "latest");

    // Without a limit for each: as many as there are connections, and the others wait outside.
    let greedy_request = |server: &Server| match method.name {
        "long-polling" => {
            let cursor = server.feed.state().latest;
            wait(method.name, &cursor.to_string())
        }
        _ => request.clone(),
    };
    if method.waits.is_some() {
        let server = server(method, 100, edge(40, NONE), HEARTBEAT).await;
        let _taken = take(&server, PLACES, &greedy_request(&server)).await?;
        let wish = greedy_request(&server);
        eventually("every place is taken", || server.ending.open() >= PLACES).await;
        refused_in_the_end(&server, &wish).await?;
    }

    // A share of the connections.
    let limits = Limits {
        connections: SHARE,
        ..NONE
    };
    let server = server(method, 100, edge(40, limits), HEARTBEAT).await;
    let taken = take(&server, 40, &greedy_request(&server)).await?;
    // Of a socket its connection and its task.
    let parts = if begins == 101 { 2 } else { 1 };
    eventually("the rest is closed", || {
        server.ending.open() <= parts * SHARE
    })
    .await;
    ensure!(
        status_of(OTHER, &server, &request).await? == Some(begins),
        "the other is served"
    );
    drop(taken);

    // A share of the places, over as many connections as one likes.
    if method.waits.is_none() {
        came_to(
            "one-address-takes-all",
            method.name,
            "has 8 connections of 40, and the others are closed at once; another address is served",
            "faults::slow::one_address_takes_all::polling",
        );
        return Ok(());
    }
    let limits = Limits {
        waits: SHARE,
        ..NONE
    };
    let server = crate::server(method, 100, edge(40, limits), HEARTBEAT).await;
    let request = greedy_request(&server);
    let _taken = take(&server, SHARE, &request).await?;
    let mut peer = refused_in_the_end(&server, &request).await?;
    // It is told why, also where it could not see it; and may still publish.
    let status = peer.ask(&get("/status")).await?.context("an answer")?;
    ensure!(status.status == 429, "{status:?}");
    ensure!(status.body.contains(":too-many"), "{status:?}");
    ensure!(status.head.contains("retry-after: "), "{status:?}");
    let published = peer.ask(&post(1)).await?.context("an answer")?;
    ensure!(published.status == 201, "{published:?}");
    let fresh = wait(method.name, "latest");
    ensure!(
        status_of(OTHER, &server, &fresh).await? == Some(begins),
        "the other waits"
    );
    came_to(
        "one-address-takes-all",
        method.name,
        "has its share of connections and places; beyond it `429`, and `status` says so too; \
         it may publish, and another address waits as ever",
        &format!("faults::slow::one_address_takes_all::{}", method.name),
    );
    Ok(())
}

/// Opens so many connections and sends a request over each; none is waited for.
async fn take(server: &Server, count: usize, request: &str) -> anyhow::Result<Vec<Peer>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let mut peer = Peer::connect(GREEDY, None, server.address).await?;
        // One that is closed at once breaks off.
        let _ = peer.write(request).await;
        taken.push(peer);
    }
    Ok(taken)
}

/// Asks until it is refused: those before may not have been read yet. The connection of the
/// refusal.
async fn refused_in_the_end(server: &Server, request: &str) -> anyhow::Result<Peer> {
    let full = async {
        loop {
            let mut peer = Peer::connect(GREEDY, None, server.address).await?;
            peer.write(&get("/status")).await?;
            let status = peer.answer().await?.context("an answer")?.status;
            if matches!(status, 429 | 503) {
                let refused = peer.ask(request).await?.context("an answer")?;
                ensure!(refused.status == status, "{refused:?}");
                return Ok(peer);
            }
        }
    };
    in_time("a refusal", full).await
}

/// Asks as fast as it can, a hundred at a time, until the others have asked forty times; how many
/// of these forty were answered.
async fn answered_beside_a_flood(per_address: Limits) -> anyhow::Result<usize> {
    let config = polling::Config {
        max_rate: const { std::num::NonZeroU32::new(100).unwrap() },
        ..polling::Config::default()
    };
    let edge = edge(100, per_address);
    let server = Server::start_with(harness::still_feed(100), edge, move |log, ending| {
        polling::router(log, config, ending)
    })
    .await;
    let address = server.address;
    let flood = tokio::spawn(async move {
        let mut peer = Peer::connect(GREEDY, None, address).await?;
        let hundred = get("/events?after=latest").repeat(100);
        loop {
            peer.write(&hundred).await?;
            for _ in 0..100 {
                peer.answer().await?.context("an answer")?;
            }
        }
        #[expect(unreachable_code, reason = "it says what the task is")]
        anyhow::Ok(())
    });
    let mut other = Peer::connect(OTHER, None, address).await?;
    let mut turn = interval(Duration::from_millis(50));
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = 0;
    for _ in 0..40 {
        turn.tick().await;
        let answer = other.ask(&get("/events?after=latest")).await?;
        answered += usize::from(answer.context("an answer")?.status == 200);
    }
    ensure!(!flood.is_finished(), "the flood goes on");
    flood.abort();
    Ok(answered)
}

pub async fn poll_flood() -> anyhow::Result<()> {
    // A machine that is busy with something else may hold the flood up.
    let mut without = usize::MAX;
    for _ in 0..3 {
        without = without.min(answered_beside_a_flood(NONE).await?);
        if without < 30 {
            break;
        }
    }
    let limits = Limits {
        reads: Rate::new(20, 40),
        ..NONE
    };
    let with = answered_beside_a_flood(limits).await?;
    println!("of 40 questions beside a flood {without} are answered without a limit, {with} with");
    // The neighbour asks as often as its own share allows.
    ensure!(without < 30, "without a limit {without} of 40 are answered");
    ensure!(with == 40, "with a limit {with} of 40 are answered");
    came_to(
        "poll-flood",
        "polling",
        "gets `429` beyond its rate; each question of another address is answered",
        "faults::slow::poll_flood::polling",
    );
    Ok(())
}

/// Publishes as fast as it can, this many times; how many were taken.
async fn post_all(server: &Server, count: usize) -> anyhow::Result<usize> {
    let mut peer = Peer::connect(GREEDY, None, server.address).await?;
    let hundred = post(1).repeat(100);
    let mut taken = 0;
    for _ in 0..count / 100 {
        peer.write(&hundred).await?;
        for _ in 0..100 {
            let answer = peer.answer().await?.context("an answer")?;
            match answer.status {
                201 => taken += 1,
                429 => ensure!(answer.head.contains("retry-after: "), "{answer:?}"),
                other => anyhow::bail!("{other}"),
            }
        }
    }
    Ok(taken)
}

pub async fn post_flood() -> anyhow::Result<()> {
    const WINDOW: usize = 1_000;
    let read = |server: &Server, cursor| {
        let address = server.address;
        async move {
            let mut reader = Peer::connect(OTHER, None, address).await?;
            let answer = reader.ask(&get(&format!("/events?after={cursor}"))).await?;
            Ok::<_, anyhow::Error>(answer.context("an answer")?.status)
        }
    };
    let free = server(polling::METHOD, WINDOW, edge(100, NONE), HEARTBEAT).await;
    let cursor = free.feed.state().latest;
    let began = std::time::Instant::now();
    ensure!(post_all(&free, 2 * WINDOW).await? == 2 * WINDOW);
    println!(
        "{} events in {:?} from one connection",
        2 * WINDOW,
        began.elapsed()
    );
    ensure!(read(&free, cursor).await? == 410, "the window has passed");

    // So slow that nothing of it comes back within the test.
    let publishes = Rate::new(1, 100);
    let limits = Limits { publishes, ..NONE };
    let held = server(polling::METHOD, WINDOW, edge(100, limits), HEARTBEAT).await;
    let cursor = held.feed.state().latest;
    let taken = post_all(&held, 2 * WINDOW).await?;
    ensure!((100..WINDOW).contains(&taken), "{taken} are taken");
    ensure!(read(&held, cursor).await? == 200, "the window holds");
    let mut other = Peer::connect(OTHER, None, held.address).await?;
    let published = other.ask(&post(1)).await?.context("an answer")?;
    ensure!(published.status == 201, "the other may publish");
    came_to(
        "publish-flood",
        "polling",
        "gets `429` beyond its rate, and the log still has what a reader asks for; \
         another address publishes as ever",
        "faults::slow::publish_flood::polling",
    );
    Ok(())
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

async fn open(last: u8, server: &Server, after: Position) -> anyhow::Result<Socket> {
    let peer = Peer::connect(last, None, server.address).await?;
    let url = format!("ws://{}/events?after={after}", server.address);
    let mut request = url.into_client_request()?;
    let offered = SUBPROTOCOL.parse()?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", offered);
    Ok(client_async(request, peer.socket).await?.0)
}

fn publish(number: usize) -> Message {
    let text = format!(r#"{{"publish":{{"ref":"r{number}","kind":"message","data":{number}}}}}"#);
    Message::text(text)
}

/// What comes to so many publishes: acknowledgements, refusals, and the code of the close if there
/// is one before all have their answers.
async fn answers(socket: &mut Socket, count: usize) -> anyhow::Result<(usize, usize, u16)> {
    let (mut acks, mut errors) = (0, 0);
    while acks + errors < count {
        let message = in_time("a message", socket.next()).await;
        match message.context("a close comes first")?? {
            Message::Text(text) if text.starts_with(r#"{"ack""#) => acks += 1,
            Message::Text(text) if text.starts_with(r#"{"error""#) => {
                ensure!(text.contains(":too-many"), "{text}");
                errors += 1;
            }
            Message::Close(close) => {
                let code = close.context("it has a code")?.code;
                return Ok((acks, errors, code.into()));
            }
            _ => {}
        }
    }
    Ok((acks, errors, 0))
}

pub async fn socket_flood() -> anyhow::Result<()> {
    const WINDOW: usize = 1_000;
    let publishes = Rate::new(1, 100);
    let refused_publishes = 50;
    let limits = Limits {
        publishes,
        refused_publishes,
        ..NONE
    };
    let server = server(websocket::METHOD, WINDOW, edge(100, limits), HEARTBEAT).await;
    let cursor = server.feed.state().latest;

    // A burst beyond the rate: each publish too many is refused by its name, and the socket stays.
    let mut burst = open(GREEDY, &server, Position::Latest).await?;
    for number in 0..120 {
        burst.feed(publish(number)).await?;
    }
    burst.flush().await?;
    let (acks, errors, code) = answers(&mut burst, 120).await?;
    ensure!(
        code == 0 && acks >= 100 && errors > 0,
        "{acks} {errors} {code}"
    );

    // One that goes on without heeding it is closed.
    let flood = async {
        for number in 1_000..3_000 {
            // It may be closed by now.
            if burst.feed(publish(number)).await.is_err() {
                break;
            }
        }
        let _ = burst.flush().await;
        answers(&mut burst, 2_000).await
    };
    let (_, errors, code) = in_time("the close", flood).await?;
    ensure!(code == 1008, "{code}");
    ensure!(errors <= 50, "{errors} refusals");

    // The window holds, and the other publishes.
    let mut other = open(OTHER, &server, Position::After(cursor)).await?;
    let hello = other.next().await.context("hello")??;
    ensure!(hello.to_text()?.contains("hello"), "{hello}");
    let first = other.next().await.context("an event")??;
    ensure!(first.to_text()?.starts_with(r#"{"event""#), "{first}");
    other.send(publish(1)).await?;
    let (acks, _, _) = answers(&mut other, 1).await?;
    ensure!(acks == 1);
    came_to(
        "publish-flood",
        "websocket",
        "gets an `error` with `429` for each publish beyond its rate, and `1008` if it goes on; \
         nobody else notices",
        "faults::slow::publish_flood::websocket",
    );
    Ok(())
}

/// Behind a trusted proxy each client has a share of its own; from anybody else, the header counts
/// for nothing.
pub async fn a_trusted_proxy_says_who_asks() -> anyhow::Result<()> {
    const PROXY: u8 = 9;
    let config = Config {
        trusted_proxies: vec!["127.0.0.9/32".parse()?],
        ..edge(
            100,
            Limits {
                reads: Rate::new(1, 2),
                ..NONE
            },
        )
    };
    let server = server(polling::METHOD, 100, config, HEARTBEAT).await;
    let forwarded = |who: &str| {
        format!("GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {who}\r\n\r\n")
    };
    let mut proxy = Peer::connect(PROXY, None, server.address).await?;
    for (who, expected) in [
        ("198.51.100.1", 200),
        ("198.51.100.1", 200),
        ("198.51.100.1", 429),
        // What the client has made up stands before what the proxy has seen.
        ("203.0.113.5, 198.51.100.1", 429),
        ("198.51.100.2", 200),
    ] {
        let answer = proxy.ask(&forwarded(who)).await?.context("an answer")?;
        ensure!(answer.status == expected, "{who}: {answer:?}");
    }
    let mut liar = Peer::connect(GREEDY, None, server.address).await?;
    for (who, expected) in [(7, 200), (8, 200), (9, 429)] {
        let who = format!("198.51.100.{who}");
        let answer = liar.ask(&forwarded(&who)).await?.context("an answer")?;
        ensure!(answer.status == expected, "{who}: {answer:?}");
    }
    Ok(())
}
