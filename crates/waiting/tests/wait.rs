//! Joining and waiting: every outcome, their order, and what a dropped call loses
//! (nothing). Time passes only while nothing else can happen, and then at once.

use contract::{Cursor, Data, Gap, GapReason, Position, ProblemKind};
use feed::{Feed, Retention};
use signal::Signal;
use std::{future::Future, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{advance, timeout, Instant},
};
use waiting::{
    Access, ConnectionName, Cuts, Door, Interrupted, Next, Over, Places, Reader,
    Rights, Room, Wait,
};

const SILENCE: Duration = Duration::from_secs(15);

/// A guard against tests that hang; on a paused clock it passes as soon as nothing else
/// can happen.
const HANG: Duration = Duration::from_secs(3600);

struct Stand {
    log: Feed,
    end: Signal,
    places: Places,
    room: Room,
}

/// A room with two places, over a log that keeps three events.
fn stand() -> Stand {
    let log = Feed::builder()
        .epoch("k3f9x2".parse().unwrap())
        .retention(Retention {
            max_events: 3,
            ..Retention::default()
        })
        .build();
    let (end, places) = (Signal::new(), Places::new(2));
    let door = Door::new(end.clone(), places.clone());
    let room = Room::new("method", log.clone(), door).with_cuts(Cuts::new(true));
    Stand {
        log,
        end,
        places,
        room,
    }
}

impl Stand {
    async fn join(&self, position: Position) -> Wait {
        self.room.join(position, named("a")).await.unwrap()
    }

    async fn publish(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            let data = Data::new(&number).unwrap();
            let kind = "message".parse().unwrap();
            self.log.publish(kind, data).await.unwrap();
        }
    }
}

/// A room whose streams may be open for this long.
fn aging(stand: &Stand, max_age: Duration) -> Room {
    let door = Door::new(stand.end.clone(), stand.places.clone());
    let door = door.with_max_age(Some(max_age));
    Room::new("method", stand.log.clone(), door)
}

fn named(name: &str) -> ConnectionName {
    ConnectionName(Some(name.to_owned()))
}

fn cursor(id: u64) -> Cursor {
    format!("k3f9x2.{id}").parse().unwrap()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(HANG, future).await.expect("it comes")
}

/// The ids of the batch that comes next.
async fn batch(wait: &mut Wait) -> Vec<u64> {
    match in_time(wait.next()).await {
        Next::Batch(batch) => {
            let ids = batch.events.iter().map(|event| event.cursor().id.get());
            ids.collect()
        }
        other => panic!("no batch: {other:?}"),
    }
}

/// The outcome without its content.
async fn name(wait: &mut Wait) -> &'static str {
    match in_time(wait.next()).await {
        Next::Batch(_) => "batch",
        Next::Gap(_) => "gap",
        Next::Silence => "silence",
        Next::Finished => "finished",
        Next::Ending => "ending",
        Next::Aged => "aged",
        Next::Cut => "cut",
        Next::Over(Over::Renew) => "renew",
        Next::Over(Over::Denied) => "denied",
    }
}

/// A wait that is asleep, in a task of its own.
async fn asleep(mut wait: Wait) -> JoinHandle<&'static str> {
    let waiting = tokio::spawn(async move { name(&mut wait).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "it waits");
    waiting
}

// The outcomes.

#[tokio::test(start_paused = true)]
async fn history_comes_first_and_then_what_happens() {
    let stand = stand();
    stand.publish(1..=2).await;
    let mut wait = stand.join(Position::Earliest).await;
    assert_eq!(wait.cursor(), cursor(0));
    assert_eq!(batch(&mut wait).await, [1, 2]);
    assert_eq!(wait.cursor(), cursor(2));
    let waiting = asleep(wait).await;
    stand.publish(3..=3).await;
    assert_eq!(in_time(waiting).await.unwrap(), "batch");
}

