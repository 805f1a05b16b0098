//! The figures in sentences of the runs beside `compare`: lines, scale and peers.

use crate::{
    data::{Book, Kept, Kind, Parameters, PeersParameters, Run, Scale},
    panels::{cpu_of, PEERS},
    tables::{head, line, scale_methods},
    text::{count, digits, machine, provisional, thousands, Part, Unit},
};
use anyhow::Context as _;

/// # Errors
/// If something is not measured that the book says.
pub(crate) fn figures(book: &Book) -> anyhow::Result<Vec<Part>> {
    let mut parts = many(book);
    parts.extend(lines(book)?);
    parts.extend(scale(book)?);
    parts.extend(peers(book));
    Ok(parts)
}

/// What a figure of so many repetitions is.
fn medians(repetitions: u32) -> String {
    match repetitions {
        1 => "Each was measured once".to_owned(),
        _ => format!("Medians of up to {repetitions} repetitions that took turns"),
    }
}

/// Conditions and command of a run beside `compare`.
fn conditions<P>(
    book: &Book,
    kind: Kind,
    run: &Run<P>,
    how: &str,
    reason: Option<&str>,
) -> Vec<Part> {
    let compared = &book.compare.run;
    let where_ = match run.machine == compared.machine {
        true => format!("on the same machine, commit {}", run.versions.commit),
        false => machine(&run.machine, &run.versions),
    };
    let text = format!("Measured on {}, {where_}. {how}", run.day());
    let name = kind.name();
    vec![
        (format!("{name}-conditions"), provisional(text, reason)),
        (format!("{name}-command"), run.command()),
    ]
}

fn many(book: &Book) -> Vec<Part> {
    let data = &book.many;
    let asked = &data.run.parameters;
    let clients = thousands(asked.clients.into());
    let how = format!(
        "{clients} clients got {} events at {} a second, from servers with one thread; a burst is \
         {}. Memory is that of {} idle connections. {}.",
        thousands(asked.plan.events.into()),
        digits(asked.plan.rate),
        burst(asked),
        thousands(asked.idle_clients.into()),
        medians(asked.repetitions),
    );
    let reason = data.provisional.as_deref();
    let mut parts = conditions(book, Kind::Many, &data.run, &how, reason);
    parts.push(("many-clients".to_owned(), clients));
    let compared = &book.compare.run.parameters;
    let events = format!(
        "{}, to {} clients",
        burst(compared),
        thousands(compared.clients.into())
    );
    parts.push(("burst-events".to_owned(), events));
    parts
}

/// Events a second of a burst, as the lab plans it: `tools/lab/src/plan.rs`.
const BURST_RATE: f64 = 1000.0;

fn burst(asked: &Parameters) -> String {
    let events = asked.burst_events;
    let events = events.map_or("–".to_owned(), |it| thousands(it.into()));
    format!("{events} events, {} a second", thousands(BURST_RATE))
}

fn lines(book: &Book) -> anyhow::Result<Vec<Part>> {
    let data = &book.lines;
    let asked = &data.run.parameters;
    let by = data.rows.iter().find(|row| row.line != "nothing");
    let by = match by.map(|row| &*row.line) {
        Some("relay") => {
            "A relay kept the bytes back, and a piece of them that would be lost for a round trip \
             and 200 ms longer."
        }
        _ => "Packets went through a program that delays them and loses some, both ways.",
    };
    let how = format!(
        "{by} {} clients got {} events at {} a second. {}.",
        thousands(asked.clients.into()),
        thousands(asked.plan.events.into()),
        digits(asked.plan.rate),
        medians(asked.repetitions),
    );
    let reason = data.provisional.as_deref();
    let mut parts = conditions(book, Kind::Lines, &data.run, &how, reason);
    let (far, lossy) = ends(data)?;
    let mut add = |name: &str, text: String| parts.push((format!("lines-{name}"), text));
    let milliseconds = |number: f64| Unit::Milliseconds.number(number);
    add("round-trip", milliseconds(far.0));
    add("one-way", milliseconds(far.0 / 2.0));
    add("loss", format!("{} of 100", digits(lossy.1)));
    for method in ["sse", "websocket", "long-polling"] {
        for (name, line) in [("", far), ("-lossy", lossy)] {
            for quantile in ["p50", "p99"] {
                let row = data.across(method, line, &format!("delay {quantile}"))?;
                let name = format!("{method}{name}-{quantile}");
                add(&name, milliseconds(row.median));
            }
            let behind = data.across(method, line, "behind another")?.median;
            add(
                &format!("{method}{name}-behind"),
                format!("{} %", digits(behind)),
            );
        }
    }
    Ok(parts)
}

