//! What the page of HTTP/2 push says of its recordings, made from them.

use crate::{
    format::{Kind, Recording, Way},
    push::{name, ALL, LOADS, ONE_WAY, WORK},
};
use anyhow::Context as _;
use std::{collections::BTreeSet, fmt::Write as _};

/// What a recording of the page comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// How many requests the client has sent.
    pub asked: usize,
    /// Bytes up and down, of HTTP/2.
    pub bytes: (usize, usize),
    /// When both parts were here, in milliseconds after the request for the page.
    pub parts: f64,
    /// When the page was here.
    pub page: f64,
}

impl Cost {
    /// Of one recording.
    ///
    /// # Errors
    /// If it is none of the page.
    pub fn of(recording: &Recording) -> anyhow::Result<Self> {
        let requests = || {
            let pieces = recording.pieces.iter();
            pieces.filter(|piece| {
                // A promise is none: the client has not asked.
                piece.kind == Some(Kind::Request)
            })
        };
        let begin = requests().next().context("nothing is asked for")?.t;
        let here = |what: fn(&str) -> bool| {
            let marks = recording.marks.iter().filter(|mark| what(&mark.text));
            let last = marks.map(|mark| mark.t).reduce(f64::max);
            anyhow::Ok(last.context("something never comes")? - begin)
        };
        Ok(Self {
            asked: requests().count(),
            bytes: (recording.bytes(Way::Up), recording.bytes(Way::Down)),
            parts: here(|text| !text.contains("page"))?,
            page: here(|text| text.contains("page"))?,
        })
    }

    /// When nothing was missing.
    pub fn all(&self) -> f64 {
        self.parts.max(self.page)
    }

    /// How many round trips that took, beside the time in which the page was made.
    pub fn round_trips(&self) -> f64 {
        let rest = self.all() - WORK.as_secs_f64() * 1e3;
        rest / (2e3 * ONE_WAY.as_secs_f64())
    }
}

/// The three ways beside each other, as the page shows them.
///
/// # Errors
/// If a recording is not kept.
pub fn table() -> anyhow::Result<String> {
    let mut table = String::from(
        "| the page comes with | requests | bytes up | bytes down | parts are here after | page is here after | all is here after |\n\
         | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    let mut days = BTreeSet::new();
    for (file, way) in ALL {
        let recording = crate::read(file)?;
        days.insert(recording.date);
        let cost = Cost::of(&recording)?;
        let (up, down) = cost.bytes;
        writeln!(
            table,
            "| {} | {} | {up} | {down} | {:.0} ms | {:.0} ms | {:.0} ms |",
            name(way),
            cost.asked,
            cost.parts,
            cost.page,
            cost.all()
        )?;
    }
    let days: Vec<_> = days.iter().map(ToString::to_string).collect();
    writeln!(
        table,
        "\nThe quickest of {LOADS} loads of each, recorded by the client on {}: over TLS, which was agreed before, through \
         a relay that holds each byte back for {} ms in each direction. The server makes the page \
         in {} ms. Bytes are those of HTTP/2, without TLS.",
        days.join(" and "),
        ONE_WAY.as_millis(),
        WORK.as_millis(),
    )?;
    Ok(table)
}
