//! The charts: plotters draws them, and what it does not know is put in afterwards, which is the
//! page's colours, a title and a description.

use crate::{
    data::{Book, Data, Row},
    text::{one_of_each, row, variants, Unit, Variant},
};
use anyhow::Context as _;
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::fmt::Write as _;

/// On a page 390 px wide a figure has some 340 px, as with the diagrams: letters of 15 are 12 px
/// there.
pub(crate) const WIDTH: u32 = 420;
const LETTERS: f64 = 15.0;
/// plotters writes a font's size by this.
const PLOTTERS: f64 = 1.24;
/// plotters draws no dashes: a line of this width becomes one with dashes.
pub(crate) const DASHED: u32 = 77;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Point = (i32, i32);

/// Colours that plotters writes, and the page's that take their places.
pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
pub(crate) const LINE: RGBColor = RGBColor(0xdf, 0xe2, 0xe6);
const COLOURS: [(RGBColor, &str); 6] = [
    (INK, "fg"),
    (LINE, "table-border-color"),
    (RGBColor(0x8f, 0x52, 0x00), "polling"),
    (RGBColor(0x74, 0x40, 0xb0), "long-polling"),
    (RGBColor(0x00, 0x6f, 0x78), "sse"),
    (RGBColor(0xb0, 0x22, 0x6c), "websocket"),
];

pub(crate) fn colour(class: &str) -> RGBColor {
    let found = COLOURS.iter().find(|(_, name)| *name == class);
    found.map_or(INK, |(colour, _)| *colour)
}

/// Each chart with its name.
///
/// # Errors
/// If something is not measured, or cannot be drawn.
pub(crate) fn all(book: &Book) -> anyhow::Result<Vec<(String, String)>> {
    let data = &book.compare;
    let mut charts = vec![
        (
            "delay".to_owned(),
            delay(data, "delay", &one_of_each(&data.rows))?,
        ),
        ("costs".to_owned(), costs(data)?),
    ];
    for class in ["polling", "long-polling", "sse", "websocket"] {
        let mut own = variants(&data.rows);
        own.retain(|variant| variant.class == class);
        let name = format!("delay-{class}");
        let chart = delay(data, &name, &own)?;
        charts.push((name, chart));
    }
    Ok(charts)
}

/// Which part of the receipts was there after which time, for these methods and the loop.
fn delay(data: &Data, name: &str, methods: &[Variant]) -> anyhow::Result<String> {
    let the_loop = Variant::the_loop();
    let shown: Vec<_> = [&the_loop].into_iter().chain(methods).collect();
    let curve = |variant: &Variant| {
        let curve = data.curves.get(&variant.key);
        curve.with_context(|| format!("no curve of {}", variant.key))
    };
    let mut ends: Vec<f64> = Vec::new();
    for variant in &shown {
        ends.extend(curve(variant)?.iter().map(|(_, delay)| delay.max(0.01)));
    }
    let power = |number: f64, up: bool| {
        let power = number.log10();
        10_f64.powf(if up { power.ceil() } else { power.floor() })
    };
    let least = power(ends.iter().copied().fold(f64::INFINITY, f64::min), false);
    let most = power(ends.iter().copied().fold(0.0, f64::max), true);

    let head = legend_height(shown.len());
    let size = (WIDTH, 260 + head);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (top, plot) = root.split_vertically(head);
        legend(&top, shown.iter().copied())?;
        let mut chart = ChartBuilder::on(&plot)
            .margin(10)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(54)
            .build_cartesian_2d((least..most).log_scale(), 0.0..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINE)
            .axis_style(INK)
            .label_style(font())
            .x_label_formatter(&|x| Unit::Milliseconds.number(*x))
            .y_labels(5)
            .y_label_formatter(&|part| format!("{:.0} %", part * 100.0))
            .x_desc("from publishing to receipt, at most")
            .draw()?;
        for variant in shown {
            let curve = curve(variant)?;
            let points = curve.iter().map(|(part, delay)| (delay.max(least), *part));
            let style = ShapeStyle::from(colour(variant.class)).stroke_width(2);
            chart.draw_series(LineSeries::new(points, style))?;
            for part in [0.5, 0.9] {
                let Some((part, delay)) = curve.iter().find(|(it, _)| *it >= part) else {
                    continue;
                };
                let (x, y) = chart.backend_coord(&(*delay, *part));
                mark(&root, &variant.shape(), (x, y))?;
                // Of one method with two intervals.
                let interval = variant.title.rsplit_once("every ");
                if let Some((_, interval)) = interval.filter(|_| *part < 0.9) {
                    text(&root, interval, (x - 10, y), HPos::Right)?;
                }
            }
        }
        root.present()?;
    }
    let titles: Vec<_> = methods.iter().map(|it| it.title.as_str()).collect();
    let title = format!("How late events come: {}", titles.join("; "));
    let mut description =
        "The part of the receipts over the delay, on a logarithmic axis.".to_owned();
    for variant in [&the_loop].into_iter().chain(methods) {
        let p50 = data.median("delivery", &variant.key, "delay p50")?;
        let p99 = data.median("delivery", &variant.key, "delay p99")?;
        let unit = Unit::Milliseconds;
        let _ = write!(
            description,
            " {}: half within {}, 99 of 100 within {}.",
            variant.title,
            unit.number(p50),
            unit.number(p99)
        );
    }
    Ok(finish(&svg, name, &title, &description))
}

