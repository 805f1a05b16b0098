//! A reader that is behind gets the newest price of each share, and no gap: what it has
//! missed is old, and nobody needs it any more.

use axum::{
    body::Body,
    extract::State,
    http::{header, HeaderMap},
    response::{IntoResponse, Response},
    routing::get,
    Router,
};
use contract::{Cursor, Data, EventId, Position};
use feed::{Event, Feed, Retention, Subscription, View};
use futures_util::stream;
use serde::Deserialize;
use std::{collections::BTreeMap, convert::Infallible, error::Error};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

const SHARES: [&str; 4] = ["ACME", "BOLT", "CORE", "DUNE"];

/// Many times what the log keeps.
const TICKS: usize = 20_000;

// ANCHOR: state
/// By share: its newest price, and which event told it.
type Board = BTreeMap<String, (f64, EventId)>;

#[derive(Deserialize)]
struct Tick {
    symbol: String,
    price: f64,
}

fn fold(board: &mut Board, event: &Event) -> bool {
    let Ok(Tick { symbol, price }) = serde_json::from_str(event.data()) else {
        return false;
    };
    // Without a bound on the shares, whoever publishes could make the board grow.
    if !SHARES.contains(&symbol.as_str()) {
        return false;
    }
    board.insert(symbol, (price, event.cursor().id));
    true
}
// ANCHOR_END: state

#[derive(Clone)]
struct Server {
    log: Feed,
    view: View<Board>,
}

// ANCHOR: reader
/// What one reader costs: where it stands. What it is sent is made when there is room
/// for it, from the state of that moment.
struct Reader {
    view: View<Board>,
    seen: Cursor,
    /// Wakes it. Also where it tells a gap: the state knows better.
    news: Subscription,
}

impl Reader {
    async fn next(&mut self) -> String {
        loop {
            let seen = self.seen;
            let (version, newer) = self.view.read(|board, version| {
                let newer = board.iter().filter(|(_, (_, told))| {
                    // Of another log nothing has been seen.
                    version.epoch != seen.epoch || *told > seen.id
                });
                let newer = newer.map(|(symbol, (price, _))| (symbol.clone(), *price));
                (version, newer.collect::<BTreeMap<_, _>>())
            });
            if !newer.is_empty() {
                self.seen = version;
                let json = serde_json::to_string(&newer).expect("texts and numbers");
                return format!("id: {version}\ndata: {json}\n\n");
            }
            self.news.next().await;
        }
    }
}
// ANCHOR_END: reader

async fn prices(State(server): State<Server>, headers: HeaderMap) -> Response {
    let Server { log, view } = server;
    // However old it is: each price that has changed since is there.
    let last = headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    // Before the state is read for the first time, so that no tick falls in between.
    let news = log
        .subscribe(Position::Latest)
        .expect("the latest is no future");
    let seen = last.unwrap_or(log.state().earliest);
    let reader = Reader { view, seen, news };
    let blocks = stream::unfold(reader, |mut reader| async {
        let block = reader.next().await;
        Some((Ok::<_, Infallible>(block), reader))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(blocks)).into_response()
}

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = Feed::new(Retention {
        max_events: 100,
        ..Retention::default()
    });
    let view = View::new(log.clone(), fold);
    let server = Server { log, view };
    let log = server.log.clone();
    let app = Router::new()
        .route("/prices", get(prices))
        .with_state(server);
    // Little room on the way: what lies in the system's buffers cannot be made newer.
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(4_096)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(16)?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(2_048)?;
    let mut reader = socket.connect(address).await?;
    let request = format!("GET /prices HTTP/1.1\r\nHost: {address}\r\n\r\n");
    reader.write_all(request.as_bytes()).await?;

    // It does not read while all of this happens.
    for tick in 0..TICKS {
        let symbol = SHARES[tick % SHARES.len()];
        let data = serde_json::json!({ "symbol": symbol, "price": tick });
        log.publish("tick".parse()?, Data::new(&data)?).await?;
        tokio::task::yield_now().await;
    }

    let newest = SHARES.iter().enumerate().map(|(at, symbol)| {
        let price = TICKS - SHARES.len() + at;
        format!("\"{symbol}\":{price}.0")
    });
    let mut missing: Vec<String> = newest.collect();
    let mut read = String::new();
    while !missing.is_empty() {
        let mut bytes = [0; 4_096];
        let count = reader.read(&mut bytes).await?;
        assert!(count > 0, "the stream goes on");
        read.push_str(std::str::from_utf8(&bytes[..count])?);
        missing.retain(|price| !read.contains(price));
    }
    let told = read.matches("data: ").count();
    println!(
        "{TICKS} ticks went by; the reader was told {told} times, and has the newest"
    );
    assert!(told < TICKS / 10);
    assert!(!read.contains("gap"));
    Ok(())
}
// ANCHOR_END: main
