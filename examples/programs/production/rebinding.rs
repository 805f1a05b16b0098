//! A foreign name comes to mean this machine, and a page reads what is served here.

use axum::{routing::get, Router};
use serving::{guard, Allowed, Ending, Guarded};
use std::{error::Error, net::SocketAddr};
use tokio::net::TcpListener;

// ANCHOR: open
/// A server for whoever sits at this machine: it is bound to 127.0.0.1, and asks
/// nobody who they are.
fn build_log() -> Router {
    Router::new().route("/log", get(async || "deploy key: hunter2"))
}
// ANCHOR_END: open

/// Serves a router on a free port and gives its address.
async fn serve(app: Guarded) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(address)
}

// ANCHOR: page
/// What a page of `name` gets from its own origin, once its name server answers with
/// the address of this machine.
async fn read(name: &str, server: SocketAddr) -> reqwest::Result<(u16, String)> {
    let browser = reqwest::Client::builder()
        .no_proxy()
        // The name server of `evil.example` belongs to whoever wrote the page.
        .resolve(name, server)
        .build()?;
    let url = format!("http://{name}:{}/log", server.port());
    let answer = browser.get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}
// ANCHOR_END: page

// ANCHOR: attack
async fn attack() -> Result<(), Box<dyn Error>> {
    let server = serve(Guarded::unchecked(build_log())).await?;
    let (status, stolen) = read("evil.example", server).await?;
    assert_eq!((status, &*stolen), (200, "deploy key: hunter2"));
    Ok(())
}
// ANCHOR_END: attack

// ANCHOR: checked
async fn checked() -> Result<(), Box<dyn Error>> {
    let allowed = Allowed {
        // The name that the proxy in front of it has. Addresses and `localhost` are
        // allowed anyway: nobody can make them mean something else.
        hosts: vec!["builds.example".parse()?],
        ..Allowed::default()
    };
    let server = serve(guard(build_log(), allowed)).await?;
    for (name, expected) in [
        ("localhost", 200),
        ("builds.example", 200),
        ("evil.example", 421),
        ("builds.example.evil.example", 421),
    ] {
        let (status, body) = read(name, server).await?;
        assert_eq!(status, expected, "{name}");
        assert_eq!(body.contains("hunter2"), expected == 200, "{name}");
    }
    Ok(())
}
// ANCHOR_END: checked

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    attack().await?;
    checked().await
}
