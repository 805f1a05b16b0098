//! A server with a login, over the four methods that wait.
//!
//! ```text
//! cargo run -p access
//! ```
//!
//! The methods are those of the book, unchanged. Before them stands a [gate](app) that
//! looks at the credential of each request, and leaves an [`Access`] with it. There are
//! four credentials, because no single one fits each method in a browser:
//!
//! | credential | for | good for |
//! | --- | --- | --- |
//! | the cookie of a session | whatever a page of this origin asks | [`Config::session`] |
//! | `Authorization: Bearer TOKEN` | `fetch`, and programs | [`Config::token`] |
//! | `?ticket=TICKET` | an `EventSource` or a `WebSocket` of another origin | one use, within [`Config::ticket`] |
//! | `{"auth":{"token":TOKEN}}` | a `WebSocket`, as its first message | [`Config::token`] |
//!
//! Tickets and tokens are random, and what they stand for is kept here. Nothing is
//! signed, so there is nothing to verify, and whatever is revoked is gone at once.
//! Signed tokens (PASETO, JWT) are for servers that share no store; they live until
//! they expire.
//!
//! [`Access`]: waiting::Access

mod gate;
mod login;
mod logins;
mod people;
mod secrets;

pub use logins::Logins;
pub use people::{May, People};

/// A secret for a first password: 256 random bits, as 64 letters and digits.
pub fn random_secret() -> String {
    secrets::draw()
}

use axum::{
    middleware::from_fn_with_state,
    routing::{get, post},
    Router,
};
use feed::Feed;
use gate::{gate, Gate};
use login::Desk;
use serving::{assets, fallbacks, Ending};
use std::{sync::Arc, time::Duration};
use tower_sessions::{
    cookie::{time::Duration as CookieDuration, SameSite},
    Expiry, MemoryStore, SessionManagerLayer,
};
use waiting::Places;

/// What the server allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether it is reached over TLS, so that its cookie may be marked for that.
    pub tls: bool,
    /// How long a sign-in lasts; default 8 h, a day of work.
    pub session: Duration,
    /// How long a token is good; default 5 min. What is stolen is over by then, and a
    /// client renews it 12 times an hour.
    pub token: Duration,
    /// How long a ticket may wait for its use; default 30 s, for a slow network. It
    /// stands in an address, which others write into logs.
    pub ticket: Duration,
    /// How long a socket may take to say who it is; default 5 s.
    pub first_message: Duration,
    /// How many sockets may be open that have not said it; default 100.
    pub max_unknown_sockets: usize,
    /// How many may be signed in; default 10,000.
    pub max_logins: usize,
    /// How many may wait at once, by all methods together; default 900.
    pub places: usize,
    /// The longest silence before a heartbeat; default 15 s.
    pub heartbeat: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tls: false,
            session: Duration::from_secs(8 * 3600),
            token: Duration::from_secs(300),
            ticket: Duration::from_secs(30),
            first_message: Duration::from_secs(5),
            max_unknown_sockets: 100,
            max_logins: 10_000,
            places: 900,
            heartbeat: Duration::from_secs(15),
        }
    }
}

// ANCHOR: app
/// The server, and who is signed in. It needs [`serving::guard`] around it, which keeps
/// pages of other origins from acting with a reader's cookie.
///
/// `POST login` is open to everybody. All else needs a credential: `POST logout`,
/// `POST ticket`, `POST token`, `GET me`, `POST rights`, and the methods, each under
/// its name, with what their pages share under `shared/`.
pub fn app(
    log: Feed,
    people: People,
    config: Config,
    ending: Ending,
) -> (Router, Logins) {
    let logins = Logins::new(people, config.clone());
    let desk = Desk::new(logins.clone(), config.clone());
    let gated = methods(log, &config, ending)
        // Each page asks for `../shared/`.
        .nest("/shared", assets::router(web::SHARED))
        .merge(
            Router::new()
                .route("/logout", post(login::logout))
                .route("/ticket", post(login::ticket))
                .route("/token", post(login::token))
                .route("/me", get(login::me))
                .route("/rights", post(login::rights))
                .with_state(desk.clone()),
        )
        .layer(from_fn_with_state(
            Arc::new(Gate::new(logins.clone(), &config)),
            gate,
        ));
    let open = Router::new()
        .route("/login", post(login::login))
        .with_state(desk);
    let router = fallbacks(gated.merge(open)).layer(sessions(&config));
    (router, logins)
}
// ANCHOR_END: app

// ANCHOR: cookie
/// The session's cookie.
fn sessions(config: &Config) -> SessionManagerLayer<MemoryStore> {
    let life = CookieDuration::try_from(config.session).unwrap_or(CookieDuration::HOUR);
    // With this prefix a browser takes the cookie only if it is `Secure`, for the whole
    // host, and for no other: no page of a sibling domain can set one.
    let name = if config.tls {
        "__Host-session"
    } else {
        "session"
    };
    SessionManagerLayer::new(MemoryStore::default())
        .with_name(name)
        .with_path("/")
        .with_secure(config.tls)
        // No script reads it.
        .with_http_only(true)
        // No request that another site makes has it, but for a link that is followed.
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(life))
}
// ANCHOR_END: cookie

/// The methods, each under its name.
fn methods(log: Feed, config: &Config, ending: Ending) -> Router {
    // Those of all methods together.
    let all = Some(Places::new(config.places));
    let sse = sse::Config {
        max_streams: config.places,
        shared: all.clone(),
        heartbeat: config.heartbeat,
        ..sse::Config::default()
    };
    let long_polling = long_polling::Config {
        max_parked: config.places,
        shared: all.clone(),
        ..long_polling::Config::default()
    };
    let websocket = websocket::Config {
        max_sockets: config.places,
        shared: all,
        heartbeat: config.heartbeat,
        ..websocket::Config::default()
    };
    let polling = polling::Config::default();
    let board = Feed::new(feed::Retention::default());
    let routers = [
        (
            "/polling/",
            polling::router(log.clone(), polling, ending.clone()),
        ),
        (
            "/long-polling/",
            long_polling::router(log.clone(), long_polling, ending.clone()),
        ),
        ("/sse/", sse::router(log.clone(), sse, ending.clone())),
        (
            "/websocket/",
            websocket::router(log, board, websocket, ending),
        ),
    ];
    routers
        .into_iter()
        .fold(Router::new(), |all, (name, router)| all.nest(name, router))
}
