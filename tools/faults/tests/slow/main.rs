//! Clients that are slow, half-open or abusive, each method against a real server over real
//! sockets: what becomes of them, and what the others notice.
//!
//! Clients tell themselves apart by addresses of the loopback network, such as 127.0.0.2.

mod limits;
mod nginx;
mod peer;
mod readers;

use libtest_mimic::{Arguments, Trial};
use std::{process::ExitCode, time::Duration};
use testbed::parts::trial;

fn main() -> ExitCode {
    let limit = Duration::from_secs(120);
    let mut trials = Vec::<Trial>::new();
    for method in METHODS {
        trials.push(trial(
            &format!("one_address_takes_all::{}", method.name),
            limit,
            move || limits::one_address_takes_all(method),
        ));
        trials.push(trial(
            &format!("a_reader_that_stops::{}", method.name),
            limit,
            move || readers::stops(method),
        ));
        trials.push(trial(
            &format!("a_byte_at_a_time::{}", method.name),
            limit,
            move || readers::byte_at_a_time(method),
        ));
    }
    trials.push(trial(
        "a_reader_that_stops_behind_nginx::sse",
        limit,
        nginx::stream,
    ));
    trials.push(trial(
        "a_reader_that_stops_behind_nginx::websocket",
        limit,
        nginx::socket,
    ));
    trials.push(trial("poll_flood::polling", limit, limits::poll_flood));
    trials.push(trial("publish_flood::polling", limit, limits::post_flood));
    trials.push(trial(
        "publish_flood::websocket",
        limit,
        limits::socket_flood,
    ));
    trials.push(trial(
        "a_trusted_proxy_says_who_asks",
        limit,
        limits::a_trusted_proxy_says_who_asks,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The methods that are tried.
const METHODS: [method::Method; 4] = [
    polling::METHOD,
    long_polling::METHOD,
    sse::METHOD,
    websocket::METHOD,
];

/// A server of this method in this process.
async fn server(
    method: method::Method,
    keep_events: usize,
    edge: serving::Config,
    heartbeat: Duration,
) -> harness::Server {
    let places = edge.places();
    let feed = harness::still_feed(keep_events);
    harness::Server::start_with(feed, edge, move |log, ending| {
        (method.router)(method::Host {
            places,
            heartbeat,
            ..method::Host::alone(log, ending)
        })
    })
    .await
}
