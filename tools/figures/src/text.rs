//! Numbers as the book writes them, and the figures that stand in its prose.

use crate::{
    charts::Shape,
    data::{find, intervals, Book, Data, Machine, Row, Versions, Wanted, WORKERS},
};
use anyhow::Context as _;
use std::fmt::Write as _;

/// A method as it is measured, and as a reader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The lab's name of it.
    pub key: String,
    /// Its class and folder in the book.
    pub class: &'static str,
    /// For a person.
    pub title: String,
}

/// The lab's name of the WebSocket server in which one task walks all sockets.
pub(crate) const WALK: &str = "websocket:walk";

impl Variant {
    pub(crate) fn new(key: &str, class: &'static str, title: &str) -> Self {
        Self {
            key: key.to_owned(),
            class,
            title: title.to_owned(),
        }
    }

    pub(crate) fn the_loop() -> Self {
        Self::new("loop", "", "A loop of writes")
    }

    pub(crate) fn is_walk(&self) -> bool {
        self.key == WALK
    }

    pub(crate) fn shape(&self) -> Shape {
        match self.class {
            "" => Shape::Cross,
            _ if self.is_walk() => Shape::Walk,
            class => Shape::Method(class),
        }
    }

    /// With an interval, but in few letters.
    pub(crate) fn short(&self) -> String {
        self.title.replace(" every", ",")
    }
}

/// The methods that were measured, as the book orders them.
pub(crate) fn variants(rows: &[Row]) -> Vec<Variant> {
    let polling = intervals(rows).into_iter().map(|interval| Variant {
        key: format!("polling:{interval}ms"),
        class: "polling",
        title: format!(
            "Polling every {}",
            Unit::Milliseconds.number(interval as f64)
        ),
    });
    let others = [
        ("long-polling", "long-polling", "Long polling"),
        ("sse", "sse", "SSE"),
        ("websocket", "websocket", "WebSocket"),
        (WALK, "websocket", "WebSocket by a walk"),
    ];
    let others = others.map(|(key, class, title)| Variant::new(key, class, title));
    let all = polling.chain(others);
    all.filter(|it| rows.iter().any(|row| row.method == it.key))
        .collect()
}

/// The one of polling with the longest interval, and all others: one for each method.
pub(crate) fn one_of_each(rows: &[Row]) -> Vec<Variant> {
    let mut all = variants(rows);
    all.retain(|it| !it.is_walk());
    let polls = all.iter().filter(|it| it.class == "polling").count();
    all.drain(..polls.saturating_sub(1));
    all
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    Bytes,
    Kib,
    Count,
    Dollars,
    BitsPerSecond,
}

impl Unit {
    /// The largest of its names that leaves at least 1, and what one of it is.
    fn scale(self, number: f64) -> (f64, &'static str) {
        let steps: &[(f64, &str)] = match self {
            Self::Milliseconds => &[(1000.0, " s"), (1.0, " ms")],
            Self::Microseconds => &[(1000.0, " ms"), (1.0, " µs")],
            Self::Bytes => &[
                (1e12, " TB"),
                (1e9, " GB"),
                (1e6, " MB"),
                (1e4, " kB"),
                (1.0, " bytes"),
            ],
            Self::Kib => &[(1024.0 * 1024.0, " GiB"), (1024.0, " MiB"), (1.0, " KiB")],
            Self::BitsPerSecond => &[(1e9, " Gbit/s"), (1e6, " Mbit/s"), (1e3, " kbit/s")],
            Self::Count | Self::Dollars => &[(1.0, "")],
        };
        let last = steps[steps.len() - 1];
        let (least, name) = steps.iter().find(|step| number >= step.0).unwrap_or(&last);
        // From 10,000 bytes on they are counted in thousands.
        (if *name == " kB" { 1000.0 } else { *least }, name)
    }

