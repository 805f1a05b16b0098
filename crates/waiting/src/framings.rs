//! What a method writes for an event, made once for all its clients.

use contract::EventId;
use feed::{Event, BATCH_EVENTS};
use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

/// The framings of the newest events of one log, each made by the first client that
/// needs it and shared by all others. Clones share them.
///
/// Only of the newest, as many as one batch holds: those are what all clients get in
/// the same moment. Who catches up from further back gets framings of its own, so that
/// the method keeps no second log.
#[derive(Debug)]
pub struct Framings<T> {
    /// By id, the oldest first. Read by everybody who writes an event, and written once
    /// for each; held for a search in a few hundred, and never across an await.
    newest: Arc<RwLock<VecDeque<(EventId, T)>>>,
}

impl<T> Clone for Framings<T> {
    fn clone(&self) -> Self {
        Self {
            newest: self.newest.clone(),
        }
    }
}

impl<T> Default for Framings<T> {
    fn default() -> Self {
        Self {
            newest: Arc::default(),
        }
    }
}

impl<T: Clone> Framings<T> {
    /// The framing of `event`, which `frame` makes if nobody has yet. It must depend on
    /// the event alone, and all events must be of one log.
    pub fn get(&self, event: &Event, frame: impl FnOnce(&Event) -> T) -> T {
        let id = event.cursor().id;
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        match search(&newest, id) {
            Ok(at) => return newest[at].1.clone(),
            // Older than what is kept.
            Err(0) if newest.len() >= BATCH_EVENTS => return frame(event),
            Err(_) => drop(newest),
        }
        // Made under the lock: of those who need it at once, one makes it, and the
        // others need just that.
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        match search(&newest, id) {
            Ok(at) => newest[at].1.clone(),
            Err(at) => {
                let framing = frame(event);
                newest.insert(at, (id, framing.clone()));
                if newest.len() > BATCH_EVENTS {
                    newest.pop_front();
                }
                framing
            }
        }
    }
}

fn search<T>(newest: &VecDeque<(EventId, T)>, id: EventId) -> Result<usize, usize> {
    newest.binary_search_by_key(&id, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Data, Position};
    use feed::{Feed, Retention};
    use std::cell::Cell;

    async fn events(count: usize) -> Vec<Arc<Event>> {
        let log = Feed::new(Retention::default());
        for n in 0..count {
            let kind = "message".parse().unwrap();
            log.publish(kind, Data::new(&n).unwrap()).await.unwrap();
        }
        let all = log.read(Position::Earliest, count, usize::MAX);
        all.unwrap().events
    }

    #[tokio::test]
    async fn a_framing_is_made_once_and_kept_only_of_the_newest() {
        let events = events(2 * BATCH_EVENTS).await;
        let framings = Framings::default();
        let made = Cell::new(0);
        let get = |event: &Event| {
            framings.get(event, |event| {
                made.set(made.get() + 1);
                event.cursor().to_string()
            })
        };
        // Somebody may be ahead of the others.
        for event in events.iter().rev().take(3).rev().chain(&events) {
            assert_eq!(get(event), event.cursor().to_string());
        }
        assert_eq!(made.replace(0), events.len(), "each once");
        for event in &events[BATCH_EVENTS..] {
            assert_eq!(get(event), event.cursor().to_string());
        }
        assert_eq!(made.replace(0), 0, "the newest are kept");
        for event in &events[..BATCH_EVENTS] {
            get(event);
        }
        assert_eq!(made.get(), BATCH_EVENTS, "the others are not");
        let kept = framings.newest.read().unwrap();
        assert_eq!(kept.len(), BATCH_EVENTS);
        assert!(kept.iter().is_sorted_by_key(|(id, _)| *id));
    }

    #[tokio::test]
    async fn of_those_who_need_a_framing_at_once_one_makes_it() {
        let event = events(1).await.remove(0);
        let framings = Framings::default();
        framings.get(&event, |_| {
            assert!(framings.newest.try_read().is_err(), "others wait for it");
        });
    }
}
