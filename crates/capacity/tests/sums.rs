//! Sums made by hand, and what holds for every load.

use capacity::{
    measured, Bill, Costs, LimitKind, Load, Machine, Method, Prices, Tier,
    HOURS_PER_MONTH,
};
use proptest::prelude::*;

/// Round numbers.
const COSTS: Costs = Costs {
    event_cpu_us: 10.0,
    event_up: 3.0,
    event_down: 20.0,
    quiet_cpu_us: 5.0,
    quiet_up: 100.0,
    quiet_down: 50.0,
    quiet_after_s: 10.0,
    resident_kib: 6.0,
    kernel_kib: 4.0,
};

const LOAD: Load = Load {
    readers: 1000.0,
    events_per_s: 2.0,
    event_bytes: 80.0,
    round_trip_s: 0.5,
    keep_alive_s: 60.0,
};

fn near(found: f64, wanted: f64) {
    let difference = (found - wanted).abs();
    assert!(difference <= 1e-9 * wanted.abs(), "{found}, not {wanted}");
}

#[test]
fn polling_by_hand() {
    // Every 4 s: 250 requests a second, whatever happens.
    let needs = LOAD.needs(Method::Polling { interval_s: 4.0 }, &COSTS);
    near(needs.connections, 1000.0);
    near(needs.requests_per_s, 250.0);
    near(needs.deliveries_per_s, 2000.0);
    // 2,000 events of 10 µs, 250 answers of 5 µs.
    near(needs.processors, 0.02 + 0.00125);
    // 3 bytes for each event, 100 for each question.
    near(needs.up_bytes_per_s, 6000.0 + 25_000.0);
    // 2,000 events of 80 + 20 bytes, 250 answers of 50.
    near(needs.down_bytes_per_s, 200_000.0 + 12_500.0);
    near(needs.memory_bytes, 1000.0 * 10.0 * 1024.0);
    // Every four minutes, with connections that live for one: a quarter is open.
    let seldom = LOAD.needs(Method::Polling { interval_s: 240.0 }, &COSTS);
    near(seldom.connections, 250.0);
    near(seldom.memory_bytes, 250.0 * 10.0 * 1024.0);
}

#[test]
fn long_polling_by_hand() {
    // Nothing happens: a wait of 10 s and a round trip of 0.5 s.
    let quiet = Load {
        events_per_s: 0.0,
        ..LOAD
    };
    let needs = quiet.needs(Method::LongPolling, &COSTS);
    near(needs.requests_per_s, 1000.0 / 10.5);
    near(needs.down_bytes_per_s, 50.0 * 1000.0 / 10.5);
    // So much happens that no wait is in vain: half a second of waiting, half away.
    let needs = LOAD.needs(Method::LongPolling, &COSTS);
    let difference = (needs.requests_per_s - 1000.0).abs();
    assert!(difference < 0.01, "{}", needs.requests_per_s);
    // 1,000 answers with two events each.
    let difference = (needs.down_bytes_per_s - (2000.0 * 80.0 + 1000.0 * 20.0)).abs();
    assert!(difference < 1.0, "{}", needs.down_bytes_per_s);
}

#[test]
fn a_stream_by_hand() {
    let quiet = Load {
        events_per_s: 0.0,
        ..LOAD
    };
    let needs = quiet.needs(Method::Sse, &COSTS);
    near(needs.requests_per_s, 0.0);
    // A heartbeat every 10 s.
    near(needs.down_bytes_per_s, 1000.0 * 50.0 / 10.0);
    near(needs.processors, 1000.0 * 5.0 / 10.0 / 1e6);
    // One event in 10 s: a silence of 10 s comes 0.1 / (e - 1) times a second.
    let some = Load {
        events_per_s: 0.1,
        ..LOAD
    };
    let needs = some.needs(Method::WebSocket, &COSTS);
    let heartbeats = 1000.0 * 0.1 / (1.0_f64.exp() - 1.0);
    near(needs.down_bytes_per_s, 100.0 * 100.0 + heartbeats * 50.0);
    near(needs.up_bytes_per_s, 100.0 * 3.0 + heartbeats * 100.0);
}

