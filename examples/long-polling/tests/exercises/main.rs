//! The exercises of the book's chapter on long polling, each with its test.
//!
//! What stands here are the solutions. To do an exercise, empty the body of its
//! function and write your own.

mod chosen;
mod counted;
mod gathered;
mod woken;
