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
use web::Asset;

/// Routes for all of `assets`, each under its name.
///
/// Nest it where a page expects them: `Router::new().nest("/web",
/// assets::router(web::MODULES))`.
///
/// # Panics
/// Where two assets have one name, as [`Router::route`] does.
pub fn router<S: Clone + Send + Sync + 'static>(assets: &'static [Asset]) -> Router<S> {
    assets.iter().fold(Router::new(), |router, asset| {
        router.route(&format!("/{}", asset.name), route(asset))
    })
}

/// A route for one asset under any path: a page at `/`, for example.
///
/// It may be kept, but is asked about before each use (`no-cache` and an `ETag`, [RFC
/// 9110 §8.8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3)): the names hold
/// no version, and a page of today with a module of yesterday would be a riddle. 304
/// answers most of those questions.
pub fn route<S: Clone + Send + Sync + 'static>(
    asset: &'static Asset,
) -> MethodRouter<S> {
    let tag = tag(asset.bytes);
    get(move |headers: HeaderMap| async move { answer(asset, tag.as_ref(), &headers) })
}

/// A strong entity tag of the content.
///
/// Nobody is kept out by it, so it needs no cryptographic hash; where the standard
/// library changes its own, clients load once more.
fn tag(bytes: &[u8]) -> Option<ETag> {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    // Never `None`: a hexadecimal number has no character that a tag may not have.
    format!("\"{:016x}\"", hasher.finish()).parse().ok()
}

fn answer(asset: &Asset, tag: Option<&ETag>, request: &HeaderMap) -> Response {
    let known = tag.is_some_and(|tag| is_known(request, tag));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.bytes.into_response(),
    };
    let headers = response.headers_mut();
    if !known {
        let content_type = HeaderValue::from_static(asset.content_type);
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
