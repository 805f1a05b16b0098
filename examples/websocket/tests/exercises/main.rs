//! The exercises of the book's chapter on WebSocket, each with its test.
//!
//! What stands here are the solutions. To do an exercise, empty the body of its
//! function and write your own.

mod alive;
mod framed;
mod outbox;
mod reopened;
