//! A limit on how long nothing may happen, and one on how long anything may.

use std::{
    future::{poll_fn, Future},
    pin::Pin,
    task::{ready, Context, Poll},
    time::Duration,
};
use tokio::time::{sleep_until, Instant, Sleep};

/// The longest that a clock is asked for: about thirty years. What is longer is no
/// limit.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

/// A limit that is set again and again, mostly before it has passed.
///
/// A stream counts its silence from the last event, so each event sets the limit anew.
/// A timer made for each would enter the runtime's timers and leave them again. Here
/// one is kept, and only what it is compared with moves: it fires too early, about once
/// in the length of the limit, and is then moved on.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// When it has lasted too long; `None` where it may last for ever.
    limit: Option<Instant>,
    /// When all of it is over, whatever happens. Here, since it is a time to wake up at
    /// as well, and one timer does for both.
    end: Option<Instant>,
    /// Fires at the limit, or before it. Made when it is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// From now on, it may last this long.
    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.limit = Some(Instant::now() + limit.min(LONGEST));
        self.move_timer();
    }

    /// From now on, all of it is over in this time, wherever the limit is; never,
    /// without one.
    pub(crate) fn set_end(&mut self, end: Option<Duration>) {
        self.end = end.map(|end| Instant::now() + end.min(LONGEST));
        self.move_timer();
    }

    /// The timer may fire too early, and not too late.
    fn move_timer(&mut self) {
        let Some(limit) = self.limit() else {
            return;
        };
        if let Some(timer) = self.timer.as_mut().filter(|it| it.deadline() > limit) {
            timer.as_mut().reset(limit);
        }
    }

    /// When it has lasted too long, or is over; `None` if it may last for ever.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.limit.into_iter().chain(self.end).min()
    }

    /// Whether its end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Completes when the limit has passed, and then again until it is set anew.
    /// Cancel-safe: it only waits, until a time that is kept.
    pub(crate) async fn passes(&mut self) {
        poll_fn(|cx| self.poll_passes(cx)).await
    }

    fn poll_passes(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit() else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(limit)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= limit {
                return Poll::Ready(());
            }
            timer.as_mut().reset(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_timer_is_kept_and_fires_at_the_last_limit() {
        let mut silence = Silence::default();
        assert!(timeout(100 * SECOND, silence.passes()).await.is_err());
        let first = Instant::now();
        for _ in 0..2 {
            silence.set_limit(10 * SECOND);
            assert!(timeout(4 * SECOND, silence.passes()).await.is_err());
        }
        // Where it was made, although the limit was set anew.
        let timer = silence.timer.as_ref().expect("it was waited for");
        assert_eq!(timer.deadline() - first, 10 * SECOND);
        for _ in 0..3 {
            silence.set_limit(10 * SECOND);
            assert!(timeout(4 * SECOND, silence.passes()).await.is_err());
        }
        let last = Instant::now();
        silence.passes().await;
        assert_eq!(last.elapsed(), 6 * SECOND);
        // It stays so, until it is set anew; a shorter limit counts at once.
        silence.passes().await;
        assert_eq!(last.elapsed(), 6 * SECOND);
        silence.set_limit(10 * SECOND);
        assert!(timeout(SECOND, silence.passes()).await.is_err());
        silence.set_limit(SECOND);
        let last = Instant::now();
        silence.passes().await;
        assert_eq!(last.elapsed(), SECOND);
        silence.set_limit(SECOND);
        advance(5 * SECOND).await;
        let last = Instant::now();
        silence.passes().await;
        assert_eq!(last.elapsed(), Duration::ZERO);
    }
}
