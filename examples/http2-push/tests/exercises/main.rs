//! The exercises of the book's chapter on HTTP/2 push, each with its test.
//!
//! What stands here are the solutions. To do an exercise, empty the body of its
//! function and write your own.

mod header;
mod hints;
mod promised;
