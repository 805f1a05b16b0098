//! A socket that pages of another origin want to open.

use crate::PLACES;
use axum::{extract::State, response::Response, routing::get, Router};
use futures_util::{SinkExt as _, StreamExt as _};
use serving::{Ending, ProblemResponse};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{protocol::WebSocketConfig, Message};
use waiting::Places;
use websocket::Handshake;

/// What everybody may read here, and nobody is to read in the chapter.
const TICKET: &str = "Ticket 19: the password is hunter2";

/// How long a client may take to close.
const CLOSING: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Tickets {
    places: Places,
    ending: Ending,
}

/// `GET plain` and `GET real`, upgraded. They are the same: who may open which is up to
/// the guard around them.
pub(crate) fn router(places: &Places, ending: &Ending) -> Router {
    let route = get(ticket).connect(ticket);
    Router::new()
        .route("/plain", route.clone())
        .route("/real", route)
        .with_state(Tickets {
            places: Places::new(PLACES).within(Some(places)),
            ending: ending.clone(),
        })
}

async fn ticket(
    State(tickets): State<Tickets>,
    handshake: Handshake,
) -> Result<Response, ProblemResponse> {
    let place = tickets.places.acquire()?;
    let limits = WebSocketConfig::default().read_buffer_size(4 * 1024);
    Ok(
        handshake.accept(limits, &tickets.ending, |mut socket| async move {
            let _ = socket.send(Message::text(TICKET)).await;
            let _ = socket.close(None).await;
            // The client closes as well, and then the connection ends. Firefox takes
            // one that ends right after the handshake for a failure.
            let closed = async { while let Some(Ok(_)) = socket.next().await {} };
            let _ = timeout(CLOSING, closed).await;
            drop(place);
        }),
    )
}
