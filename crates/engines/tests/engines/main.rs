//! What each engine owes a log: one order at every server, and nothing lost by a
//! restart.

#[cfg(feature = "postgres")]
mod commits;
#[cfg(feature = "file")]
mod files;

use anyhow::{bail, Context as _};
use contract::{Cursor, Data, GapReason, IdempotencyKey, Position};
use engines::{open, Opened, KEPT};
use feed::{Delivery, Feed, PublishError, ReadError, Retention, Subscription};
use libtest_mimic::Arguments;
use std::{future::Future, pin::Pin, process::ExitCode, time::Duration};
use testbed::{
    engine::{Engine, Kind},
    parts,
};
use tokio::{task::JoinHandle, time::timeout};

/// A guard against hanging.
const LIMIT: Duration = Duration::from_secs(180);

/// How long one thing may take, generous: other tests run beside it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's view of the log, and the task that fills it.
struct Server {
    feed: Feed,
    filling: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(filling) = &self.filling {
            filling.abort();
        }
    }
}

impl Server {
    async fn start(engine: &Engine) -> anyhow::Result<Self> {
        Self::keeping(engine, 1000).await
    }

    async fn keeping(engine: &Engine, max_events: usize) -> anyhow::Result<Self> {
        let retention = Retention {
            max_events,
            ..Retention::default()
        };
        let Opened { feed, filling } =
            open(&engine.address().parse()?, retention, KEPT).await?;
        let filling = filling.map(tokio::spawn);
        Ok(Self { feed, filling })
    }

    async fn publish(&self, number: u64) -> Result<Cursor, PublishError> {
        let kind = "message".parse().expect("it is a kind");
        self.feed.publish(kind, data(number)).await
    }

    async fn publish_as(
        &self,
        key: &IdempotencyKey,
        number: u64,
    ) -> Result<feed::Published, PublishError> {
        let kind = "message".parse().expect("it is a kind");
        self.feed
            .publish_once(key.clone(), kind, data(number))
            .await
    }

    fn follow(&self, position: Position) -> anyhow::Result<Subscription> {
        Ok(self.feed.subscribe(position)?)
    }
}

fn data(number: u64) -> Data {
    Data::new(&number).expect("a number is JSON")
}

async fn next(subscription: &mut Subscription) -> anyhow::Result<Delivery> {
    let next = timeout(PATIENCE, subscription.next());
    next.await
        .context("nothing comes")?
        .context("the log ended")
}

/// The next events, as many as these.
async fn take(
    subscription: &mut Subscription,
    count: usize,
) -> anyhow::Result<Vec<(Cursor, u64)>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match next(subscription).await? {
            Delivery::Gap(gap) => bail!("after {taken:?}: {gap}"),
            Delivery::Batch(batch) => {
                let missing = count - taken.len();
                for event in batch.events.into_iter().take(missing) {
                    taken.push((event.cursor(), event.data().parse()?));
                    // What came with it is read again.
                    subscription.move_after(event.cursor());
                }
            }
        }
    }
    Ok(taken)
}

/// What they say.
fn numbers(events: &[(Cursor, u64)]) -> Vec<u64> {
    events.iter().map(|(_, number)| *number).collect()
}

/// The next event, past one that may be there or not.
async fn next_but(
    subscription: &mut Subscription,
    number: u64,
) -> anyhow::Result<(Cursor, u64)> {
    let first = take(subscription, 1).await?[0];
    if first.1 != number {
        return Ok(first);
    }
    Ok(take(subscription, 1).await?[0])
}

async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) {
    let looks = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, looks)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

