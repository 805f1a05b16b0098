//! Many tabs: what eight streams come to, and one stream for eight tabs.

use anyhow::{ensure, Context as _};
use axum::{http::header::CONTENT_TYPE, response::Html, routing::get, Router};
use browser::{
    engine::Kind,
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use feed::Feed;
use method::{Host, Method};
use serde_json::{json, Value};
use serving::{assets, Ending};
use std::{sync::Arc, time::Duration};
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
        "long-polling" => ("createLongPolling", "patient/long-polling-client.js"),
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
    let client = patient_client()?;
    let served = Served::start(|log, ending| {
        let methods = site::methods().into_iter().map(|method| {
            let path = format!("/live/{}/", method.name);
            (path, patient(method, log, ending))
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
        let script = [(CONTENT_TYPE, "text/javascript")];
        let client = get(move || async move { (script, client) });
        router
            .route("/patient/long-polling-client.js", client)
            .route("/page", page)
            .route("/other", get(|| async { Html(OTHER) }))
    });
    Ok(served.await?)
}

fn asked_for_events(served: &Served, method: Method) -> Vec<Asked> {
    served.asked_for(&format!("GET /live/{}/events", method.name))
}

/// How many streams, parked requests or sockets of the method are open. Of a socket nobody here
/// sees the end, so all that ever were count.
fn open(served: &Served, method: Method) -> usize {
    let mut asked = asked_for_events(served, method);
    asked.retain(|asked| match method.name {
        // What is parked has no answer yet.
        "long-polling" => asked.status.is_none() && asked.whole.is_none(),
        _ => asked.status.is_some() && asked.whole.is_none(),
    });
    asked.len()
}

/// Another tab with the page, once it is open: it has a stream, or shares one.
async fn join(page: &Page, served: &Served) -> anyhow::Result<()> {
    page.open(&served.at("page")).await?;
    is_open(page).await
}

async fn is_open(page: &Page) -> anyhow::Result<()> {
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

/// How many connections to one server a browser holds for what ends and for what does not.
const AT_ONCE: usize = 6;

/// The client of long polling, whose questions are parked for an hour: a test may take longer than
/// the half minute of its own.
fn patient_client() -> anyhow::Result<String> {
    let mut files = web::LONG_POLLING.iter();
    let client = files.find(|(name, _)| *name == "long-polling-client.js");
    let (_, text) = client.context("the client")?;
    let text = str::from_utf8(text)?;
    let own = "const WAIT = 25;";
    ensure!(text.matches(own).count() == 1, "no {own}");
    Ok(text.replace(own, "const WAIT = 3600;"))
}

/// The server of a method that holds what it is asked, for as long as a test may take.
fn patient(method: Method, log: &Feed, ending: &Ending) -> Router {
    match method.name {
        "long-polling" => {
            let config = long_polling::Config {
                max_wait: Duration::from_secs(3600),
                ..long_polling::Config::default()
            };
            long_polling::router(log.clone(), config, ending.clone())
        }
        _ => (method.router)(Host::alone(log.clone(), ending.clone())),
    }
}

/// How many pages the server was asked for.
fn asked_for_page(served: &Served) -> usize {
    served.asked_for("GET /page").len()
}

/// Loads pages of another server, one after the other: time in which this browser could have asked
/// the first one, had it wanted to.
async fn elsewhere(clock: &Page, other: &Served) -> anyhow::Result<()> {
    clock.to_front().await?;
    for number in 0..3 {
        clock.open(&other.at(&format!("?{number}"))).await?;
    }
    Ok(())
}

/// Six tabs hold a connection each, and the seventh waits. The cure is tried with more tabs, by
/// `eight_tabs_share_one_stream`.
pub(crate) async fn the_seventh_tab_waits(
    _: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let kind = page.kind();
    let other =
        Served::start(|_, _| Router::new().route("/", get(|| async { Html(OTHER) }))).await?;
    let clock = page.another().await?;
    page.to_front().await?;
    let served = serve(Variant {
        method,
        way: "alone",
        listens: true,
    })
    .await?;
    let mut pages = tabs(page, &served, AT_ONCE).await?;
    until_open(&served, method, AT_ONCE).await?;
    let before = asked_for_events(&served, method).len();
    let seventh = pages[0].another().await?;
    seventh.navigate(&served.at("page")).await?;
    // Firefox has places to spare for pages, and for some of what they load.
    let loads = kind == Kind::Firefox;
    if loads {
        served
            .until("page of the seventh", |_| asked_for_page(&served) > AT_ONCE)
            .await?;
    }
    elsewhere(&clock, &other).await?;
    assert_eq!(asked_for_page(&served), AT_ONCE + usize::from(loads));
    assert_eq!(open(&served, method), AT_ONCE);
    assert_eq!(asked_for_events(&served, method).len(), before);
    // In Firefox, too, its script does not come to its first question.
    let status = format!("GET /live/{}/status", method.name);
    assert_eq!(served.asked_for(&status).len(), AT_ONCE);
    // One is closed, and the next in line is served.
    let gone = pages.remove(0);
    gone.to_front().await?;
    gone.client().close_window().await?;
    let what = format!("GET /live/{}/events", method.name);
    served
        .until("stream of the seventh", |asked| {
            asked.iter().filter(|asked| asked.what == what).count() > before
        })
        .await?;
    seventh.to_front().await?;
    is_open(&seventh).await?;
    pages.push(seventh);
    publish(&served, 1).await?;
    had(&pages, 1).await?;
    pages.push(clock);
    let held = match method.name {
        "long-polling" => "requests are parked",
        _ => "streams are open",
    };
    let what = format!(
        "six {held}; the seventh tab waits without a word until one of the six is closed, and in \
         Chromium and WebKitGTK its page does not load either"
    );
    came_to(
        "seventh-tab",
        method.name,
        &what,
        "browser::browser::tabs::the_seventh_tab_waits",
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
    // What does not wait for a connection works with many as with few.
    let count = if method.name == "websocket" { 3 } else { TABS };
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
