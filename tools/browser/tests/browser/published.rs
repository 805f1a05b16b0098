//! The static site, under a server that knows nothing but files.

use crate::{
    book::{draw_all, pages},
    panel::{quiet, CHAPTER},
};
use axum::Router;
use browser::{page::Page, served::Served, suite::Suite};
use std::sync::Arc;
use tower_http::services::ServeDir;

pub(crate) async fn a_static_site_says_that_no_live_server_is_here(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let files = ServeDir::new(suite.pages().await?);
    // Under a path, as project pages are published: an address that begins at the root would miss.
    let server = Served::start(|_, _| Router::new().nest_service("/some/where", files)).await?;
    for name in pages()? {
        page.open(&server.at(&format!("some/where/{name}"))).await?;
        // Also because a page that is left while its diagrams come reports that they did not.
        draw_all(&page).await?;
        let panels: Vec<String> = page
            .until_some(
                "every panel to say what it is",
                "const panels = Array.from(document.querySelectorAll('.live-panel'));
                return panels.every((panel) => panel.dataset.state === 'static')
                    && panels.map((panel) => panel.textContent)",
                &[],
            )
            .await?;
        assert!(name != CHAPTER || !panels.is_empty(), "{name} has no panel");
        for text in panels {
            assert!(text.contains("No live server is here"), "{name}: {text}");
            assert!(text.contains("cargo run"), "{name}: {text}");
        }
        assert_eq!(quiet(&page).await?, Vec::<String>::new(), "{name}");
    }
    for asked in server.asked() {
        assert!(
            asked.status == Some(200) || asked.status == Some(304),
            "{asked:?}"
        );
    }
    Ok(())
}
