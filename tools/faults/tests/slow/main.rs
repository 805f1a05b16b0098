//! Clients that are slow, half-open or abusive, each method against a real server over real
//! sockets: what becomes of them, and what the others notice.
//!
//! Clients tell themselves apart by addresses of the loopback network, such as 127.0.0.2.
//!
//! With `--long`, or `LONG_FAULTS=1`, those that take their time are run too, and the run
//! says its seed: see `testbed::seeded` for what is held to it.

mod crowd;
mod half_open;
mod limits;
mod nginx;
mod peer;
mod readers;

use crowd::Crowd;
use libtest_mimic::Trial;
use std::{env, net::Ipv4Addr, process::ExitCode, time::Duration};
use testbed::{parts::trial, seeded};

fn main() -> ExitCode {
    // What a test starts as a process of its own.
    if let Some(method) = env::var_os(half_open::PLAYS) {
        return half_open::play(&method);
    }
    let limit = Duration::from_secs(120);
    let (arguments, long) = seeded::arguments();
    if long {
        seeded::say();
    }
    let mut trials = Vec::<Trial>::new();
    for method in METHODS {
        trials.push(trial(
            &format!("half_open::{}", method.name),
            limit,
            move || half_open::vanishes(method),
        ));
        trials.push(trial(
            &format!("more_than_room::{}", method.name),
            limit,
            move || async move {
                match method.waits {
                    Some(_) => crowd::gives_up_waits(method).await,
                    None => crowd::gives_up_polls().await,
                }
            },
        ));
        if long {
            trials.push(trial(
                &format!("the_slowest_that_stays::{}", method.name),
                limit,
                move || readers::slowest(method),
            ));
            trials.push(trial(
                &format!("half_open_by_default::{}", method.name),
                limit,
                move || half_open::by_default(method),
            ));
        }
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
    trials.push(trial("a_crowd_that_is_refused::polling", limit, || {
        crowd::is_refused_at_once(Crowd::SMALL)
    }));
    if long {
        trials.push(trial("a_crowd_that_is_refused::a-thousand", limit, || {
            crowd::is_refused_at_once(Crowd(1_000))
        }));
    }
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
    libtest_mimic::run(&arguments, trials).exit_code()
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
    server_at(Ipv4Addr::LOCALHOST, method, keep_events, edge, heartbeat).await
}

/// The same at another address of this system.
async fn server_at(
    address: Ipv4Addr,
    method: method::Method,
    keep_events: usize,
    edge: serving::Config,
    heartbeat: Duration,
) -> harness::Server {
    let places = edge.places();
    let feed = harness::still_feed(keep_events);
    harness::Server::start_at(address, feed, edge, move |log, ending| {
        (method.router)(method::Host {
            places,
            heartbeat,
            ..method::Host::alone(log, ending)
        })
    })
    .await
}
