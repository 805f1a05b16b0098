//! Sleeping, on the browser's timers.
//!
//! One timer of the browser is set, for the sleeper who is due first.

use crate::sleepers::Sleepers;
use std::{
    cell::RefCell,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use wasm_bindgen::{prelude::wasm_bindgen, JsValue};

pub use web_time::Instant;

/// A browser counts the milliseconds of a timer in 31 bits. Whoever sleeps for longer
/// is looked at after this, and the timer set again.
const LONGEST: Duration = Duration::from_secs(3_600);

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(
        handler: &wasm_bindgen::closure::Closure<dyn FnMut()>,
        milliseconds: u32,
    ) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

thread_local! {
    static SLEEPERS: RefCell<Sleepers<Instant>> = const { RefCell::new(Sleepers::new()) };
    static ALARM: RefCell<Option<Alarm>> = const { RefCell::new(None) };
    /// Made once, since a closure that JavaScript has is never freed.
    static WAKE: wasm_bindgen::closure::Closure<dyn FnMut()> =
        wasm_bindgen::closure::Closure::new(wake);
}

/// The timer that is set.
struct Alarm {
    /// When it fires.
    at: Instant,
    timer: JsValue,
}

/// Wakes all who are due.
fn wake() {
    ALARM.take();
    let due: Vec<Waker> =
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.due(Instant::now()).collect());
    // Outside: who is woken may sleep again at once.
    due.into_iter().for_each(Waker::wake);
    arm();
}

/// Sets the timer for whoever is due first, unless it is set for then or earlier: a
/// timer that fires for nobody is cheaper than to clear it and set another.
fn arm() {
    let Some(first) = SLEEPERS.with_borrow(Sleepers::first) else {
        return;
    };
    ALARM.with_borrow_mut(|alarm| {
        if alarm.as_ref().is_some_and(|alarm| alarm.at <= first) {
            return;
        }
        if let Some(alarm) = alarm.take() {
            clear_timeout(&alarm.timer);
        }
        let now = Instant::now();
        let wait = first.saturating_duration_since(now).min(LONGEST);
        // Rounded up, or it would fire too early, and again.
        let milliseconds = wait.as_micros().div_ceil(1_000);
        let milliseconds = u32::try_from(milliseconds).expect("it is an hour at most");
        let timer = WAKE.with(|wake| set_timeout(wake, milliseconds));
        *alarm = Some(Alarm {
            at: now + wait,
            timer,
        });
    });
}

/// See [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct Sleep {
    deadline: Instant,
    number: u64,
}

/// Sleeps until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    let number = SLEEPERS.with_borrow_mut(Sleepers::number);
    Sleep { deadline, number }
}

/// Sleeps for this long.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// It ends then instead. Who has polled it is woken then.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        let number = self.number;
        SLEEPERS.with_borrow_mut(|sleepers| {
            if let Some(waker) = sleepers.remove(self.deadline, number) {
                sleepers.put(deadline, number, waker);
            }
        });
        self.deadline = deadline;
        arm();
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (deadline, number) = (self.deadline, self.number);
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.put(deadline, number, waker));
        arm();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = SLEEPERS
            .with_borrow_mut(|sleepers| sleepers.remove(self.deadline, self.number));
        // Outside: it may be the last that holds a task, with sleeps of its own.
        drop(waker);
    }
}

/// What took too long was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for `future`, and at most this long from now.
pub fn timeout<F: IntoFuture>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let (sleep, future) = (sleep(duration), future.into_future());
    async {
        tokio::select! {
            biased;
            output = future => Ok(output),
            // Cancel-safe: it only waits.
            () = sleep => Err(Elapsed(())),
        }
    }
}

/// What an [`Interval`] does about ticks that it has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The next comes a period after the one that was late. It is the only one here,
    /// and so the default.
    Delay,
}

/// See [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

/// Ticks now, and then again and again with `period` in between.
pub fn interval(period: Duration) -> Interval {
    Interval {
        sleep: sleep_until(Instant::now()),
        period,
    }
}

impl Interval {
    /// There is nothing to choose.
    pub fn set_missed_tick_behavior(&mut self, _: MissedTickBehavior) {}

    /// Waits for the next tick. Cancel-safe.
    pub async fn tick(&mut self) -> Instant {
        (&mut self.sleep).await;
        let (due, now) = (self.sleep.deadline(), Instant::now());
        let next = (due + self.period).max(now);
        // Late by a period or more: that tick, and perhaps others, is missed.
        let next = if next == now { now + self.period } else { next };
        Pin::new(&mut self.sleep).reset(next);
        due
    }
}
