//! Three time-outs on one path. Whoever's is the shortest ends the wait, and only the
//! server can do it well.

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    Router,
};
use contract::{Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::net::TcpListener;

// ANCHOR: proxy
/// A proxy in front of a server, with a time-out of its own.
#[derive(Clone)]
struct Proxy {
    http: Client,
    server: String,
    patience: Duration,
}

async fn relay(State(proxy): State<Proxy>, request: Request) -> Response {
    let url = format!("{}{}", proxy.server, request.uri());
    let mut onward = proxy.http.get(url).timeout(proxy.patience);
    if let Some(prefer) = request.headers().get("prefer") {
        onward = onward.header("prefer", prefer);
    }
    match whole(onward).await {
        Ok(answer) => answer.into_response(),
        Err(error) if error.is_timeout() => (
            StatusCode::GATEWAY_TIMEOUT,
            Html("<h1>504 Gateway Time-out</h1>"),
        )
            .into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// A real proxy passes headers on, too. These programs read none.
async fn whole(
    request: reqwest::RequestBuilder,
) -> reqwest::Result<(StatusCode, Bytes)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.bytes().await?))
}
// ANCHOR_END: proxy

/// Serves a router on a free port and gives its base URL.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(base)
}

/// Serves a proxy with this much patience.
async fn proxy(
    http: &Client,
    server: &str,
    patience: Duration,
) -> Result<String, Box<dyn Error>> {
    let (http, server) = (http.clone(), server.to_owned());
    serve(Router::new().fallback(relay).with_state(Proxy {
        http,
        server,
        patience,
    }))
    .await
}

/// One request of a client: how long the server may park it, and how long the client
/// itself waits.
async fn ask(
    http: &Client,
    base: &str,
    after: &str,
    wait: &str,
    patience: Duration,
) -> reqwest::Result<reqwest::Response> {
    let url = format!("{base}/events?after={after}");
    let request = http.get(url).header("prefer", wait);
    request.timeout(patience).send().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    // ANCHOR: main
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);
    let feed = Feed::new(Retention::default());
    let config = long_polling::Config::default();
    let server =
        serve(long_polling::router(feed.clone(), config, Ending::new())).await?;
    let cursor = feed.state().latest.to_string();

    // The server's wait is the shortest: a whole answer, and it says "nothing yet".
    let patient = proxy(&http, &server, LONG).await?;
    let answer = ask(&http, &patient, &cursor, "wait=1", LONG).await?;
    assert_eq!(answer.status(), 200);
    assert!(answer.json::<LogPage>().await?.events.is_empty());

    // The proxy's is the shortest: a status that the server never sent, and no JSON.
    let hasty = proxy(&http, &server, SHORT).await?;
    let answer = ask(&http, &hasty, &cursor, "wait=20", LONG).await?;
    assert_eq!(answer.status(), 504);
    assert!(answer.json::<LogPage>().await.is_err());

    // The client's is the shortest: no answer at all, as if the server were dead.
    let error = ask(&http, &patient, &cursor, "wait=20", SHORT)
        .await
        .unwrap_err();
    assert!(error.is_timeout());

    // Nothing was lost in all this: each request names its place.
    feed.publish("message".parse()?, Data::new("one")?).await?;
    let answer = ask(&http, &hasty, &cursor, "wait=20", LONG).await?;
    assert_eq!(answer.json::<LogPage>().await?.events.len(), 1);
    // ANCHOR_END: main
    Ok(())
}
