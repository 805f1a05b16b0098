//! The book and the live servers under one router.

use axum::body::Body;
use axum::extract::{RawQuery, Request};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION,
    VARY,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Json};
use axum::routing::{get, get_service};
use axum::Router;
use contract::{Data, Kind};
use feed::{Feed, Retention};
use http2_push::panel::Running;
use method::{Host, Method};
use serde_json::{json, Map, Value};
use serving::{assets, Allowed, Ending, Tap};
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::CompressionLayer;

use crate::limits::Limits;
use crate::shelf::{with_slash, Shelf};

/// Every method of the book, in the order of its chapters. To add one here is to add it to the
/// site, to its command line, and to the tests in browsers.
pub fn methods() -> Vec<Method> {
    vec![
        polling::METHOD,
        long_polling::METHOD,
        sse::METHOD,
        websocket::METHOD,
    ]
}

/// What `assets/live.json` says of a site whose servers are in a service worker: its script, the
/// module in `files` that starts it, and where it answers for each method.
pub(crate) fn live_in_worker(script: &str, files: &str) -> String {
    let path = |method: Method| {
        let path = format!("in-browser/{}/", method.name);
        (method.name.to_owned(), Value::from(path))
    };
    let mut methods: Map<String, Value> = methods().into_iter().map(path).collect();
    let twins = format!("in-browser/{}/", twin::NAME);
    methods.insert(twin::NAME.to_owned(), Value::from(twins));
    let tabs = format!("in-browser/{}/", tabs::NAME);
    methods.insert(tabs::NAME.to_owned(), Value::from(tabs));
    let start = format!("{files}/start.js");
    json!({
        "live": false,
        "worker": { "script": script, "start": start, "methods": methods },
    })
    .to_string()
}

/// A live server of the site.
#[derive(Debug)]
pub struct Live {
    /// Its name in `live.json` and in a panel's `data-method`, for example `sse`.
    pub name: &'static str,
    /// Its routes, relative.
    pub router: Router,
}

/// The live servers of these methods, over one log: what is sent through one comes through all. The
/// whiteboard of WebSocket has a log of its own, and so have the twins. HTTP/2 push waits for
/// nothing, and has a server on a port of its own: `push`, if it is running.
pub fn live(
    methods: &[Method],
    log: &Feed,
    push: Option<Running>,
    limits: &Limits,
    ending: &Ending,
) -> Vec<Live> {
    let host = |method: &Method| Host {
        log: log.clone(),
        ending: ending.clone(),
        places: limits.places_of(method),
        shared: Some(limits.places.clone()),
        heartbeat: limits.heartbeat,
        // One server, one book: there is no other to go to.
        max_age: None,
    };
    let push = Live {
        name: "http2-push",
        router: http2_push::panel::router(push),
    };
    let twins = Live {
        name: twin::NAME,
        router: twin::router(&limits.places, ending),
    };
    // The same stream once more, beside a count of those that are open.
    let tabs = Live {
        name: tabs::NAME,
        router: tabs::router(host(&sse::METHOD)),
    };
    let live = |method: &Method| Live {
        name: method.name,
        router: (method.router)(host(method)),
    };
    methods
        .iter()
        .map(live)
        .chain([push, twins, tabs])
        .collect()
}

/// What the guard is to allow beside this: pages of every origin may open the plain socket of a
/// twin, which tells all of them the same.
pub fn with_any_origin(allowed: Allowed) -> Allowed {
    const PATH: &str = "/live/twin/foreign/plain";
    debug_assert_eq!(PATH, format!("/live/{}/{}", twin::NAME, twin::ANY_ORIGIN));
    Allowed {
        any_origin: vec![PATH],
        ..allowed
    }
}

/// Tells open pages that there is a newer book: a feed of its own, and the book's own SSE server
/// over it.
#[derive(Debug, Clone)]
pub struct Reload(Feed);

impl Default for Reload {
    /// A feed that has told nothing yet.
    fn default() -> Self {
        // A page that missed some reloads needs one: the last.
        Self(Feed::new(Retention {
            max_events: 1,
            ..Retention::default()
        }))
    }
}

impl Reload {
    /// Its stream, to be passed to [`router`].
    pub fn router(&self, limits: &Limits, ending: &Ending) -> Router {
        let config = sse::Config {
            shared: Some(limits.places.clone()),
            ..sse::Config::default()
        };
        let sse = sse::router(self.0.clone(), config, ending.clone());
        // Nothing but the stream: whoever could publish here would reload every page, and the rest
        // of the method has no use.
        Router::new().route("/events", get_service(sse))
    }

