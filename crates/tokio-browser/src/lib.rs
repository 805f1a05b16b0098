//! What the servers use of tokio, in a browser.
//!
//! Locks, channels, `select!` and the traits of IO need no runtime, and are tokio's
//! own. Its clock, its timers and its tasks need one that no browser can run: a thread
//! of WebAssembly may not sleep. Here these are the browser's, under the same names and
//! with the same promises. Only what the servers use is here; the rest does not
//! compile, so that nothing panics at run time.
//!
//! A crate takes it in place of tokio, and none of its other lines changes:
//!
//! ```ignore
//! #[cfg(target_family = "wasm")]
//! extern crate tokio_browser as tokio;
//! ```
//!
//! On other targets the crate is empty, but for the order in which sleepers are woken,
//! which is tested there.

#[cfg(target_family = "wasm")]
pub mod runtime;
#[cfg(any(target_family = "wasm", test))]
mod sleepers;
#[cfg(target_family = "wasm")]
pub mod time;

#[cfg(target_family = "wasm")]
pub use ::tokio::*;
#[cfg(target_family = "wasm")]
pub use runtime::spawn;
