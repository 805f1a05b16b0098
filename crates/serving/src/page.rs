//! A page of the log: the whole answer to one request for events.

use axum::response::{IntoResponse, Response};
use contract::{Position, Problem};
use feed::{Batch, Feed, BATCH_BYTES, BATCH_EVENTS};
use http::header;

/// What is due after a position, as the answer to a request; on the wire it is a
/// [`contract::LogPage`].
#[derive(Clone, Debug)]
pub struct Page(Batch);

impl Page {
    /// Reads what is due now, at most [`BATCH_EVENTS`] events and [`BATCH_BYTES`]
    /// bytes. It never waits.
    ///
    /// # Errors
    /// 410 `expired` or `new-log` where events after the position are gone, 400
    /// `future-cursor`.
    pub fn read(feed: &Feed, position: Position) -> Result<Self, Problem> {
        Ok(Self(feed.read(position, BATCH_EVENTS, BATCH_BYTES)?))
    }

    /// Whether nothing was due.
    pub fn is_empty(&self) -> bool {
        self.0.events.is_empty()
    }

    /// Whether the log is complete and nothing follows this page.
    pub fn is_finished(&self) -> bool {
        self.0.log.finished && !self.has_more()
    }

    /// Whether more is due than this page holds. Told from the log as it was when the
    /// page was read: an event that came a moment later would make an empty page
    /// promise more, and lead nowhere.
    fn has_more(&self) -> bool {
        self.0.log.latest != self.0.next
    }

    /// The body, put together from texts that were serialised when their events were
    /// published.
    ///
    /// Copied into one piece. To hand hyper each event by reference would cost it a
    /// system call for every 16 of them, and a page is bounded.
    fn body(&self) -> String {
        let Batch {
            after,
            events,
            next,
            ..
        } = &self.0;
        let events_len: usize = events.iter().map(|event| event.json().len() + 1).sum();
        // The rest: names, punctuation and two cursors of at most 27 characters.
        let mut body = Vec::with_capacity(events_len + 128);
        body.extend_from_slice(
            format!("{{\"after\":\"{after}\",\"events\":[").as_bytes(),
        );
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(event.json());
        }
        body.extend_from_slice(format!("],\"next\":\"{next}\"").as_bytes());
        for (name, set) in [("more", self.has_more()), ("finished", self.is_finished())]
        {
            if set {
                body.extend_from_slice(format!(",\"{name}\":true").as_bytes());
            }
        }
        body.push(b'}');
        String::from_utf8(body).unwrap_or_default()
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            // It answers one client's question of one moment; whoever asks later must
            // be told of later events.
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, self.body()).into_response()
    }
}
