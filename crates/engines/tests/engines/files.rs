//! What becomes of a file that somebody else writes, moves, or replaces while servers
//! have it open.

use crate::{pass_a_hole, take, Server, Two};
use anyhow::{bail, Context as _};
use contract::Position;
use rusqlite::Connection;
use std::{fs, path::PathBuf};
use testbed::engine::{Engine, Kind};

fn path(engine: &Engine) -> anyhow::Result<PathBuf> {
    let address = engine.address();
    Ok(address.strip_prefix("file:").context("a file")?.into())
}

/// By another program.
pub(crate) fn run(engine: &Engine, statements: &str) -> anyhow::Result<()> {
    let connection = Connection::open(path(engine)?)?;
    Ok(connection.execute_batch(statements)?)
}

impl Two {
    /// A server that comes later has what they have. When the last two of these have
    /// been published, all three have these.
    async fn share_it_with_a_third(
        &mut self,
        engine: &Engine,
        numbers: &[u64],
    ) -> anyhow::Result<()> {
        let third = Server::start(engine).await?;
        let [.., by_third, by_first] = numbers else {
            bail!("too few")
        };
        third.publish(*by_third).await?;
        self.servers[0].publish(*by_first).await?;
        let mut reader = third.follow(Position::Earliest)?;
        let held = take(&mut reader, numbers.len()).await?;
        assert_eq!(crate::numbers(&held), numbers);
        for reader in &mut self.readers {
            assert_eq!(take(reader, 2).await?, held[held.len() - 2..]);
        }
        Ok(())
    }
}

/// Put back in place, as `.restore` of SQLite's shell does, or given another name, or
/// taken apart.
pub(crate) async fn a_file_that_was_changed_is_another_log() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::File).await?;
    let mut two = Two::start(&engine).await?;
    run(
        &engine,
        "begin;
         delete from events where id > 1;
         update sqlite_sequence set seq = 1 where name = 'events';
         commit",
    )?;
    two.find_another_log(&[1, 4]).await?;
    run(&engine, "update log set epoch = 'p7m2aa'")?;
    two.find_another_log(&[1, 4, 5]).await?;
    run(&engine, "drop table log")?;
    two.find_another_log(&[1, 4, 5, 6]).await?;
    run(&engine, "drop table events")?;
    two.find_another_log(&[7]).await?;
    Ok(())
}

/// Whoever moves the file away has all its events, also those that SQLite keeps beside
/// it for a while.
pub(crate) async fn a_file_that_was_moved_has_all_its_events() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::File).await?;
    let mut two = Two::start(&engine).await?;
    let path = path(&engine)?;
    let moved = path.with_file_name("moved.db");
    fs::rename(&path, &moved)?;
    two.find_another_log(&[4]).await?;
    two.share_it_with_a_third(&engine, &[4, 5, 6]).await?;
    let count = Connection::open(&moved)?.query_row(
        "select count(*) from events",
        [],
        |row| row.get::<_, u64>(0),
    )?;
    assert_eq!(count, 3);
    Ok(())
}

/// What somebody else has put into the table stops nobody.
pub(crate) async fn a_row_that_is_no_event_is_a_gap() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::File).await?;
    let server = Server::start(&engine).await?;
    let mut reader = server.follow(Position::Earliest)?;
    let first = server.publish(1).await?;
    run(
        &engine,
        "insert into events (at, kind, data) values (0, 'No Kind', '2');
         with recursive numbers(n) as (
             select 1 union all select n + 1 from numbers where n < 300
         )
         insert into events (at, kind, data) select 0, 'message', '1e999' from numbers",
    )?;
    let third = server.publish(3).await?;
    assert_eq!(third.id.get(), first.id.get() + 302);
    assert_eq!(take(&mut reader, 1).await?, [(first, 1)]);
    pass_a_hole(&mut reader, third).await
}

/// A copy takes the file's place, and a program that does not notice goes on writing to
/// the old one. Servers have the copy, and whoever comes later has the same.
pub(crate) async fn a_file_that_was_replaced_is_one_for_all() -> anyhow::Result<()> {
    let engine = Engine::start(Kind::File).await?;
    let mut two = Two::start(&engine).await?;
    let path = path(&engine)?;
    let copy = path.with_file_name("copy.db");
    let unaware = Connection::open(&path)?;
    unaware.execute("vacuum into ?1", [copy.to_str().context("UTF-8")?])?;
    two.servers[0].publish(4).await?;
    for reader in &mut two.readers {
        take(reader, 1).await?;
    }
    fs::rename(&copy, &path)?;
    two.find_another_log(&[1, 2, 3, 5]).await?;
    for number in 100..200 {
        unaware.execute(
            "insert into events (at, kind, data) values (0, 'message', ?1)",
            [number.to_string()],
        )?;
    }
    two.share_it_with_a_third(&engine, &[1, 2, 3, 5, 6, 7])
        .await?;
    let sound: String =
        Connection::open(&path)?
            .query_row("pragma integrity_check", [], |row| row.get(0))?;
    assert_eq!(sound, "ok");
    Ok(())
}
