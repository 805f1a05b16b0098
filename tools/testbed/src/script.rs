//! A server that follows a script, to see what a client does about it.

use crate::in_time;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};
use url::Url;

/// A server that answers each request with the next of its texts, whatever was asked, and after the
/// last one says no more. It leaves its connections open, except where the client closes them.
pub struct Script {
    /// Where it answers.
    pub base: Url,
    /// The heads of the requests, in the order in which they came.
    heads: mpsc::UnboundedReceiver<String>,
}

impl Script {
    /// Answers with these texts, each a whole answer or the beginning of one, as it goes over the
    /// wire.
    pub async fn of<T: Into<String>>(answers: impl IntoIterator<Item = T>) -> Self {
        Self::late(Duration::ZERO, answers).await
    }

    /// The same, but each answer comes this long after its request.
    pub async fn late<T: Into<String>>(
        delay: Duration,
        answers: impl IntoIterator<Item = T>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let base = format!("http://{address}/").parse().expect("a URL");
        let (record, heads) = mpsc::unbounded_channel();
        let answers: VecDeque<String> = answers.into_iter().map(Into::into).collect();
        // Shared by the connections: a client may ask again on the same one or on another.
        let answers = Arc::new(Mutex::new(answers));
        tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(follow(socket, delay, answers.clone(), record.clone()));
            }
        });
        Self { base, heads }
    }

    /// The head of the next request, with CRLF for line ends.
    pub async fn head(&mut self) -> String {
        let head = in_time("a request", self.heads.recv()).await;
        head.expect("the script runs")
    }
}

async fn follow(
    mut socket: TcpStream,
    delay: Duration,
    answers: Arc<Mutex<VecDeque<String>>>,
    record: mpsc::UnboundedSender<String>,
) {
    let mut head = String::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut piece).await {
        head.push_str(&String::from_utf8_lossy(&piece[..length]));
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        let _ = record.send(std::mem::take(&mut head));
        let answer = answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        if let Some(answer) = answer {
            // A sleep of nothing would still wait for the clock's next tick.
            if !delay.is_zero() {
                sleep(delay).await;
            }
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
