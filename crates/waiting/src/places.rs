//! A bound on how many may wait at once.

use crate::problem;
use contract::Problem;
use shares::{Client, Share};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A fixed number of places for streams, sockets and parked requests. Clones share
/// them.
///
/// The limit of connections does not bound these: an HTTP/2 connection carries many
/// streams. A request that finds no free place is refused at once, with 503 and
/// `Retry-After`. A queue in front of the places would only move the wait to where
/// nobody sees it.
#[derive(Clone, Debug)]
pub struct Places {
    /// One permit for each free place; a semaphore, because a permit gives itself back
    /// however its holder ends.
    free: Arc<Semaphore>,
    /// How many places there are: the semaphore only knows the free ones.
    size: usize,
    /// The places of which these are a part, where several methods share one edge.
    total: Option<Arc<Places>>,
}

/// One place; free again when dropped.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _of_total: Option<Box<Place>>,
    /// The same, of what its client may have for itself.
    share: Share,
}

impl Place {
    /// Whose it is.
    pub fn client(&self) -> &Client {
        self.share.client()
    }
}

impl Places {
    /// This many places.
    pub fn new(size: usize) -> Self {
        Self {
            // No machine has more, and tokio's semaphore has no more.
            free: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            size,
            total: None,
        }
    }

    /// For a method in which nobody waits.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// These places, each of which also needs one of `total`.
    #[must_use]
    pub fn within(self, total: Option<&Places>) -> Self {
        Self {
            total: total.map(|total| Arc::new(total.clone())),
            ..self
        }
    }

    /// Acquires a place for somebody who has no share of their own, if one is free.
    /// Never waits.
    ///
    /// # Errors
    /// 503 `busy` where none is free.
    pub fn acquire(&self) -> Result<Place, Problem> {
        self.acquire_for(&Client::default())
    }

    /// Acquires a place for this client, if one is free. Never waits.
    ///
    /// # Errors
    /// 429 `too-many` where it has as many as it may; 503 `busy` where none is free.
    pub fn acquire_for(&self, client: &Client) -> Result<Place, Problem> {
        self.acquire_with(client.wait()?)
    }

    /// Acquires a place for work of this client that outlives its request.
    ///
    /// # Errors
    /// As [`acquire_for`](Self::acquire_for).
    pub fn acquire_for_task(&self, client: &Client) -> Result<Place, Problem> {
        self.acquire_with(client.task()?)
    }

    /// The share first: who has too many is told so, also where the others have all.
    fn acquire_with(&self, share: Share) -> Result<Place, Problem> {
        let of_total = self.total.as_ref().map(|total| total.acquire());
        match self.free.clone().try_acquire_owned() {
            Ok(permit) => Ok(Place {
                _permit: permit,
                _of_total: of_total.transpose()?.map(Box::new),
                share,
            }),
            Err(_) => Err(problem::busy()),
        }
    }

    /// What [`acquire_for`](Self::acquire_for) would answer, without acquiring a place.
    ///
    /// # Errors
    /// As [`acquire_for`](Self::acquire_for).
    pub fn check_for(&self, client: &Client) -> Result<(), Problem> {
        client.check_wait()?;
        self.check()
    }

    /// Whether a place is free, without acquiring it.
    ///
    /// # Errors
    /// 503 `busy` where none is.
    pub fn check(&self) -> Result<(), Problem> {
        if self.free.available_permits() == 0 {
            return Err(problem::busy());
        }
        self.total.as_ref().map_or(Ok(()), |total| total.check())
    }

    /// How many places are in use.
    pub fn in_use(&self) -> usize {
        self.size.min(Semaphore::MAX_PERMITS) - self.free.available_permits()
    }

    /// How many places there are, in use and free.
    pub fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::ProblemKind;

    #[test]
    fn a_place_is_free_again_when_dropped() {
        let places = Places::new(2);
        let first = places.acquire().unwrap();
        let _second = places.clone().acquire().unwrap();
        assert_eq!(places.in_use(), 2);
        let refused = places.acquire().unwrap_err();
        assert_eq!(
            (refused.status, refused.kind()),
            (503, Some(ProblemKind::Busy))
        );
        drop(first);
        assert_eq!(places.in_use(), 1);
        assert!(places.acquire().is_ok());
    }

    #[test]
    fn places_of_several_methods_are_no_more_than_the_total() {
        let total = Places::new(3);
        let streams = Places::new(2).within(Some(&total));
        let sockets = Places::new(2).within(Some(&total));
        let held = [streams.acquire().unwrap(), streams.acquire().unwrap()];
        assert!(streams.acquire().is_err(), "its own are all in use");
        assert_eq!(total.in_use(), 2, "a refusal acquires nothing");
        let last = sockets.acquire().unwrap();
        assert!(sockets.acquire().is_err(), "the total is in use");
        assert_eq!(sockets.in_use(), 1, "a refusal acquires nothing");
        assert!(sockets.check().is_err());
        drop(held);
        assert!(sockets.check().is_ok());
        drop(last);
        assert_eq!((total.in_use(), sockets.in_use()), (0, 0));
    }

    #[test]
    fn a_check_acquires_nothing() {
        let places = Places::new(1);
        assert!(places.check().is_ok());
        let place = places.acquire().unwrap();
        assert!(places.check().is_err());
        drop(place);
        assert_eq!(places.in_use(), 0);
    }
}
