//! The constants of the crate `capacity`.

use crate::data::{find, Data, Wanted, OVER_TLS, PROTOCOL};
use anyhow::{ensure, Context as _};
use capacity::{Costs, Wire};
use std::fmt::Write as _;

/// How long nothing is exchanged with an idle client, in seconds: half of the span of a long
/// poll's wait, and the heartbeat of the others. `tools/lab/src/method.rs` counts the same.
const LONG_POLL_S: f64 = 22.5;
const HEARTBEAT_S: f64 = 15.0;

/// The pings of HTTP/2, where the client says nothing for longer than that: of 39 bytes each way
/// with their TLS, as the lab has counted them.
const PING_S: f64 = 20.0;
const PING_BYTES: f64 = 39.0;

/// The costs of the methods over HTTP/1.1 without TLS.
///
/// # Errors
/// If something is not measured.
pub fn wire(data: &Data) -> anyhow::Result<Wire> {
    of(data, PROTOCOL)
}

/// The costs over HTTP/2 with TLS: bytes as they were measured, and processor time and memory of
/// HTTP/1.1, since the lab measures nothing but bytes over TLS.
///
/// # Errors
/// If something is not measured.
pub fn over_tls(data: &Data) -> anyhow::Result<Wire> {
    let mut wire = of(data, OVER_TLS)?;
    if data.shortened {
        // Nothing lasted long enough for one. A long poll is over before a second one.
        for (costs, times) in [
            (&mut wire.long_polling, 1.0),
            (&mut wire.sse, HEARTBEAT_S / PING_S),
        ] {
            costs.quiet_up += times * PING_BYTES;
            costs.quiet_down += times * PING_BYTES;
        }
    }
    Ok(wire)
}

fn of(data: &Data, protocol: &str) -> anyhow::Result<Wire> {
    let bytes = Bytes { data, protocol };
    let kernel_kib = kernel(data);
    let resident = |method: &str| {
        let mut rows = data.plain();
        let row = rows.find(|row| row.figure == "resident" && row.method.starts_with(method));
        row.map(|row| row.median)
            .with_context(|| format!("no memory of {method}"))
    };
    // Each event in a message, and a heartbeat that costs the processor as much as one.
    let stream = |method: &str| -> anyhow::Result<Costs> {
        let cpu = data.median("delivery", method, "server CPU")?;
        let beats = 3600.0 / HEARTBEAT_S;
        Ok(Costs {
            event_cpu_us: cpu,
            event_up: bytes.of("traffic", method, "bytes up")?,
            event_down: bytes.of("traffic", method, "bytes down")? - data.event_bytes,
            quiet_cpu_us: cpu,
            quiet_up: bytes.of("idle", method, "bytes up an hour")? / beats,
            quiet_down: bytes.of("idle", method, "bytes down an hour")? / beats,
            quiet_after_s: HEARTBEAT_S,
            resident_kib: resident(method)?,
            kernel_kib,
        })
    };
    Ok(Wire {
        polling: rounded(polling(&bytes, resident("polling:")?, kernel_kib)?),
        long_polling: rounded(long_polling(&bytes, resident("long-polling")?, kernel_kib)?),
        sse: rounded(stream("sse")?),
        websocket: rounded(stream("websocket")?),
    })
}

/// What went over the wire, by one protocol.
struct Bytes<'a> {
    data: &'a Data,
    protocol: &'a str,
}

impl Bytes<'_> {
    fn of(&self, measurement: &str, method: &str, figure: &str) -> anyhow::Result<f64> {
        let wanted = Wanted {
            protocol: self.protocol,
            ..Wanted::plain(measurement, method, figure)
        };
        Ok(find(&self.data.rows, &wanted)?.median)
    }
}

/// As exact as it was measured.
fn rounded(costs: Costs) -> Costs {
    let round = |value: f64| (value * 100.0).round() / 100.0;
    Costs {
        event_cpu_us: round(costs.event_cpu_us),
        event_up: round(costs.event_up),
        event_down: round(costs.event_down),
        quiet_cpu_us: round(costs.quiet_cpu_us),
        quiet_up: round(costs.quiet_up),
        quiet_down: round(costs.quiet_down),
        quiet_after_s: costs.quiet_after_s,
        resident_kib: round(costs.resident_kib),
        kernel_kib: round(costs.kernel_kib),
    }
}

/// A kernel holds the same for a connection, whatever is said over it: the median of what was
/// measured with all methods, half of it at each end.
fn kernel(data: &Data) -> f64 {
    let rows = data.plain().filter(|row| row.figure == "slab, both ends");
    let mut slab: Vec<f64> = rows.map(|row| row.median).collect();
    slab.sort_by(f64::total_cmp);
    slab.get(slab.len() / 2).map_or(0.0, |both| both / 2.0)
}