#[tokio::test(start_paused = true)]
async fn who_lags_behind_gets_a_gap_and_goes_on() {
    let stand = stand();
    let mut wait = stand.join(Position::Latest).await;
    stand.publish(1..=5).await;
    let Next::Gap(gap) = in_time(wait.next()).await else {
        panic!("a gap")
    };
    let expected = Gap {
        reason: GapReason::Expired,
        asked: Some(cursor(0)),
        resume: cursor(2),
    };
    assert_eq!((gap, wait.cursor()), (expected, cursor(2)));
    assert_eq!(batch(&mut wait).await, [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_once_for_many_is_not_read_again() {
    let stand = stand();
    let (mut reader, mut other) = (
        stand.join(Position::Latest).await,
        stand.join(Position::Latest).await,
    );
    stand.publish(1..=3).await;
    let Next::Batch(read) = in_time(reader.next()).await else {
        panic!("a batch")
    };
    other.advance(&read.events[..2], &read.log);
    assert_eq!(other.cursor(), cursor(2));
    other.advance(&[], &read.log);
    assert_eq!(batch(&mut other).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_where_the_limit_was_set() {
    let stand = stand();
    let mut wait = stand.join(Position::Latest).await;
    let start = Instant::now();
    wait.limit_silence(SILENCE);
    advance(Duration::from_secs(10)).await;
    stand.publish(1..=1).await;
    // Events do not move it.
    assert_eq!(batch(&mut wait).await, [1]);
    assert_eq!(name(&mut wait).await, "silence");
    assert!(start.elapsed() >= SILENCE && start.elapsed() < SILENCE * 2);
    // Nor does it pass of itself.
    assert_eq!(name(&mut wait).await, "silence");
    assert!(start.elapsed() < SILENCE * 2);
    // A method that counts from the last message sets it anew before each call.
    wait.limit_silence(SILENCE);
    let again = Instant::now();
    assert_eq!(name(&mut wait).await, "silence");
    assert!(again.elapsed() >= SILENCE);
    wait.limit_silence(Duration::MAX);
    let waiting = asleep(wait).await;
    stand.log.finish();
    assert_eq!(in_time(waiting).await.unwrap(), "finished");
}

#[tokio::test(start_paused = true)]
async fn a_finished_log_hands_out_its_rest_first() {
    let stand = stand();
    stand.publish(1..=2).await;
    let mut wait = stand.join(Position::Earliest).await;
    stand.log.finish();
    assert!(!wait.is_finished());
    assert_eq!(batch(&mut wait).await, [1, 2]);
    assert!(wait.is_finished());
    assert_eq!(name(&mut wait).await, "finished");
    let waiting = asleep(self::stand().join(Position::Latest).await).await;
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn the_servers_end_and_a_cut_wake_who_waits() {
    let first = stand();
    let waiting = asleep(first.join(Position::Latest).await).await;
    first.end.raise();
    assert_eq!(in_time(waiting).await.unwrap(), "ending");

    let second = stand();
    let waiting = asleep(second.join(Position::Latest).await).await;
    let other = second
        .room
        .join(Position::Latest, named("b"))
        .await
        .unwrap();
    let other = asleep(other).await;
    assert!(second.room.cuts().cut("a"));
    assert_eq!(in_time(waiting).await.unwrap(), "cut");
    assert!(!other.is_finished(), "another name is not cut");
}

// The order, and cancelling.

#[tokio::test(start_paused = true)]
async fn of_several_outcomes_the_cut_comes_first_and_the_events_last() {
    let stand = stand();
    stand.publish(1..=1).await;
    let mut wait = stand.join(Position::Earliest).await;
    wait.limit_silence(SILENCE);
    advance(SILENCE * 2).await;
    assert_eq!(name(&mut wait).await, "silence");
    stand.end.raise();
    assert_eq!(name(&mut wait).await, "ending");
    stand.room.cuts().cut("a");
    for _ in 0..2 {
        assert_eq!(name(&mut wait).await, "cut", "and it stays so");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_loses_nothing() {
    let stand = stand();
    let mut wait = stand.join(Position::Latest).await;
    let start = Instant::now();
    wait.limit_silence(SILENCE);
    for n in 1..=20 {
        // Asleep, and then dropped, as an arm of a `select!` that loses is.
        let dropped = timeout(Duration::from_millis(100), wait.next()).await;
        assert!(dropped.is_err());
        stand.publish(n..=n).await;
        assert_eq!(batch(&mut wait).await, [n]);
    }
    // The limit is where it was set, after all these calls.
    assert_eq!(name(&mut wait).await, "silence");
    assert!(start.elapsed() < SILENCE + Duration::from_secs(1));
    // And so is a gap that was not handed out.
    let mut wait = stand.room.rejoin(None, named("a")).await.unwrap();
    stand.end.raise();
    assert_eq!(name(&mut wait).await, "ending");
    stand.room.cuts().cut("a");
    assert_eq!(name(&mut wait).await, "cut");
}

/// The publisher runs on a thread of its own and hits every moment between the look at
/// the log and the sleep, one round or another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_falls_between_the_look_and_the_sleep() {
    const ROUNDS: u64 = 3_000;
    let log = Feed::new(Retention::default());
    let door = Door::new(Signal::new(), Places::unlimited());
    let room = Room::new("method", log.clone(), door);
    let mut wait = room
        .join(Position::Latest, ConnectionName(None))
        .await
        .unwrap();
    let (ask, mut asked) = tokio::sync::mpsc::channel(1);
    let publisher = tokio::spawn(async move {
        while let Some(round) = asked.recv().await {
            // Each round comes a little later than the one before.
            for _ in 0..(round % 100) * 20 {
                std::hint::spin_loop();
            }
            let kind = "message".parse().unwrap();
            let data = Data::new(&round).unwrap();
            log.publish(kind, data).await.unwrap();
        }
    });
    for round in 1..=ROUNDS {
        ask.send(round).await.unwrap();
        let guard = Duration::from_secs(30);
        let next = timeout(guard, batch(&mut wait)).await;
        assert_eq!(next.expect("no event is slept over"), [round]);
    }
    drop(ask);
    publisher.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_method_that_waits_for_something_else_is_interrupted_as_well() {
    let first = stand();
    let wait = first.join(Position::Latest).await;
    let interrupted = tokio::spawn(wait.interrupted());
    // Events are no interruption.
    first.publish(1..=1).await;
    tokio::task::yield_now().await;
    assert!(!interrupted.is_finished());
    first.end.raise();
    assert_eq!(in_time(interrupted).await.unwrap(), Interrupted::Ending);
    first.room.cuts().cut("a");
    assert_eq!(in_time(wait.interrupted()).await, Interrupted::Cut);
}

// Joining.

#[tokio::test]
async fn joining_checks_the_end_then_the_place_then_the_position() {
    let stand = stand();
    let kind = async |position| {
        let refused = stand.room.join(position, named("a")).await;
        let refused = refused.map_err(|problem| problem.kind().unwrap());
        let status = stand.room.status(position).await;
        let status = status.map_err(|problem| problem.kind().unwrap());
        assert_eq!(refused.as_ref().err(), status.as_ref().err());
        refused.err()
    };
    let (here, ahead) = (Position::Latest, Position::After(cursor(9)));
    assert_eq!(kind(here).await, None);
    assert_eq!(kind(ahead).await, Some(ProblemKind::FutureCursor));
    assert_eq!(stand.places.in_use(), 0, "a refusal keeps no place");
    let held = [stand.join(here).await, stand.join(here).await];
    for position in [here, ahead] {
        assert_eq!(kind(position).await, Some(ProblemKind::Busy));
    }
    assert_eq!(stand.log.subscribers(), 2, "a refusal subscribes nobody");
    let problem = stand.room.join(here, named("a")).await.unwrap_err();
    assert!(problem.retry_after.is_some());
    stand.end.raise();
    for position in [here, ahead] {
        assert_eq!(kind(position).await, Some(ProblemKind::Ending));
    }
    drop(held);
    assert_eq!((stand.places.in_use(), stand.log.subscribers()), (0, 0));
    assert!(!stand.room.cuts().cut("a"), "no name is left behind");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_from_nowhere_gets_a_gap_and_all_that_is_kept() {
    let stand = stand();
    stand.publish(1..=5).await;
    for last in [None, Some(cursor(9))] {
        let mut wait = stand.room.rejoin(last, named("a")).await.unwrap();
        assert_eq!((wait.cursor(), stand.places.in_use()), (cursor(2), 1));
        let Next::Gap(gap) = in_time(wait.next()).await else {
            panic!("a gap")
        };
        let expected = Gap {
            reason: GapReason::Unknown,
            asked: None,
            resume: cursor(2),
        };
        assert_eq!(gap, expected, "{last:?}");
        assert_eq!(batch(&mut wait).await, [3, 4, 5]);
    }
    // What the log itself can judge, it does.
    let mut wait = stand
        .room
        .rejoin(Some(cursor(4)), named("a"))
        .await
        .unwrap();
    assert_eq!(batch(&mut wait).await, [5]);
    let other: Cursor = "aaaaaa.4".parse().unwrap();
    let mut stranger = stand.room.rejoin(Some(other), named("a")).await.unwrap();
    assert!(matches!(
        in_time(stranger.next()).await,
        Next::Gap(Gap { reason: GapReason::NewLog, asked: Some(asked), .. }) if asked == other
    ));
    let full = stand.room.rejoin(None, named("a")).await.unwrap_err();
    assert_eq!(full.kind(), Some(ProblemKind::Busy));
}

// The age.

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_an_age_of_its_own_and_one_answer_does_not() {
    const MINUTE: Duration = Duration::from_secs(60);
    let stand = stand();
    let room = aging(&stand, MINUTE);
    let mut ages = Vec::new();
    for _ in 0..200 {
        let mut wait = room.join(Position::Latest, named("a")).await.unwrap();
        let opened = Instant::now();
        // Silences, and events, do not put it off.
        let mut seen = Vec::new();
        loop {
            wait.limit_silence(SILENCE);
            match name(&mut wait).await {
                "aged" => break,
                "silence" => stand.publish(1..=1).await,
                other => seen.push(other),
            }
        }
        assert!(seen.len() >= 2, "a silence each 15 s: {seen:?}");
        assert!(wait.is_aged());
        assert_eq!(name(&mut wait).await, "aged", "and it stays so");
        ages.push(opened.elapsed());
    }
    let (least, most) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
    let grain = Duration::from_millis(5);
    assert!(
        *least >= MINUTE / 2 && *most <= MINUTE + grain,
        "{least:?} {most:?}"
    );
    assert!(
        *most - *least > MINUTE * 2 / 5,
        "spread: {least:?} {most:?}"
    );

    let mut request = room
        .join_for_one_answer(Position::Latest, named("a"))
        .await
        .unwrap();
    request.limit_silence(MINUTE * 10);
    assert_eq!(name(&mut request).await, "silence");
}

#[tokio::test(start_paused = true)]
async fn an_aged_stream_loses_nothing_of_what_is_due() {
    let stand = stand();
    let room = aging(&stand, Duration::from_secs(2));
    let mut wait = room.join(Position::Latest, named("a")).await.unwrap();
    advance(Duration::from_secs(3)).await;
    stand.publish(1..=2).await;
    assert_eq!(name(&mut wait).await, "aged", "before what is due");
    let cursor = wait.cursor();
    drop(wait);
    assert_eq!(stand.places.in_use(), 0);
    let mut again = room
        .join(Position::After(cursor), named("a"))
        .await
        .unwrap();
    assert_eq!(batch(&mut again).await, [1, 2]);
}

// Who may listen.

/// Somebody who may see events with an even number alone.
fn even() -> Rights {
    Rights::all().seeing(|event| event.cursor().id.get().is_multiple_of(2))
}

impl Stand {
    async fn join_as(&self, access: &Access, position: Position) -> Wait {
        let access = Some(access.clone());
        let name = named("a");
        self.room
            .join(position, Reader { name, access })
            .await
            .unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_reader_may_not_see_wakes_nobody_and_moves_its_cursor() {
    let stand = stand();
    let access = Access::new(even(), None);
    let mut wait = stand.join_as(&access, Position::Latest).await;
    wait.limit_silence(SILENCE);
    stand.publish(1..=1).await;
    let asleep = Instant::now();
    assert_eq!(name(&mut wait).await, "silence", "and no batch");
    assert_eq!(asleep.elapsed(), SILENCE, "by its own time");
    assert_eq!(wait.cursor(), cursor(1), "past it all the same");
    wait.limit_silence(SILENCE);
    stand.publish(2..=3).await;
    assert_eq!(batch(&mut wait).await, [2]);
    assert_eq!(wait.cursor(), cursor(3));
    // More than the log keeps, none of which would have been seen.
    stand.publish(4..=4).await;
    assert_eq!(batch(&mut wait).await, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_what_one_may_not_see_can_be_dropped_and_begun_again() {
    let stand = stand();
    let access = Access::new(even(), None);
    let mut wait = stand.join_as(&access, Position::Latest).await;
    for number in 1..=20 {
        // Dropped after its first poll.
        let next = tokio::time::timeout(Duration::ZERO, wait.next()).await;
        assert!(next.is_err(), "{next:?}");
        stand.publish(number..=number).await;
        if number.is_multiple_of(2) {
            assert_eq!(batch(&mut wait).await, [number]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_withdrawn_holds_for_what_was_given_out_too() {
    let stand = stand();
    stand.publish(1..=3).await;
    let access = Access::new(Rights::all(), None);
    let mut wait = stand.join_as(&access, Position::Earliest).await;
    let Next::Batch(due) = in_time(wait.next()).await else {
        panic!("a batch")
    };
    let seen = |wait: &Wait| due.events.iter().filter(|event| wait.sees(event)).count();
    assert_eq!(seen(&wait), 3);
    access.change(even());
    assert_eq!(seen(&wait), 1, "before it is written");
    stand.publish(4..=5).await;
    assert_eq!(batch(&mut wait).await, [4]);
    access.end(Over::Denied);
    assert_eq!(seen(&wait), 0, "nor after a logout");
}

#[tokio::test(start_paused = true)]
async fn an_access_ends_all_that_was_begun_with_it_at_once() {
    for (over, expected) in [(Over::Denied, "denied"), (Over::Renew, "renew")] {
        let stand = stand();
        let (access, other) = (
            Access::new(Rights::all(), None),
            Access::new(Rights::all(), None),
        );
        let waits = [
            asleep(stand.join_as(&access, Position::Latest).await).await,
            asleep(stand.join_as(&other, Position::Latest).await).await,
        ];
        let [ended, goes_on] = waits;
        let begun = Instant::now();
        access.end(over);
        assert_eq!(in_time(ended).await.unwrap(), expected);
        assert_eq!(begun.elapsed(), Duration::ZERO, "not at the next heartbeat");
        assert!(!goes_on.is_finished(), "nor anybody else's");
        let reader = Reader {
            name: named("a"),
            access: Some(access),
        };
        let refused = stand.room.join(Position::Latest, reader.clone()).await;
        let problem = refused.expect_err("it is over");
        assert_eq!(problem.kind(), over.problem().kind());
        let page = stand.room.page(Position::Earliest, &reader).await;
        assert_eq!(page.unwrap_err().kind(), over.problem().kind());
        assert_eq!(stand.places.in_use(), 1, "a refusal takes no place");
        goes_on.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_access_is_over_in_its_time_and_a_later_one_counts() {
    let stand = stand();
    let begun = Instant::now();
    let access = Access::new(Rights::all(), Some(begun + SILENCE));
    let mut wait = stand.join_as(&access, Position::Latest).await;
    let mut interrupted = std::pin::pin!(wait.interrupted());
    assert!(timeout(SILENCE / 2, &mut interrupted).await.is_err());
    assert!(timeout(Duration::ZERO, wait.next()).await.is_err());
    // Renewed while the wait goes on.
    access.extend(begun + 3 * SILENCE);
    assert_eq!(name(&mut wait).await, "renew");
    assert_eq!(begun.elapsed(), 3 * SILENCE);
    assert_eq!(interrupted.await, Interrupted::Over(Over::Renew));
    assert_eq!(wait.over(), Some(Over::Renew));
    assert_eq!(name(&mut wait).await, "renew", "and stays so");
}

#[tokio::test(start_paused = true)]
async fn an_access_that_ends_is_heard_before_what_is_due() {
    let stand = stand();
    let access = Access::new(Rights::all(), None);
    let mut wait = stand.join_as(&access, Position::Latest).await;
    stand.publish(1..=1).await;
    access.end(Over::Renew);
    assert_eq!(name(&mut wait).await, "renew");
    assert_eq!(wait.cursor(), cursor(0), "the next credential gets it");
}

#[tokio::test(start_paused = true)]
async fn a_page_leaves_out_what_may_not_be_seen_and_leads_past_it() {
    let stand = stand();
    stand.publish(1..=3).await;
    let access = Some(Access::new(even(), None));
    let name = named("a");
    let reader = Reader { name, access };
    let page = async |after: u64| {
        let position = Position::After(cursor(after));
        let page = stand.room.page(position, &reader).await.unwrap();
        serde_json::from_str::<contract::LogPage>(&page.into_json()).unwrap()
    };
    let first = page(0).await;
    assert_eq!((first.after, first.next), (cursor(0), cursor(3)));
    let ids: Vec<_> = first.events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [cursor(2)]);
    let rest = page(2).await;
    assert_eq!(
        (rest.after, rest.next, rest.more),
        (cursor(2), cursor(3), false)
    );
    assert!(rest.events.is_empty());
}

#[tokio::test]
async fn an_empty_page_means_that_nothing_is_due_however_much_was_left_out() {
    let log = Feed::new(Retention::default());
    let end = Signal::new();
    let room = Room::new("method", log.clone(), Door::new(end, Places::new(1)));
    for number in 1..=3 * feed::BATCH_EVENTS {
        let kind = match number == 2 * feed::BATCH_EVENTS {
            true => "message",
            false => "secret",
        };
        let data = Data::new(&number).unwrap();
        log.publish(kind.parse().unwrap(), data).await.unwrap();
    }
    let rights = Rights::all().seeing(|event| event.kind().as_str() == "message");
    let reader = Reader {
        name: ConnectionName(None),
        access: Some(Access::new(rights, None)),
    };
    let mut position = Position::Earliest;
    let mut counts = Vec::new();
    loop {
        let page = room.page(position, &reader).await.unwrap().into_json();
        let page: contract::LogPage = serde_json::from_str(&page).unwrap();
        counts.push(page.events.len());
        position = Position::After(page.next);
        if !page.more {
            break;
        }
    }
    assert_eq!(counts, [1, 0], "one with what may be seen, and then none");
    assert_eq!(position, Position::After(log.state().latest));
}

/// Most readers have no access, and each open connection has a wait.
#[test]
fn a_wait_has_room_for_one_pointer_more() {
    assert_eq!(size_of::<Option<Access>>(), size_of::<usize>());
    println!("a wait has {} bytes", size_of::<Wait>());
}
