//! Sequence diagrams: who sends what to whom, from top to bottom.

use crate::{
    marks::{Method, INK, PAPER},
    source::{Line, Notes, Outcome},
    svg::{head, text, Picture, Style, WIDEST},
    text::{widest, width, wrap, Weight, LEADING},
    timeline::{place, Heights, Row, Timeline},
    Error,
};

/// Who sends and receives.
#[derive(Debug)]
struct Participant {
    name: String,
    title: String,
}

#[derive(Debug)]
struct Statement {
    line: usize,
    notes: Notes,
    what: What,
}

#[derive(Debug)]
enum What {
    Message {
        from: usize,
        to: usize,
        arrow: Arrow,
        text: String,
    },
    /// Over these participants, from the first to the last.
    Note {
        over: (usize, usize),
        text: String,
    },
    /// A part of the story, with a frame, until its [`Close`](Self::Close).
    Open {
        title: String,
    },
    /// The same frame goes on with something else.
    Else {
        title: String,
    },
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arrow {
    dashed: bool,
    head: Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Filled,
    None,
    /// It does not get there.
    Cross,
}

/// The longer ones first.
const ARROWS: [(&str, bool, Head); 6] = [
    ("-->>", true, Head::Filled),
    ("->>", false, Head::Filled),
    ("--x", true, Head::Cross),
    ("-x", false, Head::Cross),
    ("-->", true, Head::None),
    ("->", false, Head::None),
];

pub(crate) fn draw(lines: &[Line<'_>]) -> Result<Picture, Error> {
    let (participants, statements, method) = read(lines)?;
    Ok(Drawing::new(&participants, &statements, method)?.picture())
}

type Read = (Vec<Participant>, Vec<Statement>, Option<Method>);

fn read(lines: &[Line<'_>]) -> Result<Read, Error> {
    let mut participants: Vec<Participant> = Vec::new();
    let mut statements = Vec::new();
    let mut method = None;
    let mut open = Vec::new();
    for line in lines {
        let unknown = || Error::new(line.number, format!("unknown: {}", line.text));
        let (word, rest) = line.text.split_once(' ').unwrap_or((line.text, ""));
        let rest = rest.trim();
        let what = match word {
            "participant" => {
                let (name, title) = rest.split_once(" as ").unwrap_or((rest, rest));
                participants.push(Participant {
                    name: name.trim().to_owned(),
                    title: title.trim().to_owned(),
                });
                let only_method = Notes {
                    method: line.notes.method,
                    ..Notes::default()
                };
                if line.notes != only_method {
                    return Err(Error::new(
                        line.number,
                        "a participant has no time and no outcome",
                    ));
                }
                method = method.or(line.notes.method);
                continue;
            }
            "Note" | "note" => note(rest, &participants).ok_or_else(unknown)?,
            // Its colour is mermaid's; the notes have the meaning.
            "rect" => What::Open {
                title: String::new(),
            },
            "loop" | "opt" | "alt" | "par" => What::Open {
                title: format!("{word}: {rest}"),
            },
            "else" | "and" => What::Else {
                title: rest.to_owned(),
            },
            "end" if rest.is_empty() => What::Close,
            _ => message(line.text, &participants).ok_or_else(unknown)?,
        };
        match what {
            What::Open { .. } => open.push(line.number),
            What::Else { .. } if open.is_empty() => return Err(unknown()),
            What::Close => drop(open.pop().ok_or_else(unknown)?),
            _ => {}
        }
        statements.push(Statement {
            line: line.number,
            notes: line.notes.clone(),
            what,
        });
    }
    match open.pop() {
        Some(line) => Err(Error::new(line, "it has no end")),
        None if participants.len() < 2 => Err(Error::new(1, "fewer than two participants")),
        None => Ok((participants, statements, method)),
    }
}

fn index(name: &str, participants: &[Participant]) -> Option<usize> {
    participants
        .iter()
        .position(|participant| participant.name == name.trim())
}

fn note(rest: &str, participants: &[Participant]) -> Option<What> {
    let (over, text) = rest.strip_prefix("over ")?.split_once(':')?;
    let (first, last) = over.split_once(',').unwrap_or((over, over));
    let (first, last) = (index(first, participants)?, index(last, participants)?);
    Some(What::Note {
        over: (first.min(last), first.max(last)),
        text: text.trim().to_owned(),
    })
}

fn message(text: &str, participants: &[Participant]) -> Option<What> {
    let (route, text) = text.split_once(':')?;
    let (at, (arrow, dashed, head)) = ARROWS
        .iter()
        .filter_map(|arrow| Some((route.find(arrow.0)?, *arrow)))
        .min_by_key(|(at, arrow)| (*at, std::cmp::Reverse(arrow.0.len())))?;
    let (from, to) = (&route[..at], &route[at + arrow.len()..]);
    let (from, to) = (index(from, participants)?, index(to, participants)?);
    (from != to).then(|| What::Message {
        from,
        to,
        arrow: Arrow { dashed, head },
        text: text.trim().to_owned(),
    })
}

/// The height of a participant's box.
const HEADER: f64 = 36.0;
/// A note by one participant is no wider than this.
const NOTE: f64 = 150.0;
/// A message's text is no wider than this.
const MESSAGE: f64 = 230.0;
/// Above and below the text of a note.
const PADDING: f64 = 6.0;
/// Of the lines that are there and not to be looked at.
const FAINT: &str = "stroke=\"var(--fg, #1f2328)\" stroke-opacity=\"0.35\"";

/// A statement, and the room for it.
struct Item<'a> {
    statement: &'a Statement,
    lines: Vec<String>,
    /// The colour of its line.
    colour: &'static str,
    method: Option<Method>,
    outcome: Option<Outcome>,
    /// Whether it is the first thing in a frame, and is its heading.
    is_heading: bool,
}

impl Item<'_> {
    fn lasts(&self) -> bool {
        self.statement.notes.until.is_some()
    }

    fn height(&self) -> f64 {
        LEADING * self.lines.len() as f64
    }

    fn row(&self) -> Row {
        let notes = &self.statement.notes;
        let height = self.height();
        let (above, below) = match &self.statement.what {
            What::Message { .. } if self.lasts() => (14.0, 0.0),
            What::Message { .. } => (height + 7.0, 9.0),
            What::Note { .. } if self.lasts() => (0.0, 0.0),
            What::Note { .. } if self.is_heading => (height / 2.0 + 2.0, height / 2.0 + 4.0),
            What::Note { .. } => (height / 2.0 + PADDING + 6.0, height / 2.0 + PADDING + 6.0),
            What::Open { title } if title.is_empty() => (10.0, 8.0),
            What::Open { .. } => (10.0, LEADING + 8.0),
            What::Else { .. } => (10.0, LEADING + 6.0),
            What::Close => (8.0, 6.0),
        };
        let lasting = match &self.statement.what {
            What::Message { .. } => 44.0,
            _ => height + 2.0 * PADDING + 10.0,
        };
        Row {
            line: self.statement.line,
            above,
            below,
            at: notes.at.clone(),
            until: notes.until.clone(),
            lasting,
            passes: matches!(self.statement.what, What::Message { .. }),
            silence: notes.silence,
        }
    }
}

/// A diagram whose parts have their places.
struct Drawing<'a> {
    participants: &'a [Participant],
    items: Vec<Item<'a>>,
    method: Option<Method>,
    timeline: Timeline,
    /// The middle of each participant's line.
    lanes: Vec<f64>,
    /// Where the axis is, if there is one.
    axis: f64,
    width: f64,
}

