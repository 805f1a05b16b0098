//! One face for the clients of all methods.

use crate::ClientError;
use feed::{contract::Update, Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::stream::Stream;
use std::future::Future;

/// What the client of every method can do.
///
/// A trait, so that code which does not care about the method serves all of them: the
/// conformance suite, for one.
pub trait Follow: Send + Sync + 'static {
    /// Events after `position`, across as many connections or requests as it takes.
    /// Dropping the stream ends them.
    ///
    /// # Errors
    /// [`ClientError`] as the last item, where trying again would not help: the server
    /// refused, or is none of this kind.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, ClientError>> + Send + 'static;

    /// Publishes one event. With a `key` it may be repeated after an error without
    /// making a second one.
    ///
    /// # Errors
    /// [`ClientError`]; of a refusal, [`ClientError::problem`] tells the kind.
    fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> impl Future<Output = Result<Cursor, ClientError>> + Send;
}
