//! The server and the client, over real sockets.

mod support;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use http::{Method, Request, Response, Uri};
use http2_push::{
    client::{self, ClientError, Session, Source},
    identity::Identity,
    Config, Way,
};
use std::sync::Arc;
use support::PushServer;
use testbed::{eventually, in_time};
use tokio::io::{duplex, DuplexStream};

const STYLE: &[u8] = web::pushed::STYLE;
const SCRIPT: &[u8] = web::pushed::SCRIPT;

#[tokio::test]
async fn a_client_that_takes_pushes_gets_promises_and_bodies() {
    let server = PushServer::start(Config::default()).await;
    let mut session = server.session(true).await;
    let page = session.get("/").await.unwrap();
    assert_eq!(
        (page.source, page.answer.status.as_u16()),
        (Source::Asked, 200)
    );
    assert_eq!(page.pushed, ["/style.css", "/script.js"]);
    let recording = session.recording().clone();
    assert_eq!(recording.enable_push(), Some(1));
    assert_eq!((recording.promises(), recording.hints()), (2, 0));

    for (path, body) in [("/style.css", STYLE), ("/script.js", SCRIPT)] {
        let part = session.get(path).await.unwrap();
        assert_eq!(part.source, Source::Pushed);
        assert_eq!(part.answer.body, body);
        // A cache may keep it; without that there would be no place for it to go.
        assert_eq!(part.answer.headers["cache-control"], "max-age=10");
    }
    assert_eq!(recording.asked(), ["/"]);
    // Taken once. The next time it is asked for.
    assert_eq!(
        session.get("/style.css").await.unwrap().source,
        Source::Asked
    );
}

#[tokio::test]
async fn a_client_that_takes_none_is_sent_none() {
    let server = PushServer::start(Config::default()).await;
    let mut session = server.session(false).await;
    let page = session.get("/").await.unwrap();
    assert_eq!(page.answer.status, 200);
    assert_eq!(page.pushed, Vec::<String>::new());
    assert_eq!(session.recording().enable_push(), Some(0));
    assert_eq!(session.recording().promises(), 0);
    let style = session.get("/style.css").await.unwrap();
    assert_eq!(
        (style.source, &style.answer.body[..]),
        (Source::Asked, STYLE)
    );
}

#[tokio::test]
async fn early_hints_name_the_parts_before_there_is_a_page() {
    let config = Config {
        // The page waits until its style sheet was asked for, as by a browser that
        // heeds the hint.
        work: Arc::new(|recording| {
            async move {
                let style = "/early-hints/style.css".to_owned();
                recording.until(|seen| seen.asked().contains(&style)).await;
            }
            .boxed()
        }),
        ..Config::default()
    };
    let server = PushServer::start(config).await;
    let address = server.address.clone();
    // Two requests at once, which the session of this crate does not do.
    let (mut send, driver) = raw_client(&server).await;
    let driver = tokio::spawn(driver);
    let (mut page, _) = send
        .send_request(ask(&address, "/early-hints/"), true)
        .unwrap();
    let hint = in_time(
        "a hint",
        std::future::poll_fn(|cx| page.poll_informational(cx)),
    )
    .await;
    let hint = hint.expect("an interim answer").unwrap();
    assert_eq!(hint.status(), 103);
    let links: Vec<_> = hint.headers().get_all("link").iter().collect();
    assert_eq!(
        links,
        [
            "</early-hints/style.css>; rel=preload; as=style",
            "</early-hints/script.js>; rel=preload; as=script",
        ]
    );
    let (style, _) = send
        .send_request(ask(&address, "/early-hints/style.css"), true)
        .unwrap();
    assert_eq!(
        in_time("the style sheet", style).await.unwrap().status(),
        200
    );
    let page = in_time("the page", page).await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers().get_all("link").iter().count(), 2);
    driver.abort();
}

#[tokio::test]
async fn a_page_and_nothing_else() {
    let server = PushServer::start(Config::default()).await;
    let mut session = server.session(true).await;
    let page = session.get(Way::Plain.folder()).await.unwrap();
    assert_eq!(page.pushed, Vec::<String>::new());
    assert_eq!(page.hints.len(), 0);
    assert_eq!(session.recording().promises(), 0);
    for path in Way::Plain.parts() {
        assert_eq!(
            session.get(&path).await.unwrap().answer.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_server_says_what_it_recorded() {
    let server = PushServer::start(Config::default()).await;
    let mut session = server.session(false).await;
    session.get("/early-hints/").await.unwrap();
    let told = session.get("/connection").await.unwrap().answer;
    assert_eq!(told.headers["cache-control"], "no-store");
    let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["enable_push"], 0);
    assert_eq!(told["hints"], 1);
    assert_eq!(told["promises"], 0);
    assert!(told["frames"].as_str().unwrap().contains("client SETTINGS"));
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let server = PushServer::start(Config::default()).await;
    let mut session = server.session(false).await;
    let missing = session.get("/early-hints").await.unwrap().answer;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.headers["content-type"], "application/problem+json");
    assert_eq!(missing.headers["cache-control"], "no-store");

    let (mut send, driver) = raw_client(&server).await;
    let driver = tokio::spawn(driver);
    let mut post = ask(&server.address, "/");
    *post.method_mut() = Method::POST;
    let (refused, _) = send.send_request(post, true).unwrap();
    let refused = refused.await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );

    let foreign: Uri = "https://evil.example/".parse().unwrap();
    let (refused, _) = send.send_request(ask(&foreign, "/"), true).unwrap();
    assert_eq!(refused.await.unwrap().status(), 421);

    let mut head = ask(&server.address, "/style.css");
    *head.method_mut() = Method::HEAD;
    let (answer, _) = send.send_request(head, true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["content-length"], STYLE.len().to_string());
    assert!(answer.into_body().is_end_stream());
    driver.abort();
}

