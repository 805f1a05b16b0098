//! The routes of the login: in, out, and what is given to whoever is in.

use crate::{
    gate::{Known, LOGIN},
    logins::Logins,
    people::May,
    Config,
};
use axum::{
    extract::{Extension, State},
    http::{header, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use contract::{Kind, Problem};
use serde::{Deserialize, Serialize};
use serving::ProblemResponse;
use std::{collections::HashSet, fmt, sync::Arc};
use tokio::sync::Semaphore;
use tower_sessions::Session;
use waiting::http::JsonBody;

/// How many passwords are checked at once. Each takes a processor and some 19 MiB for a
/// while, which is what makes guessing slow; without a bound, guessing would take all
/// of both.
const CHECKS: usize = 2;

/// What these routes share.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    logins: Logins,
    config: Config,
    checks: Arc<Semaphore>,
    /// Of no password: checked where nobody has the name, so that an answer takes as
    /// long for a wrong name as for a wrong password.
    nobody: Arc<str>,
}

impl Desk {
    pub(crate) fn new(logins: Logins, config: Config) -> Self {
        Self {
            logins,
            config,
            checks: Arc::new(Semaphore::new(CHECKS)),
            nobody: password_auth::generate_hash(crate::secrets::draw()).into(),
        }
    }
}

/// The body of `POST login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    name: String,
    password: String,
}

impl fmt::Debug for Shown {
    /// Without the password, which must not come into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("name", &self.name).finish()
    }
}

// ANCHOR: login
/// `POST login`: a name and a password for a session, whose id is in a cookie.
///
/// # Errors
/// 401 `unauthorized`; 503 `busy` where too many ask at once, or are signed in.
pub(crate) async fn login(
    State(desk): State<Desk>,
    session: Session,
    JsonBody(Shown { name, password }): JsonBody<Shown>,
) -> Result<Response, ProblemResponse> {
    let check = desk.checks.clone().try_acquire_owned();
    let check = check.map_err(|_| Problem {
        retry_after: Some(1),
        ..Problem::busy().with_detail("too many sign in at once")
    })?;
    let hash = desk.logins.hash_of(&name);
    let known = hash.is_some();
    let hash = hash.unwrap_or_else(|| desk.nobody.to_string());
    // Off the threads that serve: it keeps a processor busy.
    let right = tokio::task::spawn_blocking(move || {
        let right = password_auth::verify_password(password, &hash).is_ok();
        drop(check);
        right
    });
    if !right.await.unwrap_or(false) || !known {
        return Err(Problem::unauthorized("no such name and password").into());
    }
    let login = desk.logins.begin(&name)?;
    // The session's id may be one that somebody else has set, and knows. So it gets a
    // new one; and who was signed in with the old one is so no longer.
    let begun = async {
        if let Some(before) = session.get(LOGIN).await? {
            desk.logins.end(before);
        }
        session.cycle_id().await?;
        session.insert(LOGIN, login).await
    };
    if begun.await.is_err() {
        desk.logins.end(login);
        return Err(Problem::busy().into());
    }
    Ok(done())
}
// ANCHOR_END: login

/// `POST logout`: ends the session, and all that was begun with it.
pub(crate) async fn logout(
    State(desk): State<Desk>,
    Extension(known): Extension<Known>,
    session: Session,
) -> Response {
    desk.logins.end(known.login);
    // Its record may be gone already.
    let _ = session.flush().await;
    done()
}

/// The answer to `POST ticket`.
#[derive(Serialize)]
struct TicketGiven {
    ticket: String,
}

/// `POST ticket`: a ticket for one stream or socket.
pub(crate) async fn ticket(
    State(desk): State<Desk>,
    Extension(known): Extension<Known>,
) -> Response {
    let ticket = desk.logins.ticket(known.login);
    (NO_STORE, Json(TicketGiven { ticket })).into_response()
}

/// The answer to `POST token`.
#[derive(Serialize)]
struct TokenGiven {
    token: String,
    /// For how long it is good, in seconds.
    expires_in: f64,
}

/// `POST token`: a token, for whoever has the session. Not for a token: one that was
/// stolen would last for ever.
pub(crate) async fn token(
    State(desk): State<Desk>,
    Extension(known): Extension<Known>,
) -> Result<Response, ProblemResponse> {
    if !known.by_session {
        return Err(Problem::forbidden("a token is given to a session").into());
    }
    let token = desk.logins.token(known.login)?;
    let expires_in = desk.config.token.as_secs_f64();
    Ok((NO_STORE, Json(TokenGiven { token, expires_in })).into_response())
}

/// The answer to `GET me`.
#[derive(Serialize)]
struct Me {
    name: String,
    see: Option<HashSet<Kind>>,
    publish: Option<HashSet<Kind>>,
}

/// `GET me`: who this is.
pub(crate) async fn me(
    State(desk): State<Desk>,
    Extension(known): Extension<Known>,
) -> Result<Response, ProblemResponse> {
    let person = desk.logins.person(known.login);
    let (name, may) =
        person.ok_or_else(|| Problem::unauthorized("you are signed out"))?;
    let May { see, publish, .. } = may;
    Ok((NO_STORE, Json(Me { name, see, publish })).into_response())
}

/// The body of `POST rights`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ruled {
    name: String,
    see: Option<HashSet<Kind>>,
    publish: Option<HashSet<Kind>>,
}

/// `POST rights`: somebody may see and publish these kinds from now on.
///
/// # Errors
/// 403 `forbidden` for who may not say so; 404 `not-found` for who is nobody.
pub(crate) async fn rights(
    State(desk): State<Desk>,
    Extension(known): Extension<Known>,
    JsonBody(Ruled { name, see, publish }): JsonBody<Ruled>,
) -> Result<Response, ProblemResponse> {
    let rules = desk.logins.person(known.login);
    if !rules.is_some_and(|(_, may)| may.rule) {
        return Err(Problem::forbidden("you may not say what others may").into());
    }
    let rule = name_rules(&desk, &name);
    let may = May { see, publish, rule };
    match desk.logins.change(&name, may) {
        true => Ok(done()),
        false => Err(Problem::not_found().into()),
    }
}

fn name_rules(desk: &Desk, name: &str) -> bool {
    desk.logins.may(name).is_some_and(|may| may.rule)
}

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

fn done() -> Response {
    (StatusCode::NO_CONTENT, NO_STORE).into_response()
}
