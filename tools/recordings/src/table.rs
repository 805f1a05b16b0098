//! What the pages say of their recordings, made from them.

use crate::{
    failures,
    format::{By, Kind, Recording, Way},
    panels::Panel,
    push::{name, ALL, LOADS, ONE_WAY, WORK},
};
use anyhow::Context as _;
use browser::engine;
use jiff::civil::Date;
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
pub fn push() -> anyhow::Result<String> {
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
    writeln!(
        table,
        "\nThe quickest of {LOADS} loads of each, recorded by the client on {}: over TLS, which was agreed before, through \
         a relay that holds each byte back for {} ms in each direction. The server makes the page \
         in {} ms. Bytes are those of HTTP/2, without TLS.",
        on(&days),
        ONE_WAY.as_millis(),
        WORK.as_millis(),
    )?;
    Ok(table)
}

/// What a recording of a panel comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// How many requests the browser has sent.
    pub requests: usize,
    /// When it asked again, in milliseconds after the server had closed its connection.
    pub back: Option<f64>,
    /// How long the stream had asked it to wait, in milliseconds.
    pub retry: Option<u32>,
}

impl Seen {
    /// Of one recording.
    ///
    /// # Errors
    /// If a piece is no bytes.
    pub fn of(recording: &Recording) -> anyhow::Result<Self> {
        let requests = requests(recording)?;
        let cut = recording
            .marks
            .iter()
            .find(|mark| mark.text.starts_with("Cut"));
        let back = cut.and_then(|cut| {
            let closed = recording.connections.iter();
            let closed = closed.filter(|connection| connection.by == Some(By::Server));
            let closed = closed.filter_map(|connection| connection.closed);
            let closed = closed.filter(|closed| *closed >= cut.t).reduce(f64::min)?;
            let mut after = requests.iter().filter(|(t, _)| *t > closed);
            let (t, _) = after.find(|(_, head)| is_for_events(head))?;
            Some(t - closed)
        });
        let mut down = String::new();
        for piece in recording
            .pieces
            .iter()
            .filter(|piece| piece.way == Way::Down)
        {
            if cut.is_some_and(|cut| piece.t < cut.t) {
                down += &String::from_utf8_lossy(&piece.bytes()?);
            }
        }
        let retry = down
            .rsplit_once("\nretry: ")
            .and_then(|(_, rest)| rest.lines().next());
        Ok(Self {
            requests: requests.len(),
            back,
            retry: retry.map(str::parse).transpose()?,
        })
    }
}

/// The requests of a recording, each with its time and its head.
///
/// # Errors
/// If a piece is no bytes.
pub fn requests(recording: &Recording) -> anyhow::Result<Vec<(f64, String)>> {
    let mut requests = Vec::new();
    for piece in recording.pieces.iter().filter(|piece| piece.way == Way::Up) {
        let text = String::from_utf8_lossy(&piece.bytes()?).into_owned();
        if ["GET /", "POST /"]
            .iter()
            .any(|method| text.starts_with(method))
        {
            let head = text.split("\r\n\r\n").next().unwrap_or_default();
            requests.push((piece.t, head.to_owned()));
        }
    }
    Ok(requests)
}

/// Whether it asks for what comes next.
fn is_for_events(head: &str) -> bool {
    let path = head.split(' ').nth(1).unwrap_or_default();
    head.starts_with("GET")
        && path
            .split('?')
            .next()
            .unwrap_or_default()
            .ends_with("/events")
}

/// A panel in each browser, as its page shows it.
///
/// # Errors
/// If a recording is not kept.
pub fn panel(panel: &Panel) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    let mut days = BTreeSet::new();
    for kind in engine::Kind::ALL {
        let recording = crate::read(&panel.recording(kind))?;
        days.insert(recording.date);
        let Seen {
            requests,
            back,
            retry,
        } = Seen::of(&recording)?;
        let mut row = vec![
            recording.name.clone(),
            requests.to_string(),
            recording.bytes(Way::Up).to_string(),
            recording.bytes(Way::Down).to_string(),
        ];
        row.extend(retry.map(|retry| format!("{retry} ms")));
        if panel.is_cut {
            let back = back.with_context(|| format!("{} does not come back", recording.name))?;
            row.push(format!("{back:.0} ms"));
        }
        rows.push(row);
    }
    let mut heads = vec!["browser", "requests", "bytes up", "bytes down"];
    match rows.first().map_or(0, Vec::len) {
        6 => heads.extend(["`retry` of the stream", "asks again after the cut"]),
        5 => heads.push("asks again after the cut"),
        _ => {}
    }
    let mut table = format!(
        "| {} |\n| --- |{}\n",
        heads.join(" | "),
        " --: |".repeat(heads.len() - 1)
    );
    for row in rows {
        writeln!(table, "| {} |", row.join(" | "))?;
    }
    let cut = if panel.is_cut { ", is cut once" } else { "" };
    writeln!(
        table,
        "\nRecorded on {} at the edge of this book's server: the panel starts, gets an event a second, \
         sends a message{cut}, and stops. Browser and server were on one machine.",
        on(&days),
    )?;
    Ok(table)
}