/// The longest round trip, without losses and with the most.
///
/// # Errors
/// If only one of them was measured.
pub(crate) fn ends(data: &Kept) -> anyhow::Result<((f64, f64), (f64, f64))> {
    let lines = data.lines();
    let far = lines.iter().map(|line| line.0).fold(0.0, f64::max);
    let mut of_far = lines.iter().copied().filter(|line| line.0 == far);
    let first = of_far.next().filter(|line| line.1 == 0.0);
    let last = of_far.next_back().filter(|line| line.1 > 0.0);
    first.zip(last).context("no line with and without losses")
}

fn scale(book: &Book) -> anyhow::Result<Vec<Part>> {
    let data = &book.scale;
    let asked = &data.run.parameters;
    let most = data.most("clients", "sse", "resident")?;
    let events = match digits(most.rate).as_str() {
        "1" => "an event".to_owned(),
        rate => format!("{rate} events"),
    };
    let how = format!(
        "Each number of clients got {events} a second of {} characters for {}, from a server with \
         all its threads. {}.",
        thousands(most.payload),
        Unit::Milliseconds.number(f64::from(asked.seconds) * 1000.0),
        medians(asked.repetitions),
    );
    let reason = data.provisional.as_deref();
    let mut parts = conditions(book, Kind::Scale, &data.run, &how, reason);
    let mut add = |name: &str, text: String| parts.push((format!("scale-{name}"), text));
    add("most", count(most.clients));
    add("bends", bends(data));
    add("busy", busy(data));
    // More addresses lift the limit of the ports.
    let limits = asked
        .limits
        .iter()
        .filter(|it| it.name != "ports of one address");
    let first = limits.min_by_key(|limit| limit.clients);
    add(
        "limit",
        match first {
            Some(limit) => {
                let name = match &*limit.name {
                    "descriptors" => "the number of files that a process may open",
                    other => other,
                };
                format!("{name}, for {} clients", thousands(limit.clients as f64))
            }
            None => "none that the system names".to_owned(),
        },
    );
    Ok(parts)
}

