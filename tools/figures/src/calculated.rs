//! What is calculated from the measured constants: by the crate `capacity`, for the loads that the
//! book names.

use crate::{
    tables::{head, line},
    text::{count, thousands, Part, Unit},
};
use capacity::{Bill, Engine, LimitKind, Load, Machine, Method, Plan, Prices, Servers, Wire};

const READERS: [f64; 3] = [1e4, 1e6, 1e8];

/// A poll may be late by half of it, on average.
const INTERVAL_S: f64 = 10.0;

const METHODS: [(Method, &str, &str); 4] = [
    (
        Method::Polling {
            interval_s: INTERVAL_S,
        },
        "polling",
        "Polling",
    ),
    (Method::LongPolling, "long-polling", "Long polling"),
    (Method::Sse, "sse", "SSE"),
    (Method::WebSocket, "websocket", "WebSocket"),
];

/// A number of readers that nobody takes for exact.
fn about(number: f64) -> String {
    if number.is_infinite() {
        return "no end".to_owned();
    }
    // Two digits that count.
    let power = 10_f64
        .powf(number.abs().max(1.0).log10().floor() - 1.0)
        .max(1.0);
    thousands((number / power).round() * power)
}

/// The figures that stand in sentences.
pub(crate) fn figures(wire: &Wire) -> Vec<Part> {
    let load = Load::EXAMPLE;
    let first = |machine: &Machine| {
        let limits = machine.limits(&load, Method::Sse, &wire.sse);
        limits[0]
    };
    let (default, raised) = (first(&Machine::DEFAULTS), first(&Machine::RAISED));
    let machine = Machine::DEFAULTS;
    let part = |name: &str, text: String| (name.to_owned(), text);
    vec![
        part(
            "load",
            format!(
                "each reader gets an event of {} every {} on average; a round trip takes {}; a \
                 poll comes every {}, and a connection is kept for {} after an answer",
                Unit::Bytes.number(load.event_bytes),
                Unit::Milliseconds.number(1000.0 / load.events_per_s),
                Unit::Milliseconds.number(1000.0 * load.round_trip_s),
                Unit::Milliseconds.number(1000.0 * INTERVAL_S),
                Unit::Milliseconds.number(1000.0 * load.keep_alive_s),
            ),
        ),
        part(
            "machine",
            format!(
                "{} processors, {}, {}, filled to {:.0} %",
                Unit::Count.number(machine.processors),
                Unit::Kib.number(machine.memory_bytes / 1024.0),
                Unit::BitsPerSecond.number(machine.bits_per_s),
                100.0 * machine.fill,
            ),
        ),
        part("first-limit", default.kind.name().to_owned()),
        part("first-limit-readers", about(default.readers)),
        part("raised-limit", raised.kind.name().to_owned()),
        part("raised-limit-readers", about(raised.readers)),
        part("zones", zones_conditions()),
        part("zones-postgres", {
            let Engine {
                connections,
                most_connections,
                ..
            } = Engine::POSTGRES;
            count((most_connections / connections).floor())
        }),
    ]
}

/// What so many readers need, and what one machine holds.
pub(crate) fn tables(wire: &Wire) -> Vec<Part> {
    vec![
        ("capacity".to_owned(), needs(wire)),
        ("limits".to_owned(), limits(wire)),
        ("zones".to_owned(), zones(wire)),
    ]
}

/// Of the table of zones.
fn zones_conditions() -> String {
    let Servers {
        places,
        accepts_per_s,
        zones,
        notice_s,
        return_s,
        ..
    } = Servers::EXAMPLE;
    let seconds = |number: f64| Unit::Milliseconds.number(1000.0 * number);
    format!(
        "{} zones; a server has places for {} and lets in {} a second; who loses it notices after \
         {}, and comes back within {}, drawn",
        Unit::Count.number(zones),
        thousands(places),
        thousands(accepts_per_s),
        seconds(notice_s),
        seconds(return_s),
    )
}

