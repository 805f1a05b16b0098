//! The other way to fan out: one task walks the sockets and writes to each what is due.
//!
//! A socket has a task of its own here as well, which reads, greets, catches up, sends
//! heartbeats and closes: all that [`Connection`] does. Once its client has everything,
//! the task leaves the socket in a seat of the [`Walk`] and waits for whatever is no
//! event. Whatever that is, the task takes the socket out of its seat, and serves it
//! by itself until its client has everything again.

use crate::{close::End, frames, socket::Connection, tunnel::Socket};
use contract::{Cursor, Position};
use feed::{Batch, Delivery, Feed, Subscription};
use futures_util::{SinkExt, StreamExt};
use std::{
    collections::BTreeMap,
    future::{pending, poll_fn, Future},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{ready, Context, Poll, Waker},
};
use tokio::{
    sync::Notify,
    task::{unconstrained, yield_now},
    time::{sleep_until, Instant},
};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use waiting::{Framings, Next};

/// How many sockets are written to before other tasks have their turn: a fraction of a
/// millisecond of work.
const CHUNK: usize = 64;

/// A socket, and what serves it. Who has it may read and write.
struct Member {
    connection: Box<Connection>,
    socket: Socket,
}

/// The sockets of one log whose clients have everything. Clones share them.
#[derive(Clone)]
pub(crate) struct Walk {
    shared: Arc<Shared>,
}

struct Shared {
    log: Feed,
    messages: Framings<Utf8Bytes>,
    /// Locked for a look-up, and never while anything is written.
    seats: Mutex<Seats>,
    /// The last socket has left its seat.
    empty: Notify,
}

#[derive(Default)]
struct Seats {
    /// By number, in the order in which they were filled.
    by_number: BTreeMap<u64, Arc<Seat>>,
    next: u64,
    /// After what the walker has read from the log; `None` where no walker runs. No
    /// client in a seat is behind it, but for what the walker is writing just now.
    cursor: Option<Cursor>,
}

/// Where a socket stays that the walker writes to.
struct Seat(Mutex<Held>);

struct Held {
    /// Here until its task takes it out.
    member: Option<Box<Member>>,
    /// The walker writes to it no more: it did not take all that was due, or the log
    /// has something else than events. Or it has failed.
    left: Option<Result<(), End>>,
    /// Wakes the task.
    task: Option<Waker>,
}

/// What takes a socket out of its seat.
enum Due {
    /// This was read from it.
    Message(Option<Result<Message, Error>>),
    /// A heartbeat is due.
    Silence,
    /// The walker writes to it no more: see [`Held::left`].
    Left(Result<(), End>),
}

// ANCHOR: run
impl Walk {
    /// Serves the socket to its end.
    pub(crate) fn run(
        self,
        connection: Box<Connection>,
        socket: Socket,
    ) -> impl Future<Output = ()> {
        let mut follower = Follower {
            walk: self,
            own: Some(Box::new(Member { connection, socket })),
            seated: None,
        };
        async move {
            let Member { connection, socket } = follower.own();
            let silence = connection.silence(socket);
            let interrupted = connection.wait.interrupted();
            let end = tokio::select! {
                biased;
                // As in `Connection::run`, all three.
                why = interrupted => why.into(),
                end = follower.serve() => end,
                () = silence => End::Dropped,
            };
            Box::pin(follower.take().close(end)).await;
        }
    }
}
// ANCHOR_END: run

/// The task of one socket.
struct Follower {
    walk: Walk,
    /// While the task serves it by itself.
    own: Option<Box<Member>>,
    /// While it is in the walk.
    seated: Option<Seated>,
}

impl Follower {
    // ANCHOR: follow
    /// Serves the socket until there is a reason to end.
    async fn serve(&mut self) -> End {
        let mut done = Box::pin(self.own().greet()).await;
        while done.is_ok() {
            let member = self.take();
            done = match self.walk.seat(member) {
                // In the walk: nothing to do, until something else is due than events.
                Ok(seated) => {
                    let due = self.seated.insert(seated).due().await;
                    self.own = Some(self.take());
                    // Boxed, as below, so that a socket in its seat has no room for it.
                    Box::pin(self.own().serve(due)).await
                }
                // Behind, on a path of its own: the same loop as without a walk.
                Err(member) => Box::pin(self.own.insert(member).step()).await,
            };
        }
        done.expect_err("it has ended")
    }
    // ANCHOR_END: follow

    /// The socket, which it serves by itself.
    fn own(&mut self) -> &mut Member {
        self.own.as_mut().expect("it is not in the walk")
    }