/// What the height of a legend of so many is.
pub(crate) fn legend_height(variants: usize) -> u32 {
    22 * variants.div_ceil(2) as u32
}

/// Each with its mark, two in a row.
pub(crate) fn legend<'a>(
    area: &Area<'_>,
    variants: impl IntoIterator<Item = &'a Variant>,
) -> anyhow::Result<()> {
    for (number, it) in (0..).zip(variants) {
        let at = (12 + 200 * (number % 2), 12 + 22 * (number / 2));
        mark(area, &it.shape(), at)?;
        text(area, &it.title, (at.0 + 14, at.1), HPos::Left)?;
    }
    Ok(())
}

/// What a panel of the second chart shows.
struct Panel {
    title: &'static str,
    measurement: &'static str,
    figure: &'static str,
    unit: Unit,
    floor: Option<&'static str>,
    /// Whether its axis begins with 0; else it is logarithmic.
    from_zero: bool,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Processor time of the server for a delivery",
        measurement: "delivery",
        figure: "server CPU",
        unit: Unit::Microseconds,
        floor: Some("a loop of writes"),
        from_zero: false,
    },
    Panel {
        title: "Memory of the server for an idle connection",
        measurement: "memory",
        figure: "resident",
        unit: Unit::Kib,
        floor: None,
        from_zero: true,
    },
    Panel {
        title: "Bytes both ways in an hour of silence",
        measurement: "idle",
        figure: "bytes an hour",
        unit: Unit::Bytes,
        floor: None,
        from_zero: false,
    },
];

const ROW: i32 = 26;

/// The medians with their intervals, a panel for each cost.
fn costs(data: &Data) -> anyhow::Result<String> {
    let methods = one_of_each(&data.rows);
    let height = 34 + ROW * methods.len() as i32 + 14;
    let size = (WIDTH, (height * PANELS.len() as i32) as u32);
    let mut svg = String::new();
    let mut description = "Medians and their intervals; the axis of the memory begins with 0, the others are logarithmic.".to_owned();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        for (panel, area) in PANELS.iter().zip(root.split_evenly((PANELS.len(), 1))) {
            let _ = write!(description, " {}:", panel.title);
            text(&area, panel.title, (8, 14), HPos::Left)?;
            let rows: Vec<(&Variant, &Row)> = methods
                .iter()
                .filter_map(|it| Some((it, row(data, panel.measurement, it, panel.figure)?)))
                .collect();
            draw(&area, panel, &rows)?;
            let named = rows.iter().map(|(variant, row)| {
                format!(" {} {}", variant.title, panel.unit.number(row.median))
            });
            let named: Vec<_> = named.collect();
            let _ = write!(description, "{}.", named.join(","));
        }
        root.present()?;
    }
    Ok(finish(
        &svg,
        "costs",
        "What the methods cost, side by side",
        &description,
    ))
}

fn draw(area: &Area<'_>, panel: &Panel, rows: &[(&Variant, &Row)]) -> anyhow::Result<()> {
    let floor = |row: &Row| row.floor_median.filter(|_| panel.floor.is_some());
    let numbers = rows
        .iter()
        .flat_map(|(_, row)| [Some(row.low), Some(row.high), floor(row)]);
    let numbers: Vec<f64> = numbers.flatten().map(|number| number.max(0.01)).collect();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min) / 1.3;
    let most = numbers.iter().copied().fold(0.0, f64::max) * 1.3;
    let (left, right) = (144.0, 318.0);
    let x = |number: f64| {
        let part = match panel.from_zero {
            true => number.max(0.0) / most,
            false => (number.max(least) / least).ln() / (most / least).ln(),
        };
        (left + part * (right - left)).round() as i32
    };
    for (number, (variant, row)) in rows.iter().enumerate() {
        let y = 34 + ROW * number as i32 + ROW / 2;
        line(area, [(left as i32, y), (right as i32, y)], LINE, 1)?;
        text(area, &variant.title, (8, y), HPos::Left)?;
        let colour = colour(variant.class);
        line(area, [(x(row.low), y), (x(row.high), y)], colour, 3)?;
        mark(area, &variant.shape(), (x(row.median), y))?;
        if let Some(floor) = floor(row) {
            line(area, [(x(floor), y - 9), (x(floor), y + 9)], INK, 2)?;
        }
        text(
            area,
            &panel.unit.number(row.median),
            (WIDTH as i32 - 8, y),
            HPos::Right,
        )?;
    }
    // What the upright lines are, below the first of them.
    let first = rows.first().and_then(|(_, row)| floor(row));
    if let (Some(first), Some(name)) = (first, panel.floor) {
        let y = 34 + ROW * rows.len() as i32 + 4;
        let number = panel.unit.number(first);
        text(
            area,
            &format!("{name}: {number}"),
            (x(first) - 5, y),
            HPos::Left,
        )?;
    }
    Ok(())
}

