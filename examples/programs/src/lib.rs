//! The whole programs of the chapters, each in the folder of its page: what is in
//! `sse/` is shown in `src/sse/index.md`.
//!
//! Each starts a server on a free port, does what its page describes, checks it and
//! ends. Run one with `cargo run --example NAME`.
