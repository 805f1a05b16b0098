//! One page, sent in three ways, and the two parts that it needs.

use bytes::Bytes;
use http::{header, HeaderMap, HeaderValue};
use serving::assets::content_type;
use std::sync::LazyLock;

/// What the parts may be kept for. A pushed response has to be one that a cache may
/// keep, because a cache is the only place that a push can go to ([RFC 9113
/// §8.4](https://www.rfc-editor.org/rfc/rfc9113#section-8.4)). Ten seconds, so that the
/// page can be loaded again to watch it once more.
const PART_CACHING: HeaderValue = HeaderValue::from_static("max-age=10");

/// The page itself is asked for each time.
const PAGE_CACHING: HeaderValue = HeaderValue::from_static("no-cache");

/// How the page's parts come to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The server pushes them.
    Push,
    /// The server names them in an early answer, 103, and the client asks for them.
    EarlyHints,
    /// The client finds them in the page and asks for them.
    Plain,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Push, Self::EarlyHints, Self::Plain];

    /// The folder that holds the page and its parts, each way with parts of its own: a
    /// part that came in one way would otherwise be in the cache for the next.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Push => "/",
            Self::EarlyHints => "/early-hints/",
            Self::Plain => "/plain/",
        }
    }

    /// The paths of the page's parts.
    pub fn parts(self) -> impl Iterator<Item = String> {
        PARTS.iter().map(move |part| part.path(self))
    }

    /// The page's title, what it says, and its way to the root.
    fn words(self) -> [(&'static str, &'static str); 3] {
        let (title, text, root) = match self {
            Self::Push => (
                "A page with pushed parts",
                "The server promises this page's style sheet and script before it has the page, and sends them along, unless \
                 the browser has said that it takes no pushes.",
                "",
            ),
            Self::EarlyHints => (
                "A page with early hints",
                "The server names this page's style sheet and script in a first answer, 103, before it has the page. Whether \
                 to ask for them is up to the browser.",
                "../",
            ),
            Self::Plain => (
                "A page and nothing else",
                "The browser learns of this page's style sheet and script when it reads the page.",
                "../",
            ),
        };
        [("{title}", title), ("{text}", text), ("{root}", root)]
    }
}

// ANCHOR: parts
/// A part that the page needs, and how a `Link` header names it.
pub(crate) struct Part {
    name: &'static str,
    body: &'static [u8],
    /// What it is used as ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288) for the
    /// form, the HTML standard for `preload`).
    link: &'static str,
}

pub(crate) const PARTS: [Part; 2] = [
    Part {
        name: "style.css",
        body: web::pushed::STYLE,
        link: "rel=preload; as=style",
    },
    Part {
        name: "script.js",
        body: web::pushed::SCRIPT,
        link: "rel=preload; as=script",
    },
];
// ANCHOR_END: parts

impl Part {
    /// Where it lies beside the page of this way.
    pub(crate) fn path(&self, way: Way) -> String {
        format!("{}{}", way.folder(), self.name)
    }

    /// The value of a `Link` header that names it.
    pub(crate) fn link(&self, way: Way) -> String {
        format!("<{}>; {}", self.path(way), self.link)
    }

    /// The part itself.
    pub(crate) fn content(&self) -> Content {
        Content {
            kind: HeaderValue::from_static(content_type(self.name)),
            caching: PART_CACHING,
            body: Bytes::from_static(self.body),
        }
    }
}

/// Something to answer with.
pub(crate) struct Content {
    kind: HeaderValue,
    caching: HeaderValue,
    pub(crate) body: Bytes,
}

impl Content {
    pub(crate) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            kind: HeaderValue::from_static(kind),
            // A problem, or what is true of this moment only.
            caching: HeaderValue::from_static("no-store"),
            body: body.into(),
        }
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        headers.insert(header::CACHE_CONTROL, self.caching.clone());
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        headers
    }
}

/// The page of each way, in the order of [`Way::ALL`]: written once, and shared by all
/// who ask for it.
static PAGES: LazyLock<[Bytes; 3]> = LazyLock::new(|| {
    Way::ALL.map(|way| {
        let template = web::pushed::PAGE.to_owned();
        let page = way
            .words()
            .iter()
            .fold(template, |page, (name, words)| page.replace(name, words));
        page.into()
    })
});

/// The page of one way.
pub(crate) fn page(way: Way) -> Content {
    let [push, early_hints, plain] = &*PAGES;
    let body = match way {
        Way::Push => push,
        Way::EarlyHints => early_hints,
        Way::Plain => plain,
    };
    Content {
        kind: HeaderValue::from_static(content_type("page.html")),
        caching: PAGE_CACHING,
        body: body.clone(),
    }
}

/// What lies under a path.
pub(crate) enum Found {
    Page(Way),
    Part(&'static Part),
    /// What was recorded of the connection that asks.
    Connection,
}

/// What lies under `path`, if anything does.
pub(crate) fn find(path: &str) -> Option<Found> {
    if path == "/connection" {
        return Some(Found::Connection);
    }
    Way::ALL.into_iter().find_map(|way| {
        let mut parts = PARTS.iter();
        match path.strip_prefix(way.folder())? {
            "" => Some(Found::Page(way)),
            name => parts.find(|part| part.name == name).map(Found::Part),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_a_page_and_parts_of_its_own() {
        for way in Way::ALL {
            assert!(
                matches!(find(way.folder()), Some(Found::Page(found)) if found == way)
            );
            for part in &PARTS {
                assert!(matches!(find(&part.path(way)), Some(Found::Part(_))));
            }
            let body = page(way).body;
            let text = std::str::from_utf8(&body).unwrap();
            assert!(!text.contains('{'), "{text}");
        }
        assert!(matches!(find("/connection"), Some(Found::Connection)));
        for nothing in ["", "/early-hints", "/style.css/", "/plain/no.css"] {
            assert!(find(nothing).is_none(), "{nothing}");
        }
    }
}
