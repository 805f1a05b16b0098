// ANCHOR: all
//! The whole thing: a log, the server of this chapter, and its two Rust clients.

use client::{Client, PollingClient, Rhythm, StateClient, Update};
use contract::{Data, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use polling::Prices;
use serving::{guard, Allowed, Ending};
use std::{error::Error, pin::pin, time::Duration};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: server
    let feed = Feed::new(Retention::default());
    let ending = Ending::new();
    let router =
        polling::router(feed.clone(), polling::Config::default(), ending.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));
    // ANCHOR_END: server

    // ANCHOR: state
    let mut state = StateClient::<Prices>::new(base.parse()?);
    let tick = r#"{"symbol":"ACME","price":101.25,"change":-0.25}"#;
    feed.publish("tick".parse()?, Data::from_json(tick)?)
        .await?;

    let Ok(Some(prices)) = state.get().await else {
        return Err("the first answer is whole".into());
    };
    assert_eq!(prices.prices["ACME"].price, 101.25);

    // A message is an event like any other, and changes no price: 304.
    feed.publish("message".parse()?, Data::new("hello")?)
        .await?;
    assert!(matches!(state.get().await, Ok(None)));
    // ANCHOR_END: state

    // ANCHOR: client
    let rhythm = Rhythm {
        interval: Duration::from_millis(100),
        ..Rhythm::default()
    };
    let client = PollingClient::new(base.parse()?).with_rhythm(rhythm);
    // From the state on: what came before is in it.
    let mut updates = pin!(client.subscribe(Position::After(prices.cursor)));
    let mut texts = Vec::new();
    while let Some(update) = updates.next().await {
        match update? {
            Update::Opened(cursor) => println!("asking, from {cursor} on"),
            Update::Events(events) => texts.extend(events.into_iter().map(|e| e.data)),
            Update::Gap(gap) => println!("{gap}"),
            Update::Heartbeat => println!("nothing new"),
            Update::Reconnecting(wait) => println!("no answer; again in {wait:?}"),
            Update::Finished => println!("that was all"),
        }
        feed.finish(); // so that this program has an end
    }
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].get(), r#""hello""#);
    // ANCHOR_END: client

    // ANCHOR: end
    ending.begin();
    server.await??;
    Ok(())
    // ANCHOR_END: end
}
// ANCHOR_END: all