/// What a poll costs and what an event in its answer adds, from two intervals.
fn polling(bytes: &Bytes<'_>, resident_kib: f64, kernel_kib: f64) -> anyhow::Result<Costs> {
    let data = bytes.data;
    let intervals = data.intervals();
    let (short, long) = (intervals.first(), intervals.last());
    let (short, long) = short.zip(long).context("no polling")?;
    ensure!(
        short < long,
        "one interval of polling: two tell a poll from an event"
    );
    let [short, long] = [short, long].map(|interval| format!("polling:{interval}ms"));
    let requests = |key: &str| bytes.of("traffic", key, "requests");
    let two = |figure: &dyn Fn(&str) -> anyhow::Result<f64>| -> anyhow::Result<(f64, f64)> {
        let polls = requests(&short)? - requests(&long)?;
        let each = (figure(&short)? - figure(&long)?) / polls;
        let event = figure(&long)? - requests(&long)? * each;
        Ok((each.max(0.0), event.max(0.0)))
    };
    let (quiet_cpu_us, event_cpu_us) = two(&|key| data.median("delivery", key, "server CPU"))?;
    let (_, down) = two(&|key| bytes.of("traffic", key, "bytes down"))?;
    let polls_an_hour = bytes.of("idle", &long, "requests an hour")?;
    Ok(Costs {
        event_cpu_us,
        event_up: 0.0,
        event_down: (down - data.event_bytes).max(0.0),
        quiet_cpu_us,
        quiet_up: bytes.of("idle", &long, "bytes up an hour")? / polls_an_hour,
        quiet_down: bytes.of("idle", &long, "bytes down an hour")? / polls_an_hour,
        quiet_after_s: 0.0,
        resident_kib,
        kernel_kib,
    })
}

/// An answer is an answer, with one event or with several, or none.
fn long_polling(bytes: &Bytes<'_>, resident_kib: f64, kernel_kib: f64) -> anyhow::Result<Costs> {
    let method = "long-polling";
    let data = bytes.data;
    let answers = bytes.of("traffic", method, "requests")?;
    let cpu = data.median("delivery", method, "server CPU")? / answers;
    let down = bytes.of("traffic", method, "bytes down")?;
    let waits = 3600.0 / LONG_POLL_S;
    Ok(Costs {
        event_cpu_us: cpu,
        event_up: bytes.of("traffic", method, "bytes up")? / answers,
        event_down: (down - data.event_bytes) / answers,
        quiet_cpu_us: cpu,
        quiet_up: bytes.of("idle", method, "bytes up an hour")? / waits,
        quiet_down: bytes.of("idle", method, "bytes down an hour")? / waits,
        quiet_after_s: LONG_POLL_S,
        resident_kib,
        kernel_kib,
    })
}

/// The module of `capacity` that has them.
pub(crate) fn source(data: &Data) -> anyhow::Result<String> {
    let mut text = "\
//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
"
    .to_owned();
    constants(&mut text, &wire(data)?);
    text.push_str(
        "};

/// Over HTTP/2 with TLS, and of a WebSocket over HTTP/1.1 with TLS: the bytes.
/// Processor time and memory are those without TLS.
",
    );
    text.push_str(match data.shortened {
        true => "///\n/// The pings of HTTP/2 are calculated: the silences of the run were too short for one.\n",
        false => "",
    });
    text.push_str("pub const HTTP2_TLS: Wire = Wire {\n");
    constants(&mut text, &over_tls(data)?);
    text.push_str("};\n");
    Ok(text)
}

fn constants(text: &mut String, wire: &Wire) {
    for (name, costs) in [
        ("polling", &wire.polling),
        ("long_polling", &wire.long_polling),
        ("sse", &wire.sse),
        ("websocket", &wire.websocket),
    ] {
        let fields = [
            ("event_cpu_us", costs.event_cpu_us),
            ("event_up", costs.event_up),
            ("event_down", costs.event_down),
            ("quiet_cpu_us", costs.quiet_cpu_us),
            ("quiet_up", costs.quiet_up),
            ("quiet_down", costs.quiet_down),
            ("quiet_after_s", costs.quiet_after_s),
            ("resident_kib", costs.resident_kib),
            ("kernel_kib", costs.kernel_kib),
        ];
        let _ = writeln!(text, "    {name}: Costs {{");
        for (name, value) in fields {
            let _ = writeln!(text, "        {name}: {value:?},");
        }
        text.push_str("    },\n");
    }
}
