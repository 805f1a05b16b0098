//! The checker, with what it must find planted.

use super::*;

const LOG: &str = "k3f9x2";
const OTHER: &str = "otherl";

fn at(epoch: &str, id: u64) -> Cursor {
    Cursor {
        epoch: epoch.parse().expect("an epoch"),
        id: EventId::new(id),
    }
}

fn key(number: u64) -> String {
    format!("e{number}")
}

fn event(number: u64) -> Received {
    Received::Event(Seen {
        id: at(LOG, number),
        key: key(number),
    })
}

fn answered(number: u64, answer: Answer) -> Publish {
    Publish {
        key: key(number),
        tries: vec![Try {
            begun: 10 * number,
            ended: 10 * number + 5,
            answer,
        }],
    }
}

/// Two readers of ten acknowledged events: nothing is wrong.
fn good() -> History {
    let reader = |name: &str| Reader {
        name: name.to_owned(),
        from: at(LOG, 0),
        received: (1..=10).map(event).collect(),
    };
    let acknowledged = |number| answered(number, Answer::Acknowledged(at(LOG, number)));
    History {
        publishes: (1..=10).map(acknowledged).collect(),
        readers: vec![reader("anna"), reader("ben")],
        kept: None,
    }
}

fn id(number: u64) -> Place {
    place(at(LOG, number))
}

fn lost(number: u64, readers: &[&str], by: Loser) -> Fault {
    Fault::Lost {
        key: key(number),
        id: id(number),
        readers: readers.iter().map(|&name| name.to_owned()).collect(),
        by,
    }
}

fn ben() -> String {
    "ben".to_owned()
}

#[test]
fn a_good_history_has_no_fault() {
    assert_eq!(good().check(), []);
}

#[test]
fn a_loss_is_found_wherever_it_is_planted() {
    for number in 1..=10 {
        let mut history = good();
        history.readers[1]
            .received
            .retain(|it| *it != event(number));
        assert_eq!(history.check(), [lost(number, &["ben"], Loser::Unknown)]);
    }
    // Also of a reader that stopped, and of one that never had anything.
    let mut history = good();
    history.readers[0].received.truncate(8);
    history.readers[1].received.clear();
    let found = history.check();
    assert_eq!(found.len(), 10);
    assert_eq!(found[0], lost(1, &["ben"], Loser::Unknown));
    assert!(found.contains(&lost(9, &["anna", "ben"], Loser::Unknown)));
}

#[test]
fn who_lost_it_is_told_by_what_the_engine_holds() {
    let kept = |without: Option<u64>| {
        let numbers = (1..=10).filter(|number| Some(*number) != without);
        let seen = |number| Seen {
            id: at(LOG, number),
            key: key(number),
        };
        Some(numbers.map(seen).collect())
    };
    let mut history = good();
    history.kept = kept(None);
    assert_eq!(history.check(), []);
    history.readers[1].received.remove(3);
    assert_eq!(history.check(), [lost(4, &["ben"], Loser::Servers)]);
    history.readers[0].received.remove(3);
    history.kept = kept(Some(4));
    let found = history.check();
    assert_eq!(found, [lost(4, &["anna", "ben"], Loser::Engine)]);
    // Whoever had it in time does not make it safe.
    let history = History {
        kept: kept(Some(4)),
        ..good()
    };
    assert_eq!(history.check(), [lost(4, &[], Loser::Engine)]);
}

#[test]
fn a_double_is_found_near_and_far() {
    for (number, place) in [(3, 3), (3, 10), (10, 10), (1, 5)] {
        let mut history = good();
        history.readers[1].received.insert(place, event(number));
        let (id, reader) = (id(number), ben());
        assert_eq!(history.check(), [Fault::Doubled { id, reader }]);
    }
}

#[test]
fn a_swap_is_out_of_order() {
    let mut history = good();
    history.readers[1].received.swap(4, 5);
    let fault = Fault::OutOfOrder {
        first: id(6),
        then: id(5),
        reader: ben(),
    };
    assert_eq!(history.check(), [fault]);
}

#[test]
fn readers_must_agree_on_what_is_at_a_place() {
    let mut history = good();
    history.publishes.push(answered(11, Answer::Unknown));
    let seen = Seen {
        id: at(LOG, 5),
        key: key(11),
    };
    history.readers[1].received[4] = Received::Event(seen);
    let keys = vec![key(11), key(5)];
    let fault = Fault::Disagreement { id: id(5), keys };
    assert_eq!(history.check(), [fault]);
}

#[test]
fn nobody_may_see_what_nobody_published() {
    let mut history = good();
    for reader in &mut history.readers {
        reader.received.push(event(11));
    }
    let (key, id) = (key(11), id(11));
    let fault = Fault::Unpublished { key, id };
    assert_eq!(history.check(), std::slice::from_ref(&fault));
    // Nor what was refused.
    history.publishes.push(answered(11, Answer::Refused));
    assert_eq!(history.check(), [fault]);
}

