//! A Rust client that keeps itself connected, and publishes over the same socket.
//!
//! ```no_run
//! use feed::{contract::Update, Data, Position};
//! use futures_util::StreamExt;
//! use websocket::client::Client;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:4103/".parse()?);
//! let (publisher, updates) = client.connect(Position::Latest);
//! let (kind, data) = ("message".parse()?, Data::new("hello")?);
//! tokio::spawn(async move { publisher.publish(None, kind, data).await });
//! let mut updates = std::pin::pin!(updates);
//! while let Some(update) = updates.next().await {
//!     match update? {
//!         Update::Events(events) => println!("{} events", events.len()),
//!         Update::Gap(gap) => println!("{gap}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod handshake;

pub use client::{ClientError, Follow};
pub use handshake::{open, Opened, Socket};

use crate::close::close_for;
use client::{
    failure, updates, Failure, Method, Pace, Server, Session, Watchdog, PATIENCE,
};
use feed::{
    contract::{
        ClientMessage, Publish, Refusal, ServerMessage, Update, AFTER, SUBPROTOCOL,
    },
    Cursor, Data, IdempotencyKey, Kind, Position, BATCH_BYTES, BATCH_EVENTS,
};
use futures_util::{
    future::FutureExt,
    stream::{SplitSink, SplitStream, Stream, StreamExt},
    SinkExt,
};
use handshake::MAX_SENT;
use reqwest::Url;
use serving::Problem;
use std::{collections::VecDeque, pin::pin, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout, timeout_at, Instant},
};
use tokio_tungstenite::tungstenite::{protocol::CloseFrame, Error, Message};

/// How many publishes may wait until the socket takes them; more wait with their
/// callers.
const OUTBOX: usize = 16;

/// How long the closing of a connection may take on the way out. Nobody waits for its
/// outcome, so it is short.
const CLOSING: Duration = Duration::from_secs(1);

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
    pace: Pace,
}

impl Client {
    /// A client of the server whose routes lie at `base`, which ends in `/`. `http:`
    /// and `ws:` mean the same here: the handshake is a request of HTTP.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its reconnecting otherwise.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        Self {
            server: Server::new(http(base)),
            pace,
        }
    }

    // ANCHOR: connect
    /// Events after `position`, and a way to publish, both over one socket, and across
    /// as many as it takes. Dropping the stream closes the socket.
    ///
    /// The stream does all the work: what is published is sent, and its answer read,
    /// only while somebody polls the stream. Publish from another task. Where nobody
    /// polls for two heartbeats, no ping is answered, and the server drops the
    /// connection; the next poll reconnects, and goes on after its cursor.
    ///
    /// # Errors
    /// [`ClientError`] as the last item, where trying again would not help: the server
    /// refused, or is none of this kind.
    pub fn connect(
        &self,
        position: Position,
    ) -> (
        Publisher,
        impl Stream<Item = Result<Update, ClientError>> + Send + 'static,
    ) {
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let follower = Follower {
            server: self.server.clone(),
            session: Session::new(position, self.pace),
            watchdog: Watchdog::default(),
            inbox,
            unanswered: Vec::new(),
            unsent: VecDeque::new(),
            state: State::Apart(Duration::ZERO),
        };
        (Publisher(outbox), updates(follower))
    }
    // ANCHOR_END: connect
}

impl Follow for Client {
    /// [`connect`](Client::connect) for those who only listen.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, ClientError>> + Send + 'static {
        self.connect(position).1
    }

    // ANCHOR: publish_alone
    /// Publishes one event, over a socket of its own. With a `key` it may be repeated
    /// after an error without making a second one.
    ///
    /// For those who publish now and then and listen to nothing: the handshake takes a
    /// round trip more than the publish. Whoever has a subscription uses its
    /// [`Publisher`].
    ///
    /// # Errors
    /// [`ClientError`]. It makes one attempt; an answer must come within 10 s.
    async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, ClientError> {
        let (publisher, updates) = self.connect(Position::Latest);
        let mut answer = pin!(publisher.publish(key, kind, data));
        let failure = tokio::select! {
            answer = &mut answer => return answer,
            failure = failure_of(updates) => failure,
        };
        // The answer may have come together with the end.
        match answer.now_or_never() {
            Some(Err(ClientError::NoAnswer)) | None => Err(failure),
            Some(answer) => answer,
        }
    }
    // ANCHOR_END: publish_alone
}

/// The same base with the scheme that the handshake is sent by.
fn http(mut base: Url) -> Url {
    let scheme = match base.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return base,
    };
    // It cannot fail between two schemes that both have a host.
    let _ = base.set_scheme(scheme);
    base
}