    /// With its unit: two digits that count, or all before the point.
    pub(crate) fn number(self, number: f64) -> String {
        let (one, name) = self.scale(number);
        let sign = if self == Self::Dollars { "$" } else { "" };
        format!("{sign}{}{name}", digits(number / one))
    }

    /// A median, and its interval if it is seen in the digits that are written.
    pub(crate) fn spread(self, median: f64, low: f64, high: f64) -> String {
        let (one, _) = self.scale(median);
        let [least, most] = [low, high].map(|number| digits(number / one));
        let middle = self.number(median);
        match least == most {
            true => middle,
            false => format!("{middle} ({least}–{most})"),
        }
    }
}

/// Two digits that count, or all before the point, with a comma between thousands.
pub(crate) fn digits(number: f64) -> String {
    if number < 0.0 {
        return format!("−{}", digits(-number));
    }
    let text = match number {
        10.0.. => return thousands(number.round()),
        1.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

pub(crate) fn thousands(number: f64) -> String {
    let plain = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in plain.chars().enumerate() {
        let left = plain.len() - at;
        if at > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure of the tables, and how the book names it.
pub(crate) struct Shown {
    pub measurement: &'static str,
    pub figure: &'static str,
    /// Threads of the server: a number, or `all`.
    pub workers: &'static str,
    pub unit: Unit,
    pub name: &'static str,
}

const fn shown(
    measurement: &'static str,
    figure: &'static str,
    unit: Unit,
    name: &'static str,
) -> Shown {
    Shown {
        measurement,
        figure,
        workers: WORKERS,
        unit,
        name,
    }
}

const fn with_one_thread(figure: &'static str, unit: Unit, name: &'static str) -> Shown {
    Shown {
        workers: "1",
        ..shown("delivery", figure, unit, name)
    }
}

/// A number that may be in millions or billions.
pub(crate) fn count(number: f64) -> String {
    match number {
        1e9.. => format!("{} billion", Unit::Count.number(number / 1e9)),
        1e6.. => format!("{} million", Unit::Count.number(number / 1e6)),
        _ => Unit::Count.number(number),
    }
}

/// A figure of long polling alone.
pub(crate) const ANSWER: &str = "server CPU of an answer";

/// What is measured of each method, in the order of the tables.
pub(crate) const ROWS: [Shown; 15] = [
    shown(
        "delivery",
        "delay p50",
        Unit::Milliseconds,
        "Half of the events are there within",
    ),
    shown(
        "delivery",
        "delay p99",
        Unit::Milliseconds,
        "99 of 100 are there within",
    ),
    with_one_thread(
        "delay p99",
        Unit::Milliseconds,
        "the same, if the server has one thread",
    ),
    shown(
        "delivery",
        "server CPU",
        Unit::Microseconds,
        "Processor time of the server for a delivery",
    ),
    shown(
        "delivery",
        ANSWER,
        Unit::Microseconds,
        "Processor time of the server for an answer",
    ),
    with_one_thread(
        "server CPU",
        Unit::Microseconds,
        "the same, if it has one thread",
    ),
    shown(
        "traffic",
        "requests",
        Unit::Count,
        "Requests for a delivery",
    ),
    shown(
        "traffic",
        "bytes up",
        Unit::Bytes,
        "To the server, for a delivery",
    ),
    shown(
        "traffic",
        "bytes down",
        Unit::Bytes,
        "To the client, for a delivery",
    ),
    shown(
        "idle",
        "requests an hour",
        Unit::Count,
        "Requests in an hour of silence",
    ),
    shown(
        "idle",
        "bytes an hour",
        Unit::Bytes,
        "Both ways in an hour of silence",
    ),
    shown(
        "memory",
        "resident",
        Unit::Kib,
        "Memory of the server for an idle connection",
    ),
    shown(
        "memory",
        "slab, both ends",
        Unit::Kib,
        "The kernel's for it, at both ends",
    ),
    shown(
        "recovery",
        "back p50",
        Unit::Milliseconds,
        "After a restart, half of the clients are back within",
    ),
    shown(
        "recovery",
        "back max",
        Unit::Milliseconds,
        "After a restart, all are back within",
    ),
];

/// A row of a method. A connection, and coming back, are measured for polling with one interval.
pub(crate) fn row<'a>(
    data: &'a Data,
    measurement: &str,
    variant: &Variant,
    figure: &str,
) -> Option<&'a Row> {
    with_workers(data, measurement, variant, figure, WORKERS)
}

/// The same with a number of threads.
pub(crate) fn with_workers<'a>(
    data: &'a Data,
    measurement: &str,
    variant: &Variant,
    figure: &str,
    workers: &str,
) -> Option<&'a Row> {
    let wanted = Wanted {
        workers,
        ..Wanted::plain(measurement, &variant.key, figure)
    };
    let exact = find(&data.rows, &wanted).ok();
    exact.or_else(|| {
        let is_one = variant.class == "polling" && matches!(measurement, "memory" | "recovery");
        let mut rows = data.plain();
        rows.find(|row| {
            is_one
                && (&*row.measurement, &*row.figure) == (measurement, figure)
                && row.method.starts_with("polling:")
        })
    })
}