    /// The socket, wherever it is.
    fn take(&mut self) -> Box<Member> {
        let own = self.own.take();
        own.or_else(|| self.seated.take().map(Seated::leave))
            .expect("it is in one of the two")
    }
}

impl Member {
    async fn close(self: Box<Self>, end: End) {
        let Self { connection, socket } = *self;
        end.close(
            socket,
            connection.wait,
            connection.server.config.close_patience,
        )
        .await;
    }

    async fn greet(&mut self) -> Result<(), End> {
        self.connection.greet(&mut self.socket).await
    }

    async fn step(&mut self) -> Result<(), End> {
        self.connection.step(&mut self.socket).await
    }

    /// Does what took it out of the walk.
    async fn serve(&mut self, due: Due) -> Result<(), End> {
        let Self { connection, socket } = self;
        match due {
            Due::Message(message) => connection.read(socket, message).await,
            Due::Silence => connection.write(socket, Next::Silence).await,
            Due::Left(left) => {
                left?;
                // What it has not taken is in tungstenite's buffer.
                socket.flush().await?;
                // Also where it has everything by now: seated at once, it would be left
                // again and again by a walker that fails.
                connection.step(socket).await
            }
        }
    }

    /// Writes what of these events its client has not had; `Pending` where the socket
    /// does not take all of it. `messages` are those of the batch.
    fn poll_write(
        &mut self,
        batch: &Batch,
        messages: &[Utf8Bytes],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        let Self { connection, socket } = self;
        let had = connection.wait.cursor().id;
        let first = batch
            .events
            .partition_point(|event| event.cursor().id <= had);
        let mut written = first;
        let polled = poll_messages(socket, &messages[first..], &mut written, cx);
        connection
            .wait
            .advance(&batch.events[first..written], &batch.log);
        polled.map_err(End::from)
    }
}

/// Hands these messages to the socket, as long as it takes them, and adds to `written`
/// for each.
fn poll_messages(
    socket: &mut Socket,
    messages: &[Utf8Bytes],
    written: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    for message in messages {
        // Before each: what waits is never more than the write buffer and one event.
        ready!(socket.poll_ready_unpin(cx))?;
        socket.start_send_unpin(Message::Text(message.clone()))?;
        *written += 1;
    }
    socket.poll_flush_unpin(cx)
}

