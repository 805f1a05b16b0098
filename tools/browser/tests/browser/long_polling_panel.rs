//! What the panel of long polling does that no other does.

use crate::panel::{alone, counts, cursors, part, publish, shown, start, state};
use browser::{
    page::Page,
    served::{Asked, Served},
    suite::Suite,
};
use std::{sync::Arc, time::Duration};

const EVENTS: &str = "GET /events";

/// Waits until so many requests are parked.
async fn parked(server: &Served, count: usize) -> anyhow::Result<()> {
    let wait = async {
        while server.feed.subscribers() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(browser::HANG, wait).await;
    waited.map_err(|_| anyhow::anyhow!("{} parked, not {count}", server.feed.subscribers()))
}

/// How many questions have no answer yet.
fn unanswered(server: &Served) -> usize {
    let open = |asked: &Asked| asked.status.is_none();
    server.asked_for(EVENTS).into_iter().filter(open).count()
}

pub(crate) async fn one_question_is_parked_and_resumes_after_a_cut(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let server = alone(long_polling::METHOD).await?;
    start(&page, &server.root).await?;
    parked(&server, 1).await?;
    let mut all = Vec::new();
    for number in 0..3 {
        let event = publish(&server, &format!("before the cut {number}")).await?;
        shown(&page, event).await?;
        parked(&server, 1).await?;
        assert_eq!(unanswered(&server), 1);
        all.push(event);
    }

    // The next question waits at the door until everything below has been published.
    server.hold(|path| path == "/events");
    let before = server.asked_for(EVENTS).len();
    page.click(&part("cut")).await?;
    state(&page, "connecting").await?;
    server
        .until("question after the cut", |asked| {
            asked.iter().filter(|asked| asked.what == EVENTS).count() > before
        })
        .await?;
    for number in 0..5 {
        all.push(publish(&server, &format!("while it is cut {number}")).await?);
    }
    server.release();
    shown(&page, all[7]).await?;
    parked(&server, 1).await?;
    all.push(publish(&server, "after the cut").await?);
    shown(&page, all[8]).await?;
    assert_eq!(cursors(&page).await?, all);
    assert_eq!(counts(&page).await?, [9, 0, 0, 0, 1]);

    parked(&server, 1).await?;
    page.click(&part("stop")).await?;
    parked(&server, 0).await?;
    // It was given up, and not answered when its time was over.
    assert_eq!(unanswered(&server), 1);
    Ok(())
}
