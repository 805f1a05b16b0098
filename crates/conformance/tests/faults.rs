//! The suite, tested: a transport that does everything right passes every case, and
//! transports that are broken on purpose, each in one way, fail exactly the cases
//! listed here.
//!
//! They carry no bytes. Time is the runtime's own and jumps ahead when all are asleep,
//! so that a case which waits in vain fails at once.

use client::Update;
use conformance::{
    run, Gate, Held, Method, Outcome, Refused, Running, Servers, Settings, Transport,
    Withdrawn, CASES,
};
use contract::{Cursor, Data, EventId, Gap, GapReason, IdempotencyKey, Kind, Position};
use feed::{Delivery, Event, Feed, PublishError, Retention, Subscription};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{self, BoxStream, StreamExt},
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    collections::{BTreeMap, VecDeque},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;
use url::Url;

/// One way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Not broken.
    None,
    /// Reads the history, then asks for what is new, and loses what came between.
    DropsAtTheSeam,
    /// Comes back one event too early.
    DoublesOnReconnect,
    /// Comes back at the latest: what happened while it was away is lost.
    ForgetsItsCursor,
    /// Has no cursor until its first event.
    WaitsWithoutACursor,
    /// Goes on from the oldest event without a word about what is missing.
    SkipsGapsInSilence,
    /// Compares numbers and not epochs.
    IgnoresTheEpoch,
    /// Takes a cursor from the future for the latest.
    TrustsTheFuture,
    /// Says nothing when nothing happens.
    NoHeartbeat,
    /// Waits at shutdown for clients that wait for events.
    NeverShutsDown,
    /// Keeps its clients after the log is finished.
    NeverFinishes,
    /// Hands out batches newest first.
    Reorders,
    /// Ends a line of data where a carriage return stands.
    ManglesLineEnds,
    /// Publishes each retry.
    IgnoresTheKey,
    /// Answers a publish with the id of the event before.
    MisnamesWhatItPublished,
    /// Lets those who have logged out listen on.
    HearsOfNoLogout,
    /// Breaks the connections of all when one logs out.
    DisturbsTheNeighbours,
    /// Looks at rights once, when a connection begins.
    ShowsWhatWasWithdrawn,
    /// Takes what it has not heard of for what has not happened.
    JudgesByItself,
    /// Takes what it does not have any more for what nobody has.
    ForgetsForAll,
}

