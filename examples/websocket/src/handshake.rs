//! The opening handshake: axum's extractor, with refusals that say what to do.

use axum::{
    extract::{
        ws::{rejection::WebSocketUpgradeRejection as Rejection, WebSocketUpgrade},
        FromRequestParts,
    },
    http::{header, request::Parts, HeaderName, StatusCode, Version},
    response::{IntoResponse, Response},
};
use feed::contract::SUBPROTOCOL;
use serving::Problem;

/// A request that opens a WebSocket: `GET` with `Upgrade` (RFC 6455 §4.2.1), or HTTP/2's `CONNECT` with `:protocol`
/// (RFC 8441 §5).
pub(crate) struct Handshake(pub(crate) WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let version = parts.version;
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        upgrade
            .map(Self)
            .map_err(|rejection| refused(rejection, version))
    }
}

// ANCHOR: refused
/// What 426 must name (RFC 9110 §15.5.22), with the word that keeps a proxy from passing the name on (§7.8), and the one
/// version that there is (RFC 6455 §4.4).
const UPGRADE: [(HeaderName, &str); 3] = [
    (header::CONNECTION, "Upgrade"),
    (header::UPGRADE, "websocket"),
    (header::SEC_WEBSOCKET_VERSION, "13"),
];

fn refused(rejection: Rejection, version: Version) -> Response {
    let problem = |status, name, title| Problem::new(status, name, title).with_detail(&rejection);
    let only = "Only a WebSocket is opened here";
    match rejection {
        Rejection::WebSocketKeyHeaderMissing(_) => {
            let title = "This is not a WebSocket handshake";
            problem(StatusCode::BAD_REQUEST, "bad-handshake", title).into_response()
        }
        // HTTP/2 has no `Upgrade` (RFC 9113 §8.2.2), so 426 would be a lie there.
        _ if version >= Version::HTTP_2 => {
            problem(StatusCode::BAD_REQUEST, "upgrade-required", only).into_response()
        }
        _ => {
            let problem = problem(StatusCode::UPGRADE_REQUIRED, "upgrade-required", only);
            (UPGRADE, problem).into_response()
        }
    }
}
// ANCHOR_END: refused

// ANCHOR: subprotocol
/// Chooses the subprotocol, which is the version of the messages.
///
/// A client that offers none, or only others, is refused. RFC 6455 §4.2.2 would let it in without one; a browser would then
/// fail the connection itself, and any other client would read messages that it has not asked for.
///
/// # Errors
/// 400 `bad-subprotocol`.
pub(crate) fn choose(upgrade: WebSocketUpgrade) -> Result<WebSocketUpgrade, Problem> {
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_some() {
        return Ok(upgrade);
    }
    let title = "The subprotocol of this server was not offered";
    let problem = Problem::new(StatusCode::BAD_REQUEST, "bad-subprotocol", title);
    Err(problem.with_detail(format_args!(
        "send the header Sec-WebSocket-Protocol: {SUBPROTOCOL}"
    )))
}
// ANCHOR_END: subprotocol
