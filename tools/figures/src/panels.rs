//! The charts of the other runs: round trips and losses, ever more clients, other servers; and the
//! bytes over HTTP/2.

use crate::{
    charts::{
        finish, font, legend, legend_height, line, mark, text, Area, Shape, DASHED, INK, LINE,
        WIDTH,
    },
    data::{Book, Data, Kept, PeersParameters, Row, Scale, SizeRow},
    tables::scale_methods,
    text::{count, one_of_each, Unit, Variant},
};
use anyhow::{ensure, Context as _};
use plotters::{
    prelude::{ChartBuilder, IntoDrawingArea, IntoLogRange, LineSeries, SVGBackend},
    style::{text_anchor::HPos, Color as _, RGBColor, ShapeStyle, TRANSPARENT},
};
use std::fmt::Write as _;

/// Each chart with its name.
///
/// # Errors
/// If something is not measured, or cannot be drawn.
pub(crate) fn all(book: &Book) -> anyhow::Result<Vec<(String, String)>> {
    let mut charts = vec![
        ("wire", wire(&book.compare)?),
        ("lines", lines(&book.lines)?),
        ("scale", scale(&book.scale)?),
        ("peers", peers(&book.peers, true)?),
        ("peers-memory", peers(&book.peers, false)?),
    ];
    charts.extend(behind(&book.lines)?.map(|chart| ("behind", chart)));
    Ok(charts
        .into_iter()
        .map(|(name, svg)| (name.to_owned(), svg))
        .collect())
}

// Bars.

/// From one number to another, and a mark.
struct Bar {
    title: String,
    shape: Shape,
    from: f64,
    to: f64,
    at: f64,
    /// A second mark.
    second: Option<(Shape, f64)>,
    text: String,
}

struct Group {
    title: String,
    /// An upright line through all of it.
    floor: Option<f64>,
    bars: Vec<Bar>,
}

struct Bars<'a> {
    name: &'a str,
    title: &'a str,
    /// What the numbers are.
    description: &'a str,
    groups: Vec<Group>,
    /// From where to where the bars are drawn; before it stand names, behind it numbers.
    between: (i32, i32),
    /// Else the axis begins with 0.
    is_logarithmic: bool,
    /// Whether a length is the same in all groups.
    is_common: bool,
}

impl Group {
    /// The least above nothing, and the most.
    fn ends(&self) -> (f64, f64) {
        let bars = self.bars.iter().flat_map(|bar| {
            let second = bar.second.map(|(_, at)| at);
            [Some(bar.from), Some(bar.to), Some(bar.at), second]
        });
        let numbers = bars.chain([self.floor]).flatten();
        let some = numbers.filter(|number| *number > 0.0);
        some.fold((f64::INFINITY, 0.0), |(least, most), number| {
            (number.min(least), number.max(most))
        })
    }
}

const TITLE: i32 = 30;
const ROW: i32 = 24;