/// Which cases each fault fails. A fault that fails none, or a case that no fault
/// fails, would be a hole in the suite.
const CAUGHT: &[(Fault, &[&str])] = &[
    (
        Fault::DropsAtTheSeam,
        &[
            "history_comes_first_and_then_what_is_new",
            "events_keep_their_order_under_load",
            "nothing_is_lost_or_doubled_across_cuts",
            "an_expired_cursor_is_a_gap",
            "a_cursor_of_another_log_is_a_gap",
            "a_client_that_was_away_too_long_gets_a_gap",
            "what_one_server_has_forgotten_is_no_gap",
            "a_client_that_renews_loses_nothing",
        ],
    ),
    (
        Fault::DoublesOnReconnect,
        &[
            "nothing_is_lost_or_doubled_across_cuts",
            "a_client_that_saw_nothing_yet_loses_nothing",
            "a_client_that_was_away_too_long_gets_a_gap",
            "a_client_that_renews_loses_nothing",
        ],
    ),
    (
        Fault::ForgetsItsCursor,
        &[
            "nothing_is_lost_or_doubled_across_cuts",
            "a_client_that_saw_nothing_yet_loses_nothing",
            "a_client_that_was_away_too_long_gets_a_gap",
            "a_client_that_renews_loses_nothing",
        ],
    ),
    (
        Fault::WaitsWithoutACursor,
        &[
            "a_cursor_comes_before_the_wait",
            "history_comes_first_and_then_what_is_new",
            "the_earliest_is_the_oldest_event_that_is_kept",
            "a_client_starts_after_its_cursor",
            "events_keep_their_order_under_load",
            "nothing_is_lost_or_doubled_across_cuts",
            "a_client_that_saw_nothing_yet_loses_nothing",
            "a_client_that_was_away_too_long_gets_a_gap",
            "a_cursor_ahead_of_one_server_is_waited_for",
            "silence_is_filled_with_heartbeats",
            "a_shutdown_ends_open_connections",
            "a_finished_log_ends_its_clients",
            "a_finished_log_accepts_no_event",
            "data_comes_out_as_it_went_in",
            "every_client_sees_what_one_publishes",
            "a_retried_publish_is_one_event",
            "a_refused_publish_leaves_no_event",
            "a_logout_ends_one_client_and_no_other",
            "a_client_that_renews_loses_nothing",
            "a_right_withdrawn_holds_from_the_next_event_on",
        ],
    ),
    (
        Fault::SkipsGapsInSilence,
        &[
            "an_expired_cursor_is_a_gap",
            "a_cursor_of_another_log_is_a_gap",
            "a_client_that_was_away_too_long_gets_a_gap",
        ],
    ),
    (
        Fault::IgnoresTheEpoch,
        &["a_cursor_of_another_log_is_a_gap"],
    ),
    (
        Fault::TrustsTheFuture,
        &["a_cursor_from_the_future_is_refused"],
    ),
    (Fault::NoHeartbeat, &["silence_is_filled_with_heartbeats"]),
    (Fault::NeverShutsDown, &["a_shutdown_ends_open_connections"]),
    (
        Fault::NeverFinishes,
        &[
            "a_finished_log_ends_its_clients",
            "a_finished_log_lets_late_clients_read_to_its_end",
            "a_finished_log_accepts_no_event",
        ],
    ),
    (
        Fault::Reorders,
        &[
            "history_comes_first_and_then_what_is_new",
            "the_earliest_is_the_oldest_event_that_is_kept",
            "a_client_starts_after_its_cursor",
            "events_keep_their_order_under_load",
            "nothing_is_lost_or_doubled_across_cuts",
            "a_client_that_saw_nothing_yet_loses_nothing",
            "an_expired_cursor_is_a_gap",
            "a_cursor_of_another_log_is_a_gap",
            "a_client_that_was_away_too_long_gets_a_gap",
            "what_one_server_has_forgotten_is_no_gap",
            "a_finished_log_ends_its_clients",
            "a_finished_log_lets_late_clients_read_to_its_end",
            "a_retried_publish_is_one_event",
            "a_refused_publish_leaves_no_event",
            "a_client_that_renews_loses_nothing",
            "a_right_withdrawn_holds_from_the_next_event_on",
        ],
    ),
    (Fault::ManglesLineEnds, &["data_comes_out_as_it_went_in"]),
    (
        Fault::IgnoresTheKey,
        &[
            "a_retried_publish_is_one_event",
            "a_refused_publish_leaves_no_event",
        ],
    ),
    (
        Fault::MisnamesWhatItPublished,
        &[
            "a_cursor_comes_before_the_wait",
            "history_comes_first_and_then_what_is_new",
            "the_earliest_is_the_oldest_event_that_is_kept",
            "a_client_starts_after_its_cursor",
            "events_keep_their_order_under_load",
            "nothing_is_lost_or_doubled_across_cuts",
            "a_client_that_saw_nothing_yet_loses_nothing",
            "an_expired_cursor_is_a_gap",
            "a_cursor_of_another_log_is_a_gap",
            "a_client_that_was_away_too_long_gets_a_gap",
            "what_one_server_has_forgotten_is_no_gap",
            "silence_is_filled_with_heartbeats",
            "a_finished_log_ends_its_clients",
            "a_finished_log_lets_late_clients_read_to_its_end",
            "a_finished_log_accepts_no_event",
            "every_client_sees_what_one_publishes",
            "a_retried_publish_is_one_event",
            "a_refused_publish_leaves_no_event",
            "a_logout_ends_one_client_and_no_other",
            "a_client_that_renews_loses_nothing",
            "a_right_withdrawn_holds_from_the_next_event_on",
        ],
    ),
    (
        Fault::HearsOfNoLogout,
        &["a_logout_ends_one_client_and_no_other"],
    ),
    (
        Fault::DisturbsTheNeighbours,
        &["a_logout_ends_one_client_and_no_other"],
    ),
    (
        Fault::ShowsWhatWasWithdrawn,
        &["a_right_withdrawn_holds_from_the_next_event_on"],
    ),
    (
        Fault::JudgesByItself,
        &["a_cursor_ahead_of_one_server_is_waited_for"],
    ),
    (
        Fault::ForgetsForAll,
        &["what_one_server_has_forgotten_is_no_gap"],
    ),
];

/// Hands events from the log to the client in one process.
struct Direct(Fault);

struct Server {
    fault: Fault,
    feed: Feed,
    heartbeat: Duration,
    /// Whether connections pass.
    link: watch::Sender<bool>,
    /// Whether the server ends.
    ending: watch::Sender<bool>,
    gate: Readers,
    beside: watch::Sender<Beside>,
}

/// How long a server that is late waits until it has heard of what it is asked for.
const WAITS: Duration = Duration::from_secs(5);

