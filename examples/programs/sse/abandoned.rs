//! The client leaves in the middle of an answer. Who tells the generator?

use axum::{
    extract::State,
    response::sse::{Event, Sse},
    routing::post,
    Router,
};
use futures_util::{stream, Stream, StreamExt};
use std::{
    convert::Infallible,
    error::Error,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// More tokens than any client here will read.
const TOKENS: usize = 100_000;

type Made = Arc<AtomicUsize>;
type Token = Result<Event, Infallible>;

// ANCHOR: pushed
/// A task of its own makes the tokens and pushes them into a channel.
async fn pushed(State(made): State<Made>) -> Sse<impl Stream<Item = Token>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for token in 0..TOKENS {
            made.fetch_add(1, Ordering::Relaxed);
            let _ = sender.send(token);
            tokio::task::yield_now().await;
        }
    });
    let tokens = UnboundedReceiverStream::new(receiver);
    Sse::new(tokens.map(|token| Ok(Event::default().data(token.to_string()))))
}
// ANCHOR_END: pushed

// ANCHOR: pulled
/// The response pulls: each token is made when there is room to write it.
async fn pulled(State(made): State<Made>) -> Sse<impl Stream<Item = Token>> {
    // `made` moves into the closure, so it is dropped when the stream is.
    let tokens = stream::iter(0_usize..).map(move |token| {
        made.fetch_add(1, Ordering::Relaxed);
        Ok(Event::default().data(token.to_string()))
    });
    Sse::new(tokens)
}
// ANCHOR_END: pulled

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let counts = [Made::default(), Made::default()];
    let [by_push, by_pull] = counts.clone();
    let app = Router::new()
        .route("/pushed", post(pushed).with_state(by_push))
        .route("/pulled", post(pulled).with_state(by_pull));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    for path in ["pushed", "pulled"] {
        let mut answer = http.post(format!("{base}/{path}")).send().await?;
        answer.chunk().await?; // the beginning of the answer, and the client leaves
    }
    // Nobody reads, and every token is made.
    while counts[0].load(Ordering::Relaxed) < TOKENS {
        tokio::task::yield_now().await;
    }
    // This one would go on for ever, if the server did not let go of it: then two
    // handles are left, the one here and the router's.
    while Arc::strong_count(&counts[1]) > 2 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
// ANCHOR_END: main