impl<'a> Drawing<'a> {
    fn new(
        participants: &'a [Participant],
        statements: &'a [Statement],
        method: Option<Method>,
    ) -> Result<Self, Error> {
        let items = items(statements, method);
        let rows: Vec<_> = items.iter().map(Item::row).collect();
        let timeline = place(&rows, HEADER + 8.0)?;
        let names = timeline
            .instants
            .iter()
            .map(|instant| width(&instant.label, Weight::Regular));
        let axis = match timeline.instants.is_empty() {
            true => 0.0,
            false => names.fold(0.0, f64::max) + 12.0,
        };

        // Left of the first line and right of the last there is as much room as their notes need.
        let last = participants.len() - 1;
        let mut margins: Vec<f64> = participants
            .iter()
            .map(|participant| header(participant) / 2.0 + 1.0)
            .collect();
        let mut gaps = vec![150.0_f64; last];
        for item in &items {
            let wide = widest(&item.lines, Weight::Regular) + mark(item);
            match item.statement.what {
                What::Note { over: (a, b), .. } if a == b => {
                    margins[a] = margins[a].max(wide / 2.0 + 9.0);
                }
                What::Note { over: (a, b), .. } => share(&mut gaps[a..b], wide - 40.0),
                What::Message { from, to, .. } => {
                    share(&mut gaps[from.min(to)..from.max(to)], wide + 26.0);
                }
                _ => {}
            }
        }
        for (gap, pair) in gaps.iter_mut().zip(participants.windows(2)) {
            *gap = gap.max((header(&pair[0]) + header(&pair[1])) / 2.0 + 20.0);
        }
        // A frame has an edge of its own.
        let frames = items
            .iter()
            .any(|item| matches!(item.statement.what, What::Open { .. }));
        let edge = margins[0].max(margins[last]) + if frames { 10.0 } else { 0.0 };
        let left = axis + 6.0;
        let needed = left + 2.0 * edge + gaps.iter().sum::<f64>();
        // What is left over goes between the lines.
        let more = ((WIDEST - needed) / last as f64).max(0.0);
        let mut lanes = vec![left + edge];
        for gap in &gaps {
            lanes.push(lanes[lanes.len() - 1] + gap + more);
        }
        let width = lanes[last] + edge + 1.0;
        Ok(Self {
            participants,
            items,
            method,
            timeline,
            lanes,
            axis,
            width,
        })
    }