/// What distinguishes the server that is asked from others over the same log.
#[derive(Clone, Copy, Default)]
struct Beside {
    /// It has heard of no event after this one.
    knows: Option<EventId>,
    /// It has no event before this one any more.
    begins: Option<EventId>,
}

impl Servers for Server {
    fn hold_back(&self) -> BoxFuture<'_, Outcome> {
        let knows = Some(self.feed.state().latest.id);
        self.beside.send_modify(|beside| beside.knows = knows);
        async { Ok(()) }.boxed()
    }

    fn let_on(&self) -> BoxFuture<'_, Outcome> {
        self.beside.send_modify(|beside| beside.knows = None);
        async { Ok(()) }.boxed()
    }

    fn forget(&self) -> BoxFuture<'_, Outcome> {
        let begins = Some(self.feed.state().latest.id);
        self.beside.send_modify(|beside| beside.begins = begins);
        async { Ok(()) }.boxed()
    }
}

/// Those who were admitted, by their tokens.
#[derive(Clone)]
struct Readers {
    fault: Fault,
    readers: Arc<Mutex<BTreeMap<String, watch::Sender<Reader>>>>,
}

/// What a reader has lost.
#[derive(Clone, Default)]
struct Reader {
    /// The credential, or all access.
    over: Option<Withdrawn>,
    /// The right to see events of these kinds.
    kinds: Vec<Kind>,
    /// Nothing, but its connection is to break.
    disturbed: bool,
}

impl Reader {
    fn is_cut_off(&self) -> bool {
        self.disturbed || self.over.is_some()
    }
}

impl Gate for Readers {
    fn admit(&self) -> BoxFuture<'_, Result<String, String>> {
        let mut readers = self.readers.lock().expect("no panic");
        let token = readers.len().to_string();
        readers.insert(token.clone(), watch::Sender::default());
        async { Ok(token) }.boxed()
    }

    fn withdraw<'a>(
        &'a self,
        token: &'a str,
        what: Withdrawn,
    ) -> BoxFuture<'a, Outcome> {
        for (other, reader) in &*self.readers.lock().expect("no panic") {
            let what = what.clone();
            reader.send_modify(|reader| match what {
                Withdrawn::Access if other != token => {
                    reader.disturbed = self.fault == Fault::DisturbsTheNeighbours;
                }
                _ if other != token => {}
                Withdrawn::Access if self.fault == Fault::HearsOfNoLogout => {}
                Withdrawn::Kind(kind) => reader.kinds.push(kind),
                what => reader.over = Some(what),
            });
        }
        async { Ok(()) }.boxed()
    }
}

impl Transport for Direct {
    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Running>, String>> {
        let retention = Retention {
            max_events: settings.retention,
            ..Retention::default()
        };
        let server = Server {
            fault: self.0,
            feed: Feed::new(retention),
            heartbeat: settings.heartbeat,
            link: watch::Sender::new(true),
            ending: watch::Sender::new(false),
            gate: Readers {
                fault: self.0,
                readers: Arc::default(),
            },
            beside: watch::Sender::default(),
        };
        async move { Ok(Box::new(server) as Box<dyn Running>) }.boxed()
    }

    fn starts_anew(&self) -> bool {
        true
    }
}

