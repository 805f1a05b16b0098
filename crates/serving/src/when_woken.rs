//! A future that costs nothing while its task is woken for other reasons.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc, Mutex, PoisonError,
    },
    task::{Context, Poll, Wake, Waker},
};

/// Polls a future only after something that it waits for has woken it.
///
/// A task that waits for several things polls all of them whichever has woken it. For
/// a stream, each event would so look at timers and sockets that nearly never have
/// anything to tell. This gives them a waker of their own, which notes that they were
/// meant.
pub(crate) struct WhenWoken<F> {
    future: F,
    woken: Arc<Woken>,
    /// Wakes `woken`.
    waker: Waker,
    /// Who is registered there.
    task: Option<Waker>,
}

struct Woken {
    is_woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Woken {
    fn register(&self, task: Waker) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Relaxed);
        // Orders the note before the wake-up, and finds who registered last.
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

impl<F: Future + Unpin> WhenWoken<F> {
    /// The first poll reaches `future` in any case.
    pub(crate) fn new(future: F) -> Self {
        let woken = Arc::new(Woken {
            is_woken: AtomicBool::new(true),
            task: Mutex::default(),
        });
        Self {
            future,
            waker: woken.clone().into(),
            woken,
            task: None,
        }
    }
}

impl<F: Future + Unpin> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let registered = this.task.as_ref();
        if !registered.is_some_and(|task| task.will_wake(cx.waker())) {
            // Before the look: a wake-up from here on reaches this task.
            this.woken.register(cx.waker().clone());
            this.task = Some(cx.waker().clone());
        }
        if !this.woken.is_woken.load(Relaxed)
            || !this.woken.is_woken.swap(false, Relaxed)
        {
            return Poll::Pending;
        }
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn it_polls_what_was_woken_and_nothing_else() {
        let polls = AtomicUsize::new(0);
        let (sender, mut receiver) = oneshot::channel::<u8>();
        let counted = std::future::poll_fn(|cx| {
            polls.fetch_add(1, Relaxed);
            receiver.poll_unpin(cx)
        });
        let mut future = WhenWoken::new(counted);
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        for task in [&first, &first, &second, &second] {
            let waker = task.clone().into();
            let polled = future.poll_unpin(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        assert_eq!(polls.load(Relaxed), 1, "only the first");
        sender.send(7).unwrap();
        assert_eq!(first.0.load(Relaxed), 0);
        assert_eq!(second.0.load(Relaxed), 1, "who polled last");
        let waker = second.into();
        let polled = future.poll_unpin(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Ready(Ok(7)));
    }
}
