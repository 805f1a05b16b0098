//! From the order of things, and from their times where they have any, to heights.
//!
//! Where a diagram has times, waiting is drawn to scale: the same number of seconds always takes
//! the same height. What happens at one time still needs room; for that the axis stands still.

use crate::{source::Time, Error};

/// Something that needs a height.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub line: usize,
    /// The room that it needs above its height, and below.
    pub above: f64,
    pub below: f64,
    pub at: Option<Time>,
    /// When it ends, if not at once.
    pub until: Option<Time>,
    /// The least height between its beginning and its end, if it lasts.
    pub lasting: f64,
    /// What follows without a time follows its end, and not its beginning.
    pub passes: bool,
    /// The wait before it is longer than it is drawn.
    pub silence: bool,
}

/// The heights of a row; both are the same for one that does not last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Heights {
    pub start: f64,
    pub end: f64,
}

/// A time with a name, and where it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Instant {
    pub label: String,
    pub first: f64,
    pub last: f64,
}

/// Where everything is.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub rows: Vec<Heights>,
    /// None if no row has a time.
    pub instants: Vec<Instant>,
    /// Where time is left out.
    pub silences: Vec<f64>,
    pub bottom: f64,
}

/// The height of a mark that stands for time left out, and of the room around it.
const SILENCE: f64 = 40.0;
/// Between two names of times.
const APART: f64 = 24.0;
/// Beyond this a picture is no picture.
const HIGHEST: f64 = 1600.0;

/// A row's beginning or end.
#[derive(Debug)]
struct Anchor {
    row: usize,
    is_end: bool,
    above: f64,
    below: f64,
}

#[derive(Debug)]
struct Moment {
    time: Time,
    anchors: Vec<Anchor>,
    after_silence: bool,
}

pub(crate) fn place(rows: &[Row], top: f64) -> Result<Timeline, Error> {
    let placed = match rows.iter().any(|row| row.at.is_some()) {
        true => to_scale(rows, top)?,
        false => stack(rows, top)?,
    };
    match placed.bottom - top > HIGHEST {
        true => Err(Error::new(
            rows.last().map_or(1, |row| row.line),
            format!(
                "{:.0} px high: a long wait needs `%% silence`",
                placed.bottom - top
            ),
        )),
        false => Ok(placed),
    }
}

/// One row below the other.
fn stack(rows: &[Row], top: f64) -> Result<Timeline, Error> {
    let mut timeline = Timeline::default();
    let mut y = top;
    for row in rows {
        if row.until.is_some() {
            return Err(Error::new(row.line, "`until` without `at`"));
        }
        if row.silence {
            timeline.silences.push(y + SILENCE / 2.0);
            y += SILENCE;
        }
        y += row.above;
        timeline.rows.push(Heights { start: y, end: y });
        y += row.below;
    }
    timeline.bottom = y;
    Ok(timeline)
}

fn to_scale(rows: &[Row], top: f64) -> Result<Timeline, Error> {
    let rows = &timed(rows);
    let moments = moments(rows)?;
    // Pixels for a second: so many that everything finds the room it needs.
    let mut scale: f64 = 0.0;
    for pair in moments.windows(2) {
        if !pair[1].after_silence {
            let wait = pair[1].time.seconds - pair[0].time.seconds;
            scale = scale.max(room(&pair[0], &pair[1]) / wait);
        }
    }
    for row in rows {
        let (Some(at), Some(until)) = (&row.at, &row.until) else {
            continue;
        };
        let within = |moment: &&Moment| {
            moment.time.seconds > at.seconds && moment.time.seconds <= until.seconds
        };
        if !moments
            .iter()
            .filter(within)
            .any(|moment| moment.after_silence)
        {
            scale = scale.max(row.lasting / (until.seconds - at.seconds));
        }
    }

    let mut timeline = Timeline {
        rows: vec![Heights::default(); rows.len()],
        ..Timeline::default()
    };
    let mut y = top;
    for (number, moment) in moments.iter().enumerate() {
        let before = number.checked_sub(1).map(|number| &moments[number]);
        y += match before {
            None => moment.anchors[0].above,
            Some(before) if moment.after_silence => {
                let room = room(before, moment).max(SILENCE);
                timeline.silences.push(
                    y + before.last().below
                        + (room - before.last().below - moment.anchors[0].above) / 2.0,
                );
                room
            }
            Some(before) => scale * (moment.time.seconds - before.time.seconds),
        };
        let first = y;
        for (index, anchor) in moment.anchors.iter().enumerate() {
            if index > 0 {
                y += moment.anchors[index - 1].below + anchor.above;
            }
            let heights = &mut timeline.rows[anchor.row];
            if !anchor.is_end {
                heights.start = y;
            }
            heights.end = y;
        }
        timeline.instants.push(Instant {
            label: moment.time.text.clone(),
            first,
            last: y,
        });
    }
    timeline.bottom = y + moments.last().map_or(0.0, |moment| moment.last().below);
    Ok(timeline)
}

