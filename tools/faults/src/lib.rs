//! Servers of the book in a process of their own, so that a test can read their memory, and signal
//! or kill them; and what the tests of faults share.
//!
//! The tests lie by topic: `tests/slow` for readers that are slow, half-open or abusive.

mod child;
mod settings;

pub use child::Child;
pub use settings::{serve, Settings};