#[test]
fn machines_by_hand() {
    let machine = Machine {
        processors: 2.0,
        memory_bytes: 1e9,
        bits_per_s: 1e6,
        fill: 0.5,
        ..Machine::DEFAULTS
    };
    let mut needs = LOAD.needs(Method::Sse, &COSTS);
    needs.processors = 2.5;
    needs.memory_bytes = 1e8;
    needs.down_bytes_per_s = 1e4;
    // 2.5 of 2 processors, filled by half: 2.5 machines.
    assert_eq!(needs.nodes(&machine), 3.0);
    needs.memory_bytes = 4.1e9;
    assert_eq!(needs.nodes(&machine), 9.0);
    // 8 Mbit/s of 1 Mbit/s, filled by half.
    needs.down_bytes_per_s = 1e6;
    assert_eq!(needs.nodes(&machine), 16.0);
    let nobody = Load {
        readers: 0.0,
        ..LOAD
    };
    assert_eq!(nobody.needs(Method::Sse, &COSTS).nodes(&machine), 1.0);
}

#[test]
fn a_bill_by_hand() {
    let seconds = HOURS_PER_MONTH * 3600.0;
    let mut needs = LOAD.needs(Method::Sse, &COSTS);
    needs.requests_per_s = 2e6 / seconds;
    needs.down_bytes_per_s = 150e9 / seconds;
    let prices = Prices {
        machine_hour: 0.1,
        traffic: &[
            Tier {
                up_to_gb: 100.0,
                per_gb: 0.0,
            },
            Tier {
                up_to_gb: 120.0,
                per_gb: 1.0,
            },
            Tier {
                up_to_gb: f64::INFINITY,
                per_gb: 0.5,
            },
        ],
        million_requests: 3.0,
    };
    let bill = Bill::new(&needs, 2.0, &prices);
    near(bill.machines, 146.0);
    // 100 GB for nothing, 20 for a dollar each, 30 for half of one.
    near(bill.traffic, 35.0);
    near(bill.requests, 6.0);
    near(bill.total(), 187.0);
}

#[test]
fn limits_by_hand() {
    let machine = Machine {
        processors: 2.0,
        memory_bytes: 1024.0 * 1024.0 * 20.0,
        bits_per_s: 1.6e9,
        fill: 0.5,
        descriptors: 900.0,
        ports: 28_000.0,
        backlog: 100.0,
        accepts_per_s: 2000.0,
        spread_s: 2.0,
        conntrack: 5000.0,
        tcp_memory_bytes: 1e6,
        stalled: 0.1,
        send_buffer_bytes: 1000.0,
    };
    let limits = machine.limits(&LOAD, Method::Sse, &COSTS);
    let readers = |kind: LimitKind| {
        let found = limits.iter().find(|limit| limit.kind == kind);
        found.expect("each kind is there").readers
    };
    near(readers(LimitKind::Descriptors), 900.0);
    near(readers(LimitKind::Ports), 28_000.0);
    // 100 wait, and 4,000 are accepted in two seconds.
    near(readers(LimitKind::Backlog), 4100.0);
    near(readers(LimitKind::Conntrack), 5000.0);
    // Each reader takes a hundred bytes on average.
    near(readers(LimitKind::Buffers), 10_000.0);
    // Half of 20 MiB, by 10 KiB.
    near(readers(LimitKind::Memory), 1024.0);
    assert_eq!(limits[0].kind, LimitKind::Descriptors);
    let sorted = limits.is_sorted_by(|one, other| one.readers <= other.readers);
    assert!(sorted, "{limits:?}");
}

#[test]
fn each_limit_has_a_name_and_a_setting_of_its_own() {
    let mut names: Vec<_> = LimitKind::ALL.map(LimitKind::name).into();
    assert!(LimitKind::ALL.iter().all(|kind| !kind.setting().is_empty()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), LimitKind::ALL.len());
}