/// The least height between two moments.
fn room(before: &Moment, after: &Moment) -> f64 {
    let silence = if after.after_silence { SILENCE } else { 0.0 };
    (before.last().below + after.anchors[0].above + silence).max(APART)
}

impl Moment {
    fn last(&self) -> &Anchor {
        self.anchors
            .last()
            .expect("a moment is made with its first anchor")
    }
}

/// The rows, each with a time.
fn timed(rows: &[Row]) -> Vec<Row> {
    let first = rows.iter().find_map(|row| row.at.clone());
    let mut now = first.expect("one row has a time");
    let mut timed = rows.to_vec();
    for row in &mut timed {
        let at = row.at.get_or_insert(now).clone();
        now = match &row.until {
            Some(until) if row.passes => until.clone(),
            _ => at,
        };
    }
    timed
}

/// What begins and ends at which time.
fn moments(rows: &[Row]) -> Result<Vec<Moment>, Error> {
    let mut now = Time {
        text: "the beginning".to_owned(),
        seconds: 0.0,
    };
    let mut moments: Vec<Moment> = Vec::new();
    let mut add = |time: &Time, anchor: Anchor, silence: bool| match moments.last_mut() {
        Some(last) if last.time.seconds == time.seconds => last.anchors.push(anchor),
        _ => moments.push(Moment {
            time: time.clone(),
            anchors: vec![anchor],
            after_silence: silence,
        }),
    };
    // What has begun and not ended, the earliest end last.
    let mut open: Vec<(Time, usize)> = Vec::new();
    let end = |row: usize| Anchor {
        row,
        is_end: true,
        above: 0.0,
        below: 0.0,
    };
    for (index, row) in rows.iter().enumerate() {
        if let Some(at) = &row.at {
            if at.seconds < now.seconds {
                return Err(Error::new(
                    row.line,
                    format!("{} is before {}", at.text, now.text),
                ));
            }
            now = at.clone();
        }
        while let Some((time, ended)) = open.pop_if(|(time, _)| time.seconds <= now.seconds) {
            add(&time, end(ended), false);
        }
        let anchor = Anchor {
            row: index,
            is_end: false,
            above: row.above,
            below: row.below,
        };
        add(&now, anchor, row.silence);
        if let Some(until) = &row.until {
            if until.seconds <= now.seconds {
                return Err(Error::new(
                    row.line,
                    format!("until {} is not after {}", until.text, now.text),
                ));
            }
            open.push((until.clone(), index));
            open.sort_by(|one, other| other.0.seconds.total_cmp(&one.0.seconds));
        }
    }
    while let Some((time, ended)) = open.pop() {
        add(&time, end(ended), false);
    }
    Ok(moments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: Option<f64>, until: Option<f64>, silence: bool) -> Row {
        let time = |seconds| Time {
            text: format!("{seconds} s"),
            seconds,
        };
        Row {
            line: 1,
            above: 20.0,
            below: 10.0,
            at: at.map(time),
            until: until.map(time),
            lasting: 0.0,
            passes: false,
            silence,
        }
    }

    #[test]
    fn the_same_wait_has_the_same_height() {
        let rows = [
            row(Some(0.0), None, false),
            row(None, None, false),
            row(Some(1.0), None, false),
            row(Some(4.0), Some(6.0), false),
            row(Some(5.0), None, false),
            row(Some(100.0), None, true),
        ];
        let placed = place(&rows, 0.0).unwrap();
        let heights: Vec<_> = placed.rows.iter().map(|row| row.start).collect();
        // 30 for the shortest wait of a second, with what happens at 0 s drawn one below the other.
        assert_eq!(heights, [20.0, 50.0, 80.0, 170.0, 200.0, 290.0]);
        assert_eq!(placed.rows[3].end, 230.0);
        assert_eq!(placed.silences.len(), 1);
        let labels: Vec<_> = placed
            .instants
            .iter()
            .map(|instant| &*instant.label)
            .collect();
        assert_eq!(labels, ["0 s", "1 s", "4 s", "5 s", "6 s", "100 s"]);
    }

    #[test]
    fn time_does_not_run_backwards() {
        for rows in [
            [row(Some(2.0), None, false), row(Some(1.0), None, false)],
            [row(Some(2.0), Some(2.0), false), row(None, None, false)],
            [row(None, Some(2.0), false), row(None, None, false)],
        ] {
            assert!(place(&rows, 0.0).is_err(), "{rows:?}");
        }
        let long = [
            row(Some(0.0), None, false),
            row(Some(1.0), None, false),
            row(Some(500.0), None, false),
        ];
        let told = place(&long, 0.0).unwrap_err().problem;
        assert!(told.contains("silence"), "{told}");
    }
}
