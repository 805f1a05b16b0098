//! The same formulas from a list of numbers to a list of numbers, as callers in other
//! languages have them.

use crate::{Bill, Costs, Engine, LimitKind, Load, Machine, Method, Prices, Servers};

/// What goes in, in this order. `method` is 0 for polling, 1 for long polling, 2 for
/// SSE and 3 for WebSocket; `header_bytes` is what each request carries besides;
/// `state_bytes` is what each poll brings that asks for a state and not for events, 0
/// for one that asks for events. `engine` is 0 for NATS JetStream and 1 for PostgreSQL.
pub const INPUTS: [&str; 26] = [
    "readers",
    "events_per_s",
    "event_bytes",
    "round_trip_s",
    "keep_alive_s",
    "method",
    "interval_s",
    "header_bytes",
    "state_bytes",
    "log_events_per_s",
    "engine",
    "places",
    "accepts_per_s",
    "zones",
    "copies",
    "notice_s",
    "return_s",
    "event_cpu_us",
    "event_up",
    "event_down",
    "quiet_cpu_us",
    "quiet_up",
    "quiet_down",
    "quiet_after_s",
    "resident_kib",
    "kernel_kib",
];

/// What comes out, in this order. Money is in dollars for a month: of machines of one's
/// own and their traffic, and of what a network bills for traffic and requests. A limit
/// is its place in [`LimitKind::ALL`]: the first that one machine meets with a system's
/// defaults, and with the settings raised. From `servers` on it is what many servers
/// come to, with a zone of them to spare and without it.
pub const OUTPUTS: [&str; 32] = [
    "lateness_s",
    "connections",
    "requests_per_s",
    "deliveries_per_s",
    "processors",
    "memory_bytes",
    "up_bytes_per_s",
    "down_bytes_per_s",
    "machines",
    "machines_bill",
    "traffic_bill",
    "network_traffic_bill",
    "network_requests_bill",
    "limit",
    "limit_readers",
    "raised_limit",
    "raised_limit_readers",
    "servers",
    "log_bytes_per_s",
    "log_connections",
    "most_log_connections",
    "server_down_bytes_per_s",
    "full_server_down_bytes_per_s",
    "lost_readers",
    "herd_per_s",
    "least_return_s",
    "back_s",
    "missed_events",
    "catch_up_bytes",
    "server_catch_up_bytes_per_s",
    "quorum",
    "copies_left",
];

/// Calculates; nothing where there are other numbers than [`INPUTS`] says, or fewer
/// than two zones.
#[must_use]
pub fn calculate(inputs: &[f64]) -> Option<[f64; OUTPUTS.len()]> {
    if inputs.len() != INPUTS.len() {
        return None;
    }
    let mut inputs = inputs.iter().copied();
    let mut next = || inputs.next();
    let load = Load {
        readers: next()?,
        events_per_s: next()?,
        event_bytes: next()?,
        round_trip_s: next()?,
        keep_alive_s: next()?,
    };
    let (number, interval_s) = (next()?, next()?);
    let (header_bytes, state_bytes) = (next()?, next()?);
    let (log_events_per_s, engine) = (next()?, next()?);
    let servers = Servers {
        // A state that is polled is made of events, too.
        log_events_per_s: log_events_per_s.max(load.events_per_s),
        places: next()?,
        accepts_per_s: next()?,
        zones: next()?,
        copies: next()?,
        notice_s: next()?,
        return_s: next()?,
    };
    let costs = Costs {
        event_cpu_us: next()?,
        event_up: next()?,
        event_down: next()?,
        quiet_cpu_us: next()?,
        quiet_up: next()?,
        quiet_down: next()?,
        quiet_after_s: next()?,
        resident_kib: next()?,
        kernel_kib: next()?,
    };
    let method = method_of(number, interval_s)?;
    let engine = engine_of(engine)?;
    if servers.zones < 2.0 {
        return None;
    }
    let costs = costs.with_headers(method, header_bytes);
    let lateness = load.lateness_s(method, &costs);
    let (load, costs) = match method {
        // Each answer is the newest state, however many events have led to it.
        Method::Polling { .. } if state_bytes > 0.0 => (
            Load {
                events_per_s: 0.0,
                ..load
            },
            Costs {
                quiet_down: costs.quiet_down + state_bytes,
                ..costs
            },
        ),
        _ => (load, costs),
    };
    let needs = load.needs(method, &costs);
    let machines = needs.nodes(&Machine::RAISED);
    let own = Bill::new(&needs, machines, &Prices::MACHINES);
    let network = Bill::new(&needs, 0.0, &Prices::NETWORK);
    let first = |machine: &Machine| {
        let first = machine.limits(&load, method, &costs)[0];
        let all = LimitKind::ALL.iter();
        let place = all.take_while(|kind| **kind != first.kind).count();
        [place as f64, first.readers]
    };
    let [limit, limit_readers] = first(&Machine::DEFAULTS);
    let [raised_limit, raised_limit_readers] = first(&Machine::RAISED);
    let plan = servers.plan(&load, method, &costs, &Machine::RAISED, &engine);
    Some([
        lateness,
        needs.connections,
        needs.requests_per_s,
        needs.deliveries_per_s,
        needs.processors,
        needs.memory_bytes,
        needs.up_bytes_per_s,
        needs.down_bytes_per_s,
        machines,
        own.machines,
        own.traffic,
        network.traffic,
        network.requests,
        limit,
        limit_readers,
        raised_limit,
        raised_limit_readers,
        plan.servers,
        plan.log_bytes_per_s,
        plan.log_connections,
        engine.most_connections,
        plan.server_down_bytes_per_s,
        plan.full_server_down_bytes_per_s,
        plan.lost_readers,
        plan.herd_per_s,
        plan.least_return_s,
        plan.back_s,
        plan.missed_events,
        plan.catch_up_bytes,
        plan.server_catch_up_bytes_per_s,
        servers.quorum(),
        servers.copies_left(),
    ])
}

fn engine_of(number: f64) -> Option<Engine> {
    let engines = [Engine::JETSTREAM, Engine::POSTGRES];
    let mut numbered = engines.into_iter().enumerate();
    let (_, engine) = numbered.find(|(place, _)| *place as f64 == number)?;
    Some(engine)
}

fn method_of(number: f64, interval_s: f64) -> Option<Method> {
    let methods = [
        Method::Polling { interval_s },
        Method::LongPolling,
        Method::Sse,
        Method::WebSocket,
    ];
    let mut numbered = methods.into_iter().enumerate();
    let (_, method) = numbered.find(|(place, _)| *place as f64 == number)?;
    Some(method)
}
