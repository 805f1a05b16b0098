//! The live panels of the book's own server, in real browsers: each starts, gets events, publishes
//! one, is cut where there is something to cut, connects again, and stops. What went over the wire
//! is the server's tap's.

use crate::{
    format::Recording,
    tapped::{key_of, none, once, part, press, received, reconnected, Marks, Tapped},
};
use browser::{engine::Kind, page::Page, served::Served, suite::Suite};
use serde_json::json;
use std::sync::Arc;
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
        once(suite, kind, async |suite, page| {
            let site = suite.site().await?;
            self.drive(&site, &page).await
        })
    }

    async fn drive(&self, site: &Served, page: &Page) -> anyhow::Result<Recording> {
        let rate = "1".parse().map_err(anyhow::Error::msg)?;
        let ticks = tokio::spawn(ticker::run(site.feed.clone(), rate, 1));
        let mut marks = Marks::default();

        page.open(&site.at(&format!("{}/index.html", self.name)))
            .await?;
        // The view makes up the key by which the server watches this panel's connections.
        press(page, "wire").await?;
        marks.add("Start is pressed.");
        press(page, "start").await?;
        let mut events = received(page, EVENTS).await?;
        page.fill(&part("name"), "Ada").await?;
        page.fill(&part("message"), "Is anybody there?").await?;
        marks.add("Send is pressed.");
        press(page, "send").await?;
        let sent = "return /^Published/.test(document.querySelector(arguments[0]).textContent)";
        page.until("an answer", sent, &[json!(part("answer"))])
            .await?;
        events = received(page, events + EVENTS).await?;
        if self.is_cut {
            marks.add("Cut is pressed: the server closes the connection.");
            press(page, "cut").await?;
            reconnected(page).await?;
            received(page, events + EVENTS).await?;
        }
        marks.add("Stop is pressed.");
        press(page, "stop").await?;
        for wrong in ["lost", "doubled"] {
            none(page, wrong).await?;
        }
        let tapped = Tapped::read(site, page, &key_of(site)?).await?;
        ticks.abort();

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
        tapped.recording(what, page.kind(), marks).await
    }
}
