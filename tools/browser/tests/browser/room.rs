//! The methods of the site, over its one feed.

use crate::panel::{chapter, counts, cursors, said, send, start};
use browser::{page::Page, suite::Suite};
use std::sync::Arc;

pub(crate) async fn four_methods_share_one_room(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    // The library for diagrams is not held back: each page that waits for it would hold one of the
    // six connections.
    let methods = site::methods();
    let mut pages = vec![page.clone()];
    while pages.len() < methods.len() {
        pages.push(page.another().await?);
    }
    for (page, method) in pages.iter().zip(&methods) {
        page.to_front().await?;
        start(page, &site.at(&chapter(*method))).await?;
    }
    // Each speaks in turn, and all hear it, the speaker too.
    for (speaker, method) in pages.iter().zip(&methods) {
        speaker.to_front().await?;
        let text = format!("Hello by {}", method.name);
        send(speaker, "Ada", &text).await?;
        for page in &pages {
            page.to_front().await?;
            said(page, "Ada", &text).await?;
        }
    }
    let said_in_all = u32::try_from(methods.len())?;
    let mut rooms = Vec::new();
    for page in &pages {
        page.to_front().await?;
        assert_eq!(counts(page).await?, [said_in_all, 0, 0, 0, 0]);
        rooms.push(cursors(page).await?);
    }
    assert_eq!(rooms[0].len(), methods.len());
    assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
    Ok(())
}
