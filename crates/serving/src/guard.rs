//! Which hosts this server answers for, and which pages may act on it.

use crate::ProblemResponse;
use axum::{
    extract::Request,
    middleware::{from_fn, Next},
    response::{IntoResponse, Response},
    Router,
};
use contract::Problem;
use http::{header, uri::Authority, HeaderMap, Method, StatusCode, Uri};
use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};
use thiserror::Error;

/// A router whose requests are checked first: what [`serve`](crate::serve) takes.
///
/// [`guard`] makes one, with the checks that its documentation lists. A server without
/// them asks for that by name ([`unchecked`](Self::unchecked)). A bare router is no
/// `Guarded`, so that a forgotten guard does not compile:
///
/// ```compile_fail,E0308
/// # use serving::{guard, serve, Allowed, Config, Ending};
/// # async fn served(listener: tokio::net::TcpListener, router: axum::Router) {
/// serve(listener, router, Config::default(), Ending::new()).await.unwrap();
/// # }
/// ```
///
/// ```no_run
/// # use serving::{guard, serve, Allowed, Config, Ending};
/// # async fn served(listener: tokio::net::TcpListener, router: axum::Router) {
/// let router = guard(router, Allowed::default());
/// serve(listener, router, Config::default(), Ending::new()).await.unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Guarded {
    pub(crate) router: Router,
    /// `None` where nothing is checked.
    pub(crate) allowed: Option<Allowed>,
}

impl Guarded {
    /// A router that answers every host, and lets pages of every site act on it.
    ///
    /// For a server that no browser reaches, and to show what goes wrong without a
    /// guard.
    pub fn unchecked(router: Router) -> Self {
        Self {
            router,
            allowed: None,
        }
    }

    /// The router with its checks as a layer, for a server other than
    /// [`serve`](crate::serve).
    pub fn into_router(self) -> Router {
        let Self { router, allowed } = self;
        match allowed {
            Some(allowed) => checked(router, allowed),
            None => router,
        }
    }
}

/// What is allowed beyond what [`guard`] allows anyway.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Names under which this server may be reached, such as that of the proxy in front
    /// of it.
    pub hosts: Vec<HostName>,
    /// Origins whose pages may act on this server.
    pub origins: Vec<Origin>,
    /// Paths on which pages of every origin may act, to show what comes of it: for what
    /// everybody may read and nobody can change. The host is checked there as well.
    pub any_origin: Vec<&'static str>,
}

/// Checks the `Host` and the `Origin` of every request to `router`.
///
/// **Host.** A page of `evil.example` can change what that name resolves to, and so
/// reach a server on the reader's own machine under the name `evil.example`. To the
/// browser this is one origin, which may read everything. The attack is called DNS
/// rebinding, and it always shows a name that is not ours in `Host`. Allowed are:
///
/// - any IP address, because an address cannot be rebound;
/// - `localhost` and names under it, which browsers resolve to this machine
///   ([RFC 6761 §6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3));
/// - the names of [`Allowed::hosts`].
///
/// The port does not matter. The rule is the same whichever address the server is bound
/// to. Others get 421 ([RFC 9110
/// §15.5.20](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20)); a request with
/// no `Host`, or with two, gets 400 ([RFC 9112
/// §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)).
///
/// **Origin.** CORS keeps a page of another site from reading answers. It does not keep
/// it from sending: a form posts without asking, and a WebSocket handshake is not
/// subject to CORS at all. So a request that may change something (any method but GET,
/// HEAD and OPTIONS) or that asks for an upgrade must come from the same origin as the
/// host that it names, or from one of [`Allowed::origins`]. Others get 403. A request
/// without `Origin` passes: browsers send it with all of these ([Fetch
/// §3.2](https://fetch.spec.whatwg.org/#origin-header)), so it comes from a program
/// that could write whatever it likes.
///
/// This is not CORS: an allowed origin may send, and gets no leave to read. It is for a
/// proxy that does not pass the browser's `Host` on, and for WebSocket.
pub fn guard(router: Router, allowed: Allowed) -> Guarded {
    Guarded {
        router,
        allowed: Some(allowed),
    }
}

