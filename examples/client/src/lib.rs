//! What the Rust clients share.
