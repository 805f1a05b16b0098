//! What a server writes into its log: whatever it is asked to tell, no secret.

use anyhow::{ensure, Context};
use client::websocket::{open, Opened};
use contract::socket::SUBPROTOCOL;
use futures_util::{SinkExt, StreamExt};
use serde_json::{json, Value};
use std::{collections::BTreeMap, process::Stdio};
use testbed::{in_time, parts::PROXIES};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn no_secret_is_in_the_log_of_a_server_that_tells_everything(
) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_access"));
    command
        .args(["--port", "0", "--rate", "0"])
        // Everything that any of its crates would tell.
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for proxy in PROXIES {
        command.env_remove(proxy);
    }
    let mut server = command.spawn()?;
    let mut stderr = server.stderr.take().context("it was piped")?;
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.map(|_| log)
    });
    let stdout = server.stdout.take().context("it was piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut told = BTreeMap::new();
    while !told.contains_key("access") {
        let line = in_time("a line", lines.next_line()).await?;
        let line = line.context("it ended")?;
        let (name, value) = line.split_once(": ").context("a value")?;
        told.insert(name.to_owned(), value.to_owned());
    }
    let base: reqwest::Url = told["access"].parse()?;
    let password = &told["access bob"];

    let browser = reqwest::Client::builder().no_proxy().cookie_store(true);
    let browser = browser.build()?;
    let body = json!({ "name": "bob", "password": password });
    let answer = browser.post(base.join("login")?).json(&body).send().await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let cookie = answer.headers()["set-cookie"].to_str()?;
    let session = cookie.split(['=', ';']).nth(1).context("a session")?;
    let session = session.to_owned();
    let given = async |what: &str| -> anyhow::Result<String> {
        let answer = browser.post(base.join(what)?).send().await?;
        let answer: Value = answer.json().await?;
        Ok(answer[what].as_str().context("a text")?.to_owned())
    };
    let (ticket, token) = (given("ticket").await?, given("token").await?);

    // Each credential is used, and each is used wrongly.
    let path = format!("sse/events?ticket={ticket}&connection=a-page");
    for expected in [200, 401] {
        let answer = browser.get(base.join(&path)?).send().await?;
        ensure!(answer.status() == expected, "{}", answer.status());
    }
    let asked = browser
        .get(base.join("polling/events")?)
        .bearer_auth(&token);
    ensure!(asked.send().await?.status() == 200);
    let nobody = reqwest::Client::builder().no_proxy().build()?;
    for said in [&token, &ticket] {
        let asked = nobody.get(base.join("websocket/events")?);
        let Opened::Socket(mut socket) = open(asked, Some(SUBPROTOCOL)).await? else {
            anyhow::bail!("no socket")
        };
        let auth = json!({ "auth": { "token": said } }).to_string();
        socket.send(Message::text(auth)).await?;
        in_time("an answer", socket.next())
            .await
            .context("an end")??;
    }
    let wrong = json!({ "name": "bob", "password": format!("{password}x") });
    let answer = browser
        .post(base.join("login")?)
        .json(&wrong)
        .send()
        .await?;
    ensure!(answer.status() == 401);

    server.start_kill()?;
    let log = in_time("the end of the log", log).await??;
    // It does tell: the address is there, without the ticket.
    ensure!(
        log.contains("connection=a-page"),
        "nothing of the request: {log}"
    );
    for (what, secret) in [
        ("password", password),
        ("session", &session),
        ("ticket", &ticket),
        ("token", &token),
    ] {
        ensure!(
            !log.contains(secret.as_str()),
            "the {what} is in the log: {log}"
        );
    }
    Ok(())
}
