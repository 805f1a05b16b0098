//! Tasks. The browser runs them, one at a time, between its own.

use std::{convert::Infallible, future::Future};

/// What runs tasks: the browser.
#[derive(Clone, Debug)]
pub struct Handle(());

impl Handle {
    /// The browser, which is always there.
    ///
    /// # Errors
    /// None.
    pub fn try_current() -> Result<Self, Infallible> {
        Ok(Self(()))
    }

    /// As [`spawn`].
    pub fn spawn(&self, task: impl Future + 'static) {
        spawn(task);
    }
}

/// Runs a task beside others. Nobody can wait for it.
pub fn spawn(task: impl Future + 'static) {
    wasm_bindgen_futures::spawn_local(async {
        task.await;
    });
}