pub(crate) fn line(
    area: &Area<'_>,
    ends: [Point; 2],
    colour: RGBColor,
    width: u32,
) -> anyhow::Result<()> {
    let style = ShapeStyle::from(colour).stroke_width(width);
    Ok(area.draw(&PathElement::new(ends.to_vec(), style))?)
}

pub(crate) fn font() -> TextStyle<'static> {
    ("sans-serif", LETTERS * PLOTTERS).into_font().color(&INK)
}

pub(crate) fn text(area: &Area<'_>, text: &str, at: Point, side: HPos) -> anyhow::Result<()> {
    let style = font().pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// What stands for something in a chart, 12 wide and high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A method's own.
    Method(&'static str),
    /// That of the WebSocket server that walks its sockets.
    Walk,
    /// A floor.
    Cross,
    /// Somebody else's.
    Ring,
}

impl Shape {
    pub(crate) fn colour(self) -> RGBColor {
        match self {
            Self::Method(class) => colour(class),
            Self::Walk => colour("websocket"),
            Self::Cross | Self::Ring => INK,
        }
    }
}

pub(crate) fn mark(area: &Area<'_>, shape: &Shape, (x, y): Point) -> anyhow::Result<()> {
    let colour = shape.colour();
    let moved = |corners: &[Point]| -> Vec<Point> {
        let corners = corners.iter().map(|(dx, dy)| (x + dx, y + dy));
        corners.collect()
    };
    let filled = |corners: &[Point]| area.draw(&Polygon::new(moved(corners), colour.filled()));
    match shape {
        Shape::Method("polling") => area.draw(&Circle::new((x, y), 6, colour.filled()))?,
        Shape::Method("long-polling") => {
            area.draw(&Circle::new((x, y), 5, colour.stroke_width(2)))?;
            filled(&[(0, -5), (-3, -4), (-5, -2), (-5, 2), (-3, 4), (0, 5)])?;
        }
        Shape::Method("sse") => filled(&[(0, -7), (6, 5), (-6, 5)])?,
        Shape::Method(_) => filled(&[(0, -7), (7, 0), (0, 7), (-7, 0)])?,
        Shape::Walk => {
            let outline = moved(&[(0, -6), (6, 0), (0, 6), (-6, 0), (0, -6)]);
            area.draw(&PathElement::new(outline, colour.stroke_width(2)))?;
        }
        Shape::Ring => area.draw(&Circle::new((x, y), 5, colour.stroke_width(2)))?,
        Shape::Cross => area.draw(&Cross::new((x, y), 4, colour.stroke_width(2)))?,
    }
    Ok(())
}

/// As a page takes it: with the page's colours, and with words for who does not see it.
pub(crate) fn finish(svg: &str, name: &str, title: &str, description: &str) -> String {
    let (_, shapes) = svg
        .split_once(">\n")
        .expect("plotters begins with the element");
    let size = svg.split_once("viewBox=\"0 0 ").expect("it has a size").1;
    let size = size.split('"').next().expect("a quote ends it");
    let (width, height) = size.split_once(' ').expect("it has two parts");
    // Down to 12 px for a letter; then its box scrolls.
    let least = (f64::from(WIDTH) * 12.0 / LETTERS).ceil();
    let mut page = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size}\" width=\"{width}\" \
         height=\"{height}\" style=\"min-width:{least}px\" role=\"img\" \
         aria-labelledby=\"chart-{name}-title\" aria-describedby=\"chart-{name}-description\" \
         font-family=\"sans-serif\" font-size=\"{LETTERS}\">\n\
         <title id=\"chart-{name}-title\">{title}</title>\n\
         <desc id=\"chart-{name}-description\">{description}</desc>\n"
    );
    let mut shapes = shapes.to_owned();
    for (RGBColor(red, green, blue), variable) in COLOURS {
        let written = format!("#{red:02X}{green:02X}{blue:02X}");
        let of_page = format!("var(--{variable}, {})", written.to_lowercase());
        shapes = shapes.replace(&written, &of_page);
    }
    let dashed = format!("stroke-width=\"{DASHED}\"");
    shapes = shapes.replace(&dashed, "stroke-width=\"2\" stroke-dasharray=\"5 4\"");
    let size = format!(" font-size=\"{}\"", LETTERS * PLOTTERS / PLOTTERS);
    for default in [" opacity=\"1\"", " font-family=\"sans-serif\"", &size] {
        shapes = shapes.replace(default, "");
    }
    // A text's letters stand between line ends, which a reader would see as spaces.
    for shape in shapes.split_inclusive('\n') {
        let is_text = !shape.starts_with('<') || shape.starts_with("<text");
        page.push_str(if is_text { shape.trim_end() } else { shape });
    }
    page
}
