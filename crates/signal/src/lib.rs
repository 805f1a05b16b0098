//! A signal that is raised once, for many who wait for it: the server ends, or a
//! connection is to break.
//!
//! It is a [`CancellationToken`] that costs next to nothing where it is polled and was
//! not raised. An open connection waits for several signals, and its task polls all of
//! them for each event that it writes. A token takes two locks in such a poll, and the
//! first of them is shared by all connections.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use signal::Signal;
//!
//! let end = Signal::new();
//! let raised = end.raised();
//! end.raise();
//! raised.await;
//! assert!(end.is_raised());
//! # });
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    task::{Context, Poll, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A signal. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Set before the token is cancelled, so that it is set when somebody is woken.
    is_raised: AtomicBool,
    token: CancellationToken,
    /// Raising it raises this one too.
    parent: Option<Signal>,
}

impl Signal {
    /// A signal that was not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that is raised with this one, and also by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Inner {
            is_raised: AtomicBool::new(false),
            token: self.0.token.child_token(),
            parent: Some(self.clone()),
        }))
    }

    /// Raises it, for good. Doing so again has no effect.
    pub fn raise(&self) {
        self.0.is_raised.store(true, Ordering::Release);
        self.0.token.cancel();
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        let parent = self.0.parent.as_ref();
        self.0.is_raised.load(Ordering::Acquire) || parent.is_some_and(Self::is_raised)
    }

    /// Completes once it is raised. Owned, so that a connection can keep it.
    pub fn raised(&self) -> Raised {
        Raised {
            signal: self.clone(),
            token: Box::pin(self.0.token.clone().cancelled_owned()),
            waker: None,
        }
    }
}

/// The wait for a [`Signal`]: see [`Signal::raised`]. Cancel-safe, and complete again
/// whenever it is polled after the signal.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct Raised {
    signal: Signal,
    token: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Who is registered to be woken.
    waker: Option<Waker>,
}

impl Raised {
    /// The signal that it waits for.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }
}

impl Future for Raised {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.is_raised() {
            return Poll::Ready(());
        }
        let registered = self.waker.as_ref();
        // Whoever is registered stays so until the signal is raised. The wait for a
        // token knows no budget for cooperation, so `Pending` means registered.
        if registered.is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let polled = self.token.as_mut().poll(cx);
        self.waker = Some(cx.waker().clone());
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{task::noop_waker, FutureExt};
    use std::{sync::atomic::AtomicUsize, task::Wake, time::Duration};

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(raised: &mut Raised, waker: &Waker) -> Poll<()> {
        raised.poll_unpin(&mut Context::from_waker(waker))
    }

    #[test]
    fn who_polled_last_is_woken_and_only_once() {
        let signal = Signal::new();
        let mut raised = signal.raised();
        let (first, last) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (waker, last_waker) = (first.clone().into(), last.clone().into());
        assert!(poll(&mut raised, &waker).is_pending());
        for _ in 0..3 {
            assert!(poll(&mut raised, &last_waker).is_pending());
        }
        signal.raise();
        signal.raise();
        let woken = |woken: &Woken| woken.0.load(Ordering::Relaxed);
        assert_eq!((woken(&first), woken(&last)), (0, 1));
        for _ in 0..2 {
            assert!(poll(&mut raised, &waker).is_ready(), "and it stays so");
        }
        assert!(poll(&mut signal.raised(), &noop_waker()).is_ready());
    }

    #[test]
    fn a_child_is_raised_with_its_parent_and_not_the_other_way() {
        let parent = Signal::new();
        let (child, other) = (parent.child(), parent.child());
        let (mut raised, waker) = (other.raised(), noop_waker());
        child.raise();
        assert!(child.is_raised() && !parent.is_raised() && !other.is_raised());
        assert!(poll(&mut raised, &waker).is_pending());
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut raised, &woken.clone().into()).is_pending());
        parent.raise();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(other.is_raised() && poll(&mut raised, &waker).is_ready());
        assert!(parent.child().is_raised(), "also one that comes later");
    }

    /// Each round raises a signal in another moment of its first polls.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_signal_falls_between_the_look_and_the_registration() {
        for round in 0..3_000 {
            let signal = Signal::new();
            let raised = signal.raised();
            let waiting = tokio::spawn(raised);
            for _ in 0..(round % 100) * 20 {
                std::hint::spin_loop();
            }
            signal.raise();
            let guard = Duration::from_secs(30);
            let waited = tokio::time::timeout(guard, waiting).await;
            waited.expect("it is woken").unwrap();
        }
    }
}
