//! A server with streams that never end comes to its end.

mod common;

use axum::{
    body::{Body, Bytes},
    routing::get,
    Router,
};
use common::{assert_took, in_time, read_until, rest, send, timed, Server};
use futures_util::stream;
use serving::{Config, Ending};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn config() -> Config {
    Config {
        drain: Duration::from_secs(5),
        ..Config::default()
    }
}

/// A stream that says "tick" every second for ever, until the ending begins.
fn polite(ending: Ending) -> Router {
    let answer = move || {
        let ending = ending.clone();
        async move {
            Body::from_stream(stream::unfold(false, move |over| {
                let begun = ending.begun();
                async move {
                    if over {
                        return None;
                    }
                    let (word, over) = tokio::select! {
                        () = sleep(Duration::from_secs(1)) => ("tick\n", false),
                        () = begun => ("goodbye\n", true),
                    };
                    Some((
                        Ok::<_, std::io::Error>(Bytes::from_static(word.as_bytes())),
                        over,
                    ))
                }
            }))
        }
    };
    Router::new().route("/", get(answer))
}

/// A stream that has never heard of an ending.
fn rude() -> Router {
    let answer = || async {
        Body::from_stream(stream::unfold((), |()| async {
            sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"tick\n")), ()))
        }))
    };
    Router::new().route("/", get(answer))
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_would_never_end_says_goodbye() {
    let ending = Ending::new();
    let server = Server::start_with(ending.clone(), polite(ending.clone()), config());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    read_until(&mut peer, "tick").await;
    let ended = timed(async {
        ending.begin();
        in_time(server.task).await.unwrap().unwrap();
    });
    let (text, ((), took)) = tokio::join!(rest(&mut peer), ended);
    assert!(text.contains("goodbye"), "{text}");
    assert!(
        text.ends_with("0\r\n\r\n"),
        "the response ends whole: {text}"
    );
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_listen_is_cut() {
    let server = Server::start(rude(), config());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    read_until(&mut peer, "tick").await;
    server.ending.begin();
    let (text, (ended, took)) = tokio::join!(rest(&mut peer), timed(server.task));
    ended.unwrap().unwrap();
    assert_took(took, config().drain);
    assert!(
        !text.ends_with("0\r\n\r\n"),
        "a cut response is not whole: {text}"
    );
    assert_eq!(server.ending.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_ending_itself_brings_says_that_the_connection_closes() {
    let ending = Ending::new();
    let answer = {
        let ending = ending.clone();
        move || async move {
            // In the same moment: nobody has told hyper yet.
            ending.begin();
            "goodbye"
        }
    };
    let router = Router::new().route("/", get(answer));
    let server = Server::start_with(ending, router, config());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    let text = rest(&mut peer).await.to_ascii_lowercase();
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    assert!(text.ends_with("goodbye"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_may_finish() {
    let (started, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let answer = {
        let (started, finish) = (started.clone(), finish.clone());
        move || async move {
            started.notify_one();
            finish.notified().await;
            "finished"
        }
    };
    let server = Server::start(Router::new().route("/", get(answer)), config());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    in_time(started.notified()).await;
    server.ending.begin();
    server.refused().await;
    assert!(!server.task.is_finished(), "a request is under way");
    finish.notify_one();
    let text = rest(&mut peer).await;
    assert!(text.ends_with("finished"), "{text}");
    in_time(server.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn idle_connections_end_at_once() {
    let server = Server::start(
        Router::new().route("/", get(|| async { "hello" })),
        config(),
    );
    let mut silent = server.connect();
    let mut kept = server.connect();
    send(&mut kept, REQUEST).await;
    read_until(&mut kept, "hello").await;
    server.ending.begin();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, Duration::ZERO);
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut kept).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_tracked_task_is_waited_for_and_then_cut() {
    let server = Server::start(Router::new(), config());
    let quick = tokio::spawn(server.ending.track(async {
        sleep(Duration::from_secs(2)).await;
        "in time"
    }));
    let endless = tokio::spawn(server.ending.track(std::future::pending::<()>()));
    server.ending.begin();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, config().drain);
    assert_eq!(quick.await.unwrap(), Some("in time"));
    assert_eq!(in_time(endless).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_does_not_wait() {
    let server = Server::start(rude(), config());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    read_until(&mut peer, "tick").await;
    server.ending.begin();
    server.ending.cut();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_cut_does_not_hold_the_server() {
    let server = Server::start(Router::new(), config());
    // Given to `track`, and never polled: nobody can drop it from outside.
    let _stuck = server.ending.track(async {});
    server.ending.begin();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, config().drain + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_beside_another_fails_alone_and_ends_with_it() {
    let ending = Ending::new();
    let hello = || Router::new().route("/", get(|| async { "hello" }));
    let first = Server::start_with(ending.clone(), hello(), Config::default());
    let second = Server::start_with(ending.child(), hello(), Config::default());
    let third = Server::start_with(ending.child(), hello(), Config::default());
    second.fail(std::io::ErrorKind::InvalidInput.into());
    in_time(second.task).await.unwrap().unwrap_err();
    assert!(!ending.has_begun() && !third.ending.has_begun());
    ending.begin();
    in_time(first.task).await.unwrap().unwrap();
    in_time(third.task).await.unwrap().unwrap();
}

/// Asks `GET /ready` on a connection of its own; the status.
async fn asked_ready(server: &Server) -> u16 {
    let mut peer = server.connect();
    send(
        &mut peer,
        "GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    let text = rest(&mut peer).await;
    let status = text.split(' ').nth(1).expect("a status line");
    status.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_lame_duck_serves_everybody_and_says_that_it_is_not_ready() {
    const LAME_DUCK: Duration = Duration::from_secs(10);
    let ending = Ending::new();
    let router = polite(ending.clone()).route("/ready", serving::ready(&ending));
    let config = Config {
        lame_duck: LAME_DUCK,
        ..config()
    };
    let server = Server::start_with(ending.clone(), router, config);
    let mut old = server.connect();
    send(&mut old, REQUEST).await;
    read_until(&mut old, "tick").await;
    assert_eq!(asked_ready(&server).await, 200);
    ending.announce();
    let announced = tokio::time::Instant::now();
    assert_eq!(asked_ready(&server).await, 503);
    // One that comes now is served as before, and so is one that is here.
    let mut new = server.connect();
    send(&mut new, REQUEST).await;
    let seen = read_until(&mut new, "tick").await;
    assert!(!seen.contains("goodbye"), "{seen}");
    assert!(!ending.has_begun());
    let (text, (ended, _)) = tokio::join!(rest(&mut old), timed(server.task));
    ended.unwrap().unwrap();
    assert!(text.contains("goodbye"), "{text}");
    assert_took(announced.elapsed(), LAME_DUCK);
}

#[tokio::test(start_paused = true)]
async fn without_a_lame_duck_an_announced_ending_begins_at_once() {
    let server = Server::start(Router::new(), config());
    server.ending.announce();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_does_not_wait_for_the_lame_duck() {
    let config = Config {
        lame_duck: Duration::from_secs(60),
        ..config()
    };
    let server = Server::start(rude(), config);
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    read_until(&mut peer, "tick").await;
    server.ending.announce();
    server.ending.cut();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, Duration::ZERO);
}