/// Polls a subscription until it fails in any way, and tells how.
async fn failure_of(
    updates: impl Stream<Item = Result<Update, ClientError>>,
) -> ClientError {
    let mut updates = pin!(updates);
    loop {
        match updates.next().await {
            Some(Ok(Update::Finished)) => {
                return ClientError::Refused(Box::new(Problem::finished()))
            }
            Some(Ok(Update::Reconnecting(_))) | None => return ClientError::NoAnswer,
            Some(Err(error)) => return error,
            Some(Ok(_)) => {}
        }
    }
}

// ANCHOR: publisher
/// Publishes over the socket of a subscription. Clones share it.
#[derive(Clone, Debug)]
pub struct Publisher(mpsc::Sender<Attempt>);

/// A publish that has no answer yet.
#[derive(Debug)]
struct Attempt {
    publish: Publish,
    /// To whoever waits for it, or has given up.
    answer: oneshot::Sender<Result<Cursor, ClientError>>,
}

impl Publisher {
    /// Publishes one event.
    ///
    /// Without a `key` it draws one. Where the connection breaks before the answer, the
    /// next one sends the same again, and by the key it stays one event.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the problem; [`ClientError::NoAnswer`] after 10 s,
    /// or where the subscription has ended.
    pub async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, ClientError> {
        let reference = key.cloned().unwrap_or_else(feed::random_key);
        let publish = Publish {
            reference,
            kind,
            data,
        };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let sent = self.0.send(Attempt { publish, answer }).await;
            sent.ok()?;
            answered.await.ok()
        };
        let answer = timeout(PATIENCE, asked).await;
        answer.ok().flatten().unwrap_or(Err(ClientError::NoAnswer))
    }
}
// ANCHOR_END: publisher

/// One subscription.
struct Follower {
    server: Server,
    session: Session,
    watchdog: Watchdog,
    /// From the [`Publisher`]s.
    inbox: mpsc::Receiver<Attempt>,
    /// What was sent, oldest first. It outlives a connection, and is sent again on the
    /// next: a publish with the same `ref` is the same event. As many as there are
    /// callers that wait, and those who gave up are cleared out.
    unanswered: Vec<Attempt>,
    /// What of it the connection before this one has sent, and this one has not yet.
    unsent: VecDeque<Attempt>,
    state: State,
}

enum State {
    /// No connection; the next attempt comes after this long.
    Apart(Duration),
    /// An open socket.
    Connected(Box<Connection>),
}

struct Connection {
    /// In two halves, because one turn waits for both.
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    /// Whether a publish waits to be written.
    unflushed: bool,
    /// When the last sign of life came.
    heard: Instant,
}

/// What was read; `None` at the end of a connection.
type Next = Option<Result<Message, Error>>;

impl Method for Follower {
    fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    async fn step(&mut self) {
        let next =
            match std::mem::replace(&mut self.state, State::Apart(Duration::ZERO)) {
                State::Apart(wait) => {
                    sleep(wait).await;
                    self.connect().await
                }
                State::Connected(connection) => self.read(connection).await,
            };
        // Whatever ends a connection is told to the user, with the wait before the next
        // attempt; the cursor is kept.
        self.state =
            next.unwrap_or_else(|failure| State::Apart(self.session.failed(failure)));
    }
}

impl Follower {
    async fn connect(&mut self) -> Result<State, Failure> {
        let after = self.session.position().to_string();
        let request = self.server.get("events", Some((AFTER, &after)))?;
        let opened =
            timeout(self.watchdog.patience(), open(request, Some(SUBPROTOCOL)));
        let socket = match opened.await.map_err(|_silence| ClientError::NoAnswer)?? {
            Opened::Socket(socket) => socket,
            Opened::Refused(response) => return Err(failure(response).await),
        };
        let (sink, stream) = (*socket).split();
        // In the order in which they were sent before.
        self.unanswered.extend(self.unsent.drain(..));
        self.unsent = std::mem::take(&mut self.unanswered).into();
        Ok(State::Connected(Box::new(Connection {
            sink,
            stream,
            unflushed: false,
            heard: Instant::now(),
        })))
    }

    // ANCHOR: read
    /// Takes in what has come, and what came with it. All of a batch is told together,
    /// up to what a page would hold.
    ///
    /// Each read also writes tungstenite's answers to pings that were read before. So a
    /// ping is answered as long as somebody reads on, although nobody here writes.
    async fn read(
        &mut self,
        mut connection: Box<Connection>,
    ) -> Result<State, Failure> {
        let Some(mut next) = self.turn(&mut connection).await else {
            return Ok(State::Connected(connection));
        };
        let mut bytes = 0;
        for taken in 1.. {
            let message = connection.message(next).await?;
            if let Message::Close(frame) = message {
                connection.end().await;
                return self.closed(frame).await;
            }
            bytes += message.len();
            self.take(message)?;
            // Before another is read, which would be lost.
            if taken >= BATCH_EVENTS || bytes > BATCH_BYTES {
                break;
            }
            match connection.stream.next().now_or_never() {
                Some(more) => next = more,
                None => break,
            }
        }
        connection.heard = Instant::now();
        Ok(State::Connected(connection))
    }
    // ANCHOR_END: read

