//! Waking those who wait: for a lone event at once, for a burst a few times.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{sleep_until, Instant},
};

/// Of each such part of the time, one may be spent on wake-ups. In a burst the readers
/// are then at work for a quarter of the time, and events gather for the rest of it.
/// With a tenth, events would wait longer.
const SHARE: u32 = 4;

/// What wake-ups may spend in advance, counted in the time that it takes to earn it: a
/// quarter of this much work comes before the first rest. Events that come at random
/// and now and then close together so wait for nothing; a burst that lasts does.
const ADVANCE: Duration = Duration::from_millis(200);

/// A shorter rest is none: tokio's timer counts milliseconds.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// No event waits longer than this for its wake-up, and the timer may add a
/// millisecond: 20 ms in all, which a person does not notice.
const LONGEST_REST: Duration = Duration::from_millis(19);

/// A wake-up that is later than this is not waited for any more: the runtime that had
/// to bring it has stopped.
const OVERDUE: Duration = Duration::from_secs(1);

/// The wake-up of all readers of a log.
///
/// To wake a reader costs as much whether one event is due or ten. So wake-ups have a
/// part of the time, and something in advance. Where they have spent it, because many
/// readers wait and many events come, they rest until it is earned again. An event that
/// falls into the rest is appended as always, and its readers are woken at the end of
/// it, for all events that have come.
///
/// This is the leaky bucket that limits the rate of a network's packets, with the time
/// that wake-ups take in place of packets.
#[derive(Debug)]
pub(crate) struct WakeUps {
    /// A version that grows with each wake-up. It carries no event, so a sleeper that
    /// misses three wake-ups misses nothing: it reads the ring from its own cursor.
    /// That is why there is no queue per subscriber.
    version: watch::Sender<()>,
    created: Instant,
    /// When a reader that had been woken last looked at the log, in nanoseconds since
    /// `created`. From the wake-up to this moment is what the wake-up took.
    last_look: AtomicU64,
    /// No reader has looked since the last wake-up.
    no_look: AtomicBool,
    /// Locked for each publish, and by the first reader that a wake-up wakes.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last wake-up began.
    began: Instant,
    /// When all that was spent before it is earned.
    earned: Instant,
    /// A task will wake the readers at the end of the rest, and not later than this.
    due: Option<Instant>,
    /// Where that task runs: in the runtime of a reader that was woken, which shows
    /// that it is at work. A publisher's may be one that is driven for a publish alone.
    runtime: Option<Handle>,
}

impl WakeUps {
    pub(crate) fn new() -> Arc<Self> {
        let created = Instant::now();
        Arc::new(Self {
            version: watch::Sender::new(()),
            created,
            last_look: AtomicU64::new(0),
            no_look: AtomicBool::new(true),
            state: Mutex::new(State {
                began: created,
                earned: created,
                due: None,
                runtime: None,
            }),
        })
    }

