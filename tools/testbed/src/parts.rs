//! Parts from outside that a test needs, a browser for example: found, or named as missing.

use anyhow::Context as _;
use libtest_mimic::{Completion, Failed, Trial};
use std::{
    env,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a test did not run: a part is not on this machine. A test returns it as its error.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Missing(pub anyhow::Error);

/// The variables of the environment that name a proxy. A program that a test starts does not get
/// them: what it asks is on this machine, and not every program knows that no proxy leads there.
pub const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// Why a test did not run: the system does not allow what it needs. That is no part which could be
/// installed, so it is no failure anywhere.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Forbidden(pub anyhow::Error);

/// What a test comes to. One that says [`Forbidden`] is ignored with the reason. One that says
/// [`Missing`] is too, or fails where `REQUIRE_PARTS=1` is set, as the automatic checks do.
///
/// # Errors
/// Why it failed, for a person to read.
pub fn outcome(tested: anyhow::Result<()>) -> Result<Completion, Failed> {
    let required = env::var_os("REQUIRE_PARTS").is_some_and(|value| value == "1");
    match tested {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match (error.downcast_ref(), error.downcast_ref::<Missing>()) {
            (Some(forbidden @ Forbidden(_)), _) => Ok(Completion::ignored_with(forbidden)),
            (_, Some(missing)) if !required => Ok(Completion::ignored_with(missing)),
            _ => Err(Failed::from(format!("{error:#}"))),
        },
    }
}

/// A trial that comes to an [`outcome`], and fails if it has none within `limit`.
pub fn trial<F, T>(name: &str, limit: Duration, test: F) -> Trial
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = anyhow::Result<()>> + 'static,
{
    Trial::ignorable_test(name, move || {
        let runtime = crate::seeded::runtime()?;
        let tested = runtime.block_on(async { tokio::time::timeout(limit, test()).await });
        outcome(tested.context("it hangs").and_then(|tested| tested))
    })
}

/// Where `.ci/run` installs what no system package brings: this path under `target/parts` of the
/// workspace.
pub fn installed(path: impl AsRef<Path>) -> PathBuf {
    // Two directories up from this crate.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new(""))
        .join("target/parts")
        .join(path)
}
