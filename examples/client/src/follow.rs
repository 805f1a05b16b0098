//! One face for the clients of all methods.

use crate::ClientError;
use feed::{contract::Update, Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::{future::BoxFuture, stream::BoxStream};

/// What every method's client can do, for code that does not care which one it has: the conformance suite, for one.
///
/// Boxed, so that such code can hold clients of several kinds. A client's own `subscribe` and `publish` do the same
/// without the boxes.
pub trait Follow: Send + Sync + 'static {
    /// Events after `position`, across as many connections or requests as it takes. Dropping the stream ends them.
    ///
    /// # Errors
    /// [`ClientError`] as the last item, where trying again would not help.
    fn subscribe(&self, position: Position) -> BoxStream<'static, Result<Update, ClientError>>;

    /// Publishes one event. With a `key` it may be repeated after an error without making a second one.
    ///
    /// # Errors
    /// [`ClientError`].
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, ClientError>>;
}
