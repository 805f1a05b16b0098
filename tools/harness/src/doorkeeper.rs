//! Somebody before a method's router who asks each request who it is, as a login would.

use axum::{
    extract::{Request, State},
    http::{header::AUTHORIZATION, HeaderMap},
    middleware::{from_fn_with_state, Next},
    response::{IntoResponse, Response},
    Router,
};
use conformance::{Gate, Outcome, Withdrawn};
use contract::{Kind, Problem};
use futures_util::future::{BoxFuture, FutureExt};
use serving::ProblemResponse;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use waiting::{Access, Over, Rights};

/// Knows whom it has admitted, by their tokens, and leaves the [`Access`] of each with what they
/// ask. Clones know the same.
#[derive(Clone, Default)]
pub struct Doorkeeper(Arc<Mutex<HashMap<String, Admitted>>>);

struct Admitted {
    access: Access,
    /// The kinds that are not for them any more.
    withdrawn: HashSet<Kind>,
}

impl Doorkeeper {
    /// This router, behind the doorkeeper if there is one.
    pub fn before(doorkeeper: Option<&Self>, router: Router) -> Router {
        match doorkeeper {
            Some(doorkeeper) => router.layer(from_fn_with_state(doorkeeper.clone(), look)),
            None => router,
        }
    }

    fn access(&self, headers: &HeaderMap) -> Option<Access> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let token = value.strip_prefix("Bearer ")?;
        Some(self.admitted().get(token)?.access.clone())
    }

    fn admitted(&self) -> MutexGuard<'_, HashMap<String, Admitted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(State(doorkeeper): State<Doorkeeper>, mut request: Request, next: Next) -> Response {
    match doorkeeper.access(request.headers()) {
        Some(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        None => ProblemResponse(Problem::unauthorized("who are you?")).into_response(),
    }
}

impl Gate for Doorkeeper {
    fn admit(&self) -> BoxFuture<'_, Result<String, String>> {
        let mut admitted = self.admitted();
        // No secret: nobody but a test asks.
        let token = format!("reader-{}", admitted.len());
        let reader = Admitted {
            access: Access::new(Rights::all(), None),
            withdrawn: HashSet::new(),
        };
        admitted.insert(token.clone(), reader);
        async { Ok(token) }.boxed()
    }

    fn withdraw<'a>(&'a self, token: &'a str, what: Withdrawn) -> BoxFuture<'a, Outcome> {
        async move {
            let mut admitted = self.admitted();
            let reader = admitted.get_mut(token).ok_or("nobody has this token")?;
            match what {
                Withdrawn::Credential => reader.access.end(Over::Renew),
                Withdrawn::Access => reader.access.end(Over::Denied),
                Withdrawn::Kind(kind) => {
                    reader.withdrawn.insert(kind);
                    let (to_see, to_publish) = (reader.withdrawn.clone(), reader.withdrawn.clone());
                    let rights = Rights::all()
                        .seeing(move |event| !to_see.contains(event.kind()))
                        .publishing(move |kind| !to_publish.contains(kind));
                    reader.access.change(rights);
                }
            }
            Ok(())
        }
        .boxed()
    }
}