/// Two servers publish at once, and both, and a third that comes later, see one order.
async fn all_servers_see_one_order(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let (a, b) = (Server::start(&engine).await?, Server::start(&engine).await?);
    let (mut at_a, mut at_b) =
        (a.follow(Position::Earliest)?, b.follow(Position::Earliest)?);
    let publish = |server: &Server, from: u64| {
        let feed = server.feed.clone();
        tokio::spawn(async move {
            for number in from..from + 50 {
                feed.publish("message".parse().expect("a kind"), data(number))
                    .await?;
            }
            Ok::<_, PublishError>(())
        })
    };
    let (by_a, by_b) = (publish(&a, 0), publish(&b, 1000));
    by_a.await??;
    by_b.await??;
    let seen = take(&mut at_a, 100).await?;
    assert_eq!(seen, take(&mut at_b, 100).await?);
    // Ids are without a hole, and each publisher's own order is kept.
    let ids: Vec<_> = seen.iter().map(|(cursor, _)| cursor.id.get()).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
    let of_a: Vec<_> = seen
        .iter()
        .map(|(_, number)| *number)
        .filter(|it| *it < 1000)
        .collect();
    assert_eq!(of_a, (0..50).collect::<Vec<_>>());

    let late = Server::start(&engine).await?;
    let mut at_late = late.follow(Position::Earliest)?;
    assert_eq!(seen, take(&mut at_late, 100).await?);
    Ok(())
}

/// A retry that reaches another server is the same event.
async fn a_key_is_known_at_every_server(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let (a, b) = (Server::start(&engine).await?, Server::start(&engine).await?);
    let key: IdempotencyKey = "a-key".parse()?;
    let first = a.publish_as(&key, 1).await?;
    let again = b.publish_as(&key, 1).await?;
    assert_eq!((again.cursor, again.repeated), (first.cursor, true));
    assert_eq!(b.publish_as(&key, 2).await, Err(PublishError::KeyReused));
    let second = b.publish(2).await?;
    assert_eq!(second.id.get(), first.cursor.id.get() + 1);
    Ok(())
}

/// The log is there when a server starts again, and so is the engine's after it was
/// killed.
async fn a_cursor_survives_restarts(kind: Kind) -> anyhow::Result<()> {
    let mut engine = Engine::start(kind).await?;
    let server = Server::start(&engine).await?;
    let first = server.publish(1).await?;
    server.publish(2).await?;
    drop(server);
    engine.kill();
    engine.go_on().await?;
    let server = Server::start(&engine).await?;
    let third = server.publish(3).await?;
    assert_eq!((third.epoch, third.id.get()), (first.epoch, 3));
    let mut reader = server.follow(Position::After(first))?;
    let numbers = numbers(&take(&mut reader, 2).await?);
    assert_eq!(numbers, [2, 3]);
    Ok(())
}

/// What a small window has lost is read from the engine.
async fn a_window_is_read_through(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let server = Server::keeping(&engine, 5).await?;
    let mut first = None;
    for number in 1..=20 {
        let cursor = server.publish(number).await?;
        first.get_or_insert(cursor);
    }
    let first = first.context("none was published")?;
    let mut newest = server.follow(Position::After(first))?;
    let numbers = numbers(&take(&mut newest, 19).await?);
    assert_eq!(numbers, (2..=20).collect::<Vec<_>>());
    let page = server
        .feed
        .fetch(Position::After(first), 4, usize::MAX)
        .await?;
    assert_eq!(page.events.len(), 4);
    // One that comes later has the same window.
    let late = Server::keeping(&engine, 5).await?;
    assert_eq!(late.feed.state().earliest.id.get(), 15);
    Ok(())
}

/// While the engine is away, publishers are told, readers wait, and nothing is lost.
async fn an_engine_goes_and_comes_back(kind: Kind) -> anyhow::Result<()> {
    let mut engine = Engine::start(kind).await?;
    let (a, b) = (Server::start(&engine).await?, Server::start(&engine).await?);
    let first = a.publish(1).await?;
    let mut reader = b.follow(Position::Earliest)?;
    take(&mut reader, 1).await?;
    engine.kill();
    assert_eq!(a.publish(2).await, Err(PublishError::Unavailable));
    // What is in the window needs no engine.
    assert_eq!(b.feed.read(Position::Latest, 1, 1)?.after, first);
    let future = Position::After(Cursor {
        id: contract::EventId::new(2),
        ..first
    });
    assert_eq!(b.feed.reach(future).await, Err(ReadError::Unavailable));
    engine.go_on().await?;
    eventually("a publish is taken again", || async {
        a.publish(3).await.is_ok()
    })
    .await;
    // What had no answer may be there or not: a client that has not noticed yet sends
    // it when the engine is back.
    let (cursor, number) = next_but(&mut reader, 2).await?;
    assert_eq!((cursor.epoch, number), (first.epoch, 3));
    Ok(())
}

