//! Writing SVG.

use crate::{
    marks::{INK, PAPER},
    text::{Weight, BASELINE, LEADING, SIZE},
};
use std::fmt::Write as _;

/// How wide a drawing may be. On a page 390 px wide a figure has some 340 px: at 0.81 of its size,
/// text of 15 is 12 px.
pub(crate) const WIDEST: f64 = 420.0;

/// The shapes of a drawing so far, in the order in which they are painted.
#[derive(Debug)]
pub(crate) struct Picture {
    width: f64,
    height: f64,
    shapes: String,
}

impl Picture {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            shapes: String::new(),
        }
    }

    /// Adds elements as they are.
    pub(crate) fn push(&mut self, shape: &str) {
        self.shapes.push_str(shape);
        self.shapes.push('\n');
    }

    /// A box with round corners; `attributes` are its colours.
    pub(crate) fn rect(&mut self, [x, y, width, height]: [f64; 4], round: f64, attributes: &str) {
        self.push(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\" {attributes}/>"
        ));
    }

    pub(crate) fn path(&mut self, path: &str, attributes: &str) {
        self.push(&format!("<path d=\"{path}\" {attributes}/>"));
    }

    /// Lines of text around a centre.
    pub(crate) fn text(&mut self, x: f64, y: f64, lines: &[String], style: Style<'_>) {
        let first = y - LEADING * (lines.len() as f64 - 1.0) / 2.0 + BASELINE;
        for (number, line) in lines.iter().enumerate() {
            let y = first + LEADING * number as f64;
            let line = self::text(x, y, line, style, "");
            self.push(&line);
        }
    }

    /// The whole drawing.
    pub(crate) fn element(&self, id: &str, title: &str, description: &str) -> String {
        let Self {
            width,
            height,
            shapes,
        } = self;
        let (width, height) = (width.ceil(), height.ceil());
        // Down to 12 px for a letter; then its box scrolls.
        let least = (width * 12.0 / SIZE).ceil();
        let (title, description) = (escape(title), escape(description));
        let mut svg = String::new();
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" style=\"min-width:{least}px\" role=\"img\" aria-labelledby=\"{id}-title\" aria-describedby=\"{id}-description\" font-family=\"sans-serif\" font-size=\"{SIZE}\" fill=\"{INK}\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-description\">{description}</desc>"
        )
        .expect("a string takes whatever is written");
        svg.push_str(shapes);
        svg.push_str("</svg>\n");
        svg
    }
}

/// How text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'a> {
    pub weight: Weight,
    pub colour: &'a str,
    pub anchor: &'a str,
    /// Whether a rim of the background keeps it apart from lines behind it.
    pub rim: bool,
}

impl Style<'_> {
    pub(crate) const PLAIN: Self = Style {
        weight: Weight::Regular,
        colour: INK,
        anchor: "middle",
        rim: false,
    };
}

/// One line, by its baseline.
pub(crate) fn text(x: f64, y: f64, line: &str, style: Style<'_>, attributes: &str) -> String {
    let weight = match style.weight {
        Weight::Regular => "",
        Weight::Bold => " font-weight=\"600\"",
    };
    let colour = match style.colour {
        INK => String::new(),
        colour => format!(" fill=\"{colour}\""),
    };
    let rim = match style.rim {
        true => format!(" stroke=\"{PAPER}\" stroke-width=\"5\" stroke-linejoin=\"round\" paint-order=\"stroke\""),
        false => String::new(),
    };
    let anchor = style.anchor;
    let line = escape(line);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{weight}{colour}{rim}{attributes}>{line}</text>")
}

/// A filled arrowhead whose point is at the end of a line that comes from the direction (dx, dy).
pub(crate) fn head(x: f64, y: f64, dx: f64, dy: f64, colour: &str) -> String {
    let length = dx.hypot(dy).max(f64::MIN_POSITIVE);
    let (ux, uy) = (dx / length, dy / length);
    let (bx, by) = (x - 10.0 * ux, y - 10.0 * uy);
    let (left, right) = (
        (bx - 4.5 * uy, by + 4.5 * ux),
        (bx + 4.5 * uy, by - 4.5 * ux),
    );
    format!(
        "<path d=\"M{x:.1} {y:.1}L{:.1} {:.1}L{:.1} {:.1}z\" fill=\"{colour}\"/>",
        left.0, left.1, right.0, right.1
    )
}

/// Text as XML has it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
