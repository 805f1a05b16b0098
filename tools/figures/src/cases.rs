//! The sums of Worked choices, by the crate `capacity` and its measured constants.

use crate::{
    tables::{head, line},
    text::{count, Part, Unit},
};
use capacity::{Bill, Costs, Load, Machine, Method, Needs, Prices, Wire, HOURS_PER_MONTH};

/// A request and its answer over HTTP/2, on a connection that has carried such before:
/// `fact-poll-hpack` has the frames, and each way has the 22 bytes of a record of TLS besides.
/// Behind it the same over HTTP/1.1 without TLS, as the chapters' tests have written it.
struct Exchange {
    up: f64,
    down: f64,
    in_the_clear: f64,
}

const RECORD: f64 = 22.0;
/// A hundred prices; the request is that of five.
const STATE: Exchange = Exchange {
    up: 35.0 + RECORD,
    down: 4092.0 + RECORD,
    in_the_clear: 4701.0,
};
const NOT_MODIFIED: Exchange = Exchange {
    up: 25.0 + RECORD,
    down: 36.0 + RECORD,
    in_the_clear: 622.0,
};
const EMPTY_PAGE: Exchange = Exchange {
    up: 24.0 + RECORD,
    down: 96.0 + RECORD,
    in_the_clear: 681.0,
};
/// An empty answer to a long poll over HTTP/1.1, with its request.
const EMPTY_WAIT_IN_THE_CLEAR: f64 = 740.0;
/// The JSON of a small chat message, and of a price tick.
const MESSAGE: f64 = 80.0;
const TICK: f64 = 119.0;
/// A chunk with a token, over HTTP/2 with TLS.
const TOKEN: f64 = 54.0;

const NOTHING: Costs = Costs {
    event_cpu_us: 0.0,
    event_up: 0.0,
    event_down: 0.0,
    quiet_cpu_us: 0.0,
    quiet_up: 0.0,
    quiet_down: 0.0,
    quiet_after_s: f64::INFINITY,
    resident_kib: 0.0,
    kernel_kib: 0.0,
};

fn polled(wire: &Wire, exchange: &Exchange) -> Costs {
    Costs {
        quiet_up: exchange.up,
        quiet_down: exchange.down,
        ..wire.polling
    }
}

fn both_ways(needs: &Needs) -> f64 {
    needs.up_bytes_per_s + needs.down_bytes_per_s
}

/// Loads of the cases: readers, events a second for each, bytes of an event.
fn load(readers: f64, events_per_s: f64, event_bytes: f64) -> Load {
    Load {
        readers,
        events_per_s,
        event_bytes,
        ..Load::EXAMPLE
    }
}

fn every(interval_s: f64) -> Method {
    Method::Polling { interval_s }
}

/// A way through a case, for the table of the bills.
struct Way {
    case: &'static str,
    class: &'static str,
    title: &'static str,
    needs: Needs,
}

fn ways(wire: &Wire) -> Vec<Way> {
    let state = |readers, interval_s| {
        load(readers, 0.0, 0.0).needs(every(interval_s), &polled(wire, &STATE))
    };
    let way = |case, class, title, needs| Way {
        case,
        class,
        title,
        needs,
    };
    let chat = load(5000.0, 50.0 / 120.0, MESSAGE);
    let million = load(1e6, 10.0, TICK);
    vec![
        way(
            "Dashboard",
            "polling",
            "Polling every 10 s",
            state(200.0, 10.0),
        ),
        way(
            "Dashboard",
            "sse",
            "SSE",
            load(200.0, 1.0, TICK).needs(Method::Sse, &wire.sse),
        ),
        way("Chat", "sse", "SSE", chat.needs(Method::Sse, &wire.sse)),
        way(
            "Chat",
            "websocket",
            "WebSocket",
            chat.needs(Method::WebSocket, &wire.websocket),
        ),
        way(
            "Chat",
            "long-polling",
            "Long polling",
            chat.needs(Method::LongPolling, &wire.long_polling),
        ),
        way(
            "Chat",
            "polling",
            "Polling every 1 s",
            Load {
                events_per_s: 0.0,
                ..chat
            }
            .needs(every(1.0), &polled(wire, &EMPTY_PAGE)),
        ),
        way("Ticker", "polling", "Polling every 2 s", state(1e6, 2.0)),
        way("Ticker", "polling", "Polling every 10 s", state(1e6, 10.0)),
        way(
            "Ticker",
            "sse",
            "SSE",
            million.needs(Method::Sse, &wire.sse),
        ),
    ]
}

