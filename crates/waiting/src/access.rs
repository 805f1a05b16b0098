//! Who a reader is: what it may see and publish, and until when.

use crate::ConnectionName;
use contract::{EndReason, Kind, Problem};
use feed::{Batch, Event};
use signal::{Raised, Signal};
use std::{
    fmt,
    future::{poll_fn, Future},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    task::{ready, Context, Poll},
};
use tokio::time::{sleep_until, Instant, Sleep};

/// Why a reader's access is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// The credential is. With another one the reader goes on, and has missed nothing.
    Renew,
    /// The reader may not listen any more: it has logged out, or lost the right.
    Denied,
}

impl Over {
    /// The same, as the last message of a stream.
    pub fn end_reason(self) -> EndReason {
        match self {
            Self::Renew => EndReason::Renew,
            Self::Denied => EndReason::Denied,
        }
    }

    /// The same, as the answer to a request: 401 `unauthorized`, 403 `forbidden`.
    pub fn problem(self) -> Problem {
        match self {
            Self::Renew => Problem::unauthorized("the credential is over"),
            Self::Denied => Problem::forbidden("you may not listen any more"),
        }
    }
}

/// What somebody may see and publish. Clones share it.
#[derive(Clone)]
pub struct Rights {
    sees: Option<Sees>,
    publishes: Option<Publishes>,
}

type Sees = Arc<dyn Fn(&Event) -> bool + Send + Sync>;
type Publishes = Arc<dyn Fn(&Kind) -> bool + Send + Sync>;

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights")
            .field("sees_all", &self.sees.is_none())
            .field("publishes_all", &self.publishes.is_none())
            .finish()
    }
}

impl Rights {
    /// To see and to publish everything.
    pub fn all() -> Self {
        Self {
            sees: None,
            publishes: None,
        }
    }

    /// The same, but of the events only those for which this is true. It is asked for
    /// each event and each reader, so it should only look.
    #[must_use]
    pub fn seeing(self, sees: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        Self {
            sees: Some(Arc::new(sees)),
            ..self
        }
    }

    /// The same, but publishing only events of the kinds for which this is true.
    #[must_use]
    pub fn publishing(
        self,
        publishes: impl Fn(&Kind) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            publishes: Some(Arc::new(publishes)),
            ..self
        }
    }
}

// ANCHOR: access
/// What one login, or one token, may do here, and until when. Clones share it: whoever
/// keeps one can change the rights of all streams, sockets and requests that were begun
/// with it, and end them.
///
/// A program puts it into the extensions of a request, before the request comes to a
/// method. Without one, a reader may see and publish everything.
#[derive(Clone)]
pub struct Access(Arc<Shared>);

struct Shared {
    /// Read for each event, written where a right is given or withdrawn. Never held
    /// across an await.
    rights: RwLock<Rights>,
    /// When it is over by itself.
    until: Mutex<Option<Instant>>,
    /// Raised when it is over earlier. One for all that was begun with it: each waits
    /// for it, so none has to come to its next heartbeat to hear of a logout.
    ended: Signal,
    /// Why; set before the signal is raised.
    why: OnceLock<Over>,
}
// ANCHOR_END: access

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("rights", &*self.rights())
            .field("over", &self.over())
            .finish()
    }
}

impl Access {
    /// These rights, until this time if there is one.
    pub fn new(rights: Rights, until: Option<Instant>) -> Self {
        Self(Arc::new(Shared {
            rights: RwLock::new(rights),
            until: Mutex::new(until),
            ended: Signal::new(),
            why: OnceLock::new(),
        }))
    }

    /// Other rights from now on, for all that was begun with this access: the next
    /// event that is written is judged by them.
    pub fn change(&self, rights: Rights) {
        let own = &self.0.rights;
        *own.write().unwrap_or_else(PoisonError::into_inner) = rights;
    }

    /// It is over at another time than it was said to be.
    pub fn extend(&self, until: Instant) {
        *self.lock_until() = Some(until);
    }

    /// It is over now, for all that was begun with it. Doing so again has no effect.
    pub fn end(&self, why: Over) {
        // The first reason stays.
        let _ = self.0.why.set(why);
        self.0.ended.raise();
    }

    /// Why it is over, if it is.
    pub fn over(&self) -> Option<Over> {
        if self.0.ended.is_raised() {
            return self.0.why.get().copied();
        }
        let until = *self.lock_until();
        until
            .is_some_and(|until| until <= Instant::now())
            .then_some(Over::Renew)
    }

