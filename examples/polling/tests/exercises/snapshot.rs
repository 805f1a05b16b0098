// First how things stand, then each event from there on.

use contract::{Event, LogPage};
use polling::Prices;
use reqwest::Client;
use std::error::Error;

// ANCHOR: skeleton
// ANCHOR: solution
/// The prices now, and the events after them, of a server whose routes lie at `base`:
/// each event is either in the prices already or in the list, and never in both.
async fn snapshot_then_tail(
    http: &Client,
    base: &str,
) -> Result<(Prices, Vec<Event>), Box<dyn Error>> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let state = http.get(format!("{base}state")).send().await?;
    let prices: Prices = state.error_for_status()?.json().await?;
    // Not `latest`, which would be later than the state, and not a cursor asked for
    // before it.
    let mut after = prices.cursor;
    let mut events = Vec::new();
    loop {
        let url = format!("{base}events?after={after}");
        let answer = http.get(url).send().await?.error_for_status()?;
        let page: LogPage = answer.json().await?;
        if page.after != after {
            return Err("the answer to another question".into());
        }
        events.extend(page.events);
        after = page.next;
        if !page.more {
            return Ok((prices, events));
        }
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test]
async fn snapshot_and_tail_meet() {
    use axum::{extract::Request, middleware::Next};
    use contract::Data;
    use feed::{Feed, Retention};
    use serving::{guard, Allowed, Ending};
    use waiting::ticker::Tick;

    /// Publishes so many changes of the price by 1.
    async fn ticks(feed: &Feed, count: usize) {
        for _ in 0..count {
            let price = 1.0 + feed.state().latest.id.get() as f64;
            let tick =
                serde_json::json!({ "symbol": "ACME", "price": price, "change": 1.0 });
            let data = Data::from_json(&tick.to_string()).unwrap();
            feed.publish("tick".parse().unwrap(), data).await.unwrap();
        }
    }

    let feed = Feed::new(Retention::default());
    ticks(&feed, 1).await;
    let log = feed.clone();
    // Something happens around every answer, and first so much that one page cannot
    // hold it.
    let busy = axum::middleware::from_fn(move |request: Request, next: Next| {
        let log = log.clone();
        async move {
            ticks(&log, 1).await;
            let answer = next.run(request).await;
            let many = log.state().latest.id.get() < 300;
            ticks(&log, if many { 300 } else { 1 }).await;
            answer
        }
    });
    let router =
        polling::router(feed.clone(), polling::Config::default(), Ending::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let edge = serving::Config::default();
    let router = guard(router.layer(busy), Allowed::default());
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));

    let http = Client::builder().no_proxy().build().unwrap();
    let (prices, events) = snapshot_then_tail(&http, &base).await.unwrap();
    let mut price = prices.prices["ACME"].price;
    let first = events.first().expect("what happened meanwhile");
    assert_eq!(first.id.id.get() as f64, price + 1.0, "no event is lost");
    for event in &events {
        let tick: Tick = serde_json::from_str(event.data.get()).unwrap();
        assert_eq!(tick.symbol, "ACME");
        price += tick.change;
        assert_eq!(price, event.id.id.get() as f64, "each event counts once");
    }
    assert!(events.len() > 300, "the whole tail, page after page");

    // Something in between answers in the server's place.
    let state = r#"{"cursor":"k3f9x2.17","prices":{}}"#;
    let other = r#"{"after":"k3f9x2.40","events":[],"next":"k3f9x2.40"}"#;
    let empty = r#"{"after":"k3f9x2.17","events":[],"next":"k3f9x2.17"}"#;
    for (status, page) in [(200, other), (503, empty)] {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let answer =
            move |body| axum::routing::get(move || async move { (status, body) });
        let router = axum::Router::new()
            .route("/state", axum::routing::get(move || async move { state }))
            .route("/events", answer(page));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let router = guard(router, Allowed::default());
        let edge = serving::Config::default();
        tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
        let answer = snapshot_then_tail(&http, &base).await;
        assert!(answer.is_err(), "{status} with {page} is no answer");
    }
}
