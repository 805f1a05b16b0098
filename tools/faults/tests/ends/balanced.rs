//! A load balancer that asks: with a lame duck nobody is sent to a server that ends.

use crate::{
    node::{Node, Settings},
    proxy::Proxy,
    wire::{Method, Open},
};
use anyhow::ensure;
use feed::Feed;
use harness::say;
use std::time::{Duration, Instant};
use testbed::{in_time, Raw};

/// Status of `GET status` of a method, by way of the proxy, on a connection of its own.
async fn asked(proxy: &Proxy) -> u16 {
    let mut raw = Raw::get(proxy.address, "/sse/status").await;
    raw.answer().await.status()
}

/// Answers of requests that come one after the other until `done`; those that were no 200.
async fn refused_until(proxy: &Proxy, mut done: impl AsyncFnMut() -> bool) -> Vec<u16> {
    let mut refused = Vec::new();
    in_time("an end", async {
        while !done().await {
            let status = asked(proxy).await;
            if status != 200 {
                refused.push(status);
            }
        }
    })
    .await;
    refused
}

/// Between the end of a server and the check that notices it, HAProxy sends requests to it, and its
/// clients get 503.
pub async fn without_a_lame_duck() -> anyhow::Result<()> {
    let refused = ended_behind_haproxy(Duration::ZERO).await?;
    ensure!(!refused.is_empty(), "nobody was sent to it");
    ensure!(refused.iter().all(|status| *status == 503), "{refused:?}");
    Ok(())
}

/// With a lame duck that is longer than two checks, not one.
pub async fn with_a_lame_duck() -> anyhow::Result<()> {
    let refused = ended_behind_haproxy(Duration::from_secs(2)).await?;
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(())
}

async fn ended_behind_haproxy(lame_duck: Duration) -> anyhow::Result<Vec<u16>> {
    let feed = Feed::new(feed::Retention::default());
    let settings = Settings {
        lame_duck,
        ..Settings::default()
    };
    let first = Node::start(Node::anywhere(), &feed, &settings).await?;
    let second = Node::start(Node::anywhere(), &feed, &settings).await?;
    let proxy = Proxy::haproxy(&[first.address, second.address]).await?;
    // Streams on both.
    let mut streams = Vec::new();
    while first.streams.in_use() == 0 || second.streams.in_use() == 0 {
        streams.push(Open::at(Method::Sse, proxy.address, "/sse/").await?);
    }
    let (of_first, of_second) = (first.streams.in_use(), second.streams.in_use());
    first.ending.announce();
    if !lame_duck.is_zero() {
        // All goes on: the streams that are there hear of what happens.
        say(&feed, "still here").await;
        for stream in &mut streams {
            stream.until("still here").await?;
        }
        ensure!(first.streams.in_use() == of_first, "nobody was ended yet");
    }
    let begun = first.ending.begun();
    let mut begun = std::pin::pin!(begun);
    let ended = async || futures_util::poll!(&mut begun).is_ready();
    let mut refused = refused_until(&proxy, ended).await;
    // And a while longer: what the checks need to notice.
    let noticed = Instant::now() + Duration::from_millis(1_500);
    refused.extend(refused_until(&proxy, async || Instant::now() >= noticed).await);
    let served = in_time("its end", first.serving).await?;
    served?;
    ensure!(first.streams.in_use() == 0 && of_first > 0);
    ensure!(second.streams.in_use() == of_second && of_second > 0);
    Ok(refused)
}
