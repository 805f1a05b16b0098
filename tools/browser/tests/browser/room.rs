//! The methods of the site, over its one feed.

use crate::panel::{counts, cursors, said, send, start, METHODS};
use browser::{page::Page, suite::Suite};
use std::sync::Arc;

pub(crate) async fn four_methods_share_one_room(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    // The library for diagrams is not held back: each page that waits for it would hold one of the
    // six connections.
    let mut pages = vec![page.clone()];
    while pages.len() < METHODS.len() {
        pages.push(page.another().await?);
    }
    for (page, method) in pages.iter().zip(METHODS) {
        page.to_front().await?;
        start(page, &site.at(method.chapter)).await?;
    }
    // Each speaks in turn, and all hear it, the speaker too.
    for (speaker, method) in pages.iter().zip(METHODS) {
        speaker.to_front().await?;
        let text = format!("Hello by {}", method.name);
        send(speaker, "Ada", &text).await?;
        for page in &pages {
            page.to_front().await?;
            said(page, "Ada", &text).await?;
        }
    }
    let mut rooms = Vec::new();
    for page in &pages {
        page.to_front().await?;
        assert_eq!(counts(page).await?, [4, 0, 0, 0, 0]);
        rooms.push(cursors(page).await?);
    }
    assert_eq!(rooms[0].len(), 4);
    assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
    Ok(())
}
