//! Who there is, and what each may do.

use contract::Kind;
use std::collections::{BTreeMap, HashSet};
use waiting::Rights;

/// The people of this server, by name.
#[derive(Clone, Debug, Default)]
pub struct People(BTreeMap<String, Person>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Argon2's hash of the password, which holds salt and parameters.
    pub(crate) hash: String,
    pub(crate) may: May,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct May {
    /// The kinds of events to see; `None` for all.
    pub see: Option<HashSet<Kind>>,
    /// The kinds of events to publish; `None` for all.
    pub publish: Option<HashSet<Kind>>,
    /// Whether to say what others may do.
    pub rule: bool,
}

impl May {
    /// Everything.
    pub fn all() -> Self {
        Self {
            see: None,
            publish: None,
            rule: true,
        }
    }

    /// To see and to publish events of these kinds.
    ///
    /// # Panics
    /// Where one is no kind.
    pub fn only(see: &[&str], publish: &[&str]) -> Self {
        let kinds = |names: &[&str]| {
            let names = names.iter();
            Some(names.map(|name| name.parse().expect("a kind")).collect())
        };
        Self {
            see: kinds(see),
            publish: kinds(publish),
            rule: false,
        }
    }

    pub(crate) fn rights(&self) -> Rights {
        let mut rights = Rights::all();
        if let Some(kinds) = self.see.clone() {
            rights = rights.seeing(move |event| kinds.contains(event.kind()));
        }
        if let Some(kinds) = self.publish.clone() {
            rights = rights.publishing(move |kind| kinds.contains(kind));
        }
        rights
    }
}

impl People {
    /// Nobody yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, and this person. It takes a while: a password's hash is meant to.
    #[must_use]
    pub fn with(mut self, name: &str, password: &str, may: May) -> Self {
        let hash = password_auth::generate_hash(password);
        self.0.insert(name.to_owned(), Person { hash, may });
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Person> {
        self.0.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Person> {
        self.0.get_mut(name)
    }
}
