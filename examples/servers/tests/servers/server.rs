//! A server of the book in a process of its own: all four methods over one log.

use crate::load::Method;
use anyhow::Context as _;
use axum::Router;
use engines::{open, Address, Opened, KEPT};
use feed::Retention;
use method::Host;
use serving::{command, guard, ready, Allowed, Config, Ending};
use std::{env, net::SocketAddr, process::ExitCode, time::Duration};

/// Where the log is, in the environment of a process that is to be a server.
pub(crate) const LOG: &str = "SERVERS_LOG";

/// Where it is to listen.
pub(crate) const LISTEN: &str = "SERVERS_LISTEN";

/// Events in the window of each server: few, so that who was away for long reads what
/// the engine has.
const WINDOW: usize = 200;

/// Brief, so that a client finds out soon that its server was paused.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What the process does that is started with these variables.
pub(crate) fn play() -> ExitCode {
    let runtime = testbed::seeded::runtime().expect("a runtime");
    match runtime.block_on(serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => command::fail("server", format!("{error:#}")),
    }
}

async fn serve() -> anyhow::Result<()> {
    command::init_tracing();
    let log: Address = env::var(LOG)?.parse()?;
    let listen: SocketAddr = env::var(LISTEN)?.parse()?;
    let retention = Retention {
        max_events: WINDOW,
        ..Retention::default()
    };
    // Nobody is let in before the log is there.
    let Opened { feed, filling } = open(&log, retention, KEPT).await?;
    tokio::spawn(filling.context("an engine fills the window")?);
    let (listener, _) = command::bind(listen).await?;
    let ending = Ending::new();
    command::end_on_signals(&ending);
    let methods = [
        (Method::Polling, polling::METHOD),
        (Method::LongPolling, long_polling::METHOD),
        (Method::Sse, sse::METHOD),
        (Method::WebSocket, websocket::METHOD),
    ];
    let router = methods.into_iter().fold(Router::new(), |all, (name, it)| {
        let host = Host {
            heartbeat: HEARTBEAT,
            ..Host::alone(feed.clone(), ending.clone())
        };
        all.nest(&name.prefix(), (it.router)(host))
    });
    let router = router.route("/ready", ready(&ending));
    let router = guard(router, Allowed::default());
    serving::serve(listener, router, Config::default(), ending).await?;
    Ok(())
}
