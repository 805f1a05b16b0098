//! Connections that are broken on request, so that a reader can watch a browser recover.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The streams that may be cut, by the names that their clients gave them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cuts {
    /// One entry for each name in use, so never more than there are streams. Locked when a stream opens, closes or is
    /// cut, and not while events flow.
    by_name: Arc<Mutex<HashMap<String, Named>>>,
}

#[derive(Debug, Default)]
struct Named {
    /// Cancelled to break every stream of this name.
    cut: CancellationToken,
    /// How many streams have it: two tabs may have drawn the same name, or one reconnects before its old stream is
    /// gone.
    streams: usize,
}

/// One open stream under its name; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Cuttable {
    cuts: Cuts,
    name: String,
    /// Cancelled when this stream shall break.
    pub(crate) cut: CancellationToken,
}

impl Cuts {
    /// Registers a stream. `None` if this is no name: 1 to 64 of `[A-Za-z0-9_-]`, so that it stands in a URL as it is.
    pub(crate) fn register(&self, name: &str) -> Option<Cuttable> {
        let right = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !right {
            return None;
        }
        let mut by_name = self.lock();
        let named = by_name.entry(name.to_owned()).or_default();
        named.streams += 1;
        let cut = named.cut.clone();
        drop(by_name);
        Some(Cuttable {
            cuts: self.clone(),
            name: name.to_owned(),
            cut,
        })
    }

    /// Breaks the streams of this name; whether there were any.
    pub(crate) fn cut(&self, name: &str) -> bool {
        // Taken out, so that a stream which reconnects under the same name gets a token of its own and lives.
        let Some(named) = self.lock().remove(name) else {
            return false;
        };
        named.cut.cancel();
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Named>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            // Its entry was taken out when it was cut; one that is there now is a newer stream's.
            return;
        }
        let mut by_name = self.cuts.lock();
        if let Some(named) = by_name.get_mut(&self.name) {
            named.streams -= 1;
            if named.streams == 0 {
                by_name.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_breaks_the_streams_of_its_name_and_no_later_one() {
        let cuts = Cuts::default();
        let (first, second) = (cuts.register("a").unwrap(), cuts.register("a").unwrap());
        let other = cuts.register("b").unwrap();
        assert!(cuts.cut("a"));
        assert!(first.cut.is_cancelled() && second.cut.is_cancelled() && !other.cut.is_cancelled());
        let again = cuts.register("a").unwrap();
        drop((first, second));
        assert!(!again.cut.is_cancelled());
        assert!(cuts.cut("a"), "the newer stream is still known");
        assert!(!cuts.cut("a"));
        drop(other);
        assert!(cuts.lock().is_empty());
    }

    #[test]
    fn a_name_is_plain() {
        let cuts = Cuts::default();
        for wrong in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(cuts.register(wrong).is_none(), "{wrong:?}");
        }
    }
}