#[tokio::test]
async fn a_page_that_nobody_wants_any_more_is_waited_for_no_longer() {
    let alive = Arc::new(());
    let held = alive.clone();
    let config = Config {
        work: Arc::new(move |_| {
            let held = held.clone();
            async move {
                let _held = held;
                std::future::pending().await
            }
            .boxed()
        }),
        ..Config::default()
    };
    let server = PushServer::start(config).await;
    let waits = || Arc::strong_count(&alive) - 2;
    let (mut send, driver) = raw_client(&server).await;
    let driver = tokio::spawn(driver);
    let (page, mut stream) = send
        .send_request(ask(&server.address, "/plain/"), true)
        .unwrap();
    eventually("the page to be waited for", || waits() == 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    eventually("the wait to end with its request", || waits() == 0).await;
    drop((page, stream));
    driver.abort();
}

#[tokio::test]
async fn a_server_that_ends_finishes_its_page_and_takes_no_more() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let config = Config {
        work: Arc::new(move |_| {
            let mut gone = gone.clone();
            async move {
                let _ = gone.wait_for(|gone| *gone).await;
            }
            .boxed()
        }),
        ..Config::default()
    };
    let server = PushServer::start(config).await;
    let mut session = server.session(true).await;
    let recording = session.recording().clone();
    let page = tokio::spawn(async move { session.get("/plain/").await });
    in_time(
        "the request",
        recording.until(|seen| !seen.asked().is_empty()),
    )
    .await;
    server.ending.begin();
    let goodbye =
        |seen: &http2_push::recording::Recording| seen.to_string().contains("GOAWAY");
    in_time("the goodbye", recording.until(goodbye)).await;
    go.send(true).unwrap();
    let page = in_time("the page", page).await.unwrap().unwrap();
    assert_eq!(page.answer.status, 200);
    in_time("the end", server.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn only_the_certificate_that_is_trusted_will_do() {
    let server = PushServer::start(Config::default()).await;
    let other = Identity::new([]).unwrap();
    let config = client::Config::default;
    let refused = Session::connect(&server.address, &other.trust(), config()).await;
    assert!(matches!(refused, Err(ClientError::Connect(_))));
    let port = server.address.port_u16().unwrap();
    let named = format!("https://localhost:{port}/").parse().unwrap();
    // The same certificate, read from its text, under another of its names.
    let trust = http2_push::identity::Trust::from_pem(server.identity.pem()).unwrap();
    let mut session = Session::connect(&named, &trust, config()).await.unwrap();
    assert_eq!(session.get("/style.css").await.unwrap().answer.body, STYLE);
    let plain = "http://127.0.0.1/".parse().unwrap();
    let refused = Session::connect(&plain, &trust, config()).await;
    assert!(matches!(refused, Err(ClientError::Address(_))));
    assert!(http2_push::identity::Trust::from_pem("no certificate").is_err());
}

#[tokio::test]
async fn a_push_for_another_host_is_refused() {
    let none = (vec![], 1);
    assert_eq!(pushed(Method::GET, "https://other.example/p").await, none);
    // The same host, and another origin.
    assert_eq!(pushed(Method::GET, "http://own.example/p").await, none);
}

#[tokio::test]
async fn a_push_is_kept_for_exactly_its_request() {
    for path in ["/p", "/p?x=1"] {
        let address = format!("https://own.example{path}");
        let kept = (vec![path.to_owned()], 0);
        assert_eq!(pushed(Method::GET, &address).await, kept);
    }
    let head = pushed(Method::HEAD, "https://own.example/p").await;
    assert_eq!(head, (vec![], 1));
}

/// What a client of `https://own.example` takes of a push, and how many it refuses.
async fn pushed(method: Method, address: &str) -> (Vec<String>, usize) {
    let mut promised = Request::new(());
    *promised.method_mut() = method;
    *promised.uri_mut() = address.parse().unwrap();
    let (mut session, server) = pushing(promised, After::Nothing).await;
    let page = session.get("/").await.unwrap();
    let recording = session.recording().clone();
    if page.pushed.is_empty() {
        in_time("the refusal", recording.until(|seen| seen.refused() > 0)).await;
    }
    server.abort();
    (page.pushed, recording.refused())
}

#[tokio::test]
async fn a_push_that_breaks_off_or_is_too_long_costs_no_page() {
    for after in [After::Reset, After::Long] {
        let promised = Request::get("https://own.example/p").body(()).unwrap();
        let (mut session, server) = pushing(promised, after).await;
        let page = session.get("/").await.unwrap();
        assert_eq!(page.answer.status, 200);
        assert_eq!(page.pushed, Vec::<String>::new());
        server.abort();
    }
}

/// What a pushed response is followed by.
#[derive(Clone, Copy)]
enum After {
    /// Its end, if it is the client's to take: one that has all of a response has
    /// nothing left to refuse.
    Nothing,
    Reset,
    /// More than the client takes.
    Long,
}

/// A session with a server that promises this request along with each page.
async fn pushing(
    promised: Request<()>,
    after: After,
) -> (Session, tokio::task::JoinHandle<()>) {
    let (ours, theirs) = duplex(64 * 1024);
    let own: Uri = "https://own.example/".parse().unwrap();
    let server = tokio::spawn(push_along(theirs, promised, after));
    let config = client::Config {
        max_body: 100,
        ..client::Config::default()
    };
    let session = Session::over(ours, &own, config).await.unwrap();
    (session, server)
}

async fn push_along(io: DuplexStream, promised: Request<()>, after: After) {
    let mut connection = h2::server::handshake(io).await.unwrap();
    let mut bodies = Vec::new();
    let own = promised
        .uri()
        .to_string()
        .starts_with("https://own.example/");
    let taken = own && promised.method() == Method::GET;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut pushed = respond.push_request(promised.clone()).unwrap();
        let mut body = pushed.send_response(Response::new(()), false).unwrap();
        let piece = match after {
            After::Long => Bytes::from_static(&[b'x'; 101]),
            After::Nothing | After::Reset => Bytes::from_static(b"pushed"),
        };
        let whole = taken && !matches!(after, After::Reset);
        body.send_data(piece, whole).unwrap();
        if let After::Reset = after {
            body.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        bodies.push(body);
        respond.send_response(Response::new(()), true).unwrap();
    }
}

#[tokio::test]
async fn a_body_longer_than_the_window_comes_whole() {
    let body = Bytes::from(vec![b'x'; 300_000]);
    let (ours, theirs) = duplex(64 * 1024);
    let sent = body.clone();
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(theirs).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut answer = respond.send_response(Response::new(()), false).unwrap();
            answer.send_data(sent.clone(), true).unwrap();
        }
    });
    let own: Uri = "https://own.example/".parse().unwrap();
    let session = Session::over(ours, &own, client::Config::default()).await;
    let mut session = session.unwrap();
    let answer = in_time("the body", session.get("/")).await.unwrap().answer;
    assert_eq!(answer.body, body);
    server.abort();
}

