//! Captures by `curl -v`: lines that begin with `>` were sent, with `<` received, and with `*` are
//! what curl says of the connection.

use crate::program::{words, Program, DATE};
use harness::{say, still_feed, Server};
use std::{net::SocketAddr, time::Duration};

/// Two questions by one curl, which keeps the connection between them.
pub async fn two_polls(command: &str) -> anyhow::Result<String> {
    let server = polling(serving::Config::default(), &["hello"]).await;
    let curl = start(server.address, command)?;
    Ok(plain(curl.lines().await?))
}

/// Two questions with a pause that is longer than the server keeps an idle connection. Here the
/// pause is a second and the server's patience a fifth of that; a reader's server waits for ten
/// seconds.
pub async fn closed_while_idle(command: &str) -> anyhow::Result<String> {
    let edge = serving::Config {
        headers: Duration::from_millis(200),
        ..Default::default()
    };
    let server = polling(edge, &[]).await;
    let curl = start(server.address, &command.replace("5/m", "1/s"))?;
    Ok(plain(curl.lines().await?))
}

/// A stream with one event, ended by the server.
pub async fn stream(command: &str) -> anyhow::Result<String> {
    let server = sse(serving::Config::default()).await;
    let mut curl = start(server.address, command)?;
    curl.until("retry:").await?;
    say(&server.feed, "hello").await;
    curl.until("hello").await?;
    server.ending.begin();
    Ok(plain(curl.lines().await?))
}

/// The polling server with these messages in its log.
async fn polling(edge: serving::Config, texts: &[&str]) -> Server {
    let feed = still_feed(100);
    for text in texts {
        say(&feed, text).await;
    }
    Server::start_with(feed, edge, |feed, ending| {
        polling::router(feed, polling::Config::default(), ending)
    })
    .await
}

/// The SSE server with an empty log.
pub async fn sse(edge: serving::Config) -> Server {
    let feed = still_feed(100);
    let config = sse::Config {
        retry_ms: 1730..1731,
        ..Default::default()
    };
    Server::start_with(feed, edge, |feed, ending| sse::router(feed, config, ending)).await
}

/// Starts the reader's command so that it connects to `address`, whatever port its URLs name.
fn start(address: SocketAddr, command: &str) -> anyhow::Result<Program> {
    // What goes to the error output comes among the rest, in order.
    let mut all = vec!["--stderr", "-", "--no-progress-meter"];
    let connect = format!("::{address}");
    all.extend(["--noproxy", "*", "--connect-to", &connect]);
    let words = words(command);
    all.extend(words.iter().skip(1).map(String::as_str));
    Program::start("curl", &all)
}

/// The lines that say the same in each version of curl, in the words of one of them.
fn plain(lines: Vec<String>) -> String {
    let mut text = String::new();
    for line in lines {
        // A body that does not end in a line end is followed by what curl says next.
        let (body, said) = match line.find("* ") {
            Some(at) if at > 0 && line.starts_with('{') => line.split_at(at),
            _ if line.starts_with("* ") => ("", line.as_str()),
            _ => (line.as_str(), ""),
        };
        // How many bytes of data came, which curl says only where it does not write to a terminal,
        // and why it pauses.
        let aside = ["{ [", "} [", "Note: "]
            .iter()
            .any(|start| body.starts_with(start));
        if !(aside || body.is_empty() && !said.is_empty()) {
            let body = body.trim_end();
            let lower = body.to_ascii_lowercase();
            if lower.starts_with("< date: ") {
                text.push_str(&format!("< {DATE}"));
            } else if lower.starts_with("> user-agent: ") {
                text.push_str("> User-Agent: curl");
            } else {
                text.push_str(body);
            }
            text.push('\n');
        }
        if let Some(said) = unchanging_note(said) {
            text.push_str(said);
            text.push('\n');
        }
    }
    text
}

/// What curl says of its connection, for the few things that each version says.
fn unchanging_note(line: &str) -> Option<&'static str> {
    let has = |text| line.contains(text);
    if has("Connected to ") || has("Established connection to ") {
        Some("* Connected to 127.0.0.1")
    } else if has("Re-using existing ") || has("Reusing existing ") {
        Some("* Re-using existing connection with host 127.0.0.1")
    } else if has(" seems to be dead") {
        Some("* Connection seems to be dead")
    } else if has("left intact") {
        Some("* Connection to host 127.0.0.1 left intact")
    } else {
        None
    }
}
