//! Who may listen: what a browser does with tickets, cookies and headers that say who somebody is.

use crate::{
    raw::{Answer, Asked, Raw, Then},
    streams::accept_as,
    yes, Seen,
};
use anyhow::{ensure, Context as _};
use browser::{driver::Driver, engine::Engine, page::Page};
use serde_json::{json, Value};
use testbed::faults::came_to;

/// What became of an `EventSource`.
const STREAM: &str = "const [address, withCredentials] = arguments;
    return new Promise((resolve) => {
        const source = new EventSource(address, { withCredentials });
        source.onmessage = () => resolve(source.close() ?? 'opens');
        source.onerror = () => {
            resolve(source.readyState === EventSource.CLOSED ? 'gives up' : 'tries again');
            source.close();
        };
    })";

/// What became of a WebSocket.
const SOCKET: &str = "const [address, protocols] = arguments;
    return new Promise((resolve) => {
        let socket;
        try {
            socket = new WebSocket(address, protocols ?? []);
        } catch ({ name }) {
            return resolve(name);
        }
        socket.onopen = () => resolve(`opens with ${JSON.stringify(socket.protocol)}`);
        socket.onclose = ({ code }) => resolve(`fails with ${code}`);
    })";

/// Asks one address after another, each with its options: which of the answers script got.
const FETCHES: &str = "return (async () => {
    const got = [];
    for (const [address, options] of arguments[0]) {
        got.push(await fetch(address, options).then((answer) => answer.ok, () => false));
    }
    return got;
})()";

/// Whether a cookie came along.
fn sent(asked: &Asked, name: &str) -> bool {
    let name = format!("{name}=1");
    let cookies = asked.header("cookie").unwrap_or_default();
    cookies.split("; ").any(|cookie| cookie == name)
}

/// A ticket that is good once, in the URL of a stream whose connection breaks.
pub(crate) async fn ticket(page: Page) -> anyhow::Result<Seen> {
    const ONCE: &str = "GET /events?ticket=once";
    let server = Raw::start(|asked, before| match asked.what.as_str() {
        ONCE if before == 0 => Answer::stream(&[], "retry: 10\nid: 7\ndata: x\n\n", Then::Next),
        ONCE => Answer::whole("401 Unauthorized", &[], ""),
        what if what.starts_with("GET /events") => {
            Answer::stream(&[], "data: x\n\n", Then::Nothing)
        }
        "GET /socket?ticket=socket" => accept_as(asked, None),
        _ => Answer::page(&[], ""),
    })
    .await?;
    let other =
        Raw::start(|_, _| Answer::whole("200 OK", &["Access-Control-Allow-Origin: *"], "")).await?;
    page.open(&server.at("/page?ticket=page")).await?;
    page.run::<Value>(
        "window.states = [];
        window.source = new EventSource('/events?ticket=once');
        source.onerror = () => states.push(source.readyState)",
        &[],
    )
    .await?;
    page.until(
        "the end",
        "return source.readyState === EventSource.CLOSED",
        &[],
    )
    .await?;
    let states: Vec<u8> = page.run("return states", &[]).await?;
    // Nothing says that no more will come. But other requests go through, again and again.
    for number in 0..10 {
        page.run::<Value>(FETCHES, &[json!([[format!("/tick/{number}"), {}]])])
            .await?;
    }
    let asked = server.asked_for(ONCE);
    let last = asked.last().context("no request")?;
    let id = last.header("last-event-id").unwrap_or("none");
    let reconnect = format!(
        "asks again with the same ticket and `Last-Event-ID: {id}`; at the 401 gives up: \
         `readyState` {}, {} requests in all",
        states
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", then "),
        asked.len(),
    );
    ensure!(states == [0, 2] && asked.len() == 2, "{reconnect}");
    came_to(
        "ticket-reconnect",
        "sse",
        "`EventSource` asks again with the used ticket, gets 401, and gives up for good",
        "browser::browser_habits::access_ticket",
    );

    page.run::<Value>(
        FETCHES,
        &[json!([["/mine", {}], [other.at("/theirs"), {}]])],
    )
    .await?;
    let referer = |server: &Raw, what: &str| {
        let asked = server.asked_for(what).pop().context("no request")?;
        anyhow::Ok(match asked.header("referer") {
            None => "none",
            Some(address) if address.contains("ticket") => "the whole address, with its query",
            Some(address) if address.ends_with('/') => "its origin alone",
            Some(_) => "its path",
        })
    };
    let mine = referer(&server, "GET /mine")?;
    let theirs = referer(&other, "GET /theirs")?;

    let opened: String = page
        .run(STREAM, &[json!("/events?ticket=stream"), json!(false)])
        .await?;
    ensure!(opened == "opens", "{opened}");
    page.run::<Value>(FETCHES, &[json!([["/asked?ticket=fetch", {}]])])
        .await?;
    let opened: String = page.run(SOCKET, &[json!("/socket?ticket=socket")]).await?;
    ensure!(opened.starts_with("opens"), "{opened}");
    let entries: Vec<String> = page
        .until_some(
            "an entry of the request",
            "const names = performance.getEntriesByType('resource').map(({ name }) => name);
            return names.some((name) => name.includes('ticket=fetch')) && names",
            &[],
        )
        .await?;
    let has = |ticket: &str| yes(entries.iter().any(|name| name.ends_with(ticket)));
    Ok(vec![
        ("access_ticket.reconnect", reconnect),
        ("access_ticket.referer", mine.to_owned()),
        ("access_ticket.referer-elsewhere", theirs.to_owned()),
        ("access_ticket.entry-fetch", has("ticket=fetch")),
        ("access_ticket.entry-stream", has("ticket=stream")),
        ("access_ticket.entry-socket", has("ticket=socket")),
    ])
}

