//! Each server has what its pages ask it for: the methods' own, alone and behind the
//! login.

mod support;

use access::Config;
use harness::{still_feed, Server};
use reqwest::{Client, Url};
use std::collections::{BTreeMap, BTreeSet};
use support::{browser, Stand, METHODS};

/// What a page names, and what that imports in its turn, each with the status of its
/// answer.
async fn asked_by(client: &Client, page: Url) -> BTreeMap<String, u16> {
    let mut answers = BTreeMap::new();
    let mut due = vec![page.clone()];
    while let Some(url) = due.pop() {
        if answers.contains_key(url.as_str()) {
            continue;
        }
        let answer = client.get(url.clone()).send().await.expect("an answer");
        answers.insert(url.to_string(), answer.status().as_u16());
        let text = answer.text().await.expect("a text");
        let names = match url.path() {
            path if path.ends_with(".js") => imports(&text),
            path if path.ends_with('/') => {
                // `page.js` imports this beside the page, whichever page it is.
                due.push(page.join("panel.js").expect("a path"));
                attributes(&text)
            }
            _ => BTreeSet::new(),
        };
        due.extend(names.iter().map(|name| url.join(name).expect("a path")));
    }
    answers
}

/// What follows `before` up to the next quotation mark.
fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let pieces = text.split(before).skip(1);
    pieces.filter_map(|piece| piece.split('"').next())
}

fn attributes(page: &str) -> BTreeSet<&str> {
    let named = quoted(page, "src=\"").chain(quoted(page, "href=\""));
    let is_part = |name: &&str| name.ends_with(".js") || name.ends_with(".css");
    named.filter(is_part).collect()
}

fn imports(module: &str) -> BTreeSet<&str> {
    // Comments name modules for their types, which no browser asks for.
    let code = module.lines().filter(|line| {
        let line = line.trim_start();
        !["*", "/*", "//"].iter().any(|mark| line.starts_with(mark))
    });
    let found = code.flat_map(|line| {
        let from = quoted(line, "from \"").chain(quoted(line, "import \""));
        from.chain(quoted(line, "import(\""))
    });
    found.filter(|name| name.starts_with('.')).collect()
}

fn all_there(method: &str, answers: &BTreeMap<String, u16>) {
    let missing: Vec<_> = answers
        .iter()
        .filter(|(_, status)| **status != 200)
        .collect();
    assert!(missing.is_empty(), "{method}: {missing:?}");
    // A page, two style sheets, its panel, and what these import.
    assert!(answers.len() > 10, "{method}: only {answers:?}");
}

#[tokio::test]
async fn behind_the_login_each_page_finds_what_it_asks_for() {
    let stand = Stand::start(Config::default()).await;
    let ada = stand.sign_in("ada").await;
    for method in METHODS {
        let page = stand.url(&format!("{method}/"));
        all_there(method, &asked_by(&ada, page).await);
    }
}

#[tokio::test]
async fn alone_each_page_finds_what_it_asks_for() {
    for method in METHODS {
        let server = Server::start(still_feed(10), |log, ending| match method {
            "polling" => polling::router(log, Default::default(), ending),
            "long-polling" => long_polling::router(log, Default::default(), ending),
            "sse" => sse::router(log, Default::default(), ending),
            "websocket" => {
                websocket::router(log, still_feed(10), Default::default(), ending)
            }
            other => panic!("{other} is no method"),
        });
        let server = server.await;
        all_there(method, &asked_by(&browser(), server.base()).await);
    }
}
