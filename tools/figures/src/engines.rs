//! What it costs that an engine keeps the log, beside a log in memory.

use crate::{
    data::{Engines, Kind},
    tables::{head, line},
    text::{digits, machine, provisional, thousands, Part, Unit},
};
use anyhow::Context as _;

/// Where the log is, and how the book names it.
const LOGS: [(&str, &str); 4] = [
    ("memory", "In memory"),
    ("file", "SQLite"),
    ("nats", "JetStream"),
    ("postgres", "PostgreSQL"),
];

/// A table of all figures, a column for each log.
///
/// # Errors
/// If something is not measured.
pub(crate) fn table(data: &Engines) -> anyhow::Result<Part> {
    let asked = &data.run.parameters;
    let missed = thousands(asked.missed.into());
    let shown = [
        (
            "receipt p50",
            "From a publish until another server has the event, half of them within".to_owned(),
            Unit::Milliseconds,
        ),
        (
            "receipt p99",
            "99 of 100 within".to_owned(),
            Unit::Milliseconds,
        ),
        (
            "answer p50",
            "From a publish until its answer, half within".to_owned(),
            Unit::Milliseconds,
        ),
        (
            "answer p99",
            "99 of 100 within".to_owned(),
            Unit::Milliseconds,
        ),
        (
            "in turn",
            "Publishes a second, one at a time".to_owned(),
            Unit::Count,
        ),
        (
            "at once",
            format!("Publishes a second, {} at a time", asked.publishers),
            Unit::Count,
        ),
        (
            "catch-up",
            format!("{missed} missed events, out of the window"),
            Unit::Milliseconds,
        ),
        (
            "read through",
            format!(
                "{missed} missed events, with {} of them in the window and the rest from the \
                 engine",
                asked.small_window
            ),
            Unit::Milliseconds,
        ),
        (
            "restart",
            "A server opens its window until a reader who was there has his next event".to_owned(),
            Unit::Milliseconds,
        ),
    ];
    let names = LOGS.iter().map(|(_, name)| (*name).to_owned());
    let mut lines = head(["What is measured".to_owned()].into_iter().chain(names));
    for (figure, name, unit) in shown {
        let cells = LOGS.iter().map(|(log, _)| {
            let row = data.row(log, figure);
            row.map_or("–".to_owned(), |row| {
                unit.spread(row.median, row.low, row.high)
            })
        });
        let cells: Vec<_> = cells.collect();
        lines.push(line([name].into_iter().chain(cells)));
    }
    Ok(("engines".to_owned(), lines.join("\n")))
}

/// The figures in sentences, and the conditions.
///
/// # Errors
/// If something is not measured.
pub(crate) fn figures(data: &Engines) -> anyhow::Result<Vec<Part>> {
    let (run, asked) = (&data.run, &data.run.parameters);
    let text = format!(
        "Measured on {}, {}. Events of {} bytes. Medians of {} repetitions that took turns, in \
         brackets the least and the most.",
        run.day(),
        machine(&run.machine, &run.versions),
        asked.data_bytes,
        asked.repetitions,
    );
    let name = Kind::Engines.name();
    let programs = asked.versions.iter();
    let programs: Vec<_> = programs
        .map(|(program, version)| format!("{program} {version}"))
        .collect();
    let mut parts = vec![
        (format!("{name}-programs"), programs.join(" and ")),
        (
            format!("{name}-conditions"),
            provisional(text, data.provisional.as_deref()),
        ),
        (
            format!("{name}-command"),
            run.command()
                .replace("-p lab --", "-p lab --features file,nats,postgres --"),
        ),
    ];
    for (log, figure, unit) in [
        ("nats", "receipt p50", Unit::Milliseconds),
        ("postgres", "receipt p50", Unit::Milliseconds),
        ("file", "receipt p50", Unit::Milliseconds),
        ("file", "answer p50", Unit::Milliseconds),
        ("file", "in turn", Unit::Count),
        ("file", "at once", Unit::Count),
        ("postgres", "in turn", Unit::Count),
        ("postgres", "at once", Unit::Count),
    ] {
        let row = data.row(log, figure);
        let row = row.with_context(|| format!("no {figure} of {log}"))?;
        let part = format!("{name}-{log}-{}", figure.replace(' ', "-"));
        if log != "file" && figure == "receipt p50" {
            let times = row.ratio_median.context("no ratio")?;
            parts.push((format!("{part}-times"), digits(times)));
        }
        parts.push((part, unit.number(row.median)));
    }
    Ok(parts)
}
