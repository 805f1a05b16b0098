//! What a request passes on its way to the router.

use crate::{
    body::{self, BodyLimit},
    Allowed, Config, Ending, Guarded, ProblemResponse,
};
use axum::{
    extract::{DefaultBodyLimit, Request},
    response::{IntoResponse, Response},
    Router,
};
use futures_util::future::{Either, FutureExt as _};
use http::{header, HeaderValue, Method, Version};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use shares::Client;
use std::{
    future::{ready, Future},
    sync::Arc,
};

/// A router with the checks of [`serve`](crate::serve) in front of it.
///
/// Plain calls and no layers of axum: for each layer every request would have a boxed
/// future and a copy of the service below, which for a long poll cost more than to
/// answer it.
pub(crate) struct Edge {
    router: TowerToHyperService<Router>,
    /// `None` where nothing is checked.
    allowed: Option<Allowed>,
    body: BodyLimit,
    ending: Ending,
}

impl Edge {
    pub(crate) fn new(guarded: Guarded, config: &Config, ending: Ending) -> Arc<Self> {
        let Guarded { router, allowed } = guarded;
        Arc::new(Self {
            router: TowerToHyperService::new(router),
            allowed,
            body: BodyLimit::new(config),
            ending,
        })
    }

    /// Answers a request.
    ///
    /// Put together from functions and no `async fn`, which would hold the request, and
    /// the future that it becomes, twice: each connection keeps room for one of these.
    pub(crate) fn answer(
        self: &Arc<Self>,
        request: Request,
    ) -> impl Future<Output = Response> {
        let (edge, version) = (self.clone(), request.version());
        let answered = match body::has_body(&request) {
            // Boxed: most requests have no body, and need no room for this.
            true => Either::Left(Box::pin(self.clone().answer_with_body(request))),
            false => Either::Right(self.check_and_route(request)),
        };
        answered.map(move |mut response| {
            // hyper says so only where it has been told before the answer is ready, and
            // a parked request is answered by the ending itself. HTTP/2 has GOAWAY for
            // it, and forbids the header (RFC 9113 §8.2.2). An upgrade has one of its
            // own.
            if version < Version::HTTP_2 && edge.ending.has_begun() {
                let close = HeaderValue::from_static("close");
                let headers = response.headers_mut();
                headers.entry(header::CONNECTION).or_insert(close);
            }
            response
        })
    }

    async fn answer_with_body(self: Arc<Self>, request: Request) -> Response {
        let handle = |request| self.check_and_route(request);
        self.body.answer(request, handle).await
    }

    /// The guard first: whatever it refuses, it refuses with its own problem, however
    /// large the body.
    fn check_and_route(
        &self,
        mut request: Request,
    ) -> impl Future<Output = Response> + use<> {
        if let Err(problem) = self.check(&request) {
            return Either::Left(ready(problem.into_response()));
        }
        // axum's extractors have a limit of their own (2 MB), which answers in plain
        // text. That of the edge replaces it.
        DefaultBodyLimit::disable().apply(&mut request);
        let routed = self.router.call(request);
        Either::Right(routed.map(|routed| match routed {
            Ok(response) => response,
            Err(never) => match never {},
        }))
    }

    fn check(&self, request: &Request) -> Result<(), ProblemResponse> {
        if let Some(allowed) = &self.allowed {
            allowed.check(request.method(), request.uri(), request.headers())?;
        }
        // After the guard: what is not for this server costs nobody's share.
        if let Some(client) = request.extensions().get::<Client>() {
            match publishes(request.method()) {
                true => client.publish()?,
                false => client.read()?,
            }
        }
        self.body.check(request)
    }
}

/// Whether a request is meant to change something. A `CONNECT` opens a WebSocket over
/// HTTP/2, as a `GET` does over HTTP/1.1; what is published over it is counted there.
fn publishes(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::CONNECT
    )
}