/// Readers of SSE on many servers over one log, and what becomes of them with a zone.
fn zones(wire: &Wire) -> String {
    let titles = [
        "Readers by SSE",
        "Servers, in all zones",
        "Connections to JetStream, to PostgreSQL",
        "Out of the log; out of each server",
        "A zone lost: to each server a second; to draw from",
        "All are back after; catching up",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for readers in [1e4, 1e5, 1e6, 1e7] {
        let load = Load {
            readers,
            ..Load::EXAMPLE
        };
        let servers = Servers::EXAMPLE;
        let plan =
            |engine: &Engine| servers.plan(&load, Method::Sse, &wire.sse, &Machine::RAISED, engine);
        let Plan {
            servers: number,
            log_bytes_per_s,
            log_connections,
            server_down_bytes_per_s,
            herd_per_s,
            least_return_s,
            back_s,
            catch_up_bytes,
            ..
        } = plan(&Engine::JETSTREAM);
        let bits = |bytes: f64| Unit::BitsPerSecond.number(8.0 * bytes);
        let seconds = |number: f64| Unit::Milliseconds.number(1000.0 * number);
        let cells = [
            count(readers),
            count(number),
            format!(
                "{}; {}",
                count(log_connections),
                count(plan(&Engine::POSTGRES).log_connections)
            ),
            format!(
                "{}; {}",
                bits(log_bytes_per_s),
                bits(server_down_bytes_per_s)
            ),
            format!("{}; {}", count(herd_per_s.round()), seconds(least_return_s)),
            format!(
                "{}; {}",
                seconds(servers.notice_s + back_s),
                Unit::Bytes.number(catch_up_bytes)
            ),
        ];
        lines.push(line(cells.into_iter()));
    }
    lines.join("\n")
}

fn needs(wire: &Wire) -> String {
    let titles = [
        "Readers, method",
        "Connections; requests a second",
        "Processors; memory",
        "To the readers",
        "Machines; dollars a month",
        "Dollars a month, if a network bills requests",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for readers in READERS {
        for (method, class, title) in METHODS {
            let load = Load {
                readers,
                ..Load::EXAMPLE
            };
            let needs = load.needs(method, wire.of(method));
            let nodes = needs.nodes(&Machine::RAISED);
            let bill = Bill::new(&needs, nodes, &Prices::MACHINES);
            // The network carries, and the machines still answer.
            let network = Bill::new(&needs, nodes, &Prices::NETWORK);
            let through = bill.machines + network.total();
            let cells = [
                format!(
                    "{} <span class=\"method-{class}\">{title}</span>",
                    count(readers)
                ),
                format!(
                    "{}; {}",
                    count(needs.connections),
                    count(needs.requests_per_s)
                ),
                format!(
                    "{}; {}",
                    Unit::Count.number(needs.processors),
                    Unit::Kib.number(needs.memory_bytes / 1024.0)
                ),
                Unit::BitsPerSecond.number(8.0 * needs.down_bytes_per_s),
                format!("{}; {}", count(nodes), about(bill.total())),
                about(through),
            ];
            lines.push(line(cells.into_iter()));
        }
    }
    lines.join("\n")
}

fn limits(wire: &Wire) -> String {
    let titles = [
        "What runs out",
        "Readers by default",
        "Settings raised",
        "What lifts it",
    ];
    let mut lines = head(titles.map(str::to_owned));
    let of = |machine: &Machine| machine.limits(&Load::EXAMPLE, Method::Sse, &wire.sse);
    let raised = of(&Machine::RAISED);
    let readers = |kind: LimitKind| {
        let found = raised.iter().find(|limit| limit.kind == kind);
        found.map_or(f64::INFINITY, |limit| limit.readers)
    };
    for limit in of(&Machine::DEFAULTS) {
        let cells = [
            limit.kind.name().to_owned(),
            about(limit.readers),
            about(readers(limit.kind)),
            limit.kind.setting().to_owned(),
        ];
        lines.push(line(cells.into_iter()));
    }
    lines.join("\n")
}