    /// Who has this is woken from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.version.subscribe()
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.version.receiver_count()
    }

    /// A reader that was woken looks at the log.
    pub(crate) fn reader_looks(&self) {
        let since = self.created.elapsed().as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.last_look.store(since, Relaxed);
        if self.no_look.load(Relaxed) && self.no_look.swap(false, Relaxed) {
            self.lock().runtime = Handle::try_current().ok();
        }
    }

    /// Wakes the readers now, whatever they rest from.
    pub(crate) fn wake_now(&self) {
        self.begin(&mut self.lock(), Instant::now());
        self.version.send_replace(());
    }

    fn begin(&self, state: &mut State, now: Instant) {
        // Never more than what may be spent in advance: the rest has a bound, and a
        // debt beyond it is forgiven.
        state.earned = self.earned(state).min(now + ADVANCE);
        state.began = now;
        self.no_look.store(true, Relaxed);
    }

    // ANCHOR: wake
    /// Wakes the readers now, or where they rest at the end of the rest.
    ///
    /// The rest needs readers in a runtime of tokio with a timer. Without, there is
    /// none.
    pub(crate) fn wake(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.lock();
        // What was appended before this line is found by the readers whom it wakes.
        if state.due.is_some_and(|due| now <= due + OVERDUE) {
            return;
        }
        let end = self.rest_end(&state);
        if end <= now {
            self.begin(&mut state, now);
        } else if end - now >= SHORTEST_REST {
            if let Some(runtime) = state.runtime.take() {
                let latest = now + LONGEST_REST;
                state.due = Some(latest);
                drop(state);
                runtime.spawn(DueWakeUp(self.clone()).run(latest));
                return;
            }
        }
        // Otherwise it belongs to the last one, whose readers are still at work:
        // `began` stays, so that many wake-ups in short order are followed by a rest as
        // well.
        drop(state);
        self.version.send_replace(());
    }
    // ANCHOR_END: wake

    /// When the last wake-up, and all before it, are earned, as far as can be told: it
    /// grows while readers are still being woken.
    fn earned(&self, state: &State) -> Instant {
        let took = self.last_look().saturating_duration_since(state.began);
        state.earned.max(state.began) + took * SHARE
    }

    /// When the rest after the last wake-up ends.
    fn rest_end(&self, state: &State) -> Instant {
        let latest = self.last_look().max(state.began) + LONGEST_REST;
        // Before the log was there, nothing was spent.
        let enough = self.earned(state).checked_sub(ADVANCE);
        enough.unwrap_or(self.created).min(latest)
    }

    fn last_look(&self) -> Instant {
        self.created + Duration::from_nanos(self.last_look.load(Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wake-up that somebody counts on. It happens when this is dropped, so also where
/// the runtime ends before the rest.
struct DueWakeUp(Arc<WakeUps>);

impl DueWakeUp {
    /// Waits for the end of the rest, or until `latest`.
    async fn run(self, latest: Instant) {
        loop {
            let until = self.0.rest_end(&self.0.lock()).min(latest);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Drop for DueWakeUp {
    fn drop(&mut self) {
        // Before the wake-up: an event that is appended in between gets another.
        self.0.lock().due = None;
        self.0.wake_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use tokio::{
        runtime::{Builder, Runtime},
        time::{advance, timeout},
    };

    const MS: Duration = Duration::from_millis(1);

    /// Turns a hang into a failure; on a paused clock it passes at once.
    async fn in_time<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), future)
            .await
            .expect("it comes")
    }

    /// A wake-up of which the last reader looks after this long.
    async fn wake_up_that_takes(wake: &Arc<WakeUps>, took: Duration) {
        wake.wake();
        advance(took).await;
        wake.reader_looks();
    }

    /// Wake-ups that have spent all that they may.
    async fn spent() -> (Arc<WakeUps>, watch::Receiver<()>) {
        let wake = WakeUps::new();
        wake_up_that_takes(&wake, ADVANCE / 2).await;
        advance(LONGEST_REST).await;
        let mut reader = wake.subscribe();
        reader.mark_unchanged();
        (wake, reader)
    }

    fn rest_after(took: Duration) -> Duration {
        (took * (SHARE - 1)).min(LONGEST_REST)
    }

    fn runtime() -> Runtime {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    }

    fn is_woken(reader: &mut watch::Receiver<()>) -> bool {
        let is_woken = reader.has_changed().unwrap();
        reader.mark_unchanged();
        is_woken
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_event_wakes_at_once() {
        for took in [Duration::ZERO, MS / 10, 5 * MS, 400 * MS] {
            let (wake, mut reader) = spent().await;
            for _ in 0..3 {
                wake_up_that_takes(&wake, took).await;
                assert!(is_woken(&mut reader), "{took:?}");
                advance(rest_after(took)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_are_close_together_now_and_then_wake_at_once() {
        let (wake, mut reader) = spent().await;
        for _ in 0..10 {
            advance(ADVANCE).await;
            for _ in 0..3 {
                wake_up_that_takes(&wake, 5 * MS).await;
                assert!(is_woken(&mut reader));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_event_waits_longer_than_the_bound() {
        for took in [MS, 5 * MS, 400 * MS] {
            let (wake, mut reader) = spent().await;
            wake_up_that_takes(&wake, took).await;
            assert!(is_woken(&mut reader));
            let published = Instant::now();
            wake.wake();
            assert!(!is_woken(&mut reader), "{took:?}");
            // Another is not what the first waits for.
            advance(MS).await;
            wake.wake();
            in_time(reader.changed()).await.unwrap();
            let waited = published.elapsed();
            let rest = rest_after(took);
            assert!(waited >= rest && waited <= rest + MS, "{waited:?}");
        }
        // Nor where readers are still being woken.
        let (wake, mut reader) = spent().await;
        wake_up_that_takes(&wake, MS).await;
        reader.mark_unchanged();
        let published = Instant::now();
        wake.wake();
        let working = tokio::spawn({
            let wake = wake.clone();
            async move {
                loop {
                    tokio::time::sleep(MS).await;
                    wake.reader_looks();
                }
            }
        });
        in_time(reader.changed()).await.unwrap();
        let waited = published.elapsed();
        assert!(waited >= LONGEST_REST, "{waited:?}");
        assert!(waited <= LONGEST_REST + MS, "{waited:?}");
        working.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn many_short_wake_ups_are_followed_by_a_rest() {
        let wake = WakeUps::new();
        let mut reader = wake.subscribe();
        let mut wake_ups = 0;
        // A second.
        for _ in 0..10_000 {
            wake.wake();
            if is_woken(&mut reader) {
                wake_ups += 1;
            }
            advance(MS / 10).await;
            tokio::task::yield_now().await;
            wake.reader_looks();
        }
        assert!((10..3_000).contains(&wake_ups), "{wake_ups}");
    }

    #[test]
    fn a_runtime_that_ends_in_the_rest_wakes_nobody_too_late() {
        let first = runtime();
        let (wake, mut reader) = first.block_on(spent());
        first.block_on(async {
            wake_up_that_takes(&wake, 5 * MS).await;
            reader.mark_unchanged();
            wake.wake();
            assert!(!is_woken(&mut reader));
        });
        drop(first);
        assert!(is_woken(&mut reader));
        // And the next event is not taken to have one.
        runtime().block_on(async {
            advance(Duration::from_secs(1)).await;
            wake.wake();
            in_time(reader.changed()).await.unwrap();
        });
    }

    #[test]
    fn a_publisher_may_stop_its_runtime_after_each_publish() {
        let (readers, publisher) = (runtime(), runtime());
        let (wake, mut reader) = readers.block_on(spent());
        readers.block_on(wake_up_that_takes(&wake, 5 * MS));
        reader.mark_unchanged();
        publisher.block_on(async { wake.wake() });
        assert!(!is_woken(&mut reader));
        readers.block_on(async { in_time(reader.changed()).await.unwrap() });
    }

    #[test]
    fn a_wake_up_whose_runtime_has_stopped_is_not_waited_for() {
        let stopped = runtime();
        let (wake, mut reader) = stopped.block_on(spent());
        stopped.block_on(async {
            wake_up_that_takes(&wake, 5 * MS).await;
            reader.mark_unchanged();
            wake.wake();
            advance(LONGEST_REST).await;
            // No longer driven from here on, and not dropped.
        });
        wake.lock().due = Some(Instant::now() - 2 * OVERDUE);
        wake.wake();
        assert!(is_woken(&mut reader));
    }

    #[test]
    fn without_a_runtime_there_is_no_rest() {
        let wake = WakeUps::new();
        let mut reader = wake.subscribe();
        for _ in 0..3 {
            wake.wake();
            std::thread::sleep(MS);
            wake.reader_looks();
            assert!(is_woken(&mut reader));
        }
    }
}