impl Bars<'_> {
    fn draw(&self) -> anyhow::Result<String> {
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        ensure!(bars > 0, "{}: there is nothing to draw", self.name);
        let height = TITLE * self.groups.len() as i32 + ROW * bars as i32 + 10;
        let ends = self.groups.iter().map(Group::ends);
        let all = ends.fold((f64::INFINITY, 0.0), |all: (f64, f64), one| {
            (all.0.min(one.0), all.1.max(one.1))
        });
        let mut svg = String::new();
        let mut description = self.description.to_owned();
        {
            let size = (WIDTH, height as u32);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let mut top = 0;
            for group in &self.groups {
                let ends = if self.is_common { all } else { group.ends() };
                self.group(&root, group, top, ends)?;
                top += TITLE + ROW * group.bars.len() as i32;
                let bars = group
                    .bars
                    .iter()
                    .map(|bar| format!(" {} {}", bar.title, bar.text));
                let bars: Vec<_> = bars.collect();
                let _ = write!(description, " {}:{}.", group.title, bars.join(","));
            }
            root.present()?;
        }
        Ok(finish(&svg, self.name, self.title, &description))
    }

    fn group(
        &self,
        area: &Area<'_>,
        group: &Group,
        top: i32,
        (least, most): (f64, f64),
    ) -> anyhow::Result<()> {
        let (left, right) = self.between;
        let (least, most) = (least / 1.2, most * 1.05);
        let x = |number: f64| {
            let part = match self.is_logarithmic {
                true => (number.max(least) / least).ln() / (most / least).ln(),
                false => number.max(0.0) / most.max(f64::MIN_POSITIVE),
            };
            (f64::from(left) + part * f64::from(right - left)).round() as i32
        };
        text(area, &group.title, (8, top + 18), HPos::Left)?;
        for (number, bar) in group.bars.iter().enumerate() {
            let y = top + TITLE + ROW * number as i32 + ROW / 2;
            line(area, [(left, y), (right, y)], LINE, 1)?;
            text(area, &bar.title, (8, y), HPos::Left)?;
            let colour = bar.shape.colour();
            line(area, [(x(bar.from), y), (x(bar.to), y)], colour, 3)?;
            match bar.second {
                // The end of a bar is no mark of its own.
                Some((Shape::Cross, at)) => {
                    line(area, [(x(at), y - 6), (x(at), y + 6)], colour, 3)?;
                }
                Some((shape, at)) => mark(area, &shape, (x(at), y))?,
                None => {}
            }
            mark(area, &bar.shape, (x(bar.at), y))?;
            if let Some(floor) = group.floor {
                line(area, [(x(floor), y - 9), (x(floor), y + 9)], INK, 2)?;
            }
            text(area, &bar.text, (WIDTH as i32 - 8, y), HPos::Right)?;
        }
        Ok(())
    }
}

/// How late events are across lines, from half of them to 99 of 100.
fn lines(data: &Kept) -> anyhow::Result<String> {
    let groups = across(data).into_iter().map(|line| {
        let bars = one_of_each(&data.rows).into_iter().map(|it| {
            let p50 = data.across(&it.key, line, "delay p50")?.median;
            let p99 = data.across(&it.key, line, "delay p99")?.median;
            let [half, most] = [p50, p99].map(|number| Unit::Milliseconds.number(number));
            Ok(Bar {
                title: it.short(),
                shape: it.shape(),
                from: p50,
                to: p99,
                at: p50,
                second: Some((Shape::Cross, p99)),
                text: format!("{half}; {most}"),
            })
        });
        let floor = data.across("loop", line, "delay p50").ok();
        Ok(Group {
            title: named(line),
            floor: floor.map(|row| row.median),
            bars: bars.collect::<anyhow::Result<_>>()?,
        })
    });
    Bars {
        name: "lines",
        title: "How late events come across a distance and a loss of packets",
        description: "Half of the events are there within the first time, 99 of 100 within the \
                      second; the axis is logarithmic.",
        groups: groups.collect::<anyhow::Result<_>>()?,
        between: (112, 288),
        is_logarithmic: true,
        is_common: true,
    }
    .draw()
}

/// The lines with a distance, or all if none has one.
fn across(data: &Kept) -> Vec<(f64, f64)> {
    let all = data.lines();
    let far: Vec<_> = all.iter().copied().filter(|line| line.0 > 0.0).collect();
    if far.is_empty() {
        all
    } else {
        far
    }
}

/// A line, for a person.
fn named((rtt_ms, loss_percent): (f64, f64)) -> String {
    let rtt = Unit::Milliseconds.number(rtt_ms);
    match loss_percent > 0.0 {
        true => format!("Round trip {rtt}, {loss_percent} of 100 packets lost"),
        false => format!("Round trip {rtt}, none lost"),
    }
}

