//! The opening handshake, with refusals that say what to do.
//!
//! axum's `WebSocketUpgrade` does this in one line. It looks at the first line of a
//! header that may have several, finds "upgrade" also in `not-upgrade`, and takes any
//! key; and its socket hides the connection. So this is ours.

use crate::tunnel::{Socket, Tunnel};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{
        header, request::Parts, HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        Version,
    },
    response::{IntoResponse, Response},
};
use contract::{socket::SUBPROTOCOL, Problem, ProblemKind};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use serving::{Ending, ProblemResponse, Underway};
use std::future::Future;
use tokio_tungstenite::{
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
    WebSocketStream,
};

/// A request that opens a WebSocket: `GET` with `Upgrade` (RFC 6455 §4.2.1), or
/// HTTP/2's `CONNECT` with `:protocol` (RFC 8441 §5).
#[must_use]
pub struct Handshake {
    upgrade: OnUpgrade,
    /// The answer to the key; over HTTP/2 there is none.
    accept: Option<HeaderValue>,
    offers: bool,
    chosen: bool,
    /// To the edge the request is not over before the socket is: over HTTP/2 its
    /// connection may have no other.
    underway: Underway,
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Response> {
        let version = parts.version;
        Self::read(parts).map_err(|refusal| refusal.answer(version))
    }
}

/// Why a request opens no WebSocket.
enum Refusal {
    /// It asks for none, or for none that this server speaks.
    NotAsked(&'static str),
    /// It asks, and breaks the rules.
    Broken(&'static str),
}

impl Handshake {
    fn read(parts: &mut Parts) -> Result<Self, Refusal> {
        use Refusal::{Broken, NotAsked};
        let headers = &parts.headers;
        let accept = if parts.version >= Version::HTTP_2 {
            let protocol = parts.extensions.get::<Protocol>();
            let asked = protocol.is_some_and(|it| it.as_str() == "websocket");
            if parts.method != Method::CONNECT || !asked {
                return Err(NotAsked(
                    "the request is no CONNECT with :protocol websocket",
                ));
            }
            None
        } else {
            // In HTTP/1.0 `Upgrade` has no meaning (RFC 9110 §7.8).
            if parts.method != Method::GET || parts.version != Version::HTTP_11 {
                return Err(NotAsked("the request is no GET of HTTP/1.1"));
            }
            if !lists(headers, header::CONNECTION, "upgrade") {
                return Err(NotAsked("the header Connection does not list Upgrade"));
            }
            if !lists(headers, header::UPGRADE, "websocket") {
                return Err(NotAsked("the header Upgrade does not list websocket"));
            }
            let key = only(headers, header::SEC_WEBSOCKET_KEY)
                .filter(|key| is_key(key))
                .ok_or(Broken("Sec-WebSocket-Key is not 16 bytes in Base64, once"))?;
            let accept = HeaderValue::try_from(derive_accept_key(key));
            Some(accept.expect("Base64 is fit for a header"))
        };
        match only(headers, header::SEC_WEBSOCKET_VERSION) {
            Some(b"13") => {}
            Some(_) => return Err(NotAsked("Sec-WebSocket-Version is not 13")),
            None => {
                return Err(Broken("Sec-WebSocket-Version does not stand there once"))
            }
        }
        let offers = names(headers, header::SEC_WEBSOCKET_PROTOCOL)
            .any(|name| name == SUBPROTOCOL.as_bytes());
        let upgrade = parts.extensions.remove();
        Ok(Self {
            upgrade: upgrade.ok_or(NotAsked("the connection cannot be upgraded"))?,
            accept,
            offers,
            chosen: false,
            underway: parts.extensions.remove().unwrap_or_default(),
        })
    }
}

/// The members of a field that is a list (RFC 9110 §5.6.1), on however many lines
/// (§5.3).
fn names(headers: &HeaderMap, field: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(field).into_iter();
    lines.flat_map(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
    })
}

fn lists(headers: &HeaderMap, field: HeaderName, name: &str) -> bool {
    names(headers, field).any(|it| it.eq_ignore_ascii_case(name.as_bytes()))
}

/// The value of a field that may stand there once (RFC 6455 §11.3.1, §11.3.5).
fn only(headers: &HeaderMap, field: HeaderName) -> Option<&[u8]> {
    let mut lines = headers.get_all(field).into_iter();
    match (lines.next(), lines.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// 16 bytes are 22 digits of Base64, and two signs that fill the last group of four.
fn is_key(key: &[u8]) -> bool {
    let is_digit =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key.strip_suffix(b"=="), Some(it) if it.len() == 22 && it.iter().all(is_digit))
}

/// What 426 must name (RFC 9110 §15.5.22), with the word that keeps a proxy from
/// passing the name on (§7.8), and the one version that there is (RFC 6455 §4.4).
const UPGRADE: [(HeaderName, &str); 3] = [
    (header::CONNECTION, "Upgrade"),
    (header::UPGRADE, "websocket"),
    (header::SEC_WEBSOCKET_VERSION, "13"),
];

impl Refusal {
    fn answer(self, version: Version) -> Response {
        let problem = |kind, why| Problem::of(kind).with_detail(why);
        match self {
            Self::Broken(why) => {
                let refused = problem(ProblemKind::BadHandshake, why);
                ProblemResponse(refused).into_response()
            }
            // HTTP/2 has no `Upgrade` (RFC 9113 §8.2.2), so 426 would be a lie there.
            Self::NotAsked(why) if version >= Version::HTTP_2 => {
                let [.., known] = UPGRADE;
                let refused = problem(ProblemKind::UpgradeRequired, why)
                    .with_status(StatusCode::BAD_REQUEST.as_u16());
                ([known], ProblemResponse(refused)).into_response()
            }
            Self::NotAsked(why) => {
                let refused = problem(ProblemKind::UpgradeRequired, why);
                (UPGRADE, ProblemResponse(refused)).into_response()
            }
        }
    }
}

impl Handshake {
    /// Chooses the subprotocol, which is the version of the messages.
    ///
    /// A client that offers none, or only others, is refused. RFC 6455 §4.2.2 would let
    /// it in without one; a browser would then fail the connection itself, and any
    /// other client would read messages that it has not asked for.
    ///
    /// # Errors
    /// 400 `bad-subprotocol`.
    pub fn choose(self) -> Result<Self, Problem> {
        if self.offers {
            return Ok(Self {
                chosen: true,
                ..self
            });
        }
        let detail =
            format_args!("send the header Sec-WebSocket-Protocol: {SUBPROTOCOL}");
        Err(Problem::of(ProblemKind::BadSubprotocol).with_detail(detail))
    }

    /// Answers, and runs `serve` on the socket once the answer is out, in a task that
    /// the ending waits for.
    pub fn accept<F>(
        self,
        limits: WebSocketConfig,
        ending: &Ending,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (upgrade, underway) = (self.upgrade, self.underway);
        // Boxed: each of the futures around it would otherwise keep room for a copy of
        // it, some 2.5 KiB a time.
        let task = Box::pin(async move {
            // An error says that the connection ended before the answer was out.
            if let Ok(upgraded) = upgrade.await {
                let tunnel = Tunnel::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(
                    tunnel,
                    Role::Server,
                    Some(limits),
                );
                serve(socket.await).await;
            }
            drop(underway);
        });
        tokio::spawn(ending.track(task));

        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        // Over HTTP/2 it is a plain 200 (RFC 8441 §5).
        if let Some(accept) = self.accept {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        if self.chosen {
            let chosen = HeaderValue::from_static(SUBPROTOCOL);
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
        }
        response
    }
}
