//! Where the routes of one server lie, and requests to them.

use crate::{
    credential::{Credential, Renewer},
    response::{json, problem},
    Error, Failure, PATIENCE,
};
use contract::{
    headers::IDEMPOTENCY_KEY, socket::Auth, Accepted, Cursor, Data, IdempotencyKey,
    Kind, NewEvent, ProblemKind,
};
use reqwest::{RequestBuilder, Url};
use std::{future::Future, net::IpAddr, time::Duration};

/// How long a connection may rest between two requests. Shorter than the 10 s after
/// which the book's servers close it: a request that leaves while the server closes is
/// lost on the way, and it is not known whether it was read.
const IDLE: Duration = Duration::from_secs(8);

/// The server whose routes lie at one base, with the connections to it. Clones share
/// them.
#[derive(Clone, Debug)]
pub struct Endpoint {
    http: reqwest::Client,
    base: Url,
    /// Where there is a credential to renew.
    renewer: Option<Renewer>,
}

impl Endpoint {
    /// The server whose routes lie at `base`, which ends in `/`. A query of `base` goes
    /// with every request.
    pub fn new(base: Url) -> Self {
        Self {
            http: http(&base),
            base,
            renewer: None,
        }
    }

    /// The same, by an HTTP client of your own: one that speaks TLS or HTTP/2, say.
    ///
    /// A [`WebSocketClient`] needs one that asks for HTTP/1.1.
    ///
    /// [`WebSocketClient`]: crate::WebSocketClient
    pub fn with_http(base: Url, http: reqwest::Client) -> Self {
        Self {
            http,
            base,
            renewer: None,
        }
    }

    /// The same, with a way to get a credential. `renew` is called before each stream
    /// and each socket, and before the first request and after each 401 `unauthorized`
    /// where there are requests; it may give the same credential again.
    ///
    /// Where it fails for good ([`Failure::Permanent`]), so does what needs the
    /// credential. Where it fails in another way, it is called again after a wait.
    #[must_use]
    pub fn with_renewer<F>(self, renew: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credential, Failure>> + Send + 'static,
    {
        let renewer = Some(Renewer::new(renew));
        Self { renewer, ..self }
    }

    /// Whether a credential can be renewed.
    pub(crate) fn renews(&self) -> bool {
        self.renewer.is_some()
    }

    /// The server has refused the credential: the next request gets another.
    pub(crate) fn forget_credential(&self) {
        if let Some(renewer) = &self.renewer {
            renewer.forget();
        }
    }

    /// As [`get`](Self::get), for a stream or a socket: with a credential of its own.
    pub(crate) async fn connection(
        &self,
        route: &str,
        parameter: Option<(&str, &str)>,
    ) -> Result<(RequestBuilder, Option<Auth>), Failure> {
        let Some(renewer) = &self.renewer else {
            return Ok((self.get(route, parameter)?, None));
        };
        let credential = renewer.renewed().await?;
        let (ticket, first) = credential.once();
        let request = self.get_with(route, [parameter, ticket])?;
        Ok((credential.apply(request), first))
    }

    /// As [`get`](Self::get), with the credential that there is.
    pub(crate) async fn request(
        &self,
        route: &str,
        parameter: Option<(&str, &str)>,
    ) -> Result<RequestBuilder, Failure> {
        let request = self.get(route, parameter)?;
        match &self.renewer {
            None => Ok(request),
            Some(renewer) => Ok(renewer.current().await?.apply(request)),
        }
    }

    /// A `GET` of `route`, such as `events`, with one more parameter in its query if
    /// there is one to add.
    ///
    /// # Errors
    /// [`Error::Base`] where the base is no base of anything, such as `data:`.
    pub fn get(
        &self,
        route: &str,
        parameter: Option<(&str, &str)>,
    ) -> Result<RequestBuilder, Error> {
        self.get_with(route, [parameter, None])
    }

    fn get_with(
        &self,
        route: &str,
        parameters: [Option<(&str, &str)>; 2],
    ) -> Result<RequestBuilder, Error> {
        let mut url = self.url(route)?;
        for (name, value) in parameters.into_iter().flatten() {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(self.http.get(url))
    }

    /// Publishes one event: `POST events`, as all HTTP methods of the contract take it.
    ///
    /// With a `key` the call may be repeated after an error without making a second
    /// event.
    ///
    /// # Errors
    /// [`Error`]; of a refusal, [`Error::problem`] has the kind. An answer must come
    /// within 10 s.
    pub async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, Error> {
        let mut request = self
            .http
            .post(self.url("events")?)
            .json(&NewEvent { kind, data })
            .timeout(PATIENCE);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key.as_str());
        }
        if let Some(renewer) = &self.renewer {
            request = match renewer.current().await {
                Ok(credential) => credential.apply(request),
                Err(Failure::Permanent(error) | Failure::Unexpected(error)) => {
                    return Err(error)
                }
                Err(_) => return Err(Error::NoAnswer),
            };
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            let error = problem(response).await;
            if error.problem() == Some(ProblemKind::Unauthorized.name()) {
                self.forget_credential();
            }
            return Err(error);
        }
        let Accepted { id } = json(response, "answer to a publish").await?;
        Ok(id)
    }

    fn url(&self, route: &str) -> Result<Url, Error> {
        let joined = self.base.join(route);
        let mut url =
            joined.map_err(|error| Error::Base(format!("{}: {error}", self.base)))?;
        // Joining drops it (RFC 3986 §5.2.2), and it may be what the server knows its
        // clients by.
        url.set_query(self.base.query());
        Ok(url)
    }
}

/// A client that heeds the proxies of the environment, and of the system's settings,
/// but not on the way to this machine: to a proxy elsewhere, `127.0.0.1` is the proxy
/// itself.
fn http(base: &Url) -> reqwest::Client {
    let builder = reqwest::Client::builder().pool_idle_timeout(IDLE);
    let builder = if is_loopback(base) {
        builder.no_proxy()
    } else {
        builder
    };
    // As `reqwest::Client::new`, which has no error either: only TLS could fail here,
    // and there is none.
    builder.build().expect("a client without TLS")
}

/// Whether `url` leads to this machine ([RFC 6761
/// §6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let name = host.trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_rests_for_less_than_its_server_allows() {
        assert!(IDLE + Duration::from_secs(1) < serving::Config::default().headers);
    }

    #[test]
    fn a_query_of_the_base_goes_with_every_request() {
        let get = |base: &str, parameter| {
            let server = Endpoint::new(base.parse().unwrap());
            let request = server.get("events", parameter).unwrap().build().unwrap();
            request.url().to_string()
        };
        let after = Some(("after", "k3f9x2.17"));
        assert_eq!(get("http://a.example/", None), "http://a.example/events");
        assert_eq!(
            get("http://a.example/live/sse/?room=a&x", after),
            "http://a.example/live/sse/events?room=a&x&after=k3f9x2.17"
        );
        assert!(Endpoint::new("data:text".parse().unwrap())
            .get("events", None)
            .is_err());
    }

    #[test]
    fn this_machine_is_known_from_others() {
        for (base, ours) in [
            ("http://127.0.0.1:4100/", true),
            ("http://127.8.9.10/", true),
            ("http://[::1]:4100/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://localhost/", true),
            ("http://sse.LOCALHOST.:4100/", true),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
            ("http://[2001:db8::1]/", false),
            ("data:text", false),
        ] {
            assert_eq!(is_loopback(&base.parse().unwrap()), ours, "{base}");
        }
    }
}
