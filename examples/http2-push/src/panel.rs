//! The panel of the book's chapter: this crate's client asks this crate's server, and a
//! page shows the frames.
//!
//! A browser cannot show a push: it takes none, and would tell no script if it did. So
//! the client runs here, beside the server, and the panel is an ordinary page that asks
//! for its record.

use crate::{
    client::{self, Session},
    Way,
};
use axum::{
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
    Json, Router,
};
use contract::Problem;
use http::{header, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use serving::{assets, fallbacks, ProblemResponse};
use tls::Trust;
use waiting::Places;

/// How many exchanges may run at once. Each is a connection of this process to itself.
pub const EXCHANGES: usize = 8;

/// A running push server: its address and what to trust.
#[derive(Clone, Debug)]
pub struct Running {
    /// Such as `https://127.0.0.1:4443/`.
    pub address: Uri,
    /// Its certificate.
    pub trust: Trust,
}

#[derive(Clone)]
struct Panel {
    /// None where the push server's port could not be had.
    server: Option<Running>,
    /// The places for exchanges.
    places: Places,
}

/// What the panel's client shall do.
#[derive(Deserialize)]
struct Wish {
    way: Way,
    /// What it announces as `SETTINGS_ENABLE_PUSH`.
    accept: bool,
}

/// `GET server`: where the push server is. `GET exchange?way=push&accept=true`: the
/// frames of one exchange with it. `GET /`: the panel on a page.
pub fn router(server: Option<Running>) -> Router {
    let panel = Panel {
        server,
        places: Places::new(EXCHANGES),
    };
    let router = Router::new()
        .route("/server", get(whereabouts))
        .route("/exchange", get(exchange))
        .merge(assets::router(web::HTTP2_PUSH))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(panel)
}

async fn whereabouts(State(panel): State<Panel>) -> Response {
    let address = panel.server.map(|server| server.address.to_string());
    fresh(json!({ "address": address }))
}

async fn exchange(
    State(panel): State<Panel>,
    wish: Result<Query<Wish>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ProblemResponse> {
    let Query(wish) = wish.map_err(|error| {
        let title = "This is no exchange";
        Problem::new(StatusCode::BAD_REQUEST.as_u16(), "bad-exchange", title)
            .with_detail(error.body_text())
    })?;
    let server = panel.server.ok_or_else(Problem::not_found)?;
    let _place = panel.places.acquire()?;
    match one(&server, wish).await {
        Ok(told) => Ok(fresh(told)),
        Err(error) => {
            tracing::warn!(%error, "the push server does not answer its own client");
            let title = "The push server does not answer";
            let status = StatusCode::BAD_GATEWAY.as_u16();
            let problem = Problem::new(status, "no-answer", title);
            Err(problem.with_detail(error).into())
        }
    }
}

/// Asks for the page, and then for each part that it names, as a browser would.
async fn one(
    server: &Running,
    Wish { way, accept }: Wish,
) -> Result<serde_json::Value, client::ClientError> {
    let config = client::Config {
        accept_push: accept,
        ..client::Config::default()
    };
    let mut session = Session::connect(&server.address, &server.trust, config).await?;
    let page = session.get(way.folder()).await?;
    let mut parts = Vec::new();
    for path in way.parts() {
        let fetched = session.get(&path).await?;
        parts.push(json!({
            "path": path,
            "pushed": fetched.source == client::Source::Pushed,
            "bytes": fetched.answer.body.len(),
        }));
    }
    Ok(json!({
        "hints": page.hints.len(),
        "parts": parts,
        "frames": session.recording().to_string(),
    }))
}

/// An answer that is true of this moment.
fn fresh(told: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
}