    fn picture(&self) -> Picture {
        // Below the last time there is room for half of its name.
        let bottom = self.timeline.bottom + 12.0;
        let mut picture = Picture::new(self.width, bottom + 1.0);
        self.frames(&mut picture);
        self.lines(&mut picture, bottom);
        self.time(&mut picture);
        for (participant, x) in self.participants.iter().zip(&self.lanes) {
            let wide = header(participant);
            let place = [x - wide / 2.0, 1.0, wide, HEADER - 2.0];
            picture.rect(place, 6.0, &format!("fill=\"{PAPER}\""));
            picture.rect(place, 6.0, "fill=\"var(--fg, #1f2328)\" fill-opacity=\"0.07\" stroke=\"var(--fg, #1f2328)\" stroke-opacity=\"0.5\"");
            let style = Style {
                weight: Weight::Bold,
                ..Style::PLAIN
            };
            picture.text(
                *x,
                HEADER / 2.0,
                std::slice::from_ref(&participant.title),
                style,
            );
        }
        self.badge(&mut picture);
        for (item, heights) in self.items.iter().zip(&self.timeline.rows) {
            match &item.statement.what {
                What::Message {
                    from, to, arrow, ..
                } => self.message(&mut picture, item, (*from, *to), *arrow, *heights),
                What::Note { over, .. } => self.note(&mut picture, item, *over, *heights),
                What::Open { title } | What::Else { title } if !title.is_empty() => {
                    let style = Style {
                        weight: Weight::Bold,
                        anchor: "start",
                        ..Style::PLAIN
                    };
                    let y = heights.start + 6.0 + LEADING / 2.0;
                    let x = self.left() + 10.0;
                    picture.text(x, y, std::slice::from_ref(title), style);
                }
                _ => {}
            }
        }
        picture
    }

    /// Where frames begin.
    fn left(&self) -> f64 {
        match self.timeline.instants.is_empty() {
            true => 0.0,
            false => self.axis + 8.0,
        }
    }

