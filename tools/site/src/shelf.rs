//! The newest good build of the book, and the answers from it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE,
    LOCATION, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt as _, IfMatch, IfRange};
use percent_encoding::percent_decode_str;
use serving::is_known;

use crate::book::{BuildError, Edition};

/// Holds the edition that readers get now. Cloning gives another handle to the same shelf.
#[derive(Debug, Clone)]
pub struct Shelf(
    // Replaced whole, so that a request meets one book from beginning to end. A lock and not a
    // channel, because nobody waits for a new edition here; it is held for one clone of the Arc and
    // never across an await.
    Arc<RwLock<Arc<Shelved>>>,
);

impl Shelf {
    /// A shelf with its first edition, whose directory is needed no longer.
    ///
    /// # Errors
    /// [`BuildError::Io`] if a file of it cannot be read.
    pub fn new(edition: &Edition) -> Result<Self, BuildError> {
        let shelved = Shelved::read(edition.path())?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(shelved)))))
    }

    /// Puts a newer edition in the place of the one before. A response that is under way ends with
    /// the file it has.
    ///
    /// # Errors
    /// As [`new`](Self::new); the one before then stays.
    pub fn replace(&self, edition: &Edition) -> Result<(), BuildError> {
        let shelved = Arc::new(Shelved::read(edition.path())?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shelved;
        Ok(())
    }

    /// Answers a request for a file of the book, or with its 404 page.
    pub fn answer(&self, request: &Request) -> Response {
        let shelved = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        shelved.answer(request)
    }
}

/// A book in memory. In a temporary directory, whatever tidies such directories would take the
/// pages that nobody reads for days; and no path of a request ever reaches the file system.
#[derive(Debug)]
struct Shelved {
    /// By their paths, such as `sse/index.html`.
    files: BTreeMap<String, Bytes>,
    /// The same for every file, new with every build. A file's modification time, in whole seconds
    /// on the wire, would call two builds within a second the same. A strong one: it names these
    /// bytes. Whoever compresses them weakens it.
    tag: Option<ETag>,
}

impl Shelved {
    fn read(directory: &Path) -> Result<Self, BuildError> {
        // Nanoseconds since 1970: another value for another build, also of another run of the
        // server.
        let built = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let mut files = BTreeMap::new();
        collect(directory, "", &mut files)?;
        Ok(Self {
            files,
            tag: format!("\"{built:x}\"").parse().ok(),
        })
    }

    fn answer(&self, request: &Request) -> Response {
        match self.find(request.uri().path()) {
            None => self.not_found(),
            Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                let allow = [(ALLOW, HeaderValue::from_static("GET, HEAD"))];
                (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
            }
            Some(Found::Directory(name)) => to_directory(name, request.uri().query()),
            Some(Found::File(name, content)) => self.file(name, content, request),
        }
    }

