//! Whether one more may wait.

use crate::{Place, Places};
use contract::Problem;
use shares::Client;
use signal::Signal;
use std::time::Duration;

/// What everything that stays open passes first: the server must not be ending, and a
/// place must be free. Clones share the places.
#[derive(Clone, Debug)]
pub struct Door {
    end: Signal,
    places: Places,
    /// How long a stream may be open.
    max_age: Option<Duration>,
}

impl Door {
    /// Open until `end` is raised, for as many as there are `places`.
    pub fn new(end: Signal, places: Places) -> Self {
        Self {
            end,
            places,
            max_age: None,
        }
    }

    /// The same, where a stream is ended that has been open for longest: each at an age
    /// of its own, drawn between half of `max_age` and all of it. Those that came in
    /// one moment then do not leave in one.
    #[must_use]
    pub fn with_max_age(self, max_age: Option<Duration>) -> Self {
        Self { max_age, ..self }
    }

    /// The age at which one more stream is to end.
    pub(crate) fn draw_age(&self) -> Option<Duration> {
        let age = self.max_age?;
        Some(age.mul_f64(0.5 + fastrand::f64() / 2.0))
    }

    /// The signal that is raised when the server begins to end.
    pub fn end(&self) -> &Signal {
        &self.end
    }

    /// Refuses new work once the server ends.
    ///
    /// # Errors
    /// 503 `ending`.
    pub fn check_open(&self) -> Result<(), Problem> {
        match self.end.is_raised() {
            true => Err(crate::problem::ending()),
            false => Ok(()),
        }
    }

    /// Acquires a place for this client.
    ///
    /// # Errors
    /// 503 `ending`; 429 `too-many` where the client has as many as it may; and 503
    /// `busy` where no place is free.
    pub fn enter(&self, client: &Client) -> Result<Place, Problem> {
        self.check_open()?;
        self.places.acquire_for(client)
    }

    /// What [`enter`](Self::enter) would answer, without acquiring a place: acquired
    /// for a moment, the last one would be missing for somebody who comes then.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub fn check(&self, client: &Client) -> Result<(), Problem> {
        self.check_open()?;
        self.places.check_for(client)
    }
}