/// Which part of the events was held up behind another, without losses and with the most. Without
/// losses there is no chart.
fn behind(data: &Kept) -> anyhow::Result<Option<String>> {
    let lines = across(data);
    let most = lines.iter().map(|line| line.1).fold(0.0, f64::max);
    let mut groups = Vec::new();
    for line in lines
        .into_iter()
        .filter(|line| line.1 == most && most > 0.0)
    {
        let mut bars = Vec::new();
        // A poll's answer brings what has come together, whatever the line does.
        let methods = one_of_each(&data.rows).into_iter();
        for it in methods.filter(|it| it.class != "polling") {
            let with = data.across(&it.key, line, "behind another")?.median;
            let without = data
                .across(&it.key, (line.0, 0.0), "behind another")?
                .median;
            bars.push(Bar {
                title: it.short(),
                shape: it.shape(),
                from: with.min(without),
                to: with.max(without),
                at: with,
                second: Some((Shape::Ring, without)),
                text: format!("{}; {}", percent(without), percent(with)),
            });
        }
        groups.push(Group {
            title: named(line),
            floor: None,
            bars,
        });
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let chart = Bars {
        name: "behind",
        title: "How many events are held up behind another",
        description: "The part of the events that came together with the one before, although \
                      they were published apart: without losses, then with them.",
        groups,
        between: (112, 290),
        is_logarithmic: false,
        is_common: true,
    };
    Ok(Some(chart.draw()?))
}

fn percent(number: f64) -> String {
    format!("{} %", Unit::Count.number(number))
}

/// Bytes over HTTP/2 with TLS beside those over HTTP/1.1 without.
fn wire(data: &Data) -> anyhow::Result<String> {
    let group = |title: &str, measurement, figures: &'static [&'static str]| {
        let bars = one_of_each(&data.rows).into_iter().map(|it| {
            let (mut plain, mut over_tls) = (0.0, 0.0);
            for figure in figures {
                plain += data.median(measurement, &it.key, figure)?;
                over_tls += data.over_tls(measurement, &it.key, figure)?;
            }
            let [first, second] = [plain, over_tls].map(|bytes| Unit::Bytes.number(bytes));
            Ok(Bar {
                title: it.short(),
                shape: it.shape(),
                from: plain.min(over_tls),
                to: plain.max(over_tls),
                at: over_tls,
                second: Some((Shape::Ring, plain)),
                text: format!("{first}; {second}"),
            })
        });
        anyhow::Ok(Group {
            title: title.to_owned(),
            floor: None,
            bars: bars.collect::<anyhow::Result<_>>()?,
        })
    };
    Bars {
        name: "wire",
        title: "Bytes over HTTP/1.1, and over HTTP/2 with TLS",
        description: "Over HTTP/1.1 without TLS, then over HTTP/2 with it; the axes are \
                      logarithmic.",
        groups: vec![
            group(
                "Both ways, for a delivery",
                "traffic",
                &["bytes up", "bytes down"],
            )?,
            group(
                "Both ways, in an hour of silence",
                "idle",
                &["bytes an hour"],
            )?,
        ],
        between: (112, 250),
        is_logarithmic: true,
        is_common: false,
    }
    .draw()
}

/// A server's name in the lab, and in the book.
type Named = (&'static str, &'static str);

/// The servers of `lab peers`, by method.
pub(crate) const PEERS: [(&str, &str, &[Named]); 3] = [
    (
        "websocket",
        "WebSocket",
        &[
            ("websocket", "this book"),
            ("websocket:walk", "this book, by a walk"),
            ("axum-socket", "bare axum"),
            ("ws:websocket", "Node.js, ws"),
            ("socket.io:websocket", "Socket.IO"),
            ("nchan:websocket", "nginx, nchan"),
            ("socketify:websocket", "uWebSockets"),
        ],
    ),
    (
        "sse",
        "Server-Sent Events",
        &[
            ("sse", "this book"),
            ("hyper-stream", "bare hyper"),
            ("node-http:sse", "Node.js, http"),
            ("better-sse:sse", "better-sse"),
            ("nchan:sse", "nginx, nchan"),
            ("durable-streams:sse", "Durable Streams"),
        ],
    ),
    (
        "long-polling",
        "Long polling",
        &[
            ("long-polling", "this book"),
            ("hyper-answer", "bare hyper"),
            ("nchan:long-polling", "nginx, nchan"),
            ("durable-streams:long-polling", "Durable Streams"),
        ],
    ),
];

