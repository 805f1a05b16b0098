//! What the panel of WebSocket does that no other does.

use crate::panel::{alone, counts, cursors, part, publish, said, send, shown, start, state};
use browser::{page::Page, served::another_origin, suite::Suite};
use serde_json::json;
use std::sync::Arc;

const EVENTS: &str = "GET /events";

pub(crate) async fn it_resumes_after_a_cut_and_publishes_over_its_socket(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(websocket::METHOD).await?;
    start(&page, &server.root).await?;
    let mut all = Vec::new();
    for number in 0..3 {
        all.push(publish(&server, &format!("before the cut {number}")).await?);
    }
    shown(&page, all[2]).await?;

    // The page's next attempt waits at the door until everything below has been published.
    server.hold(|path| path == "/events");
    page.click(&part("cut")).await?;
    let sockets = server
        .until("second socket", |asked| {
            asked.iter().filter(|asked| asked.what == EVENTS).count() == 2
        })
        .await?;
    for number in 0..5 {
        all.push(publish(&server, &format!("while it is cut {number}")).await?);
    }
    server.release();
    state(&page, "open").await?;
    shown(&page, all[7]).await?;
    send(&page, "Ada", "after the cut").await?;
    said(&page, "Ada", "after the cut").await?;
    all.push(server.feed.state().latest);

    assert_eq!(cursors(&page).await?, all);
    assert_eq!(counts(&page).await?, [9, 0, 0, 0, 1]);
    let again = sockets.iter().rfind(|asked| asked.what == EVENTS);
    let query = again.map_or("", |asked| &asked.query);
    assert!(query.contains(&format!("after={}", all[2])), "{query}");
    // What was sent went the way that the events came.
    assert!(server.asked_for("POST /events").is_empty());
    Ok(())
}

/// A page of another site, in the same browser, is refused: the guard looks at `Origin`, which no
/// script can change.
pub(crate) async fn a_page_of_another_site_gets_no_socket(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(websocket::METHOD).await?;
    let (elsewhere, serving) = another_origin().await?;
    page.open(&elsewhere).await?;
    let address = server.at("events?after=latest").replacen("http", "ws", 1);
    let (opened, code): (bool, u16) = page
        .run(
            "return new Promise((resolve) => {
                let opened = false;
                const socket = new WebSocket(arguments[0], 'waiting.v1');
                socket.onopen = () => { opened = true };
                socket.onclose = ({ code }) => resolve([opened, code]);
            })",
            &[json!(address)],
        )
        .await?;
    serving.abort();
    assert!(!opened);
    // It is not told why.
    assert_eq!(code, 1006);
    assert_eq!(server.asked_for(EVENTS)[0].status, Some(403));
    Ok(())
}
