//! Servers over one log, each with a window of its own.

use crate::{
    door::{level, Door, Way},
    routers::router,
};
use anyhow::Context as _;
use axum::{
    http::{header::CONNECTION, HeaderValue, StatusCode},
    middleware::map_response,
    response::Response,
};
use conformance::{Gate, Method, Outcome, Server, Servers, Settings};
use engines::{open, Address, Filling, Opened};
use feed::{Feed, Retention};
use futures_util::future::{try_join_all, BoxFuture, FutureExt as _};
use harness::{conformance::Started, Doorkeeper, Server as Running};
use serving::Ending;
use std::{net::SocketAddr, num::NonZeroU64, time::Duration};
use tokio::{
    sync::{watch, Mutex},
    task::JoinHandle,
    time::timeout,
};
use url::Url;

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server is started with.
struct Start {
    log: Address,
    kept: NonZeroU64,
    method: Method,
    settings: Settings,
    gate: Option<Doorkeeper>,
}

impl Start {
    /// A server whose window has room for so many events.
    async fn start(&self, max_events: usize) -> anyhow::Result<One> {
        let retention = Retention {
            max_events,
            ..Retention::default()
        };
        let Opened { feed, filling } = open(&self.log, retention, self.kept).await?;
        let held = watch::Sender::new(false);
        let is_held = watch::Sender::new(false);
        let filling = filling.map(|filling| {
            tokio::spawn(fill(filling, held.subscribe(), is_held.clone()))
        });
        let make = |feed, ending| {
            let router = router(self.method, self.settings, feed, ending);
            let router = Doorkeeper::before(self.gate.as_ref(), router);
            // Or a client would stay with the server that it has.
            router.layer(map_response(closed))
        };
        let running = Running::start(feed, make).await;
        let base = running.base();
        Ok(One {
            feed: running.feed.clone(),
            address: running.address,
            ending: running.ending.clone(),
            started: Started::new(running, base),
            filling,
            held,
            is_held,
        })
    }
}

async fn closed(mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Fills a window, but not while it is held.
async fn fill(
    mut filling: Filling,
    mut held: watch::Receiver<bool>,
    is_held: watch::Sender<bool>,
) {
    loop {
        tokio::select! {
            biased;
            // Cancel-safe, both: the one watches a value, and the other goes on below.
            _ = held.wait_for(|held| *held) => {}
            () = &mut filling => return,
        }
        is_held.send_replace(true);
        if held.wait_for(|held| !held).await.is_err() {
            return;
        }
        is_held.send_replace(false);
    }
}

/// One of the servers.
struct One {
    feed: Feed,
    address: SocketAddr,
    ending: Ending,
    started: Started,
    filling: Option<JoinHandle<()>>,
    /// Whether its window is to be left as it is.
    held: watch::Sender<bool>,
    /// Whether it is.
    is_held: watch::Sender<bool>,
}

impl Drop for One {
    fn drop(&mut self) {
        self.ending.cut();
        if let Some(filling) = &self.filling {
            filling.abort();
        }
    }
}

impl One {
    fn way(&self) -> Way {
        Way {
            address: self.address,
            feed: Some(self.feed.clone()),
        }
    }

    /// The way to it, however far its window is.
    fn way_as_it_is(&self) -> Way {
        Way {
            feed: None,
            ..self.way()
        }
    }
}

/// All of them, behind one door.
pub(crate) struct Several {
    start: Start,
    all: Vec<One>,
    /// Those that were started later.
    later: Mutex<Vec<One>>,
    door: Door,
    base: Url,
}

impl Several {
    pub(crate) async fn start(
        log: &str,
        count: usize,
        method: Method,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let kept = u64::try_from(settings.retention)?;
        let start = Start {
            log: log.parse()?,
            kept: NonZeroU64::new(kept).context("a log that keeps nothing")?,
            method,
            settings,
            gate: settings.guarded.then(Doorkeeper::default),
        };
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(start.start(settings.retention).await?);
        }
        let door = Door::open(all.iter().map(One::way).collect()).await?;
        let base = format!("http://{}/", door.address).parse()?;
        Ok(Self {
            start,
            all,
            later: Mutex::default(),
            door,
            base,
        })
    }
}

impl Server for Several {
    fn base(&self) -> &Url {
        &self.base
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        async move {
            let all = self.all.iter().map(|one| one.started.stop());
            try_join_all(all).await.map(drop)
        }
        .boxed()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        async { Err("no engine knows that a log is complete".to_owned()) }.boxed()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        let gate = self.start.gate.as_ref()?;
        Some(gate)
    }

    fn servers(&self) -> Option<&dyn Servers> {
        Some(self)
    }
}

impl Servers for Several {
    fn hold_back(&self) -> BoxFuture<'_, Outcome> {
        async move {
            let one = &self.all[0];
            // What was published before is to be there.
            level(&one.feed).await.map_err(|error| error.to_string())?;
            one.held.send_replace(true);
            let mut is_held = one.is_held.subscribe();
            let held = timeout(PATIENCE, is_held.wait_for(|held| *held));
            held.await
                .map_err(|late| late.to_string())?
                .map_err(|gone| gone.to_string())?;
            self.door.lead_to(vec![one.way_as_it_is()]);
            Ok(())
        }
        .boxed()
    }

    fn let_on(&self) -> BoxFuture<'_, Outcome> {
        self.all[0].held.send_replace(false);
        async { Ok(()) }.boxed()
    }

    fn forget(&self) -> BoxFuture<'_, Outcome> {
        async move {
            let one = self.start.start(1).await;
            let one = one.map_err(|error| format!("{error:#}"))?;
            self.door.lead_to(vec![one.way()]);
            self.later.lock().await.push(one);
            Ok(())
        }
        .boxed()
    }
}