/// The processor time by which servers are compared: a long poll's, of an answer. The loop of
/// uWebSockets under Python asks again and again, so its processor time says nothing about it.
pub(crate) fn cpu_of<'a>(
    data: &'a Kept<PeersParameters>,
    class: &str,
    server: &str,
) -> Option<&'a Row> {
    let figure = match class {
        "long-polling" => "server CPU of an answer",
        _ => "server CPU",
    };
    let row = data.row("delivery", server, figure);
    row.filter(|_| !server.starts_with("socketify"))
}

/// Processor time of the servers, or memory.
fn peers(data: &Kept<PeersParameters>, is_cpu: bool) -> anyhow::Result<String> {
    let mut groups = Vec::new();
    for (class, title, servers) in PEERS {
        let bars = servers.iter().filter_map(|(server, name)| {
            let (row, unit) = match is_cpu {
                true => (cpu_of(data, class, server)?, Unit::Microseconds),
                false => (data.row("memory", server, "resident")?, Unit::Kib),
            };
            let shape = match *server {
                "websocket:walk" => Shape::Walk,
                own if own == class => Shape::Method(class),
                "axum-socket" | "hyper-stream" | "hyper-answer" => Shape::Cross,
                _ => Shape::Ring,
            };
            Some(Bar {
                title: (*name).to_owned(),
                shape,
                from: row.low,
                to: row.high,
                at: row.median,
                second: None,
                text: unit.number(row.median),
            })
        });
        let bars: Vec<_> = bars.collect();
        let own = bars.iter().any(|bar| bar.title == "this book");
        ensure!(
            own,
            "the book's server of {class} was not measured beside others"
        );
        let of_what = match (is_cpu, class) {
            (false, _) => "",
            (true, "long-polling") => ", for an answer",
            (true, _) => ", for a delivery",
        };
        let floor = data
            .row("delivery", "loop", "server CPU")
            .filter(|_| is_cpu);
        groups.push(Group {
            title: format!("{title}{of_what}"),
            floor: floor.map(|row| row.median),
            bars,
        });
    }
    let (name, title, description) = match is_cpu {
        true => (
            "peers",
            "Processor time of servers for the same events",
            "Medians with their intervals, on a logarithmic axis.",
        ),
        false => (
            "peers-memory",
            "Memory of servers for an idle connection",
            "Medians with their intervals, on an axis that begins with 0.",
        ),
    };
    Bars {
        name,
        title,
        description,
        groups,
        between: (160, 340),
        is_logarithmic: is_cpu,
        is_common: true,
    }
    .draw()
}

// Ever more clients.

struct Curve {
    figure: &'static str,
    title: &'static str,
    unit: Unit,
}

const CURVES: [Curve; 3] = [
    Curve {
        figure: MEMORY,
        title: "Memory of the server, in MiB",
        unit: Unit::Count,
    },
    Curve {
        figure: "server CPU in use",
        title: "Processors that the server keeps busy",
        unit: Unit::Count,
    },
    Curve {
        figure: "delay p99",
        title: "99 of 100 events are there within",
        unit: Unit::Milliseconds,
    },
];

impl Curve {
    fn value(row: &SizeRow) -> f64 {
        row.median.max(0.001)
    }

    fn points<'a>(&self, data: &'a Scale, method: &Variant) -> Vec<&'a SizeRow> {
        let mut points = data.points("clients", &method.key, self.figure);
        // The loop keeps nothing for a client, so more of them are no sum.
        points.retain(|row| row.is_measured() || self.figure != MEMORY || method.key != "loop");
        points
    }
}

const MEMORY: &str = "resident";

