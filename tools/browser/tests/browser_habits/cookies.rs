//! Cookies, and what else a browser sends with a handshake or for a stream.

use crate::{
    raw::{Answer, Asked, Raw, Then},
    streams::accept,
    yes, Seen,
};
use anyhow::Context as _;
use browser::{driver::Driver, engine::Engine, page::Page};
use serde_json::{json, Value};

const SETTING: [&str; 4] = [
    "Set-Cookie: plain=1; Path=/",
    "Set-Cookie: lax=1; Path=/; SameSite=Lax",
    "Set-Cookie: strict=1; Path=/; SameSite=Strict",
    "Set-Cookie: none=1; Path=/; SameSite=None; Secure",
];

fn cookies(asked: &Asked) -> &str {
    asked.header("cookie").unwrap_or_default()
}

/// Whether a cookie came along.
fn sent(asked: &Asked, name: &str) -> bool {
    let name = format!("{name}=1");
    cookies(asked).split("; ").any(|cookie| cookie == name)
}

/// Over TLS, because a cookie with `SameSite=None` has to be `Secure`.
pub(crate) async fn of_handshakes(page: Page) -> anyhow::Result<Seen> {
    let engine = Engine::find(page.kind())?.with_any_certificate();
    let driver = Driver::start(engine).await?;
    let own = driver.browser().await?;
    let seen = handshakes(&Page::only(&own).await?).await;
    own.close().await;
    seen
}

async fn handshakes(page: &Page) -> anyhow::Result<Seen> {
    let server = Raw::start_tls(|asked, _| match asked.what.as_str() {
        "GET /socket" => accept(asked),
        "GET /events" => accept(asked),
        "GET /refused" => Answer::whole("403 Forbidden", &[], ""),
        "GET /kept" => Answer::whole("200 OK", &[], ""),
        _ => Answer::page(&SETTING, ""),
    })
    .await?;
    let other = Raw::start_tls(|_, _| Answer::page(&[], "")).await?;
    let socket = "return new Promise((resolve) => {
        const socket = new WebSocket(arguments[0]);
        socket.onopen = () => resolve('open');
        socket.onclose = ({ code, wasClean }) => resolve(`closed with ${code}, ${wasClean ? 'clean' : 'not clean'}`);
    })";
    // As a reader who is logged in there.
    page.open(&server.at("/")).await?;
    page.run::<Value>("return fetch('/kept').then(() => true)", &[])
        .await?;
    let kept = server.asked_for("GET /kept").pop().context("no request")?;
    let relative: String = page.run(socket, &[json!("events")]).await?;
    let offer = server
        .asked_for("GET /events")
        .pop()
        .context("no handshake")?;
    let offer = offer.header("sec-websocket-extensions").unwrap_or_default();
    let deflate = offer.contains("permessage-deflate");

    let address = json!(format!("wss://{}/socket", server.address));
    // A page of another port, and then one of another site.
    page.open(&other.at("/")).await?;
    page.run::<String>(socket, std::slice::from_ref(&address))
        .await?;
    let near = server.asked_for("GET /socket").pop().context("none")?;
    page.open(&other.by_name("/")).await?;
    page.run::<String>(socket, &[address]).await?;
    let far = server.asked_for("GET /socket").pop().context("none")?;
    anyhow::ensure!(far
        .header("origin")
        .is_some_and(|origin| origin.contains("localhost")));
    let refused: String = page
        .run(
            socket,
            &[json!(format!("wss://{}/refused", server.address))],
        )
        .await?;
    let of = |name: &str| match (sent(&kept, name), sent(&far, name)) {
        (_, true) => "sent".to_owned(),
        (true, false) => "not sent".to_owned(),
        (false, false) => "not kept".to_owned(),
    };
    Ok(vec![
        ("cookie-plain", of("plain")),
        ("cookie-lax", of("lax")),
        ("cookie-strict", of("strict")),
        ("cookie-none", of("none")),
        (
            "cookie-same-site",
            if sent(&near, "strict") {
                "sent"
            } else {
                "not sent"
            }
            .to_owned(),
        ),
        ("socket-refused", refused),
        ("socket-relative", relative),
        ("socket-deflate", yes(deflate)),
    ])
}

pub(crate) async fn of_streams(page: Page) -> anyhow::Result<Seen> {
    let page_of = Raw::start(|_, _| Answer::page(&SETTING, "")).await?;
    let origin = format!("Access-Control-Allow-Origin: http://{}", page_of.address);
    let server = Raw::start(move |_, _| {
        let headers = [origin.as_str(), "Access-Control-Allow-Credentials: true"];
        Answer::stream(&headers, "data: x\n\n", Then::Nothing)
    })
    .await?;
    page.open(&page_of.at("/")).await?;
    let mut seen = Vec::new();
    page.run::<Value>(
        "const options = { method: 'POST', headers: { Authorization: 'me' }, body: 'x' };
        return new Promise((resolve) => {
            const source = new EventSource(arguments[0], options);
            source.onmessage = () => resolve(source.close());
        })",
        &[json!(server.at("/options"))],
    )
    .await?;
    let asked = server.asked_for("GET /options").pop();
    let heeded = asked.is_none_or(|asked| asked.header("authorization").is_some());
    let does = if heeded { "heeded" } else { "ignored" };
    seen.push(("stream-options", does.to_owned()));
    for (key, credentials) in [
        ("stream-other-port", false),
        ("stream-with-credentials", true),
    ] {
        let path = format!("/{key}");
        page.run::<Value>(
            "const [address, withCredentials] = arguments;
            return new Promise((resolve) => {
                const source = new EventSource(address, { withCredentials });
                source.onmessage = () => resolve(source.close());
            })",
            &[json!(server.at(&path)), json!(credentials)],
        )
        .await?;
        let asked = server.asked_for(&format!("GET {path}")).pop();
        let asked = asked.context("no request")?;
        let does = if cookies(&asked).is_empty() {
            "none"
        } else {
            "sent"
        };
        seen.push((key, does.to_owned()));
    }
    Ok(seen)
}