fn checked(router: Router, allowed: Allowed) -> Router {
    // Shared by all requests and never changed.
    let allowed = Arc::new(allowed);
    router.layer(from_fn(move |request: Request, next: Next| {
        let allowed = allowed.clone();
        async move { check(&allowed, request, next).await }
    }))
}

async fn check(allowed: &Allowed, request: Request, next: Next) -> Response {
    match allowed.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => ProblemResponse(problem).into_response(),
    }
}

impl Allowed {
    /// What [`guard`] says of a request, for a server that is no router.
    ///
    /// # Errors
    /// 400 without one `Host`, 421 for a host that is not ours, 403 for a page of
    /// another site that acts.
    pub fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let host = host(uri, headers)?;
        if !self.allows_host(host.host()) {
            let detail = format!("{:?} is not a name of this server", host.host());
            return Err(Problem::wrong_host(detail));
        }
        if self.any_origin.contains(&uri.path()) {
            return Ok(());
        }
        let acts = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
            || headers.contains_key(header::UPGRADE);
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(text), true) = (origins.next(), acts) else {
            return Ok(());
        };
        // `null` (a sandboxed page, a local file) is no origin that anybody could be
        // sure of, and parses as none.
        let origin = text
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Origin>().ok());
        match origin {
            Some(origin)
                if origins.next().is_none()
                    && (origin.is_of(&host) || self.origins.contains(&origin)) =>
            {
                Ok(())
            }
            _ => Err(Problem::foreign_origin(format_args!(
                "the request comes from a page of {text:?}, not of {host}"
            ))),
        }
    }

    fn allows_host(&self, host: &str) -> bool {
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        // A dot at the end says that the name is complete (RFC 1034 §3.1); the name is
        // the same.
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        address.unwrap_or(host).parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.hosts.iter().any(|allowed| allowed.0 == name)
    }
}

/// The host that a request is for: HTTP/2's `:authority` or an absolute target before
/// the `Host` header (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let bad = |detail: &str| {
        Problem::wrong_host(detail).with_status(StatusCode::BAD_REQUEST.as_u16())
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("there is more than one Host header"));
    }
    let authority = match (uri.authority(), named) {
        (Some(authority), _) => Some(authority.clone()),
        (None, Some(host)) => Authority::try_from(host.as_bytes()).ok(),
        (None, None) => return Err(bad("there is no Host header")),
    };
    // `user@host` is for links, not for requests (RFC 9110 §4.2.4), and could mislead
    // whoever compares it as text. A port that is no number of 16 bits parses all the
    // same.
    let port = |authority: &Authority| {
        let after = authority.as_str().strip_prefix(authority.host());
        matches!(after, Some("" | ":")) || authority.port_u16().is_some()
    };
    authority
        .filter(|authority| !authority.as_str().contains('@') && port(authority))
        .ok_or_else(|| bad("the Host header is no host"))
}

/// A host's name, without port; compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The text is no host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a host is a name such as book.example, without scheme and port")]
pub struct ParseHostError;

impl FromStr for HostName {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
        };
        if text.is_empty() || !text.bytes().all(letters) {
            return Err(ParseHostError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a page comes from: scheme, host and port ([RFC
/// 6454](https://www.rfc-editor.org/rfc/rfc6454)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// Always the number for http and https, so that `https://a.example` and
    /// `https://a.example:443` are one.
    port: Option<u16>,
}

/// The text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an origin is a scheme, a host and maybe a port, such as https://book.example")]
pub struct ParseOriginError;

impl FromStr for Origin {
    type Err = ParseOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| ParseOriginError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        else {
            return Err(ParseOriginError);
        };
        if uri.path() != "/"
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(ParseOriginError);
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().or(default_port(scheme)),
        })
    }
}

impl Origin {
    /// Whether a page of this origin was served by `host`.
    ///
    /// The scheme is left out: where a proxy ends TLS, only the browser knows that it
    /// was https.
    fn is_of(&self, host: &Authority) -> bool {
        self.host.eq_ignore_ascii_case(host.host())
            && self.port == host.port_u16().or(default_port(&self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
