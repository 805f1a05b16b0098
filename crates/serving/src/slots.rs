//! A bound on how many requests may wait at once.

use contract::Problem;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A fixed number of places for streams and parked requests. Clones share them.
///
/// The limit of connections does not bound these: an HTTP/2 connection carries many
/// streams. A request that finds no free place is told so at once, with 503 and
/// `Retry-After`. A queue in front of the places would only move the wait to where
/// nobody sees it.
#[derive(Clone, Debug)]
pub struct Slots {
    /// One permit for each free place; a semaphore, because a permit gives itself back
    /// however its holder ends.
    free: Arc<Semaphore>,
    /// How many places there are: the semaphore only knows the free ones.
    size: usize,
    /// The places of which these are a part, where several methods share one edge.
    whole: Option<Arc<Slots>>,
}

/// One place; free again when dropped. Keep it in the stream's state.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    _of_whole: Option<Box<Slot>>,
}

impl Slots {
    /// This many places.
    pub fn new(size: usize) -> Self {
        Self {
            // No machine has more, and tokio's semaphore takes no more.
            free: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            size,
            whole: None,
        }
    }

    /// These places, each of which also takes one of `whole`.
    #[must_use]
    pub fn within(self, whole: Option<&Slots>) -> Self {
        Self {
            whole: whole.map(|whole| Arc::new(whole.clone())),
            ..self
        }
    }

    /// Takes a place, if one is free. Never waits.
    ///
    /// # Errors
    /// [`Problem::busy`] (503) where none is free.
    pub fn try_take(&self) -> Result<Slot, Problem> {
        let of_whole = self.whole.as_ref().map(|whole| whole.try_take());
        match self.free.clone().try_acquire_owned() {
            Ok(permit) => Ok(Slot {
                _permit: permit,
                _of_whole: of_whole.transpose()?.map(Box::new),
            }),
            Err(_) => Err(Problem::busy()),
        }
    }

    /// Whether a place is free, without taking it.
    ///
    /// # Errors
    /// [`Problem::busy`] (503) where none is.
    pub fn look(&self) -> Result<(), Problem> {
        if self.free.available_permits() == 0 {
            return Err(Problem::busy());
        }
        self.whole.as_ref().map_or(Ok(()), |whole| whole.look())
    }

    /// How many places are taken.
    pub fn in_use(&self) -> usize {
        self.size.min(Semaphore::MAX_PERMITS) - self.free.available_permits()
    }

    /// How many places there are, taken and free.
    pub fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_dropped() {
        let slots = Slots::new(2);
        let first = slots.try_take().unwrap();
        let _second = slots.clone().try_take().unwrap();
        assert_eq!(slots.in_use(), 2);
        let refused = slots.try_take().unwrap_err();
        assert_eq!((refused.status, refused.name()), (503, Some("busy")));
        drop(first);
        assert_eq!(slots.in_use(), 1);
        assert!(slots.try_take().is_ok());
    }

    #[test]
    fn places_of_several_methods_are_no_more_than_the_whole() {
        let whole = Slots::new(3);
        let streams = Slots::new(2).within(Some(&whole));
        let sockets = Slots::new(2).within(Some(&whole));
        let taken = [streams.try_take().unwrap(), streams.try_take().unwrap()];
        assert!(streams.try_take().is_err(), "its own are all taken");
        assert_eq!(whole.in_use(), 2, "a refusal takes nothing");
        let last = sockets.try_take().unwrap();
        assert!(sockets.try_take().is_err(), "the whole is taken");
        assert_eq!(sockets.in_use(), 1, "a refusal takes nothing");
        assert!(sockets.look().is_err());
        drop(taken);
        assert!(sockets.look().is_ok());
        drop(last);
        assert_eq!((whole.in_use(), sockets.in_use()), (0, 0));
    }

    #[test]
    fn a_look_takes_nothing() {
        let slots = Slots::new(1);
        assert!(slots.look().is_ok());
        let slot = slots.try_take().unwrap();
        assert!(slots.look().is_err());
        drop(slot);
        assert_eq!(slots.in_use(), 0);
    }
}
