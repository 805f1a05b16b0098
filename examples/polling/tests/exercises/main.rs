//! The exercises of the book's chapter on polling, each with its test.
//!
//! What stands here are the solutions. To do an exercise, empty the body of its
//! function and write your own.

mod adaptive;
mod not_modified;
mod pause;
mod snapshot;