    /// The method's name, between the first two participants.
    fn badge(&self, picture: &mut Picture) {
        let Some(method) = self.method else { return };
        let edge = |number: usize| header(&self.participants[number]) / 2.0;
        let room = self.lanes[1] - edge(1) - self.lanes[0] - edge(0);
        let x = (self.lanes[1] - edge(1) + self.lanes[0] + edge(0)) / 2.0;
        let wide = width(method.title(), Weight::Bold) + 18.0;
        if wide > room - 8.0 {
            picture.push(&method.shape(x, HEADER / 2.0));
            return;
        }
        picture.push(&method.shape(x - wide / 2.0 + 6.0, HEADER / 2.0));
        let style = Style {
            weight: Weight::Bold,
            colour: method.colour(),
            ..Style::PLAIN
        };
        picture.text(x + 9.0, HEADER / 2.0, &[method.title().to_owned()], style);
    }

    /// The frames around parts of the story.
    fn frames(&self, picture: &mut Picture) {
        let mut open: Vec<(usize, f64)> = Vec::new();
        for (number, item) in self.items.iter().enumerate() {
            let y = self.timeline.rows[number].start;
            match item.statement.what {
                What::Open { .. } => open.push((number, y)),
                What::Close => {
                    let Some((opened, top)) = open.pop() else {
                        continue;
                    };
                    let notes = &self.items[opened].statement.notes;
                    let inset = 4.0 * open.len() as f64;
                    let left = self.left() + inset;
                    let place = [left, top, self.width - left - inset, y - top];
                    picture.rect(
                        place,
                        4.0,
                        "fill=\"var(--fg, #1f2328)\" fill-opacity=\"0.05\"",
                    );
                    let colour = match (notes.outcome, notes.method) {
                        (Some(outcome), _) => outcome.colour(),
                        (None, Some(method)) => method.colour(),
                        (None, None) => continue,
                    };
                    picture.rect(
                        [left, top, 4.0, y - top],
                        2.0,
                        &format!("fill=\"{colour}\""),
                    );
                }
                What::Else { .. } => {
                    picture.path(
                        &format!("M{:.1} {y:.1}H{:.1}", self.left() + 4.0, self.width - 4.0),
                        &format!("{FAINT} stroke-dasharray=\"4 4\""),
                    );
                }
                _ => {}
            }
        }
    }

    /// A line below each participant.
    fn lines(&self, picture: &mut Picture, bottom: f64) {
        for x in &self.lanes {
            let mut path = format!("M{x:.1} {HEADER:.1}");
            for y in &self.timeline.silences {
                path += &format!("V{:.1}m0 9", y - 4.5);
            }
            path += &format!("V{bottom:.1}");
            picture.path(&path, &format!("fill=\"none\" {FAINT}"));
            for y in &self.timeline.silences {
                picture.path(&torn(*x, *y), &format!("fill=\"none\" {FAINT}"));
            }
        }
    }

    /// The axis, with a name for each time.
    fn time(&self, picture: &mut Picture) {
        let x = self.axis;
        let torn_between = |from: f64, to: f64| {
            self.timeline
                .silences
                .iter()
                .copied()
                .find(|y| from < *y && *y < to)
        };
        for pair in self.timeline.instants.windows(2) {
            let (from, to) = (pair[0].last, pair[1].first);
            let path = match torn_between(from, to) {
                None => format!("M{x:.1} {from:.1}V{to:.1}"),
                Some(y) => {
                    picture.path(
                        &torn(x, y),
                        &format!("fill=\"none\" stroke=\"{INK}\" stroke-opacity=\"0.7\""),
                    );
                    format!("M{x:.1} {from:.1}V{:.1}m0 9V{to:.1}", y - 4.5)
                }
            };
            picture.path(
                &path,
                &format!(
                    "fill=\"none\" stroke=\"{INK}\" stroke-opacity=\"0.7\" stroke-width=\"1.5\""
                ),
            );
        }
        let style = Style {
            anchor: "end",
            ..Style::PLAIN
        };
        for instant in &self.timeline.instants {
            let (first, last) = (instant.first, instant.last);
            if last > first {
                // No time passes here.
                picture.path(
                    &format!("M{x:.1} {first:.1}V{last:.1}"),
                    &format!("stroke=\"{INK}\" stroke-opacity=\"0.5\" stroke-width=\"1.5\" stroke-dasharray=\"1.5 3.5\""),
                );
            }
            picture.path(
                &format!("M{:.1} {first:.1}h6", x - 3.0),
                &format!("stroke=\"{INK}\" stroke-width=\"1.5\""),
            );
            picture.path(
                &format!(
                    "M{:.1} {first:.1}H{:.1}",
                    x + 5.0,
                    self.lanes[self.lanes.len() - 1]
                ),
                &format!("stroke=\"{INK}\" stroke-opacity=\"0.16\" stroke-dasharray=\"1 4\""),
            );
            picture.text(x - 7.0, first, std::slice::from_ref(&instant.label), style);
        }
    }

