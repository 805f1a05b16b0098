//! How a server with streams that never end comes to an end.

use signal::{Raised, Signal};
use std::future::Future;
#[cfg(not(target_family = "wasm"))]
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::TaskTracker;

/// The end of a server: the word that it is near, the word that it begins, and the
/// count of what is still open.
///
/// It has two steps. Once it is [announced](Self::announce), everything is served as
/// before, but the server says of itself that it is not [`ready`](crate::ready): the
/// time for a load balancer to look elsewhere ([`Config::lame_duck`]). Then it
/// [begins](Self::begin).
///
/// [`Config::lame_duck`]: crate::Config::lame_duck
///
/// Clones share one ending. A graceful shutdown waits for the responses that are under
/// way; a stream of events is a response that never finishes, so it would hold the
/// server for ever. Each stream therefore watches [`begun`](Self::begun) beside its
/// events, says goodbye and ends itself.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use serving::Ending;
///
/// let ending = Ending::new();
/// let task = tokio::spawn(ending.track({
///     let begun = ending.begun();
///     async move {
///         begun.await; // a real stream selects between this and its next event
///         "goodbye"
///     }
/// }));
/// ending.begin();
/// ending.wait().await;
/// assert_eq!(task.await.unwrap(), Some("goodbye"));
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Raised when the end is near: nothing else changes yet.
    announced: Signal,
    /// Raised when the ending begins: no new work, and streams say goodbye.
    begun: Signal,
    /// Raised when patience ends: what is still open is dropped where it stands.
    /// Apart from `begun`, because a stream needs the time between the two to write its
    /// last words.
    cut: Signal,
    /// What is still open: every connection, and every task given to `track`. A tracker
    /// and not a counter, because it wakes the one who waits for zero, and counts down
    /// also where a task panics.
    open: TaskTracker,
}

impl Ending {
    /// An ending that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// An ending that begins, and is cut, with this one, and also by itself: for a
    /// server beside another, whose failure must not end the other. What is open is
    /// counted apart.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            announced: self.announced.child(),
            begun: self.begun.child(),
            cut: self.cut.child(),
            // Closed by the `serve` that has it, when it sees that the ending has
            // begun.
            open: TaskTracker::new(),
        }
    }

    /// Announces the ending: [`serve`](crate::serve) begins it after
    /// [`Config::lame_duck`](crate::Config::lame_duck), which by default is at once.
    pub fn announce(&self) {
        self.announced.raise();
    }

    /// Whether the ending was announced, or has begun.
    pub fn is_announced(&self) -> bool {
        self.announced.is_raised()
    }

    /// Completes once the ending was announced.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn announced(&self) -> Raised {
        self.announced.raised()
    }

    /// Begins the ending. Doing so again has no effect.
    pub fn begin(&self) {
        self.announced.raise();
        // Closed first: a tracker that is not closed never reports that it is empty.
        self.open.close();
        self.begun.raise();
    }

    /// Whether the ending has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_raised()
    }

    /// Raised when the ending begins: all that those who wait for events need to know
    /// of it.
    pub fn signal(&self) -> Signal {
        self.begun.clone()
    }

    /// Completes once the ending has begun. Owned, so that a stream can keep it.
    pub fn begun(&self) -> Raised {
        self.begun.raised()
    }

    /// Begins the ending, and drops at once whatever is still open.
    pub fn cut(&self) {
        self.begin();
        self.cut.raise();
    }

    /// Counts a task among what is still open. Its output is `None` where it was cut.
    ///
    /// A connection is counted by [`serve`](crate::serve). This is for work that
    /// outlives its request or was upgraded away from it, such as a WebSocket: its task
    /// runs apart from the connection, and only this lets it be cut.
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = Option<F::Output>> {
        self.open.track_future(self.until_cut(task))
    }

    /// Drops a task where it stands if the cut comes, and counts nothing. Its output is
    /// then `None`.
    pub(crate) fn until_cut<F: Future>(
        &self,
        task: F,
    ) -> impl Future<Output = Option<F::Output>> {
        let cut = self.cut.raised();
        async move {
            tokio::select! {
                // The cut comes first: a task that is always ready could otherwise put
                // it off by chance.
                biased;
                // Cancel-safe: it only waits.
                () = cut => None,
                // Dropped where it stands if the cut comes. That is what a cut means.
                output = task => Some(output),
            }
        }
    }

    /// Counts something that is open until the token is dropped.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn count(&self) -> TaskTrackerToken {
        self.open.token()
    }

    /// How many connections and tracked tasks are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Completes once the ending has begun and nothing is open any more.
    pub async fn wait(&self) {
        self.open.wait().await;
    }
}
