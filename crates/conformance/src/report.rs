//! What came of the cases, for people and for programs.

use crate::Hook;
use serde::Serialize;
use std::fmt::{self, Write as _};

/// What one case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server does what the sentence says.
    Passed,
    /// It does not, and how that was seen.
    Failed(String),
    /// What was missing to try it.
    NotTried(Vec<Hook>),
    /// It was not reached.
    NotReached,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotTried(_) | Self::NotReached => "not tried",
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Passed => Vec::new(),
            Self::Failed(reason) => vec![reason.clone()],
            Self::NotTried(missing) => missing.iter().map(Hook::to_string).collect(),
            Self::NotReached => vec!["the client did not get this far".to_owned()],
        }
    }
}

/// One case in the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The case's name.
    pub name: &'static str,
    /// The sentence of the contract.
    pub sentence: &'static str,
    /// What it came to.
    pub verdict: Verdict,
}

impl Row {
    pub(crate) fn new(
        name: &'static str,
        sentence: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self {
            name,
            sentence,
            verdict,
        }
    }
}

/// The width of a line of the table, as most terminals have it.
const WIDTH: usize = 80;

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}{}", self.verdict.word(), self.name)?;
        wrapped(f, &format!("“{}”", self.sentence))?;
        for reason in self.verdict.reasons() {
            wrapped(f, &format!("-> {reason}"))?;
        }
        Ok(())
    }
}

/// Writes a text in lines of at most [`WIDTH`], each indented.
fn wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    const INDENT: usize = 10;
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && INDENT + length > WIDTH {
            writeln!(f, "{:INDENT$}{line}", "")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(f, "{:INDENT$}{line}", "")
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of the suite.
    pub rows: Vec<Row>,
}

impl Report {
    fn count(&self, word: &str) -> usize {
        let is_of = |row: &&Row| row.verdict.word() == word;
        self.rows.iter().filter(is_of).count()
    }

    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.count("failed")
    }

    /// How many cases were not tried.
    pub fn not_tried(&self) -> usize {
        self.count("not tried")
    }

    /// `24 passed, 0 failed, 9 not tried`.
    pub fn sum(&self) -> String {
        format!(
            "{} passed, {} failed, {} not tried",
            self.count("passed"),
            self.failed(),
            self.not_tried()
        )
    }

    /// One JSON object, on one line.
    pub fn to_json(&self, subject: &str) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            subject: &'a str,
            passed: usize,
            failed: usize,
            not_tried: usize,
            cases: Vec<One<'a>>,
        }
        #[derive(Serialize)]
        struct One<'a> {
            name: &'a str,
            sentence: &'a str,
            verdict: &'a str,
            #[serde(skip_serializing_if = "String::is_empty")]
            reason: String,
        }
        let cases = self.rows.iter().map(|row| One {
            name: row.name,
            sentence: row.sentence,
            verdict: row.verdict.word(),
            reason: row.verdict.reasons().join("; "),
        });
        let whole = Whole {
            subject,
            passed: self.count("passed"),
            failed: self.failed(),
            not_tried: self.not_tried(),
            cases: cases.collect(),
        };
        serde_json::to_string(&whole).expect("texts and numbers are JSON")
    }

    /// The rows that failed, each with its reason, for the message of a test.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            if matches!(row.verdict, Verdict::Failed(_)) {
                write!(text, "{row}").expect("a text takes all");
            }
        }
        text
    }
}
