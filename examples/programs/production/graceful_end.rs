//! A server that ends well, on axum and tokio: it says so to the load balancer,
//! then to its streams, and then it waits for no longer than it may.

// ANCHOR: all
use axum::{
    extract::State,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::get,
    Router,
};
use futures_util::{stream, Stream, StreamExt};
use reqwest::Client;
use std::{
    convert::Infallible,
    error::Error,
    future::{Future, IntoFuture},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time::{interval, sleep, timeout},
};
use tokio_stream::wrappers::IntervalStream;

/// What a server is about, in this order.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Ready,
    LameDuck,
    Ending,
}

/// Should somebody new come here?
async fn ready(State(stage): State<watch::Receiver<Stage>>) -> StatusCode {
    match *stage.borrow() {
        Stage::Ready => StatusCode::OK,
        Stage::LameDuck | Stage::Ending => StatusCode::SERVICE_UNAVAILABLE,
    }
}

// ANCHOR: events
/// Ticks; at the end a last word, and when to come back.
async fn events(
    State(stage): State<watch::Receiver<Stage>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = stream::once(async {
        // Each client at a time of its own.
        let retry = Duration::from_millis(fastrand::u64(1_000..5_000));
        let reason = r#"{"reason":"shutdown"}"#;
        Event::default().retry(retry).event("end").data(reason)
    });
    Sse::new(ticks().take_until(ending(stage)).chain(last).map(Ok))
}

/// Comes when streams have to end.
async fn ending(mut stage: watch::Receiver<Stage>) {
    let _ = stage.wait_for(|stage| *stage == Stage::Ending).await;
}
// ANCHOR_END: events

fn ticks() -> impl Stream<Item = Event> {
    let ticks = IntervalStream::new(interval(Duration::from_millis(50)));
    ticks.map(|_| Event::default().data("tick"))
}

// ANCHOR: deaf
/// A stream that is not told.
async fn deaf() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(ticks().map(Ok))
}
// ANCHOR_END: deaf

// ANCHOR: serve
/// Serves until it is told to end; then whether all were gone before `drain` was over.
async fn serve(
    listener: TcpListener,
    told: impl Future,
    lame_duck: Duration,
    drain: Duration,
) -> std::io::Result<bool> {
    let (stages, stage) = watch::channel(Stage::Ready);
    let app = Router::new()
        .route("/ready", get(ready))
        .route("/events", get(events))
        .route("/deaf", get(deaf))
        .with_state(stage.clone());
    let server = axum::serve(listener, app).with_graceful_shutdown(ending(stage));
    let server = tokio::spawn(server.into_future());

    told.await;
    stages.send_replace(Stage::LameDuck);
    sleep(lame_duck).await;
    // No new connections from here on; each stream says its last word.
    stages.send_replace(Stage::Ending);
    match timeout(drain, server).await {
        Ok(served) => served?.map(|()| true),
        // The process exits, and takes along what is still open.
        Err(_) => Ok(false),
    }
}
// ANCHOR_END: serve

struct Started {
    base: String,
    tell: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<std::io::Result<bool>>,
}

async fn start(lame_duck: Duration, drain: Duration) -> std::io::Result<Started> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (tell, told) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, told, lame_duck, drain));
    Ok(Started {
        base,
        tell,
        serving,
    })
}

async fn told_in_time(http: &Client) -> Result<(), Box<dyn Error>> {
    let server = start(Duration::from_secs(3), Duration::from_secs(30)).await?;
    let get = |path: &str| http.get(format!("{}{path}", server.base)).send();
    assert_eq!(get("/ready").await?.status(), 200);
    let old = get("/events").await?;
    server.tell.send(()).map_err(|()| "no server")?;
    // First the load balancer hears of it, and whoever comes is served all the same.
    while get("/ready").await?.status() == 200 {}
    let mut new = get("/events").await?;
    assert_eq!(new.chunk().await?.ok_or("it ended")?, "data: tick\n\n");
    // Then the clients do. `text` waits for the end of the body.
    for stream in [old, new] {
        let text = stream.text().await?;
        assert!(text.ends_with("event: end\ndata: {\"reason\":\"shutdown\"}\n\n"));
    }
    assert!(server.serving.await??, "all were gone in time");
    Ok(())
}

/// A stream that is not told holds the server for as long as `drain`, and is then cut.
async fn cut(http: &Client) -> Result<(), Box<dyn Error>> {
    let server = start(Duration::ZERO, Duration::from_millis(300)).await?;
    let mut deaf = http.get(format!("{}/deaf", server.base)).send().await?;
    server.tell.send(()).map_err(|()| "no server")?;
    assert!(!server.serving.await??, "it was not waited for");
    // Here the process goes on, and with it the stream.
    assert!(deaf.chunk().await?.is_some());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = Client::builder().no_proxy().build()?;
    told_in_time(&http).await?;
    cut(&http).await
}
// ANCHOR_END: all
