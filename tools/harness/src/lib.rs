//! What the tests of the methods share: a server over a log whose every byte is known, and the
//! conformance suite over real sockets with that server in the same process.
//!
//! It depends on no method. A test hands in its method's router.
//!
//! Here a failure is a panic: only tests call this, and the tool that writes the book's captures.

pub mod conformance;
mod doorkeeper;
mod server;

pub use doorkeeper::Doorkeeper;
pub use server::{say, still_feed, Server};

use client::Pace;
use std::time::Duration;

/// The pace of a client in a test: one that was cut does not make the test wait.
pub const BRISK: Pace = Pace {
    first: Duration::from_millis(5),
    cap: Duration::from_millis(50),
};
