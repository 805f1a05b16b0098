//! A login on axum with `password-auth` and `tower-sessions`, and a logout that ends
//! what is open.

// ANCHOR: all
use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::{from_fn_with_state, Next},
    response::{
        sse::{Event, Sse},
        Response,
    },
    routing::{get, post},
    Extension, Json, Router,
};
use futures_util::{stream, Stream, StreamExt};
use reqwest::{header, Client};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
};
use tokio_stream::wrappers::BroadcastStream;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

/// What the server knows.
#[derive(Clone)]
struct Server {
    news: broadcast::Sender<&'static str>,
    /// Argon2's hashes, by name.
    hashes: Arc<HashMap<&'static str, String>>,
    /// Of no password.
    nobody: Arc<str>,
    logins: Arc<Mutex<Logins>>,
}

/// Who is logged in. What was begun with a login is over when its sender is dropped.
#[derive(Default)]
struct Logins {
    next: u64,
    open: HashMap<u64, watch::Sender<()>>,
}

#[derive(Deserialize, Serialize)]
struct Shown {
    name: String,
    password: String,
}

impl Logins {
    fn begin(&mut self) -> u64 {
        self.next += 1;
        self.open.insert(self.next, watch::Sender::new(()));
        self.next
    }
}

impl Server {
    /// Whether the name and the password belong together.
    async fn knows(&self, Shown { name, password }: Shown) -> bool {
        let hash = self.hashes.get(&*name).cloned();
        let known = hash.is_some();
        // A wrong name takes as long as a wrong password, and so does not tell itself.
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        // Off the threads that serve: it is meant to take long.
        let right = move || password_auth::verify_password(password, &hash).is_ok();
        tokio::task::spawn_blocking(right).await.unwrap_or(false) && known
    }
}

// ANCHOR: login
async fn login(
    State(server): State<Server>,
    session: Session,
    Json(shown): Json<Shown>,
) -> Result<StatusCode, StatusCode> {
    if !server.knows(shown).await {
        return Err(StatusCode::UNAUTHORIZED);
    }
    server.end_login_of(&session).await;
    let login = server.logins.lock().unwrap().begin();
    let stored = async {
        // The id that came with the request may be one that somebody else knows.
        session.cycle_id().await?;
        session.insert("login", login).await
    };
    let stored = stored.await;
    stored.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(State(server): State<Server>, session: Session) -> StatusCode {
    server.end_login_of(&session).await;
    let _ = session.flush().await;
    StatusCode::NO_CONTENT
}

impl Server {
    /// Ends all that was begun with it: its sender is dropped.
    async fn end_login_of(&self, session: &Session) {
        if let Some(login) = login_of(session).await {
            self.logins.lock().unwrap().open.remove(&login);
        }
    }
}
// ANCHOR_END: login

async fn login_of(session: &Session) -> Option<u64> {
    session.get("login").await.ok().flatten()
}

// ANCHOR: gate
/// Comes when the login is over.
#[derive(Clone)]
struct Over(watch::Receiver<()>);

impl Over {
    async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Before every route that needs a login.
async fn gate(
    State(server): State<Server>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let login = login_of(&session).await;
    let login = login.ok_or(StatusCode::UNAUTHORIZED)?;
    let over = {
        let logins = server.logins.lock().unwrap();
        let open = logins.open.get(&login);
        Over(open.ok_or(StatusCode::UNAUTHORIZED)?.subscribe())
    };
    request.extensions_mut().insert(over);
    Ok(next.run(request).await)
}
// ANCHOR_END: gate

fn news(server: Server) -> impl Stream<Item = Event> {
    BroadcastStream::new(server.news.subscribe())
        .filter_map(async |news| news.ok())
        .map(|news| Event::default().data(news))
}

// ANCHOR: plain
/// Asks when the stream begins, and never again.
async fn plain(
    State(server): State<Server>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(news(server).map(Ok))
}
// ANCHOR_END: plain

// ANCHOR: events
async fn events(
    State(server): State<Server>,
    Extension(over): Extension<Over>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let denied = Event::default().event("end").data(r#"{"reason":"denied"}"#);
    let last = stream::once(async { denied });
    Sse::new(news(server).take_until(over.wait()).chain(last).map(Ok))
}
// ANCHOR_END: events

fn app(server: Server) -> Router {
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        // Here without TLS.
        .with_secure(false);
    Router::new()
        .route("/plain", get(plain))
        .route("/events", get(events))
        .route("/logout", post(logout))
        .layer(from_fn_with_state(server.clone(), gate))
        .route("/login", post(login))
        .layer(sessions)
        .with_state(server)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server {
        news: broadcast::Sender::new(16),
        hashes: Arc::new(HashMap::from([(
            "ada",
            password_auth::generate_hash("correct horse"),
        )])),
        nobody: password_auth::generate_hash("").into(),
        logins: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = app(server.clone());
    tokio::spawn(async { axum::serve(listener, router).await });

    // No proxy that the environment names: it could not reach a server on this machine.
    let http = Client::builder().no_proxy().build()?;
    let log_in = |password: &str| {
        let shown = Shown {
            name: "ada".to_owned(),
            password: password.to_owned(),
        };
        http.post(format!("{base}/login")).json(&shown).send()
    };
    assert_eq!(log_in("wrong").await?.status(), 401);
    let answer = log_in("correct horse").await?;
    assert_eq!(answer.status(), 204);
    let cookie = answer.headers()[header::SET_COOKIE].to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let ask = |path: &str| {
        let request = http.get(format!("{base}{path}"));
        request.header(header::COOKIE, &cookie).send()
    };

    let (mut plain, events) = (ask("/plain").await?, ask("/events").await?);
    let out = http.post(format!("{base}/logout"));
    let out = out.header(header::COOKIE, &cookie).send().await?;
    assert_eq!(out.status(), 204);
    server.news.send("for Ada alone")?;
    // Logged out, and still listening.
    let heard = plain.chunk().await?.ok_or("it ended")?;
    assert_eq!(heard, "data: for Ada alone\n\n");
    // Ended at once, with the reason. `text` waits for the end of the body.
    let heard = events.text().await?;
    assert_eq!(heard, "event: end\ndata: {\"reason\":\"denied\"}\n\n");
    assert_eq!(ask("/events").await?.status(), 401);
    Ok(())
}
// ANCHOR_END: all
