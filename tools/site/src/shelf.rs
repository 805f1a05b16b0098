//! The newest good build of the book, and the answers from it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, IF_MODIFIED_SINCE, LAST_MODIFIED};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt as _};
use serving::is_known;
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

use crate::book::Edition;

/// Holds the edition that readers get now. Cloning gives another handle to the same shelf.
#[derive(Debug, Clone)]
pub struct Shelf(
    // Replaced whole, so that a request meets one book from beginning to end. A lock and not a channel, because
    // nobody waits for a new edition here; it is held for one clone of the Arc and never across an await.
    Arc<RwLock<Arc<Shelved>>>,
);

/// An edition, and the validator that its files share.
#[derive(Debug)]
struct Shelved {
    edition: Edition,
    /// The same for every file, new with every build. A file's modification time, in whole seconds on the
    /// wire, would call two builds within a second the same.
    tag: Option<ETag>,
}

impl Shelved {
    fn new(edition: Edition) -> Self {
        // Nanoseconds since 1970: another value for another build, also of another run of the server.
        let built = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        // Weak: the same tag goes with a compressed and with a plain body.
        let tag = format!("W/\"{built:x}\"").parse().ok();
        Self { edition, tag }
    }
}

impl Shelf {
    /// A shelf with its first edition.
    pub fn new(edition: Edition) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Shelved::new(edition)))))
    }

    /// Puts a newer edition in the place of the one before. A response that is under way ends with the file
    /// it has open; the older edition's directory goes with its last request.
    pub fn replace(&self, edition: Edition) {
        let shelved = Arc::new(Shelved::new(edition));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shelved;
    }

    /// Answers a request for a file of the book, or with its 404 page.
    pub async fn answer(&self, mut request: Request) -> Response {
        let shelved = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let path = request.uri().path().to_owned();
        let fresh = matches!(*request.method(), Method::GET | Method::HEAD)
            && shelved
                .tag
                .as_ref()
                .is_some_and(|tag| is_known(request.headers(), tag));
        // The tag is the one validator here.
        request.headers_mut().remove(IF_MODIFIED_SINCE);

        let root = shelved.edition.path();
        let files = ServeDir::new(root).not_found_service(ServeFile::new(root.join("404.html")));
        let mut response = match files.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        if response.status() == StatusCode::OK || response.status() == StatusCode::PARTIAL_CONTENT {
            if fresh {
                response = StatusCode::NOT_MODIFIED.into_response();
            }
            if let Some(tag) = &shelved.tag {
                response.headers_mut().typed_insert(tag.clone());
            }
        }
        response.headers_mut().remove(LAST_MODIFIED);
        let caching = if response.status().is_success() && is_hashed(&path) {
            "public, max-age=31536000, immutable"
        } else {
            // Keep it, but ask each time whether it is still the one.
            "no-cache"
        };
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        response
    }
}

/// Whether mdBook put a hash of the content into the file's name, as in `book-a0b12cfe.js`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((_, rest)) = name.rsplit_once('-') else {
        return false;
    };
    let Some((hash, extension)) = rest.split_once('.') else {
        return false;
    };
    // mdBook takes the first 8 hexadecimal digits of a SHA-256, and leaves pages unhashed.
    hash.len() == 8
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && extension != "html"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_name_is_told_from_others() {
        assert!(is_hashed("/css/general-2459343d.css"));
        assert!(is_hashed("/elasticlunr-ef4e11c1.min.js"));
        assert!(!is_hashed("/assets/vendor/mermaid/mermaid.min.js"));
        assert!(!is_hashed("/long-deadbeef.html"));
        assert!(!is_hashed("/book-12345.js"));
        assert!(!is_hashed("/"));
    }
}