    // ANCHOR: turn
    /// Waits for whatever comes first, and gives what was read; `None` where something
    /// was written instead. It always reads, and never waits for a write alone: a
    /// server that waits for us to read may not read from us until we do.
    async fn turn(&mut self, connection: &mut Connection) -> Option<Next> {
        let silence = connection.heard.elapsed();
        let patience = self.watchdog.patience().saturating_sub(silence);
        tokio::select! {
            // Cancel-safe: a message is handed out whole, or stays.
            next = timeout(patience, connection.stream.next()) => {
                // After too long a silence, whatever follows is nothing.
                Some(next.ok().flatten())
            }
            // Cancel-safe: what is not written yet stays in tungstenite's buffer. An
            // error is not looked at, because the reader is about to see it too, and
            // perhaps a close before it that says why.
            _ = connection.sink.flush(), if connection.unflushed => {
                connection.unflushed = false;
                None
            }
            // Cancel-safe: an attempt that is not taken stays where it is. Only one
            // waits to be written; the others wait with their callers.
            Some(attempt) = to_send(&mut self.unsent, &mut self.inbox), if !connection.unflushed => {
                self.send(connection, attempt).await;
                None
            }
        }
    }
    // ANCHOR_END: turn

    /// Hands a publish to tungstenite; what follows flushes it.
    async fn send(&mut self, connection: &mut Connection, attempt: Attempt) {
        if attempt.answer.is_closed() {
            return;
        }
        self.unanswered.retain(|old| !old.answer.is_closed());
        let message = ClientMessage::Publish(attempt.publish.clone());
        // Nothing in a publish can fail to become JSON.
        let text = serde_json::to_string(&message).unwrap_or_default();
        if text.len() > MAX_SENT {
            return attempt.refuse(Problem::too_large("more than this client sends"));
        }
        // An error is one that the reader is about to see too, and then the next
        // connection sends it again.
        let _ = connection.sink.feed(Message::text(text)).await;
        self.unanswered.push(attempt);
        connection.unflushed = true;
    }

    // ANCHOR: take
    /// What one message means.
    fn take(&mut self, message: Message) -> Result<(), ClientError> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(ClientError::Protocol("a binary message".to_owned()))
            }
            // Signs of life, as every message is. tungstenite has the answer to a ping
            // ready.
            _ => return Ok(()),
        };
        let read = ServerMessage::read(&text);
        let read = read
            .map_err(|error| ClientError::Protocol(format!("{text:.100}: {error}")))?;
        self.session.heard();
        match read {
            Some(message) => self.tell(message),
            // A message that this client does not know yet.
            None => Ok(()),
        }
    }

    fn tell(&mut self, message: ServerMessage) -> Result<(), ClientError> {
        match message {
            ServerMessage::Hello(hello) => {
                self.promised(hello.every);
                self.session.at(hello.cursor);
            }
            ServerMessage::Event(event) => self.session.event(event),
            ServerMessage::Gap(gap) => self.session.gap(gap),
            ServerMessage::Heartbeat(heartbeat) => {
                self.promised(heartbeat.every);
                self.session.heartbeat();
            }
            ServerMessage::Ack(ack) => self.answered(&ack.reference, Ok(ack.id)),
            ServerMessage::Error(refusal) => self.refused(&refusal)?,
        }
        Ok(())
    }
    // ANCHOR_END: take

    /// The server has said how many milliseconds it may be silent.
    fn promised(&mut self, every: u64) {
        self.watchdog.heard_interval(Duration::from_millis(every));
    }

    fn refused(&mut self, refusal: &Refusal) -> Result<(), ClientError> {
        // Without a `ref` it answers something that the server could not read, and
        // nobody knows which.
        if let Some(reference) = &refusal.reference {
            let problem = Box::new(refusal.problem.clone());
            self.answered(reference, Err(ClientError::Refused(problem)));
        }
        Ok(())
    }

    /// Hands an answer to whoever waits for it. Of two who wait with the same `ref`,
    /// each gets one.
    fn answered(
        &mut self,
        reference: &IdempotencyKey,
        answer: Result<Cursor, ClientError>,
    ) {
        let mut all = self.unanswered.iter();
        if let Some(index) =
            all.position(|attempt| attempt.publish.reference == *reference)
        {
            self.unanswered.remove(index).answer(answer);
        }
    }

    // ANCHOR: closed
    /// What a close comes to.
    async fn closed(&mut self, frame: Option<CloseFrame>) -> Result<State, Failure> {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        match AfterClose::of(code) {
            AfterClose::Stop => return Ok(self.finish().await),
            AfterClose::DropLargest => self.refuse_largest(),
            AfterClose::GiveUp => {
                let said = frame
                    .map(|CloseFrame { code, reason }| format!("{code}: {reason}"));
                let said = format!("closed with {}", said.unwrap_or_default());
                for attempt in self.unanswered.drain(..).chain(self.unsent.drain(..)) {
                    attempt.answer(Err(ClientError::Protocol(said.clone())));
                }
                return Err(Failure::Final(ClientError::Protocol(said)));
            }
            AfterClose::Again => {}
        }
        Err(ClientError::NoAnswer.into())
    }
    // ANCHOR_END: closed

    /// The log is finished. What has no answer may be in it all the same, if an earlier
    /// connection broke after it was sent. A request with the same key tells; and it
    /// adds nothing, since the log takes nothing more.
    async fn finish(&mut self) -> State {
        let until = Instant::now() + PATIENCE;
        for attempt in self.unanswered.drain(..).chain(self.unsent.drain(..)) {
            if attempt.answer.is_closed() {
                continue;
            }
            let Publish {
                reference,
                kind,
                data,
            } = attempt.publish.clone();
            let asked = self.server.publish(Some(&reference), kind, data);
            let answer = timeout_at(until, asked).await;
            attempt.answer(answer.unwrap_or(Err(ClientError::NoAnswer)));
        }
        self.session.finish();
        // Never looked at: the session is over.
        State::Apart(Duration::ZERO)
    }

    /// One of what was sent is too large. Whichever the server meant, the largest is
    /// too large as well; the others are sent again.
    fn refuse_largest(&mut self) {
        let size = |attempt: &Attempt| attempt.publish.data.as_str().len();
        let all = self.unanswered.iter().enumerate();
        if let Some((index, _)) = all.max_by_key(|(_, attempt)| size(attempt)) {
            let attempt = self.unanswered.remove(index);
            attempt.refuse(Problem::too_large("more than the server takes at once"));
        }
    }
}

