//! Checks a history: what publishers were told, against what readers have seen.
//!
//! It knows no server and no engine. A test notes what happened, and [`History::check`]
//! says what of it a log must not do.

use contract::{Cursor, Epoch, EventId};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was published, each event once, however often it was tried.
    pub publishes: Vec<Publish>,
    /// Who has read.
    pub readers: Vec<Reader>,
    /// What the engine itself holds in the end, if somebody has looked: by it a loss
    /// has a name.
    pub kept: Option<Vec<Seen>>,
}

/// One event that somebody wanted in the log.
#[derive(Clone, Debug)]
pub struct Publish {
    /// What tells it from all others, such as its idempotency key.
    pub key: String,
    /// Each attempt, in order.
    pub tries: Vec<Try>,
}

/// One attempt to publish.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// When it began, by a clock that all publishers share. Any that only grows.
    pub begun: u64,
    /// When its answer was there.
    pub ended: u64,
    /// What was answered.
    pub answer: Answer,
}

/// What a publisher was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The event is in the log, here.
    Acknowledged(Cursor),
    /// It is not, and will not be.
    Refused,
    /// No answer, or none that says: it may be in the log, or come into it later.
    Unknown,
}

/// An event as somebody has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its place.
    pub id: Cursor,
    /// What was published there.
    pub key: String,
}

/// What one reader was handed, across as many connections as it took.
#[derive(Clone, Debug)]
pub struct Reader {
    /// For a person.
    pub name: String,
    /// Where it began: what comes after this is owed to it.
    pub from: Cursor,
    /// What came, in order.
    pub received: Vec<Received>,
}

/// Something that a reader was handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// An event.
    Event(Seen),
    /// It was told that events are missing, and that it goes on after this place:
    /// later in the same log, or in another one.
    Gap(Cursor),
}

/// What a log must not do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An acknowledged event that a reader should have had and was not told about.
    Lost {
        /// The event.
        key: String,
        /// Where it was said to be.
        id: Place,
        /// Who has not had it.
        readers: Vec<String>,
        /// Who lost it.
        by: Loser,
    },
    /// An acknowledged event that a reader has not had, but knows of: it lies in a gap.
    InAGap {
        /// The event.
        key: String,
        /// Where it was said to be.
        id: Place,
        /// Who was told of the gap.
        reader: String,
    },
    /// A reader had this place twice.
    Doubled {
        /// The place.
        id: Place,
        /// Who.
        reader: String,
    },
    /// A reader had the second place after the first one, which is later in the log.
    OutOfOrder {
        /// What came first.
        first: Place,
        /// What came then.
        then: Place,
        /// Who.
        reader: String,
    },
    /// Two events at one place.
    Disagreement {
        /// The place.
        id: Place,
        /// What is there, for different people.
        keys: Vec<String>,
    },
    /// One event at two places, or said to be at one and found at another.
    TwoPlaces {
        /// The event.
        key: String,
        /// The places.
        ids: Vec<Place>,
    },
    /// An event that nobody published, or whose publisher was told that it is not.
    Unpublished {
        /// The event.
        key: String,
        /// Its place.
        id: Place,
    },
    /// The second event was acknowledged before anybody began to publish the first,
    /// and comes after it in the log.
    Overtaken {
        /// The event that came too early.
        key: String,
        /// Whom it has overtaken.
        earlier: String,
    },
}

/// A place in a log, with an order for lists.
pub type Place = (Epoch, EventId);

/// Who lost an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loser {
    /// The engine does not hold it.
    Engine,
    /// The engine holds it.
    Servers,
    /// Nobody has looked into the engine.
    Unknown,
}

impl fmt::Display for Loser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "the engine does not hold it",
            Self::Servers => "the engine holds it",
            Self::Unknown => "nobody has looked into the engine",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |(epoch, id): &Place| format!("{epoch}.{id}");
        match self {
            Self::Lost {
                key,
                id,
                readers,
                by,
            } => {
                let id = place(id);
                let readers = match &readers[..] {
                    [] => "is gone".to_owned(),
                    readers => format!("never came to {}", readers.join(", ")),
                };
                write!(f, "{key} at {id} was acknowledged and {readers}; {by}")
            }
            Self::InAGap { key, id, reader } => {
                write!(
                    f,
                    "{key} at {} lies in a gap that {reader} was told of",
                    place(id)
                )
            }
            Self::Doubled { id, reader } => {
                write!(f, "{} came twice to {reader}", place(id))
            }
            Self::OutOfOrder {
                first,
                then,
                reader,
            } => {
                let (first, then) = (place(first), place(then));
                write!(f, "{then} came to {reader} after {first}")
            }
            Self::Disagreement { id, keys } => {
                write!(f, "{} is {}", place(id), keys.join(" and also "))
            }
            Self::TwoPlaces { key, ids } => {
                let ids: Vec<_> = ids.iter().map(place).collect();
                write!(f, "{key} is at {}", ids.join(" and also at "))
            }
            Self::Unpublished { key, id } => {
                write!(f, "{key} at {} was published by nobody", place(id))
            }
            Self::Overtaken { key, earlier } => write!(
                f,
                "{key} comes before {earlier}, which was acknowledged before it began"
            ),
        }
    }
}

