//! Who sleeps, and until when.

use std::{collections::BTreeMap, task::Waker};

/// Those who sleep until a time of type `T`, the first to be woken first.
#[derive(Debug)]
pub(crate) struct Sleepers<T> {
    by_time: BTreeMap<(T, u64), Waker>,
    /// The number of the next sleeper: two may have one time.
    next: u64,
}

impl<T: Copy + Ord> Sleepers<T> {
    pub(crate) const fn new() -> Self {
        Self {
            by_time: BTreeMap::new(),
            next: 0,
        }
    }

    /// A number for one who is going to sleep.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// `number` sleeps until `time`, and is then woken by `waker`, which replaces an
    /// earlier one.
    pub(crate) fn put(&mut self, time: T, number: u64, waker: Waker) {
        self.by_time.insert((time, number), waker);
    }

    /// It does not sleep any more.
    pub(crate) fn remove(&mut self, time: T, number: u64) -> Option<Waker> {
        self.by_time.remove(&(time, number))
    }

    /// When the first of them is to be woken.
    pub(crate) fn first(&self) -> Option<T> {
        self.by_time.keys().next().map(|(time, _)| *time)
    }

    /// Those who are to be woken by now, in their order. They are no longer here.
    pub(crate) fn due(&mut self, now: T) -> impl Iterator<Item = Waker> {
        let later = self.by_time.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.by_time, later).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Mutex},
        task::Wake,
    };

    struct Sleeper(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn whoever_is_due_is_woken_once_and_in_order() {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waker = |name| Waker::from(Arc::new(Sleeper(name, woken.clone())));
        let mut sleepers = Sleepers::new();
        let mut sleep = |time: u32, name| {
            let number = sleepers.number();
            sleepers.put(time, number, waker(name));
            number
        };
        sleep(20, "c");
        sleep(10, "a");
        let gone = sleep(15, "gone");
        sleep(10, "b");
        let moved = sleep(30, "early");
        assert_eq!(sleepers.first(), Some(10));
        assert!(sleepers.remove(15, gone).is_some());
        assert!(sleepers.remove(15, gone).is_none());
        // Polled again by another task.
        sleepers.put(30, moved, waker("d"));

        let mut wake = |now| {
            sleepers.due(now).for_each(Waker::wake);
            let first = sleepers.first();
            (std::mem::take(&mut *woken.lock().unwrap()), first)
        };
        assert_eq!(wake(9), (vec![], Some(10)));
        assert_eq!(wake(20), (vec!["a", "b", "c"], Some(30)));
        assert_eq!(wake(29), (vec![], Some(30)));
        assert_eq!(wake(30), (vec!["d"], None));
    }
}
