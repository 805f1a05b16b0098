//! Many servers over one log, and a zone that is lost: sums made by hand, and what
//! holds for every load.

use capacity::{measured, Costs, Engine, Load, Machine, Method, Plan, Servers, SPREAD};
use proptest::prelude::*;

/// Round numbers.
const COSTS: Costs = Costs {
    event_cpu_us: 10.0,
    event_up: 3.0,
    event_down: 20.0,
    quiet_cpu_us: 5.0,
    quiet_up: 100.0,
    quiet_down: 50.0,
    quiet_after_s: f64::INFINITY,
    resident_kib: 6.0,
    kernel_kib: 4.0,
};

const LOAD: Load = Load {
    readers: 36_000.0,
    events_per_s: 2.0,
    event_bytes: 80.0,
    round_trip_s: 0.5,
    keep_alive_s: 60.0,
};

const SERVERS: Servers = Servers {
    places: 2000.0,
    accepts_per_s: 500.0,
    zones: 4.0,
    copies: 5.0,
    log_events_per_s: 0.0,
    notice_s: 10.0,
    return_s: 1.0,
};

const ENGINE: Engine = Engine {
    connections: 3.0,
    most_connections: 50.0,
    event_down: 40.0,
    quiet_down_per_s: 60.0,
};

/// One that is never full.
const MACHINE: Machine = Machine {
    processors: 1e6,
    memory_bytes: 1e15,
    bits_per_s: 1e15,
    ..Machine::RAISED
};

fn plan(servers: &Servers, load: &Load) -> Plan {
    servers.plan(load, Method::Sse, &COSTS, &MACHINE, &ENGINE)
}

fn near(found: f64, wanted: f64) {
    let difference = (found - wanted).abs();
    assert!(difference <= 1e-9 * wanted.abs(), "{found}, not {wanted}");
}

#[test]
fn servers_by_hand() {
    // Three zones hold 36,000 readers: six servers of 2,000 places in each, and as many
    // in the one that they can do without.
    let Plan {
        servers,
        log_bytes_per_s,
        log_connections,
        server_down_bytes_per_s,
        full_server_down_bytes_per_s,
        ..
    } = plan(&SERVERS, &LOAD);
    assert_eq!(servers, 24.0);
    assert_eq!(log_connections, 72.0);
    // Two events of 80 + 40 bytes a second to each of them, and 60 of nothing.
    near(log_bytes_per_s, 24.0 * (2.0 * 120.0 + 60.0));
    // 72,000 events of 80 + 20 bytes a second to all readers.
    near(server_down_bytes_per_s, 7_200_000.0 / 24.0);
    near(full_server_down_bytes_per_s, 7_200_000.0 / 18.0);
    // One reader more, and each zone needs one server more.
    let one_more = Load {
        readers: 36_001.0,
        ..LOAD
    };
    assert_eq!(plan(&SERVERS, &one_more).servers, 28.0);
}

#[test]
fn a_machine_that_is_full_before_its_places_are() {
    // A reader takes 10 KiB; half of a GiB holds 52,428 of them.
    let machine = Machine {
        memory_bytes: 1024.0 * 1024.0 * 1024.0,
        ..MACHINE
    };
    let many = Servers {
        places: 1e6,
        ..SERVERS
    };
    let readers = |readers| Load { readers, ..LOAD };
    let servers = |load: &Load| {
        many.plan(load, Method::Sse, &COSTS, &machine, &ENGINE)
            .servers
    };
    assert_eq!(servers(&readers(3.0 * 52_428.0)), 4.0);
    assert_eq!(servers(&readers(3.0 * 52_430.0)), 8.0);
}

#[test]
fn a_log_has_more_than_one_reader_gets() {
    let rooms = Servers {
        log_events_per_s: 100.0,
        ..SERVERS
    };
    let [one, all] = [&SERVERS, &rooms].map(|servers| plan(servers, &LOAD));
    near(all.log_bytes_per_s, 24.0 * (100.0 * 120.0 + 60.0));
    // And not fewer: what a reader gets is of the log.
    let fewer = Servers {
        log_events_per_s: 1.0,
        ..SERVERS
    };
    assert_eq!(plan(&fewer, &LOAD), one);
    let same = Plan {
        log_bytes_per_s: one.log_bytes_per_s,
        ..all
    };
    assert_eq!(same, one, "readers notice nothing of it");
}

#[test]
fn a_lost_zone_by_hand() {
    // A quarter of the readers come to eighteen servers, 500 to each, within a second:
    // as fast as each lets them in.
    let at_once = plan(&SERVERS, &LOAD);
    assert_eq!(at_once.lost_readers, 9000.0);
    near(at_once.herd_per_s, 500.0);
    near(at_once.back_s, 1.0);
    near(at_once.least_return_s, SPREAD);
    // Ten seconds to notice, and half a second until they are back: 21 events of 100
    // bytes.
    near(at_once.missed_events, 21.0);
    near(at_once.catch_up_bytes, 9000.0 * 2100.0);
    near(at_once.server_catch_up_bytes_per_s, 500.0 * 2100.0);

    // Servers that let in a tenth of that take ten seconds.
    let slow = Servers {
        accepts_per_s: 50.0,
        ..SERVERS
    };
    let queued = plan(&slow, &LOAD);
    near(queued.herd_per_s, 500.0);
    near(queued.back_s, 10.0);
    near(queued.least_return_s, 12.5);
    near(queued.missed_events, 30.0);

    // Over that range they come as they are let in.
    let drawn = Servers {
        return_s: queued.least_return_s,
        ..slow
    };
    let drawn = plan(&drawn, &LOAD);
    near(drawn.herd_per_s, 50.0 / SPREAD);
    near(drawn.back_s, 12.5);
}