/// An `EventSource` with credentials to another origin, and what the answer has to say.
pub(crate) async fn credentials(page: Page) -> anyhow::Result<Seen> {
    let page_of = Raw::start(|_, _| Answer::page(&["Set-Cookie: session=1; Path=/"], "")).await?;
    let origin = page_of.at("");
    let own = origin.clone();
    let server = Raw::start(move |asked, before| {
        let allows = "Access-Control-Allow-Credentials: true";
        let exact = format!("Access-Control-Allow-Origin: {own}");
        let any = "Access-Control-Allow-Origin: *";
        let headers: &[&str] = match asked.what.as_str() {
            "GET /exact" | "GET /again" => &[&exact, allows],
            "GET /star" => &[any, allows],
            "GET /public" => &[any],
            "GET /unallowed" => &[&exact],
            _ => &[],
        };
        if asked.what == "GET /again" && before == 0 {
            return Answer::stream(headers, "retry: 10\nid: 7\ndata: x\n\n", Then::Next);
        }
        Answer::stream(headers, "data: x\n\n", Then::Nothing)
    })
    .await?;
    page.open(&page_of.at("/")).await?;
    let mut seen = Vec::new();
    for (key, path, credentials) in [
        ("access_credentials.exact", "/exact", true),
        ("access_credentials.unallowed", "/unallowed", true),
        ("access_credentials.star", "/star", true),
        ("access_credentials.nothing", "/nothing", true),
        ("access_credentials.public", "/public", false),
    ] {
        let does: String = page
            .run(STREAM, &[json!(server.at(path)), json!(credentials)])
            .await?;
        let asked = server.asked_for(&format!("GET {path}"));
        let first = asked.first().context("no request")?;
        ensure!(first.header("origin") == Some(&origin), "{first:?}");
        let cookie = if sent(first, "session") {
            "with the cookie"
        } else {
            "without the cookie"
        };
        seen.push((key, format!("{does}; was asked {cookie}")));
    }
    page.run::<Value>(
        "window.source = new EventSource(arguments[0], { withCredentials: true })",
        &[json!(server.at("/again"))],
    )
    .await?;
    let again = |asked: &[Asked]| {
        asked
            .iter()
            .filter(|asked| asked.what == "GET /again")
            .count()
    };
    let asked = server
        .until("second request", |asked| again(asked) > 1)
        .await?;
    page.run::<Value>("source.close()", &[]).await?;
    let preflights = asked
        .iter()
        .filter(|asked| asked.what.starts_with("OPTIONS"));
    let last = asked.iter().rfind(|asked| asked.what == "GET /again");
    let last = last.context("no request")?;
    let id = last.header("last-event-id").unwrap_or("none");
    seen.push((
        "access_credentials.again",
        format!(
            "sends `Last-Event-ID: {id}`; preflights: {}",
            preflights.count()
        ),
    ));
    Ok(seen)
}

