//! A page whose credential is a ticket in the address of its stream.

use crate::panel::publish;
use axum::{
    extract::{Request, State},
    middleware::{from_fn_with_state, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use browser::{
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use contract::{Cursor, Problem};
use serde_json::{json, Value};
use serving::ProblemResponse;
use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use testbed::faults::came_to;
use waiting::{Access, Over, Rights};

/// Who gives out tickets, each good once.
#[derive(Clone, Default)]
struct Issuer {
    made: Arc<AtomicU64>,
    /// The one that was given out last, until it is used.
    good: Arc<Mutex<Option<String>>>,
    /// What the newest stream was begun with.
    access: Arc<Mutex<Option<Access>>>,
}

impl Issuer {
    fn issue(&self) -> String {
        let ticket = format!("t{}", self.made.fetch_add(1, Ordering::Relaxed));
        *lock(&self.good) = Some(ticket.clone());
        ticket
    }

    /// Ends the newest stream.
    fn end(&self, why: Over) {
        if let Some(access) = lock(&self.access).take() {
            access.end(why);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a stream begin for a ticket, and only the first time.
async fn checked(State(issuer): State<Issuer>, mut request: Request, next: Next) -> Response {
    if request.method() == "GET" && request.uri().path() == "/events" {
        let query = request.uri().query().unwrap_or_default();
        let mut pairs = query.split('&');
        let ticket = pairs.find_map(|pair| pair.strip_prefix("ticket="));
        let good = lock(&issuer.good).take_if(|good| ticket == Some(good.as_str()));
        if good.is_none() {
            return ProblemResponse(Problem::unauthorized("no ticket, or a used one"))
                .into_response();
        }
        let access = Access::new(Rights::all(), None);
        *lock(&issuer.access) = Some(access.clone());
        request.extensions_mut().insert(access);
    }
    next.run(request).await
}

const FOLLOW: &str = "return (async () => {
    const { createSse } = await import('/sse-client.js');
    const { Follower } = await import('/shared/reconnect.js');
    window.seen = [];
    const renew = async () => {
        const answer = await fetch('/tickets', { method: 'POST' });
        return { query: { ticket: await answer.text() } };
    };
    window.method = createSse(new URL('/', location.href), { renew });
    window.follower = new Follower(method);
    (async () => {
        for await (const update of follower.updates()) {
            if (update.type === 'event') seen.push(update.event.data.text);
        }
    })();
})()";

/// The server of SSE behind it, with the routes of a login. It is silent for an hour.
async fn server(issuer: &Issuer) -> anyhow::Result<Served> {
    let server = Served::start(|feed, ending| {
        let config = sse::Config {
            demo_cut: true,
            heartbeat: Duration::from_secs(3600),
            ..sse::Config::default()
        };
        let (tickets, logout) = (issuer.clone(), issuer.clone());
        sse::router(feed.clone(), config, ending.clone())
            .route("/tickets", post(async move || tickets.issue()))
            .route("/logout", post(async move || logout.end(Over::Denied)))
            .layer(from_fn_with_state(issuer.clone(), checked))
    });
    Ok(server.await?)
}

/// Opens the page, which follows the log and has got an event of it; and that event's id.
async fn follow(page: &Page, server: &Served) -> anyhow::Result<Cursor> {
    page.open(&server.root).await?;
    page.run::<Value>(FOLLOW, &[]).await?;
    open(page).await?;
    let first = publish(server, "18").await?;
    shows(page, &["18"]).await?;
    Ok(first)
}

async fn open(page: &Page) -> anyhow::Result<()> {
    let open = "return follower.state === 'open'";
    page.until("the stream", open, &[]).await
}

async fn shows(page: &Page, expected: &[&str]) -> anyhow::Result<()> {
    let script = "return JSON.stringify(seen) === JSON.stringify(arguments[0])";
    page.until("these events", script, &[json!(expected)]).await
}

pub(crate) async fn each_connection_has_its_own_and_nothing_is_lost(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    let issuer = Issuer::default();
    let server = server(&issuer).await?;
    let first = follow(&page, &server).await?;
    // The connection breaks, as in a tunnel, and something happens meanwhile.
    page.run::<Value>("return method.cut()", &[]).await?;
    publish(&server, "19").await?;
    shows(&page, &["18", "19"]).await?;
    open(&page).await?;
    // The credential is over.
    issuer.end(Over::Renew);
    publish(&server, "20").await?;
    shows(&page, &["18", "19", "20"]).await?;
    open(&page).await?;
    let asked = server.asked_for("GET /events");
    assert_eq!(asked.len(), 3, "{asked:#?}");
    // Where the browser had come back by itself, one would be a 401.
    let good = asked.iter().all(|asked| asked.status == Some(200));
    assert!(good, "{asked:#?}");
    // The cursor stands in the address, because a new `EventSource` has no last id.
    let after = format!("after={first}");
    assert!(asked[1].query.contains(&after), "{asked:#?}");
    came_to(
        "ticket-renewed",
        "sse",
        "the client opens a new stream with a new ticket and its cursor, after a cut and after `end` with `renew`; nothing is lost",
        "browser::browser::tickets::each_connection_has_its_own_and_nothing_is_lost",
    );
    Ok(())
}

pub(crate) async fn a_logout_in_one_tab_ends_the_stream_of_another(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    let issuer = Issuer::default();
    let server = server(&issuer).await?;
    let other = page.another().await?;
    other.open(&server.root).await?;
    page.to_front().await?;
    follow(&page, &server).await?;
    other.to_front().await?;
    let logout = "return fetch('/logout', { method: 'POST' }).then(() => true)";
    other.run::<Value>(logout, &[]).await?;
    // The server ends it, with its last word, and not because the client has gone.
    let ended = |asked: &[Asked]| {
        let mut streams = asked.iter().filter(|asked| asked.what == "GET /events");
        streams.any(|asked| asked.whole == Some(true))
    };
    server.until("end of the stream", ended).await?;
    page.to_front().await?;
    let failed = "return follower.state === 'failed'";
    page.until("the end of the client", failed, &[]).await?;
    publish(&server, "19").await?;
    page.settle().await?;
    shows(&page, &["18"]).await?;
    assert_eq!(server.asked_for("GET /events").len(), 1);
    came_to(
        "logout-in-another-tab",
        "sse",
        "the open stream ends at once with `end`, `denied`; its client stops, says so, and does not come back",
        "browser::browser::tickets::a_logout_in_one_tab_ends_the_stream_of_another",
    );
    Ok(())
}
