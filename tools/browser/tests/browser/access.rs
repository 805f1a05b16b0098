//! Barriers for people, as far as a program finds them: axe-core.

use crate::{
    book::draw_all,
    panel::{part, ready, state, Method},
};
use browser::{
    page::Page,
    parts,
    suite::{Missing, Suite},
};
use feed::Data;
use serde_json::{json, Value};
use std::sync::Arc;

pub(crate) async fn no_barriers_in_light_and_dark(
    suite: Arc<Suite>,
    method: Method,
    page: Page,
) -> anyhow::Result<()> {
    let axe = parts::axe_core().map_err(Missing)?;
    let site = suite.site().await?;
    let alone = method.alone().await?;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        for (server, name) in [(&site, method.place()?.as_str()), (&alone, "")] {
            page.open(&server.at(name)).await?;
            draw_all(&page).await?;
            ready(&page).await?;
            // With all its kinds of text: an event, a note, a status.
            page.click(&part("start")).await?;
            state(&page, "open").await?;
            server
                .feed
                .publish(
                    "message".parse()?,
                    Data::new(&json!({ "from": "test", "text": "hello" }))?,
                )
                .await?;
            if method.cuts {
                page.click(&part("cut")).await?;
            }
            let items = if method.cuts {
                vec!["event", "note"]
            } else {
                vec!["event"]
            };
            page.until(
                &format!("items: {items:?}"),
                "return arguments[0].every((role) => document.querySelector(`[data-role=${role}]`) !== null)",
                &[json!(items)],
            )
            .await?;
            page.run::<Value>(&axe, &[]).await?;
            let found: Vec<String> = page
                .run(
                    // mdBook's own button for the sidebar is a label with the role of a button, which axe-core does not allow.
                    "return axe.run({ exclude: [['#mdbook-sidebar-toggle']] }, { resultTypes: ['violations'] }).then(({ violations }) =>
                        violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
                            `${id} at ${target.join(' ')}: ${failureSummary}`)))",
                    &[],
                )
                .await?;
            assert!(found.is_empty(), "{scheme} {}: {found:#?}", server.at(name));
        }
    }
    Ok(())
}
