//! A page of the log: the whole answer to one request for events.

use crate::{counts::Counts, problem, Access};
use contract::{Position, Problem};
use feed::{Batch, Feed, ReadError, BATCH_BYTES, BATCH_EVENTS};
use std::sync::Arc;

/// What is due after a position, as one answer; on the wire it is a
/// [`contract::LogPage`].
#[derive(Clone, Debug)]
pub struct LogPage {
    batch: Batch,
    counts: Arc<Counts>,
}

impl LogPage {
    /// Reads what is due now, at most [`BATCH_EVENTS`] events and [`BATCH_BYTES`]
    /// bytes. It waits for no event.
    ///
    /// Where a reader may see nothing of that, it reads on, so that an empty page means
    /// that nothing is due: it is one of a log of bounded length.
    pub(crate) async fn read(
        log: &Feed,
        position: Position,
        access: Option<&Access>,
        counts: &Arc<Counts>,
    ) -> Result<Self, Problem> {
        let read = log.fetch(position, BATCH_EVENTS, BATCH_BYTES).await;
        if let Err(ReadError::Gap(gap)) = &read {
            counts.gap(gap);
        }
        let mut page = Self {
            batch: read.map_err(problem::of)?,
            counts: counts.clone(),
        };
        let Some(access) = access else {
            return Ok(page);
        };
        let after = page.batch.after;
        page.filter(access);
        while page.is_empty() && page.has_more() {
            let next = Position::After(page.batch.next);
            match log.fetch(next, BATCH_EVENTS, BATCH_BYTES).await {
                Ok(batch) => page.batch = batch,
                // Trimmed meanwhile: the next request is told of it.
                Err(_) => break,
            }
            page.filter(access);
        }
        // Which question this answers.
        page.batch.after = after;
        Ok(page)
    }

    /// Leaves out what may not be seen; where it leads to stays.
    fn filter(&mut self, access: &Access) {
        self.batch.events.retain(|event| access.sees(event));
    }

    /// Whether nothing was due.
    pub fn is_empty(&self) -> bool {
        self.batch.events.is_empty()
    }

    /// Whether another event would find no room in this page.
    pub fn is_full(&self) -> bool {
        self.batch.events.len() >= BATCH_EVENTS || self.has_more()
    }

    /// Whether the log is complete and nothing follows this page.
    pub fn is_finished(&self) -> bool {
        self.batch.log.finished && !self.has_more()
    }

    /// Whether more is due than this page holds. By the log as it was when the page was
    /// read: an event that came a moment later would make an empty page promise more,
    /// and lead nowhere.
    fn has_more(&self) -> bool {
        self.batch.log.latest != self.batch.next
    }

    /// The page as JSON, put together from texts that were serialised when their events
    /// were published.
    ///
    /// Copied into one piece. To hand hyper each event by reference would cost it a
    /// system call for every 16 of them, and a page is bounded.
    pub fn into_json(self) -> String {
        self.counts.delivers(&self.batch);
        let Batch {
            after,
            events,
            next,
            ..
        } = &self.batch;
        let events_len: usize = events.iter().map(|event| event.json().len() + 1).sum();
        // The rest: names, punctuation and two cursors of at most 27 characters.
        let mut json = Vec::with_capacity(events_len + 128);
        json.extend_from_slice(
            format!("{{\"after\":\"{after}\",\"events\":[").as_bytes(),
        );
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(event.json());
        }
        json.extend_from_slice(format!("],\"next\":\"{next}\"").as_bytes());
        for (name, set) in [("more", self.has_more()), ("finished", self.is_finished())]
        {
            if set {
                json.extend_from_slice(format!(",\"{name}\":true").as_bytes());
            }
        }
        json.push(b'}');
        String::from_utf8(json).expect("each part is text")
    }
}