#[tokio::test]
async fn of_endless_hints_it_keeps_some() {
    let (ours, theirs) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(theirs).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            for _ in 0..100 {
                let hint = Response::builder().status(103);
                let hint = hint.header("link", "x".repeat(1000)).body(()).unwrap();
                respond.send_informational(hint).unwrap();
            }
            respond.send_response(Response::new(()), true).unwrap();
        }
    });
    let own: Uri = "https://own.example/".parse().unwrap();
    let session = Session::over(ours, &own, client::Config::default()).await;
    let mut session = session.unwrap();
    let page = in_time("the page", session.get("/")).await.unwrap();
    assert_eq!(page.answer.status, 200);
    // 16 KiB, each of a thousand bytes and some.
    assert_eq!(page.hints.len(), 15);
    server.abort();
}

#[tokio::test]
async fn a_client_keeps_no_more_than_it_allows() {
    let server = PushServer::start(Config::default()).await;
    let limited = |max_pushed, max_body| client::Config {
        max_pushed,
        max_body,
        ..client::Config::default()
    };
    let mut session = server.connect(limited(1, 1 << 20)).await.unwrap();
    assert_eq!(session.get("/").await.unwrap().pushed, ["/style.css"]);
    assert_eq!(session.unasked().collect::<Vec<_>>(), ["/style.css"]);
    let mut session = server.connect(limited(0, 100)).await.unwrap();
    let refused = session.get("/plain/style.css").await;
    assert!(matches!(refused, Err(ClientError::TooLarge(100))));
}

fn ask(address: &Uri, path: &str) -> Request<()> {
    let mut parts = address.clone().into_parts();
    parts.path_and_query = Some(path.parse().unwrap());
    Request::get(Uri::from_parts(parts).unwrap())
        .body(())
        .unwrap()
}

/// A client of the library itself, and what drives its connection.
async fn raw_client(
    server: &PushServer,
) -> (
    h2::client::SendRequest<Bytes>,
    impl std::future::Future<Output = Result<(), h2::Error>> + Send,
) {
    let tls = client::connect(&server.address, &server.identity.trust())
        .await
        .unwrap();
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).handshake(tls).await.unwrap()
}