/// What a request to another origin costs before it is sent.
pub(crate) async fn preflights(page: Page) -> anyhow::Result<Seen> {
    const TIMES: usize = 5;
    let page_of = Raw::start(|_, _| Answer::page(&[], "")).await?;
    let server = Raw::start(|asked, _| {
        let origin = "Access-Control-Allow-Origin: *";
        if !asked.what.starts_with("OPTIONS") {
            return Answer::whole("200 OK", &[origin], "");
        }
        let names = if asked.what.contains("/any") {
            "Access-Control-Allow-Headers: *"
        } else {
            "Access-Control-Allow-Headers: authorization, content-type, last-event-id, prefer"
        };
        let age = "Access-Control-Max-Age: 600";
        let headers = [origin, names, age];
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        Answer::raw(
            format!("HTTP/1.1 204 No Content\r\n{headers}\r\n"),
            Then::Next,
        )
    })
    .await?;
    page.open(&page_of.at("/")).await?;
    // Firefox remembers nothing of its first preflights, right after it has started.
    for number in 0.. {
        let before = server.asked_for("OPTIONS /warm").len();
        let requests = json!([[server.at("/warm"), { "headers": { "Prefer": "wait=10" } }]]);
        page.run::<Value>(FETCHES, &[requests]).await?;
        if server.asked_for("OPTIONS /warm").len() == before {
            break;
        }
        ensure!(number < 100, "no preflight is remembered");
    }
    let prefer = json!({ "headers": { "Prefer": "wait=10" } });
    let bearer = json!({ "headers": { "Authorization": "Bearer x" } });
    let json = json!({ "method": "POST", "body": "{}", "headers": { "Content-Type": "application/json" } });
    let text =
        json!({ "method": "POST", "body": "{}", "headers": { "Content-Type": "text/plain" } });
    let mut seen = Vec::new();
    for (key, path, cursors, options) in [
        ("access_preflights.prefer", "/prefer", true, &prefer),
        (
            "access_preflights.prefer-same",
            "/prefer-same",
            false,
            &prefer,
        ),
        ("access_preflights.query", "/query", true, &json!({})),
        ("access_preflights.bearer", "/bearer", true, &bearer),
        (
            "access_preflights.bearer-same",
            "/bearer-same",
            false,
            &bearer,
        ),
        (
            "access_preflights.any-prefer",
            "/any-prefer",
            false,
            &prefer,
        ),
        (
            "access_preflights.any-bearer",
            "/any-bearer",
            false,
            &bearer,
        ),
        ("access_preflights.json", "/json", false, &json),
        ("access_preflights.text", "/text", false, &text),
    ] {
        let requests: Vec<Value> = (0..TIMES)
            .map(|number| {
                let query = if cursors {
                    format!("?after=k3f9x2.{number}&wait=10")
                } else {
                    String::new()
                };
                json!([server.at(&format!("{path}{query}")), options])
            })
            .collect();
        let got: Vec<bool> = page.run(FETCHES, &[json!(requests)]).await?;
        let asked = server.until("requests", |_| true).await?;
        let of = |method: &str| {
            let target = format!("{method} {path}");
            let own = |asked: &&Asked| asked.what.split('?').next() == Some(&target);
            asked.iter().filter(own).count()
        };
        let method = if options["method"].is_string() {
            "POST"
        } else {
            "GET"
        };
        let (before, came) = (of("OPTIONS"), of(method));
        let answered = got.iter().filter(|got| **got).count();
        ensure!(
            came == answered,
            "{key}: {came} came, {answered} were answered"
        );
        seen.push((
            key,
            match (before, answered) {
                (_, 0) => "refused by the browser".to_owned(),
                (before, TIMES) => before.to_string(),
                _ => format!("{before}, and {answered} answers"),
            },
        ));
    }
    Ok(seen)
}

