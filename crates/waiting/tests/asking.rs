//! A page of the log and `GET status`, as a client sees them.

use axum::{
    body::Body, extract::State, http::Response, response::IntoResponse, routing::get,
    Router,
};
use contract::{Data, Epoch, LogPage, Position, Problem, Status};
use feed::{Feed, Retention};
use http::{Request, StatusCode};
use serving::ProblemResponse;
use signal::Signal;
use tower::ServiceExt;
use waiting::{
    http::{status_route, After},
    Door, Places, Reader, Room,
};

fn log(max_events: usize) -> Feed {
    let epoch: Epoch = "aaaaaa".parse().unwrap();
    Feed::builder()
        .epoch(epoch)
        .retention(Retention {
            max_events,
            ..Retention::default()
        })
        .build()
}

async fn put(feed: &Feed, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let kind = "message".parse().unwrap();
        feed.publish(kind, Data::new(&number).unwrap())
            .await
            .unwrap();
    }
}

fn room(feed: &Feed) -> Room {
    let door = Door::new(Signal::new(), Places::unlimited());
    Room::new("method", feed.clone(), door)
}

async fn page(
    State(room): State<Room>,
    After(after): After,
) -> Result<waiting::LogPage, ProblemResponse> {
    Ok(room
        .page(after.unwrap_or_default(), &Reader::anybody())
        .await?)
}

async fn ask(router: Router, target: &str) -> (Response<()>, String) {
    let request = Request::get(target).body(Body::empty()).unwrap();
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (Response::from_parts(head, ()), text)
}

async fn events(feed: &Feed, target: &str) -> LogPage {
    let router = Router::new()
        .route("/events", get(page))
        .with_state(room(feed));
    let (head, body) = ask(router, target).await;
    assert_eq!(head.status(), StatusCode::OK, "{body}");
    assert_eq!(head.headers()["content-type"], "application/json");
    assert_eq!(head.headers()["cache-control"], "no-store");
    let page = serde_json::from_str(&body).unwrap();
    // It is put together by hand, and so must be what the type writes.
    assert_eq!(serde_json::to_string::<LogPage>(&page).unwrap(), body);
    page
}

#[tokio::test]
async fn a_page_says_what_it_answers_and_what_to_ask_next() {
    let feed = log(100);
    put(&feed, 1..=3).await;
    let cursor = |id: u64| format!("aaaaaa.{id}").parse().unwrap();

    for (target, after, numbers) in [
        ("/events?after=earliest", 0, 1..4),
        ("/events?after=aaaaaa.1", 1, 2..4),
        // `latest`, said or not, names the place from which nothing is missed.
        ("/events?after=latest", 3, 4..4),
        ("/events", 3, 4..4),
        ("/events?after=aaaaaa.3", 3, 4..4),
    ] {
        let page = events(&feed, target).await;
        assert_eq!(page.after, cursor(after), "{target}");
        assert_eq!(page.next, cursor(3), "{target}");
        assert_eq!((page.more, page.finished), (false, false), "{target}");
        let ids: Vec<_> = page.events.iter().map(|event| event.id).collect();
        let expected: Vec<_> = numbers.map(cursor).collect();
        assert_eq!(ids, expected, "{target}");
    }
}

#[tokio::test]
async fn what_a_page_does_not_hold_is_announced_and_the_end_as_well() {
    let feed = log(1_000);
    put(&feed, 1..=300).await;
    feed.finish();
    let first = events(&feed, "/events?after=earliest").await;
    assert_eq!(first.events.len(), feed::BATCH_EVENTS);
    assert_eq!((first.more, first.finished), (true, false));
    let last = events(&feed, &format!("/events?after={}", first.next)).await;
    assert_eq!(last.after, first.next);
    assert_eq!(first.events.len() + last.events.len(), 300);
    assert_eq!((last.more, last.finished), (false, true));
    let nothing = events(&feed, &format!("/events?after={}", last.next)).await;
    assert!(nothing.events.is_empty() && nothing.finished);
}

#[tokio::test]
async fn members_that_say_nothing_are_left_out() {
    let feed = log(100);
    let page = room(&feed)
        .page(Position::Latest, &Reader::anybody())
        .await
        .unwrap();
    assert!(page.is_empty() && !page.is_finished());
    let router = Router::new().route("/", get(|| async { page }));
    let (_, body) = ask(router, "/").await;
    assert_eq!(
        body,
        r#"{"after":"aaaaaa.0","events":[],"next":"aaaaaa.0"}"#
    );
}

#[tokio::test]
async fn what_is_gone_is_410_and_what_never_was_is_400() {
    let feed = log(2);
    put(&feed, 1..=5).await;
    for (after, status, name) in [
        ("aaaaaa.1", 410, "expired"),
        ("bbbbbb.4", 410, "new-log"),
        ("aaaaaa.9", 400, "future-cursor"),
    ] {
        let problem = room(&feed)
            .page(after.parse().unwrap(), &Reader::anybody())
            .await
            .unwrap_err();
        assert_eq!((problem.status, problem.name()), (status, Some(name)));
    }
}

#[tokio::test]
async fn status_is_the_verdict_that_a_wait_would_meet() {
    let feed = log(2);
    put(&feed, 1..=5).await;
    let (end, places) = (Signal::new(), Places::new(1));
    let room = Room::new(
        "method",
        feed.clone(),
        Door::new(end.clone(), places.clone()),
    );
    let router: Router = Router::new().route("/status", status_route(&room));
    let verdict = |target: &'static str| {
        let router = router.clone();
        async move {
            let (head, body) = ask(router, target).await;
            assert_eq!(head.headers()["cache-control"], "no-store");
            match serde_json::from_str::<Status>(&body) {
                Ok(state) => Ok(state),
                Err(_) => Err(serde_json::from_str::<Problem>(&body)
                    .unwrap()
                    .name()
                    .map(str::to_owned)),
            }
        }
    };
    let refused = |name: &str| Err(Some(name.to_owned()));

    assert_eq!(verdict("/status").await, Ok(feed.state()));
    assert_eq!(
        verdict("/status?after=aaaaaa.3").await,
        Ok(feed.state()),
        "all that came after it is here"
    );
    assert_eq!(verdict("/status?after=aaaaaa.2").await, refused("expired"));
    assert_eq!(
        verdict("/status?after=aaaaaa.6").await,
        refused("future-cursor")
    );
    assert_eq!(verdict("/status?after=x").await, refused("bad-cursor"));
    assert_eq!(places.in_use(), 0, "a place was only tried");

    let held = places.acquire().unwrap();
    assert_eq!(verdict("/status").await, refused("busy"));
    drop(held);
    assert_eq!(verdict("/status").await, Ok(feed.state()));
    end.raise();
    assert_eq!(verdict("/status").await, refused("ending"));
}

#[tokio::test]
async fn an_empty_page_never_promises_more_however_much_is_published_meanwhile() {
    let feed = log(100);
    let publisher = std::thread::spawn({
        let feed = feed.clone();
        move || futures_util::FutureExt::now_or_never(put(&feed, 1..=20_000))
    });
    let mut stuck = 0;
    while !publisher.is_finished() {
        let page = room(&feed)
            .page(Position::Latest, &Reader::anybody())
            .await
            .unwrap();
        let body = page.into_response().into_body();
        let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
        let page: LogPage = serde_json::from_slice(&body).unwrap();
        stuck += usize::from(page.more && page.next == page.after);
    }
    assert_eq!(publisher.join().unwrap(), Some(()));
    assert_eq!(stuck, 0, "pages that lead nowhere");
}
