//! Three servers over one log, behind nginx, replaced one after the other while clients follow.

use crate::{
    follow::{follow, subscribe, Tally},
    node::{prefix, Node, Settings},
    proxy::Proxy,
    wire::Method,
};
use anyhow::{ensure, Context as _};
use client::{Endpoint, Pace};
use contract::{Data, Kind};
use feed::{Feed, Retention};
use harness::say;
use std::{
    net::SocketAddr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use testbed::{faults::came_to, Raw};
use tokio::{task::JoinSet, time::sleep};

/// The kind of the event at which the clients stop.
const LAST: &str = "last";

/// A guard against hanging: of everything that takes as long as the clients draw.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many come, and how they come back.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub clients: usize,
    /// The range from which the first delay of each client is drawn ends here.
    pub window: Duration,
    /// Between two events.
    pub pace: Duration,
    /// Between two polls of one client.
    pub poll: Duration,
    /// What a server gives its streams to end. A crowd takes longer to be told.
    pub drain: Duration,
}

impl Crowd {
    pub const SMALL: Self = Self {
        clients: 200,
        window: Duration::from_secs(1),
        pace: Duration::from_millis(200),
        poll: Duration::from_secs(1),
        // Far more than they take, also on a machine that has too much to do.
        drain: Duration::from_secs(30),
    };

    fn streams(self) -> usize {
        self.clients / 2
    }
}

/// The clients, the servers and what is between them.
struct Stand {
    crowd: Crowd,
    feed: Feed,
    /// It runs as long as this is there.
    _proxy: Proxy,
    followers: JoinSet<anyhow::Result<Tally>>,
    ticking: tokio::task::JoinHandle<()>,
}

impl Stand {
    /// Clients that have their cursors, a quarter by each method.
    async fn start(crowd: Crowd, servers: &[SocketAddr], feed: Feed) -> anyhow::Result<Self> {
        let proxy = Proxy::nginx(servers).await?;
        let opened = Arc::new(AtomicUsize::new(0));
        let mut followers = JoinSet::new();
        let http = reqwest::Client::builder().no_proxy().http1_only().build()?;
        let pace = Pace {
            first: crowd.window,
            ..Pace::default()
        };
        for number in 0..crowd.clients {
            let method = Method::ALL[number % Method::ALL.len()];
            let base = proxy.base(&prefix(method));
            let endpoint = Endpoint::with_http(base, http.clone());
            let updates = subscribe(method, endpoint, pace, crowd.poll);
            let count = opened.clone();
            followers.spawn(follow(method, updates, LAST, move || {
                count.fetch_add(1, Ordering::Relaxed);
            }));
            if number % 50 == 49 {
                // Not all in one moment: that is no part of this.
                until("clients that have a cursor", || {
                    opened.load(Ordering::Relaxed) > number.saturating_sub(50)
                })
                .await?;
            }
        }
        until("all clients have a cursor", || {
            opened.load(Ordering::Relaxed) == crowd.clients
        })
        .await?;
        let ticking = tokio::spawn({
            let feed = feed.clone();
            async move {
                loop {
                    say(&feed, "tick").await;
                    sleep(crowd.pace).await;
                }
            }
        });
        Ok(Self {
            crowd,
            feed,
            _proxy: proxy,
            followers,
            ticking,
        })
    }

    /// Publishes the last event, and waits until each client has it.
    async fn tallies(mut self) -> anyhow::Result<Vec<Tally>> {
        self.ticking.abort();
        let kind: Kind = LAST.parse()?;
        self.feed.publish(kind, Data::new("")?).await?;
        let mut tallies = Vec::new();
        let all = async {
            while let Some(tally) = self.followers.join_next().await {
                tallies.push(tally??);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .context("the last event")??;
        ensure!(tallies.len() == self.crowd.clients);
        Ok(tallies)
    }
}

/// Waits for what takes as long as clients draw.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.with_context(|| what.to_owned())
}

fn log() -> Feed {
    Feed::new(Retention::default())
}

fn shares(nodes: &[Node]) -> Vec<usize> {
    nodes.iter().map(|node| node.streams.in_use()).collect()
}

/// Three servers are replaced, each in four steps: ready, not ready, ending, another in its place.
pub async fn deployment(crowd: Crowd) -> anyhow::Result<()> {
    let feed = log();
    let longest = u64::try_from(crowd.window.as_millis())?;
    let settings = Settings {
        lame_duck: Duration::from_millis(300),
        drain: crowd.drain,
        // The client draws from the range that ends there.
        retry_ms: longest..longest + 1,
        ..Settings::default()
    };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(Node::anywhere(), &feed, &settings).await?);
    }
    let servers: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let stand = Stand::start(crowd, &servers, feed.clone()).await?;
    let streams = || -> usize { crowd.streams() };
    until("all streams are open", || {
        shares(&nodes).iter().sum::<usize>() == streams()
    })
    .await?;
    println!("streams before: {:?}", shares(&nodes));
    let begun = Instant::now();
    for number in 0..nodes.len() {
        let address = nodes[number].address;
        ensure!(asked_ready(address).await == 200);
        let new = {
            let old = &mut nodes[number];
            old.ending.announce();
            // What it says meanwhile is tested where the lame duck lasts for minutes.
            let ended = Instant::now();
            let served = tokio::time::timeout(PATIENCE, &mut old.serving).await;
            served.context("its end")???;
            let took = ended.elapsed();
            ensure!(took < settings.lame_duck + settings.drain, "{took:?}");
            ensure!(old.streams.in_use() == 0);
            Node::start(address, &feed, &settings).await?
        };
        nodes[number] = new;
        until("all streams are back", || {
            shares(&nodes).iter().sum::<usize>() == streams()
        })
        .await?;
    }
    let took = begun.elapsed();
    let after = shares(&nodes);
    println!("streams after: {after:?}, in {took:.1?}");
    // The first has got those of two others. The last has those alone who came back late, how
    // many of them is up to the machine.
    ensure!(after[2] < after[0], "{after:?}");
    let tallies = stand.tallies().await?;
    report(&tallies);
    nobody_has_lost_anything(&tallies, crowd)?;
    // Each stream was ended at least once, all but those that were on no ended server.
    let returns = tallies.iter().map(|tally| tally.returns.len());
    ensure!(returns.sum::<usize>() >= streams());
    for method in Method::ALL {
        let what = match method {
            Method::Polling | Method::LongPolling => {
                "no request fails: nginx asks another server; nothing is lost, nothing comes twice"
            }
            Method::Sse | Method::WebSocket => {
                "told in band, comes back after a delay that it draws, with its cursor, to another \
                 server; nothing is lost, nothing comes twice"
            }
        };
        let test = "faults::ends::rolling/deployment";
        came_to("rolling-deployment", method.name(), what, test);
    }
    Ok(())
}