fn place(cursor: Cursor) -> Place {
    (cursor.epoch, cursor.id)
}

impl Publish {
    /// Where its publisher was told that it is: more than one place is a fault.
    fn acknowledged(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.tries.iter().filter_map(|it| match it.answer {
            Answer::Acknowledged(id) => Some(id),
            Answer::Refused | Answer::Unknown => None,
        })
    }

    /// Whether it may be in the log: nobody who was refused each time expects it.
    fn may_be_there(&self) -> bool {
        self.tries.iter().any(|it| it.answer != Answer::Refused)
    }
}

impl Reader {
    fn events(&self) -> impl Iterator<Item = &Seen> {
        self.received.iter().filter_map(|it| match it {
            Received::Event(seen) => Some(seen),
            Received::Gap(_) => None,
        })
    }
}

impl History {
    /// What the log did that it must not do, in the order of the fault's names; empty
    /// where all is well.
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = BTreeSet::new();
        for reader in &self.readers {
            faults.extend(order(reader));
        }
        self.places(&mut faults);
        self.overtaken(&mut faults);
        self.lost(&mut faults);
        faults.into_iter().collect()
    }

    /// All that was seen at the readers and in the engine.
    fn seen(&self) -> impl Iterator<Item = &Seen> {
        let kept = self.kept.iter().flatten();
        self.readers.iter().flat_map(Reader::events).chain(kept)
    }

    /// One event at each place, and one place for each event; and somebody wanted it.
    fn places(&self, faults: &mut BTreeSet<Fault>) {
        let mut keys = BTreeMap::<Place, BTreeSet<&str>>::new();
        let mut ids = BTreeMap::<&str, BTreeSet<Place>>::new();
        let expected: HashSet<_> = self
            .publishes
            .iter()
            .filter(|publish| publish.may_be_there())
            .map(|publish| publish.key.as_str())
            .collect();
        for Seen { id, key } in self.seen() {
            keys.entry(place(*id)).or_default().insert(key);
            ids.entry(key).or_default().insert(place(*id));
            if !expected.contains(key.as_str()) {
                let (key, id) = (key.clone(), place(*id));
                faults.insert(Fault::Unpublished { key, id });
            }
        }
        for publish in &self.publishes {
            for id in publish.acknowledged() {
                keys.entry(place(id)).or_default().insert(&publish.key);
                ids.entry(&publish.key).or_default().insert(place(id));
            }
        }
        for (id, keys) in keys.into_iter().filter(|(_, keys)| keys.len() > 1) {
            let keys = keys.into_iter().map(str::to_owned).collect();
            faults.insert(Fault::Disagreement { id, keys });
        }
        for (key, ids) in ids.into_iter().filter(|(_, ids)| ids.len() > 1) {
            let (key, ids) = (key.to_owned(), ids.into_iter().collect());
            faults.insert(Fault::TwoPlaces { key, ids });
        }
    }

    /// What was acknowledged before another began comes before it.
    fn overtaken(&self, faults: &mut BTreeSet<Fault>) {
        let acknowledged = || {
            self.publishes.iter().filter_map(|publish| {
                let id = publish.acknowledged().next()?;
                let answered = |it: &&Try| matches!(it.answer, Answer::Acknowledged(_));
                let ended = publish.tries.iter().find(answered)?.ended;
                let begun = publish.tries.first()?.begun;
                Some((begun, ended, id, publish.key.as_str()))
            })
        };
        let mut by_begin: Vec<_> = acknowledged().collect();
        by_begin.sort_by_key(|(begun, ..)| *begun);
        let mut by_end: Vec<_> = acknowledged().collect();
        by_end.sort_by_key(|(_, ended, ..)| *ended);
        let mut before = by_end.into_iter().peekable();
        // The last place, in each log, of those who were answered so far.
        let mut last = HashMap::<Epoch, (EventId, &str)>::new();
        for (begun, _, id, key) in by_begin {
            while let Some((_, _, id, key)) =
                before.next_if(|(_, ended, ..)| *ended < begun)
            {
                let last = last.entry(id.epoch).or_insert((id.id, key));
                if id.id > last.0 {
                    *last = (id.id, key);
                }
            }
            if let Some((_, earlier)) =
                last.get(&id.epoch).filter(|(last, _)| *last > id.id)
            {
                faults.insert(Fault::Overtaken {
                    key: key.to_owned(),
                    earlier: (*earlier).to_owned(),
                });
            }
        }
    }

    /// What was acknowledged came to each reader that it was owed to.
    fn lost(&self, faults: &mut BTreeSet<Fault>) {
        let kept = self.kept.as_ref().map(|kept| {
            let kept = kept.iter().map(|it| (place(it.id), it.key.as_str()));
            kept.collect::<HashSet<_>>()
        });
        let readers: Vec<_> = self.readers.iter().map(Owed::to).collect();
        for publish in &self.publishes {
            let Some(id) = publish.acknowledged().next() else {
                continue;
            };
            let (key, id) = (&publish.key, place(id));
            let mut without = Vec::new();
            for reader in &readers {
                match reader.debt(id) {
                    Debt::None => {}
                    Debt::Told => {
                        faults.insert(Fault::InAGap {
                            key: key.clone(),
                            id,
                            reader: reader.name.to_owned(),
                        });
                    }
                    Debt::Silent => without.push(reader.name.to_owned()),
                }
            }
            let by = match &kept {
                None => Loser::Unknown,
                Some(kept) if kept.contains(&(id, key.as_str())) => Loser::Servers,
                Some(_) => Loser::Engine,
            };
            // The engine may have lost what every reader had in time.
            if !without.is_empty() || by == Loser::Engine {
                faults.insert(Fault::Lost {
                    key: key.clone(),
                    id,
                    readers: without,
                    by,
                });
            }
        }
    }
}