/// A page of another origin in each browser, as the chapter shows it.
///
/// # Errors
/// If a recording is not kept, or is of something else.
pub fn foreign_origin() -> anyhow::Result<String> {
    let mut table =
        String::from("| browser | `Origin` of the handshake | answer |\n| --- | --- | --- |\n");
    let mut days = BTreeSet::new();
    for kind in engine::Kind::ALL {
        let recording = crate::read(&failures::recording(failures::FOREIGN_ORIGIN, kind))?;
        days.insert(recording.date);
        let requests = requests(&recording)?;
        let (_, head) = requests.first().context("nothing is asked for")?;
        let mut lines = head.lines();
        let origin = lines.find_map(|line| line.strip_prefix("Origin: "));
        let mut down = recording
            .pieces
            .iter()
            .filter(|piece| piece.way == Way::Down);
        let answer = down.next().context("no answer")?.bytes()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let (origin, status) = (origin.context("no origin")?, status.context("no status")?);
        writeln!(table, "| {} | `{origin}` | {status} |", recording.name)?;
    }
    writeln!(
        table,
        "\nRecorded on {} at the edge of this book's server.",
        on(&days)
    )?;
    Ok(table)
}

/// What a line that went dead came to. Times are milliseconds after that moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dead {
    /// When the server had closed its side.
    pub server: f64,
    /// When the browser had a new socket asked for.
    pub page: f64,
    /// How many bytes the server had sent meanwhile, to nobody.
    pub sent: usize,
}

impl Dead {
    /// Of one recording.
    ///
    /// # Errors
    /// If it is of something else.
    pub fn of(recording: &Recording) -> anyhow::Result<Self> {
        let mut marks = recording.marks.iter();
        let dead = marks
            .find(|mark| mark.text.contains("dead"))
            .context("no dead line")?
            .t;
        let mut before = recording.pieces.iter().filter(|piece| piece.t <= dead);
        let socket = before.next_back().context("nothing came before")?.c;
        let mut closed = recording.connections.iter();
        let closed = closed.find(|it| it.id == socket && it.by == Some(By::Server));
        let closed = closed.context("the server keeps the dead connection")?;
        let requests = requests(recording)?;
        let mut after = requests.iter().filter(|(t, _)| *t > dead);
        let (page, _) = after
            .find(|(_, head)| is_for_events(head))
            .context("no new socket")?;
        let lost = recording
            .pieces
            .iter()
            .filter(|piece| piece.c == closed.id && piece.t > dead);
        Ok(Self {
            server: closed.closed.unwrap_or_default() - dead,
            page: page - dead,
            sent: lost.map(|piece| piece.size).sum(),
        })
    }
}

/// A line that went dead, in each browser, as the chapter shows it.
///
/// # Errors
/// If a recording is not kept, or is of something else.
pub fn half_open() -> anyhow::Result<String> {
    let mut table = String::from(
        "| browser | the server gives up after | sent to nobody until then | the page asks for a new socket after |\n\
         | --- | --: | --: | --: |\n",
    );
    let mut days = BTreeSet::new();
    for kind in engine::Kind::ALL {
        let recording = crate::read(&failures::recording(failures::HALF_OPEN, kind))?;
        days.insert(recording.date);
        let Dead { server, page, sent } = Dead::of(&recording)?;
        let seconds = |milliseconds: f64| milliseconds / 1e3;
        writeln!(
            table,
            "| {} | {:.1} s | {sent} bytes | {:.1} s |",
            recording.name,
            seconds(server),
            seconds(page)
        )?;
    }
    writeln!(
        table,
        "\nRecorded on {} at the edge of this book's server, whose heartbeat is {} s here, behind a \
         relay on the same machine that passes nothing more over any connection it has.",
        on(&days),
        failures::HEARTBEAT.as_secs()
    )?;
    Ok(table)
}

/// The days, as they stand after "on".
fn on(days: &BTreeSet<Date>) -> String {
    let days: Vec<_> = days.iter().map(ToString::to_string).collect();
    days.join(" and ")
}