/// A part of a file that pages include by its name.
pub(crate) type Part = (String, String);

/// Parts as mdBook's includes find them.
pub(crate) fn anchored(parts: Vec<Part>) -> String {
    let mut text = "Written by `cargo xtask figures`. Pages include parts of it.\n".to_owned();
    for (name, part) in parts {
        let part = part.trim_end();
        write!(text, "\nANCHOR: {name}\n{part}\nANCHOR_END: {name}\n")
            .expect("a string takes whatever is written");
    }
    text
}

/// The figures that stand in sentences.
///
/// # Errors
/// If one is not measured.
pub(crate) fn figures(book: &Book) -> anyhow::Result<Vec<Part>> {
    let data = &book.compare;
    let mut parts = conditions(data);
    let mut add = |name: &str, text: String| parts.push((name.to_owned(), text));
    let polls = data.intervals();
    for (name, interval) in [("fast", polls.first()), ("slow", polls.last())] {
        let Some(interval) = interval else { continue };
        let key = format!("polling:{interval}ms");
        add(
            &format!("polling-{name}"),
            Unit::Milliseconds.number(*interval as f64),
        );
        let p50 = data.row("delivery", &key, "delay p50")?;
        add(
            &format!("polling-{name}-p50"),
            Unit::Milliseconds.number(p50.median),
        );
        let sum = p50.floor_median.unwrap_or_default();
        add(
            &format!("polling-{name}-p50-sum"),
            Unit::Milliseconds.number(sum),
        );
        let idle = data.median("idle", &key, "bytes an hour")?;
        add(&format!("polling-{name}-idle"), Unit::Bytes.number(idle));
    }
    let requests = data.median("traffic", "long-polling", "requests")?;
    add("long-polling-events-an-answer", digits(1.0 / requests));
    for method in ["long-polling", "sse", "websocket"] {
        let cpu = data.row("delivery", method, "server CPU")?;
        add(
            &format!("{method}-cpu-loops"),
            digits(cpu.ratio_median.unwrap_or_default()),
        );
        let idle = data.median("idle", method, "bytes an hour")?;
        add(&format!("{method}-idle"), Unit::Bytes.number(idle));
        if method != "long-polling" {
            let down = data.median("traffic", method, "bytes down")?;
            let around = Unit::Bytes.number(down - data.event_bytes);
            add(&format!("{method}-frame"), around);
        }
    }
    for (name, measurement, figure, unit) in [
        ("delay", "delivery", "delay p99", Unit::Milliseconds),
        ("cpu", "delivery", "server CPU", Unit::Microseconds),
        ("memory", "memory", "resident", Unit::Kib),
        ("idle", "idle", "bytes an hour", Unit::Bytes),
        ("back", "recovery", "back max", Unit::Milliseconds),
    ] {
        add(
            &format!("order-{name}"),
            order(data, measurement, figure, unit),
        );
    }
    parts.extend(floors(book)?);
    parts.extend(crate::others::figures(book)?);
    Ok(parts)
}

