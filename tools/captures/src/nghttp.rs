//! Captures by `nghttp -nv`: the frames of HTTP/2, one by one.

use crate::{
    curl::sse,
    program::{words, Program, DATE},
};
use anyhow::bail;
use harness::say;
use std::{net::SocketAddr, time::Duration};

/// How often an exchange is repeated until it is one of those that say most. Two sides that speak
/// at the same time do so in an order that is chance.
const TAKES: usize = 200;

/// A stream with one event, ended by the server. Of those in which nghttp was in time to
/// acknowledge what it was told, and to hear the second farewell.
pub async fn frames(command: &str) -> anyhow::Result<String> {
    for _ in 0..TAKES {
        let server = sse(serving::Config::default()).await;
        let mut nghttp = start(server.address, command)?;
        nghttp.until("recv DATA").await?;
        say(&server.feed, "hello").await;
        nghttp.until("recv DATA").await?;
        server.ending.begin();
        let text = plain(nghttp.lines().await?);
        let both_say_all = [
            "send SETTINGS frame <length=0",
            "send PING",
            "(last_stream_id=1,",
        ];
        if both_say_all.iter().all(|part| text.contains(part)) {
            return Ok(text);
        }
    }
    bail!("nghttp never acknowledged settings and ping and heard both farewells")
}

/// The same exchange, but only the first line of each frame that carries the request or the answer.
pub async fn waiting(command: &str) -> anyhow::Result<String> {
    let text = frames(command).await?;
    Ok(messages(&text).join("\n") + "\n")
}

fn messages(text: &str) -> Vec<&str> {
    let carries = |line: &&str| line.contains("HEADERS frame") || line.contains("DATA frame");
    text.lines().filter(carries).collect()
}

/// A stream and a short request beside it on one connection. Only the first line of each frame of
/// the two. Of those in which the first request is answered first.
pub async fn two_streams(command: &str) -> anyhow::Result<String> {
    for _ in 0..TAKES {
        let server = sse(serving::Config::default()).await;
        let mut nghttp = start(server.address, command)?;
        // The first block of the stream, and the whole short answer.
        let both = ["flags=0x00, stream_id=1>", "flags=0x01, stream_id=3>"];
        nghttp.until_each(&both).await?;
        say(&server.feed, "hello").await;
        nghttp.until("recv DATA").await?;
        server.ending.begin();
        let text = plain(nghttp.lines().await?);
        let frames = messages(&text);
        let answered = frames.iter().find(|line| line.starts_with("recv HEADERS"));
        if answered.is_some_and(|line| line.ends_with("stream_id=1>")) {
            return Ok(frames.join("\n") + "\n");
        }
    }
    bail!("the first request was never answered first")
}

/// A stream on which nothing happens until the server asks for a sign of life.
pub async fn ping(command: &str) -> anyhow::Result<String> {
    let edge = serving::Config {
        http2_ping_interval: Duration::from_millis(100),
        ..Default::default()
    };
    let server = sse(edge).await;
    let mut nghttp = start(server.address, command)?;
    nghttp.until("send PING").await?;
    server.ending.begin();
    let text = plain(nghttp.lines().await?);
    // The first question and its answer, with their content, are the whole of it.
    let frames = frames_of(&text);
    let pings = frames.iter().filter(|frame| frame.contains(" PING "));
    Ok(pings.take(2).copied().collect())
}

/// Starts the reader's command at this address, saying the port that a reader's server has.
fn start(address: SocketAddr, command: &str) -> anyhow::Result<Program> {
    let command = command.replace("//127.0.0.1:4100/", &format!("//{address}/"));
    let words = words(&command);
    let mut all = vec!["-H:authority: 127.0.0.1:4100"];
    all.extend(words.iter().skip(1).map(String::as_str));
    Program::start("nghttp", &all)
}

/// Without the times, and with a date that stands still.
fn plain(lines: Vec<String>) -> String {
    let mut text = String::new();
    for line in lines {
        let line = match line.split_once("] ") {
            Some((time, rest)) if time.starts_with('[') => rest,
            _ => &line,
        };
        match line.split_once(" date: ") {
            Some((before, _)) => text.push_str(&format!("{before} {DATE}")),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// Each frame with the lines below it.
fn frames_of(text: &str) -> Vec<&str> {
    let mut frames = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('\n') {
        let next = at + 1;
        if !text[next..].starts_with(' ') {
            frames.push(&text[begin..next]);
            begin = next;
        }
    }
    frames
}

/// The frames in order for each direction of each stream. Which of two directions comes first is
/// chance, and on stream 0, where frames are about the connection, so is the order within one.
pub fn by_stream(text: &str) -> Vec<String> {
    let mut frames: Vec<(String, String)> = Vec::new();
    for frame in frames_of(text) {
        let direction = frame.split(' ').next().unwrap_or_default();
        let stream = frame.split("stream_id=").nth(1).unwrap_or_default();
        let stream = stream.split(['>', ')']).next().unwrap_or_default();
        let mut key = format!("{stream} {direction}");
        if stream == "0" {
            key.push_str(frame);
        }
        // Compressed, a date is longer or shorter from one second to the next.
        let frame = match frame.split_once("recv HEADERS frame <length=") {
            Some((_, rest)) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => frame,
        };
        frames.push((key, frame.to_owned()));
    }
    // Stable: within a stream and a direction, the order stays.
    frames.sort_by(|(one, _), (other, _)| one.cmp(other));
    frames.into_iter().map(|(_, frame)| frame).collect()
}

/// The same without the farewells: when the last stream is complete, either side leaves, and says
/// so if there is time.
pub fn without_farewells(text: &str) -> Vec<String> {
    let mut frames = by_stream(text);
    frames
        .retain(|frame| !frame.starts_with("send GOAWAY") && !frame.contains("last_stream_id=1,"));
    frames
}
