//! The lost wake-up: a reader that looks first and registers second can sleep beside an
//! event that is there.

use futures_util::FutureExt;
use std::{pin::pin, sync::Mutex};
use tokio::{sync::Notify, task::yield_now};

// ANCHOR: log
#[derive(Default)]
struct Log {
    events: Mutex<Vec<&'static str>>,
    news: Notify,
}

impl Log {
    /// Appends an event and wakes readers: `Notify::notify_waiters`, or
    /// `Notify::notify_one`.
    fn publish(&self, event: &'static str, wake: fn(&Notify)) {
        self.events.lock().unwrap().push(event);
        wake(&self.news);
    }

    fn after(&self, cursor: usize) -> Vec<&'static str> {
        self.events.lock().unwrap()[cursor..].to_vec()
    }
}
// ANCHOR_END: log

// ANCHOR: look_first
/// Looks first, registers second.
async fn look_first(log: &Log, cursor: usize) -> Vec<&'static str> {
    loop {
        let events = log.after(cursor);
        if !events.is_empty() {
            return events;
        }
        yield_now().await; // another thread has its turn here
        log.news.notified().await;
    }
}
// ANCHOR_END: look_first

// ANCHOR: lost
fn lost() {
    let log = Log::default();
    let mut reader = pin!(look_first(&log, 0));
    // The reader looks, finds nothing, and is stopped before it registers.
    assert!(reader.as_mut().now_or_never().is_none());
    log.publish("one", Notify::notify_waiters);
    // It goes on, and falls asleep. The event is there, and nobody will wake it.
    assert!(reader.as_mut().now_or_never().is_none());
    assert_eq!(log.after(0), ["one"]);
    // Only the next event does: it brings both, the first one late.
    log.publish("two", Notify::notify_waiters);
    assert_eq!(reader.now_or_never(), Some(vec!["one", "two"]));
}
// ANCHOR_END: lost

// ANCHOR: hidden
fn hidden() {
    // With `notify_one` the same reader passes: the wake-up was kept for it.
    let log = Log::default();
    let mut reader = pin!(look_first(&log, 0));
    assert!(reader.as_mut().now_or_never().is_none());
    log.publish("one", Notify::notify_one);
    assert_eq!(reader.now_or_never(), Some(vec!["one"]));

    // One wake-up is kept, not one for each. The second reader sleeps.
    let log = Log::default();
    let (mut a, mut b) = (pin!(look_first(&log, 0)), pin!(look_first(&log, 0)));
    assert!(a.as_mut().now_or_never().is_none());
    assert!(b.as_mut().now_or_never().is_none());
    log.publish("one", Notify::notify_one);
    assert_eq!(a.now_or_never(), Some(vec!["one"]));
    assert_eq!(b.now_or_never(), None);
}
// ANCHOR_END: hidden

// ANCHOR: register_first
/// Registers first, looks second.
async fn register_first(log: &Log, cursor: usize) -> Vec<&'static str> {
    loop {
        // From here on `notify_waiters` wakes this reader, whether it sleeps yet or
        // not.
        let news = log.news.notified();
        let events = log.after(cursor);
        if !events.is_empty() {
            return events;
        }
        yield_now().await; // the same moment, and now it does no harm
        news.await;
    }
}
// ANCHOR_END: register_first

// ANCHOR: cured
fn cured() {
    let log = Log::default();
    let (mut a, mut b) = (pin!(register_first(&log, 0)), pin!(register_first(&log, 0)));
    assert!(a.as_mut().now_or_never().is_none());
    assert!(b.as_mut().now_or_never().is_none());
    log.publish("one", Notify::notify_waiters);
    assert_eq!(a.now_or_never(), Some(vec!["one"]));
    assert_eq!(b.now_or_never(), Some(vec!["one"]));
}
// ANCHOR_END: cured

#[derive(Clone, Copy)]
enum Step {
    Look,
    Register,
    Sleep,
}

/// What comes of one order: `append` and `wake` are how many of the reader's steps come
/// before each of the publisher's.
fn end(reader: [Step; 3], append: usize, wake: usize) -> &'static str {
    let log = Log::default();
    let (mut news, mut found) = (None, false);
    for turn in 0..=3 {
        if append == turn {
            log.events.lock().unwrap().push("one");
        }
        if wake == turn {
            log.news.notify_waiters();
        }
        match reader.get(turn) {
            Some(Step::Look) => found = !log.after(0).is_empty(),
            Some(Step::Register) => news = Some(Box::pin(log.news.notified())),
            Some(Step::Sleep) | None => {}
        }
    }
    match news.expect("every reader registers").now_or_never() {
        _ if found => "found",
        Some(()) => "woken",
        None => "sleeps",
    }
}

/// All ten orders of the two, as the machine of this chapter has them.
fn every_order(reader: [Step; 3]) -> Vec<&'static str> {
    let appends = 0..=3;
    appends
        .flat_map(|append| (append..=3).map(move |wake| end(reader, append, wake)))
        .collect()
}

fn all_orders() {
    use Step::{Look, Register, Sleep};
    let ends = every_order([Look, Register, Sleep]).join(" ");
    let of_one = "found found found found sleeps woken woken woken woken woken";
    assert_eq!(ends, of_one);
    let ends = every_order([Register, Look, Sleep]).join(" ");
    let of_none = "found found found found found found found woken woken woken";
    assert_eq!(ends, of_none);
}

// In a runtime, because `yield_now` needs one.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    lost();
    hidden();
    cured();
    all_orders();
}