    /// Whether it is not over.
    ///
    /// # Errors
    /// 401 `unauthorized`, 403 `forbidden`.
    pub fn check(&self) -> Result<(), Problem> {
        self.over().map_or(Ok(()), |over| Err(over.problem()))
    }

    /// Whether this event may be shown now.
    pub fn sees(&self, event: &Event) -> bool {
        self.over().is_none() && self.rights().see(event)
    }

    /// Whether each event may be seen: for what is made of all of them, such as a
    /// state.
    pub fn sees_all(&self) -> bool {
        self.over().is_none() && self.rights().sees.is_none()
    }

    /// Whether an event of this kind may be published now.
    ///
    /// # Errors
    /// 403 `forbidden`; and those of [`check`](Self::check).
    pub fn check_publish(&self, kind: &Kind) -> Result<(), Problem> {
        self.check()?;
        let publishes = &self.rights().publishes;
        match publishes.as_ref().is_none_or(|publishes| publishes(kind)) {
            true => Ok(()),
            false => {
                let detail = format_args!("you may not publish a `{kind}`");
                Err(Problem::forbidden(detail))
            }
        }
    }

    fn rights(&self) -> std::sync::RwLockReadGuard<'_, Rights> {
        let rights = &self.0.rights;
        rights.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        let until = &self.0.until;
        until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rights {
    fn see(&self, event: &Event) -> bool {
        self.sees.as_ref().is_none_or(|sees| sees(event))
    }
}

/// Who asks: the name of the connection, and what the reader may do here.
///
/// An extractor, with which a handler that joins a reader to a room begins.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The connection's name, for a cut.
    pub name: ConnectionName,
    /// What the reader may do; `None` where nobody asked who it is.
    pub access: Option<Access>,
}

impl From<ConnectionName> for Reader {
    fn from(name: ConnectionName) -> Self {
        Self { name, access: None }
    }
}

impl Reader {
    /// Whether the reader may see each event: for what is made of all of them, such as
    /// a state.
    ///
    /// # Errors
    /// 401 `unauthorized`, 403 `forbidden`.
    pub fn check_sees_all(&self) -> Result<(), Problem> {
        self.check()?;
        match self.access.as_ref().is_none_or(Access::sees_all) {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "it is made of events that you may not see",
            )),
        }
    }

    /// Somebody of whom nothing is known.
    pub fn anybody() -> Self {
        ConnectionName(None).into()
    }

    /// Completes when the reader's access is over, at once; never where nobody asked
    /// who it is. For an answer that takes long and is no [`Wait`](crate::Wait).
    pub fn over(&self) -> impl Future<Output = Over> + Send + 'static {
        let watched = self.access.clone().map(Watched::new);
        let mut watched = watched.map(Box::new);
        async move { over(&mut watched).await }
    }

    /// Whether the reader may listen here at all.
    ///
    /// # Errors
    /// 401 `unauthorized`, 403 `forbidden`.
    pub fn check(&self) -> Result<(), Problem> {
        self.access.as_ref().map_or(Ok(()), Access::check)
    }
}

/// The access of one open wait, and the wait for its end.
#[derive(Debug)]
pub(crate) struct Watched {
    access: Access,
    ended: Raised,
    /// Made when it is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(crate) fn new(access: Access) -> Self {
        let ended = access.0.ended.raised();
        Self {
            access,
            ended,
            timer: None,
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Leaves in a batch what may be seen now; whether anything is left.
    pub(crate) fn filter(&self, batch: &mut Batch) -> bool {
        batch.events.retain(|event| self.access.sees(event));
        !batch.events.is_empty()
    }

    /// Completes when the access is over, and then again. Cancel-safe.
    pub(crate) async fn over(&mut self) -> Over {
        poll_fn(|cx| self.poll_over(cx)).await
    }

    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if Pin::new(&mut self.ended).poll(cx).is_ready() {
            return Poll::Ready(self.access.over().unwrap_or(Over::Denied));
        }
        loop {
            let Some(until) = *self.access.lock_until() else {
                return Poll::Pending;
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            // It may have been extended since, and the timer then fires too early.
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
            if self.access.over().is_some() {
                return Poll::Ready(Over::Renew);
            }
        }
    }
}

/// Completes when `watched` is over; never, where there is none.
pub(crate) async fn over(watched: &mut Option<Box<Watched>>) -> Over {
    match watched {
        Some(watched) => watched.over().await,
        None => std::future::pending().await,
    }
}