    fn message(
        &self,
        picture: &mut Picture,
        item: &Item<'_>,
        (from, to): (usize, usize),
        arrow: Arrow,
        heights: Heights,
    ) {
        let (x1, y1, y2) = (self.lanes[from], heights.start, heights.end);
        let side = if to > from { 1.0 } else { -1.0 };
        let x2 = self.lanes[to] - side;
        let outcome = match arrow.head {
            Head::Cross => Some(Outcome::Fails),
            _ => item.outcome,
        };
        let colour = outcome.map_or(item.colour, Outcome::colour);
        let (dx, dy) = (x2 - x1, y2 - y1);
        // A line ends where its head or its cross begins.
        let short = match arrow.head {
            Head::Filled => 8.0,
            Head::None => 0.0,
            Head::Cross => 16.0,
        } / dx.hypot(dy);
        let (ex, ey) = (x2 - dx * short, y2 - dy * short);
        let dash = if arrow.dashed {
            " stroke-dasharray=\"6 4\""
        } else {
            ""
        };
        picture.path(
            &format!("M{x1:.1} {y1:.1}L{ex:.1} {ey:.1}"),
            &format!("stroke=\"{colour}\" stroke-width=\"1.6\"{dash}"),
        );
        match arrow.head {
            Head::Filled => picture.push(&head(x2, y2, dx, dy, colour)),
            Head::Cross => picture.push(&Outcome::Fails.shape(ex + side * 5.0, ey)),
            Head::None => {}
        }
        let x = (x1 + x2) / 2.0;
        let style = Style {
            // Between neighbours there is nothing behind it.
            rim: from.abs_diff(to) > 1,
            colour: outcome.map_or(INK, Outcome::colour),
            ..Style::PLAIN
        };
        if item.lasts() {
            // Along its line.
            let y = (y1 + y2) / 2.0;
            let angle = (dy / dx).atan().to_degrees();
            let rise = 7.0 + LEADING * (item.lines.len() as f64 - 1.0);
            for (number, line) in item.lines.iter().enumerate() {
                let up = rise - LEADING * number as f64;
                let turn = format!(" transform=\"rotate({angle:.2} {x:.1} {y:.1})\"");
                picture.push(&text(x, y - up, line, style, &turn));
            }
            return;
        }
        let y = y1 - item.height() / 2.0 - 4.0;
        let shift = mark(item) / 2.0;
        picture.text(x + shift, y, &item.lines, style);
        if let Some(outcome) = item.outcome {
            let wide = widest(&item.lines, Weight::Regular);
            picture.push(&outcome.shape(x + shift - wide / 2.0 - 11.0, y));
        }
    }

