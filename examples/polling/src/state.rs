//! `GET state`: what the events have led to, for those who need no more than that.

use crate::Server;
use axum::{
    body::Bytes,
    extract::State,
    http::{header, HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use contract::Cursor;
use feed::{Event, Feed, View};
use headers::{ETag, HeaderMapExt};
use serde::{Deserialize, Serialize};
use serving::{is_known, ProblemResponse};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use waiting::{ticker::Tick, Reader};

/// The longest symbol taken, in bytes. Real ones have five letters at most on many
/// exchanges, and funds a few more.
const MAX_SYMBOL: usize = 16;

/// The answer to `GET state`:
/// `{"cursor":"k3f9x2.17","prices":{"ACME":{"price":101.25,"change":-0.25}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// The version of this state, and its `ETag`. Events after it are not in it yet:
    /// ask for them with it.
    pub cursor: Cursor,
    /// By symbol, in alphabetical order, so that one state is always the same bytes.
    pub prices: Board,
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

/// [`Prices`], of a board that stays where it is.
#[derive(Serialize)]
struct Now<'a> {
    cursor: Cursor,
    prices: &'a Board,
}

/// The newest version as JSON: the answer is the same for everybody who asks, so it is
/// written once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<Mutex<Option<(Cursor, Bytes)>>>);

impl Written {
    fn of(&self, version: Cursor, board: &Board) -> Bytes {
        // Held for one write at most. Whoever asks holds the view's lock, so nobody
        // meets an older version here.
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*written {
            Some((of, json)) if *of == version => json.clone(),
            _ => {
                let state = Now {
                    cursor: version,
                    prices: board,
                };
                let json = serde_json::to_vec(&state).expect("a state becomes JSON");
                let json = Bytes::from(json);
                *written = Some((version, json.clone()));
                json
            }
        }
    }
}

// ANCHOR: state
/// `GET state`: the state, or 304 where the client has it.
pub(crate) async fn state(
    State(server): State<Server>,
    reader: Reader,
    request: HeaderMap,
) -> Result<Response, ProblemResponse> {
    server.admit()?;
    reader.check_sees_all()?;
    // Tag and state are of one look.
    let (etag, json) = server.prices.read(|board, version| {
        let etag = etag(version);
        let known = etag.as_ref().is_some_and(|etag| is_known(&request, etag));
        let json = (!known).then(|| server.written.of(version, board));
        (etag, json)
    });
    let mut response = match json {
        Some(json) => (JSON, json).into_response(),
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

const JSON: [(header::HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "application/json")];

// ANCHOR: etag
/// It may be kept, but must be asked about before each use (RFC 9111 §5.2.2.4).
const ASK_FIRST: HeaderValue = HeaderValue::from_static("no-cache");

/// The tag of a version: a strong one, because one version is always the same bytes.
fn etag(version: Cursor) -> Option<ETag> {
    // Never `None`: a cursor has no character that a tag may not have.
    format!("\"{version}\"").parse().ok()
}
// ANCHOR_END: etag

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_the_contracts() {
        let example =
            include_str!("../../../crates/contract/vectors/state/prices.json");
        let example = example.trim_end();
        let prices: Prices = serde_json::from_str(example).unwrap();
        assert_eq!(serde_json::to_string(&prices).unwrap(), example);
        let Prices { cursor, prices } = &prices;
        let now = Now {
            cursor: *cursor,
            prices,
        };
        assert_eq!(serde_json::to_string(&now).unwrap(), example);
    }
}
