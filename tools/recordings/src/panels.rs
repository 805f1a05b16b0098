//! The live panels of the book's own server, in real browsers: each starts, gets events, publishes
//! one, is cut where there is something to cut, connects again, and stops. What went over the wire
//! is the server's tap's.

use crate::format::{clock, Connection, Engine, Mark, Of, Piece, Recording, VERSION};
use anyhow::{ensure, Context as _};
use browser::{
    engine::{self, Kind},
    page::Page,
    served::Served,
    suite::Suite,
};
use jiff::{tz::TimeZone, Timestamp};
use serde::Deserialize;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex, PoisonError};
use waiting::ticker;

/// A panel that is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The chapter's folder, which is the name of its recordings.
    pub name: &'static str,
    /// As in a sentence.
    title: &'static str,
    /// Whether there is a connection to cut.
    pub is_cut: bool,
}

/// All of them.
pub const ALL: [Panel; 4] = [
    Panel {
        name: "polling",
        title: "polling",
        is_cut: false,
    },
    Panel {
        name: "long-polling",
        title: "long polling",
        is_cut: true,
    },
    Panel {
        name: "sse",
        title: "Server-Sent Events",
        is_cut: true,
    },
    Panel {
        name: "websocket",
        title: "WebSocket",
        is_cut: true,
    },
];

/// How many events a panel gets before the message, after it, and after the cut.
const EVENTS: u32 = 3;

/// What a server's tap answers.
#[derive(Deserialize)]
struct Tapped {
    version: u32,
    started: Timestamp,
    now: f64,
    next: usize,
    dropped: u64,
    connections: Vec<Connection>,
    pieces: Vec<Piece>,
}

impl Panel {
    /// The name of its recording in a browser.
    pub fn recording(&self, kind: Kind) -> String {
        format!("{}-{}", self.name, kind.key())
    }

    /// Records it in a browser.
    ///
    /// # Errors
    /// If a program is missing, or the panel does something else.
    pub fn record(&'static self, suite: &Arc<Suite>, kind: Kind) -> anyhow::Result<Recording> {
        let made = Mutex::new(None);
        suite.clone().run_once(kind, |suite, page| {
            let made = &made;
            async move {
                let site = suite.site().await?;
                let recording = self.drive(&site, &page).await?;
                *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(recording);
                Ok(())
            }
        })?;
        let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.context("nothing was recorded")
    }

    async fn drive(&self, site: &Served, page: &Page) -> anyhow::Result<Recording> {
        let version = engine::Engine::find(page.kind())?.version().await?;
        let rate = "1".parse().map_err(anyhow::Error::msg)?;
        let ticks = tokio::spawn(ticker::run(site.feed.clone(), rate, 1));
        let mut marks = Vec::new();
        let mut mark = |text: &str| marks.push((Timestamp::now(), text.to_owned()));

        page.open(&site.at(&format!("{}/index.html", self.name)))
            .await?;
        // The view makes up the key by which the server watches this panel's connections.
        press(page, "wire").await?;
        mark("Start is pressed.");
        press(page, "start").await?;
        let mut events = received(page, EVENTS).await?;
        page.fill(&part("name"), "Ada").await?;
        page.fill(&part("message"), "Is anybody there?").await?;
        mark("Send is pressed.");
        press(page, "send").await?;
        let sent = "return /^Published/.test(document.querySelector(arguments[0]).textContent)";
        page.until("an answer", sent, &[json!(part("answer"))])
            .await?;
        events = received(page, events + EVENTS).await?;
        if self.is_cut {
            mark("Cut is pressed: the server closes the connection.");
            press(page, "cut").await?;
            let again = "return document.querySelector(arguments[0]).textContent === '1'";
            page.until("a reconnect", again, &[json!(part("reconnects"))])
                .await?;
            received(page, events + EVENTS).await?;
        }
        mark("Stop is pressed.");
        press(page, "stop").await?;
        for wrong in ["lost", "doubled"] {
            let count = "return document.querySelector(arguments[0]).textContent";
            let count: String = page.run(count, &[json!(part(wrong))]).await?;
            ensure!(count == "0", "{count} {wrong}");
        }
        let tapped = all_of_it(site, page).await?;
        ticks.abort();

        let Tapped {
            version: format,
            started,
            next,
            dropped,
            connections,
            pieces,
            now,
        } = tapped;
        ensure!(format == VERSION, "the tap answers in version {format}");
        let since = |at: Timestamp| (at.duration_since(started).as_secs_f64() * 1e3).round();
        let marks = marks.into_iter().map(|(at, text)| Mark {
            t: since(at).clamp(0.0, now),
            text,
        });
        let cut = if self.is_cut {
            ", is cut and connects again"
        } else {
            ""
        };
        let what = format!(
            "The book's panel gets events by {}, one a second, sends a message{cut}. Browser and \
             server are on one machine, with no network between. The times are the server's.",
            self.title
        );
        Ok(Recording {
            version: VERSION,
            source: "recording".to_owned(),
            of: Of::Tap,
            what,
            name: format!("{} {version}", page.kind()),
            engine: Engine {
                name: page.kind().to_string(),
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

/// What the server has kept of the page's connections, once it grows no more.
async fn all_of_it(site: &Served, page: &Page) -> anyhow::Result<Tapped> {
    let key = site.asked().iter().rev().find_map(|asked| {
        let mut pairs = asked.query.split('&');
        let key = pairs.find_map(|pair| pair.strip_prefix("tap="))?;
        Some(key.to_owned())
    });
    let key = key.context("no request has a key")?;
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

/// Presses a button of the panel, once it is there and can be used.
async fn press(page: &Page, role: &str) -> anyhow::Result<()> {
    let there = "const button = document.querySelector(arguments[0]);
        return button?.checkVisibility() && button.ariaDisabled !== 'true'";
    page.until(role, there, &[json!(part(role))]).await?;
    page.click(&part(role)).await
}

/// Waits until the panel has received so many events, and says how many it has.
async fn received(page: &Page, count: u32) -> anyhow::Result<u32> {
    let enough = "const count = Number(document.querySelector(arguments[0]).textContent);
        return count >= arguments[1] && count";
    let received: Value = page
        .until_some("events", enough, &[json!(part("received")), json!(count)])
        .await?;
    Ok(serde_json::from_value(received)?)
}

fn part(role: &str) -> String {
    format!(".live-panel:not([data-view]) [data-role={role}]")
}
