//! Many tabs: what eight streams come to, and one stream for eight tabs.

use axum::{response::Html, routing::get, Router};
use browser::{page::Page, served::Served, suite::Suite};
use method::{Host, Method};
use serde_json::{json, Value};
use serving::assets;
use std::sync::Arc;
use testbed::faults::came_to;

/// The page of the book, as it stands there.
const PAGE: &str = include_str!("tabs/page.html");

const OTHER: &str = "<!doctype html><html><head><link rel=icon href=data:,></head></html>";

/// How many tabs there are: more than a browser opens connections to one server.
const TABS: usize = 8;

/// How a page waits.
#[derive(Clone, Copy, Debug)]
struct Variant {
    method: Method,
    /// As `share` knows it.
    way: &'static str,
    /// Whether it gives up what it holds when it is told that it will stand still.
    listens: bool,
}

/// The page of the book, changed in this alone.
fn page_of(
    Variant {
        method,
        way,
        listens,
    }: Variant,
) -> String {
    let (create, module) = match method.name {
        "sse" => ("createSse", "sse/sse-client.js"),
        "long-polling" => ("createLongPolling", "long-polling/long-polling-client.js"),
        _ => ("createWebSocket", "websocket/websocket-client.js"),
    };
    let mut page = PAGE
        .replace("createSse", create)
        .replace("sse/sse-client.js", module)
        .replace("./live/", &format!("./live/{}/", method.name))
        .replace(
            "name: \"tickets\"",
            &format!("name: \"tickets\", way: \"{way}\""),
        );
    if !listens {
        page = page.replace("watchPage(follower, false);", "");
    }
    page
}

/// The servers of the methods, and the page at `/VARIANT`.
async fn serve(variant: Variant) -> anyhow::Result<Served> {
    let page = page_of(variant);
    let served = Served::start(|log, ending| {
        let methods = site::methods().into_iter().map(|method| {
            let host = Host::alone(log.clone(), ending.clone());
            (format!("/live/{}/", method.name), (method.router)(host))
        });
        let modules = [
            ("/shared", web::SHARED),
            ("/sse", web::SSE),
            ("/long-polling", web::LONG_POLLING),
            ("/websocket", web::WEBSOCKET),
            ("/tabs", web::TABS),
        ];
        let router = methods.fold(Router::new(), |router, (path, method)| {
            router.nest(&path, method)
        });
        let router = modules.into_iter().fold(router, |router, (path, files)| {
            router.nest(path, assets::router(files))
        });
        let page = get(move || async move { Html(page) });
        router
            .route("/page", page)
            .route("/other", get(|| async { Html(OTHER) }))
    });
    Ok(served.await?)
}

/// How many streams, parked requests or sockets of the method are open. Of a socket nobody here
/// sees the end, so all that ever were count.
fn open(served: &Served, method: Method) -> usize {
    let what = format!("GET /live/{}/events", method.name);
    let mut asked = served.asked_for(&what);
    asked.retain(|asked| match method.name {
        // What is parked has no answer yet.
        "long-polling" => asked.status.is_none(),
        _ => asked.status.is_some() && asked.whole.is_none(),
    });
    asked.len()
}

/// Another tab with the page, once it is open: it has a stream, or shares one.
async fn join(page: &Page, served: &Served) -> anyhow::Result<()> {
    page.open(&served.at("page")).await?;
    page.until(
        "an open stream",
        "return document.querySelector('p').textContent.startsWith('Open')",
        &[],
    )
    .await
}

async fn tabs(first: Page, served: &Served, count: usize) -> anyhow::Result<Vec<Page>> {
    let mut pages = vec![first];
    join(&pages[0], served).await?;
    while pages.len() < count {
        let page = pages[0].another().await?;
        join(&page, served).await?;
        pages.push(page);
    }
    Ok(pages)
}

