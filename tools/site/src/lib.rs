//! Builds the book and serves it, with every example's live server, on one port.
//!
//! The parts, each usable alone:
//!
//! - [`book`] builds the book with mdBook as a library, always into a new directory;
//! - [`shelf`] holds the newest good build and answers requests from it;
//! - [`push`] is the HTTP/2 push server beside the book;
//! - [`server`] puts the shelf and the live servers under one router;
//! - [`watch`] rebuilds when a source changes;
//! - [`cli`] is the command line over them.

pub mod book;
pub mod cli;
mod drawings;
pub mod limits;
pub mod push;
pub mod server;
pub mod shelf;
pub mod watch;

pub use server::methods;
