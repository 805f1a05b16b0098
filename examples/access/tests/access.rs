//! Who may listen, and until when: over real sockets, by each method.

mod support;

use access::{Config, May};
use client::{websocket::Opened, Credential, Endpoint, Error, Failure, Update};
use contract::{socket::SUBPROTOCOL, Cursor, Data, LogPage, Position, Problem};
use futures_util::{SinkExt, StreamExt};
use reqwest::{header, StatusCode};
use serde_json::{json, Value};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use support::{browser, subscribe, texts, Stand, METHODS};
use testbed::{faults::came_to, in_time, update};
use tokio_tungstenite::tungstenite::Message;

/// Where a log of the tests begins.
fn start() -> Position {
    Position::After("k3f9x2.0".parse().expect("a cursor"))
}

async fn problem_of(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let problem: Problem = response.json().await.expect("a problem");
    (status, problem.name().unwrap_or_default().to_owned())
}

fn known(status: u16, name: &str) -> (u16, String) {
    (status, name.to_owned())
}

#[tokio::test]
async fn nobody_listens_or_publishes_without_a_credential() {
    let stand = Stand::start(Config::default()).await;
    let nobody = browser();
    for path in [
        "polling/events?after=earliest",
        "polling/state",
        "polling/status",
        "long-polling/events?after=k3f9x2.0",
        "sse/events",
        "sse/",
        "websocket/events",
        "me",
    ] {
        let answer = nobody.get(stand.url(path)).send().await.unwrap();
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE).cloned();
        assert_eq!(challenge.expect(path), "Bearer", "{path}");
        assert_eq!(
            problem_of(answer).await,
            known(401, "unauthorized"),
            "{path}"
        );
    }
    for path in [
        "sse/events",
        "websocket/events",
        "logout",
        "ticket",
        "token",
        "rights",
    ] {
        let event = json!({ "kind": "message", "data": "mine" });
        let asked = nobody.post(stand.url(path)).json(&event);
        let answer = asked.send().await.unwrap();
        assert_eq!(
            problem_of(answer).await,
            known(401, "unauthorized"),
            "{path}"
        );
    }
    assert_eq!(
        stand.log().state().latest.id.get(),
        0,
        "nothing was published"
    );
    for (name, value) in [
        ("authorization", "Bearer nonsense"),
        ("authorization", "Basic YWRhOmFkYQ=="),
        ("cookie", "session=nonsense"),
    ] {
        let asked = nobody.get(stand.url("polling/events")).header(name, value);
        let answer = asked.send().await.unwrap();
        assert_eq!(
            problem_of(answer).await,
            known(401, "unauthorized"),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_no_script_reads_and_no_other_site_sends() {
    for (tls, name) in [(false, "session"), (true, "__Host-session")] {
        let stand = Stand::start(Config {
            tls,
            ..Config::default()
        })
        .await;
        for (who, password) in [("bob", "wrong"), ("nobody", support::PASSWORD)] {
            let answer = stand.login(&browser(), who, password).await;
            assert!(answer.headers().get(header::SET_COOKIE).is_none());
            assert_eq!(problem_of(answer).await, known(401, "unauthorized"));
        }
        let answer = stand.login(&browser(), "bob", support::PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        let (pair, attributes) = cookie.split_once(';').expect("attributes");
        assert!(pair.starts_with(&format!("{name}=")), "{cookie}");
        let has = |attribute: &str| {
            let mut all = attributes.split(';').map(str::trim);
            all.any(|it| it.eq_ignore_ascii_case(attribute))
        };
        assert!(
            has("HttpOnly") && has("SameSite=Lax") && has("Path=/"),
            "{cookie}"
        );
        assert_eq!(has("Secure"), tls, "{cookie}");
        assert!(
            !attributes.to_ascii_lowercase().contains("domain"),
            "{cookie}"
        );
    }
}

#[tokio::test]
async fn a_login_makes_a_new_session_so_that_one_set_by_another_is_worth_nothing() {
    let stand = Stand::start(Config::default()).await;
    let session = |answer: &reqwest::Response| {
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let no_jar = || reqwest::Client::builder().no_proxy().build().unwrap();
    let first = stand.login(&no_jar(), "ada", support::PASSWORD).await;
    let first = session(&first);
    // Somebody signs in with a session that was there before.
    let body = json!({ "name": "bob", "password": support::PASSWORD });
    let asked = no_jar().post(stand.url("login")).header("cookie", &first);
    let second = asked.json(&body).send().await.unwrap();
    assert_ne!(session(&second), first);
    let asked = no_jar().get(stand.url("me")).header("cookie", &first);
    let answer = asked.send().await.unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::UNAUTHORIZED,
        "the old one is over"
    );
}

#[tokio::test]
async fn each_credential_opens_each_method_that_takes_it() {
    let stand = Stand::start(Config::default()).await;
    stand.say("message", "hello").await;
    let cookie = stand.sign_in("bob").await;
    let token = stand.token(&cookie).await;
    for method in METHODS {
        let base = stand.url(&format!("{method}/"));
        let by_cookie = Endpoint::with_http(base.clone(), cookie.clone());
        let mut updates = subscribe(method, by_cookie, start());
        assert_eq!(texts(&mut updates, 1).await, ["hello"], "{method}");

        let by_header = Endpoint::new(base.clone()).with_renewer({
            let token = token.clone();
            move || {
                let credential = Credential::bearer(&token);
                async move { Ok(credential) }
            }
        });
        let mut updates = subscribe(method, by_header, start());
        assert_eq!(texts(&mut updates, 1).await, ["hello"], "{method}");
    }
    for method in ["sse", "websocket"] {
        let base = stand.url(&format!("{method}/"));
        let by_ticket = stand.with_tickets(base, cookie.clone());
        let mut updates = subscribe(method, by_ticket, start());
        assert_eq!(texts(&mut updates, 1).await, ["hello"], "{method}");
    }
    let base = stand.url("websocket/");
    let by_message = Endpoint::new(base).with_renewer(move || {
        let credential = Credential::none().with_first_message(&token);
        async move { Ok(credential) }
    });
    let mut updates = subscribe("websocket", by_message, start());
    assert_eq!(texts(&mut updates, 1).await, ["hello"], "the first message");
}

#[tokio::test]
async fn a_ticket_is_good_once_and_not_for_long() {
    let stand = Stand::start(Config {
        ticket: Duration::from_secs(2),
        ..Config::default()
    })
    .await;
    let cookie = stand.sign_in("bob").await;
    for method in ["sse", "websocket"] {
        let ticket = stand.ticket(&cookie).await;
        let ask = |ticket: &str| {
            let path = format!("{method}/events?after=earliest&ticket={ticket}");
            let request = browser().get(stand.url(&path));
            let socket = method == "websocket";
            async move {
                match socket {
                    true => client::websocket::open(request, Some(SUBPROTOCOL)).await,
                    false => Ok(Opened::Refused(request.send().await?)),
                }
            }
        };
        let first = ask(&ticket).await.unwrap();
        match first {
            Opened::Socket(_) => {}
            Opened::Refused(answer) => assert_eq!(answer.status(), StatusCode::OK),
        }
        let Opened::Refused(again) = ask(&ticket).await.unwrap() else {
            panic!("a used ticket opens a socket")
        };
        assert_eq!(problem_of(again).await, known(401, "unauthorized"));
        came_to(
            "ticket-used-twice",
            method,
            "the second use is refused with 401 `unauthorized`, before anything opens; \
             a client that can renew gets another ticket",
            "access::access::a_ticket_is_good_once_and_not_for_long",
        );
    }
    let late = stand.ticket(&cookie).await;
    let used = format!("sse/events?ticket={late}");
    // Nothing else tells that its time is over.
    let begun = Instant::now();
    tokio::time::sleep_until((begun + Duration::from_secs(2)).into()).await;
    let answer = browser().get(stand.url(&used)).send().await.unwrap();
    assert_eq!(problem_of(answer).await, known(401, "unauthorized"));
}

#[tokio::test]
async fn a_client_with_tickets_comes_back_with_another_and_one_without_is_refused() {
    let stand = Stand::start(Config::default()).await;
    let cookie = stand.sign_in("bob").await;
    // What the browser's own reconnect does: the same address once more.
    let ticket = stand.ticket(&cookie).await;
    let path = format!("sse/events?ticket={ticket}&connection=used");
    let mut stream = browser().get(stand.url(&path)).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    drop(stream);
    let again = browser().get(stand.url(&path)).send().await.unwrap();
    assert_eq!(
        again.status(),
        StatusCode::UNAUTHORIZED,
        "at which it gives up"
    );
}

#[tokio::test]
async fn a_logout_ends_what_is_open_at_once_and_nobody_elses() {
    let stand = Stand::start(Config::default()).await;
    let ada = stand.sign_in("ada").await;
    for method in METHODS {
        let bob = stand.sign_in("bob").await;
        let base = stand.url(&format!("{method}/"));
        let by_cookie = |client: &reqwest::Client| {
            Endpoint::with_http(base.clone(), client.clone())
        };
        let mut of_bob = subscribe(method, by_cookie(&bob), Position::Latest);
        let mut of_ada = subscribe(method, by_cookie(&ada), Position::Latest);
        for updates in [&mut of_bob, &mut of_ada] {
            assert!(matches!(update(updates).await, Update::Opened(_)));
        }
        let ended = tokio::spawn(async move {
            loop {
                match in_time("an end", of_bob.next()).await {
                    Some(Ok(Update::Heartbeat)) => {}
                    other => return other,
                }
            }
        });
        let begun = Instant::now();
        let answer = bob.post(stand.url("logout")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let error = match ended.await.unwrap() {
            Some(Err(error)) => error,
            other => panic!("{method}: {other:?}"),
        };
        // A heartbeat comes after 15 s, and a parked request is answered after 20.
        assert!(begun.elapsed() < Duration::from_secs(10), "{method}");
        let what = match (method, error.problem()) {
            ("polling", Some("unauthorized")) => {
                "the next question is refused with 401 `unauthorized`; the client stops"
            }
            // The second, where it was between two requests.
            ("long-polling", Some("forbidden" | "unauthorized")) => {
                "the parked request is answered at once with 403 `forbidden`, and \
                 another one with 401; the client stops"
            }
            ("sse", Some("forbidden")) => {
                "the stream ends at once with `end`, `denied`; the client stops"
            }
            ("websocket", Some("forbidden")) => {
                "the socket is closed at once with 3003; the client stops"
            }
            _ => panic!("{method}: {error}"),
        };
        came_to(
            "logout",
            method,
            what,
            "access::access::a_logout_ends_what_is_open_at_once_and_nobody_elses",
        );
        stand.say("message", "still here").await;
        assert_eq!(texts(&mut of_ada, 1).await, ["still here"], "{method}");
        let answer = bob.get(stand.url("me")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_logout_ends_what_was_begun_with_its_tokens_and_tickets_too() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    let token = stand.token(&bob).await;
    let base = stand.url("sse/");
    let by_token = Endpoint::new(base.clone()).with_renewer(move || {
        let credential = Credential::bearer(&token);
        async move { Ok(credential) }
    });
    let kept = stand.ticket(&bob).await;
    let mut streams = [
        subscribe("sse", by_token, Position::Latest),
        subscribe(
            "sse",
            stand.with_tickets(base, bob.clone()),
            Position::Latest,
        ),
    ];
    for updates in &mut streams {
        assert!(matches!(update(updates).await, Update::Opened(_)));
    }
    bob.post(stand.url("logout")).send().await.unwrap();
    for updates in &mut streams {
        let error = in_time("an end", updates.next())
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.problem(), Some("forbidden"));
    }
    let unused = format!("sse/events?ticket={kept}");
    let answer = browser().get(stand.url(&unused)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_that_is_over_in_mid_stream_is_renewed_and_nothing_is_lost() {
    let stand = Stand::start(Config {
        token: Duration::from_secs(1),
        ..Config::default()
    })
    .await;
    let bob = stand.sign_in("bob").await;
    for method in METHODS {
        let renewed = Arc::new(AtomicUsize::new(0));
        let base = stand.url(&format!("{method}/"));
        let endpoint = Endpoint::new(base).with_renewer({
            let (renewed, bob, url) =
                (renewed.clone(), bob.clone(), stand.url("token"));
            move || {
                let (renewed, bob, url) = (renewed.clone(), bob.clone(), url.clone());
                async move {
                    let token = support::token_from(&bob, url).await?;
                    renewed.fetch_add(1, Ordering::Relaxed);
                    Ok(Credential::bearer(&token))
                }
            }
        });
        let first = stand.log().state().latest;
        let mut updates = subscribe(method, endpoint, Position::After(first));
        let mut expected = first.id.get();
        let mut opened = 0;
        // Something happens all the time, also while the client is on its way back.
        let publishing = tokio::spawn({
            let log = stand.log().clone();
            async move {
                loop {
                    support::say(&log, "message", "tick").await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        while opened < 3 {
            match update(&mut updates).await {
                Update::Opened(_) => opened += 1,
                Update::Events(events) => {
                    for event in events {
                        expected += 1;
                        assert_eq!(event.id.id.get(), expected, "{method}");
                    }
                }
                Update::Heartbeat | Update::Reconnecting(_) => {}
                other => panic!("{method}: {other:?}"),
            }
        }
        publishing.abort();
        assert!(renewed.load(Ordering::Relaxed) >= 3, "{method}");
        let what = match method {
            "polling" => "the next question is refused with 401 `unauthorized`",
            "long-polling" => "the parked request is answered with 401 `unauthorized`",
            "sse" => "the stream ends with `end`, `renew`",
            _ => "the socket is closed with 3000",
        };
        came_to(
            "token-expires",
            method,
            &format!("{what}; the client renews, comes back with its cursor, and nothing is lost"),
            "access::access::a_token_that_is_over_in_mid_stream_is_renewed_and_nothing_is_lost",
        );
    }
}

#[tokio::test]
async fn a_right_that_is_withdrawn_in_mid_stream_holds_from_the_next_event_on() {
    let stand = Stand::start(Config {
        heartbeat: Duration::from_millis(200),
        ..Config::default()
    })
    .await;
    let ada = stand.sign_in("ada").await;
    for method in METHODS {
        let may =
            |see: &[&str]| json!({ "name": "bob", "see": see, "publish": ["message"] });
        let rule = |body: Value| ada.post(stand.url("rights")).json(&body).send();
        rule(may(&["message", "notice"])).await.unwrap();
        let bob = stand.sign_in("bob").await;
        let endpoint = Endpoint::with_http(stand.url(&format!("{method}/")), bob);
        let from = stand.log().state().latest;
        let mut updates = subscribe(method, endpoint, Position::After(from));
        stand.say("notice", "before").await;
        assert_eq!(texts(&mut updates, 1).await, ["before"], "{method}");
        let answer = rule(may(&["message"])).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        for _ in 0..10 {
            stand.say("notice", "secret").await;
        }
        stand.say("message", "after").await;
        assert_eq!(texts(&mut updates, 1).await, ["after"], "{method}");
        let what = match method {
            "polling" => "the next page",
            "long-polling" => "the next answer",
            "sse" => "the stream stays open and",
            _ => "the socket stays open and",
        };
        came_to(
            "right-withdrawn",
            method,
            &format!(
                "{what} leaves out what may not be seen, from the next event on; the \
                 cursor moves past it"
            ),
            "access::access::a_right_that_is_withdrawn_in_mid_stream_holds_from_the_next_event_on",
        );
    }
    // Whoever has no right to it gives nobody any.
    let bob = stand.sign_in("bob").await;
    let body = json!({ "name": "bob", "see": null, "publish": null });
    let answer = bob
        .post(stand.url("rights"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(problem_of(answer).await, known(403, "forbidden"));
}

#[tokio::test]
async fn nothing_of_what_one_may_not_see_goes_over_the_wire_and_the_cursor_moves_past_it(
) {
    let stand = Stand::start(Config {
        heartbeat: Duration::from_millis(200),
        ..Config::default()
    })
    .await;
    let bob = stand.sign_in("bob").await;
    stand.say("notice", "s3cret").await;
    stand.say("message", "open").await;
    for _ in 0..300 {
        stand.say("notice", "s3cret").await;
    }
    let latest = stand.log().state().latest;
    let holds = |text: &str, method: &str| {
        assert!(
            text.contains("open") && !text.contains("s3cret"),
            "{method}: {text}"
        );
        assert!(!text.contains("notice"), "{method}: {text}");
    };
    for method in ["polling", "long-polling"] {
        let mut after = "earliest".to_owned();
        let mut all = String::new();
        loop {
            let path = format!("{method}/events?after={after}");
            let text = bob.get(stand.url(&path)).send().await.unwrap();
            let text = text.text().await.unwrap();
            all.push_str(&text);
            let page: LogPage = serde_json::from_str(&text).unwrap();
            after = page.next.to_string();
            if page.events.is_empty() && !page.more {
                break;
            }
        }
        holds(&all, method);
        assert_eq!(after, latest.to_string(), "{method}");
    }
    let answer = bob.get(stand.url("polling/state")).send().await.unwrap();
    assert_eq!(
        problem_of(answer).await,
        known(403, "forbidden"),
        "made of all events"
    );

    let path = "sse/events?after=earliest";
    let mut stream = bob.get(stand.url(path)).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("event: heartbeat") {
        let piece = in_time("a piece", stream.chunk()).await.unwrap();
        text.push_str(std::str::from_utf8(&piece.expect("no end")).unwrap());
    }
    holds(&text, "sse");
    assert!(
        text.contains(&format!("id: {latest}\nevent: heartbeat")),
        "{text}"
    );

    let path = "websocket/events?after=earliest";
    let opened = client::websocket::open(bob.get(stand.url(path)), Some(SUBPROTOCOL));
    let Opened::Socket(mut socket) = opened.await.unwrap() else {
        panic!("no socket")
    };
    let mut text = String::new();
    while !text.contains("heartbeat") {
        let message = in_time("a message", socket.next()).await.unwrap().unwrap();
        text.push_str(message.to_text().unwrap_or_default());
    }
    holds(&text, "websocket");
    let beat = format!(r#""cursor":"{latest}"}}}}"#);
    assert!(text.contains(&beat), "{text}");
}

#[tokio::test]
async fn a_finished_log_whose_rest_is_left_out_has_an_end_for_browsers_too() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    stand.say("message", "seen").await;
    stand.say("secret", "not seen").await;
    stand.log().finish();
    let first = bob.get(stand.url("sse/events?after=k3f9x2.1"));
    let answer = first.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let text = in_time("the end", answer.text()).await.unwrap();
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    let last = ids.next_back().expect("an id");
    assert_eq!(last, "k3f9x2.2", "{text}");
    assert!(
        text.ends_with("data: {\"reason\":\"finished\"}\n\n"),
        "{text}"
    );
    // As an `EventSource` does by itself, whatever it makes of the last event.
    let again = bob.get(stand.url("sse/events?after=k3f9x2.1"));
    let answer = again.header("Last-Event-ID", last).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_logout_ends_a_text_that_is_being_generated() {
    let stand = Stand::start(Config::default()).await;
    let asked = async |person: &reqwest::Client| {
        let body = json!({ "prompt": "why?" });
        let asked = person.post(stand.url("sse/tokens")).json(&body);
        let mut answer = asked.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let first = in_time("a token", answer.chunk()).await.expect("a token");
        assert!(first.is_some());
        answer
    };
    let (ada, bob) = (stand.sign_in("ada").await, stand.sign_in("bob").await);
    let (ends, mut goes_on) = (asked(&ada).await, asked(&bob).await);
    let left = ada.post(stand.url("logout")).send().await.unwrap();
    assert!(left.status().is_success());
    let rest = in_time("the end", ends.text()).await.unwrap();
    let last = "event: end\ndata: {\"reason\":\"denied\"}\n\n";
    assert!(rest.ends_with(last), "{rest}");
    assert!(!rest.contains("event: done"), "{rest}");
    let next = in_time("the next token", goes_on.chunk()).await.unwrap();
    assert!(next.is_some(), "nobody else's ends");
    // And nothing new begins.
    let body = json!({ "prompt": "why?" });
    let refused = ada.post(stand.url("sse/tokens")).json(&body).send().await;
    assert_eq!(
        problem_of(refused.unwrap()).await,
        known(401, "unauthorized")
    );
}

#[tokio::test]
async fn publishing_needs_a_right_too() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    let post = |path: &str, kind: &str| {
        let event = json!({ "kind": kind, "data": 1 });
        bob.post(stand.url(path)).json(&event).send()
    };
    for path in [
        "polling/events",
        "long-polling/events",
        "sse/events",
        "websocket/events",
    ] {
        assert_eq!(
            post(path, "message").await.unwrap().status(),
            StatusCode::CREATED
        );
        let refused = post(path, "notice").await.unwrap();
        assert_eq!(problem_of(refused).await, known(403, "forbidden"), "{path}");
    }
    // Over a socket as well.
    let endpoint = Endpoint::with_http(stand.url("websocket/"), bob);
    let client = client::WebSocketClient::new(stand.url("websocket/"));
    let (publisher, mut updates) = {
        let (publisher, updates) =
            client.with_endpoint(endpoint).connect(Position::Latest);
        (publisher, updates.boxed())
    };
    let polling = tokio::spawn(async move { while updates.next().await.is_some() {} });
    let data = || Data::new(&1).unwrap();
    let taken = publisher.publish(None, "message".parse().unwrap(), data());
    assert!(taken.await.is_ok());
    let refused = publisher
        .publish(None, "notice".parse().unwrap(), data())
        .await;
    assert_eq!(refused.unwrap_err().problem(), Some("forbidden"));
    polling.abort();
}

#[tokio::test]
async fn a_page_of_another_origin_can_do_nothing_with_a_readers_cookie() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    const FOREIGN: &str = "https://evil.example";
    for path in [
        "login",
        "logout",
        "ticket",
        "token",
        "polling/events",
        "long-polling/events",
        "sse/events",
        "websocket/events",
    ] {
        let event = json!({ "kind": "message", "data": "forged" });
        let asked = bob.post(stand.url(path)).header(header::ORIGIN, FOREIGN);
        let answer = asked.json(&event).send().await.unwrap();
        assert_eq!(
            problem_of(answer).await,
            known(403, "foreign-origin"),
            "{path}"
        );
    }
    // What a form can send without asking is no JSON.
    let asked = bob.post(stand.url("sse/events"));
    let asked = asked.header(header::CONTENT_TYPE, "text/plain");
    let answer = asked
        .body(r#"{"kind":"message","data":1}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(problem_of(answer).await, known(415, "not-json"));
    let asked = bob
        .get(stand.url("websocket/events"))
        .header(header::ORIGIN, FOREIGN);
    let opened = client::websocket::open(asked, Some(SUBPROTOCOL))
        .await
        .unwrap();
    let Opened::Refused(answer) = opened else {
        panic!("a socket for a page of another origin")
    };
    assert_eq!(problem_of(answer).await, known(403, "foreign-origin"));
    assert_eq!(stand.log().state().latest.id.get(), 0);
    let answer = bob.get(stand.url("me")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "still signed in");
    // A page of another origin may ask, as for a picture; it may not read.
    for (method, path) in [
        ("polling", "polling/events"),
        ("long-polling", "long-polling/events"),
        ("sse", "sse/events"),
    ] {
        let asked = bob.get(stand.url(path)).header(header::ORIGIN, FOREIGN);
        let answer = asked.send().await.unwrap();
        let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert!(allowed.is_none(), "{path}");
        came_to(
            "foreign-origin",
            method,
            "publishing is refused with 403 `foreign-origin`; reading is answered \
             without leave for the page, so the browser keeps it from the page",
            "access::access::a_page_of_another_origin_can_do_nothing_with_a_readers_cookie",
        );
    }
    came_to(
        "foreign-origin",
        "websocket",
        "the handshake is refused with 403 `foreign-origin`",
        "access::access::a_page_of_another_origin_can_do_nothing_with_a_readers_cookie",
    );
}

#[tokio::test]
async fn a_socket_says_who_it_is_in_time_and_few_are_waited_for() {
    let stand = Stand::start(Config {
        first_message: Duration::from_millis(500),
        max_unknown_sockets: 2,
        ..Config::default()
    })
    .await;
    let open = || async {
        let asked = browser().get(stand.url("websocket/events"));
        client::websocket::open(asked, Some(SUBPROTOCOL))
            .await
            .unwrap()
    };
    let (first, second) = (open().await, open().await);
    let Opened::Refused(third) = open().await else {
        panic!("one too many")
    };
    assert_eq!(problem_of(third).await, known(503, "busy"));
    // Who says nothing is closed in time, and has learned nothing.
    for opened in [first, second] {
        let Opened::Socket(mut socket) = opened else {
            panic!("no socket")
        };
        let message = in_time("a close", socket.next()).await.unwrap().unwrap();
        let Message::Close(Some(close)) = message else {
            panic!("{message:?}")
        };
        assert_eq!(u16::from(close.code), 3000);
    }
    for said in [
        r#"{"auth":{"token":"wrong"}}"#,
        r#"{"publish":{"ref":"a","kind":"message","data":1}}"#,
        "nonsense",
    ] {
        let Opened::Socket(mut socket) = open().await else {
            panic!("the places are free again")
        };
        socket.send(Message::text(said)).await.unwrap();
        let answer = in_time("an answer", socket.next()).await.unwrap().unwrap();
        let answer: Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        let problem = &answer["error"]["problem"];
        assert_eq!(problem["status"], 401, "{said}: {answer}");
        let close = in_time("a close", socket.next()).await.unwrap().unwrap();
        assert!(
            matches!(&close, Message::Close(Some(close)) if u16::from(close.code) == 3000),
            "{said}: {close:?}"
        );
    }
    assert_eq!(
        stand.log().state().latest.id.get(),
        0,
        "nothing was published"
    );
}

#[tokio::test]
async fn a_stolen_token_buys_no_other() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    let token = stand.token(&bob).await;
    let asked = browser().post(stand.url("token")).bearer_auth(&token);
    let answer = asked.send().await.unwrap();
    assert_eq!(problem_of(answer).await, known(403, "forbidden"));
    // But a ticket, for the one stream that can have no header.
    let asked = browser().post(stand.url("ticket")).bearer_auth(&token);
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_given_out_has_bounds() {
    let stand = Stand::start(Config {
        max_logins: 2,
        ..Config::default()
    })
    .await;
    let bob = stand.sign_in("bob").await;
    for _ in 0..40 {
        stand.ticket(&bob).await;
    }
    let newest = stand.ticket(&bob).await;
    let path = format!("sse/events?ticket={newest}");
    let answer = browser().get(stand.url(&path)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "the newest one counts");
    let mut refused = None;
    for _ in 0..40 {
        let answer = bob.post(stand.url("token")).send().await.unwrap();
        if answer.status() != StatusCode::OK {
            refused = Some(problem_of(answer).await);
        }
    }
    assert_eq!(refused, Some(known(429, "too-many")));
    let _ada = stand.sign_in("ada").await;
    let third = stand.login(&browser(), "ada", support::PASSWORD).await;
    assert_eq!(problem_of(third).await, known(503, "busy"));
}

#[tokio::test]
async fn a_client_whose_sign_in_is_over_ends_with_its_renewers_last_word() {
    let stand = Stand::start(Config::default()).await;
    let bob = stand.sign_in("bob").await;
    let endpoint = stand.with_tickets(stand.url("sse/"), bob.clone());
    let mut updates = subscribe("sse", endpoint, Position::Latest);
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    bob.post(stand.url("logout")).send().await.unwrap();
    let error = in_time("an end", updates.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.problem(), Some("forbidden"));
    // And a new one does not get that far.
    let endpoint = stand.with_tickets(stand.url("sse/"), bob);
    let mut updates = subscribe("sse", endpoint, Position::Latest);
    let error = in_time("an end", updates.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.problem(), Some("unauthorized"));
}

/// [`May`] and cursors, as somebody uses them who embeds the server.
#[tokio::test]
async fn a_program_changes_rights_without_a_request() {
    let stand = Stand::start(Config::default()).await;
    assert!(stand.logins.change("bob", May::only(&["notice"], &[])));
    assert!(!stand.logins.change("nobody", May::all()));
    let bob = stand.sign_in("bob").await;
    stand.say("message", "no").await;
    stand.say("notice", "yes").await;
    let endpoint = Endpoint::with_http(stand.url("polling/"), bob);
    let mut updates = subscribe("polling", endpoint, start());
    assert_eq!(texts(&mut updates, 1).await, ["yes"]);
    let second: Cursor = "k3f9x2.2".parse().unwrap();
    assert_eq!(stand.log().state().latest, second);
    let _: Option<(Error, Failure)> = None;
}