/// A panel for each of memory, processor time and delay, against the number of clients.
fn scale(data: &Scale) -> anyhow::Result<String> {
    let methods = scale_methods(data);
    let head = legend_height(methods.len()) + 4;
    let panel = 210;
    let size = (WIDTH, head + panel * CURVES.len() as u32);
    let mut svg = String::new();
    let mut description = "Against the number of clients, both axes logarithmic. What is dashed \
                           is calculated."
        .to_owned();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (top, rest) = root.split_vertically(head);
        legend(&top, &methods)?;
        for (curve, area) in CURVES.iter().zip(rest.split_evenly((CURVES.len(), 1))) {
            draw(&area, data, curve, &methods)?;
            let _ = write!(description, " {}:", curve.title);
            for it in &methods {
                let most = data.most("clients", &it.key, curve.figure)?;
                let number = curve.unit.number(Curve::value(most));
                let clients = count(most.clients);
                let _ = write!(description, " {} {number} with {clients};", it.title);
            }
            description.pop();
            description.push('.');
        }
        root.present()?;
    }
    for bend in data.bends.iter().filter(|bend| bend.axis == "clients") {
        let curve = CURVES.iter().find(|curve| curve.figure == bend.figure);
        let method = methods.iter().find(|it| it.key == bend.method);
        if let Some((curve, method)) = curve.zip(method) {
            let _ = write!(
                description,
                " {}, {}: steeper from {} on.",
                curve.title,
                method.title,
                count(bend.at)
            );
        }
    }
    Ok(finish(
        &svg,
        "scale",
        "What a server needs for ever more clients",
        &description,
    ))
}

fn draw(area: &Area<'_>, data: &Scale, curve: &Curve, methods: &[Variant]) -> anyhow::Result<()> {
    let lines: Vec<_> = methods
        .iter()
        .map(|it| (it, curve.points(data, it)))
        .collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let ends = |of: &dyn Fn(&SizeRow) -> f64| {
        let numbers = || all().map(|row| of(row));
        let least = numbers().fold(f64::INFINITY, f64::min);
        (least, numbers().fold(0.0, f64::max))
    };
    let (fewest, most) = ends(&|row| row.clients);
    let (least, highest) = ends(&|row| Curve::value(row));
    ensure!(
        highest > 0.0 && fewest < most,
        "nothing to draw of {}",
        curve.figure
    );
    text(area, curve.title, (8, 12), HPos::Left)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(28)
        .margin_right(24)
        .x_label_area_size(26)
        .y_label_area_size(66)
        .build_cartesian_2d(
            (fewest / 1.2..most * 1.2).log_scale(),
            (least / 1.5..highest * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(INK)
        .label_style(font())
        .x_labels(4)
        .y_labels(4)
        .x_label_formatter(&|clients| count(*clients))
        .y_label_formatter(&|number| match curve.unit {
            Unit::Count => count(*number),
            unit => unit.number(*number),
        })
        .draw()?;
    for (it, points) in &lines {
        let at = |row: &SizeRow| (row.clients, Curve::value(row));
        let colour: RGBColor = it.shape().colour();
        let (measured, calculated): (Vec<&SizeRow>, Vec<_>) =
            points.iter().copied().partition(|row| row.is_measured());
        let solid = ShapeStyle::from(colour).stroke_width(2);
        chart.draw_series(LineSeries::new(measured.iter().map(|row| at(row)), solid))?;
        let last = measured.last().context("nothing was measured")?;
        let dashed = ShapeStyle::from(colour).stroke_width(DASHED);
        if !calculated.is_empty() {
            let beyond = [last].into_iter().chain(&calculated).map(|row| at(row));
            chart.draw_series(LineSeries::new(beyond, dashed))?;
        }
        for row in &measured {
            let at = chart.backend_coord(&at(row));
            let (left, top) = area.get_base_pixel();
            mark(area, &it.shape(), (at.0 - left, at.1 - top))?;
        }
        for bend in &data.bends {
            let here = (&*bend.axis, &*bend.figure) == ("clients", curve.figure);
            let row = measured.iter().find(|row| row.clients == bend.at);
            if let Some(row) = row.filter(|_| here && bend.method == it.key) {
                let at = chart.backend_coord(&at(row));
                let (left, top) = area.get_base_pixel();
                let ring = plotters::prelude::Circle::new(
                    (at.0 - left, at.1 - top),
                    11,
                    INK.stroke_width(1),
                );
                area.draw(&ring)?;
            }
        }
    }
    Ok(())
}
