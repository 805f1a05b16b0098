//! The tables of what was measured.

use crate::{
    data::{Book, Data, Kept, Scale},
    text::{one_of_each, variants, with_workers, Part, Unit, Variant, ANSWER, ROWS, WALK},
};

/// Side by side, and one for each method.
///
/// # Errors
/// If something is not measured.
pub(crate) fn all(book: &Book) -> anyhow::Result<Vec<Part>> {
    let data = &book.compare;
    let mut parts = vec![(
        "side-by-side".to_owned(),
        table(data, &one_of_each(&data.rows), false),
    )];
    for class in ["polling", "long-polling", "sse", "websocket"] {
        let mut own = variants(&data.rows);
        own.retain(|variant| variant.class == class);
        parts.push((class.to_owned(), table(data, &own, true)));
    }
    parts.push(("many".to_owned(), many(&book.many)?));
    parts.push(("burst".to_owned(), burst(data)?));
    parts.push(("wire".to_owned(), wire(data)?));
    parts.push(("peers".to_owned(), crate::others::table(&book.peers)));
    for axis in ["rate", "payload"] {
        parts.push((format!("scale-{axis}"), sizes(&book.scale, axis)?));
    }
    Ok(parts)
}

/// A row for what is measured, a column for each variant, and maybe one for the floors.
fn table(data: &Data, variants: &[Variant], floors: bool) -> String {
    let titles = variants.iter().map(|it| {
        let title = &it.title;
        format!("<span class=\"method-{}\">{title}</span>", it.class)
    });
    let last = floors.then(|| "Its floor".to_owned());
    let first = ["What is measured".to_owned()];
    let mut lines = head(first.into_iter().chain(titles).chain(last));
    for shown in &ROWS {
        // Side by side a delivery is what is compared.
        if shown.figure == ANSWER && !floors {
            continue;
        }
        let (unit, workers) = (shown.unit, shown.workers);
        let rows: Vec<_> = variants
            .iter()
            .map(|it| with_workers(data, shown.measurement, it, shown.figure, workers))
            .collect();
        if rows.iter().all(Option::is_none) {
            continue;
        }
        let cells = rows.iter().map(|row| match row {
            Some(row) => unit.spread(row.median, row.low, row.high),
            None => "–".to_owned(),
        });
        let last = floors.then(|| floor(data, &rows, unit));
        lines.push(line(
            [shown.name.to_owned()].into_iter().chain(cells).chain(last),
        ));
    }
    lines.join("\n")
}

/// The floors of some figures, each by its name.
fn floor(data: &Data, rows: &[Option<&crate::Row>], unit: Unit) -> String {
    let mut floors: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows.iter().flatten() {
        for row in data.with_each_floor(row) {
            let (Some(name), Some(median)) = (&row.floor, row.floor_median) else {
                continue;
            };
            let text = unit.number(median);
            match floors.iter_mut().find(|(other, _)| other == name) {
                Some((_, texts)) if texts.contains(&text) => {}
                Some((_, texts)) => texts.push(text),
                None => floors.push((name, vec![text])),
            }
        }
    }
    let floors = floors.into_iter().map(|(name, texts)| {
        let name = match name {
            "loop" => "the loop",
            "least frame" => "the least frame",
            "hyper-stream" => "a bare stream of hyper",
            "hyper-answer" => "a bare answer of hyper",
            "axum-socket" => "a bare socket of axum",
            other => other,
        };
        format!("{}: {name}", texts.join(", "))
    });
    let floors: Vec<_> = floors.collect();
    match floors.is_empty() {
        true => "–".to_owned(),
        false => floors.join("; "),
    }
}

/// The servers beside their floors, each with what stands for it in a table.
const SERVERS: [(&str, &str); 8] = [
    ("loop", "a loop of writes"),
    ("sse", "<span class=\"method-sse\">SSE</span>"),
    ("hyper-stream", "a bare stream of hyper"),
    (
        "websocket",
        "<span class=\"method-websocket\">WebSocket</span>",
    ),
    (
        WALK,
        "<span class=\"method-websocket\">WebSocket by a walk</span>",
    ),
    ("axum-socket", "a bare socket of axum"),
    (
        "long-polling",
        "<span class=\"method-long-polling\">Long polling</span>",
    ),
    ("hyper-answer", "a bare answer of hyper"),
];

/// Single events to many clients, from servers with one thread.
fn many(data: &Kept) -> anyhow::Result<String> {
    let titles = [
        "Server",
        "Half of the events within",
        "99 of 100 within",
        "Processor time for a delivery",
        "So many times the loop's",
        "Memory for an idle connection",
    ];
    let mut lines = head(titles.map(str::to_owned));
    for (method, name) in SERVERS {
        let number = |measurement, figure, unit: Unit| {
            let row = data.one_thread(measurement, method, figure)?;
            anyhow::Ok(unit.spread(row.median, row.low, row.high))
        };
        let cpu = data.one_thread("delivery", method, "server CPU")?;
        let cells = [
            name.to_owned(),
            number("delivery", "delay p50", Unit::Milliseconds)?,
            number("delivery", "delay p99", Unit::Milliseconds)?,
            number("delivery", "server CPU", Unit::Microseconds)?,
            cpu.ratio_median
                .map_or("1".to_owned(), |it| Unit::Count.number(it)),
            number("memory", "resident", Unit::Kib)?,
        ];
        lines.push(line(cells.into_iter()));
    }
    Ok(lines.join("\n"))
}