/// What a page can put into the handshake of a socket, besides the URL.
pub(crate) async fn sockets(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /named" => accept_as(asked, Some("events")),
        "GET /unnamed" | "GET /user" => accept_as(asked, None),
        "GET /stream-user" => Answer::stream(&[], "data: x\n\n", Then::Nothing),
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    let offer = json!(["events", "ticket.s3cret"]);
    let named: String = page.run(SOCKET, &[json!("/named"), offer.clone()]).await?;
    let asked = server.asked_for("GET /named").pop().context("none")?;
    let offered = asked.header("sec-websocket-protocol").unwrap_or("none");
    let named = format!("`{offered}`; {named}");
    let unnamed: String = page.run(SOCKET, &[json!("/unnamed"), offer]).await?;
    let padded: String = page
        .run(
            SOCKET,
            &[json!("/padded"), json!(["events", "czNjcmV0Lw=="])],
        )
        .await?;
    let with_user = |path: &str| server.at(path).replacen("://", "://me:secret@", 1);
    let user: String = page
        .run(
            SOCKET,
            &[json!(with_user("/user").replacen("http", "ws", 1))],
        )
        .await?;
    let user = format!("{user}, {}", credentials_of(&server, "GET /user"));
    let stream: String = page
        .run(STREAM, &[json!(with_user("/stream-user")), json!(true)])
        .await?;
    let stream = format!("{stream}, {}", credentials_of(&server, "GET /stream-user"));
    Ok(vec![
        ("access_sockets.named", named),
        ("access_sockets.unnamed", unnamed),
        ("access_sockets.padded", padded),
        ("access_sockets.user", user),
        ("access_sockets.stream-user", stream),
    ])
}

/// What came of the name and the password in an address.
fn credentials_of(server: &Raw, what: &str) -> &'static str {
    match server.asked_for(what).last() {
        None => "not asked",
        Some(asked) if asked.header("authorization").is_some() => "with `Authorization`",
        Some(_) => "without `Authorization`",
    }
}

/// Over TLS, because a cookie with `SameSite=None` has to be `Secure`.
pub(crate) async fn other_site(page: Page) -> anyhow::Result<Seen> {
    let engine = Engine::find(page.kind())?.with_any_certificate();
    let driver = Driver::start(engine).await?;
    let own = driver.browser().await?;
    let seen = from_another_site(&Page::only(&own).await?).await;
    own.close().await;
    seen
}

