//! A server that is killed and started again, as a page of its own origin meets it.

use anyhow::Context as _;
use browser::{page::Page, suite::Suite, HANG};
use serde_json::Value;
use std::{
    env,
    process::{ExitCode, Stdio},
    sync::Arc,
};
use testbed::{faults::came_to, parts::PROXIES};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use url::Url;

/// Set in the process that plays the program of SSE.
pub(crate) const PLAYS: &str = "BROWSER_PLAYS";

/// What `main` of the program of SSE does, with the flags of this process.
pub(crate) fn play() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(method::run(sse::METHOD))
}

/// The program of SSE, which has no events of its own, on a port; on a free one for 0. And where it
/// listens.
async fn start(port: u16) -> anyhow::Result<(Child, Url)> {
    let mut command = Command::new(env::current_exe()?);
    for name in PROXIES {
        command.env_remove(name);
    }
    command
        .env(PLAYS, "")
        .args(["--port", &port.to_string(), "--rate", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().context("the program")?;
    let output = child.stdout.take().context("its output")?;
    let mut lines = BufReader::new(output).lines();
    let line = timeout(HANG, lines.next_line()).await??;
    let line = line.context("it says where it listens")?;
    let (_, url) = line.split_once(": ").context("NAME: URL")?;
    Ok((child, url.parse()?))
}

/// Opens the browser's own stream and the one of the book's client, and looks on.
const FOLLOW: &str = "return (async () => {
    const { createSse } = await import('/sse-client.js');
    const { Follower } = await import('/shared/reconnect.js');
    window.own = { errors: [], greeted: 0, gaps: [], events: 0 };
    window.source = new EventSource('/events');
    source.onerror = () => own.errors.push(source.readyState);
    source.addEventListener('hello', () => { own.greeted += 1 });
    source.addEventListener('gap', ({ data }) => own.gaps.push(JSON.parse(data).reason));
    source.onmessage = () => { own.events += 1 };
    window.ours = { gaps: [], events: 0 };
    window.follower = new Follower(createSse(new URL('/', location.href)));
    (async () => {
        for await (const update of follower.updates()) {
            if (update.type === 'gap') ours.gaps.push(update.gap.reason);
            if (update.type === 'event') ours.events += 1;
        }
    })();
})()";

/// Publishes an event, and waits until both have had so many.
async fn publish(page: &Page, count: u32) -> anyhow::Result<()> {
    let publish = "const headers = { 'Content-Type': 'application/json' };
        const body = JSON.stringify({ kind: 'message', data: 1 });
        return fetch('/events', { method: 'POST', headers, body }).then(({ status }) => status)";
    let status: u16 = page.run(publish, &[]).await?;
    assert_eq!(status, 201);
    let both = "return own.events === arguments[0] && ours.events === arguments[0]";
    page.until("the event in both", both, &[count.into()]).await
}

pub(crate) async fn an_event_source_comes_back_by_itself(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let (mut program, root) = start(0).await?;
    page.open(root.as_str()).await?;
    page.run::<Value>(FOLLOW, &[]).await?;
    let open = "return own.greeted === 1 && follower.state === 'open'";
    page.until("both streams", open, &[]).await?;
    publish(&page, 1).await?;

    program.kill().await?;
    // The break, and then nobody who listens, again and again.
    let away = "return own.errors.length >= 4 && follower.state === 'waiting'";
    page.until("attempts to come back", away, &[]).await?;
    let _new = start(root.port().context("a port")?).await?;
    let told = "return own.gaps.length > 0 && ours.gaps.length > 0";
    page.until("a word of the new log", told, &[]).await?;
    publish(&page, 2).await?;
    let (errors, gaps): (Vec<u8>, [Vec<String>; 2]) = page
        .run("return [own.errors, [own.gaps, ours.gaps]]", &[])
        .await?;
    // 0 is `CONNECTING`; at 2, `CLOSED`, it would have given up.
    assert!(errors.iter().all(|state| *state == 0), "{errors:?}");
    assert_eq!(
        gaps,
        [["new-log"], ["new-log"]].map(|gaps| gaps.map(str::to_owned).to_vec())
    );
    came_to(
        "kill-9-in-a-page",
        "sse",
        "the browser's own `EventSource` tries again for as long as nobody listens, and comes back to the new server with its `Last-Event-ID`: gap, `new-log`; so does the book's client",
        "browser::browser::killed::an_event_source_comes_back_by_itself",
    );
    Ok(())
}
