//! Requests and their bodies.

use crate::{
    raw::{Answer, Raw, Then},
    Seen,
};
use browser::page::Page;
use serde_json::json;

pub(crate) async fn cut_bodies(page: Page) -> anyhow::Result<Seen> {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let server = Raw::start(|asked, _| match asked.what.as_str() {
        "GET /cut-chunked" => Answer::raw(CHUNKED, Then::Close),
        "GET /cut-reset" => Answer::raw(CHUNKED, Then::Reset),
        "GET /ended-early" => Answer::raw(format!("{CHUNKED}0\r\n\r\n"), Then::Next),
        "GET /cut-length" => Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhello",
            Then::Close,
        ),
        "GET /ended-by-close" => Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhello",
            Then::Close,
        ),
        _ => Answer::page(&[], ""),
    })
    .await?;
    page.open(&server.at("/")).await?;
    let mut seen = Vec::new();
    for key in [
        "cut-chunked",
        "cut-length",
        "cut-reset",
        "ended-early",
        "ended-by-close",
    ] {
        let does: String = page
            .run(
                "return (async () => {
                    try {
                        const response = await fetch(arguments[0]);
                        for (let reader = response.body.getReader();;) {
                            const { done } = await reader.read();
                            if (done) return 'the end, as of a whole body';
                        }
                    } catch {
                        return 'an error';
                    }
                })()",
                &[json!(key)],
            )
            .await?;
        seen.push((key, does));
    }
    Ok(seen)
}

pub(crate) async fn repeats(page: Page) -> anyhow::Result<Seen> {
    // A request whose path begins with `/once` is read and not answered the first time.
    let answering = |asked: &crate::raw::Asked, before| {
        if asked.what.contains("/once") && before == 0 {
            Answer::raw("", Then::Close)
        } else {
            Answer::page(&[], "")
        }
    };
    let mut seen = Vec::new();
    for (key, method) in [("post-reused", "POST"), ("get-reused", "GET")] {
        let server = Raw::start(answering).await?;
        page.open(&server.at("/")).await?;
        let does = send(&page, &server, method).await?;
        let asked = server.until("request", |asked| asked.len() > 2).await?;
        let first = asked.iter().position(|asked| asked.what.contains("/once"));
        let (old, new) = asked.split_at(first.unwrap_or_default());
        let reused = old.iter().any(|old| old.connection == new[0].connection);
        seen.push((
            key,
            if reused {
                does
            } else {
                format!("takes a fresh connection all the same; {does}")
            },
        ));
    }
    let server = Raw::start(answering).await?;
    let other = Raw::start(answering).await?;
    page.open(&server.at("/")).await?;
    seen.push(("post-fresh", send(&page, &other, "POST").await?));
    Ok(seen)
}

/// Sends a request that is not answered the first time; what became of it.
async fn send(page: &Page, server: &Raw, method: &str) -> anyhow::Result<String> {
    let told: bool = page
        .run(
            "const [address, method] = arguments;
            return (async () => {
                // The connection is one that was used before, where the address is the page's own.
                if (address.startsWith(location.origin)) await (await fetch('/warm')).arrayBuffer();
                const body = method === 'POST' ? 'order=1' : undefined;
                const mode = 'no-cors';
                return fetch(address, { method, body, mode }).then(() => true, () => false);
            })()",
            &[json!(server.at("/once")), json!(method)],
        )
        .await?;
    let times = server.asked_for(&format!("{method} /once")).len();
    Ok(match (times, told) {
        (1, false) => "the script gets an error".to_owned(),
        (2, true) => "is sent again; the script sees the second answer".to_owned(),
        _ => format!("is sent {times} times; answered: {told}"),
    })
}

pub(crate) async fn validators(page: Page) -> anyhow::Result<Seen> {
    let server = Raw::start(|asked, _| {
        let headers = ["ETag: \"1\"", "Cache-Control: no-cache"];
        match (asked.what.as_str(), asked.header("if-none-match")) {
            ("GET /state", Some("\"1\"")) => Answer::raw(
                "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: no-cache\r\n\r\n",
                Then::Next,
            ),
            ("GET /state", _) => Answer::whole("200 OK", &headers, "1"),
            _ => Answer::page(&[], ""),
        }
    })
    .await?;
    page.open(&server.at("/")).await?;
    let statuses: [u16; 3] = page
        .run(
            "return (async () => {
                const statuses = [];
                for (const headers of [{}, {}, { 'If-None-Match': '\"1\"' }]) {
                    const response = await fetch('/state', { headers });
                    await response.arrayBuffer();
                    statuses.push(response.status);
                }
                return statuses;
            })()",
            &[],
        )
        .await?;
    let asked = server.asked_for("GET /state");
    let own = asked.get(1).and_then(|asked| asked.header("if-none-match"));
    let last = asked.last().and_then(|asked| asked.header("cache-control"));
    Ok(vec![
        (
            "not-modified",
            match own {
                Some(_) => format!("{}", statuses[1]),
                None => format!("asks without it: {}", statuses[1]),
            },
        ),
        (
            "not-modified-own",
            match last {
                Some(control) => format!("{}; sends `Cache-Control: {control}`", statuses[2]),
                None => format!("{}; sends no `Cache-Control`", statuses[2]),
            },
        ),
    ])
}