    /// Tells every page that listens to load itself again.
    pub async fn notify(&self) {
        let (Ok(kind), Ok(data)) = ("reload".parse::<Kind>(), Data::new(&())) else {
            return;
        };
        // The feed refuses events that are too large and those after its end: never this one.
        let _ = self.0.publish(kind, data).await;
    }
}

/// Where the pages hear of a newer book under `serve --watch`, relative to the book's root.
pub const RELOAD_PATH: &str = "live/reload/";

/// The book from `shelf` at `/`, each server of `live` at `/live/NAME/`, and the stream of `reload`
/// at `/live/reload/events`.
///
/// `/assets/live.json` names the methods. The file in the book says that there are none, which is
/// what a static site has to say.
pub fn router(shelf: Shelf, servers: Vec<Live>, reload: Option<Router>) -> Router {
    let mut router = Router::new();
    let mut live = Map::new();
    for Live {
        name,
        router: server,
    } in servers
    {
        live.insert(name.to_owned(), Value::from(format!("live/{name}/")));
        router = mount(router, name, server);
    }
    if let Some(reload) = reload {
        router = router.nest("/live/reload", reload);
    }
    // The panels of all methods import the shared modules from here, so that a page with several
    // panels loads each module once.
    router = router.nest("/live/shared", assets::router(web::SHARED));
    let live = json!({ "live": true, "methods": live });
    router
        .route(
            "/assets/live.json",
            get(move || async move {
                (
                    [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))],
                    Json(live),
                )
            }),
        )
        .fallback_service(book(shelf))
        .layer(CompressionLayer::new().compress_when(PageParts))
        .layer(map_response(finish))
}

/// The same with what the edge keeps of watched connections, at `/live/wire`: beside the methods.
/// It is not compressed: who asks, and often, is on this machine.
pub fn with_wire(router: Router, tap: &Tap) -> Router {
    router.route("/live/wire", tap.route())
}

/// The same with whether a load balancer should send anybody here, at `/live/ready`.
pub fn with_ready(router: Router, ending: &Ending) -> Router {
    router.route("/live/ready", serving::ready(ending))
}

/// The book's files.
fn book(shelf: Shelf) -> Router {
    Router::new().fallback(move |request: Request| {
        let shelf = shelf.clone();
        async move { shelf.answer(&request) }
    })
}

/// Makes the tag of what was compressed a weak one: a strong tag promises the same bytes, and the
/// same version that goes out uncompressed has others ([RFC 9110
/// §8.8.3.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.3)). And tells every cache that
/// there are both: also with a 304, which has the headers that a 200 would have had ([RFC 9110
/// §15.4.5](https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5)), and which nothing compresses.
async fn finish(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let told = |value: &HeaderValue| {
        let fields = value.to_str().unwrap_or_default().to_ascii_lowercase();
        fields.contains(ACCEPT_ENCODING.as_str())
    };
    if headers.contains_key(ETAG) && !headers.get_all(VARY).iter().any(told) {
        headers.append(VARY, ACCEPT_ENCODING.into());
    }
    if headers.contains_key(CONTENT_ENCODING) {
        let strong = headers
            .get(ETAG)
            .filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        let weak =
            strong.and_then(|tag| HeaderValue::try_from([b"W/", tag.as_bytes()].concat()).ok());
        if let Some(weak) = weak {
            headers.insert(ETAG, weak);
        }
    }
    response
}

/// What is compressed: the types that pages and their modules are made of. Named one by one, so
/// that a stream of events never is, whatever its type: a compressor holds a stream's events back
/// until its window is full.
#[derive(Debug, Clone, Copy)]
struct PageParts;

impl Predicate for PageParts {
    fn should_compress<B: http_body::Body>(&self, response: &Response<B>) -> bool {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let kind = header(CONTENT_TYPE)
            .and_then(|kind| kind.split(';').next())
            .unwrap_or_default();
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        // A smaller body travels in one packet either way. A larger one is the diagram library: to
        // compress its 3 MB takes a debug build a second, and most readers of this server sit at
        // the same machine.
        SizeAbove::new(1024).should_compress(response)
            && length.is_none_or(|length| length < 1024 * 1024)
            && matches!(
                kind,
                "text/html" | "text/css" | "text/javascript" | "image/svg+xml" | "application/json"
            )
    }
}

/// Nests `inner` at `/live/NAME/`. The path without the slash is not part of a nested router (and
/// its pages' relative URLs would miss), so it redirects.
fn mount(router: Router, name: &str, inner: Router) -> Router {
    let directory = name.to_owned();
    router
        .route(
            &format!("/live/{name}"),
            get(move |RawQuery(query): RawQuery| async move {
                let location = with_slash(&directory, query.as_deref());
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
            }),
        )
        .nest(&format!("/live/{name}/"), inner)
}