#[test]
fn an_unknown_outcome_is_there_or_not_and_once() {
    let mut history = good();
    history.publishes.push(answered(11, Answer::Unknown));
    assert_eq!(history.check(), []);
    for reader in &mut history.readers {
        reader.received.push(event(11));
    }
    assert_eq!(history.check(), []);
    let again = Seen {
        id: at(LOG, 12),
        key: key(11),
    };
    for reader in &mut history.readers {
        reader.received.push(Received::Event(again.clone()));
    }
    let (key, ids) = (key(11), vec![id(11), id(12)]);
    assert_eq!(history.check(), [Fault::TwoPlaces { key, ids }]);
}

#[test]
fn a_retry_is_the_same_event() {
    let mut history = good();
    let answer = |id| Try {
        begun: 1000,
        ended: 1001,
        answer: Answer::Acknowledged(at(LOG, id)),
    };
    // It had no answer, and then one; and it is asked once more.
    history.publishes[3].tries[0].answer = Answer::Unknown;
    history.publishes[3].tries.extend([answer(4), answer(4)]);
    assert_eq!(history.check(), []);
    history.publishes[3].tries.push(answer(11));
    let (key, ids) = (key(4), vec![id(4), id(11)]);
    assert_eq!(history.check(), [Fault::TwoPlaces { key, ids }]);
}

#[test]
fn what_was_acknowledged_before_another_began_comes_first() {
    let mut history = good();
    // Of two at one time either may be the first.
    history.publishes[4].tries[0].ended = 65;
    let answers = [6, 5].map(|number| Answer::Acknowledged(at(LOG, number)));
    for (publish, answer) in history.publishes[4..].iter_mut().zip(answers) {
        publish.tries[0].answer = answer;
    }
    for reader in &mut history.readers {
        for (number, key) in [(5, key(6)), (6, key(5))] {
            let id = at(LOG, number);
            let place = usize::try_from(number).expect("small") - 1;
            reader.received[place] = Received::Event(Seen { id, key });
        }
    }
    assert_eq!(history.check(), []);
    history.publishes[4].tries[0].ended = 55;
    let (key, earlier) = (key(6), key(5));
    assert_eq!(history.check(), [Fault::Overtaken { key, earlier }]);
}

#[test]
fn a_reader_is_owed_what_comes_after_its_beginning() {
    let mut history = good();
    history.readers[1].from = at(LOG, 4);
    history.readers[1].received.drain(..4);
    assert_eq!(history.check(), []);
    history.readers[1].received.remove(0);
    assert_eq!(history.check(), [lost(5, &["ben"], Loser::Unknown)]);
}

#[test]
fn what_lies_in_a_gap_is_told_apart_from_a_loss() {
    let mut history = good();
    let received = &mut history.readers[1].received;
    received.splice(2..5, [Received::Gap(at(LOG, 5))]);
    let in_a_gap = |number| Fault::InAGap {
        key: key(number),
        id: id(number),
        reader: ben(),
    };
    assert_eq!(history.check(), [3, 4, 5].map(in_a_gap));
    // What comes after a gap is owed as before.
    history.readers[1].received.remove(3);
    let found = history.check();
    assert_eq!(found[0], lost(6, &["ben"], Loser::Unknown));
    assert_eq!(found.len(), 4);
}

#[test]
fn another_log_has_places_of_its_own() {
    let mut history = good();
    let seen = |number| Seen {
        id: at(OTHER, number),
        key: format!("o{number}"),
    };
    for number in 1..=3 {
        let mut publish =
            answered(10 + number, Answer::Acknowledged(at(OTHER, number)));
        publish.key = seen(number).key;
        history.publishes.push(publish);
    }
    for reader in &mut history.readers {
        reader.received.push(Received::Gap(at(OTHER, 0)));
        let events = (1..=3).map(|number| Received::Event(seen(number)));
        reader.received.extend(events);
    }
    assert_eq!(history.check(), []);
    // Who left the first log before its end was told so.
    history.readers[1].received.remove(9);
    let fault = Fault::InAGap {
        key: key(10),
        id: id(10),
        reader: ben(),
    };
    assert_eq!(history.check(), [fault]);
    // Who never came to the second one was not.
    history.readers[0].received.truncate(10);
    let found = history.check();
    let of_anna = |fault: &&Fault| match fault {
        Fault::Lost { readers, .. } => *readers == ["anna"],
        _ => false,
    };
    assert_eq!(found.iter().filter(of_anna).count(), 3);
}

#[test]
fn a_fault_says_who_and_what() {
    let said = lost(4, &["anna", "ben"], Loser::Engine).to_string();
    assert_eq!(
        said,
        "e4 at k3f9x2.4 was acknowledged and never came to anna, ben; the engine does \
         not hold it"
    );
}
