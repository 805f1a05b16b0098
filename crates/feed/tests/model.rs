//! The log against a plain model: a list that forgets nothing, and the rule for what is
//! retained.

use contract::{Cursor, Data, Epoch, EventId, Gap, GapReason, Kind, Position};
use feed::{Delivery, Feed, ReadError, Retention};
use proptest::prelude::*;

/// What a reader of the log may do.
#[derive(Clone, Debug)]
enum Step {
    /// Publish this many events, each with data of this many bytes.
    Publish { count: usize, bytes: usize },
    /// Subscriber number `.0` takes what is due.
    Take(usize),
    /// Subscriber number `.0` goes away and comes back with its cursor.
    Reconnect(usize),
    /// A read of at most so many events and bytes, after the event with this id.
    Read {
        after: u64,
        max_events: usize,
        max_bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1usize..8, 2usize..60).prop_map(|(count, bytes)| Step::Publish { count, bytes }),
        3 => (0usize..3).prop_map(Step::Take),
        1 => (0usize..3).prop_map(Step::Reconnect),
        2 => (0u64..80, 0usize..6, 0usize..400)
            .prop_map(|(after, max_events, max_bytes)| Step::Read { after, max_events, max_bytes }),
    ]
}

/// The model: every event ever published, and how many of the oldest are gone.
#[derive(Default)]
struct Model {
    /// Each event's JSON, in order; the event with id n is at n - 1.
    all: Vec<String>,
    gone: usize,
}

impl Model {
    fn publish(&mut self, json: String, retention: Retention) {
        self.all.push(json);
        let kept = |gone: usize| {
            (
                self.all.len() - gone,
                self.all[gone..].iter().map(String::len).sum::<usize>(),
            )
        };
        while {
            let (count, bytes) = kept(self.gone);
            count > retention.max_events || bytes > retention.max_bytes
        } {
            self.gone += 1;
        }
    }

    /// The JSON of all events after `id`, or nothing where some of them are gone.
    fn after(&self, id: u64) -> Option<&[String]> {
        let id = usize::try_from(id).unwrap();
        (id >= self.gone).then(|| &self.all[id..])
    }
}

fn texts(events: &[std::sync::Arc<feed::Event>]) -> Vec<String> {
    events
        .iter()
        .map(|event| String::from_utf8(event.json().to_vec()).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Order, no loss and no duplicate at the seam between history and live, and a gap
    /// exactly when the cursor fell off.
    #[test]
    fn the_log_does_what_the_model_does(
        max_events in 1usize..12,
        max_bytes in 100usize..1500,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let retention = Retention { max_events, max_bytes };
        let epoch: Epoch = "k3f9x2".parse().unwrap();
        let cursor = |id: usize| Cursor { epoch, id: EventId::new(id as u64) };
        let feed = Feed::builder().retention(retention).epoch(epoch).build();
        let kind: Kind = "message".parse().unwrap();
        let mut model = Model::default();
        let mut subscribers: Vec<_> =
            (0..3).map(|_| feed.subscribe(Position::Latest).unwrap()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        for step in steps {
            match step {
                Step::Publish { count, bytes } => for _ in 0..count {
                    let data = Data::new(&"x".repeat(bytes - 2)).unwrap();
                    let published = runtime.block_on(feed.publish(kind.clone(), data.clone())).unwrap();
                    prop_assert_eq!(published, cursor(model.all.len() + 1));
                    // The event as the log shows it, or, where it did not fit the
                    // window at all, as it would have.
                    let json = feed.event(published).map_or_else(
                        || "x".repeat(max_bytes + 1),
                        |event| texts(&[event]).remove(0),
                    );
                    model.publish(json, retention);
                },
                Step::Take(which) => {
                    let before = subscribers[which].cursor().id.get();
                    match (subscribers[which].try_next(), model.after(before)) {
                        (Some(Delivery::Batch(batch)), Some(due)) => {
                            prop_assert!(!due.is_empty());
                            prop_assert_eq!(texts(&batch.events), due);
                            prop_assert_eq!(batch.next, cursor(model.all.len()));
                        }
                        (Some(Delivery::Gap(gap)), None) => prop_assert_eq!(gap, Gap {
                            reason: GapReason::Expired,
                            asked: Some(cursor(before as usize)),
                            resume: cursor(model.gone),
                        }),
                        (None, Some([])) => {}
                        (found, due) => prop_assert!(false, "{:?} where {:?} was due", found, due),
                    }
                }
                Step::Reconnect(which) => {
                    let place = Position::After(subscribers[which].cursor());
                    subscribers[which] = feed.subscribe(place).unwrap();
                }
                Step::Read { after, max_events, max_bytes } => {
                    let asked = cursor(after as usize);
                    let found = feed.read(Position::After(asked), max_events, max_bytes);
                    if after as usize > model.all.len() {
                        let latest = cursor(model.all.len());
                        prop_assert_eq!(found.unwrap_err(), ReadError::Future { asked, latest });
                        continue;
                    }
                    match (found, model.after(after)) {
                        (Ok(batch), Some(due)) => {
                            let got = texts(&batch.events);
                            prop_assert_eq!(&got, &due[..got.len()]);
                            prop_assert_eq!(batch.next, cursor(after as usize + got.len()));
                            // At least one if any is due; no more than asked; and no
                            // fewer than fit.
                            let size = |count: usize| due[..count].iter().map(String::len).sum::<usize>();
                            prop_assert_eq!(got.is_empty(), due.is_empty());
                            prop_assert!(got.len() <= 1 || (got.len() <= max_events && size(got.len()) <= max_bytes));
                            if got.len() < due.len() {
                                let one_more = got.len() + 1;
                                prop_assert!(one_more > max_events || size(one_more) > max_bytes);
                            }
                        }
                        (Err(ReadError::Gap(gap)), None) => {
                            prop_assert_eq!(gap.resume, cursor(model.gone));
                            prop_assert_eq!(gap.reason, GapReason::Expired);
                        }
                        (found, due) => prop_assert!(false, "{:?} where {:?} was due", found, due),
                    }
                }
            }
        }
    }

    /// A cursor of another life is a gap, wherever it points; it never reads from a
    /// wrong place.
    #[test]
    fn another_epoch_is_a_gap(id in any::<u64>(), published in 0usize..5) {
        let feed = Feed::builder().epoch("aaaaaa".parse().unwrap()).build();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for n in 0..published {
            let data = Data::new(&n).unwrap();
            runtime.block_on(feed.publish("message".parse().unwrap(), data)).unwrap();
        }
        let asked = Cursor { epoch: "bbbbbb".parse().unwrap(), id: EventId::new(id) };
        let mut subscription = feed.subscribe(Position::After(asked)).unwrap();
        prop_assert_eq!(subscription.cursor(), asked);
        let Some(Delivery::Gap(gap)) = subscription.try_next() else { panic!("no gap") };
        prop_assert_eq!(gap, Gap { reason: GapReason::NewLog, asked: Some(asked), resume: feed.state().earliest });
        let rest = subscription.try_next();
        let got = rest.map_or(0, |delivery| match delivery {
            Delivery::Batch(batch) => batch.events.len(),
            Delivery::Gap(_) => usize::MAX,
        });
        prop_assert_eq!(got, published);
    }
}
