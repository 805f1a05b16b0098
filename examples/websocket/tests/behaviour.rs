//! What goes well and what goes wrong on a socket, and what this server does about it.

mod support;

use contract::{Data, Kind};
use feed::{Feed, Retention};
use harness::{say, still_feed};
use serving::{guard, Allowed, Listener};
use std::{
    io,
    pin::Pin,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    task::{Context, Poll},
    time::Duration,
};
use support::{
    asking, guarded, handshake, header, masked, Frame, Socket, Stand, Wire, CLOSE,
    FOR_EVER, PING, PONG, TEXT, WIDE,
};
use testbed::{eventually, in_time, wire, Pipes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_tungstenite::tungstenite::{
    self, client::ClientRequestBuilder, Bytes, Message,
};
use websocket::Config;

/// No heartbeat comes between what a test expects, and no close is given up because the
/// machine is busy.
fn quiet() -> Config {
    Config {
        heartbeat: FOR_EVER,
        close_patience: FOR_EVER,
        ..Config::default()
    }
}

/// A socket that has had its hello.
async fn greeted(stand: &Stand, target: &str) -> Socket {
    let mut socket = stand.open(target).await;
    let hello = socket.text().await;
    assert!(hello.starts_with(r#"{"hello":"#), "{hello}");
    socket
}

/// The same by hand.
async fn greeted_wire(stand: &Stand, target: &str) -> Wire {
    let mut wire = stand.wire(target, WIDE).await;
    let hello = wire.frame().await.expect("hello");
    assert!(hello.text().starts_with(r#"{"hello":"#), "{hello:?}");
    wire
}

#[tokio::test]
async fn hello_comes_first_then_what_is_due_then_what_happens() {
    let stand = Stand::start(quiet());
    say(&stand.feed, "one").await;
    say(&stand.feed, "two").await;
    let mut late = stand.open("/events?after=k3f9x2.1").await;
    assert_eq!(
        late.text().await,
        r#"{"hello":{"cursor":"k3f9x2.1","every":86400000}}"#
    );
    let mut fresh = stand.open("/events").await;
    let hello = fresh.text().await;
    assert!(hello.contains("k3f9x2.2"), "{hello}");
    let two = late.text().await;
    assert!(
        two.starts_with(r#"{"event":{"id":"k3f9x2.2","#)
            && two.ends_with(r#""data":"two"}}"#),
        "{two}"
    );
    say(&stand.feed, "three").await;
    for socket in [&mut late, &mut fresh] {
        let three = socket.text().await;
        assert!(three.contains(r#""id":"k3f9x2.3""#), "{three}");
    }
}

#[tokio::test]
async fn a_gap_is_said_and_reading_goes_on_from_its_resume() {
    let stand = Stand::of(still_feed(2), quiet());
    for text in ["one", "two", "three", "four"] {
        say(&stand.feed, text).await;
    }
    let mut socket = greeted(&stand, "/events?after=k3f9x2.1").await;
    assert_eq!(
        socket.text().await,
        r#"{"gap":{"reason":"expired","asked":"k3f9x2.1","resume":"k3f9x2.2"}}"#
    );
    for id in ["k3f9x2.3", "k3f9x2.4"] {
        let event = socket.text().await;
        assert!(event.contains(id), "{event}");
    }
    let mut other = greeted(&stand, "/events?after=aaaaaa.7").await;
    let gap = other.text().await;
    assert!(gap.contains(r#""reason":"new-log""#), "{gap}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_stays_and_hears_heartbeats() {
    let stand = Stand::start(Config::default());
    let mut socket = greeted(&stand, "/events").await;
    let begun = Instant::now();
    let mut pings = 0;
    // tungstenite's client answers each ping on its next read.
    for _ in 0..20 {
        match socket.next().await {
            Some(Message::Ping(_)) => pings += 1,
            Some(Message::Text(text)) => {
                assert_eq!(text, r#"{"heartbeat":{"every":15000}}"#)
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pings, 10);
    assert_eq!(begun.elapsed(), 10 * Config::default().heartbeat);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_ping_is_dropped_within_two_heartbeats() {
    let stand = Stand::start(Config::default());
    for target in ["/events", "/board", "/echo"] {
        let mut wire = stand.wire(target, WIDE).await;
        let begun = Instant::now();
        let mut pings = 0;
        while let Some(frame) = wire.frame().await {
            assert_ne!(frame.first, CLOSE, "nobody would hear it");
            pings += usize::from(frame.first == PING);
            assert!(pings <= 2, "{target}: it is asked again and again");
        }
        assert!(pings >= 1, "it was asked");
        assert_eq!(begun.elapsed(), 2 * Config::default().heartbeat);
    }
    eventually("nothing is left", || {
        (stand.feed.subscribers(), stand.board.subscribers()) == (0, 0)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_nothing_else_happens() {
    let stand = Stand::start(quiet());
    for target in ["/events", "/echo"] {
        let mut wire = stand.wire(target, WIDE).await;
        wire.send(&masked(PING, b"are you there?")).await;
        let pong = loop {
            let frame = wire.frame().await.expect("a pong");
            if frame.first != TEXT {
                break frame;
            }
        };
        assert_eq!((pong.first, &*pong.payload), (PONG, &b"are you there?"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_ended_and_gets_no_queue() {
    let stand = patient_stand();
    // The pipe holds 1 KiB; the first of these events fills it.
    let _wire = stand.wire("/events", 1024).await;
    let kind: Kind = "message".parse().unwrap();
    let data = Data::new(&"x".repeat(30_000)).unwrap();
    let mut weak = Vec::new();
    for _ in 0..100 {
        let cursor = stand
            .feed
            .publish(kind.clone(), data.clone())
            .await
            .unwrap();
        weak.push(Arc::downgrade(&stand.feed.event(cursor).unwrap()));
        tokio::task::yield_now().await;
    }
    // Ten are in the window; of the rest the socket holds at most one batch, those that
    // were due when it last looked.
    let alive = weak.iter().filter(|event| event.strong_count() > 0).count();
    assert!(alive <= 10 + 3, "{alive} events are kept for one reader");
    eventually_in_virtual_time("it is dropped", || stand.feed.subscribers() == 0).await;
}

/// Waits with a clock that moves when nothing else does.
async fn eventually_in_virtual_time(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{what}: not yet"
        );
    }
}

/// A server of the usual limits on a [`patient_edge`].
fn patient_stand() -> Stand {
    Stand::with(still_feed(10), Config::default(), patient_edge(), guarded)
}

/// An edge whose own deadline for a peer that does not read stays out of the way.
fn patient_edge() -> serving::Config {
    serving::Config {
        write_progress: FOR_EVER,
        ..serving::Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_pings_and_reads_nothing_is_ended() {
    let stand = patient_stand();
    let mut wire = stand.wire("/events", 1024).await;
    let ping = masked(PING, &[b'x'; 125]);
    let begun = Instant::now();
    // Each ping is a sign of life, and each is owed a pong of 127 bytes.
    in_time("the end of the connection", async {
        loop {
            for _ in 0..1_000 {
                if wire.io.write_all(&ping).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(
        begun.elapsed() < 2 * Config::default().heartbeat,
        "at the first heartbeat that finds no room: {:?}",
        begun.elapsed()
    );
    eventually("nothing is left", || stand.feed.subscribers() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answers_is_not_read_from() {
    let stand = patient_stand();
    let mut wire = stand.wire("/events", 1024).await;
    let publish = br#"{"publish":{"ref":"","kind":"message","data":1}}"#;
    // Far more than the pipe and the places for answers hold.
    let flood = async {
        for _ in 0..10_000 {
            let message = masked(TEXT, publish);
            wire.io.write_all(&message).await.expect("not ended yet");
        }
    };
    let waits = tokio::time::timeout(Duration::from_secs(5), flood).await;
    assert!(waits.is_err(), "everything was read");
    eventually_in_virtual_time("it is dropped", || stand.feed.subscribers() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_stays_although_it_sends_nothing() {
    let heartbeat = Config::default().heartbeat;
    let stand = Stand::start(Config::default());
    let mut wire = stand.wire("/events", 1024).await;
    wire.frame().await.expect("hello");
    say(&stand.feed, &"x".repeat(10_000)).await;
    let begun = Instant::now();
    // A kilobyte in each heartbeat. The ping waits behind the event, so that there is
    // nothing to answer.
    let mut read = vec![0; 1024];
    for _ in 0..9 {
        tokio::time::sleep(heartbeat).await;
        in_time("a piece", wire.io.read_exact(&mut read))
            .await
            .expect("it is not dropped");
    }
    assert!(begun.elapsed() >= 9 * heartbeat);
    // And then it reads no more.
    eventually_in_virtual_time("it is dropped", || stand.feed.subscribers() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_too_slow_for_the_window_gets_a_gap_and_goes_on() {
    let feed = Feed::new(Retention {
        max_events: 50,
        ..Retention::default()
    });
    let stand = Stand::of(feed.clone(), quiet());
    let mut slow = greeted(&stand, "/events").await;
    let kind: Kind = "message".parse().unwrap();
    let data = Data::new(&"x".repeat(30_000)).unwrap();
    for _ in 0..500 {
        feed.publish(kind.clone(), data.clone()).await.unwrap();
        tokio::task::yield_now().await;
    }
    say(&feed, "the last").await;
    let (mut gaps, mut events) = (0, 0);
    loop {
        let text = slow.text().await;
        gaps += usize::from(text.starts_with(r#"{"gap":{"reason":"expired""#));
        events += usize::from(text.starts_with(r#"{"event":"#));
        if text.ends_with(r#""data":"the last"}}"#) {
            break;
        }
    }
    assert!(gaps >= 1 && events >= 50, "{gaps} gaps, {events} events");
}

#[tokio::test]
async fn what_is_published_is_answered_and_a_retry_is_one_event() {
    let stand = Stand::start(quiet());
    let mut socket = greeted(&stand, "/events").await;
    let publish =
        r#"{"publish":{"ref":"5b0f","kind":"message","data":{"text":"hello"}}}"#;
    socket.say(publish).await;
    let ack = r#"{"ack":{"ref":"5b0f","id":"k3f9x2.1"}}"#;
    assert_eq!(socket.text().await, ack, "the answer before the event");
    let event = socket.text().await;
    assert!(event.contains(r#""data":{"text":"hello"}"#), "{event}");
    // On another connection, as after a loss.
    let mut again = greeted(&stand, "/events").await;
    again.say(publish).await;
    assert_eq!(again.text().await, ack);
    assert_eq!(stand.feed.state().latest.to_string(), "k3f9x2.1");
}

#[tokio::test]
async fn what_is_not_taken_is_answered_by_an_error_and_the_connection_stays() {
    let feed = Feed::builder().max_event_bytes(10).build();
    let stand = Stand::of(feed.clone(), quiet());
    let mut socket = greeted(&stand, "/events").await;
    let publish = |reference: &str, data: &str| {
        format!(
            r#"{{"publish":{{"ref":"{reference}","kind":"message","data":{data}}}}}"#
        )
    };
    socket.say(&publish("used", "1")).await;
    assert!(socket.text().await.starts_with(r#"{"ack":"#));
    assert!(socket.text().await.starts_with(r#"{"event":"#));
    let no_kind = r#"{"publish":{"ref":"r","kind":"NO KIND","data":1}}"#;
    for (message, reference, problem) in [
        (&*publish("r", r#""123456789""#), Some("r"), "too-large"),
        (&publish("used", "2"), Some("used"), "key-reused"),
        (no_kind, Some("r"), "bad-event"),
        (&publish("", "1"), None, "bad-event"),
        (&publish("s", r#""\ud800""#), Some("s"), "bad-event"),
        (
            &publish("d", &("[".repeat(9_000) + &"]".repeat(9_000))),
            Some("d"),
            "bad-event",
        ),
        ("", None, "bad-event"),
        ("hello", None, "bad-event"),
        (r#"{"subscribe":{}}"#, None, "bad-event"),
        (r#"{"publish":{"ref":"r"}"#, None, "bad-event"),
    ] {
        socket.say(message).await;
        let answer = socket.text().await;
        let begins = match reference {
            Some(reference) => {
                format!(r#"{{"error":{{"ref":"{reference}","problem":{{"#)
            }
            None => r#"{"error":{"problem":{"#.to_owned(),
        };
        assert!(answer.starts_with(&begins), "{message}: {answer}");
        let problem = format!("2026:{problem}\"");
        assert!(answer.contains(&problem), "{message}: {answer}");
    }
    // The connection lives, and the log has taken none of them.
    socket.say(&publish("last", "2")).await;
    assert!(socket.text().await.starts_with(r#"{"ack":"#));
    assert_eq!(feed.state().latest.id.get(), 2);
}

#[tokio::test]
async fn a_finished_log_takes_nothing_sends_the_rest_and_closes_with_1000() {
    let stand = Stand::start(quiet());
    let mut open = greeted(&stand, "/events").await;
    say(&stand.feed, "the last").await;
    stand.feed.finish();
    let mut late = greeted(&stand, "/events?after=earliest").await;
    for socket in [&mut open, &mut late] {
        let last = socket.text().await;
        assert!(last.ends_with(r#""data":"the last"}}"#), "{last}");
        assert_eq!(socket.closed().await, (1000, "finished".to_owned()));
    }
    let mut nothing_due = greeted(&stand, "/events").await;
    assert_eq!(nothing_due.closed().await.0, 1000);
    eventually("every subscription is dropped", || {
        stand.feed.subscribers() == 0
    })
    .await;
}

#[tokio::test]
async fn a_publish_to_a_log_that_finishes_meanwhile_is_an_error() {
    let stand = Stand::start(quiet());
    // The board's socket lives on, since its own log goes on.
    stand.feed.finish();
    let mut wire = stand.wire("/events", WIDE).await;
    wire.send(&masked(
        TEXT,
        br#"{"publish":{"ref":"r","kind":"message","data":1}}"#,
    ))
    .await;
    let hello = wire.frame().await.unwrap();
    assert!(hello.text().starts_with(r#"{"hello":"#));
    // Whether the answer or the end comes first is a race that the client must bear;
    // never an ack.
    while let Some(frame) = wire.frame().await {
        match frame.first {
            TEXT => assert!(frame.text().contains("2026:finished"), "{frame:?}"),
            _ => {
                assert_eq!(frame.code(), 1000);
                wire.send(&masked(CLOSE, &[0x03, 0xe8])).await;
            }
        }
    }
}

#[tokio::test]
async fn a_binary_message_is_closed_with_1003() {
    let stand = Stand::start(quiet());
    let mut socket = greeted(&stand, "/events").await;
    socket.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.closed().await, (1003, "text only".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_is_told_its_code() {
    let config = Config::default();
    let stand = Stand::start(config.clone());
    let too_long = vec![b'x'; config.max_message + 1];
    let half = vec![b'x'; config.max_message / 2 + 1];
    let unmasked = [header(TEXT, 2), b"hi".to_vec()].concat();
    let in_pieces = [masked(0x01, &half), masked(0x80, &half)].concat();
    for (what, bytes, code) in [
        ("a message too large", masked(TEXT, &too_long), 1009),
        ("too large in pieces", in_pieces, 1009),
        ("no UTF-8", masked(TEXT, b"\xff"), 1007),
        ("a frame without a mask", unmasked, 1002),
        ("a reserved bit", masked(TEXT | 0x40, b"hi"), 1002),
        ("an unknown opcode", masked(0x83, b"hi"), 1002),
        ("a ping in pieces", masked(0x09, b"hi"), 1002),
        ("a piece of nothing", masked(0x80, b"hi"), 1002),
    ] {
        let mut wire = greeted_wire(&stand, "/events").await;
        let begun = Instant::now();
        wire.send(&bytes).await;
        assert_eq!(wire.frame().await.expect("a close").code(), code, "{what}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{what}: told at once");
        assert_eq!(wire.frame().await, None, "{what}: nothing follows a close");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{what}: and then the end");
    }
}

#[tokio::test]
async fn the_largest_event_of_the_log_is_taken_and_delivered() {
    let stand = Stand::start(quiet());
    let longest = [
        &br#"{"publish":{"ref":"r","kind":"message","data":""#[..],
        &vec![b'x'; 64 * 1024 - 2],
        br#""}}"#,
    ]
    .concat();
    let mut wire = greeted_wire(&stand, "/events").await;
    wire.send(&masked(TEXT, &longest)).await;
    let ack = wire.frame().await.unwrap();
    assert!(ack.text().starts_with(r#"{"ack":"#), "{ack:?}");
    let event = wire.frame().await.expect("the event");
    assert!(
        event.text().starts_with(r#"{"event":"#) && event.payload.len() > 64 * 1024
    );
}

#[tokio::test]
async fn the_code_for_too_large_arrives_over_tcp_although_much_was_sent() {
    let server = harness::Server::start(still_feed(10), |feed, ending| {
        support::router(feed, still_feed(10), quiet(), ending)
    })
    .await;
    for _ in 0..20 {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let opened = tokio_tungstenite::client_async(asking("/events"), stream).await;
        let (mut socket, _) = opened.unwrap();
        use futures_util::{SinkExt, StreamExt};
        // More than the server will read, and less than the kernel takes: the rest lies
        // unread when the server closes.
        let large = Message::text("x".repeat(200_000));
        in_time("a write", socket.send(large)).await.unwrap();
        let hello = in_time("hello", socket.next()).await;
        assert!(matches!(hello, Some(Ok(Message::Text(_)))), "{hello:?}");
        let close = in_time("a close", socket.next()).await;
        let Some(Ok(Message::Close(Some(close)))) = close else {
            panic!("{close:?}");
        };
        assert_eq!(u16::from(close.code), 1009);
    }
}

#[tokio::test]
async fn a_close_code_that_is_not_for_the_wire_is_a_broken_protocol() {
    let stand = Stand::start(quiet());
    let mut wire = greeted_wire(&stand, "/events").await;
    // 1005: "there was no code".
    wire.send(&masked(CLOSE, &[0x03, 0xed])).await;
    assert_eq!(wire.closed().await, 1002);
}

#[tokio::test]
async fn a_close_of_the_client_is_answered_and_its_place_is_free() {
    let config = Config {
        max_sockets: 1,
        ..quiet()
    };
    let stand = Stand::start(config);
    let mut wire = greeted_wire(&stand, "/events").await;
    wire.send(&masked(CLOSE, &[0x03, 0xe8])).await;
    assert_eq!(wire.closed().await, 1000);
    greeted(&stand, "/events").await;
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_even_where_its_answer_has_to_wait() {
    let moment = Duration::from_secs(1);
    let long = "x".repeat(60);
    let wide = Stand::start(quiet());
    let mut measured = greeted_wire(&wide, "/events").await;
    say(&wide.feed, &long).await;
    let room = measured.frame().await.expect("the event").bytes.len();

    let stand = Stand::start(quiet());
    let mut wire = stand.wire("/events", room).await;
    wire.frame().await.expect("hello");
    // It fills the pipe to the last byte, so that the writer waits for nothing and the
    // answer finds no room.
    say(&stand.feed, &long).await;
    tokio::time::sleep(moment).await;
    wire.send(&masked(CLOSE, &[0x03, 0xe8])).await;
    tokio::time::sleep(moment).await;
    // After the peer's close nothing may be written but the answer to it.
    say(&stand.feed, "too late").await;
    tokio::time::sleep(moment).await;
    assert_eq!(wire.frame().await.expect("the event").first, TEXT);
    assert_eq!(wire.closed().await, 1000);
}

#[tokio::test]
async fn clients_that_end_their_connections_without_a_close_leave_nothing_behind() {
    let stand = Stand::start(quiet());
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.push(greeted(&stand, "/events").await);
    }
    assert!(stand.feed.subscribers() >= 300);
    drop(sockets);
    eventually("every subscription is dropped", || {
        stand.feed.subscribers() == 0
    })
    .await;
}

/// An edge that would wait for ever for those who do not end themselves.
fn no_drain(drain: Duration) -> serving::Config {
    serving::Config {
        drain,
        ..serving::Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_aged_socket_is_told_as_at_a_shutdown() {
    const HOUR: Duration = Duration::from_secs(3600);
    let config = Config {
        max_age: Some(HOUR),
        ..Config::default()
    };
    let stand = Stand::start(config);
    for target in ["/events", "/board"] {
        let mut socket = greeted(&stand, target).await;
        let opened = Instant::now();
        let mut silences = 0_u64;
        // tungstenite's client answers each ping on its next read.
        let (code, reason) = loop {
            match socket.next().await {
                Some(Message::Text(_)) => silences += 1,
                Some(Message::Ping(_)) => {}
                Some(Message::Close(Some(close))) => {
                    break (close.code.into(), close.reason.to_string())
                }
                other => panic!("{other:?}"),
            }
        };
        let age = opened.elapsed();
        let second = Duration::from_secs(1);
        assert_eq!((code, &*reason), (1001_u16, "shutdown"));
        assert!(age >= HOUR / 2 && age <= HOUR + second, "{age:?}");
        let every = Config::default().heartbeat;
        let expected = age.as_secs() / every.as_secs();
        assert!(silences.abs_diff(expected) <= 1, "{silences} in {age:?}");
    }
    assert!(!stand.ending.has_begun());
}

#[tokio::test]
async fn a_shutdown_tells_every_socket_and_waits_for_it() {
    let stand = Stand::with(still_feed(10), quiet(), no_drain(FOR_EVER), guarded);
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.push(greeted(&stand, "/events").await);
    }
    sockets.push(greeted(&stand, "/board").await);
    sockets.push(stand.open("/echo").await);
    let mut slow = greeted_wire(&stand, "/events").await;
    stand.ending.begin();
    for mut socket in sockets {
        assert_eq!(socket.closed().await, (1001, "shutdown".to_owned()));
    }
    // One has not answered yet, and is waited for.
    assert_eq!(slow.frame().await.unwrap().code(), 1001);
    assert!(!stand.serving.is_finished());
    slow.send(&masked(CLOSE, &[0x03, 0xe9])).await;
    assert_eq!(slow.frame().await, None);
    drop(slow);
    stand.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_answer_the_close_is_left_after_the_patience() {
    let stand = Stand::with(
        still_feed(10),
        Config::default(),
        no_drain(FOR_EVER),
        guarded,
    );
    let mut wire = greeted_wire(&stand, "/events").await;
    let begun = Instant::now();
    stand.ending.begin();
    assert_eq!(wire.closed().await, 1001);
    assert_eq!(begun.elapsed(), Config::default().close_patience);
    stand.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_no_close_is_cut_at_the_end_of_the_drain() {
    let edge = serving::Config {
        drain: Duration::from_secs(5),
        ..patient_edge()
    };
    let stand = Stand::with(still_feed(10), quiet(), edge, guarded);
    // It reads nothing, and its pipe is too small even for a hello.
    let wires = [
        stand.wire("/events", 200).await,
        stand.wire("/board", 200).await,
        stand.wire("/echo", 200).await,
    ];
    let large = vec![b'x'; 3000];
    say(&stand.feed, std::str::from_utf8(&large).unwrap()).await;
    let begun = Instant::now();
    let (feed, board, ending) = (
        stand.feed.clone(),
        stand.board.clone(),
        stand.ending.clone(),
    );
    stand.end().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!(ending.open(), 0);
    eventually("nothing is left", || {
        (feed.subscribers(), board.subscribers()) == (0, 0)
    })
    .await;
    drop(wires);
}

#[tokio::test]
async fn a_cut_breaks_the_connection_without_a_close() {
    let config = Config {
        demo_cut: true,
        ..quiet()
    };
    let stand = Stand::start(config);
    let mut wire = greeted_wire(&stand, "/events?connection=a-tab").await;
    let cut = "POST /cut?connection=a-tab HTTP/1.1\nContent-Length: 0";
    let done = stand.ask(cut).await;
    assert!(done.contains("204 No Content"), "{done}");
    assert_eq!(wire.frame().await, None::<Frame>);
    let off = Stand::start(quiet());
    let _socket = greeted(&off, "/events?connection=a-tab").await;
    let unknown = off.ask(cut).await;
    assert!(unknown.contains("404 Not Found"), "{unknown}");
}

/// The status code and the body of a handshake that was refused.
async fn refused(stand: &Stand, request: ClientRequestBuilder) -> (u16, String) {
    match stand.try_open(request).await {
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(body).unwrap())
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn where_every_place_is_taken_the_next_is_told_so_before_it_opens() {
    let config = Config {
        max_sockets: 1,
        max_echoes: 1,
        ..quiet()
    };
    let stand = Stand::start(config);
    let open = greeted(&stand, "/events").await;
    let echo = stand.open("/echo").await;
    for target in ["/events", "/board", "/echo"] {
        let (status, body) = refused(&stand, asking(target)).await;
        assert_eq!(status, 503);
        assert!(body.contains("2026:busy"), "{body}");
    }
    for target in ["/status", "/board/status"] {
        let verdict = stand.ask(&format!("GET {target} HTTP/1.1")).await;
        assert!(verdict.contains("503 Service Unavailable"), "{verdict}");
        assert!(verdict.contains("retry-after: "), "{verdict}");
    }
    drop((open, echo));
    eventually("the place is free", || stand.feed.subscribers() == 0).await;
    greeted(&stand, "/events").await;
}

#[tokio::test]
async fn status_gives_the_verdict_that_a_handshake_would_meet() {
    let stand = Stand::of(still_feed(2), quiet());
    for text in ["one", "two", "three"] {
        say(&stand.feed, text).await;
    }
    for (query, opening, verdict) in [
        ("?after=k3f9x2.9", 400, 400),
        ("?after=nonsense", 400, 400),
        ("?after=k3f9x2.3", 101, 200),
        ("", 101, 200),
        // The gap itself is said on the socket.
        ("?after=k3f9x2.0", 101, 410),
    ] {
        let status = match stand.try_open(asking(&format!("/events{query}"))).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        };
        let answer = stand.ask(&format!("GET /status{query} HTTP/1.1")).await;
        assert_eq!(status, opening, "{query}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {verdict} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn without_an_upgrade_it_says_what_is_needed() {
    let stand = Stand::start(quiet());
    for target in ["/events", "/board", "/echo"] {
        let answer = stand.ask(&format!("GET {target} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
        assert!(answer.contains("2026:upgrade-required"), "{answer}");
    }
    for (target, allow) in [
        ("/events", "GET,HEAD,CONNECT,POST"),
        ("/board", "GET,HEAD,CONNECT"),
    ] {
        let answer = stand.ask(&format!("DELETE {target} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains(&format!("allow: {allow}\r\n")), "{answer}");
    }
}

#[tokio::test]
async fn the_two_logs_are_apart() {
    let stand = Stand::start(quiet());
    let mut events = greeted(&stand, "/events").await;
    let mut board = greeted(&stand, "/board").await;
    let stroke = r##"{"colour":"#c00","width":3,"points":[[0,0],[1000,1000]]}"##;
    board
        .say(&format!(
            r#"{{"publish":{{"ref":"s1","kind":"stroke","data":{stroke}}}}}"#
        ))
        .await;
    assert!(board.text().await.starts_with(r#"{"ack":"#));
    let drawn = board.text().await;
    assert!(drawn.contains(stroke), "{drawn}");
    say(&stand.feed, "hello").await;
    let said = events.text().await;
    assert!(
        said.contains("hello") && said.contains("k3f9x2.1"),
        "{said}"
    );
    let mut late = greeted(&stand, "/board?after=earliest").await;
    assert_eq!(late.text().await, drawn);
    let status = stand.ask("GET /board/status HTTP/1.1").await;
    assert!(status.contains(r#""latest":"k3f9x2.1""#), "{status}");
}

#[tokio::test]
async fn echo_gives_back_text_and_binary_to_its_limit() {
    let stand = Stand::start(quiet());
    let mut socket = stand.open("/echo").await;
    let most = Config::default().max_echo;
    for message in [
        Message::text(""),
        Message::text("grüß dich"),
        Message::binary(Bytes::from_static(&[0, 255, 1])),
        Message::binary(vec![7; most]),
        Message::text("x".repeat(most)),
    ] {
        let back = exchange(&mut socket, message.clone()).await;
        assert_eq!(back, message);
    }
    let mut wire = stand.wire("/echo", 4 * most).await;
    wire.send(&header_masked(TEXT, most + 1)).await;
    assert_eq!(wire.frame().await.unwrap().code(), 1009);
}

/// The header of a masked frame whose payload never comes.
fn header_masked(first: u8, length: usize) -> Vec<u8> {
    let mut frame = header(first, length);
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame
}

async fn exchange(socket: &mut Socket, message: Message) -> Message {
    use futures_util::{SinkExt, StreamExt};
    let (mut sink, mut stream) = (&mut socket.0).split();
    let both = async { tokio::join!(sink.send(message), stream.next()) };
    let (sent, back) = in_time("an echo", both).await;
    sent.expect("sent");
    back.expect("an answer").expect("no error")
}

/// A pipe that counts the writes of the server.
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A listener of counted pipes.
struct Counting(Pipes, Arc<AtomicUsize>);

impl Listener for Counting {
    type Io = Counted;

    async fn accept(&mut self) -> io::Result<Counted> {
        let io = self.0.accept().await?;
        let writes = self.1.clone();
        Ok(Counted { io, writes })
    }
}

#[tokio::test]
async fn everything_that_is_due_goes_out_in_one_write() {
    let (dialer, pipes) = Pipes::new();
    let writes = Arc::new(AtomicUsize::new(0));
    let feed = still_feed(100);
    let ending = serving::Ending::new();
    let router = support::router(feed.clone(), still_feed(1), quiet(), ending.clone());
    let listener = Counting(pipes, writes.clone());
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, ending));
    for _ in 0..50 {
        say(&feed, "something to read").await;
    }
    let mut socket = Wire::of(dialer.connect(WIDE));
    socket
        .send(wire(&handshake("/events?after=earliest")).as_bytes())
        .await;
    socket.head().await;
    for _ in 0..=50 {
        socket.frame().await.expect("hello and the events");
    }
    // The handshake's answer, hello, and all fifty, which are less than the write
    // buffer holds.
    assert_eq!(writes.load(Ordering::Relaxed), 3);
}