/// Two servers, and a reader at each, who has all that there is.
struct Two {
    servers: [Server; 2],
    readers: [Subscription; 2],
}

impl Two {
    async fn start(engine: &Engine) -> anyhow::Result<Self> {
        let servers = [Server::start(engine).await?, Server::start(engine).await?];
        let [a, b] = &servers;
        let mut readers =
            [a.follow(Position::Earliest)?, b.follow(Position::Earliest)?];
        for number in 1..=3 {
            a.publish(number).await?;
        }
        for reader in &mut readers {
            take(reader, 3).await?;
        }
        Ok(Self { servers, readers })
    }

    /// Both find the same new log. When the last of these has been published, it holds
    /// these.
    async fn find_another_log(&mut self, numbers: &[u64]) -> anyhow::Result<()> {
        let mut found = Vec::new();
        for reader in &mut self.readers {
            let Delivery::Gap(gap) = next(reader).await? else {
                bail!("no gap")
            };
            assert_eq!(gap.reason, GapReason::NewLog);
            assert_eq!(gap.resume.id.get(), 0);
            found.push(gap.resume.epoch);
        }
        assert_eq!(found[0], found[1], "both have found the same log");
        let last = *numbers.last().context("none")?;
        eventually("a publish is taken again", || async {
            self.servers[1].publish(last).await.is_ok()
        })
        .await;
        for reader in &mut self.readers {
            let held = take(reader, numbers.len()).await?;
            let expected = (1..).zip(numbers).map(|(id, number)| {
                let id = contract::EventId::new(id);
                let epoch = found[0];
                (Cursor { epoch, id }, *number)
            });
            assert_eq!(held, expected.collect::<Vec<_>>());
        }
        Ok(())
    }
}

/// Where somebody has deleted the log, another one begins, and readers are told.
async fn a_deleted_log_is_another_log(kind: Kind) -> anyhow::Result<()> {
    let mut engine = Engine::start(kind).await?;
    let mut two = Two::start(&engine).await?;
    engine.delete_log().await?;
    two.find_another_log(&[4]).await?;
    Ok(())
}

/// A copy that is older than what readers have is another log, as long as a server
/// knows.
async fn a_log_that_was_rolled_back_is_another_log(kind: Kind) -> anyhow::Result<()> {
    let mut engine = Engine::start(kind).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Earliest)?;
    server.publish(1).await?;
    engine.backup().await?;
    eventually("a publish is taken again", || async {
        server.publish(2).await.is_ok()
    })
    .await;
    let seen = take(&mut reader, 2).await?;
    engine.restore().await?;
    let Delivery::Gap(gap) = next(&mut reader).await? else {
        bail!("no gap")
    };
    assert_eq!(gap.reason, GapReason::NewLog);
    assert_ne!(gap.resume.epoch, seen[0].0.epoch);
    eventually("a publish is taken again", || async {
        server.publish(3).await.is_ok()
    })
    .await;
    // What the copy had may be part of the new log, or not.
    let (cursor, number) = next_but(&mut reader, 1).await?;
    assert_eq!(
        (cursor.epoch, cursor.id.get(), number),
        (gap.resume.epoch, 2, 3)
    );
    Ok(())
}

/// What somebody has dropped is made again while the servers run: another log, and
/// what was left goes on in it.
async fn dropped_tables_are_made_again(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let mut two = Two::start(&engine).await?;
    engine.psql("drop schema waiting cascade")?;
    two.find_another_log(&[4]).await?;
    engine.psql("drop table waiting.log")?;
    two.find_another_log(&[4, 5]).await?;
    engine.psql("delete from waiting.log")?;
    two.find_another_log(&[4, 5, 6]).await?;
    // No look reads these, but who publishes needs them.
    engine.psql("drop table waiting.keys; drop function waiting.publish")?;
    let [a, _] = &two.servers;
    eventually("a publish is taken again", || async {
        a.publish(7).await.is_ok()
    })
    .await;
    for reader in &mut two.readers {
        let (cursor, number) = take(reader, 1).await?[0];
        assert_eq!((cursor.id.get(), number), (4, 7));
    }
    Ok(())
}

