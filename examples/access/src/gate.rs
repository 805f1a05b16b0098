//! Who asks: the credential of each request, looked at once.

use crate::{
    logins::{LoginId, Logins},
    Config,
};
use axum::{
    extract::{Request, State},
    http::{header, uri::PathAndQuery, HeaderMap, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contract::Problem;
use serving::ProblemResponse;
use std::sync::Arc;
use tower_sessions::Session;
use tracing::{info, info_span, Instrument};
use url::form_urlencoded;
use waiting::{Access, Places};
use websocket::AskFirst;

/// In the query of a stream or a socket: a ticket.
pub(crate) const TICKET: &str = "ticket";

/// Under which the record of a session has its [`LoginId`].
pub(crate) const LOGIN: &str = "login";

/// Whose request this is: for the routes of the login itself.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) login: LoginId,
    /// Whether it has shown the session's cookie, and no token.
    pub(crate) by_session: bool,
}

/// What the gate looks at requests with.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    logins: Logins,
    /// For sockets that bring no credential.
    first: AskFirst,
}

impl Gate {
    pub(crate) fn new(logins: Logins, config: &Config) -> Self {
        let judge = logins.clone();
        let judge = move |token: &str| judge.bearer(token).map(|(_, access)| access);
        let places = Places::new(config.max_unknown_sockets);
        let first = AskFirst::new(judge, config.first_message, places);
        Self { logins, first }
    }
}

// ANCHOR: gate
/// Lets a request through to the methods with the access of whoever asks, and nobody
/// without one.
pub(crate) async fn gate(
    State(gate): State<Arc<Gate>>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    // Before anything else sees the address.
    let ticket = take_ticket(request.uri_mut());
    let span = info_span!("request", method = %request.method(), uri = %request.uri());
    let found = gate.judge(&session, ticket, request.headers()).await;
    let answer = async {
        match found {
            Ok(Some((known, access))) => {
                request.extensions_mut().insert(known);
                request.extensions_mut().insert(access);
                next.run(request).await
            }
            // A page can set no header of a socket's handshake: this one may say it in
            // its first message.
            Ok(None) if asks_for_a_socket(request.headers()) => {
                request.extensions_mut().insert(gate.first.clone());
                next.run(request).await
            }
            Ok(None) => {
                let problem = Problem::unauthorized("sign in, and ask again");
                ProblemResponse(problem).into_response()
            }
            Err(problem) => ProblemResponse(problem).into_response(),
        }
    };
    let answer = answer.instrument(span.clone()).await;
    span.in_scope(|| info!(status = answer.status().as_u16(), "answered"));
    answer
}

impl Gate {
    /// Who asks; `None` where the request brings no credential. One that is wrong is
    /// refused, also where another would be right: it would hide a mistake.
    async fn judge(
        &self,
        session: &Session,
        ticket: Option<String>,
        headers: &HeaderMap,
    ) -> Result<Option<(Known, Access)>, Problem> {
        let known =
            |(login, access), by_session| Some((Known { login, by_session }, access));
        if let Some(ticket) = ticket {
            return Ok(known(self.logins.redeem(&ticket)?, false));
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let value = value.to_str().unwrap_or_default();
            let token = value.strip_prefix("Bearer ");
            let token = token.ok_or_else(|| Problem::unauthorized("no `Bearer`"))?;
            return Ok(known(self.logins.bearer(token)?, false));
        }
        let login: Option<LoginId> = session.get(LOGIN).await.ok().flatten();
        match login {
            Some(login) => Ok(known((login, self.logins.of_session(login)?), true)),
            None => Ok(None),
        }
    }
}
// ANCHOR_END: gate

// ANCHOR: take_ticket
/// Takes the ticket out of an address, so that nothing behind this can log it.
fn take_ticket(uri: &mut Uri) -> Option<String> {
    let query = uri.query()?;
    let mut ticket = None;
    let mut rest = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            TICKET => ticket = Some(value.into_owned()),
            _ => {
                rest.append_pair(&name, &value);
            }
        }
    }
    let ticket = ticket?;
    let rest = rest.finish();
    let path = match rest.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{rest}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    let without = PathAndQuery::try_from(path).expect("it was one");
    parts.path_and_query = Some(without);
    *uri = Uri::from_parts(parts).expect("it was one");
    Some(ticket)
}
// ANCHOR_END: take_ticket

/// By HTTP/1.1's header, or by HTTP/2's pseudo-header, which a router shows as the
/// method `CONNECT`.
fn asks_for_a_socket(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_out_of_the_address_and_all_else_stays() {
        for (uri, ticket, rest) in [
            ("/sse/events?ticket=s3cret", Some("s3cret"), "/sse/events"),
            (
                "/sse/events?after=k3f9x2.17&ticket=s3cret&connection=a%20b",
                Some("s3cret"),
                "/sse/events?after=k3f9x2.17&connection=a+b",
            ),
            (
                "http://a.example/?ticket=x&y=1",
                Some("x"),
                "http://a.example/?y=1",
            ),
            ("/?tickets=x", None, "/?tickets=x"),
            ("/", None, "/"),
        ] {
            let mut address: Uri = uri.parse().unwrap();
            assert_eq!(take_ticket(&mut address).as_deref(), ticket, "{uri}");
            assert_eq!(address.to_string(), rest, "{uri}");
        }
    }
}
