//! How wide text is, and where it is broken.

/// The size of all text. A drawing is at most [`WIDEST`](crate::svg::WIDEST) wide, so that on a
/// phone no letter is smaller than 12 px.
pub(crate) const SIZE: f64 = 15.0;
/// From one line to the next.
pub(crate) const LEADING: f64 = 19.0;
/// From a line's middle down to its baseline.
pub(crate) const BASELINE: f64 = 5.3;

/// The printable ASCII characters of DejaVu Sans, in thousandths of the size. It is wider than the
/// fonts that most readers have, so what fits with it fits with them.
const REGULAR: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

/// Bold letters are about this much wider.
const BOLD: f64 = 1.12;

/// How a line is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

pub(crate) fn width(text: &str, weight: Weight) -> f64 {
    let thousandths: u32 = text
        .chars()
        .map(|c| {
            let index = (c as usize).checked_sub(' ' as usize);
            let known = index.and_then(|index| REGULAR.get(index));
            u32::from(known.copied().unwrap_or(1000))
        })
        .sum();
    let width = f64::from(thousandths) * SIZE / 1000.0;
    match weight {
        Weight::Regular => width,
        Weight::Bold => width * BOLD,
    }
}

/// The widest of some lines.
pub(crate) fn widest(lines: &[String], weight: Weight) -> f64 {
    lines
        .iter()
        .map(|line| width(line, weight))
        .fold(0.0, f64::max)
}

/// Breaks text between words into as few lines as fit `limit`, and these as evenly as can be. A
/// word that is wider has a line of its own.
pub(crate) fn wrap(text: &str, limit: f64, weight: Weight) -> Vec<String> {
    let lines = fill(text, limit, weight);
    // The narrowest width that needs no more lines. A word that is too wide decides nothing.
    let limit = limit.max(widest(&lines, weight));
    let (mut low, mut high) = (0.0, limit);
    while high - low > 1.0 {
        let middle = (low + high) / 2.0;
        let narrower = fill(text, middle, weight);
        match narrower.len() > lines.len() || widest(&narrower, weight) > limit {
            true => low = middle,
            false => high = middle,
        }
    }
    fill(text, high, weight)
}

/// Puts as many words as fit into each line.
fn fill(text: &str, limit: f64, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), weight) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_even() {
        let lines = wrap(
            "a proxy that buffers what it passes on",
            200.0,
            Weight::Regular,
        );
        assert_eq!(lines, ["a proxy that buffers", "what it passes on"]);
        assert_eq!(wrap("short", 200.0, Weight::Regular), ["short"]);
        assert_eq!(
            wrap("Donaudampfschiff is long", 50.0, Weight::Regular),
            ["Donaudampfschiff", "is long"]
        );
    }
}
