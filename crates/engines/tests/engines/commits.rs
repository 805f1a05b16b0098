//! What PostgreSQL shows, and when: ids of a sequence, ids of the log, and an event
//! that is written with a row of an application.

use crate::{data, numbers, take, Server};
use anyhow::{ensure, Context as _};
use contract::Position;
use testbed::engine::{Engine, Kind};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// A session of PostgreSQL. It ends when it is dropped.
struct Session {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Session {
    async fn open(engine: &Engine) -> anyhow::Result<Self> {
        let address = engine.address();
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
        let connection = tokio::spawn(async move {
            // Whoever asks is told of what ends it.
            connection.await.ok();
        });
        Ok(Self { client, connection })
    }

    async fn run(&self, statements: &str) -> anyhow::Result<()> {
        let ran = self.client.batch_execute(statements).await;
        ran.with_context(|| statements.to_owned())
    }

    /// Numbers, one of each row.
    async fn numbers(&self, question: &str) -> anyhow::Result<Vec<i64>> {
        let rows = self.client.query(question, &[]).await;
        let rows = rows.with_context(|| question.to_owned())?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Waits until a session waits for a lock that another has.
async fn waits_for_a_lock(watch: &Session) -> anyhow::Result<()> {
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    crate::eventually("no session waits for a lock", || async {
        let count = watch.numbers(waiting).await;
        count.is_ok_and(|count| count == [1])
    })
    .await;
    Ok(())
}

// ANCHOR: sequence
/// A table as it is often made: its ids are of a sequence, and a reader asks for what
/// comes after the greatest that it has seen.
pub(crate) async fn an_id_of_a_sequence_is_never_read() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::Postgres).await?;
    let [one, other, reader] = [
        Session::open(&engine).await?,
        Session::open(&engine).await?,
        Session::open(&engine).await?,
    ];
    reader
        .run("create table naive (id bigserial primary key, data text)")
        .await?;
    one.run("begin; insert into naive (data) values ('first')")
        .await?;
    other
        .run("begin; insert into naive (data) values ('second')")
        .await?;
    // The second is the first to commit.
    other.run("commit").await?;
    let seen = reader.numbers("select id from naive where id > 0").await?;
    assert_eq!(seen, [2]);
    one.run("commit").await?;
    // The reader's cursor is 2. Event 1 is in the table, and nobody will ever ask for
    // it.
    let seen = reader.numbers("select id from naive where id > 2").await?;
    assert_eq!(seen, [0_i64; 0]);
    let kept = reader.numbers("select id from naive order by id").await?;
    assert_eq!(kept, [1, 2]);
    Ok(())
}
// ANCHOR_END: sequence

/// The same two transactions with the log's function: the second waits, and no reader
/// sees an id before the one below it.
pub(crate) async fn ids_of_the_log_are_in_the_order_of_commits() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::Postgres).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Latest)?;
    let [one, other, watch] = [
        Session::open(&engine).await?,
        Session::open(&engine).await?,
        Session::open(&engine).await?,
    ];
    one.run("begin; select waiting.publish('message', '1')")
        .await?;
    let second = tokio::spawn(async move {
        let published = "begin; select waiting.publish('message', '2'); commit";
        other.run(published).await
    });
    waits_for_a_lock(&watch).await?;
    let visible = watch.numbers("select id from waiting.events").await?;
    assert_eq!(visible, [0_i64; 0]);
    one.run("commit").await?;
    second.await??;
    let taken = take(&mut reader, 2).await?;
    let taken: Vec<_> = taken
        .into_iter()
        .map(|(cursor, number)| (cursor.id.get(), number))
        .collect();
    assert_eq!(taken, [(1, 1), (2, 2)]);
    Ok(())
}

// ANCHOR: outbox
/// An order and its event: both, or neither.
pub(crate) async fn an_event_is_published_with_its_row_or_not_at_all(
) -> anyhow::Result<()> {
    let engine = Engine::start(Kind::Postgres).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Latest)?;
    let shop = Session::open(&engine).await?;
    shop.run("create table orders (id bigserial primary key, total int)")
        .await?;
    let order = |total: u64| {
        format!(
            "begin;
             insert into orders (total) values ({total});
             select waiting.publish('message', '{total}');"
        )
    };
    // The shop changes its mind, and then takes another order.
    shop.run(&format!("{} rollback", order(1))).await?;
    shop.run(&format!("{} commit", order(2))).await?;
    let kept = shop.numbers("select total::bigint from orders").await?;
    assert_eq!(kept, [2]);
    let taken = take(&mut reader, 1).await?;
    // The next id, too: what was rolled back has left no hole.
    assert_eq!((taken[0].0.id.get(), taken[0].1), (1, 2));
    // What others publish comes after it, through the same log.
    let published = server.feed.publish("message".parse()?, data(3)).await?;
    ensure!(published.id.get() == 2, "it has the id {published}");
    Ok(())
}
// ANCHOR_END: outbox

/// A log is made anew while a server publishes: the answer names the log that took the
/// event, though the server has not noticed yet.
pub(crate) async fn an_answer_names_the_log_that_took_the_event() -> anyhow::Result<()>
{
    let engine = Engine::start(Kind::Postgres).await?;
    let mut server = Server::start(&engine).await?;
    // Its window stays as it is.
    server.filling.take().context("its filling")?.abort();
    let first = server.publish(1).await?;
    let [somebody, watch] =
        [Session::open(&engine).await?, Session::open(&engine).await?];
    let anew = "begin; update waiting.log set epoch = 'newlog', last = 0;
                delete from waiting.events";
    somebody.run(anew).await?;
    let second = tokio::spawn(async move { server.publish(2).await });
    waits_for_a_lock(&watch).await?;
    somebody.run("commit").await?;
    let second = second.await??;
    ensure!(first.epoch != second.epoch, "it names the log before");
    assert_eq!(second.to_string(), "newlog.1");
    Ok(())
}

/// A server of an older version goes on while one of this version has come.
pub(crate) async fn an_older_publish_is_replaced() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::Postgres).await?;
    let first = Server::start(&engine).await?.publish(1).await?;
    let older = Session::open(&engine).await?;
    older
        .run(
            "drop function waiting.publish;
             create function waiting.publish(
                 kind text, data json, key text default null,
                 out id bigint, out repeated boolean
             ) language plpgsql as $$
             begin
                 update waiting.log set last = last + 1 returning last into id;
                 insert into waiting.events (id, kind, data) values (id, kind, data);
                 repeated := false;
             end $$",
        )
        .await?;
    let publish = "select id, repeated from waiting.publish('message', '2')";
    let publish = older.client.prepare(publish).await?;
    let second = older.client.query_one(&publish, &[]).await?;
    assert_eq!(second.try_get::<_, i64>(0)?, 2);
    let server = Server::start(&engine).await?;
    let third = server.publish(3).await?;
    assert_eq!((third.epoch, third.id.get()), (first.epoch, 3));
    // The statement that it prepared for the function of before.
    let fourth = older.client.query_one(&publish, &[]).await?;
    assert_eq!(fourth.try_get::<_, i64>(0)?, 4);
    let mut reader = server.follow(Position::After(first))?;
    let numbers = numbers(&take(&mut reader, 3).await?);
    assert_eq!(numbers, [2, 3, 2]);
    Ok(())
}