/// Where the lines become steeper, as a sentence.
fn bends(data: &Scale) -> String {
    let methods = scale_methods(data);
    let names = [
        ("resident", "memory"),
        ("server CPU in use", "processor time"),
        ("publish p50", "the time of a publish"),
        ("delay p99", "the delay of 99 in 100"),
    ];
    let found = data.bends.iter().filter(|bend| bend.axis == "clients");
    let found = found.filter_map(|bend| {
        let method = methods.iter().find(|it| it.key == bend.method)?;
        let (_, name) = names.iter().find(|(figure, _)| *figure == bend.figure)?;
        Some(format!(
            "{}, {name}: from {} clients on {} times as steep",
            method.title,
            thousands(bend.at),
            digits(bend.times)
        ))
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => "none does".to_owned(),
        false => found.join("; "),
    }
}

/// From which part of the processors on they are what was measured.
const BUSY: f64 = 0.95;

/// From how many clients on server and clients together kept all processors busy.
fn busy(data: &Scale) -> String {
    let processors = f64::from(data.run.machine.processors);
    let found = scale_methods(data).into_iter().filter_map(|it| {
        let server = data.points("clients", &it.key, "server CPU in use");
        let client = data.points("clients", &it.key, "client CPU in use");
        let mut both = server.iter().zip(client);
        let (first, _) = both.find(|(server, client)| {
            server.is_measured() && (server.median + client.median) / processors >= BUSY
        })?;
        Some(format!("{} with {}", it.title, thousands(first.clients)))
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => "With none of these numbers of clients were all processors busy.".to_owned(),
        false => format!(
            "Server and clients together kept all processors busy from so many clients on: {}. A \
             delay is that of a queue there, and the clients stand in it too.",
            found.join(", ")
        ),
    }
}

fn peers(book: &Book) -> Vec<Part> {
    let data = &book.peers;
    let asked = &data.run.parameters;
    // Of what is not there a program may have said more than a version.
    let versions = asked.versions.iter();
    let versions = versions.filter(|(_, version)| !version.contains('\n'));
    let versions: Vec<_> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let how = format!(
        "{} clients got {} events at {} a second, from servers with {}; memory is that of {} idle \
         connections. {}. {}.",
        thousands(asked.clients.into()),
        thousands(asked.plan.events.into()),
        digits(asked.plan.rate),
        match &*asked.workers {
            "1" => "one thread each".to_owned(),
            workers => format!("{workers} threads, where they can have more than one"),
        },
        thousands(asked.idle_clients.into()),
        medians(asked.repetitions),
        versions.join(", "),
    );
    let reason = data.provisional.as_deref();
    let mut parts = conditions(book, Kind::Peers, &data.run, &how, reason);
    let skipped: Vec<_> = asked.skipped.iter().map(|it| left_out(it)).collect();
    parts.push((
        "peers-skipped".to_owned(),
        match skipped.is_empty() {
            true => "None of them was left out.".to_owned(),
            false => format!("Left out were: {}.", skipped.join("; ")),
        },
    ));
    parts
}

/// A server that was not measured, by its name in the book, and why not: what the lab says of it,
/// without how to install it.
fn left_out(skipped: &str) -> String {
    let skipped = skipped.trim_start_matches("skipped: ");
    let (server, reason) = skipped.split_once(": ").unwrap_or((skipped, "unknown"));
    // Of what was not measured the last word is the reason.
    let (what, reason) = match reason.split_once(": ") {
        Some((what @ ("delivery" | "memory"), reason)) => (format!("{what} of "), reason),
        _ => (String::new(), reason),
    };
    let reason = reason.rsplit(": ").next().unwrap_or(reason);
    let methods = PEERS.iter();
    let mut all = methods.flat_map(|(_, title, servers)| servers.iter().map(move |it| (title, it)));
    let name = all.find(|(_, (key, _))| *key == server);
    let name = name.map_or(server.to_owned(), |(title, (_, name))| {
        format!("{name} ({title})")
    });
    let reason = reason.split(['(', ';', '\n']).next().unwrap_or(reason);
    format!("{what}{name}: {}", reason.trim())
}

/// All figures of the servers.
pub(crate) fn table(data: &Kept<PeersParameters>) -> String {
    let titles = [
        "Method, server",
        "99 of 100 events within",
        "Processor time for a delivery, of a long poll for an answer",
        "Memory for an idle connection",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for (class, title, servers) in PEERS {
        for (server, name) in servers {
            let rows = [
                (
                    data.row("delivery", server, "delay p99"),
                    Unit::Milliseconds,
                ),
                (cpu_of(data, class, server), Unit::Microseconds),
                (data.row("memory", server, "resident"), Unit::Kib),
            ];
            if rows.iter().all(|(row, _)| row.is_none()) {
                continue;
            }
            let cells = rows.map(|(row, unit)| {
                row.map_or("–".to_owned(), |row| {
                    unit.spread(row.median, row.low, row.high)
                })
            });
            let first = format!("<span class=\"method-{class}\">{title}</span>, {name}");
            lines.push(line([first].into_iter().chain(cells)));
        }
    }
    lines.join("\n")
}
