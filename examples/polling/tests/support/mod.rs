//! How the tests start this method.

use contract::Data;
use feed::Feed;
use harness::Server;
use polling::Config;
use waiting::ticker::Tick;

pub async fn start(feed: Feed, config: Config) -> Server {
    Server::start(feed, |feed, ending| polling::router(feed, config, ending)).await
}

/// Publishes a price.
pub async fn tick(feed: &Feed, symbol: &str, price: f64, change: f64) {
    let symbol = symbol.to_owned();
    let tick = Tick {
        symbol,
        price,
        change,
    };
    let kind = "tick".parse().expect("a kind");
    let data = Data::new(&tick).expect("JSON");
    feed.publish(kind, data).await.expect("the log takes it");
}

/// The head of a `GET` with further headers, each on a line that begins with LF.
pub fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\nHost: 127.0.0.1:4101{headers}")
}