/// What to send next: first what an earlier connection has sent already.
async fn to_send(
    unsent: &mut VecDeque<Attempt>,
    inbox: &mut mpsc::Receiver<Attempt>,
) -> Option<Attempt> {
    match unsent.pop_front() {
        Some(attempt) => Some(attempt),
        None => inbox.recv().await,
    }
}

impl Attempt {
    fn answer(self, answer: Result<Cursor, ClientError>) {
        // Whoever gave up does not hear it.
        let _ = self.answer.send(answer);
    }

    fn refuse(self, problem: Problem) {
        self.answer(Err(ClientError::Refused(Box::new(problem))));
    }
}

/// What to do after a close (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterClose {
    /// The log is finished: never come back.
    Stop,
    /// This program broke a rule and would break it again: never come back.
    GiveUp,
    /// One of the messages that have no answer was too large: refuse it, and come back.
    DropLargest,
    /// Come back, after a wait that grows.
    Again,
}

impl AfterClose {
    /// By the code; `None` where the close had none, or where there was no close.
    pub fn of(code: Option<u16>) -> Self {
        match code {
            Some(1000) => Self::Stop,
            // Broken framing, binary where text is expected, no UTF-8.
            Some(1002 | 1003 | 1007) => Self::GiveUp,
            Some(1009) => Self::DropLargest,
            // The server goes or has failed, a proxy has closed, or the code is new.
            _ => Self::Again,
        }
    }
}

impl Connection {
    async fn message(&mut self, next: Next) -> Result<Message, Failure> {
        match next {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(self.broken(error).await),
            None => Err(ClientError::NoAnswer.into()),
        }
    }

    /// Answers the server's close, and waits for the server to end the connection,
    /// which is the server's part (RFC 6455 §7.1.1). It is reading that writes the
    /// answer.
    async fn end(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(CLOSING, rest).await;
    }

    // ANCHOR: broken
    /// What an error of tungstenite comes to. Where the server broke the protocol, it
    /// is told with which rule, as RFC 6455 §7.1.7 asks; tungstenite does not.
    async fn broken(&mut self, error: Error) -> Failure {
        let Some(close) = close_for(&error) else {
            return ClientError::NoAnswer.into();
        };
        let frame = CloseFrame {
            code: close.code().into(),
            reason: close.reason().into(),
        };
        let told = self.sink.send(Message::Close(Some(frame)));
        let _ = timeout(CLOSING, told).await;
        ClientError::Protocol(error.to_string()).into()
    }
    // ANCHOR_END: broken
}
