//! A socket whose peer broke the protocol, or goes away: its place is free at once, and
//! its connection ends in order.

mod support;

use harness::{still_feed, Server};
use std::time::Duration;
use support::{
    asking, handshake, header, masked, Stand, Wire, CLOSE, FOR_EVER, TEXT, WIDE,
};
use testbed::{eventually, in_time};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use websocket::Config;

/// An opcode that nobody has defined.
const UNKNOWN: u8 = 0x83;

/// One place of each sort, and a server that would wait for ever for the end of a
/// connection.
fn narrow() -> Config {
    Config {
        max_sockets: 1,
        max_echoes: 1,
        heartbeat: FOR_EVER,
        close_patience: FOR_EVER,
        ..Config::default()
    }
}

/// The frames up to the close; its code.
async fn code(wire: &mut Wire) -> u16 {
    loop {
        let frame = wire.frame().await.expect("a close");
        if frame.first == CLOSE {
            return frame.code();
        }
    }
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_the_protocol_is_broken() {
    for target in ["/events", "/board", "/echo"] {
        let stand = Stand::start(narrow());
        let mut wires = Vec::new();
        for _ in 0..100 {
            // It panics where it is refused.
            let mut wire = stand.wire(target, WIDE).await;
            wire.send(&masked(UNKNOWN, b"hi")).await;
            assert_eq!(code(&mut wire).await, 1002);
            wires.push(wire);
        }
        // All hundred connections stand, and all are still read from.
        for wire in &mut wires {
            assert_eq!(wire.frame().await, None, "the server has ended its side");
            wire.send(&[0; 2 * WIDE]).await;
        }
        drop(wires);
        eventually("nothing is left of them", || stand.ending.open() == 0).await;
    }
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_the_server_has_closed() {
    let stand = Stand::start(narrow());
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = stand.wire("/events", WIDE).await;
        wire.send(&masked(TEXT + 1, b"binary")).await;
        assert_eq!(code(&mut wire).await, 1003);
        wires.push(wire);
    }
    // Each answers at last, is read up to there, and sees the end.
    for wire in &mut wires {
        wire.send(&masked(CLOSE, &[0x03, 0xeb])).await;
        assert_eq!(wire.frame().await, None);
    }
}

#[tokio::test]
async fn however_a_peer_leaves_that_broke_the_protocol_nothing_of_it_is_left() {
    let server = Server::start(still_feed(10), |feed, ending| {
        support::router(feed, still_feed(10), narrow(), ending)
    })
    .await;
    for leave in ["end", "reset", "answer"] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let request = testbed::wire(&handshake("/events"));
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 8192];
            let read = in_time("an answer", stream.read(&mut answer))
                .await
                .unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 101 "), "{leave}");
            stream.write_all(&masked(UNKNOWN, b"hi")).await.unwrap();
            let mut rest = Vec::new();
            match leave {
                "reset" => {
                    // A close that finds this option set sends a reset.
                    stream.set_zero_linger().unwrap();
                }
                "answer" => {
                    let read =
                        in_time("the close", stream.read_to_end(&mut rest)).await;
                    read.expect("an end and no reset");
                    let close = masked(CLOSE, &[0x03, 0xea]);
                    stream.write_all(&close).await.unwrap();
                }
                _ => {}
            }
            drop(stream);
            // Its place first, and then its connection.
            eventually(leave, || server.ending.open() == 0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_and_is_silent_is_left_after_the_patience() {
    let stand = Stand::start(Config::default());
    let mut wire = stand.wire("/events", WIDE).await;
    let begun = Instant::now();
    wire.send(&masked(UNKNOWN, b"hi")).await;
    assert_eq!(code(&mut wire).await, 1002);
    assert_eq!(begun.elapsed(), Duration::ZERO, "told at once");
    while wire.io.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let open = begun.elapsed();
    let patience = Config::default().close_patience;
    assert!(open >= patience && open < 2 * patience, "{open:?}");
}

#[tokio::test]
async fn a_peer_that_goes_on_sending_without_end_is_broken_off() {
    let stand = Stand::start(narrow());
    let mut wire = stand.wire("/events", WIDE).await;
    wire.send(&masked(UNKNOWN, b"hi")).await;
    assert_eq!(code(&mut wire).await, 1002);
    let flood = async { while wire.io.write_all(&[0; WIDE]).await.is_ok() {} };
    in_time("the end of the connection", flood).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_slow_to_arrive_is_a_sign_of_life() {
    let heartbeat = Config::default().heartbeat;
    let publish = br#"{"publish":{"ref":"slow","kind":"message","data":"0123456789"}}"#;
    for (target, answer) in [("/events", &b"{\"ack\":"[..]), ("/echo", publish)] {
        let stand = Stand::start(Config::default());
        let mut wire = stand.wire(target, WIDE).await;
        // Ten pieces of one frame; the whole of it takes five times as long as a silent
        // peer would be given.
        let message = masked(TEXT, publish);
        for piece in message.chunks(message.len().div_ceil(10)) {
            tokio::time::sleep(heartbeat).await;
            wire.send(piece).await;
        }
        loop {
            let frame = wire.frame().await.expect("it is not dropped");
            if frame.payload.starts_with(answer) {
                break;
            }
        }
        // And then it is silent, with half a frame on its way.
        wire.send(&header(TEXT, 100)[..1]).await;
        let begun = Instant::now();
        while wire.frame().await.is_some() {}
        assert_eq!(begun.elapsed(), 2 * heartbeat, "{target}");
    }
}

#[tokio::test]
async fn each_answer_comes_before_its_event_also_in_a_flood() {
    let stand = Stand::start(narrow());
    let mut wire = stand.wire("/events", WIDE).await;
    let publishes = (1..=100).map(|n| {
        let text =
            format!(r#"{{"publish":{{"ref":"r{n}","kind":"message","data":{n}}}}}"#);
        masked(TEXT, text.as_bytes())
    });
    wire.send(&publishes.flatten().collect::<Vec<_>>()).await;
    let (mut answers, mut events) = (0, 0);
    while events < 100 {
        let frame = wire.frame().await.expect("an answer or an event");
        if frame.text().starts_with(r#"{"ack":"#) {
            answers += 1;
            let id = format!(r#""id":"k3f9x2.{answers}""#);
            assert!(frame.text().contains(&id), "{frame:?}");
        } else if frame.text().starts_with(r#"{"event":"#) {
            events += 1;
            assert!(answers >= events, "event {events} before its answer");
        }
    }
}

#[tokio::test]
async fn a_heartbeat_longer_than_any_clock_is_cut_to_what_a_clock_can_hold() {
    for heartbeat in [Duration::MAX, Duration::ZERO] {
        let stand = Stand::start(Config {
            heartbeat,
            close_patience: Duration::MAX,
            ..Config::default()
        });
        let mut socket =
            support::Socket(stand.try_open(asking("/events")).await.unwrap());
        assert!(socket.text().await.starts_with(r#"{"hello":"#));
    }
}