    fn note(
        &self,
        picture: &mut Picture,
        item: &Item<'_>,
        (first, last): (usize, usize),
        heights: Heights,
    ) {
        let outcome = item.outcome;
        let weight = match item.is_heading {
            true => Weight::Bold,
            false => Weight::Regular,
        };
        let style = Style {
            weight,
            colour: match (outcome, item.method) {
                (Some(outcome), _) => outcome.colour(),
                (None, Some(method)) if item.is_heading => method.colour(),
                _ => INK,
            },
            ..Style::PLAIN
        };
        let wide = widest(&item.lines, weight);
        let x = (self.lanes[first] + self.lanes[last]) / 2.0;
        let (mut y, mut high) = (heights.start, item.height() + 2.0 * PADDING);
        if item.lasts() {
            high = heights.end - heights.start - 8.0;
            y = (heights.start + heights.end) / 2.0;
        }
        let marked = mark(item);
        if !item.is_heading {
            let broad = match first == last {
                true => wide + marked + 18.0,
                false => (self.lanes[last] - self.lanes[first] + 60.0).max(wide + marked + 24.0),
            };
            let place = [x - broad / 2.0, y - high / 2.0, broad, high];
            let colour = outcome.map_or(INK, Outcome::colour);
            let (opacity, dash) = match outcome {
                Some(Outcome::Fails) => ("1", " stroke-dasharray=\"4 3\""),
                Some(Outcome::Mends) => ("1", ""),
                None => ("0.35", ""),
            };
            picture.rect(place, 4.0, &format!("fill=\"{PAPER}\""));
            picture.rect(place, 4.0, &format!("fill=\"{colour}\" fill-opacity=\"0.06\" stroke=\"{colour}\" stroke-opacity=\"{opacity}\"{dash}"));
        }
        let x = x + marked / 2.0;
        picture.text(x, y, &item.lines, style);
        let place = x - wide / 2.0 - 12.0;
        match (outcome, item.method) {
            (Some(outcome), _) => picture.push(&outcome.shape(place, y)),
            (None, Some(method)) if item.is_heading => picture.push(&method.shape(place, y)),
            _ => {}
        }
    }
}

/// The statements with what is known of them before anything has its place.
fn items(statements: &[Statement], method: Option<Method>) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut methods = vec![method];
    for (number, statement) in statements.iter().enumerate() {
        let notes = &statement.notes;
        let before = number.checked_sub(1).map(|number| &statements[number]);
        let opened = before.filter(|before| matches!(before.what, What::Open { .. }));
        let mut current = *methods.last().expect("the diagram's own");
        let mut is_heading = false;
        let lines = match &statement.what {
            What::Message { text, .. } => wrap(&timeless(text, notes), MESSAGE, Weight::Regular),
            What::Note { text, over } => {
                is_heading = opened.is_some() && over.0 != over.1;
                let text = timeless(text, notes);
                match (is_heading, over.0 == over.1) {
                    (true, _) => wrap(&text, 2.0 * MESSAGE, Weight::Bold),
                    (_, true) => wrap(&text, NOTE, Weight::Regular),
                    (_, false) => wrap(&text, MESSAGE + 40.0, Weight::Regular),
                }
            }
            What::Open { .. } => {
                current = notes.method.or(current);
                methods.push(current);
                Vec::new()
            }
            What::Close => {
                methods.pop();
                Vec::new()
            }
            What::Else { .. } => Vec::new(),
        };
        items.push(Item {
            statement,
            lines,
            colour: current.map_or(INK, Method::colour),
            method: match opened {
                Some(opened) if is_heading => opened.notes.method,
                _ => None,
            },
            outcome: match opened {
                Some(opened) if is_heading => notes.outcome.or(opened.notes.outcome),
                _ => notes.outcome,
            },
            is_heading,
        });
    }
    items
}

/// A label without the time at its beginning, which the axis shows.
fn timeless(label: &str, notes: &Notes) -> String {
    [&notes.at, &notes.until]
        .into_iter()
        .flatten()
        .find_map(|time| label.strip_prefix(&time.text)?.strip_prefix(':'))
        .unwrap_or(label)
        .trim()
        .to_owned()
}

/// The room for the mark before a text.
fn mark(item: &Item<'_>) -> f64 {
    match item.outcome.is_some() || item.method.is_some() {
        true => 18.0,
        false => 0.0,
    }
}

/// How wide a participant's box is.
fn header(participant: &Participant) -> f64 {
    (width(&participant.title, Weight::Bold) + 26.0).max(84.0)
}

/// Widens some gaps evenly until they are `wide` together.
fn share(gaps: &mut [f64], wide: f64) {
    let missing = (wide - gaps.iter().sum::<f64>()).max(0.0) / gaps.len() as f64;
    for gap in gaps {
        *gap += missing;
    }
}

/// Two strokes across a line that stands for more than it shows.
fn torn(x: f64, y: f64) -> String {
    format!(
        "M{:.1} {:.1}l12 -5M{:.1} {:.1}l12 -5",
        x - 6.0,
        y - 2.0,
        x - 6.0,
        y + 7.0
    )
}
