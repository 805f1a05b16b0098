//! The browser modules that every page shares.
