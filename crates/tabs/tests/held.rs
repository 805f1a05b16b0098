//! The count of open streams is that of a page's own group, and follows their ends.

use axum::{body::Body, http::Request, response::Response, Router};
use feed::{Feed, Retention};
use http_body_util::BodyExt as _;
use method::Host;
use serving::Ending;
use tower::ServiceExt as _;

async fn get(router: &Router, path: &str) -> Response {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

async fn held(router: &Router, group: &str) -> String {
    let response = get(router, &format!("/held?group={group}")).await;
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_stream_counts_for_its_group_until_it_ends() {
    let log = Feed::new(Retention::default());
    let router = tabs::router(Host::alone(log, Ending::new()));
    assert_eq!(held(&router, "mine").await, r#"{"streams":0}"#);

    let first = get(&router, "/sse/events?group=mine&connection=one").await;
    let second = get(&router, "/sse/events?group=mine").await;
    let other = get(&router, "/sse/events?group=yours").await;
    // No stream.
    get(&router, "/sse/status?group=mine").await;
    assert_eq!(held(&router, "mine").await, r#"{"streams":2}"#);
    assert_eq!(held(&router, "yours").await, r#"{"streams":1}"#);

    drop(first);
    assert_eq!(held(&router, "mine").await, r#"{"streams":1}"#);
    drop((second, other));
    assert_eq!(held(&router, "mine").await, r#"{"streams":0}"#);
}
