//! Requests that ask only for what the client does not have.

use headers::{ETag, HeaderMapExt, IfNoneMatch};
use http::HeaderMap;

/// Whether a client says, in `If-None-Match`, that it has the version with this tag:
/// then 304 is the answer ([RFC 9110
/// §13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
///
/// The header may be a list, its tags weak, and `*` is whatever there is. Tags are
/// compared weakly. A header that is not understood is as good as none: to send a
/// version again is only a waste.
pub fn is_known(request: &HeaderMap, tag: &ETag) -> bool {
    let known: Option<IfNoneMatch> = request.typed_get();
    known.is_some_and(|known| !known.precondition_passes(tag))
}