/// Where there can be no log, the program ends and says why.
async fn what_cannot_be_opened_says_why(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let (wrong, why) = match kind {
        Kind::File => ("/in-a-file", "unable to open"),
        Kind::Nats => ("?replicas=3", "non-clustered"),
        Kind::Postgres => ("-of-nobody", "does not exist"),
    };
    let address = format!("{}{wrong}", engine.address()).parse()?;
    let opened = open(&address, Retention::default(), KEPT);
    let Err(error) = timeout(PATIENCE, opened).await? else {
        bail!("it was opened")
    };
    assert!(error.to_string().contains(why), "{error}");
    Ok(())
}

/// Who puts a log back gives it another name while no server runs, as the book says:
/// then whoever comes with an old cursor is told, at once.
async fn a_log_with_another_name_is_another_log(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let server = Server::start(&engine).await?;
    for number in 1..=3 {
        server.publish(number).await?;
    }
    let known = server.publish(4).await?;
    drop(server);
    rename(&engine, kind, "p7m2aa").await?;

    let server = Server::start(&engine).await?;
    server.feed.reach(Position::After(known)).await?;
    let mut reader = server.follow(Position::After(known))?;
    let Delivery::Gap(gap) = next(&mut reader).await? else {
        bail!("no gap")
    };
    assert_eq!(gap.reason, GapReason::NewLog);
    assert_eq!(gap.resume.epoch, "p7m2aa".parse()?);
    let fifth = server.publish(5).await?;
    assert_eq!(fifth.epoch, gap.resume.epoch);
    // Tables have their old events as well.
    while take(&mut reader, 1).await?[0] != (fifth, 5) {}
    Ok(())
}

/// To JetStream, as another program.
#[cfg(feature = "nats")]
async fn connect(engine: &Engine) -> anyhow::Result<async_nats::Client> {
    let address = engine.address();
    let address = address.strip_suffix("/events").context("its stream")?;
    Ok(async_nats::connect(address).await?)
}

async fn rename(engine: &Engine, kind: Kind, name: &str) -> anyhow::Result<()> {
    match kind {
        #[cfg(feature = "file")]
        Kind::File => {
            files::run(engine, &format!("update log set epoch = '{name}'"))?;
        }
        #[cfg(feature = "nats")]
        Kind::Nats => {
            let context = async_nats::jetstream::new(connect(engine).await?);
            let mut config = context
                .get_stream("events")
                .await?
                .cached_info()
                .config
                .clone();
            config.subjects = vec![format!("events.{name}")];
            context.update_stream(config).await?;
        }
        Kind::Postgres => {
            engine.psql(&format!("update waiting.log set epoch = '{name}'"))?;
        }
        #[cfg(not(all(feature = "file", feature = "nats")))]
        _ => bail!("it is not built"),
    }
    Ok(())
}

/// What somebody else has put into the tables stops nobody: readers are told of a gap.
async fn a_row_that_is_no_event_is_a_gap(kind: Kind) -> anyhow::Result<()> {
    let engine = Engine::start(kind).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Earliest)?;
    let first = server.publish(1).await?;
    let kind = engine.psql("select waiting.publish('No Kind', '2')");
    assert!(kind.is_err(), "the publisher is told");
    // JSON, and a number that no double holds; more of them than are read together.
    engine.psql(
        "select waiting.publish('message', '1e999') from generate_series(1, 300)",
    )?;
    let third = server.publish(3).await?;
    assert_eq!(third.id.get(), first.id.get() + 301);
    assert_eq!(take(&mut reader, 1).await?, [(first, 1)]);
    pass_a_hole(&mut reader, third).await
}

/// A reader is told of a gap up to `event`, perhaps in parts, and then has that.
async fn pass_a_hole(reader: &mut Subscription, event: Cursor) -> anyhow::Result<()> {
    loop {
        let Delivery::Gap(gap) = next(reader).await? else {
            bail!("no gap")
        };
        assert!(gap.resume.id < event.id, "{gap}");
        if gap.resume.id.get() + 1 == event.id.get() {
            break;
        }
    }
    assert_eq!(take(reader, 1).await?, [(event, 3)]);
    Ok(())
}

