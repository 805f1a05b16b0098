//! What both kinds of diagram begin with, and the notes for the drawing in their comments.

use crate::{marks::Method, Error};

/// A diagram's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sequence,
    Flowchart,
}

/// A diagram's source, before its statements are read.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub kind: Kind,
    pub title: String,
    pub description: String,
    pub lines: Vec<Line<'a>>,
}

/// A statement, and the notes in the comments directly before it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub number: usize,
    pub text: &'a str,
    pub notes: Notes,
}

/// What comments say about how to draw the statement below them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Notes {
    pub method: Option<Method>,
    pub at: Option<Time>,
    pub until: Option<Time>,
    /// The time before the statement is longer than it is drawn.
    pub silence: bool,
    pub outcome: Option<Outcome>,
}

/// How a part of the story ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fails,
    Mends,
}

/// A time, as it was written and in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Time {
    pub text: String,
    pub seconds: f64,
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Some(Self {
            text: text.to_owned(),
            seconds: number * unit,
        })
    }
}

impl Notes {
    /// Reads one comment: notes with commas between them.
    fn read(&mut self, comment: &str, line: usize) -> Result<(), Error> {
        for note in comment.split(',').map(str::trim) {
            let unknown = || Error::new(line, format!("unknown note for the drawing: {note}"));
            let (word, rest) = note.split_once(' ').unwrap_or((note, ""));
            match (word, rest.trim()) {
                ("fails", "") => self.outcome = Some(Outcome::Fails),
                ("mends", "") => self.outcome = Some(Outcome::Mends),
                ("silence", "") => self.silence = true,
                ("method", name) => {
                    self.method = Some(Method::named(name).ok_or_else(unknown)?);
                }
                ("at", time) => self.at = Some(Time::parse(time).ok_or_else(unknown)?),
                ("until", time) => self.until = Some(Time::parse(time).ok_or_else(unknown)?),
                _ => return Err(unknown()),
            }
        }
        Ok(())
    }
}

/// Splits a source into its heading and its statements.
pub(crate) fn read(source: &str) -> Result<Source<'_>, Error> {
    let (mut kind, mut title, mut description) = (None, None, None);
    let mut lines = Vec::new();
    let mut notes = Notes::default();
    let mut last = 1;
    for (index, text) in source.lines().enumerate() {
        let number = index + 1;
        let text = text.trim();
        last = number;
        if text.is_empty() || text.starts_with("%%{") {
            // How mermaid is to lay it out does not matter here.
        } else if let Some(comment) = text.strip_prefix("%%") {
            notes.read(comment, number)?;
        } else if kind.is_none() {
            kind = Some(match text {
                "sequenceDiagram" => Kind::Sequence,
                "flowchart TB" | "flowchart TD" => Kind::Flowchart,
                _ => {
                    return Err(Error::new(
                        number,
                        format!("unknown kind of diagram: {text}"),
                    ))
                }
            });
        } else if let Some(text) = text.strip_prefix("accTitle:") {
            title = Some(text.trim().to_owned());
        } else if let Some(text) = text.strip_prefix("accDescr:") {
            description = Some(text.trim().to_owned());
        } else {
            let notes = std::mem::take(&mut notes);
            lines.push(Line {
                number,
                text,
                notes,
            });
        }
    }
    if notes != Notes::default() {
        return Err(Error::new(
            last,
            "a note for the drawing, and no statement below it",
        ));
    }
    let missing = |what: &str| Error::new(1, format!("no {what}"));
    let stated = |text: Option<String>, what| {
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| missing(what))
    };
    Ok(Source {
        kind: kind.ok_or_else(|| missing("kind of diagram"))?,
        title: stated(title, "accTitle")?,
        description: stated(description, "accDescr")?,
        lines,
    })
}
