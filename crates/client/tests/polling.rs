//! What the client of a state makes of what servers answer. The one of the log is
//! tested in `pages.rs`.

use client::{Failure, StateClient};
use serde::Deserialize;
use std::time::Duration;
use testbed::Script;

#[derive(Debug, PartialEq, Deserialize)]
struct State {
    cursor: String,
}

#[tokio::test]
async fn a_client_of_the_state_keeps_its_tag_until_it_has_another_state() {
    const STATE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"a\"\r\nContent-Length: 33\r\n\r\n{\"cursor\":\"k3f9x2.0\",\"prices\":{}}";
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    const JUNK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"b\"\r\nContent-Length: 2\r\n\r\n{}";
    const SAME: &str = "HTTP/1.1 304 Not Modified\r\n\r\n";
    let mut script = Script::of([STATE, BUSY, JUNK, SAME]).await;
    let mut client = StateClient::<State>::new(script.base.clone());
    assert!(client.get().await.unwrap().is_some());
    assert!(!script.head().await.contains("if-none-match"));
    let busy = client.get().await.unwrap_err();
    assert!(
        matches!(busy, Failure::Temporary(Some(wait)) if wait == Duration::from_secs(7)),
        "{busy:?}"
    );
    let junk = client.get().await.unwrap_err();
    assert!(matches!(junk, Failure::Unexpected(_)), "{junk:?}");
    assert_eq!(client.get().await.unwrap(), None);
    for _ in 0..3 {
        let head = script.head().await;
        assert!(head.contains("if-none-match: \"a\"\r\n"), "{head}");
    }
}