impl Walk {
    /// A walk through the sockets on `log`, without one yet.
    pub(crate) fn new(log: Feed, messages: Framings<Utf8Bytes>) -> Self {
        let shared = Shared {
            log,
            messages,
            seats: Mutex::default(),
            empty: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        let seats = &self.shared.seats;
        seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats a socket, if its client has at least what the walker has read from the
    /// log; starts the walker where none runs.
    ///
    /// # Errors
    /// The socket, where it has to catch up, or has to end.
    fn seat(&self, member: Box<Member>) -> Result<Seated, Box<Member>> {
        let wait = &member.connection.wait;
        let mut seats = self.lock();
        let started = match seats.cursor {
            Some(_) => None,
            None => {
                let latest = self.shared.log.subscribe(Position::Latest);
                Some(latest.expect("the latest is no future"))
            }
        };
        let walked = started.as_ref().map(Subscription::cursor).or(seats.cursor);
        let walked = walked.expect("one of the two is there");
        let cursor = wait.cursor();
        let behind = cursor.epoch != walked.epoch || cursor.id < walked.id;
        // What the walker writes, it writes to all. Who may not see all of it goes a
        // path of its own.
        let alone = wait.access().is_some();
        if behind || wait.is_finished() || wait.is_aged() || alone {
            return Err(member);
        }
        let silence = wait.deadline();
        seats.cursor = Some(walked);
        let number = seats.next;
        seats.next += 1;
        let seat = Arc::new(Seat(Mutex::new(Held {
            member: Some(member),
            left: None,
            task: None,
        })));
        seats.by_number.insert(number, seat.clone());
        drop(seats);
        if let Some(subscription) = started {
            let walker = Walker {
                walk: self.clone(),
                stopped: false,
            };
            // Without tokio's budget, which ends a task's turn after 128 writes: what
            // is over then looks like sockets that take nothing. It yields by itself.
            tokio::spawn(unconstrained(walker.run(subscription)));
        }
        Ok(Seated {
            walk: self.clone(),
            number,
            seat,
            silence,
        })
    }
}

/// A socket in its seat; out of the walk when dropped.
struct Seated {
    walk: Walk,
    number: u64,
    seat: Arc<Seat>,
    /// When its heartbeat is due.
    silence: Option<Instant>,
}

impl Seated {
    /// Waits for what takes the socket out of the walk.
    async fn due(&self) -> Due {
        let silence = async {
            match self.silence {
                Some(silence) => sleep_until(silence).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // Neither is dropped before the other has completed.
            due = poll_fn(|cx| self.seat.poll_due(cx)) => due,
            () = silence => Due::Silence,
        }
    }

    fn leave(self) -> Box<Member> {
        let member = self.seat.lock().member.take();
        member.expect("it is taken out once")
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut seats = self.walk.lock();
        seats.by_number.remove(&self.number);
        if seats.by_number.is_empty() {
            self.walk.shared.empty.notify_one();
        }
    }
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the walker: writes these events, and leaves the socket to its task where it
    /// does not take all of them.
    fn write(&self, batch: &Batch, messages: &[Utf8Bytes]) {
        let mut held = self.lock();
        let Held { member, left, .. } = &mut *held;
        let (Some(member), None) = (member, left) else {
            return;
        };
        // The task is woken instead, and asks again.
        let mut cx = Context::from_waker(Waker::noop());
        match member.poll_write(batch, messages, &mut cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(end)) => held.leave(Err(end)),
            Poll::Pending => held.leave(Ok(())),
        }
    }

    /// For the task.
    fn poll_due(&self, cx: &mut Context<'_>) -> Poll<Due> {
        let mut held = self.lock();
        let Held { member, left, task } = &mut *held;
        if let Some(left) = left.take() {
            return Poll::Ready(Due::Left(left));
        }
        let socket = &mut member.as_mut().expect("its task is here").socket;
        // A ping, a pong or a close is tungstenite's: see `Connection::read`.
        while let Poll::Ready(message) = socket.poll_next_unpin(cx) {
            use Message::{Close, Ping, Pong};
            if !matches!(message, Some(Ok(Ping(_) | Pong(_) | Close(_)))) {
                return Poll::Ready(Due::Message(message));
            }
        }
        match task {
            Some(task) => task.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Held {
    fn leave(&mut self, why: Result<(), End>) {
        self.left.get_or_insert(why);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

/// The task that walks. It runs while there is a socket in a seat.
struct Walker {
    walk: Walk,
    /// Whether another may run already.
    stopped: bool,
}

impl Walker {
    async fn run(mut self, mut subscription: Subscription) {
        loop {
            let delivery = tokio::select! {
                // Cancel-safe: it promises it.
                delivery = subscription.next() => delivery,
                // Cancel-safe: it only waits.
                () = self.walk.shared.empty.notified() => {
                    let mut seats = self.walk.lock();
                    if seats.by_number.is_empty() {
                        seats.cursor = None;
                        self.stopped = true;
                        return;
                    }
                    continue;
                }
            };
            match delivery {
                Some(Delivery::Batch(batch)) => self.pass(&batch, &subscription).await,
                // The tasks find the gap, or the end, by themselves.
                Some(Delivery::Gap(gap)) => self.release(Some(gap.resume)),
                None => return,
            }
        }
    }

    // ANCHOR: pass
    /// Writes a batch to each socket in the walk.
    async fn pass(&self, batch: &Batch, subscription: &Subscription) {
        let framings = &self.walk.shared.messages;
        let messages = batch.events.iter();
        let messages: Vec<_> = messages
            .map(|event| framings.get(event, frames::event))
            .collect();
        let (mut next, end) = {
            let mut seats = self.walk.lock();
            // Only who has this batch is seated from here on.
            seats.cursor = Some(batch.next);
            (0, seats.next)
        };
        loop {
            let chunk: Vec<_> = {
                let seats = self.walk.lock();
                let chunk = seats.by_number.range(next..end).take(CHUNK);
                chunk
                    .map(|(number, seat)| (*number, seat.clone()))
                    .collect()
            };
            let Some((last, _)) = chunk.last() else {
                return;
            };
            next = last + 1;
            for (_, seat) in chunk {
                seat.write(batch, &messages);
            }
            // So the log rests after it, as it does after the wake-up of many tasks.
            subscription.is_at_work();
            yield_now().await;
        }
    }
    // ANCHOR_END: pass

    /// Leaves every socket to its task.
    fn release(&self, cursor: Option<Cursor>) {
        let mut seats = self.walk.lock();
        seats.cursor = cursor;
        for seat in seats.by_number.values() {
            seat.lock().leave(Ok(()));
        }
    }
}

impl Drop for Walker {
    /// Also where it panics: no socket may stay in a walk that nobody walks.
    fn drop(&mut self) {
        if !self.stopped {
            self.release(None);
        }
    }
}