/// Each place once, and later places later.
fn order(reader: &Reader) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut had = HashSet::new();
    // Where it is, in each log: who comes back to an earlier log goes on there.
    let mut at = HashMap::from([place(reader.from)]);
    for received in &reader.received {
        let id = match received {
            // Later events alone: a gap leads nowhere that the reader has been.
            Received::Gap(resume) => {
                let at = at.entry(resume.epoch).or_insert(resume.id);
                *at = resume.id.max(*at);
                continue;
            }
            Received::Event(seen) => seen.id,
        };
        let last = at.entry(id.epoch).or_insert(EventId::ZERO);
        let name = || reader.name.clone();
        if !had.insert(place(id)) {
            faults.push(Fault::Doubled {
                id: place(id),
                reader: name(),
            });
        } else if id.id <= *last {
            faults.push(Fault::OutOfOrder {
                first: (id.epoch, *last),
                then: place(id),
                reader: name(),
            });
        }
        *last = id.id.max(*last);
    }
    faults
}

/// What a reader was owed, and had.
struct Owed<'a> {
    name: &'a str,
    had: HashSet<Place>,
    /// Where it began, in each log that it came to.
    from: HashMap<Epoch, EventId>,
    /// What was skipped and it was told of: of this log, after the first and up to the
    /// second, or everything after the first.
    gaps: Vec<(Epoch, EventId, Option<EventId>)>,
}

/// What there is to say of an event that may be owed to a reader.
enum Debt {
    /// It has it, or it was published before it came.
    None,
    /// It has not had it, and knows that something is missing.
    Told,
    /// It has not had it, and knows nothing.
    Silent,
}

impl<'a> Owed<'a> {
    fn to(reader: &'a Reader) -> Self {
        let mut gaps = Vec::new();
        let mut from = HashMap::from([place(reader.from)]);
        let mut at = reader.from;
        for received in &reader.received {
            match received {
                Received::Event(seen) => at = seen.id,
                Received::Gap(resume) if resume.epoch == at.epoch => {
                    gaps.push((at.epoch, at.id, Some(resume.id)));
                    at = *resume;
                }
                Received::Gap(resume) => {
                    gaps.push((at.epoch, at.id, None));
                    gaps.push((resume.epoch, EventId::ZERO, Some(resume.id)));
                    from.entry(resume.epoch).or_insert(EventId::ZERO);
                    at = *resume;
                }
            }
        }
        Self {
            name: &reader.name,
            had: reader.events().map(|seen| place(seen.id)).collect(),
            from,
            gaps,
        }
    }

    fn debt(&self, id: Place) -> Debt {
        let (epoch, number) = id;
        let before = self.from.get(&epoch).is_some_and(|from| number <= *from);
        if before || self.had.contains(&id) {
            return Debt::None;
        }
        let told = self.gaps.iter().any(|(of, after, to)| {
            *of == epoch && number > *after && to.is_none_or(|to| number <= to)
        });
        match told {
            true => Debt::Told,
            false => Debt::Silent,
        }
    }
}

#[cfg(test)]
mod tests;
