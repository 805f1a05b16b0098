//! What a client proves its right with, and how it gets another.

use crate::Failure;
use contract::socket::Auth;
use reqwest::{
    header::{HeaderMap, HeaderName, HeaderValue, AUTHORIZATION},
    RequestBuilder,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

/// What a request proves its right with.
#[derive(Clone, Default)]
pub struct Credential {
    headers: HeaderMap,
    /// For the next stream or socket, and for it alone.
    ticket: Option<(String, String)>,
    /// For the next socket.
    first: Option<Auth>,
}

impl fmt::Debug for Credential {
    /// Without its content, which must not come into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    /// None: for a client whose HTTP client keeps cookies.
    pub fn none() -> Self {
        Self::default()
    }

    /// The header `Authorization: Bearer TOKEN` (RFC 6750 §2.1), with each request.
    ///
    /// # Panics
    /// Where the token is not fit for a header.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        let value = format!("Bearer {token}").try_into();
        Self::none().with_header(AUTHORIZATION, value.expect("fit for a header"))
    }

    /// The same, and this header with each request.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self
    }

    /// The same, and this parameter in the query of the next stream or socket, and in
    /// no other: a ticket that is good for one use.
    #[must_use]
    pub fn with_ticket(mut self, name: &str, ticket: &str) -> Self {
        self.ticket = Some((name.to_owned(), ticket.to_owned()));
        self
    }

    /// The same, and this token as the first message of the next socket.
    #[must_use]
    pub fn with_first_message(mut self, token: &str) -> Self {
        self.first = Some(Auth {
            token: token.into(),
        });
        self
    }

    /// What goes into the query of a connection, and its first message.
    pub(crate) fn once(&self) -> (Option<(&str, &str)>, Option<Auth>) {
        let ticket = self.ticket.as_ref();
        let ticket = ticket.map(|(name, value)| (&**name, &**value));
        (ticket, self.first.clone())
    }

    /// What goes with each request.
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        request.headers(self.headers.clone())
    }
}

type Renewing = Pin<Box<dyn Future<Output = Result<Credential, Failure>> + Send>>;

/// Where a client gets its credentials, and the one that it has. Clones share both.
#[derive(Clone)]
pub(crate) struct Renewer {
    renew: Arc<dyn Fn() -> Renewing + Send + Sync>,
    kept: Arc<Mutex<Option<Credential>>>,
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewer")
    }
}

impl Renewer {
    pub(crate) fn new<F>(renew: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credential, Failure>> + Send + 'static,
    {
        Self {
            renew: Arc::new(move || Box::pin(renew())),
            kept: Arc::default(),
        }
    }

    /// Another credential.
    pub(crate) async fn renewed(&self) -> Result<Credential, Failure> {
        let credential = (self.renew)().await?;
        *self.lock() = Some(credential.clone());
        Ok(credential)
    }

    /// The one that there is, or another.
    pub(crate) async fn current(&self) -> Result<Credential, Failure> {
        let kept = self.lock().clone();
        match kept {
            Some(kept) => Ok(kept),
            None => self.renewed().await,
        }
    }

    /// The server has refused it.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Credential>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
