//! What a server's tap has kept of a browser's connections, and what is done to a panel meanwhile.

use crate::format::{clock, Connection, Engine, Mark, Of, Piece, Recording, VERSION};
use anyhow::{ensure, Context as _};
use browser::{
    engine::{self, Kind},
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use jiff::{tz::TimeZone, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

/// What a server's tap answers.
#[derive(Debug, Deserialize)]
pub struct Tapped {
    version: u32,
    started: Timestamp,
    now: f64,
    next: usize,
    dropped: u64,
    connections: Vec<Connection>,
    pieces: Vec<Piece>,
}

/// What was done, and when.
#[derive(Debug, Default)]
pub struct Marks(Vec<(Timestamp, String)>);

impl Marks {
    /// Notes what is done now.
    pub fn add(&mut self, text: &str) {
        self.0.push((Timestamp::now(), text.to_owned()));
    }
}

impl Tapped {
    /// What the server has kept under a key, once it grows no more.
    ///
    /// # Errors
    /// If it never rests.
    pub async fn read(site: &Served, page: &Page, key: &str) -> anyhow::Result<Self> {
        let ask = "const [address] = arguments;
            return fetch(address).then((answer) => answer.json()).then((it) => {
                const state = `${it.next} ${it.connections.filter(({ closed }) => closed).length}`;
                const same = window.lastState === state;
                window.lastState = state;
                return same && it.next > 0 ? it : new Promise((resolve) => setTimeout(resolve, 300, false));
            })";
        let address = site.at(&format!("live/wire?tap={key}&after=0"));
        page.until_some("the end of what goes over the wire", ask, &[json!(address)])
            .await
    }

    /// The recording of it.
    ///
    /// # Errors
    /// If the tap is of another version.
    pub async fn recording(
        self,
        what: String,
        kind: Kind,
        marks: Marks,
    ) -> anyhow::Result<Recording> {
        let Self {
            version: format,
            started,
            now,
            next,
            dropped,
            connections,
            pieces,
        } = self;
        ensure!(format == VERSION, "the tap answers in version {format}");
        let version = engine::Engine::find(kind)?.version().await?;
        let since = |at: Timestamp| (at.duration_since(started).as_secs_f64() * 1e3).round();
        let marks = marks.0.into_iter().map(|(at, text)| Mark {
            t: since(at).clamp(0.0, now),
            text,
        });
        Ok(Recording {
            version: VERSION,
            source: "recording".to_owned(),
            of: Of::Tap,
            what,
            name: format!("{kind} {version}"),
            engine: Engine {
                name: kind.to_string(),
                version,
            },
            date: clock()?.to_zoned(TimeZone::UTC).date(),
            started,
            now,
            next,
            dropped,
            connections,
            pieces,
            marks: marks.collect(),
        })
    }
}

/// Records once, in a browser of its own.
///
/// # Errors
/// If a program is missing, or `record` fails.
pub fn once(
    suite: &Arc<Suite>,
    kind: Kind,
    record: impl AsyncFn(Arc<Suite>, Page) -> anyhow::Result<Recording>,
) -> anyhow::Result<Recording> {
    let made = Mutex::new(None);
    let (made_here, record) = (&made, &record);
    suite.clone().run_once(kind, |suite, page| async move {
        let recording = record(suite, page).await?;
        *made_here.lock().unwrap_or_else(PoisonError::into_inner) = Some(recording);
        Ok(())
    })?;
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.context("nothing was recorded")
}

/// The key by which the server watches the panel's connections: that of its newest request with
/// one.
///
/// # Errors
/// If no request has one.
pub fn key_of(site: &Served) -> anyhow::Result<String> {
    let asked = site.asked();
    let key = asked.iter().rev().find_map(Asked::tap_key);
    Ok(key.context("no request has a key")?.to_owned())
}

/// Presses a button of the panel, once it is there and can be used.
///
/// # Errors
/// If it never can.
pub async fn press(page: &Page, role: &str) -> anyhow::Result<()> {
    let there = "const button = document.querySelector(arguments[0]);
        return button?.checkVisibility() && button.ariaDisabled !== 'true'";
    page.until(role, there, &[json!(part(role))]).await?;
    page.click(&part(role)).await
}

/// Waits until the panel has received so many events, and says how many it has.
///
/// # Errors
/// If they do not come.
pub async fn received(page: &Page, count: u32) -> anyhow::Result<u32> {
    let enough = "const count = Number(document.querySelector(arguments[0]).textContent);
        return count >= arguments[1] && count";
    page.until_some("events", enough, &[json!(part("received")), json!(count)])
        .await
}

/// Waits until the panel has connected again, once.
///
/// # Errors
/// If it does not.
pub async fn reconnected(page: &Page) -> anyhow::Result<()> {
    let again = "return document.querySelector(arguments[0]).textContent === '1'";
    page.until("a reconnect", again, &[json!(part("reconnects"))])
        .await
}

/// Checks one of the panel's counts of faults.
///
/// # Errors
/// If it has counted any.
pub async fn none(page: &Page, fault: &str) -> anyhow::Result<()> {
    let count = "return document.querySelector(arguments[0]).textContent";
    let count: String = page.run(count, &[json!(part(fault))]).await?;
    ensure!(count == "0", "{count} {fault}");
    Ok(())
}

/// A control of the panel.
pub fn part(role: &str) -> String {
    format!(".live-panel:not([data-view]) [data-role={role}]")
}
