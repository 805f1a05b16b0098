//! Thousands of requests parked at once, over pipes: each a connection of its own, with
//! hyper and the whole edge behind it.

mod support;

use contract::LogPage;
use feed::Feed;
use futures_util::future::join_all;
use harness::{say, still_feed};
use long_polling::Config;
use serving::{guard, Allowed, Ending};
use support::{get, FOR_EVER, PATIENT};
use testbed::{eventually, in_time, wire, Dialer, Pipes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};

/// More than one machine's sockets would allow a test, and few enough for a second or
/// two without optimisation.
const MANY: usize = 4_000;

/// Holds a whole request and a whole answer, so that neither side waits for the other
/// to read.
const PIPE_BYTES: usize = 1024;

struct Crowded {
    feed: Feed,
    ending: Ending,
    serving: JoinHandle<std::io::Result<()>>,
    dialer: Dialer,
}

impl Crowded {
    /// A server with a place for each of them, and for no other.
    fn start() -> Self {
        let feed = still_feed(10);
        let ending = Ending::new();
        let config = Config {
            max_parked: MANY,
            max_wait: FOR_EVER,
            ..Config::default()
        };
        let edge = serving::Config {
            // Two are for those who ask how it stands.
            max_connections: MANY + 2,
            ..serving::Config::default()
        };
        let router = long_polling::router(feed.clone(), config, ending.clone());
        let (dialer, pipes) = Pipes::new();
        let router = guard(router, Allowed::default());
        let serving = tokio::spawn(serving::serve(pipes, router, edge, ending.clone()));
        Self {
            feed,
            ending,
            serving,
            dialer,
        }
    }

    /// Asks on a connection that the server closes after its answer.
    async fn ask(&self, target: &str, headers: &str) -> DuplexStream {
        let mut pipe = self.dialer.connect(PIPE_BYTES);
        let request = wire(&get(target, &format!("{headers}\nConnection: close")));
        let sent = pipe.write_all(request.as_bytes()).await;
        sent.expect("the pipe holds a request");
        pipe
    }

    /// Takes every place.
    async fn park_all(&self) -> Vec<DuplexStream> {
        let latest = self.feed.state().latest;
        let target = format!("/events?after={latest}");
        let parking = (0..MANY).map(|_| self.ask(&target, PATIENT));
        let parked = join_all(parking).await;
        self.are_parked(MANY).await;
        assert_eq!(self.status().await, 503, "no place is left");
        parked
    }

    async fn are_parked(&self, count: usize) {
        eventually(&format!("{count} are parked"), || {
            self.feed.subscribers() == count
        })
        .await;
    }

    /// What a wait would meet now: 200, or 503 where no place is free.
    async fn status(&self) -> u16 {
        let answer = read(self.ask("/status", "").await).await;
        answer.0
    }
}

/// The status of an answer, and its content.
async fn read(mut pipe: DuplexStream) -> (u16, String) {
    let mut text = String::new();
    let ended = in_time("the end of an answer", pipe.read_to_string(&mut text)).await;
    ended.expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

/// All of them are answered with the newest event, and nothing else.
async fn are_told(parked: Vec<DuplexStream>, text: &str) {
    for (status, body) in join_all(parked.into_iter().map(read)).await {
        assert_eq!(status, 200, "{body}");
        let page: LogPage = serde_json::from_str(&body).expect("a page");
        let told: Vec<_> = page.events.iter().map(|event| event.data.get()).collect();
        assert_eq!(told, [format!("{text:?}")]);
    }
}

#[tokio::test]
async fn one_event_answers_them_all_and_their_places_are_free_again() {
    let server = Crowded::start();
    for text in ["one", "two"] {
        let parked = server.park_all().await;
        say(&server.feed, text).await;
        are_told(parked, text).await;
        server.are_parked(0).await;
        assert_eq!(server.status().await, 200);
    }
}

#[tokio::test]
async fn those_who_vanish_leave_their_places_and_the_others_are_answered() {
    let server = Crowded::start();
    let mut parked = server.park_all().await;
    let vanishing = parked.split_off(MANY / 2);
    drop(vanishing);
    server.are_parked(MANY / 2).await;
    assert_eq!(server.status().await, 200);
    say(&server.feed, "hello").await;
    are_told(parked, "hello").await;
    server.are_parked(0).await;
}

#[tokio::test]
async fn all_end_at_once_when_the_server_does() {
    let server = Crowded::start();
    let parked = server.park_all().await;
    server.ending.begin();
    for (status, body) in join_all(parked.into_iter().map(read)).await {
        assert_eq!(status, 200);
        assert!(body.contains(r#""events":[]"#), "{body}");
    }
    server.are_parked(0).await;
    assert_eq!(server.ending.open(), 0);
    let ended = in_time("the end of the server", server.serving).await;
    ended.expect("no panic").expect("no error");
}
