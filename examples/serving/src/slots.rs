//! A bound on how many requests may wait at once.

use crate::Problem;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A fixed number of places for streams and parked requests. Clones share them.
///
/// The limit of connections does not bound these: an HTTP/2 connection carries many streams. A request that finds no
/// free place is told so at once, with 503 and `Retry-After`. A queue in front of the places would only move the wait to where
/// nobody sees it.
#[derive(Clone, Debug)]
pub struct Slots {
    /// One permit for each free place; a semaphore, because a permit gives itself back however its holder ends.
    free: Arc<Semaphore>,
    /// How many places there are: the semaphore only knows the free ones.
    size: usize,
}

/// One place; free again when dropped. Keep it in the stream's state.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// This many places.
    pub fn new(size: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    /// Takes a place, if one is free. Never waits.
    ///
    /// # Errors
    /// [`Problem::busy`] (503) where none is free.
    pub fn try_take(&self) -> Result<Slot, Problem> {
        match self.free.clone().try_acquire_owned() {
            Ok(permit) => Ok(Slot { _permit: permit }),
            Err(_) => Err(Problem::busy()),
        }
    }

    /// How many places are taken.
    pub fn in_use(&self) -> usize {
        self.size - self.free.available_permits()
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
}
