//! How the tests start this method.

use feed::Feed;
use harness::Server;
use std::time::Duration;

/// The settings under which a stream's bytes are known.
pub fn still_config() -> sse::Config {
    sse::Config {
        retry_ms: 1730..1731,
        demo_cut: true,
        token_pause: Duration::ZERO,
        ..Default::default()
    }
}

pub async fn start(feed: Feed, config: sse::Config) -> Server {
    Server::start(feed, |feed, ending| sse::router(feed, config, ending)).await
}
