//! Flow charts: boxes, and arrows between them, from top to bottom.

use crate::{
    layers::{lay_out, Edge as Wire, Layout, Route, Size},
    marks::{Method, INK, PAPER},
    source::{Line, Notes, Outcome},
    svg::{head, Picture, Style, WIDEST},
    text::{widest, wrap, Weight, LEADING},
    Error,
};

#[derive(Debug)]
struct Node {
    name: String,
    shape: Shape,
    text: String,
    method: Option<Method>,
    outcome: Option<Outcome>,
}

impl Node {
    /// Whether there is a mark beside its text.
    fn is_marked(&self) -> bool {
        self.method.is_some() || self.outcome.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Box,
    /// With half circles at its sides.
    Stadium,
    /// A question.
    Diamond,
}

#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    line: Stroke,
    label: String,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stroke {
    Solid,
    Dotted,
    /// With a head at both ends.
    Both,
    /// Only so that the boxes are laid out as if there were one.
    Invisible,
}

const STROKES: [(&str, Stroke); 4] = [
    ("<-->", Stroke::Both),
    ("-.->", Stroke::Dotted),
    ("-->", Stroke::Solid),
    ("~~~", Stroke::Invisible),
];

/// What encloses a node's text.
const SHAPES: [(&str, &str, Shape); 3] = [
    ("([", "])", Shape::Stadium),
    ("[", "]", Shape::Box),
    ("{", "}", Shape::Diamond),
];

pub(crate) fn draw(lines: &[Line<'_>]) -> Result<Picture, Error> {
    let chart = Chart::read(lines)?;
    // Narrower and narrower, until it fits.
    let limits = [205.0, 180.0, 155.0, 130.0, 110.0];
    let drawn = limits.into_iter().map(|limit| Drawing::new(&chart, limit));
    let mut narrowest: Option<Drawing<'_>> = None;
    for drawing in drawn {
        let width = drawing.layout.size.0;
        if narrowest
            .as_ref()
            .is_none_or(|best| width < best.layout.size.0)
        {
            narrowest = Some(drawing);
        }
        if width + 2.0 * EDGE <= WIDEST {
            break;
        }
    }
    let narrowest = narrowest.expect("there is a first limit");
    Ok(narrowest.picture())
}

#[derive(Debug, Default)]
struct Chart {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Chart {
    fn read(lines: &[Line<'_>]) -> Result<Self, Error> {
        let mut chart = Self::default();
        for line in lines {
            let unknown = || Error::new(line.number, format!("unknown: {}", line.text));
            let only_outcome = Notes {
                outcome: line.notes.outcome,
                ..Notes::default()
            };
            if line.notes != only_outcome {
                return Err(Error::new(
                    line.number,
                    "an arrow has an outcome and no other note",
                ));
            }
            let read = match line.text.strip_prefix("class ") {
                Some(rest) => chart.class(rest),
                None => chart.edges(line.text, line.notes.outcome),
            };
            read.ok_or_else(unknown)?;
        }
        match chart.nodes.iter().find(|node| node.text.is_empty()) {
            Some(node) => Err(Error::new(1, format!("{} has no text", node.name))),
            None if chart.nodes.is_empty() => Err(Error::new(1, "no boxes")),
            None => Ok(chart),
        }
    }

    /// `A,B method-sse` or `A fails`.
    fn class(&mut self, rest: &str) -> Option<()> {
        let (names, class) = rest.rsplit_once(' ')?;
        for name in names.split(',') {
            let node = self
                .nodes
                .iter_mut()
                .find(|node| node.name == name.trim())?;
            match class {
                "fails" => node.outcome = Some(Outcome::Fails),
                "mends" => node.outcome = Some(Outcome::Mends),
                _ => node.method = Some(Method::named(class.strip_prefix("method-")?)?),
            }
        }
        Some(())
    }

    /// A node, and arrows from each node to the next.
    fn edges(&mut self, text: &str, outcome: Option<Outcome>) -> Option<()> {
        let (mut from, mut rest) = self.node(text)?;
        while !rest.is_empty() {
            let (arrow, line) = STROKES
                .into_iter()
                .find(|(arrow, _)| rest.starts_with(arrow))?;
            rest = rest[arrow.len()..].trim_start();
            let mut label = "";
            if let Some(labelled) = rest.strip_prefix('|') {
                (label, rest) = labelled.split_once('|')?;
            }
            let (to, after) = self.node(rest.trim_start())?;
            // Mermaid draws one that leads to where it begins, and this does not.
            if from == to {
                return None;
            }
            self.edges.push(Edge {
                from,
                to,
                line,
                label: unquoted(label).to_owned(),
                outcome,
            });
            (from, rest) = (to, after);
        }
        Some(())
    }

    /// The node at the beginning of a text, and the text after it.
    fn node<'a>(&mut self, text: &'a str) -> Option<(usize, &'a str)> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, mut rest) = text.split_at(end.unwrap_or(text.len()));
        if name.is_empty() {
            return None;
        }
        let place = self.nodes.iter().position(|node| node.name == name);
        let index = place.unwrap_or_else(|| {
            self.nodes.push(Node {
                name: name.to_owned(),
                shape: Shape::Box,
                text: String::new(),
                method: None,
                outcome: None,
            });
            self.nodes.len() - 1
        });
        let opened = SHAPES.into_iter().find(|(open, ..)| rest.starts_with(open));
        if let Some((open, close, shape)) = opened {
            let (inside, after) = rest[open.len()..].split_once(close)?;
            // Another of mermaid's shapes, such as `[(…)]`, which has no drawing here.
            if inside.starts_with(['(', '[', '{', '/', '\\']) {
                return None;
            }
            let node = &mut self.nodes[index];
            node.shape = shape;
            node.text = unquoted(inside).to_owned();
            rest = after;
        }
        Some((index, rest.trim_start()))
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(text)
}

/// Room around the drawing, for lines that are wider than nothing.
const EDGE: f64 = 2.0;
/// A label of an arrow is no wider than this.
const LABEL: f64 = 130.0;
/// The room for the mark of a method or an outcome.
const MARK: f64 = 18.0;

/// A node's text: what it is, and what is said of it.
#[derive(Debug)]
struct Text {
    weight: Weight,
    name: Vec<String>,
    rest: Vec<String>,
}

impl Text {
    fn new(node: &Node, limit: f64) -> Self {
        // `Client: a cursor, a timer`.
        let (name, rest) = node.text.split_once(": ").unwrap_or((&node.text, ""));
        let weight = match rest.is_empty() && !node.is_marked() {
            true => Weight::Regular,
            false => Weight::Bold,
        };
        Self {
            weight,
            name: wrap(name, limit, weight),
            rest: wrap(rest, limit, Weight::Regular),
        }
    }

    fn size(&self) -> Size {
        let wide = widest(&self.name, self.weight).max(widest(&self.rest, Weight::Regular));
        (wide, LEADING * (self.name.len() + self.rest.len()) as f64)
    }
}

#[derive(Debug)]
struct Drawing<'a> {
    chart: &'a Chart,
    texts: Vec<Text>,
    labels: Vec<Vec<String>>,
    sizes: Vec<Size>,
    layout: Layout,
}

impl<'a> Drawing<'a> {
    fn new(chart: &'a Chart, limit: f64) -> Self {
        let texts: Vec<_> = chart
            .nodes
            .iter()
            .map(|node| match node.shape {
                Shape::Diamond => Text::new(node, limit.min(120.0)),
                _ => Text::new(node, limit),
            })
            .collect();
        let sizes: Vec<_> = chart
            .nodes
            .iter()
            .zip(&texts)
            .map(|(node, text)| size(node, text))
            .collect();
        let labels: Vec<_> = chart
            .edges
            .iter()
            .map(|edge| wrap(&edge.label, LABEL.min(limit), Weight::Regular))
            .collect();
        let wires: Vec<_> = chart
            .edges
            .iter()
            .zip(&labels)
            .map(|(edge, label)| Wire {
                from: edge.from,
                to: edge.to,
                label: match label.is_empty() {
                    true => (0.0, 0.0),
                    false => {
                        let mark = if edge.outcome.is_some() { MARK } else { 0.0 };
                        let wide = widest(label, Weight::Regular) + mark + 4.0;
                        (wide, LEADING * label.len() as f64 + 2.0)
                    }
                },
            })
            .collect();
        let layout = lay_out(&sizes, &wires);
        Self {
            chart,
            texts,
            labels,
            sizes,
            layout,
        }
    }

    fn picture(&self) -> Picture {
        let (width, height) = self.layout.size;
        let mut picture = Picture::new(width + 2.0 * EDGE, height + 2.0 * EDGE);
        picture.push(&format!("<g transform=\"translate({EDGE} {EDGE})\">"));
        for (number, edge) in self.chart.edges.iter().enumerate() {
            if edge.line != Stroke::Invisible {
                self.edge(&mut picture, edge, &self.layout.routes[number]);
            }
        }
        for (number, edge) in self.chart.edges.iter().enumerate() {
            let (x, y) = self.layout.routes[number].label;
            let lines = &self.labels[number];
            if lines.is_empty() {
                continue;
            }
            let mark = if edge.outcome.is_some() { MARK } else { 0.0 };
            let style = Style {
                colour: edge.outcome.map_or(INK, Outcome::colour),
                rim: true,
                ..Style::PLAIN
            };
            picture.text(x + mark / 2.0, y, lines, style);
            if let Some(outcome) = edge.outcome {
                let x = x - widest(lines, Weight::Regular) / 2.0 - 2.0;
                picture.push(&format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\" fill=\"{PAPER}\"/>"
                ));
                picture.push(&outcome.shape(x, y));
            }
        }
        for number in 0..self.chart.nodes.len() {
            self.node(&mut picture, number);
        }
        picture.push("</g>");
        picture
    }

    fn edge(&self, picture: &mut Picture, edge: &Edge, route: &Route) {
        let (upper, lower) = match route.is_reversed {
            true => (edge.to, edge.from),
            false => (edge.from, edge.to),
        };
        let (head_above, head_below) = match (edge.line, route.is_reversed) {
            (Stroke::Both, _) => (true, true),
            (_, is_reversed) => (is_reversed, !is_reversed),
        };
        let (x1, y1) = self.border(upper, route.ports.0, 1.0);
        let (x2, y2) = self.border(lower, route.ports.1, -1.0);
        let (y1, y2) = (y1 + 1.0, y2 - 1.0);
        let colour = edge.outcome.map_or(INK, Outcome::colour);
        let begin = if head_above { y1 + 8.0 } else { y1 };
        let end = if head_below { y2 - 8.0 } else { y2 };
        let mut path = format!("M{x1:.1} {begin:.1}");
        let (mut x, mut y) = (x1, begin);
        let bends = route.pieces.iter().copied().chain([(x2, end, end)]);
        for (next, top, bottom) in bends {
            match (next - x).abs() < 0.5 {
                true => path += &format!("L{next:.1} {top:.1}"),
                false => {
                    let half = (y + top) / 2.0;
                    path += &format!("C{x:.1} {half:.1} {next:.1} {half:.1} {next:.1} {top:.1}");
                }
            }
            if bottom > top {
                path += &format!("V{bottom:.1}");
            }
            (x, y) = (next, bottom);
        }
        let dash = match edge.line {
            Stroke::Dotted => " stroke-dasharray=\"2 4\" stroke-linecap=\"round\"",
            _ => "",
        };
        let stroke = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"{dash}");
        picture.path(&path, &stroke);
        if head_below {
            picture.push(&head(x2, y2, 0.0, 1.0, colour));
        }
        if head_above {
            picture.push(&head(x1, y1, 0.0, -1.0, colour));
        }
    }

    /// A point of a node's border: so far from its middle, below it (1) or above it (-1).
    fn border(&self, node: usize, port: f64, side: f64) -> (f64, f64) {
        let (x, y) = self.layout.boxes[node];
        let (width, height) = self.sizes[node];
        let half = match self.chart.nodes[node].shape {
            Shape::Diamond => height / 2.0 * (1.0 - port.abs() / (width / 2.0)),
            Shape::Stadium => {
                // Above the half circles it is lower.
                let radius = height / 2.0;
                let into = (port.abs() - (width / 2.0 - radius)).max(0.0);
                (radius * radius - into * into).max(0.0).sqrt()
            }
            Shape::Box => height / 2.0,
        };
        (x + port, y + side * half)
    }

    fn node(&self, picture: &mut Picture, number: usize) {
        let node = &self.chart.nodes[number];
        let ((x, y), (width, height)) = (self.layout.boxes[number], self.sizes[number]);
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        let coloured = match (node.outcome, node.method) {
            (Some(outcome), _) => Some(outcome.colour()),
            (None, Some(method)) => Some(method.colour()),
            (None, None) => None,
        };
        let colour = coloured.unwrap_or(INK);
        let (strength, line) = match coloured {
            Some(_) => ("0.1", "stroke-width=\"1.8\""),
            None => ("0.06", "stroke-opacity=\"0.5\""),
        };
        let dash = match node.outcome {
            Some(Outcome::Fails) => " stroke-dasharray=\"5 3\"",
            _ => "",
        };
        let colours = format!(
            "fill=\"{colour}\" fill-opacity=\"{strength}\" stroke=\"{colour}\" {line}{dash}"
        );
        let paper = format!("fill=\"{PAPER}\"");
        for attributes in [paper, colours] {
            match node.shape {
                Shape::Diamond => {
                    let (right, bottom) = (left + width, top + height);
                    picture.path(
                        &format!("M{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}L{left:.1} {y:.1}z"),
                        &format!("stroke-linejoin=\"round\" {attributes}"),
                    );
                }
                Shape::Stadium => {
                    picture.rect([left, top, width, height], height / 2.0, &attributes)
                }
                Shape::Box => picture.rect([left, top, width, height], 6.0, &attributes),
            }
        }
        let text = &self.texts[number];
        let x = if node.is_marked() { x + MARK / 2.0 } else { x };
        let (wide, high) = text.size();
        let names = LEADING * text.name.len() as f64;
        let style = Style {
            weight: text.weight,
            ..Style::PLAIN
        };
        picture.text(x, y - high / 2.0 + names / 2.0, &text.name, style);
        if !text.rest.is_empty() {
            picture.text(x, y + names / 2.0, &text.rest, Style::PLAIN);
        }
        let mark = x - wide / 2.0 - MARK + 5.0;
        match (node.outcome, node.method) {
            (Some(outcome), _) => picture.push(&outcome.shape(mark, y)),
            (None, Some(method)) => picture.push(&method.shape(mark, y)),
            (None, None) => {}
        }
    }
}

/// How much room a node takes.
fn size(node: &Node, text: &Text) -> Size {
    let (wide, high) = text.size();
    let wide = if node.is_marked() { wide + MARK } else { wide };
    match node.shape {
        Shape::Box => ((wide + 26.0).max(70.0), high + 18.0),
        Shape::Stadium => ((wide + 36.0).max(76.0), high + 18.0),
        // The text's corners touch its sides.
        Shape::Diamond => (wide * 1.72, high * 2.4),
    }
}
