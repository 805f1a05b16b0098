//! What the browser tests stand on: real browsers, driven over WebDriver, against servers of this
//! process.
//!
//! - [`parts`]: the programs from outside that the tests need, and what happens where they are
//!   missing.
//! - [`engine`]: what differs from browser to browser.
//! - [`driver`]: a WebDriver server as a child process, and the browsers it starts.
//! - [`page`]: one window of a browser: scripts, conditions, clicks, and what went wrong in it.
//! - [`results`]: what clients did when somebody last looked, kept beside a test and shown as a
//!   table.
//! - [`served`]: a server on a free port that remembers its requests and can hold some back.
//! - [`suite`]: the tests as trials of libtest-mimic.

pub mod driver;
pub mod engine;
pub mod page;
pub mod parts;
pub mod results;
pub mod served;
pub mod suite;

use std::time::Duration;

/// How long a test waits for a condition before it counts as hung. Long: it is met only where
/// something is broken, and a machine that also compiles is slow.
pub const HANG: Duration = Duration::from_secs(60);

/// How often a condition is looked at. Short beside what a person notices, and long beside what one
/// look costs.
const LOOK: Duration = Duration::from_millis(15);
