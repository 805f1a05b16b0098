//! "Give me what is unread", and the server forgets it: one lost answer, and the news
//! is gone.

use axum::{extract::State, routing::get, Json, Router};
use contract::{Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// Serves a router on a free port and gives its URL, which ends in `/`.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(url)
}

async fn publish(feed: &Feed, text: &str) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

// ANCHOR: handler
type Inbox = Arc<Mutex<Vec<String>>>;

/// Hands out what is unread, and clears it.
async fn unread(State(inbox): State<Inbox>) -> Json<Vec<String>> {
    let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
    Json(std::mem::take(&mut *inbox))
}
// ANCHOR_END: handler

// ANCHOR: plain
/// An answer is lost on its way, and what was in it with it.
async fn cleared(http: &Client) -> Result<(), Box<dyn Error>> {
    let inbox = Inbox::new(Mutex::new(vec!["your train is cancelled".to_owned()]));
    let app = Router::new().route("/unread", get(unread));
    let url = serve(app.with_state(inbox)).await? + "unread";

    let answer = http.get(&url).send().await?;
    drop(answer); // the phone is in a tunnel, and reads nothing of it

    let messages: Vec<String> = http.get(&url).send().await?.json().await?;
    assert!(messages.is_empty());
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: log
/// The same with a cursor: the question can be asked again.
async fn kept(http: &Client) -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = polling::Config::default();
    let url = serve(polling::router(feed.clone(), config, Ending::new())).await?;
    let url = format!("{url}events?after={}", feed.state().latest);
    publish(&feed, "your train is cancelled").await?;

    let answer = http.get(&url).send().await?;
    drop(answer); // the same tunnel

    let page: LogPage = http.get(&url).send().await?.json().await?;
    assert_eq!(page.events[0].data.get(), r#""your train is cancelled""#);
    Ok(())
}
// ANCHOR_END: log

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    cleared(&http).await?;
    kept(&http).await
}
