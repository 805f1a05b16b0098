//! This book, built and served on a free port, as a browser meets it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use feed::{Feed, Retention};
use method::Method;
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LOCATION, RANGE, VARY,
};
use reqwest::{redirect, Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::{json, Value};
use serving::{guard, Allowed, Config, Ending};
use site::book::{find_root, Edition, Options};
use site::limits::Limits;
use site::server::{live, methods, router, Reload, RELOAD_PATH};
use site::shelf::Shelf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A response that never ends must not hang the run. Nothing here takes a second.
const HANG: Duration = Duration::from_secs(60);

struct Site {
    base: String,
    client: Client,
    shelf: Shelf,
    feed: Feed,
    reload: Reload,
    ending: Ending,
}

impl Site {
    /// This repository's book, as `cargo run -- serve --watch` serves it; without the watcher.
    async fn start() -> Self {
        Self::start_with(&methods(), Retention::default(), Limits::default()).await
    }

    /// The same with other methods, another log and other limits.
    async fn start_with(methods: &[Method], retention: Retention, limits: Limits) -> Self {
        let shelf = Shelf::new(&edition()).unwrap();
        let feed = Feed::new(retention);
        let reload = Reload::default();
        let ending = Ending::new();
        let router = router(
            shelf.clone(),
            live(methods, &feed, None, &limits, &ending),
            Some(reload.router(&limits, &ending)),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (router, edge) = (guard(router, Allowed::default()), Config::default());
        tokio::spawn(serving::serve(listener, router, edge, ending.clone()));
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .read_timeout(HANG)
            .build()
            .unwrap();
        Self {
            base,
            client,
            shelf,
            feed,
            reload,
            ending,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    /// The whole answer to a request as it stands there: a client would tidy up its path.
    async fn raw(&self, request: &str) -> String {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(HANG, stream.read_to_end(&mut answer));
        read.await.expect("an answer that ends").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn text(&self, path: &str) -> String {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ending.cut();
    }
}

fn edition() -> Edition {
    let root = find_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let page = Options {
        reload: Some(RELOAD_PATH),
        ..Options::default()
    };
    Edition::build(&root, page).unwrap().0
}

fn header(response: &Response, name: impl reqwest::header::AsHeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Reads `stream` until it has said `expected`. Its heartbeats would keep a read time-out from ever
/// ending this.
async fn read_until(stream: &mut Response, expected: &str) {
    let mut text = String::new();
    let read = async {
        while !text.contains(expected) {
            let chunk = stream.chunk().await.unwrap().expect("the stream ended");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let read = tokio::time::timeout(HANG, read).await;
    assert!(read.is_ok(), "no {expected:?} in {text:?}");
}

/// The URL, relative to the book's root, of the hashed asset whose name begins with `stem` in
/// `page`.
fn asset<'a>(page: &'a str, stem: &str) -> &'a str {
    page.split('"')
        .find(|attribute| attribute.starts_with(stem))
        .unwrap()
}

#[tokio::test]
async fn pages_and_assets_have_their_content_types() {
    let site = Site::start().await;
    let home = site.text("/").await;
    assert!(home.contains("Waiting for the Next Event"), "{home}");
    for (path, expected) in [
        ("/", "text/html"),
        ("/introduction.html", "text/html"),
        ("/polling/", "text/html"),
        ("/long-polling/", "text/html"),
        ("/sse/index.html", "text/html"),
        ("/sse/", "text/html"),
        (
            &format!("/{}", asset(&home, "theme/loader-")),
            "text/javascript",
        ),
        (&format!("/{}", asset(&home, "theme/book-")), "text/css"),
        (&format!("/{}", asset(&home, "favicon-")), "image/svg+xml"),
        ("/live/polling/panel.js", "text/javascript"),
        ("/live/long-polling/panel.js", "text/javascript"),
        ("/live/sse/panel.js", "text/javascript"),
        ("/live/websocket/panel.js", "text/javascript"),
        ("/live/websocket/whiteboard.js", "text/javascript"),
        ("/live/http2-push/panel.js", "text/javascript"),
        ("/live/shared/page.css", "text/css"),
        ("/assets/modules/race/race.js", "text/javascript"),
        ("/assets/modules/race/race.css", "text/css"),
        (
            "/assets/modules/formulas/formulas_bg.wasm",
            "application/wasm",
        ),
    ] {
        let response = site.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(
            header(&response, CONTENT_TYPE).starts_with(expected),
            "{path}: {response:?}"
        );
    }
}

/// A reader with several panels loads each shared module once: all ask for the same addresses.
#[tokio::test]
async fn every_module_that_a_panel_imports_is_there_and_shared_ones_are_in_one_place() {
    let site = Site::start().await;
    let mut due: Vec<Url> = ["polling", "long-polling", "sse", "websocket", "http2-push"]
        .map(|name| Url::parse(&format!("{}/live/{name}/panel.js", site.base)).unwrap())
        .into();
    let mut seen = BTreeSet::new();
    while let Some(module) = due.pop() {
        if !seen.insert(module.path().to_owned()) {
            continue;
        }
        let text = site.text(module.path()).await;
        let imported = text.lines().filter_map(|line| {
            let path = line.split_once(" from \"")?.1.strip_suffix("\";")?;
            Some(module.join(path).unwrap())
        });
        due.extend(imported);
    }
    let shared = |path: &&String| path.contains("/shared/");
    assert!(seen.iter().filter(shared).count() > 5, "{seen:?}");
    for path in seen.iter().filter(shared) {
        assert!(path.starts_with("/live/shared/"), "{path}");
    }
}

#[tokio::test]
async fn no_page_waits_for_a_script_or_names_another_host() {
    let site = Site::start().await;
    for path in [
        "/",
        "/polling/index.html",
        "/long-polling/index.html",
        "/sse/index.html",
        "/sse/tokens.html",
        "/contract.html",
        "/glossary.html",
        "/facts.html",
    ] {
        let page = site.text(path).await;
        for tag in page
            .split("<script")
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap())
        {
            // Or is held back until somebody searches.
            let is_later = ["defer", "data-search"]
                .iter()
                .any(|name| tag.contains(name));
            assert!(
                !tag.contains("src=") || is_later,
                "{path} waits for <script{tag}>"
            );
            assert!(!tag.contains("//"), "{path} fetches <script{tag}>");
        }
        for tag in page
            .split("<link")
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap())
        {
            assert!(!tag.contains("//"), "{path} fetches <link{tag}>");
        }
    }
}

#[tokio::test]
async fn live_json_names_the_live_servers_and_the_book_on_disk_has_none() {
    let site = Site::start().await;
    let response = site.get("/assets/live.json").send().await.unwrap();
    assert_eq!(header(&response, CACHE_CONTROL), "no-cache");
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({ "live": true, "methods": {
            "polling": "live/polling/",
            "long-polling": "live/long-polling/",
            "sse": "live/sse/",
            "websocket": "live/websocket/",
            "http2-push": "live/http2-push/",
            "twin": "live/twin/",
            "tabs": "live/tabs/",
        } })
    );
    let on_disk = std::fs::read(edition().path().join("assets/live.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&on_disk).unwrap(),
        json!({ "live": false })
    );
}

#[tokio::test]
async fn a_live_server_without_its_slash_redirects_there() {
    let site = Site::start().await;
    for path in [
        "/live/polling",
        "/live/long-polling",
        "/live/sse",
        "/live/websocket",
        "/live/http2-push",
    ] {
        for query in ["", "?x=1"] {
            let response = site.get(&format!("{path}{query}")).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
            // Relative to /live/, wherever the site is mounted.
            assert_eq!(
                format!("/live/{}", header(&response, LOCATION)),
                format!("{path}/{query}")
            );
        }
        assert_eq!(
            site.get(&format!("{path}/")).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}/"
        );
    }
}

#[tokio::test]
async fn a_page_without_its_slash_redirects_there_and_nowhere_else() {
    let site = Site::start().await;
    for (path, location) in [
        ("/sse", "sse/"),
        ("/sse?x=1&y", "sse/?x=1&y"),
        ("/s%73e", "sse/"),
        ("/assets/mermaid", ""),
        // Each of these was a redirect to another site, on some server.
        ("//evil.example", ""),
        ("//evil.example/..", ""),
        ("/%2f%2fevil.example", ""),
        ("/%5cevil.example", ""),
        ("//sse", ""),
        ("/sse/%2e%2e%2f%2fevil.example", ""),
    ] {
        let answer = site.raw(&format!("GET {path}")).await;
        let told = answer
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap_or_default();
        assert_eq!(told, location, "{path}: {answer}");
        let status = if location.is_empty() { "404" } else { "307" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_reload_channel_only_tells() {
    let site = Site::start().await;
    for (method, path, status) in [
        ("POST", "events", 405),
        ("POST", "tokens", 404),
        ("POST", "cut", 404),
        ("GET", "", 404),
        ("GET", "status", 404),
        ("GET", "shared/panel.js", 404),
    ] {
        let url = format!("{}/live/reload/{path}", site.base);
        let request = site.client.request(method.parse().unwrap(), url);
        let event = json!({ "kind": "reload", "data": null });
        let answer = request.json(&event).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
    }
}

/// RFC 9110 §13 and §14, on a page and on a file that is never compressed.
#[tokio::test]
async fn a_part_of_a_file_is_sent_as_long_as_it_is_the_same_file() {
    let site = Site::start().await;
    for path in ["/index.html", "/assets/card.png"] {
        let whole = site.get(path).send().await.unwrap();
        let tag = header(&whole, ETAG).to_owned();
        assert!(tag.starts_with('"'), "{tag}");
        assert_eq!(header(&whole, ACCEPT_RANGES), "bytes");
        let whole = whole.bytes().await.unwrap();
        let all = whole.len();
        let weak = format!("W/{tag}");
        let date = "Sat, 01 Jan 2000 00:00:00 GMT";
        // What is asked, and the bytes of the answer.
        for (range, condition, status, bytes) in [
            ("bytes=0-9", None, 206, 0..10),
            ("bytes=0-9", Some((IF_RANGE, tag.as_str())), 206, 0..10),
            (
                "bytes=-7",
                Some((IF_MATCH, tag.as_str())),
                206,
                all - 7..all,
            ),
            ("bytes=0-9", Some((IF_RANGE, "\"old\"")), 200, 0..all),
            ("bytes=0-9", Some((IF_RANGE, weak.as_str())), 200, 0..all),
            ("bytes=0-9", Some((IF_RANGE, date)), 200, 0..all),
            ("bytes=0-9,20-29", None, 200, 0..all),
            ("bytes=99999999-", None, 416, 0..0),
            ("bytes=99999999-", Some((IF_RANGE, "\"old\"")), 200, 0..all),
            ("bytes=0-9", Some((IF_MATCH, "\"old\"")), 412, 0..0),
            ("bytes=0-9", Some((IF_MATCH, weak.as_str())), 412, 0..0),
            ("bytes=0-9", Some((IF_NONE_MATCH, weak.as_str())), 304, 0..0),
            ("bytes=0-9", Some((IF_MODIFIED_SINCE, date)), 206, 0..10),
        ] {
            let mut request = site.get(path).header(RANGE, range);
            if let Some((name, value)) = &condition {
                request = request.header(name, *value);
            }
            let what = format!("{path} {range} {condition:?}");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{what}");
            let expected = match status {
                206 => format!("bytes {}-{}/{all}", bytes.start, bytes.end - 1),
                416 => format!("bytes */{all}"),
                _ => String::new(),
            };
            assert_eq!(header(&answer, CONTENT_RANGE), expected, "{what}");
            assert_eq!(answer.bytes().await.unwrap(), whole[bytes], "{what}");
        }
        let head = site.client.head(format!("{}{path}", site.base));
        let head = head.header(RANGE, "bytes=0-9").send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(header(&head, CONTENT_LENGTH), all.to_string());
    }
    let missing = site.get("/nothing").header(IF_MATCH, "\"old\"");
    assert_eq!(missing.send().await.unwrap().status(), 404);
    let posted = site.client.post(format!("{}/index.html", site.base));
    let posted = posted.send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&posted, ALLOW), "GET, HEAD");
}

#[tokio::test]
async fn every_answer_about_a_file_has_the_headers_that_a_200_would_have() {
    let site = Site::start().await;
    for path in ["/index.html", "/live/sse/sse-client.js"] {
        let kept = |response: &Response| {
            let vary = header(response, VARY).to_ascii_lowercase();
            (vary, header(response, CACHE_CONTROL).to_owned())
        };
        let whole = site.get(path).send().await.unwrap();
        let tag = header(&whole, ETAG).to_owned();
        assert_eq!(kept(&whole).0, "accept-encoding", "{path}");
        let known = site
            .get(path)
            .header(IF_NONE_MATCH, &tag)
            .send()
            .await
            .unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{path}");
        let head = site.client.head(format!("{}{path}", site.base));
        for answer in [known, head.send().await.unwrap()] {
            assert_eq!(kept(&answer), kept(&whole), "{answer:?}");
            assert_eq!(header(&answer, ETAG), tag, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn every_file_of_the_book_has_a_type() {
    let site = Site::start().await;
    let edition = edition();
    let mut left = vec![edition.path().to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.strip_prefix(edition.path()).unwrap().to_str().unwrap();
            let known = path.extension().is_none() || {
                let answer = site.client.head(format!("{}/{name}", site.base));
                let answer = answer.send().await.unwrap();
                answer.status() == 200
                    && header(&answer, CONTENT_TYPE) != "application/octet-stream"
            };
            assert!(known, "{name}");
        }
    }
}

/// The index of the search has no word of every sentence, and the contract has names that are such
/// words.
#[tokio::test]
async fn the_words_of_the_contract_lead_to_their_sections() {
    let site = Site::start().await;
    let words: BTreeMap<String, String> =
        serde_json::from_str(&site.text("/assets/words.json").await).unwrap();
    for (word, place) in &words {
        assert_eq!(*word, word.to_lowercase());
        let (page, id) = place.split_once('#').unwrap();
        let page = site.text(&format!("/{page}")).await;
        assert!(page.contains(&format!("id=\"{id}\"")), "{word}: no {place}");
    }
    let home = site.text("/").await;
    let library = site
        .text(&format!("/{}", asset(&home, "elasticlunr-")))
        .await;
    let (_, passed_over) = library.split_once("defaultStopWords={").unwrap();
    let (passed_over, _) = passed_over.split_once('}').unwrap();
    let passed_over: BTreeSet<_> = passed_over
        .split(',')
        .filter_map(|word| Some(word.split_once(':')?.0))
        .collect();
    assert!(passed_over.contains("after"), "{passed_over:?}");
    let contract = site.text("/contract.html").await;
    let names = contract.split("<code>").skip(1);
    let names = names.filter_map(|rest| Some(rest.split_once("</code>")?.0));
    for name in names {
        assert!(
            !passed_over.contains(name) || words.contains_key(name),
            "a search does not find {name}"
        );
    }
}

#[tokio::test]
async fn an_unknown_path_gets_the_404_page() {
    let site = Site::start().await;
    let long = format!("/{}", "a".repeat(10 * 1024));
    for path in [
        "/nothing",
        "/sse/nothing.html",
        "/introduction.html/",
        "/assets/",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2f..%2fetc/passwd",
        "/%00",
        "/introduction.html%00",
        "/sse/%0d%0aX:%20y",
        "/%ff%fe",
        "/%",
        "/%zz",
        "//",
        "/C:%5cindex.html",
        &long,
    ] {
        let raw = site.raw(&format!("GET {path}")).await;
        assert!(raw.starts_with("HTTP/1.1 404 "), "{path}: {raw:.200}");
        assert!(raw.contains("There is no page at this address."), "{path}");
    }
    for path in ["/nothing", "/sse/nothing.html"] {
        let response = site.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, CACHE_CONTROL), "no-cache", "{path}");
        assert!(
            header(&response, CONTENT_TYPE).starts_with("text/html"),
            "{path}"
        );
        assert!(
            response
                .text()
                .await
                .unwrap()
                .contains("There is no page at this address."),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_book_is_compressed_and_a_stream_is_not() {
    let site = Site::start().await;
    let page = site
        .get("/introduction.html")
        .header(ACCEPT_ENCODING, "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&page, CONTENT_ENCODING), "gzip");
    let plain = site.get("/introduction.html").send().await.unwrap();
    assert_eq!(header(&plain, CONTENT_ENCODING), "");
    assert!(page.bytes().await.unwrap().len() * 2 < plain.bytes().await.unwrap().len());

    // A live page's modules count among what a chapter transfers.
    let module = site
        .get("/live/sse/sse-client.js")
        .header(ACCEPT_ENCODING, "gzip");
    let module = module.send().await.unwrap();
    assert_eq!(header(&module, CONTENT_ENCODING), "gzip");
    // Its own server gave it a strong tag, which promises the bytes that this answer no longer has.
    let weak = header(&module, ETAG).to_owned();
    let plain = site.get("/live/sse/sse-client.js").send().await.unwrap();
    let strong = header(&plain, ETAG).to_owned();
    assert!(strong.starts_with('"'), "{strong}");
    assert_eq!(weak, format!("W/{strong}"));
    let again = site
        .get("/live/sse/sse-client.js")
        .header(IF_NONE_MATCH, weak);
    assert_eq!(again.send().await.unwrap().status(), 304);

    for path in ["/live/sse/events", "/live/reload/events"] {
        let mut stream = site
            .get(path)
            .header(ACCEPT_ENCODING, "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(header(&stream, CONTENT_TYPE), "text/event-stream", "{path}");
        assert_eq!(header(&stream, CONTENT_ENCODING), "", "{path}");
        // It reaches the client as it was written, and before anything has happened.
        let first = stream.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b"id: "), "{path}: {first:?}");
        let control = header(&stream, CACHE_CONTROL);
        assert_eq!(control, "no-store, no-transform", "{path}");
    }
}

#[tokio::test]
async fn a_file_is_fetched_again_only_when_there_is_a_newer_book() {
    let site = Site::start().await;
    let first = site.get("/contract.html").send().await.unwrap();
    assert_eq!(header(&first, CACHE_CONTROL), "no-cache");
    let tag = header(&first, ETAG).to_owned();
    let again = || {
        site.get("/contract.html")
            .header(IF_NONE_MATCH, format!("\"other\", {tag}"))
            .send()
    };

    let same = again().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&same, ETAG), tag);
    assert_eq!(same.text().await.unwrap(), "");

    site.shelf.replace(&edition()).unwrap();
    let newer = again().await.unwrap();
    assert_eq!(newer.status(), StatusCode::OK);
    assert_ne!(header(&newer, ETAG), tag);

    // A second is too coarse to tell two builds apart, so a date decides nothing.
    let dated = site
        .get("/contract.html")
        .header(IF_MODIFIED_SINCE, "Fri, 01 Jan 2100 00:00:00 GMT");
    assert_eq!(dated.send().await.unwrap().status(), StatusCode::OK);

    let missing = site
        .get("/nothing")
        .header(IF_NONE_MATCH, header(&newer, ETAG))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_hashed_name_is_kept_for_good() {
    let site = Site::start().await;
    let home = site.text("/").await;
    let response = site
        .get(&format!("/{}", asset(&home, "theme/loader-")))
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(&response, CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    let gone = site.get("/theme/loader-00000000.js").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&gone, CACHE_CONTROL), "no-cache");
}

#[tokio::test]
async fn an_event_published_through_one_live_server_comes_through_all() {
    let site = Site::start().await;
    let mut stream = site.get("/live/sse/events").send().await.unwrap();
    // The cursor comes first: from here on nothing is missed.
    stream.chunk().await.unwrap().unwrap();
    let start = site.feed.state().latest;
    let parked = site
        .get(&format!("/live/long-polling/events?after={start}"))
        .header("Prefer", "wait=20")
        .send();
    let publish = async {
        let event = json!({ "kind": "message", "data": { "from": "Ada", "text": "Hello" } });
        let published = site
            .client
            .post(format!("{}/live/polling/events", site.base))
            .json(&event)
            .send()
            .await
            .unwrap();
        assert_eq!(published.status(), StatusCode::CREATED);
        let id = published.json::<Value>().await.unwrap()["id"].clone();
        id.as_str().unwrap().to_owned()
    };
    // Whichever comes first: the request is parked and woken, or finds the event.
    let (parked, id) = tokio::join!(parked, publish);
    read_until(&mut stream, &format!("id: {id}\n")).await;
    let polled = site
        .get(&format!("/live/polling/events?after={start}"))
        .send();
    for page in [parked.unwrap(), polled.await.unwrap()] {
        let page = page.json::<Value>().await.unwrap();
        assert_eq!(page["events"][0]["id"], id, "{page}");
        assert_eq!(page["next"], id, "{page}");
    }
    let latest = async |path: &str| {
        let status: Value = site.get(path).send().await.unwrap().json().await.unwrap();
        status["latest"].as_str().unwrap().to_owned()
    };
    assert_eq!(latest("/live/websocket/status").await, id);
    // What is drawn is no part of the room.
    let board = latest("/live/websocket/board/status").await;
    assert!(board.ends_with(".0"), "{board}");
}

#[tokio::test]
async fn a_page_hears_of_a_newer_book() {
    let site = Site::start().await;
    assert!(site
        .text("/")
        .await
        .contains(r#"<html data-reload="live/reload/""#));
    let mut stream = site.get("/live/reload/events").send().await.unwrap();
    stream.chunk().await.unwrap().unwrap();
    site.reload.notify().await;
    read_until(&mut stream, r#""kind":"reload""#).await;
}

/// What has come of a response in lines, and the next line.
struct Lines {
    response: Response,
    text: String,
}

impl Lines {
    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let read = async {
            loop {
                if let Some((line, rest)) = self.text.split_once('\n') {
                    let line = serde_json::from_str(line).unwrap();
                    self.text = rest.to_owned();
                    return Some(line);
                }
                let chunk = self.response.chunk().await.unwrap()?;
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        let line = tokio::time::timeout(HANG, read).await;
        line.expect("a line, or the end")
    }

    /// The next line that is no heartbeat.
    async fn message(&mut self) -> Value {
        let message = async {
            loop {
                let line = self.next().await.expect("no end");
                if line.get("heartbeat").is_none() {
                    return line;
                }
            }
        };
        // Heartbeats would go on for ever.
        let message = tokio::time::timeout(HANG, message).await;
        message.expect("a line that is no heartbeat")
    }
}

/// JSON lines in one response: a crate, and one line in the list of methods. All that is in the
/// site follows from that.
#[tokio::test]
async fn a_sixth_method_is_a_crate_and_one_line() {
    let mut methods = methods();
    methods.push(json_lines::METHOD);
    let retention = Retention {
        max_events: 2,
        ..Retention::default()
    };
    let limits = Limits {
        heartbeat: Duration::from_millis(10),
        of_methods: [("max-responses", 1)].into(),
        ..Limits::default()
    };
    let site = Site::start_with(&methods, retention, limits).await;
    let live: Value = serde_json::from_str(&site.text("/assets/live.json").await).unwrap();
    assert_eq!(live["methods"]["json-lines"], "live/json-lines/");

    let events = "/live/json-lines/events";
    let response = site.get(events).send().await.unwrap();
    assert_eq!(header(&response, CONTENT_TYPE), "application/x-ndjson");
    let text = String::new();
    let mut lines = Lines { response, text };
    let hello = lines.next().await.unwrap();
    let start = hello["hello"]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(hello["hello"]["every"], 10);

    // Its one place is taken, and the others go on.
    let refused = site.get(events).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let publish = async |text: &str| {
        let polling = site
            .client
            .post(format!("{}/live/polling/events", site.base));
        let published = polling
            .json(&json!({ "kind": "message", "data": text }))
            .send()
            .await;
        assert_eq!(published.unwrap().status(), StatusCode::CREATED);
    };
    publish("by polling").await;
    assert_eq!(lines.message().await["message"]["data"], "by polling");
    while lines.next().await.unwrap().get("heartbeat").is_none() {}
    drop(lines);

    for n in 0..3 {
        publish(&n.to_string()).await;
    }
    // Its place is free as soon as the server has noticed.
    let response = loop {
        let response = site
            .get(&format!("{events}?after={start}"))
            .send()
            .await
            .unwrap();
        if response.status() == StatusCode::OK {
            break response;
        }
    };
    let text = String::new();
    let mut lines = Lines { response, text };
    let mut following = Vec::new();
    for _ in 0..4 {
        following.push(lines.message().await);
    }
    assert_eq!(following[0]["hello"]["cursor"], start);
    assert_eq!(following[1]["gap"]["reason"], "expired");
    assert_eq!(following[2]["message"]["data"], "1");
    assert_eq!(following[3]["message"]["data"], "2");

    site.ending.begin();
    let end = lines.message().await;
    assert_eq!(end, json!({ "end": { "reason": "shutdown" } }));
    assert_eq!(lines.next().await, None);
}