#[test]
fn what_was_missed_comes_in_answers_or_in_a_stream() {
    let bytes = |method| {
        let plan = SERVERS.plan(&LOAD, method, &COSTS, &MACHINE, &ENGINE);
        plan.catch_up_bytes / plan.lost_readers
    };
    // 21 events of 80 bytes.
    near(bytes(Method::WebSocket), 21.0 * 100.0);
    near(bytes(Method::LongPolling), 20.0 + 21.0 * 80.0);
    let polling = Method::Polling { interval_s: 1.0 };
    near(bytes(polling), 50.0 + 21.0 * 100.0);
}

#[test]
fn most_copies_must_agree() {
    let cases = [
        // Copies, zones, needed, left.
        (1.0, 3.0, 1.0, 0.0),
        (2.0, 2.0, 2.0, 1.0),
        (3.0, 2.0, 2.0, 1.0),
        (3.0, 3.0, 2.0, 2.0),
        (5.0, 2.0, 3.0, 2.0),
        (5.0, 3.0, 3.0, 3.0),
        (5.0, 5.0, 3.0, 4.0),
    ];
    for (copies, zones, needed, left) in cases {
        let servers = Servers {
            copies,
            zones,
            ..SERVERS
        };
        let found = (servers.quorum(), servers.copies_left());
        assert_eq!(found, (needed, left), "{copies} copies in {zones} zones");
    }
    // No number of copies saves a log that has two zones.
    for copies in 1..100 {
        let servers = Servers {
            copies: f64::from(copies),
            zones: 2.0,
            ..SERVERS
        };
        assert!(servers.copies_left() < servers.quorum(), "{copies}");
    }
}

/// Readers, events a second, zones, places, accepts and the range of a return.
fn cases() -> impl Strategy<Value = (Load, Servers)> {
    let zones = (2_u32..10).prop_map(f64::from);
    let events = prop_oneof![Just(0.0), 1e-3..1000.0];
    (1.0..1e8, events, zones, 1.0..1e6, 1.0..1e5, 0.1..600.0).prop_map(
        |(readers, events_per_s, zones, places, accepts_per_s, return_s)| {
            let load = Load {
                readers,
                events_per_s,
                ..Load::EXAMPLE
            };
            let servers = Servers {
                zones,
                places,
                accepts_per_s,
                return_s,
                ..Servers::EXAMPLE
            };
            (load, servers)
        },
    )
}

proptest! {
    #[test]
    fn who_is_left_has_room_for_all((load, servers) in cases()) {
        let costs = &measured::HTTP1.sse;
        let machine = Machine::RAISED;
        let plan =
            servers.plan(&load, Method::Sse, costs, &machine, &Engine::JETSTREAM);
        let left = plan.servers - plan.servers / servers.zones;
        prop_assert_eq!(left, left.round());
        let room = left * servers.places;
        prop_assert!(room >= load.readers * (1.0 - 1e-9), "{room}");
        let nodes = load.needs(Method::Sse, costs).nodes(&machine);
        prop_assert!(left >= nodes, "{left} of {nodes}");
        // And no zone has a server that it does not need.
        let fewer = left - (servers.zones - 1.0);
        let needs_places = fewer * servers.places < load.readers * (1.0 + 1e-9);
        let needs_machines = fewer / (servers.zones - 1.0)
            < (nodes / (servers.zones - 1.0)).ceil();
        prop_assert!(needs_places || needs_machines, "{fewer}");
    }

    #[test]
    fn a_wider_draw_is_no_larger_herd((load, servers) in cases(), more in 1.0..10.0) {
        let plan = |servers: &Servers| {
            let costs = &measured::HTTP1.sse;
            let machine = Machine::RAISED;
            servers.plan(&load, Method::Sse, costs, &machine, &Engine::JETSTREAM)
        };
        let wider = Servers { return_s: servers.return_s * more, ..servers };
        let (narrow, wide) = (plan(&servers), plan(&wider));
        prop_assert!(wide.herd_per_s <= narrow.herd_per_s);
        prop_assert!(wide.back_s >= narrow.back_s);
        prop_assert!(wide.catch_up_bytes >= narrow.catch_up_bytes);
        // Drawn from the least range, they do not come faster than they are let in.
        let least = Servers { return_s: narrow.least_return_s, ..servers };
        prop_assert!(plan(&least).herd_per_s <= servers.accepts_per_s);
        for figure in [narrow.log_bytes_per_s, narrow.back_s, narrow.catch_up_bytes] {
            prop_assert!(figure.is_finite() && figure >= 0.0, "{figure}");
        }
    }
}