/// A figure of a burst.
const DELIVERIES: &str = "deliveries a CPU-second";

/// What steps on the way to these servers have come to.
fn floors(book: &Book) -> anyhow::Result<Vec<Part>> {
    let data = &book.compare;
    let mut parts = Vec::new();
    let mut add = |name: &str, text: String| parts.push((name.to_owned(), text));
    for (name, method) in [("sse", "sse"), ("sse-bare", "hyper-stream")] {
        let resident = data.median("memory", method, "resident")?;
        add(&format!("{name}-resident"), Unit::Kib.number(resident));
    }
    let pings = match data.shortened {
        true => {
            "The pings of HTTP/2 are not in the hour of silence, since its silences were shortened."
        }
        false => "The hour of silence has the pings of HTTP/2 in it.",
    };
    add("wire-pings", pings.to_owned());
    let many = &book.many;
    let median = |measurement, method, figure, unit: Unit| {
        let row = many.one_thread(measurement, method, figure);
        anyhow::Ok(unit.number(row?.median))
    };
    // To the loop, or to single events.
    let ratio = |row: &Row| {
        let ratio = row
            .ratio_median
            .with_context(|| format!("{} has no floor", row.figure));
        anyhow::Ok(digits(ratio?))
    };
    for (name, method) in [("task", "websocket"), ("walk", WALK)] {
        for (part, text) in [
            (
                "loops",
                ratio(many.one_thread("delivery", method, "server CPU")?)?,
            ),
            (
                "cpu",
                median("delivery", method, "server CPU", Unit::Microseconds)?,
            ),
            (
                "p99",
                median("delivery", method, "delay p99", Unit::Milliseconds)?,
            ),
            ("resident", median("memory", method, "resident", Unit::Kib)?),
        ] {
            add(&format!("{name}-{part}"), text);
        }
    }
    for method in ["sse", "websocket"] {
        let row = data.one_thread("burst", method, DELIVERIES)?;
        add(&format!("burst-{method}-times"), ratio(row)?);
    }
    for (name, method) in [("sse", "sse"), ("bare", "hyper-stream")] {
        let p99 = data.one_thread("burst", method, "delay p99")?.median;
        add(&format!("burst-{name}-p99"), Unit::Milliseconds.number(p99));
        let row = many.one_thread("burst", method, DELIVERIES)?;
        add(&format!("burst-many-{name}-times"), ratio(row)?);
    }
    Ok(parts)
}

/// The methods from the least to the most.
fn order(data: &Data, measurement: &str, figure: &str, unit: Unit) -> String {
    let mut methods: Vec<_> = one_of_each(&data.rows)
        .into_iter()
        .filter_map(|it| Some((row(data, measurement, &it, figure)?.median, it.title)))
        .collect();
    methods.sort_by(|one, other| one.0.total_cmp(&other.0));
    let methods = methods.iter().map(|(median, title)| {
        let title = title.split(" every").next().unwrap_or(title);
        format!("{title} {}", unit.number(*median))
    });
    methods.collect::<Vec<_>>().join(", ")
}

