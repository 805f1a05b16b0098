//! Each method's server, as the conformance suite asks for it.

use axum::Router;
use conformance::{Method, Settings};
use feed::{Feed, Retention};
use serving::Ending;
use std::{num::NonZeroU32, time::Duration};

/// The shortest heartbeat where other programs share the processors.
const SHORTEST: Duration = Duration::from_secs(1);

/// What a case asks for, with a heartbeat that can be kept. A case asks for 100 ms, and
/// a socket whose pong takes two heartbeats is dropped.
pub(crate) fn beside_others(settings: Settings) -> Settings {
    Settings {
        heartbeat: settings.heartbeat.max(SHORTEST),
        ..settings
    }
}

/// The router of a method over this log, as the method's own tests have it.
pub(crate) fn router(
    method: Method,
    settings: Settings,
    feed: Feed,
    ending: Ending,
) -> Router {
    match method {
        Method::Polling => {
            let config = polling::Config {
                // The clients of the suite ask far more often than people's do.
                max_rate: NonZeroU32::MAX,
                ..polling::Config::default()
            };
            polling::router(feed, config, ending)
        }
        Method::LongPolling => {
            let config = long_polling::Config {
                // An answer without events is this method's heartbeat.
                max_wait: settings.heartbeat,
                ..long_polling::Config::default()
            };
            long_polling::router(feed, config, ending)
        }
        Method::Sse => {
            let config = sse::Config {
                heartbeat: settings.heartbeat,
                // Short, so that a client which was cut does not make the test wait.
                retry_ms: 5..10,
                ..sse::Config::default()
            };
            sse::router(feed, config, ending)
        }
        Method::WebSocket => {
            let config = websocket::Config {
                heartbeat: settings.heartbeat,
                ..websocket::Config::default()
            };
            websocket::router(feed, Feed::new(Retention::default()), config, ending)
        }
    }
}
