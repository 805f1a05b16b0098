//! The exercises of the book's chapter on Server-Sent Events, each with its test.
//!
//! What stands here are the solutions. To do an exercise, empty the body of its
//! function and write your own.

mod coalesced;
mod dispatched;
mod filtered;
mod retried;
