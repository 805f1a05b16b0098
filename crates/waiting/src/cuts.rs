//! Connections that are broken on request, so that a reader can watch a client recover.

use signal::{Raised, Signal};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use thiserror::Error;

/// The connections that may be cut, by the names that their clients gave them. Clones
/// share them.
///
/// For a demonstration: it lets anybody who knows a connection's random name end it, so
/// it is to be switched on.
#[derive(Clone, Debug)]
pub struct Cuts {
    /// Whether anything may be cut.
    allowed: bool,
    /// One entry for each name in use, so never more than there are connections. Locked
    /// when one opens, closes or is cut, and not while events flow.
    by_name: Arc<Mutex<HashMap<String, Named>>>,
}

#[derive(Debug, Default)]
struct Named {
    /// Raised to break every connection of this name.
    cut: Signal,
    /// How many have it: two tabs may have drawn the same name, or one reconnects
    /// before its old connection is gone.
    connections: usize,
}

/// One open connection, under its name if it has one; forgotten when dropped.
///
/// Boxed: most connections have none, and need no room for it.
#[derive(Debug)]
pub(crate) struct Cuttable(Option<Box<Registered>>);

#[derive(Debug)]
struct Registered {
    cuts: Cuts,
    name: String,
    /// Raised when this connection shall break.
    cut: Raised,
}

/// The connection was cut on request.
///
/// As the error of a body it makes hyper break the connection off instead of ending the
/// body, which is what a lost network looks like to a browser.
#[derive(Clone, Copy, Debug, Error)]
#[error("the connection was cut on request")]
pub struct Cut;

/// The name that a client gave its connection: `?connection=NAME`, or `None` without
/// one.
#[derive(Clone, Debug)]
pub struct ConnectionName(pub Option<String>);

impl Cuts {
    /// None yet. Unless `allowed`, there never will be any.
    pub fn new(allowed: bool) -> Self {
        Self {
            allowed,
            by_name: Arc::default(),
        }
    }

    /// Registers a connection. It cannot be cut without a name of 1 to 64 of
    /// `[A-Za-z0-9_-]`, which stands in a URL as it is.
    pub(crate) fn register(&self, ConnectionName(name): ConnectionName) -> Cuttable {
        let name = name.filter(|name| self.allowed && is_plain(name));
        Cuttable(name.map(|name| {
            let cut = {
                let mut by_name = self.lock();
                let named = by_name.entry(name.clone()).or_default();
                named.connections += 1;
                named.cut.raised()
            };
            Box::new(Registered {
                cuts: self.clone(),
                name,
                cut,
            })
        }))
    }

    /// Breaks the connections of this name; whether there were any.
    pub fn cut(&self, name: &str) -> bool {
        let mut by_name = self.lock();
        // Taken out, so that a client which reconnects under the same name gets a
        // signal of its own and lives.
        let Some(named) = by_name.remove(name) else {
            return false;
        };
        // Under the lock: a connection of this name that is dropped meanwhile finds
        // either its entry or itself cut, and never the entry of a newer one.
        named.cut.raise();
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Named>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl Cuttable {
    /// Completes when this connection shall break; never, where it cannot be cut.
    /// Cancel-safe, and completes again once it has.
    pub(crate) async fn cut(&mut self) {
        match &mut self.0 {
            Some(registered) => (&mut registered.cut).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.signal().is_some_and(Signal::is_raised)
    }

    /// The signal behind it, where it can be cut.
    pub(crate) fn signal(&self) -> Option<&Signal> {
        self.0.as_ref().map(|registered| registered.cut.signal())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut by_name = self.cuts.lock();
        if self.cut.signal().is_raised() {
            // Its entry was removed when it was cut; one that is there now is a newer
            // connection's.
            return;
        }
        if let Some(named) = by_name.get_mut(&self.name) {
            named.connections -= 1;
            if named.connections == 0 {
                by_name.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ConnectionName {
        ConnectionName(Some(name.to_owned()))
    }

    #[test]
    fn a_cut_breaks_the_connections_of_its_name_and_no_later_one() {
        let cuts = Cuts::new(true);
        let (first, second) = (cuts.register(named("a")), cuts.register(named("a")));
        let other = cuts.register(named("b"));
        assert!(cuts.cut("a"));
        let is_cut = Cuttable::is_cut;
        assert!(is_cut(&first) && is_cut(&second) && !is_cut(&other));
        let again = cuts.register(named("a"));
        drop((first, second));
        assert!(!is_cut(&again));
        assert!(cuts.cut("a"), "the newer connection is still known");
        assert!(!cuts.cut("a"));
        drop(other);
        assert!(cuts.lock().is_empty());
    }

    #[test]
    fn a_name_is_plain_and_nothing_is_registered_unless_allowed() {
        let cuts = Cuts::new(true);
        for wrong in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(cuts.register(named(wrong)).0.is_none(), "{wrong:?}");
        }
        let never = Cuts::new(false);
        let held = never.register(named("a"));
        assert!(held.0.is_none() && !never.cut("a"));
    }
}
