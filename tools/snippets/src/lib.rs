//! Compiles and runs every Rust block of the book as the reader sees it, and holds its dated claims
//! to their entries.
//!
//! [`book`] expands the chapters the way mdBook does, holds them to the rules in this package's
//! README.md, and lets skeptic write one test for each Rust block. The build script runs the same
//! module. [`watchdog`] ends a snippet that does not end by itself.

pub mod book;
pub mod watchdog;
