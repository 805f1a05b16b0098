//! Sums for whoever calls the formulas from another language: `vectors.json`, which the
//! tests of the browser modules read as well.
//!
//! `UPDATE_GOLDEN=1 cargo test -p capacity --test vectors` writes them anew; then the
//! compiled formulas have to follow (`cargo xtask formulas`).

use capacity::{
    measured,
    numbers::{calculate, INPUTS, OUTPUTS},
    Costs, Engine, LimitKind, Machine, Method, Servers, Wire,
};
use serde_json::{json, Value};
use std::{env, fs, path::Path};

/// Numbers of their own, so that the vectors stay when the lab measures anew.
const COSTS: Costs = Costs {
    event_cpu_us: 16.25,
    event_up: 3.5,
    event_down: 28.5,
    quiet_cpu_us: 50.5,
    quiet_up: 75.25,
    quiet_down: 183.5,
    quiet_after_s: 15.0,
    resident_kib: 14.5,
    kernel_kib: 3.25,
};

fn flat(costs: &Costs) -> [f64; 9] {
    [
        costs.event_cpu_us,
        costs.event_up,
        costs.event_down,
        costs.quiet_cpu_us,
        costs.quiet_up,
        costs.quiet_down,
        costs.quiet_after_s,
        costs.resident_kib,
        costs.kernel_kib,
    ]
}

/// Events of the log a second, engine, places, accepts, zones, copies, until a reader
/// has noticed, range of its return: beside each of the loads.
const SERVERS: [[f64; 8]; 7] = [
    [0.0, 0.0, 16_000.0, 1000.0, 3.0, 3.0, 31.0, 1.0],
    [0.0, 1.0, 900.0, 1000.0, 2.0, 2.0, 31.0, 5.0],
    [0.0, 1.0, 50_000.0, 5000.0, 3.0, 5.0, 31.0, 60.0],
    [30.0, 0.0, 100.0, 10.0, 4.0, 1.0, 5.0, 30.0],
    [1e4, 1.0, 1.0, 1.0, 2.0, 3.0, 0.0, 0.1],
    [40_000.0, 0.0, 1000.0, 200.0, 5.0, 4.0, 31.0, 1.0],
    [0.0, 0.0, 16_000.0, 1000.0, 3.0, 3.0, 31.0, 1.0],
];

/// Readers, events a second, bytes of an event, round trip, keep-alive, interval, bytes
/// of headers and of a state.
const LOADS: [[f64; 8]; 7] = [
    [10_000.0, 0.1, 200.0, 0.05, 60.0, 10.0, 0.0, 0.0],
    [200.0, 1.0, 119.0, 0.05, 60.0, 10.0, 0.0, 3992.0],
    [1e6, 10.0, 119.0, 0.1, 60.0, 2.0, 300.0, 0.0],
    [300.0, 0.0, 0.0, 0.0, 60.0, 240.0, 500.0, 0.0],
    [1.0, 1e-6, 1e5, 1.5, 5.0, 0.5, 0.0, 1e5],
    [16_000.0, 17.5, 150.0, 0.02, 60.0, 1.0, 40.0, 0.0],
    [0.0, 0.5, 80.0, 0.05, 60.0, 3600.0, 0.0, 0.0],
];

/// A number as JSON has it; an end that is never reached is `null`.
fn number(value: f64) -> Value {
    match value.is_finite() {
        true => json!(value),
        false => Value::Null,
    }
}

fn vectors() -> Value {
    let mut sums = Vec::new();
    for (load, servers) in LOADS.into_iter().zip(SERVERS) {
        let [readers, events, bytes, round_trip, keep_alive, interval, headers, state] =
            load;
        for method in 0..4 {
            let load = [
                readers,
                events,
                bytes,
                round_trip,
                keep_alive,
                f64::from(method),
                interval,
                headers,
                state,
            ];
            let inputs = [&load[..], &servers, &flat(&COSTS)].concat();
            let outputs = calculate(&inputs).expect("they are as many as it takes");
            sums.push(json!({
                "inputs": inputs,
                "outputs": outputs.map(number),
            }));
        }
    }
    json!({
        "about": "What crates/capacity calculates. Written by its tests/vectors.rs.",
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "limits": LimitKind::ALL.map(LimitKind::name),
        "sums": sums,
    })
}

#[test]
fn the_vectors_are_what_the_formulas_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors.json");
    let text = serde_json::to_string_pretty(&vectors()).expect("it is JSON") + "\n";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).expect("the file can be written");
    }
    let kept = fs::read_to_string(&path).expect("it is there (UPDATE_GOLDEN=1)");
    let kept: Value = serde_json::from_str(&kept).expect("it is JSON");
    assert!(
        same(&kept, &vectors()),
        "vectors.json is not what the formulas give (UPDATE_GOLDEN=1)"
    );
}

/// Whether two values are the same, but for the last digits of their numbers: those are
/// a matter of the system's own logarithms.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64(), other.as_f64());
            let both = one.zip(other);
            both.is_some_and(|(one, other)| (one - other).abs() <= 1e-9 * other.abs())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    other.get(name).is_some_and(|other| same(value, other))
                })
        }
        (one, other) => one == other,
    }
}

#[test]
fn a_list_of_numbers_gives_what_the_types_give() {
    let wire: &Wire = &measured::HTTP2_TLS;
    let method = Method::Polling { interval_s: 10.0 };
    let load = capacity::Load::EXAMPLE;
    let inputs = [10_000.0, 0.1, 200.0, 0.05, 60.0, 0.0, 10.0, 0.0, 0.0];
    let inputs = [&inputs[..], &SERVERS[0], &flat(&wire.polling)].concat();
    let outputs = calculate(&inputs).expect("they are as many as it takes");
    let needs = load.needs(method, &wire.polling);
    assert_eq!(outputs[0], load.lateness_s(method, &wire.polling));
    assert_eq!(outputs[2], needs.requests_per_s);
    assert_eq!(outputs[7], needs.down_bytes_per_s);
    let (machine, engine) = (&Machine::RAISED, &Engine::JETSTREAM);
    let servers = Servers::EXAMPLE;
    let plan = servers.plan(&load, method, &wire.polling, machine, engine);
    let output = |name| {
        let place = OUTPUTS.iter().position(|output| *output == name);
        outputs[place.expect("it is one of them")]
    };
    assert_eq!(output("servers"), plan.servers);
    assert_eq!(output("log_bytes_per_s"), plan.log_bytes_per_s);
    assert_eq!(output("most_log_connections"), engine.most_connections);
    assert_eq!(
        output("server_catch_up_bytes_per_s"),
        plan.server_catch_up_bytes_per_s
    );
    assert_eq!(output("copies_left"), servers.copies_left());
}

#[test]
fn other_numbers_give_nothing() {
    let place = |name| INPUTS.iter().position(|input| *input == name).unwrap();
    let mut inputs = vec![1.0; INPUTS.len()];
    assert_eq!(calculate(&inputs), None, "there is one zone");
    inputs[place("zones")] = 2.0;
    assert!(calculate(&inputs).is_some());
    assert_eq!(calculate(&inputs[1..]), None);
    assert_eq!(calculate(&[]), None);
    for (name, value) in [("method", 4.0), ("engine", 2.0), ("engine", 0.5)] {
        let mut unknown = inputs.clone();
        unknown[place(name)] = value;
        assert_eq!(calculate(&unknown), None, "{name}");
    }
}