/// Many events in a short time, from servers with one thread.
fn burst(data: &Data) -> anyhow::Result<String> {
    let titles = [
        "Server",
        "Events that a client gets at once",
        "Deliveries for a second of processor time",
        "So many times those of single events",
        "99 of 100 are there within",
        "All are there within",
    ];
    let mut lines = head(titles.map(str::to_owned));
    // A burst of long polls is not measured.
    let is_stream = |(method, _): &(&str, &str)| !["long-polling", "hyper-answer"].contains(method);
    for (method, name) in SERVERS.into_iter().filter(is_stream) {
        let number = |figure, unit: Unit| {
            let row = data.one_thread("burst", method, figure)?;
            anyhow::Ok(unit.spread(row.median, row.low, row.high))
        };
        let each = data.one_thread("burst", method, "deliveries a CPU-second")?;
        let cells = [
            name.to_owned(),
            // An event stream's client cannot tell.
            number("events at once", Unit::Count).unwrap_or_else(|_| "–".to_owned()),
            number("deliveries a CPU-second", Unit::Count)?,
            each.ratio_median
                .map_or("–".to_owned(), |it| Unit::Count.number(it)),
            number("delay p99", Unit::Milliseconds)?,
            number("delay max", Unit::Milliseconds)?,
        ];
        lines.push(line(cells.into_iter()));
    }
    Ok(lines.join("\n"))
}

/// The bytes over HTTP/2 with TLS beside those over HTTP/1.1 without.
fn wire(data: &Data) -> anyhow::Result<String> {
    let methods = one_of_each(&data.rows);
    let titles = methods.iter().map(|it| {
        let title = it.title.split(" every").next().unwrap_or(&it.title);
        format!("<span class=\"method-{}\">{title}</span>", it.class)
    });
    let first = ["What is counted".to_owned()];
    let mut lines = head(first.into_iter().chain(titles));
    for (measurement, figure, name) in [
        (
            "traffic",
            "opening up",
            "To the server, until the client knows its place",
        ),
        ("traffic", "opening down", "To the client, until then"),
        ("traffic", "bytes up", "To the server, for a delivery"),
        ("traffic", "bytes down", "To the client, for a delivery"),
        ("idle", "bytes an hour", "Both ways, in an hour of silence"),
    ] {
        let mut cells = vec![name.to_owned()];
        for it in &methods {
            let plain = data.median(measurement, &it.key, figure)?;
            let over_tls = data.over_tls(measurement, &it.key, figure)?;
            let [plain, over_tls] = [plain, over_tls].map(|bytes| Unit::Bytes.number(bytes));
            cells.push(format!("{over_tls} ({plain})"));
        }
        lines.push(line(cells.into_iter()));
    }
    Ok(lines.join("\n"))
}

/// What changes with the rate of the events, or with their size.
fn sizes(scale: &Scale, axis: &str) -> anyhow::Result<String> {
    let methods = scale_methods(scale);
    let titles = methods.iter().map(|it| match it.class {
        "" => it.title.clone(),
        class => format!("<span class=\"method-{class}\">{}</span>", it.title),
    });
    let first = match axis {
        "rate" => "Events a second",
        _ => "Characters of text",
    };
    let mut lines = head([first.to_owned()].into_iter().chain(titles));
    let first = methods.first().map_or("loop", |it| &it.key);
    for point in scale.points(axis, first, "server CPU") {
        let mut cells = vec![Unit::Count.number(point.value())];
        for it in &methods {
            let of = |figure, unit: Unit| {
                let mut points = scale.points(axis, &it.key, figure).into_iter();
                let row = points.find(|row| row.value() == point.value());
                row.map_or("–".to_owned(), |row| unit.number(row.median))
            };
            let cpu = of("server CPU", Unit::Microseconds);
            let p99 = of("delay p99", Unit::Milliseconds);
            cells.push(format!("{cpu}; {p99}"));
        }
        lines.push(line(cells.into_iter()));
    }
    anyhow::ensure!(lines.len() > 2, "nothing is measured against {axis}");
    Ok(lines.join("\n"))
}

/// What was measured with ever more clients, in the book's order.
pub(crate) fn scale_methods(scale: &Scale) -> Vec<Variant> {
    let all = [
        Variant::the_loop(),
        Variant::new("long-polling", "long-polling", "Long polling"),
        Variant::new("sse", "sse", "SSE"),
        Variant::new("websocket", "websocket", "WebSocket"),
        Variant::new(WALK, "websocket", "WebSocket by a walk"),
    ];
    let is_there = |it: &Variant| scale.rows.iter().any(|row| row.method == it.key);
    all.into_iter().filter(is_there).collect()
}

/// The first two lines of a table: its titles, and what stands below them.
pub(crate) fn head(titles: impl IntoIterator<Item = String>) -> Vec<String> {
    let titles: Vec<_> = titles.into_iter().collect();
    let below = vec!["---".to_owned(); titles.len()];
    vec![line(titles.into_iter()), line(below.into_iter())]
}

pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}