    /// What lies at the path of a URL.
    fn find(&self, path: &str) -> Option<Found<'_>> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let path = path.strip_prefix('/')?;
        let page = match path.is_empty() || path.ends_with('/') {
            true => format!("{path}index.html"),
            false => path.to_owned(),
        };
        if let Some((name, content)) = self.files.get_key_value(&page) {
            return Some(Found::File(name, content));
        }
        let (page, _) = self.files.get_key_value(&format!("{path}/index.html"))?;
        let directory = page.strip_suffix("/index.html")?;
        Some(Found::Directory(directory.rsplit('/').next()?))
    }

    /// A file, a part of it, or word that the client has it ([RFC 9110
    /// §13.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2)).
    fn file(&self, name: &str, content: &Bytes, request: &Request) -> Response {
        let asked = request.headers();
        let mut response = match (&self.tag, part(asked, content.len(), self.tag.as_ref())) {
            (Some(tag), _) if is_unwanted(asked, tag) => {
                StatusCode::PRECONDITION_FAILED.into_response()
            }
            (Some(tag), _) if is_known(asked, tag) => StatusCode::NOT_MODIFIED.into_response(),
            (_, Part::None) => {
                let all = [(CONTENT_RANGE, format!("bytes */{}", content.len()))];
                (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response()
            }
            (_, Part::Some(range)) if request.method() == Method::GET => {
                let (first, last) = (range.start, range.end - 1);
                let which = format!("bytes {first}-{last}/{}", content.len());
                let headers = [(CONTENT_RANGE, which)];
                let body = body(name, content.slice(range));
                (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
            }
            _ => body(name, content.clone()).into_response(),
        };
        let headers = response.headers_mut();
        if let Some(tag) = &self.tag {
            headers.typed_insert(tag.clone());
        }
        let caching = if is_hashed(name) {
            "public, max-age=31536000, immutable"
        } else {
            // Keep it, but ask each time whether it is still the one.
            "no-cache"
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response
    }

    fn not_found(&self) -> Response {
        const NAME: &str = "404.html";
        let page = self.files.get(NAME).cloned().unwrap_or_default();
        let caching = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        (StatusCode::NOT_FOUND, caching, body(NAME, page)).into_response()
    }
}

/// What a path leads to.
enum Found<'a> {
    /// A file, by its whole path.
    File(&'a str, &'a Bytes),
    /// A directory with an `index.html`, by its own name. A page's relative links miss without the
    /// slash at its end.
    Directory(&'a str),
}

/// Reads every file below `directory`, each under its path there.
fn collect(
    directory: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Bytes>,
) -> Result<(), BuildError> {
    for entry in fs::read_dir(directory).map_err(BuildError::io(directory))? {
        let path = entry.map_err(BuildError::io(directory))?.path();
        // No URL of this book leads to a name that is no text.
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            let content = fs::read(&path).map_err(BuildError::io(&path))?;
            files.insert(name, content.into());
        }
    }
    Ok(())
}

/// The address of a directory beside the path that was asked for: relative, so that it also holds
/// behind a proxy that serves the book under a path of its own.
pub(crate) fn with_slash(name: &str, query: Option<&str>) -> String {
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{name}/{query}")
}

/// Sends the client to the directory of this name, which is one in the book, so that it leads to no
/// other site.
fn to_directory(name: &str, query: Option<&str>) -> Response {
    let headers = [
        (LOCATION, with_slash(name, query)),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// What a body is sent with. The length is also what tells the compression whether it is worth its
/// time.
fn body(name: &str, content: Bytes) -> ([(HeaderName, HeaderValue); 3], Body) {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
        (CONTENT_LENGTH, HeaderValue::from(content.len())),
        // The type is right; a browser that guesses another could run text as script.
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, Body::from(content))
}

/// The types of what mdBook writes, and of this book's own assets.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// Whether the client wants the file only as it was under another tag (RFC 9110 §13.1.1).
fn is_unwanted(asked: &HeaderMap, tag: &ETag) -> bool {
    let wanted: Option<IfMatch> = asked.typed_get();
    wanted.is_some_and(|wanted| !wanted.precondition_passes(tag))
}

/// How much of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All of it: nothing else is asked for, or in words that a server may pass over
    /// ([RFC 9110 §14.2](https://www.rfc-editor.org/rfc/rfc9110#section-14.2)).
    All,
    /// These bytes, at least one.
    Some(Range<usize>),
    /// Bytes that it does not have.
    None,
}

fn part(asked: &HeaderMap, length: usize, tag: Option<&ETag>) -> Part {
    let mut specs = asked.get_all(RANGE).iter();
    let (Some(spec), None) = (specs.next(), specs.next()) else {
        return Part::All;
    };
    // A part of another version than the client has the rest of would be of no use (RFC 9110
    // §13.1.5).
    if asked.contains_key(IF_RANGE) {
        let same: Option<IfRange> = asked.typed_get();
        if same.is_none_or(|same| same.is_modified(tag, None)) {
            return Part::All;
        }
    }
    spec.to_str().map_or(Part::All, |spec| bytes(spec, length))
}

/// Reads one range of bytes. Of several, of another unit and of nonsense nothing is taken.
fn bytes(spec: &str, length: usize) -> Part {
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than can be counted is beyond the end.
        true if !text.is_empty() => Some(text.parse().unwrap_or(usize::MAX)),
        _ => None,
    };
    let range = spec.split_once('=').and_then(|(unit, range)| {
        let range = range.trim();
        unit.eq_ignore_ascii_case("bytes")
            .then(|| range.split_once('-'))?
    });
    let range = match range.map(|(first, last)| (first, number(first), last, number(last))) {
        Some(("", _, _, Some(last))) => length.saturating_sub(last)..length,
        Some((_, Some(first), "", _)) => first..length,
        Some((_, Some(first), _, Some(last))) if first <= last => {
            first..last.saturating_add(1).min(length)
        }
        _ => return Part::All,
    };
    match range.is_empty() {
        true => Part::None,
        false => Part::Some(range),
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
        assert!(is_hashed("css/general-2459343d.css"));
        assert!(is_hashed("elasticlunr-ef4e11c1.min.js"));
        assert!(!is_hashed("assets/vendor/search.min.js"));
        assert!(!is_hashed("long-deadbeef.html"));
        assert!(!is_hashed("book-12345.js"));
        assert!(!is_hashed(""));
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        for (spec, part) in [
            ("bytes=0-9", Part::Some(0..10)),
            ("Bytes=10-", Part::Some(10..100)),
            ("bytes=-5", Part::Some(95..100)),
            ("bytes=-500", Part::Some(0..100)),
            ("bytes=90-200", Part::Some(90..100)),
            ("bytes=0-99999999999999999999999", Part::Some(0..100)),
            ("bytes=100-", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=9-0", Part::All),
            ("bytes=0-1,5-6", Part::All),
            ("bytes=", Part::All),
            ("bytes=-", Part::All),
            ("bytes=+1-2", Part::All),
            ("lines=0-9", Part::All),
            ("0-9", Part::All),
        ] {
            assert_eq!(bytes(spec, 100), part, "{spec}");
        }
        assert_eq!(bytes("bytes=0-", 0), Part::None);
    }
}