/// Where, when and how it was measured.
fn conditions(data: &Data) -> Vec<Part> {
    let run = &data.run;
    let asked = &run.parameters;
    let text = format!(
        "Measured on {day}: {machine}. {clients} clients got {events} events at {rate} a second, \
         drawn from seed {seed}; memory is that of {idle} idle connections, and {recovery} clients \
         came back after a restart. A server has a thread for each processor, unless something else \
         is said. A figure is the median of up to {repetitions} repetitions that \
         took turns; beside it stands the interval that holds the median of all such runs with a \
         chance of {confidence}.",
        day = run.day(),
        machine = machine(&run.machine, &run.versions),
        clients = thousands(asked.clients.into()),
        events = thousands(asked.plan.events.into()),
        rate = digits(asked.plan.rate),
        seed = asked.plan.seed,
        idle = thousands(asked.idle_clients.into()),
        recovery = thousands(asked.recovery_clients.into()),
        repetitions = asked.repetitions,
        confidence = confidence(data),
    );
    vec![
        ("day".to_owned(), run.day().to_owned()),
        (
            "conditions".to_owned(),
            provisional(text, data.provisional.as_deref()),
        ),
        ("command".to_owned(), run.command()),
        ("rate".to_owned(), digits(asked.plan.rate)),
    ]
}

/// The machine, and what the servers were built of.
pub(crate) fn machine(machine: &Machine, versions: &Versions) -> String {
    let libraries = ["axum", "hyper", "tokio", "tungstenite"]
        .iter()
        .filter_map(|name| {
            let version = versions.crates.get(*name)?;
            Some(format!("{name} {version}"))
        });
    let libraries: Vec<_> = libraries.collect();
    format!(
        "{processor}, {processors} processors, {gib:.0} GiB, {system} {kernel}; {rustc}, \
         {libraries}, profile {profile}, commit {commit}",
        processor = machine.processor.replace("(R)", ""),
        processors = machine.processors,
        gib = machine.memory_mib as f64 / 1024.0,
        system = capitalized(&machine.system),
        kernel = machine.kernel,
        rustc = versions.rustc.split(" (").next().unwrap_or(&versions.rustc),
        libraries = libraries.join(", "),
        profile = versions.profile,
        commit = versions.commit,
    )
}

/// With the reason why it is not the last word, if there is one.
pub(crate) fn provisional(text: String, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{text} **These figures are provisional: {reason}.**"),
        None => text,
    }
}

/// The chance of the intervals of what was repeated most.
fn confidence(data: &Data) -> String {
    let most = data.plain().map(|row| row.confidence).fold(0.0, f64::max);
    format!("{:.0} %", most * 100.0)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_digits_that_count_and_a_unit() {
        for (unit, number, text) in [
            (Unit::Milliseconds, 0.856, "0.86 ms"),
            (Unit::Milliseconds, 4.65, "4.7 ms"),
            (Unit::Milliseconds, 511.4, "511 ms"),
            (Unit::Milliseconds, 1900.0, "1.9 s"),
            (Unit::Milliseconds, 1000.0, "1 s"),
            (Unit::Microseconds, 218.0, "218 µs"),
            (Unit::Bytes, 9999.0, "9,999 bytes"),
            (Unit::Bytes, 13_920.0, "14 kB"),
            (Unit::Bytes, 9_288_000.0, "9.3 MB"),
            (Unit::Bytes, 0.0, "0 bytes"),
            (Unit::Kib, 31.66, "32 KiB"),
            (Unit::Kib, 2.0 * 1024.0 * 1024.0, "2 GiB"),
            (Unit::Count, 0.201, "0.2"),
            (Unit::Count, 36_000.0, "36,000"),
            (Unit::Count, -2.15, "−2.1"),
            (Unit::Dollars, 1_234_567.0, "$1,234,567"),
        ] {
            assert_eq!(unit.number(number), text);
        }
        let spread = Unit::Milliseconds.spread(1070.1, 961.0, 1079.3);
        assert_eq!(spread, "1.1 s (0.96–1.1)");
        assert_eq!(Unit::Bytes.spread(224.0, 224.0, 224.0), "224 bytes");
    }

    #[test]
    fn a_part_is_found_by_its_name() {
        let text = anchored(vec![("a-b".to_owned(), "4.7 ms\n".to_owned())]);
        assert!(
            text.ends_with("\nANCHOR: a-b\n4.7 ms\nANCHOR_END: a-b\n"),
            "{text}"
        );
    }
}