fn methods() -> impl Strategy<Value = Method> {
    prop_oneof![
        (0.05..3600.0).prop_map(|interval_s| Method::Polling { interval_s }),
        Just(Method::LongPolling),
        Just(Method::Sse),
        Just(Method::WebSocket),
    ]
}

fn loads() -> impl Strategy<Value = Load> {
    let rates = prop_oneof![Just(0.0), 1e-9..1e-3, 1e-3..1000.0];
    (0.0..1e9, rates, 0.0..1e6, 0.0..2.0, 1.0..600.0).prop_map(
        |(readers, events_per_s, event_bytes, round_trip_s, keep_alive_s)| Load {
            readers,
            events_per_s,
            event_bytes,
            round_trip_s,
            keep_alive_s,
        },
    )
}

/// All that grows with a load.
fn all(load: &Load, method: Method) -> [f64; 10] {
    let needs = load.needs(method, measured::HTTP1.of(method));
    let nodes = needs.nodes(&Machine::RAISED);
    let bill = Bill::new(&needs, nodes, &Prices::MACHINES);
    [
        needs.connections,
        needs.requests_per_s,
        needs.deliveries_per_s,
        needs.processors,
        needs.memory_bytes,
        needs.up_bytes_per_s,
        needs.down_bytes_per_s,
        nodes,
        bill.total(),
        Bill::new(&needs, nodes, &Prices::NETWORK).total(),
    ]
}

proptest! {
    #[test]
    fn every_figure_is_a_number(load in loads(), method in methods()) {
        for figure in all(&load, method) {
            prop_assert!(figure.is_finite() && figure >= 0.0, "{figure}");
        }
        let costs = measured::HTTP1.of(method);
        for limit in Machine::DEFAULTS.limits(&load, method, costs) {
            prop_assert!(limit.readers >= 0.0, "{limit:?}");
        }
    }

    #[test]
    fn more_readers_need_no_less(load in loads(), more in 1.0..10.0, method in methods()) {
        let larger = Load { readers: load.readers * more, ..load };
        let both = all(&load, method).into_iter().zip(all(&larger, method));
        for (less, more) in both {
            prop_assert!(less <= more * (1.0 + 1e-9), "{less}, {more}");
        }
    }

    #[test]
    fn larger_events_need_no_less(load in loads(), more in 0.0..1e5, method in methods()) {
        let larger = Load { event_bytes: load.event_bytes + more, ..load };
        let both = all(&load, method).into_iter().zip(all(&larger, method));
        for (less, more) in both {
            prop_assert!(less <= more * (1.0 + 1e-9), "{less}, {more}");
        }
    }

    #[test]
    fn a_longer_interval_asks_less_often(load in loads(), interval in 0.05..3000.0) {
        let requests = |interval_s| {
            let method = Method::Polling { interval_s };
            load.needs(method, &measured::HTTP1.polling).requests_per_s
        };
        prop_assert!(requests(interval) >= requests(interval * 1.5));
    }

    #[test]
    fn a_machine_holds_what_its_first_limit_says(load in loads(), method in methods()) {
        let costs = measured::HTTP1.of(method);
        let machine = Machine::RAISED;
        let hardware = [LimitKind::Memory, LimitKind::Processors, LimitKind::Bandwidth];
        let limits = machine.limits(&load, method, costs);
        let mut limits = limits.iter().filter(|limit| hardware.contains(&limit.kind));
        let first = limits.next().expect("there are three").readers;
        prop_assume!(first.is_finite());
        let full = Load { readers: first * 0.999, ..load };
        prop_assert_eq!(full.needs(method, costs).nodes(&machine), 1.0);
        let over = Load { readers: first * 1.001, ..load };
        prop_assert_eq!(over.needs(method, costs).nodes(&machine), 2.0);
    }
}
