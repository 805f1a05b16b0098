//! `GET state`: what the events have led to, for those who need no more than that.

use crate::Server;
use axum::{
    extract::State,
    http::{header, HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use feed::{ticker::Tick, Cursor, Event, Feed, View};
use headers::{ETag, HeaderMapExt};
use serde::{Deserialize, Serialize};
use serving::{is_known, Problem};
use std::collections::BTreeMap;

/// The longest symbol taken, in bytes. Real ones have five letters at most on many exchanges, and funds a few more.
const MAX_SYMBOL: usize = 16;

/// The answer to `GET state`: `{"cursor":"k3f9x2.17","prices":{"ACME":{"price":101.25,"change":-0.25}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// The version of this state, and its `ETag`. Events after it are not in it yet: ask for them with it.
    pub cursor: Cursor,
    /// By symbol, in alphabetical order, so that one state is always the same bytes.
    pub prices: Board,
}

impl Prices {
    fn new(cursor: Cursor, board: &Board) -> Self {
        let prices = board.clone();
        Self { cursor, prices }
    }
}

/// The newest price of each symbol.
pub type Board = BTreeMap<String, Price>;

/// The newest price of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// In dollars.
    pub price: f64,
    /// How much the last tick moved it, in dollars.
    pub change: f64,
}

/// The state of a log, caught up when somebody asks for it.
pub(crate) fn view(feed: Feed, max_symbols: usize) -> View<Board> {
    View::new(feed, move |board, event| fold(board, event, max_symbols))
}

// ANCHOR: fold
/// What one event does to the prices, and whether it changed any.
fn fold(board: &mut Board, event: &Event, max_symbols: usize) -> bool {
    if event.kind().as_str() != "tick" {
        return false;
    }
    // Anybody may publish an event of this kind, with whatever data.
    let Ok(tick) = serde_json::from_str::<Tick>(event.data()) else {
        return false;
    };
    let (symbol, price, change) = (tick.symbol, tick.price, tick.change);
    let full = board.len() >= max_symbols && !board.contains_key(&symbol);
    if full || symbol.len() > MAX_SYMBOL {
        return false;
    }
    let now = Price { price, change };
    board.insert(symbol, now) != Some(now)
}
// ANCHOR_END: fold

// ANCHOR: state
/// `GET state`: the state, or 304 where the client has it.
pub(crate) async fn state(
    State(server): State<Server>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    server.admit()?;
    // A look and a copy; it becomes JSON when others may look again.
    let (etag, prices) = server.prices.read(|board, cursor| {
        let etag = etag(cursor);
        let known = etag.as_ref().is_some_and(|etag| is_known(&request, etag));
        let prices = (!known).then(|| Prices::new(cursor, board));
        (etag, prices)
    });
    let mut response = match prices {
        Some(prices) => Json(prices).into_response(),
        None => StatusCode::NOT_MODIFIED.into_response(),
    };
    let headers = response.headers_mut();
    if let Some(etag) = etag {
        headers.typed_insert(etag);
    }
    headers.insert(header::CACHE_CONTROL, ASK_FIRST);
    Ok(response)
}
// ANCHOR_END: state

// ANCHOR: etag
/// It may be kept, but must be asked about before each use (RFC 9111 §5.2.2.4).
const ASK_FIRST: HeaderValue = HeaderValue::from_static("no-cache");

/// The tag of a version: a strong one, because one version is always the same bytes.
fn etag(version: Cursor) -> Option<ETag> {
    // Never `None`: a cursor has no character that a tag may not have.
    format!("\"{version}\"").parse().ok()
}
// ANCHOR_END: etag
