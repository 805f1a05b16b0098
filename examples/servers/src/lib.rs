//! Several servers of the book over one log: how to start them, and what proves that
//! nobody notices.
//!
//! - `run.sh` starts three of them behind nginx; see `README.md`.
//! - `nginx.conf` is what stands before them, there and in the tests.
//! - [`history`] checks what publishers were told against what readers have seen.
//! - `tests/servers` kills and pauses servers, engine and proxy, and then asks it.

pub mod history;
