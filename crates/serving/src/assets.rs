//! Pages, modules and style sheets, served from memory.

use crate::is_known;
use axum::{
    response::{IntoResponse, Response},
    routing::{get, MethodRouter},
    Router,
};
use headers::{ETag, HeaderMapExt};
use http::{header, HeaderMap, HeaderValue, StatusCode};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A file: its path where the files are mounted, such as `panel.js`, and its content.
pub type Asset = (&'static str, &'static [u8]);

/// Routes for all of `assets`, each under its path; `index.html` answers at `/`.
///
/// They may be kept, but are asked about before each use (`no-cache` and an `ETag`,
/// [RFC 9110 §8.8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3)): the paths
/// hold no version, and a new page must not run with an old module. The answer is
/// mostly 304.
///
/// # Panics
/// Where two assets have one path, as [`Router::route`] does.
pub fn router<S: Clone + Send + Sync + 'static>(assets: &'static [Asset]) -> Router<S> {
    assets.iter().fold(Router::new(), |router, asset| {
        let path = match asset.0 {
            "index.html" => "",
            path => path,
        };
        router.route(&format!("/{path}"), route(asset))
    })
}

fn route<S: Clone + Send + Sync + 'static>(asset: &'static Asset) -> MethodRouter<S> {
    let tag = tag(asset.1);
    get(move |headers: HeaderMap| async move { answer(asset, tag.as_ref(), &headers) })
}

/// The header `Content-Type` of a file, by the end of its path. A browser refuses a
/// module that has not a type of JavaScript ([RFC
/// 9239](https://www.rfc-editor.org/rfc/rfc9239)).
pub fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A strong entity tag of the content.
///
/// It protects nothing, so it needs no cryptographic hash; where the standard library
/// changes its own, clients load once more.
fn tag(bytes: &[u8]) -> Option<ETag> {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    // Never `None`: a hexadecimal number has no character that a tag may not have.
    format!("\"{:016x}\"", hasher.finish()).parse().ok()
}

fn answer(
    (path, content): &Asset,
    tag: Option<&ETag>,
    request: &HeaderMap,
) -> Response {
    let known = tag.is_some_and(|tag| is_known(request, tag));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => content.into_response(),
    };
    let headers = response.headers_mut();
    if !known {
        let content_type = HeaderValue::from_static(content_type(path));
        headers.insert(header::CONTENT_TYPE, content_type);
        // The type is right; a browser that guesses another could run text as script.
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    }
    if let Some(tag) = tag {
        headers.typed_insert(tag.clone());
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
