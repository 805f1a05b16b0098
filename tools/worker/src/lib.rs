//! The book's servers for a service worker: the same routers over the same log, where no server is.
//!
//! The worker's script (`worker.js`) takes what `fetch` and `EventSource` of a page ask and hands
//! it to `Server::answer`; what a WebSocket would carry comes by a message port, to
//! `Server::open`. Elsewhere than in a browser this crate is empty.
#![cfg(target_family = "wasm")]

extern crate tokio_browser as tokio;

mod answer;
mod seen;
mod socket;

pub use answer::Answer;
pub use socket::Socket;

use axum::{
    body::{Body, Bytes},
    Router,
};
use feed::{Feed, Retention};
use http::{HeaderName, HeaderValue, Request};
use js_sys::{Array, Function};
use method::{Host, Method};
use seen::Seen;
use serving::{fallbacks, guard, Allowed, Ending};
use tower::ServiceExt as _;
use waiting::{ticker, Places};
use wasm_bindgen::{prelude::wasm_bindgen, JsError};

/// The methods that it serves, in the order of their chapters.
const METHODS: [Method; 4] = [
    polling::METHOD,
    long_polling::METHOD,
    sse::METHOD,
    websocket::METHOD,
];

/// Where the routes of the methods lie below the scope of the worker. It is no path of a server, so
/// that a worker never answers in the place of one that runs at the same address later.
const PREFIX: &str = "/in-browser";

/// Ticks a second, as on the book's own site.
const RATE: &str = "2";

#[wasm_bindgen]
extern "C" {
    /// Writes to the browser's console. A panic is silent otherwise.
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// The servers, over one log.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Server {
    router: Router,
    epoch: String,
}

#[wasm_bindgen]
impl Server {
    /// A new log and its servers, for pages of `host`.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(host: &str) -> Self {
        std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
        let log = Feed::new(Retention::default());
        let rate = RATE.parse().expect("it is a rate");
        let seed = getrandom::u64().expect("a browser has randomness");
        let ticks = ticker::run(log.clone(), rate, seed);
        tokio::spawn(ticks);
        let (ending, places) = (Ending::new(), serving::Config::default().places());
        let shared = Places::new(places);
        let hosting = || Host {
            shared: Some(shared.clone()),
            ..Host::alone(log.clone(), ending.clone())
        };
        let routers = METHODS
            .iter()
            .map(|method| (method.name, (method.router)(hosting())));
        let twins = (twin::NAME, twin::router(&shared, &ending));
        let tabs = (tabs::NAME, tabs::router(hosting()));
        let routers = routers.chain([twins, tabs]);
        let router = routers.fold(Router::new(), |router, (name, method)| {
            router.nest(&format!("{PREFIX}/{name}/"), method)
        });
        let allowed = Allowed {
            // An address is allowed in any case, and is not always a name.
            hosts: host.parse().ok().into_iter().collect(),
            ..Allowed::default()
        };
        Self {
            router: guard(fallbacks(router), allowed).into_router(),
            epoch: log.state().latest.epoch.to_string(),
        }
    }

    /// The name of the log. Another name is another log.
    #[must_use]
    pub fn epoch(&self) -> String {
        self.epoch.clone()
    }

    /// Answers a request for a path below the scope. `headers` are names and values in turn.
    ///
    /// # Errors
    /// Where the arguments are no request of HTTP.
    pub async fn answer(
        &self,
        method: String,
        target: String,
        headers: Array,
        body: Vec<u8>,
    ) -> Result<Answer, JsError> {
        let router = self.router.clone();
        let mut request = Request::builder().method(method.as_str()).uri(target);
        let mut texts = headers
            .iter()
            .map(|text| text.as_string().unwrap_or_default());
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            // A browser keeps its values to the characters of Latin 1.
            let value: Vec<u8> = value.chars().map(|it| it as u8).collect();
            let value = HeaderValue::from_bytes(&value)?;
            request = request.header(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        let request = request.body(Body::from(Bytes::from(body)))?;
        let Ok(response) = router.oneshot(request).await;
        Ok(Answer::new(response))
    }

    /// Opens a WebSocket at a path below the scope. `seen` is called with `up` or `down`, and what
    /// goes over the connection that way.
    ///
    /// # Errors
    /// Where it is refused. As in a browser, nobody learns why.
    pub async fn open(
        &self,
        host: String,
        target: String,
        origin: String,
        protocol: String,
        seen: Option<Function>,
    ) -> Result<Socket, JsError> {
        let router = self.router.clone();
        let seen = Seen(seen);
        Socket::open(router, &host, &target, &origin, &protocol, seen).await
    }
}
