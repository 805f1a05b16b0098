//! SIGKILL: nobody says anything, and the log is gone.

use crate::{
    follow::{subscribe, Updates},
    program::Program,
    proxy::Proxy,
    wire::{status, Method, Open},
};
use anyhow::{ensure, Context as _};
use client::{Endpoint, Update};
use contract::GapReason;
use futures_util::StreamExt;
use harness::BRISK;
use rustix::process::Signal;
use std::time::Duration;
use testbed::{faults::came_to, in_time, Raw};

const FLAGS: [&str; 2] = ["--rate", "0"];

const POLL: Duration = Duration::from_millis(50);

/// Until the client has its cursor.
async fn opened(updates: &mut Updates) -> anyhow::Result<()> {
    in_time("a cursor", async {
        while !matches!(updates.next().await.context("the end")??, Update::Opened(_)) {}
        Ok(())
    })
    .await
}

/// Until the client has failed to reach its server.
async fn failed(updates: &mut Updates) -> anyhow::Result<()> {
    in_time("a failure", async {
        let failed = |update: &Update| matches!(update, Update::Reconnecting(_));
        while !failed(&updates.next().await.context("the end")??) {}
        Ok(())
    })
    .await
}

/// Until the client is told of a gap.
async fn gap(updates: &mut Updates) -> anyhow::Result<GapReason> {
    in_time("a gap", async {
        loop {
            if let Update::Gap(gap) = updates.next().await.context("the end")?? {
                break Ok(gap.reason);
            }
        }
    })
    .await
}

/// Waits until the server has whoever waits: the client and the connection beside it.
async fn is_waiting(method: Method, program: &Program) {
    match method {
        Method::Polling => {}
        // The client asks when it is polled, and is not just now.
        Method::LongPolling => program.has_waiting(method.name(), 1).await,
        Method::Sse | Method::WebSocket => program.has_waiting(method.name(), 2).await,
    }
}

/// Straight to the server.
pub async fn direct(method: Method) -> anyhow::Result<()> {
    let mut program = Program::start(method.name(), &FLAGS).await?;
    let endpoint = Endpoint::new(program.base());
    let mut updates = subscribe(method, endpoint, BRISK, POLL);
    opened(&mut updates).await?;
    let open = Open::at(method, program.address, "/").await?;
    is_waiting(method, &program).await;
    program.signal(Signal::KILL)?;
    let (status, end) = tokio::join!(program.ended(), open.end());
    ensure!(!status?.success());
    // The system closes what the process had open. A poll that is over has lost nothing by it.
    ensure!(end.in_order && !end.told, "{end:?}");
    ensure!(end.whole == (method == Method::Polling), "{end:?}");
    failed(&mut updates).await?;
    let port = program.address.port();
    let _new = Program::start_at(method.name(), port, &FLAGS).await?;
    ensure!(gap(&mut updates).await? == GapReason::NewLog);
    let cut = match method {
        Method::Polling => "the next request is refused",
        Method::LongPolling => "the request gets no answer: its connection is closed",
        Method::Sse => "the stream breaks off without its last chunk",
        Method::WebSocket => "the socket ends without a close (1006)",
    };
    let what = format!("{cut}; the client comes back, and its log is gone: gap, `new-log`");
    let test = "faults::ends::kill-9";
    came_to("kill-9", method.name(), &what, test);
    Ok(())
}

/// Behind nginx, which answers 502 for a server that is not there.
pub async fn behind_nginx(method: Method) -> anyhow::Result<()> {
    let mut program = Program::start(method.name(), &FLAGS).await?;
    let proxy = Proxy::nginx(&[program.address]).await?;
    let mut updates = subscribe(method, Endpoint::new(proxy.base("/")), BRISK, POLL);
    opened(&mut updates).await?;
    let mut open = Open::at(method, proxy.address, "/").await?;
    is_waiting(method, &program).await;
    program.signal(Signal::KILL)?;
    program.ended().await?;
    let cut = match method {
        // The connection to nginx stands, and nginx answers.
        Method::Polling => "the next request gets 502",
        Method::LongPolling => {
            open.seen.clear();
            open.until("</html>").await?;
            ensure!(open.status() == 502, "{}", open.status());
            "the request gets 502"
        }
        Method::Sse => {
            let end = open.end().await;
            ensure!(!end.told && !end.whole, "{end:?}");
            "the stream breaks off, and the next request gets 502: an `EventSource` is closed for \
             good, unless its page opens another"
        }
        Method::WebSocket => {
            let end = open.end().await;
            ensure!(!end.told, "{end:?}");
            "the socket ends without a close (1006), and the next handshake gets 502"
        }
    };
    let mut raw = Raw::get(proxy.address, "/events").await;
    raw.until("</html>").await;
    ensure!(status(&raw.seen) == 502, "{}", raw.seen);
    // No problem of ours, so no client takes it for the server's word.
    let html = "\r\nContent-Type: text/html";
    ensure!(raw.seen.contains(html), "{}", raw.seen);
    failed(&mut updates).await?;
    let port = program.address.port();
    let _new = Program::start_at(method.name(), port, &FLAGS).await?;
    ensure!(gap(&mut updates).await? == GapReason::NewLog);
    let what = format!("{cut}; the client comes back, and its log is gone: gap, `new-log`");
    let test = "faults::ends::kill-9-behind-nginx";
    came_to("kill-9-behind-nginx", method.name(), &what, test);
    Ok(())
}