async fn from_another_site(page: &Page) -> anyhow::Result<Seen> {
    // The pages are of `localhost`, the server is 127.0.0.1: two sites.
    let page_of = Raw::start_tls(|asked, _| match asked.what.strip_prefix("GET /form?") {
        None => Answer::page(&[], ""),
        Some(action) => Answer::whole(
            "200 OK",
            &["Content-Type: text/html"],
            &format!(
                "<!doctype html><link rel=icon href=data:,>
                <form method=post enctype=text/plain action=\"{action}\"></form><a href=\"{action}\">.</a>"
            ),
        ),
    })
    .await?;
    let origin = page_of.by_name("");
    let server = Raw::start_tls(move |asked, _| {
        let exact = format!("Access-Control-Allow-Origin: {origin}");
        let allowed = [exact.as_str(), "Access-Control-Allow-Credentials: true"];
        match asked.what.rsplit('/').next() {
            Some("socket") => accept_as(asked, None),
            Some("stream") => Answer::stream(&allowed, "data: x\n\n", Then::Nothing),
            Some("fetch") => Answer::whole("200 OK", &allowed, ""),
            Some("login") => {
                let third = "Set-Cookie: third=1; Path=/; SameSite=None; Secure";
                let apart = "Set-Cookie: apart=1; Path=/; SameSite=None; Secure; Partitioned";
                Answer::whole("200 OK", &[allowed[0], allowed[1], third, apart], "")
            }
            Some("form") | Some("link") | Some("here") => Answer::page(&[], ""),
            _ => Answer::page(
                &[
                    "Set-Cookie: plain=1; Path=/; Secure",
                    "Set-Cookie: lax=1; Path=/; SameSite=Lax; Secure",
                    "Set-Cookie: strict=1; Path=/; SameSite=Strict; Secure",
                    "Set-Cookie: none=1; Path=/; SameSite=None; Secure",
                ],
                "",
            ),
        }
    })
    .await?;
    // As a reader who has logged in there.
    page.open(&server.at("/")).await?;
    // And then reads a page of somebody else.
    page.open(&page_of.by_name("/")).await?;
    let ways = |round: &'static str| {
        let server = &server;
        async move {
            let address = |way: &str| server.at(&format!("/{round}/{way}"));
            let options = json!({ "credentials": "include" });
            page.run::<Value>(FETCHES, &[json!([[address("fetch"), options]])])
                .await?;
            page.run::<Value>(STREAM, &[json!(address("stream")), json!(true)])
                .await?;
            let socket = address("socket").replacen("https", "wss", 1);
            page.run::<Value>(SOCKET, &[json!(socket)]).await?;
            let mut asked = Vec::new();
            for way in ["fetch", "stream", "socket"] {
                let target = format!("GET /{round}/{way}");
                asked.push(server.asked_for(&target).pop().context(target)?);
            }
            anyhow::Ok(asked)
        }
    };
    let by_way = |asked: &[Asked], name: &str| {
        let sent: Vec<bool> = asked.iter().map(|asked| sent(asked, name)).collect();
        match sent[..] {
            [true, true, true] => "sent".to_owned(),
            [false, false, false] => "not sent".to_owned(),
            _ => {
                let names = ["`fetch()`", "`EventSource`", "WebSocket"];
                let with = names.iter().zip(&sent).filter(|(_, sent)| **sent);
                let with: Vec<&str> = with.map(|(name, _)| *name).collect();
                format!("sent by {} alone", with.join(" and "))
            }
        }
    };
    let first = ways("first").await?;
    let site = first[0]
        .header("sec-fetch-site")
        .unwrap_or("none")
        .to_owned();
    let options = json!({ "credentials": "include" });
    page.run::<Value>(FETCHES, &[json!([[server.at("/login"), options]])])
        .await?;
    let second = ways("second").await?;

    // What a form and a link of that page send along. By a timer: the page goes away.
    let leave = |what: &'static str, script: &'static str| {
        let server = &server;
        let page_of = &page_of;
        async move {
            let target = what.rsplit(' ').next().unwrap_or_default();
            page.open(&page_of.by_name(&format!("/form?{}", server.at(target))))
                .await?;
            page.run::<Value>(script, &[]).await?;
            let came = |asked: &[Asked]| asked.iter().any(|asked| asked.what == what);
            server.until(what, came).await?;
            server.asked_for(what).pop().context(what)
        }
    };
    let form = leave("POST /form", "setTimeout(() => document.forms[0].submit())").await?;
    let link = leave("GET /link", "setTimeout(() => document.links[0].click())").await?;
    let all = |asked: &Asked| {
        let names = ["plain", "lax", "strict", "none"];
        let words = ["no `SameSite`", "`Lax`", "`Strict`", "`None`"];
        let with = names
            .iter()
            .zip(words)
            .filter(|(name, _)| sent(asked, name));
        let with: Vec<&str> = with.map(|(_, words)| words).collect();
        if with.is_empty() {
            "none".to_owned()
        } else {
            with.join(", ")
        }
    };
    let named = form.header("origin") == Some(&page_of.by_name(""));
    page.open(&server.at("/here")).await?;
    let here = server.asked_for("GET /here").pop().context("no request")?;
    let at_home = |name: &str| {
        if sent(&here, name) {
            "sent"
        } else {
            "not sent"
        }
        .to_owned()
    };
    Ok(vec![
        ("access_other_site.first-none", by_way(&first, "none")),
        ("access_other_site.first-plain", by_way(&first, "plain")),
        ("access_other_site.first-lax", by_way(&first, "lax")),
        ("access_other_site.third", by_way(&second, "third")),
        ("access_other_site.third-at-home", at_home("third")),
        ("access_other_site.apart", by_way(&second, "apart")),
        ("access_other_site.apart-at-home", at_home("apart")),
        ("access_other_site.form", all(&form)),
        ("access_other_site.form-origin", yes(named)),
        ("access_other_site.link", all(&link)),
        ("access_other_site.fetch-site", format!("`{site}`")),
    ])
}
