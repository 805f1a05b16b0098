//! The floors: what a server would cost that only writes, and what the least server of a library
//! costs ([`crate::minimal`]).
//!
//! The loop is in Rust's standard library, with no runtime, no HTTP and no log: whoever publishes
//! sends a frame, and it writes it to each socket in turn. A frame is eight bytes, the length and
//! the number of the event, and the event as the book's servers would send it. The same program
//! answers an echo, whose half is the one-way delay of this machine.

use crate::{method::Method, minimal, schedule::Planned};
use anyhow::{bail, Context as _};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Which: loop, hyper-stream, axum-socket or hyper-answer
    floor: Method,

    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
}

/// An event as the book's servers write it, with as many bytes; its id is one more than its place.
pub fn event_json(n: usize, kind: &str, data: &str) -> String {
    let id = n + 1;
    format!(
        r#"{{"id":"{EPOCH}.{id}","at":"2026-01-01T00:00:00.000Z","kind":"{kind}","data":{data}}}"#
    )
}

/// The epoch of each floor's log.
pub const EPOCH: &str = "k3f9x2";

/// The first byte of a connection says what it is for.
pub const SUBSCRIBE: u8 = b's';
/// As [`SUBSCRIBE`].
pub const PUBLISH: u8 = b'p';
/// As [`SUBSCRIBE`].
pub const ECHO: u8 = b'e';

/// The bytes before an event: its length and its number, as 32 bits each, the highest byte first.
pub const HEADER: usize = 8;

/// A frame's header.
pub fn header(length: usize, n: u32) -> [u8; HEADER] {
    let length = u32::try_from(length).expect("an event has some hundred bytes");
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[4..].copy_from_slice(&n.to_be_bytes());
    header
}

/// What a publisher sends for an event.
pub fn frame(n: u32, event: &Planned) -> Vec<u8> {
    let json = event_json(n as usize, event.kind, &event.data);
    let mut frame = header(json.len(), n).to_vec();
    frame.extend_from_slice(json.as_bytes());
    frame
}

/// The length and the number in a frame's header.
pub fn read_header(header: [u8; HEADER]) -> (usize, u32) {
    let number = |half: &[u8]| u32::from_be_bytes(half.try_into().expect("four bytes"));
    (number(&header[..4]) as usize, number(&header[4..]))
}

/// Serves until the process is ended.
pub fn run(Options { floor, host }: Options) -> anyhow::Result<ExitCode> {
    match floor {
        Method::Loop => run_loop(host),
        Method::HyperStream | Method::AxumSocket | Method::HyperAnswer => minimal::run(floor, host),
        _ => bail!("{floor} is no floor"),
    }
}

fn run_loop(host: IpAddr) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind((host, 0))?;
    println!("loop: http://{}/", listener.local_addr()?);
    let subscribers = Arc::<Mutex<Vec<TcpStream>>>::default();
    for connection in listener.incoming() {
        let mut connection = connection.context("accept")?;
        connection.set_nodelay(true)?;
        let mut what = [0];
        if connection.read_exact(&mut what).is_err() {
            continue;
        }
        match what[0] {
            SUBSCRIBE => {
                // The client waits for this byte: when it has come, so will each event.
                let mut subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
                connection.write_all(&what)?;
                subscribers.push(connection);
            }
            PUBLISH => {
                let subscribers = subscribers.clone();
                thread::spawn(move || publish(connection, &subscribers));
            }
            ECHO => {
                thread::spawn(move || echo(connection));
            }
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(mut publisher: TcpStream, subscribers: &Mutex<Vec<TcpStream>>) {
    let mut frame = vec![0; 64 * 1024];
    while publisher.read_exact(&mut frame[..HEADER]).is_ok() {
        let (length, _) = read_header(frame[..HEADER].try_into().expect("eight bytes"));
        let whole = HEADER + length;
        if whole > frame.len() || publisher.read_exact(&mut frame[HEADER..whole]).is_err() {
            return;
        }
        let mut subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        for subscriber in subscribers.iter_mut() {
            // A client that has gone is noticed by whoever counts.
            let _ = subscriber.write_all(&frame[..whole]);
        }
    }
}

fn echo(mut peer: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = peer.read(&mut bytes) {
        if peer.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_is_written() {
        assert_eq!(read_header(header(157, 70_000)), (157, 70_000));
    }
}
