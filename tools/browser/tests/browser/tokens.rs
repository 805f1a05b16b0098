//! The text that is generated token by token.

use browser::{page::Page, served::Served, suite::Suite};
use futures_util::{stream, StreamExt};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc::unbounded_channel;

/// Opens the page that has the panel.
async fn open(page: &Page, server: &Served) -> anyhow::Result<()> {
    page.open(&server.root).await?;
    page.until(
        "the panel",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("generate"))],
    )
    .await
}

fn part(role: &str) -> String {
    format!(".live-panel[data-view=tokens] [data-role={role}]")
}

async fn server(token_pause: Duration) -> anyhow::Result<Served> {
    let config = sse::Config {
        token_pause,
        ..sse::Config::default()
    };
    Ok(Served::start(|feed, ending| sse::router(feed.clone(), config, ending.clone())).await?)
}

async fn state(page: &Page, state: &str) -> anyhow::Result<String> {
    page.until_some(
        &format!("the state {state}"),
        "const line = document.querySelector(arguments[0]); return line.dataset.state === arguments[1] && line.textContent",
        &[json!(part("status")), json!(state)],
    )
    .await
}

async fn output(page: &Page) -> anyhow::Result<String> {
    let script = "return document.querySelector(arguments[0]).textContent";
    page.run(script, &[json!(part("output"))]).await
}

pub(crate) async fn a_text_comes_token_by_token(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    let server = server(Duration::from_millis(1)).await?;
    open(&page, &server).await?;
    page.fill(&part("prompt"), "Tokens & <b>tags</b>").await?;
    page.click(&part("generate")).await?;
    let words = state(&page, "ended").await?;
    let text = output(&page).await?;
    assert!(text.contains("Tokens & <b>tags</b>"), "{text}");
    // One node of text for each token, and as many as the server counted.
    let nodes: usize = page
        .run(
            "return document.querySelector(arguments[0]).childNodes.length",
            &[json!(part("output"))],
        )
        .await?;
    assert!(
        words.contains(&format!("{nodes} tokens")),
        "{nodes}: {words}"
    );
    assert!(nodes > 10, "{text}");
    assert_eq!(server.asked_for("POST /tokens")[0].whole, Some(true));
    Ok(())
}

pub(crate) async fn stop_ends_the_generator_too(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    // Some sixty words of half a second: far from done when Stop comes, on any machine.
    let server = server(Duration::from_millis(500)).await?;
    open(&page, &server).await?;
    page.click(&part("generate")).await?;
    page.until(
        "the second token",
        "return document.querySelector(arguments[0]).childNodes.length >= 2",
        &[json!(part("output"))],
    )
    .await?;
    page.click(&part("stop-generating")).await?;
    let words = state(&page, "idle").await?;
    assert!(words.contains("Stopped"), "{words}");
    server
        .until("end of the generator", |asked| {
            asked
                .iter()
                .any(|asked| asked.what == "POST /tokens" && asked.whole == Some(false))
        })
        .await?;
    let text = output(&page).await?;
    page.settle().await?;
    assert_eq!(output(&page).await?, text);
    // The same form can be used again.
    page.click(&part("generate")).await?;
    state(&page, "open").await?;
    Ok(())
}

pub(crate) async fn a_page_that_is_reloaded_in_mid_answer_reads_on(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    drop(suite);
    // A model that says what this test says.
    let (mouth, tokens) = unbounded_channel::<Result<String, String>>();
    let tokens = Mutex::new(Some(tokens));
    let model = sse::Model::new(move |_| {
        let tokens = tokens.lock().unwrap().take().expect("one text");
        let next = |mut tokens: tokio::sync::mpsc::UnboundedReceiver<_>| async move {
            Some((tokens.recv().await?, tokens))
        };
        stream::unfold(tokens, next).boxed()
    });
    let config = sse::Config {
        model,
        ..sse::Config::default()
    };
    let server =
        Served::start(|feed, ending| sse::router(feed.clone(), config.clone(), ending.clone()))
            .await?;
    let part = |role: &str| format!(".live-panel[data-view=generations] [data-role={role}]");
    let shows = async |text: &str| {
        page.until(
            text,
            "return document.querySelector(arguments[0])?.textContent === arguments[1]",
            &[json!(part("output")), json!(text)],
        )
        .await
    };

    open(&page, &server).await?;
    page.click(&part("generate")).await?;
    mouth.send(Ok("To ".to_owned()))?;
    shows("To ").await?;
    // The page goes, and what is said meanwhile is not lost.
    page.open("about:blank").await?;
    mouth.send(Ok("learn ".to_owned()))?;
    open(&page, &server).await?;
    shows("To learn ").await?;
    mouth.send(Ok("more.".to_owned()))?;
    drop(mouth);
    shows("To learn more.").await?;
    page.until(
        "its end",
        "return document.querySelector(arguments[0]).textContent.includes('Done: 3 tokens.')",
        &[json!(part("status"))],
    )
    .await?;
    // What is done is not read again.
    open(&page, &server).await?;
    page.settle().await?;
    shows("").await?;
    assert_eq!(server.asked_for("POST /generations").len(), 1);
    Ok(())
}