async fn publish(served: &Served, count: u32) -> anyhow::Result<()> {
    for number in 0..count {
        let data = contract::Data::new(&number)?;
        served.feed.publish("tick".parse()?, data).await?;
    }
    Ok(())
}

/// Waits until each page has had this many events, and asserts that it has had each once and in
/// order.
async fn had(pages: &[Page], count: usize) -> anyhow::Result<()> {
    for page in pages {
        page.to_front().await?;
        page.until(
            &format!("{count} events"),
            "return document.querySelectorAll('li').length >= arguments[0]",
            &[json!(count)],
        )
        .await?;
    }
    for page in pages {
        page.to_front().await?;
        let ids: Vec<String> = page
            .run(
                "return Array.from(document.querySelectorAll('li'), (item) => item.textContent)",
                &[],
            )
            .await?;
        let numbers = ids
            .iter()
            .map(|id| id.rsplit('.').next().unwrap_or_default().to_owned());
        let due: Vec<_> = (1..=count).map(|number| number.to_string()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), due);
    }
    Ok(())
}

/// The place of the page that leads.
async fn leader(pages: &[Page]) -> anyhow::Result<usize> {
    let mut leaders = Vec::new();
    // While it changes hands there may be none, or two.
    for _ in 0..20 {
        leaders.clear();
        for (at, page) in pages.iter().enumerate() {
            page.to_front().await?;
            let leads = "return document.title.startsWith('●')";
            if page.run(leads, &[]).await? {
                leaders.push(at);
            }
        }
        if let [leader] = leaders[..] {
            return Ok(leader);
        }
        // A hidden page draws nothing, so there is no frame to wait for.
        let look = "return new Promise((resolve) => setTimeout(resolve, 50))";
        pages[0].run::<Value>(look, &[]).await?;
    }
    anyhow::bail!("{leaders:?} lead")
}

/// Waits until the server has this many.
async fn until_open(served: &Served, method: Method, count: usize) -> anyhow::Result<()> {
    served
        .until(&format!("{count} of {}", method.name), |_| {
            open(served, method) == count
        })
        .await?;
    Ok(())
}

/// What waits beyond the sixth is tried with plain streams, by `six_streams` of `browser_habits`.
pub(crate) async fn eight_sockets_are_open(_: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    let method = websocket::METHOD;
    let served = serve(Variant {
        method,
        way: "alone",
        listens: true,
    })
    .await?;
    let pages = tabs(page, &served, TABS).await?;
    until_open(&served, method, TABS).await?;
    came_to(
        "seventh-tab",
        method.name,
        "eight sockets are open, since an open one is not among the browser's six connections",
        "browser::browser::tabs::eight_sockets_are_open",
    );
    close(&pages).await
}

/// Leaves one window, empty.
async fn close(pages: &[Page]) -> anyhow::Result<()> {
    let last = pages[0].another().await?;
    for page in pages {
        page.to_front().await?;
        page.client().close_window().await?;
    }
    last.to_front().await
}

pub(crate) async fn eight_tabs_share_one_stream(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let served = serve(Variant {
        method,
        way: "lock",
        listens: true,
    })
    .await?;
    // One browser shows by the one method that many work as few.
    let count = if method.name == "sse" { TABS } else { 3 };
    let mut pages = tabs(page, &served, count).await?;
    publish(&served, 3).await?;
    had(&pages, 3).await?;
    until_open(&served, method, 1).await?;
    // The leader is gone, with no word of its own.
    let leader_of_all = pages.remove(leader(&pages).await?);
    leader_of_all.to_front().await?;
    leader_of_all.client().close_window().await?;
    publish(&served, 2).await?;
    had(&pages, 5).await?;
    let sockets = usize::from(method.name == "websocket");
    until_open(&served, method, 1 + sockets).await?;
    leader(&pages).await?;
    came_to(
        "leader-dies",
        method.name,
        "another tab leads at once, opens one stream at its own cursor, and no tab loses an event or gets one twice",
        "browser::browser::tabs::eight_tabs_share_one_stream",
    );
    close(&pages).await
}