impl Server {
    fn follow(
        &self,
        held: Option<Held>,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>> {
        let client = Client {
            fault: self.fault,
            feed: self.feed.clone(),
            heartbeat: self.heartbeat,
            link: self.link.subscribe(),
            ending: self.ending.subscribe(),
            named: held.map(|held| (held, self.gate.clone())),
            reader: watch::Sender::default().subscribe(),
            beside: self.beside.subscribe(),
            position,
            connection: None,
            drop_next: false,
            ready: VecDeque::new(),
            over: false,
        };
        stream::unfold(client, |mut client| async move {
            client.update().await.map(|update| (update, client))
        })
        .boxed()
    }
}

impl Running for Server {
    fn subscribe(
        &self,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>> {
        self.follow(None, position)
    }

    fn subscribe_as(
        &self,
        held: Held,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>> {
        self.follow(Some(held), position)
    }

    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>> {
        async move {
            let published = match key {
                Some(key) if self.fault != Fault::IgnoresTheKey => self
                    .feed
                    .publish_once(key, kind, data)
                    .await
                    .map(|published| published.cursor),
                _ => self.feed.publish(kind, data).await,
            };
            let published = published.map(|cursor| match self.fault {
                Fault::MisnamesWhatItPublished => before(cursor),
                _ => cursor,
            });
            published.map_err(|error| {
                let name = match error {
                    PublishError::TooLarge { .. } => "too-large",
                    PublishError::KeyReused => "key-reused",
                    PublishError::Finished => "finished",
                    PublishError::Unavailable => "unavailable",
                };
                Refused(name.to_owned())
            })
        }
        .boxed()
    }

    fn cut(&self) {
        self.link.send_replace(false);
    }

    fn restore(&self) {
        self.link.send_replace(true);
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        async move {
            if self.fault == Fault::NeverShutsDown {
                self.ending.closed().await;
            }
            self.ending.send_replace(true);
            Ok(())
        }
        .boxed()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.feed.finish();
        async { Ok(()) }.boxed()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        Some(&self.gate)
    }

    fn servers(&self) -> Option<&dyn Servers> {
        Some(self)
    }

    fn address(&self) -> Option<(Method, &Url)> {
        None
    }
}

/// The client's and the server's side of one connection in one place.
struct Client {
    fault: Fault,
    feed: Feed,
    heartbeat: Duration,
    link: watch::Receiver<bool>,
    ending: watch::Receiver<bool>,
    /// Where it says who it is, and to whom.
    named: Option<(Held, Readers)>,
    /// Whose connection it is.
    reader: watch::Receiver<Reader>,
    beside: watch::Receiver<Beside>,
    /// Where the next connection starts.
    position: Position,
    connection: Option<Subscription>,
    /// Whether the next delivery is lost, in a transport that loses it.
    drop_next: bool,
    /// Updates that were made at once and are handed out one by one.
    ready: VecDeque<Result<Update, Refused>>,
    /// Whether the client has ended for good.
    over: bool,
}

impl Client {
    async fn update(&mut self) -> Option<Result<Update, Refused>> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            if self.over
                && self.fault == Fault::NeverFinishes
                && self.feed.is_finished()
            {
                std::future::pending::<()>().await;
            }
            if self.over {
                return None;
            }
            match self.connection.take() {
                None => self.connect().await,
                Some(connection) => self.wait(connection).await,
            }
        }
    }

    async fn connect(&mut self) {
        if self.link.wait_for(|passing| *passing).await.is_err()
            || *self.ending.borrow()
        {
            std::future::pending::<()>().await;
        }
        if let Some((held, readers)) = &self.named {
            let readers = readers.readers.lock().expect("no panic");
            let reader = &readers[&held.get()];
            // Once is enough.
            reader.send_modify(|reader| reader.disturbed = false);
            self.reader = reader.subscribe();
        }
        if let Position::After(cursor) = self.position {
            let is_ahead =
                |beside: &Beside| beside.knows.is_some_and(|id| cursor.id > id);
            if self.fault == Fault::JudgesByItself && is_ahead(&self.beside.borrow()) {
                self.ready
                    .push_back(Err(Refused("future-cursor".to_owned())));
                self.over = true;
                return;
            }
            let comes = self.beside.wait_for(|beside| !is_ahead(beside));
            if tokio::time::timeout(WAITS, comes).await.is_err() {
                self.lost();
                return;
            }
            let begins = self.beside.borrow().begins;
            let gone = begins.filter(|begins| cursor.id.get() + 1 < begins.get());
            if let (Fault::ForgetsForAll, Some(id)) = (self.fault, gone) {
                let resume = before(Cursor { id, ..cursor });
                self.position = Position::After(resume);
                self.ready.push_back(Ok(Update::Gap(Gap {
                    reason: GapReason::Expired,
                    asked: Some(cursor),
                    resume,
                })));
            }
        }
        let latest = self.feed.state().latest;
        let earliest = self.feed.state().earliest;
        let position = match (self.fault, self.position) {
            (Fault::IgnoresTheEpoch, Position::After(cursor)) => {
                Position::After(Cursor {
                    epoch: latest.epoch,
                    ..cursor
                })
            }
            (Fault::SkipsGapsInSilence, Position::After(cursor))
                if cursor.epoch != latest.epoch || cursor.id < earliest.id =>
            {
                Position::Earliest
            }
            (Fault::TrustsTheFuture, Position::After(cursor))
                if cursor.epoch == latest.epoch && cursor.id > latest.id =>
            {
                Position::Latest
            }
            (_, position) => position,
        };
        match self.feed.subscribe(position) {
            Err(_) => {
                self.ready
                    .push_back(Err(Refused("future-cursor".to_owned())));
                self.over = true;
            }
            Ok(mut connection) => {
                if self.fault != Fault::WaitsWithoutACursor {
                    self.position = Position::After(connection.cursor());
                    self.ready
                        .push_back(Ok(Update::Opened(connection.cursor())));
                }
                if self.fault == Fault::DropsAtTheSeam {
                    if let Some(history) = connection.try_next() {
                        self.hand_out(history);
                        self.drop_next = true;
                    }
                }
                self.connection = Some(connection);
            }
        }
    }

