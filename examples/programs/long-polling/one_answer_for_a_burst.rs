//! Five events in a row: an answer for the first and one for the others, or one for all
//! of them.

use contract::{Cursor, Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::{
    net::TcpListener,
    task::{yield_now, JoinHandle},
};

/// Serves an empty log with this much linger. Gives the log and the server's base URL.
async fn serve(linger: Duration) -> Result<(Feed, String), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = long_polling::Config {
        linger,
        ..long_polling::Config::default()
    };
    let router = long_polling::router(feed.clone(), config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    Ok((feed, base))
}

type Asked = JoinHandle<reqwest::Result<LogPage>>;

fn ask(http: &Client, base: &str, after: Cursor) -> Asked {
    let url = format!("{base}/events?after={after}");
    let request = http.get(url).header("prefer", "wait=20");
    tokio::spawn(async move { request.send().await?.json().await })
}

async fn publish(feed: &Feed, number: u32) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(&number)?)
        .await?;
    Ok(())
}

/// The server has its turn, until a request is parked or none is.
async fn until(feed: &Feed, parked: bool) {
    while (feed.subscribers() > 0) != parked {
        yield_now().await;
    }
}

// ANCHOR: burst
/// Five events in a row while a client waits. How many events each of its answers
/// brings.
async fn burst(http: &Client, linger: Duration) -> Result<Vec<usize>, Box<dyn Error>> {
    let (feed, base) = serve(linger).await?;
    let mut asked = ask(http, &base, feed.state().latest);
    until(&feed, true).await;
    for number in 1..=5 {
        publish(&feed, number).await?;
        if linger.is_zero() {
            until(&feed, false).await; // the first event is answered by itself
        }
    }
    feed.finish(); // nothing can follow: no need to linger to the end
    let mut answers = Vec::new();
    loop {
        let page = asked.await??;
        answers.push(page.events.len());
        if page.finished {
            return Ok(answers);
        }
        asked = ask(http, &base, page.next);
    }
}
// ANCHOR_END: burst

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = Client::builder().no_proxy().build()?;
    // ANCHOR: main
    assert_eq!(burst(&http, Duration::ZERO).await?, [1, 4]);
    // Long, so that the five surely fit on a busy machine; the default is 20 ms.
    assert_eq!(burst(&http, Duration::from_secs(2)).await?, [5]);
    // ANCHOR_END: main
    Ok(())
}
