// A publisher that does not know whether its event arrived.

use client::{Client, Error, SseClient};
use contract::{Cursor, Data, IdempotencyKey, Kind};

// ANCHOR: skeleton
// ANCHOR: solution
/// Publishes one event, and tries up to five times while there is no answer. However
/// often it tries, the log has the event at most once.
async fn publish(client: &SseClient, kind: Kind, data: Data) -> Result<Cursor, Error> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    // Drawn once, before the first attempt: it is the retries that must look alike.
    let key = format!("{:032x}", fastrand::u128(..));
    let key: IdempotencyKey = key.parse().expect("32 visible characters");
    let mut failures = 0;
    loop {
        let answer = client.publish(Some(&key), kind.clone(), data.clone());
        match answer.await {
            // A program for more than one user would wait here, longer each time and at
            // random.
            Err(Error::Http(_)) if failures < 4 => failures += 1,
            // A success, or a refusal that the next attempt would meet again.
            answer => return answer,
        }
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test]
async fn retried_until_there_is_an_answer() {
    use axum::{body::Body, extract::Request, middleware::Next, response::Response};
    use contract::Position;
    use feed::{Feed, Retention};
    use serving::{guard, Allowed, Ending};
    use std::sync::atomic::{AtomicUsize, Ordering};

    static REQUESTS: AtomicUsize = AtomicUsize::new(0);

    /// The server takes each event, and the first two answers are lost on the way.
    async fn lose_answers(request: Request, next: Next) -> Response {
        let answer = next.run(request).await;
        if REQUESTS.fetch_add(1, Ordering::SeqCst) >= 2 {
            return answer;
        }
        let lost = std::io::Error::other("lost");
        let body = futures_util::stream::iter([Err::<bytes::Bytes, _>(lost)]);
        answer.map(|_| Body::from_stream(body))
    }

    let feed = Feed::new(Retention::default());
    let router = sse::router(feed.clone(), sse::Config::default(), Ending::new());
    let router = router.layer(axum::middleware::from_fn(lose_answers));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    let client = SseClient::new(base.parse().unwrap());

    let data = Data::new("x").unwrap();
    let cursor = publish(&client, "message".parse().unwrap(), data).await;
    let batch = feed.read(Position::Earliest, 10, 1_000).unwrap();
    assert_eq!(batch.events.len(), 1, "one event, however many attempts");
    assert_eq!(cursor.unwrap(), batch.next);

    // A refusal is an answer: no second attempt.
    let before = REQUESTS.load(Ordering::SeqCst);
    let too_large = Data::new(&"x".repeat(65 * 1024)).unwrap();
    let refused = publish(&client, "message".parse().unwrap(), too_large).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    assert_eq!(REQUESTS.load(Ordering::SeqCst), before + 1);
}