/// The figures that stand in sentences.
pub(crate) fn figures(wire: &Wire) -> Vec<Part> {
    let ways = ways(wire);
    let of = |case: &str, title: &str| {
        let way = ways
            .iter()
            .find(|way| (way.case, way.title) == (case, title));
        &way.expect("it is one of them").needs
    };
    let bytes = |number: f64| Unit::Bytes.number(number);
    let bits = |number: f64| Unit::BitsPerSecond.number(8.0 * number);
    let part = |name: &str, text: String| (format!("case-{name}"), text);

    let tick = TICK + wire.sse.event_down;
    let night = load(200.0, 0.0, 0.0).needs(every(10.0), &polled(wire, &NOT_MODIFIED));
    let dashboard = of("Dashboard", "Polling every 10 s");
    let chat = of("Chat", "SSE");
    let ticker = of("Ticker", "Polling every 2 s");
    // Each cache asks once a second.
    let caches = load(200.0, 0.0, 0.0).needs(every(1.0), &polled(wire, &STATE));
    let hour = |needs: &Needs| {
        let month = Bill::new(needs, 0.0, &Prices::NETWORK);
        let of_hour = |dollars: f64| Unit::Dollars.number(dollars / HOURS_PER_MONTH);
        (of_hour(month.requests), of_hour(month.traffic))
    };
    let (requests, traffic) = hour(ticker);
    let (seldom, _) = hour(of("Ticker", "Polling every 10 s"));
    let job = load(300.0, 0.0, 0.0).needs(every(2.0), &NOTHING);
    let tokens = load(500.0, 40.0, TOKEN).needs(Method::Sse, &NOTHING);
    let looks = load(500.0, 0.0, 0.0).needs(every(0.5), &NOTHING);
    let editor = load(8.0 * 2000.0, 7.0 * 20.0 / 8.0, 0.0).needs(Method::WebSocket, &NOTHING);
    // A wait of 25 s that nothing ends.
    let hospital = 300.0 / 25.0;
    vec![
        part("state", bytes(STATE.up + STATE.down)),
        part("tick", bytes(tick)),
        part("dashboard-polls", count(dashboard.requests_per_s)),
        part("dashboard-day", bytes(both_ways(dashboard))),
        part("dashboard-night", bytes(both_ways(&night))),
        part(
            "dashboard-stream",
            bytes(of("Dashboard", "SSE").down_bytes_per_s),
        ),
        part("chat-messages", count(5000.0 / 120.0)),
        part("chat-deliveries", count(chat.deliveries_per_s)),
        part("chat-sse", bytes(chat.down_bytes_per_s)),
        part(
            "chat-websocket",
            bytes(of("Chat", "WebSocket").down_bytes_per_s),
        ),
        part(
            "chat-long-polls",
            count(of("Chat", "Long polling").requests_per_s),
        ),
        part(
            "chat-polls",
            count(of("Chat", "Polling every 1 s").requests_per_s),
        ),
        part("ticker-polls", count(ticker.requests_per_s)),
        part("ticker-answer", bytes(STATE.down)),
        part("ticker-down", bytes(ticker.down_bytes_per_s)),
        part("ticker-bits", bits(ticker.down_bytes_per_s)),
        part("ticker-cached", bytes(caches.down_bytes_per_s)),
        part("ticker-hour", count(ticker.requests_per_s * 3600.0)),
        part("ticker-hour-down", bytes(ticker.down_bytes_per_s * 3600.0)),
        part("ticker-requests-bill", requests),
        part("ticker-traffic-bill", traffic),
        part("ticker-seldom-bill", seldom),
        part("ticker-stream", bits(of("Ticker", "SSE").down_bytes_per_s)),
        part("job-polls", count(job.requests_per_s)),
        part("token", bytes(TOKEN)),
        part("tokens", count(tokens.deliveries_per_s)),
        part("tokens-down", bytes(tokens.down_bytes_per_s)),
        part("tokens-polls", count(looks.requests_per_s)),
        part("editor-out", count(editor.deliveries_per_s)),
        part("hospital-polls", count(hospital)),
        part(
            "hospital-down",
            bytes(hospital * (EMPTY_WAIT_IN_THE_CLEAR + 2.0 * RECORD)),
        ),
    ]
}

/// What one exchange takes, and what a month of each way costs.
pub(crate) fn tables(in_the_clear: &Wire, over_tls: &Wire) -> Vec<Part> {
    vec![
        ("cases-bytes".to_owned(), exchanged(in_the_clear, over_tls)),
        ("cases-bills".to_owned(), bills(over_tls)),
    ]
}

fn exchanged(in_the_clear: &Wire, over_tls: &Wire) -> String {
    let exchange = |it: &Exchange| (it.up + it.down, it.in_the_clear);
    let sse = |json: f64| {
        (
            json + over_tls.sse.event_down,
            json + in_the_clear.sse.event_down,
        )
    };
    let frame = |json: f64| {
        let (over_tls, in_the_clear) = (&over_tls.websocket, &in_the_clear.websocket);
        (json + over_tls.event_down, json + in_the_clear.event_down)
    };
    let rows = [
        (
            "a state of a hundred prices, request and answer",
            exchange(&STATE),
        ),
        ("its 304, request and answer", exchange(&NOT_MODIFIED)),
        (
            "an empty page of the log, request and answer",
            exchange(&EMPTY_PAGE),
        ),
        ("a small chat message, as an SSE block", sse(MESSAGE)),
        ("the same as a WebSocket frame", frame(MESSAGE)),
        ("a price tick, as an SSE block", sse(TICK)),
    ];
    let titles = ["What", "HTTP/2 and TLS", "HTTP/1.1 without TLS"];
    let mut lines = head(titles.map(str::to_owned));
    for (what, (over_tls, in_the_clear)) in rows {
        let numbers = [over_tls, in_the_clear].map(|bytes| Unit::Bytes.number(bytes));
        lines.push(line([what.to_owned()].into_iter().chain(numbers)));
    }
    lines.join("\n")
}

fn bills(wire: &Wire) -> String {
    let titles = [
        "Case, method",
        "Requests a second",
        "To the readers",
        "A month from machines of your own",
        "A month through a network",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for Way {
        case,
        class,
        title,
        needs,
    } in ways(wire)
    {
        let nodes = needs.nodes(&Machine::RAISED);
        let own = Bill::new(&needs, nodes, &Prices::MACHINES);
        let network = Bill::new(&needs, 0.0, &Prices::NETWORK);
        let dollars = |bill: &Bill| Unit::Dollars.number(bill.total());
        let cells = [
            format!("{case}, <span class=\"method-{class}\">{title}</span>"),
            count(needs.requests_per_s),
            Unit::BitsPerSecond.number(8.0 * needs.down_bytes_per_s),
            dollars(&own),
            dollars(&network),
        ];
        lines.push(line(cells.into_iter()));
    }
    lines.join("\n")
}