/// Nor does what somebody else has sent to the stream.
#[cfg(feature = "nats")]
async fn a_message_that_is_no_event_is_a_gap() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::Nats).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Earliest)?;
    let first = server.publish(1).await?;
    let stranger = connect(&engine).await?;
    let subject = format!("events.{}", first.epoch);
    stranger.publish(subject, "no event".into()).await?;
    stranger.flush().await?;
    let third = server.publish(3).await?;
    assert_eq!(third.id.get(), first.id.get() + 2);
    assert_eq!(take(&mut reader, 1).await?, [(first, 1)]);
    let Delivery::Gap(gap) = next(&mut reader).await? else {
        bail!("no gap")
    };
    assert_eq!(gap.resume.id.get(), third.id.get() - 1);
    assert_eq!(take(&mut reader, 1).await?, [(third, 3)]);
    Ok(())
}

type Test = fn(Kind) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

macro_rules! tests {
    ($($name:ident)*) => {
        &[$((stringify!($name), |kind| Box::pin($name(kind)))),*]
    };
}

/// What every engine owes.
const OF_ALL: &[(&str, Test)] = tests! {
    all_servers_see_one_order
    a_key_is_known_at_every_server
    a_cursor_survives_restarts
    a_window_is_read_through
    an_engine_goes_and_comes_back
    a_deleted_log_is_another_log
    a_log_that_was_rolled_back_is_another_log
    a_log_with_another_name_is_another_log
    what_cannot_be_opened_says_why
};

/// What tables owe, which other programs write.
const OF_TABLES: &[(&str, Test)] = tests! {
    dropped_tables_are_made_again
    a_row_that_is_no_event_is_a_gap
};

fn main() -> ExitCode {
    let kinds = [
        ("file", Kind::File, cfg!(feature = "file")),
        ("nats", Kind::Nats, cfg!(feature = "nats")),
        ("postgres", Kind::Postgres, cfg!(feature = "postgres")),
    ];
    let mut trials = Vec::new();
    for (engine, kind, built) in kinds {
        let tables = OF_TABLES.iter().filter(|_| kind == Kind::Postgres);
        let tests = OF_ALL.iter().chain(tables);
        let tests = tests.filter(|_| built);
        trials.extend(tests.map(|&(name, test)| {
            parts::trial(&format!("{engine}::{name}"), LIMIT, move || test(kind))
        }));
    }
    #[cfg(feature = "file")]
    trials.extend([
        parts::trial(
            "file::a_file_that_was_changed_is_another_log",
            LIMIT,
            files::a_file_that_was_changed_is_another_log,
        ),
        parts::trial(
            "file::a_file_that_was_moved_has_all_its_events",
            LIMIT,
            files::a_file_that_was_moved_has_all_its_events,
        ),
        parts::trial(
            "file::a_file_that_was_replaced_is_one_for_all",
            LIMIT,
            files::a_file_that_was_replaced_is_one_for_all,
        ),
        parts::trial(
            "file::a_row_that_is_no_event_is_a_gap",
            LIMIT,
            files::a_row_that_is_no_event_is_a_gap,
        ),
    ]);
    #[cfg(feature = "nats")]
    trials.push(parts::trial(
        "nats::a_message_that_is_no_event_is_a_gap",
        LIMIT,
        a_message_that_is_no_event_is_a_gap,
    ));
    #[cfg(feature = "postgres")]
    trials.extend([
        parts::trial(
            "postgres::an_id_of_a_sequence_is_never_read",
            LIMIT,
            commits::an_id_of_a_sequence_is_never_read,
        ),
        parts::trial(
            "postgres::ids_of_the_log_are_in_the_order_of_commits",
            LIMIT,
            commits::ids_of_the_log_are_in_the_order_of_commits,
        ),
        parts::trial(
            "postgres::an_event_is_published_with_its_row_or_not_at_all",
            LIMIT,
            commits::an_event_is_published_with_its_row_or_not_at_all,
        ),
        parts::trial(
            "postgres::an_answer_names_the_log_that_took_the_event",
            LIMIT,
            commits::an_answer_names_the_log_that_took_the_event,
        ),
        parts::trial(
            "postgres::an_older_publish_is_replaced",
            LIMIT,
            commits::an_older_publish_is_replaced,
        ),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