pub(crate) async fn eight_tabs_share_one_worker(_: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    let method = sse::METHOD;
    let served = serve(Variant {
        method,
        way: "worker",
        listens: true,
    })
    .await?;
    let mut pages = tabs(page, &served, TABS).await?;
    publish(&served, 3).await?;
    had(&pages, 3).await?;
    until_open(&served, method, 1).await?;
    // The tab that started the worker.
    let first = pages.remove(0);
    first.to_front().await?;
    first.client().close_window().await?;
    publish(&served, 2).await?;
    had(&pages, 5).await?;
    assert_eq!(served.asked_for("GET /live/sse/events").len(), 1);
    close(&pages).await?;
    until_open(&served, method, 0).await
}

pub(crate) async fn a_page_comes_back_from_the_cache(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let method = sse::METHOD;
    let served = serve(Variant {
        method,
        way: "lock",
        listens: true,
    })
    .await?;
    let pages = tabs(page, &served, 2).await?;
    let at = leader(&pages).await?;
    let (leads, other) = (&pages[at], &pages[1 - at]);
    leads.to_front().await?;
    let restored = leads
        .away_and_back(&served.at("other"), async || {
            publish(&served, 2).await?;
            had(std::slice::from_ref(other), 2).await?;
            leader(std::slice::from_ref(other)).await?;
            leads.to_front().await
        })
        .await?;
    assert!(restored, "it is loaded anew");
    had(std::slice::from_ref(leads), 2).await?;
    leader(&pages).await?;
    until_open(&served, method, 1).await?;
    close(&pages).await
}

/// A page that is told before it is frozen, as Chromium does.
pub(crate) async fn a_frozen_leader_gives_way(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let served = serve(Variant {
        method,
        way: "lock",
        listens: true,
    })
    .await?;
    let pages = tabs(page, &served, 2).await?;
    let at = leader(&pages).await?;
    let (frozen, other) = (&pages[at], &pages[1 - at]);
    frozen.to_front().await?;
    frozen.freeze(true).await?;
    publish(&served, 2).await?;
    had(std::slice::from_ref(other), 2).await?;
    leader(std::slice::from_ref(other)).await?;
    frozen.to_front().await?;
    frozen.freeze(false).await?;
    had(&pages, 2).await?;
    assert_eq!(leader(&pages).await?, 1 - at);
    came_to(
        "leader-freezes",
        method.name,
        "gives its lock back when it is told, and another tab leads at once; thawed, it gets what it has missed",
        "browser::browser::tabs::a_frozen_leader_gives_way",
    );
    close(&pages).await
}

/// A page that stands still and is not told: it says nothing, and keeps its lock.
pub(crate) async fn the_lock_of_a_silent_leader_is_taken_by_force(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let method = sse::METHOD;
    let served = serve(Variant {
        method,
        way: "lock",
        listens: true,
    })
    .await?;
    let pages = tabs(page, &served, 2).await?;
    let at = leader(&pages).await?;
    let (silent, other) = (&pages[at], &pages[1 - at]);
    silent.to_front().await?;
    silent
        .run::<Value>(
            "window.say = BroadcastChannel.prototype.postMessage;
            BroadcastChannel.prototype.postMessage = () => {}",
            &[],
        )
        .await?;
    publish(&served, 1).await?;
    // Between five and seven and a half seconds of silence, and three for the answer.
    had(std::slice::from_ref(other), 1).await?;
    // It is told that its lock is gone.
    assert_eq!(leader(&pages).await?, 1 - at);
    until_open(&served, method, 1).await?;
    silent.to_front().await?;
    let speak = "BroadcastChannel.prototype.postMessage = window.say";
    silent.run::<Value>(speak, &[]).await?;
    publish(&served, 1).await?;
    had(&pages, 2).await?;
    close(&pages).await
}
