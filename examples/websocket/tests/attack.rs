//! Cross-site WebSocket hijacking: the attack, and what stops it.
//!
//! A person is logged in at a server. A page of another site opens a WebSocket to it,
//! in that person's browser, and the browser sends the cookie along. CORS does not
//! apply: it keeps pages from reading answers to requests, and a WebSocket is no
//! request whose answer is read. What stops the page is the header `Origin`, which a
//! browser sets and a page cannot change, if the server looks at it.

mod support;

use axum::{
    extract::Request,
    http::{header, StatusCode},
    middleware::{from_fn, Next},
    response::{IntoResponse, Response},
    Router,
};
use harness::{say, still_feed};
use serving::{guard, Allowed, Guarded};
use support::{asking, Socket, Stand};
use tokio_tungstenite::tungstenite::{client::ClientRequestBuilder, Error};
use websocket::Config;

/// What a login has left in the browser.
const COOKIE: &str = "session=ada";

/// A server that lets in who is logged in. The book's servers know no users; this one
/// stands for those that do.
fn logged_in(router: Router) -> Router {
    router.layer(from_fn(|request: Request, next: Next| async move {
        match request.headers().get(header::COOKIE) {
            Some(cookie) if cookie == COOKIE => next.run(request).await,
            _ => StatusCode::UNAUTHORIZED.into_response() as Response,
        }
    }))
}

fn unguarded(router: Router) -> Guarded {
    Guarded::unchecked(logged_in(router))
}

fn guarded(router: Router) -> Guarded {
    guard(logged_in(router), Allowed::default())
}

fn server(around: impl FnOnce(Router) -> Guarded) -> Stand {
    let edge = serving::Config::default();
    Stand::with(still_feed(10), Config::default(), edge, around)
}

/// What the browser sends when the script of a page of `origin` says `new
/// WebSocket("ws://127.0.0.1:4103/events")`.
fn opened_by_a_page_of(origin: &str) -> ClientRequestBuilder {
    asking("/events?after=earliest")
        .with_header("Origin", origin)
        .with_header("Cookie", COOKIE)
}

#[tokio::test]
async fn without_a_check_of_the_origin_another_site_reads_and_writes_as_the_user() {
    let stand = server(unguarded);
    say(&stand.feed, "my secret").await;
    let page = opened_by_a_page_of("https://evil.example");
    let mut socket = Socket(stand.try_open(page).await.expect("it is let in"));
    let hello = socket.text().await;
    assert!(hello.starts_with(r#"{"hello":"#), "{hello}");
    let stolen = socket.text().await;
    assert!(stolen.contains("my secret"), "{stolen}");
    socket
        .say(r#"{"publish":{"ref":"1","kind":"message","data":"as Ada, from another site"}}"#)
        .await;
    let ack = socket.text().await;
    assert_eq!(ack, r#"{"ack":{"ref":"1","id":"k3f9x2.2"}}"#);
}

#[tokio::test]
async fn with_the_check_another_site_is_refused_before_there_is_a_socket() {
    let stand = server(guarded);
    // A page in a sandbox, or a file on the disk, has the origin `null`.
    for origin in ["https://evil.example", "http://127.0.0.1:4199", "null"] {
        let page = opened_by_a_page_of(origin);
        let Err(Error::Http(refused)) = stand.try_open(page).await else {
            panic!("a page of {origin} was let in");
        };
        assert_eq!(refused.status(), 403);
    }
    assert_eq!(stand.feed.subscribers(), 0);
}

#[tokio::test]
async fn with_the_check_the_servers_own_page_and_a_program_are_let_in() {
    let stand = server(guarded);
    let own = opened_by_a_page_of("http://127.0.0.1:4103");
    stand.try_open(own).await.expect("the page is let in");
    // A program sends what it likes, and sends no other person's cookies.
    let program = asking("/events").with_header("Cookie", COOKIE);
    stand
        .try_open(program)
        .await
        .expect("the program is let in");
}

#[tokio::test]
async fn without_its_cookie_nobody_is_let_in() {
    let stand = server(unguarded);
    let Err(Error::Http(refused)) = stand.try_open(asking("/events")).await else {
        panic!("the login is no part of this test's server");
    };
    assert_eq!(refused.status(), 401);
}

/// Over HTTP/2 the handshake is a CONNECT, without `Upgrade`.
mod over_http2 {
    use super::*;
    use support::http2;

    async fn status(stand: &Stand, origin: &str) -> u16 {
        let headers = [("origin", origin), ("cookie", COOKIE)];
        let mut client = http2::connect(stand).await;
        let response = http2::tunnel(&mut client, "/events", &headers).await;
        response.status().as_u16()
    }

    #[tokio::test]
    async fn the_attack_and_the_check_are_the_same() {
        let evil = "https://evil.example";
        assert_eq!(status(&server(unguarded), evil).await, 200);
        assert_eq!(status(&server(guarded), evil).await, 403);
        let own = "http://127.0.0.1:4103";
        assert_eq!(status(&server(guarded), own).await, 200);
    }
}