    async fn wait(&mut self, mut connection: Subscription) {
        let (mut link, mut ending) = (self.link.clone(), self.ending.clone());
        let mut reader = self.reader.clone();
        tokio::select! {
            // First what is certain: a connection that is cut or ended carries nothing
            // more. Every arm may be dropped: three watch a value, `next` is
            // cancel-safe, and the timer starts anew each time.
            biased;
            _ = link.wait_for(|passing| !passing) => self.lost(),
            _ = ending.wait_for(|ending| *ending) => self.lost(),
            Ok(reader) = reader.wait_for(Reader::is_cut_off) => match reader.over {
                Some(Withdrawn::Access) => {
                    let forbidden = Refused("forbidden".to_owned());
                    self.ready.push_back(Err(forbidden));
                    self.over = true;
                }
                _ => self.lost(),
            },
            delivery = connection.next() => match delivery {
                Some(delivery) => {
                    if !std::mem::take(&mut self.drop_next) {
                        self.hand_out(delivery);
                    }
                    self.connection = Some(connection);
                }
                None => {
                    if self.fault != Fault::NeverFinishes {
                        self.ready.push_back(Ok(Update::Finished));
                    }
                    self.over = true;
                }
            },
            () = tokio::time::sleep(self.heartbeat) => {
                if self.fault != Fault::NoHeartbeat {
                    self.ready.push_back(Ok(Update::Heartbeat));
                }
                self.connection = Some(connection);
            }
        }
    }

    fn lost(&mut self) {
        self.ready
            .push_back(Ok(Update::Reconnecting(Duration::ZERO)));
        match (self.fault, self.position) {
            (Fault::ForgetsItsCursor, _) => self.position = Position::Latest,
            (Fault::DoublesOnReconnect, Position::After(cursor)) => {
                self.position = Position::After(before(cursor));
            }
            _ => {}
        }
    }

    fn hand_out(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Gap(gap) => {
                self.position = Position::After(gap.resume);
                if self.fault != Fault::SkipsGapsInSilence {
                    self.ready.push_back(Ok(Update::Gap(gap)));
                }
            }
            Delivery::Batch(batch) => {
                self.position = Position::After(batch.next);
                let withdrawn = self.reader.borrow().kinds.clone();
                let is_shown = |event: &&Arc<Event>| {
                    self.fault == Fault::ShowsWhatWasWithdrawn
                        || !withdrawn.contains(event.kind())
                };
                let mut events: Vec<contract::Event> = batch
                    .events
                    .iter()
                    .filter(is_shown)
                    .map(|event| self.decoded(event))
                    .collect();
                if self.fault == Fault::Reorders {
                    events.reverse();
                }
                self.ready.push_back(Ok(Update::Events(events)));
            }
        }
    }

    fn decoded(&self, event: &Arc<Event>) -> contract::Event {
        let json = String::from_utf8(event.json().to_vec()).expect("JSON is UTF-8");
        let json = match self.fault {
            Fault::ManglesLineEnds => json.replace("\\r", "\\n"),
            _ => json,
        };
        serde_json::from_str(&json).expect("the log's own JSON")
    }
}

/// One event earlier.
fn before(cursor: Cursor) -> Cursor {
    let id = EventId::new(cursor.id.get().saturating_sub(1));
    Cursor { id, ..cursor }
}

fn failures(fault: Fault) -> Vec<&'static str> {
    CASES
        .iter()
        .filter(|case| !case.is_raw)
        .filter(|case| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            runtime.block_on(run(case, &Direct(fault))).is_err()
        })
        .map(|case| case.name)
        .collect()
}

fn verdict(fault: Fault, expected: &[&str]) -> Result<(), Failed> {
    let found = failures(fault);
    if found == expected {
        Ok(())
    } else {
        Err(format!("{fault:?} fails {found:#?}\nexpected {expected:#?}").into())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("a_right_transport_passes", || {
        verdict(Fault::None, &[])
    })];
    for (fault, expected) in CAUGHT {
        trials.push(Trial::test(format!("the_suite_catches::{fault:?}"), || {
            verdict(*fault, expected)
        }));
    }
    trials.push(Trial::test("every_case_catches_something", || {
        let idle: Vec<_> = CASES
            .iter()
            .filter(|case| !case.is_raw)
            .map(|case| case.name)
            .filter(|name| !CAUGHT.iter().any(|(_, caught)| caught.contains(name)))
            .collect();
        if idle.is_empty() {
            Ok(())
        } else {
            Err(format!("no broken transport fails {idle:#?}").into())
        }
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}
