//! What the client of every method can do.

use crate::{endpoint::Endpoint, Error, Update};
use contract::{Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::stream::Stream;
use std::future::Future;

/// What the client of every method can do.
///
/// A trait, so that code which does not care about the method serves all of them: the
/// conformance suite, for one.
pub trait Client: Send + Sync + 'static {
    /// Events after `position`, across as many connections or requests as it takes.
    /// Dropping the stream ends them.
    ///
    /// # Errors
    /// [`Error`] as the last item, where trying again would not help: the server
    /// refused, or is none of this kind.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, Error>> + Send + 'static;

    /// Where the server's routes lie.
    fn endpoint(&self) -> &Endpoint;

    /// Publishes one event. With a `key` it may be repeated after an error without
    /// making a second one.
    ///
    /// # Errors
    /// [`Error`]; of a refusal, [`Error::problem`] has the kind. An answer must come
    /// within 10 s.
    fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> impl Future<Output = Result<Cursor, Error>> + Send {
        self.endpoint().publish(key, kind, data)
    }
}
