//! What a test sets of a server, and the server that comes of it.

use feed::{Feed, Retention};
use serde::{Deserialize, Serialize};
use serving::{command, guard, Allowed, Config, Ending};
use std::time::Duration;
use waiting::Places;

/// What a test sets; the rest are the server's own defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `polling`, `long-polling`, `sse` or `websocket`.
    pub method: String,
    /// The silence before a heartbeat, in milliseconds.
    pub heartbeat: u64,
    /// How long a write may wait, in milliseconds.
    pub write_progress: u64,
    /// How long a drain takes at most, in milliseconds.
    pub drain: u64,
    /// How many events the log keeps.
    pub keep_events: usize,
    /// How many connections there may be.
    pub max_connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let edge = Config::default();
        Self {
            method: "sse".to_owned(),
            heartbeat: millis(method::HEARTBEAT),
            write_progress: millis(edge.write_progress),
            drain: millis(edge.drain),
            keep_events: Retention::default().max_events,
            max_connections: edge.max_connections,
        }
    }
}

impl Settings {
    /// The defaults of a method.
    pub fn of(method: &str) -> Self {
        Self {
            method: method.to_owned(),
            ..Self::default()
        }
    }

    fn edge(&self) -> Config {
        Config {
            write_progress: Duration::from_millis(self.write_progress),
            unacknowledged: Duration::from_millis(self.write_progress),
            drain: Duration::from_millis(self.drain),
            max_connections: self.max_connections,
            ..Config::default()
        }
    }
}

/// Serves until it is told to end, on a free port, whose address it prints.
///
/// # Errors
/// Where there is no such method, or no port.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let methods = [
        polling::METHOD,
        long_polling::METHOD,
        sse::METHOD,
        websocket::METHOD,
    ];
    let known = methods.iter().find(|it| it.name == settings.method);
    let method = known.ok_or_else(|| anyhow::anyhow!("no method {}", settings.method))?;
    let log = Feed::new(Retention {
        max_events: settings.keep_events,
        ..Retention::default()
    });
    let (ending, edge) = (Ending::new(), settings.edge());
    command::init_tracing();
    command::end_on_signals(&ending);
    let (listener, address) = command::bind(([127, 0, 0, 1], 0).into()).await?;
    let host = method::Host {
        log,
        ending: ending.clone(),
        places: edge.places(),
        shared: Some(Places::new(edge.places())),
        heartbeat: Duration::from_millis(settings.heartbeat),
        max_age: None,
    };
    let router = guard((method.router)(host), Allowed::default());
    command::listening(method.name, "http", address);
    Ok(serving::serve(listener, router, edge, ending).await?)
}