/// Each event came once, and no request failed.
fn nobody_has_lost_anything(tallies: &[Tally], crowd: Crowd) -> anyhow::Result<()> {
    for tally in tallies {
        ensure!(tally.lost == 0 && tally.doubled == 0, "{tally:?}");
        ensure!(tally.gaps.is_empty(), "{tally:?}");
        // nginx asks another server for a request, and ends a stream with its server.
        let request = matches!(tally.method, Method::Polling | Method::LongPolling);
        // Where a machine has too much to do, a request may take too long.
        let quiet = crowd.clients <= Crowd::SMALL.clients;
        ensure!(!request || !quiet || tally.failures == 0, "{tally:?}");
    }
    Ok(())
}

/// A server that comes later gets its share only where streams grow old.
pub async fn share_of_a_new_server(crowd: Crowd, max_age: Duration) -> anyhow::Result<()> {
    let feed = log();
    let settings = Settings {
        max_age: Some(max_age),
        ..Settings::default()
    };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(Node::anywhere(), &feed, &settings).await?);
    }
    // The third is away, and its place is known.
    let third = nodes.pop().context("three")?;
    let away = third.address;
    third.ending.begin();
    third.serving.await??;
    let servers = [nodes[0].address, nodes[1].address, away];
    let stand = Stand::start(crowd, &servers, feed.clone()).await?;
    nodes.push(Node::start(away, &feed, &settings).await?);
    let begun = Instant::now();
    let fair = crowd.streams() / 3;
    until("the new server has its share", || {
        shares(&nodes)[2] * 5 >= fair * 4
    })
    .await?;
    let took = begun.elapsed();
    println!(
        "a new server has {:?} of {} after {took:.1?}",
        shares(&nodes),
        crowd.streams()
    );
    let tallies = stand.tallies().await?;
    report(&tallies);
    nobody_has_lost_anything(&tallies, crowd)?;
    for method in [Method::Sse, Method::WebSocket] {
        let what = "ended as at a shutdown, at an age of its own; comes back with its cursor, \
                    nothing is lost, nothing comes twice, and a new server gets its share";
        let test = "faults::ends::rolling/share-of-a-new-server";
        came_to("stream-too-old", method.name(), what, test);
    }
    Ok(())
}

async fn asked_ready(server: SocketAddr) -> u16 {
    let mut raw = Raw::get(server, "/ready").await;
    raw.answer().await.status()
}

/// Prints what a person wants to know of a run.
fn report(tallies: &[Tally]) {
    let mut returns: Vec<_> = tallies.iter().flat_map(|tally| &tally.returns).collect();
    returns.sort();
    let second = Duration::from_secs(1);
    let peak = (0..returns.len())
        .map(|from| {
            let end = *returns[from] + second;
            returns[from..].partition_point(|at| **at < end)
        })
        .max();
    let mut away: Vec<_> = tallies.iter().flat_map(|tally| &tally.away).collect();
    away.sort();
    let lost: u64 = tallies.iter().map(|tally| tally.lost).sum();
    let doubled: u64 = tallies.iter().map(|tally| tally.doubled).sum();
    let requests = tallies
        .iter()
        .filter(|tally| matches!(tally.method, Method::Polling | Method::LongPolling));
    let failed: u64 = requests.map(|tally| tally.failures).sum();
    println!(
        "{} clients: {} came back, {} in the busiest second; without a stream for {:.1?} in the \
         middle, {:.1?} at most; {lost} lost, {doubled} twice, {failed} requests failed",
        tallies.len(),
        returns.len(),
        peak.unwrap_or(0),
        away.get(away.len() / 2).copied().unwrap_or(&Duration::ZERO),
        away.last().copied().unwrap_or(&Duration::ZERO),
    );
}
