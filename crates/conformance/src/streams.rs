//! Cases that follow the log by a client.

use crate::{
    cases::{data, equal, expect, Bench, Published},
    Outcome, Refused, PATIENCE,
};
use contract::{Cursor, Data, Epoch, EventId, GapReason, Position};
use futures_util::future::join;
use std::time::Duration;

pub(crate) mod access;

pub(crate) const IS_RAW: bool = false;

/// A cursor of a log that is not this one, whose number exists here as well: only the
/// epoch shows that it means another event.
pub(crate) fn foreign(here: Cursor) -> Cursor {
    let epoch = |text: &str| -> Epoch { text.parse().expect("a constant epoch") };
    let other = match epoch("zzzzzz") {
        other if other == here.epoch => epoch("yyyyyy"),
        other => other,
    };
    Cursor {
        epoch: other,
        ..here
    }
}

/// A cursor that this log has not reached, and will not while a case runs.
pub(crate) fn future(here: Cursor) -> Cursor {
    let id = EventId::new(here.id.get() + 1_000_000_000);
    Cursor { id, ..here }
}

/// A gap resumes before the first of these events and not before the one ahead of them.
fn resumes_before(resume: Cursor, ahead: Published, first: Published) -> Outcome {
    let range = ahead.cursor.id..first.cursor.id;
    if resume.epoch == first.cursor.epoch && range.contains(&resume.id) {
        Ok(())
    } else {
        Err(format!(
            "where it goes on: expected a place after {} and before {}, found {resume}",
            ahead.cursor, first.cursor
        ))
    }
}

pub(crate) async fn a_cursor_comes_before_the_wait(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let before = server.put(1..=3).await?;
    let last = before[2].cursor;
    let (mut client, held) = server.connected(Position::Latest).await?;
    if server.is_new {
        equal("the cursor of a client that starts at latest", held, last)?;
    }
    if held.epoch != last.epoch || held.id < last.id {
        return Err(format!(
            "the cursor of a client that starts at latest: \
             expected {last} or a later one, found {held}"
        ));
    }
    let after = server.put(4..=4).await?;
    expect(&mut client, &after).await
}

pub(crate) async fn history_comes_first_and_then_what_is_new(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let start = server.latest().await?;
    let history = server.put(1..=5).await?;
    let (mut client, held) = server.connected(Position::After(start)).await?;
    equal("its first cursor", held, start)?;
    expect(&mut client, &history).await?;
    let new = server.put(6..=10).await?;
    expect(&mut client, &new).await
}

pub(crate) async fn the_earliest_is_the_oldest_event_that_is_kept(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start_with(5, Duration::from_secs(15)).await?;
    let published = server.put(1..=12).await?;
    let (mut client, held) = server.connected(Position::Earliest).await?;
    resumes_before(held, published[6], published[7])?;
    expect(&mut client, &published[7..]).await
}

pub(crate) async fn a_client_starts_after_its_cursor(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=5).await?;
    let asked = published[2].cursor;
    let (mut client, held) = server.connected(Position::After(asked)).await?;
    equal("its first cursor", held, asked)?;
    expect(&mut client, &published[3..]).await
}

pub(crate) async fn events_keep_their_order_under_load(bench: Bench<'_>) -> Outcome {
    // More than a few pages and batches hold.
    const EVENTS: u64 = 1_000;
    let server = bench.start().await?;
    let start = server.latest().await?;
    let mut published = server.put(1..=EVENTS / 3).await?;
    let mut client = server.client(Position::After(start));
    let publishing = server.put(EVENTS / 3 + 1..=EVENTS);
    let reading = async {
        let mut ids = Vec::new();
        for number in 1..=EVENTS {
            let event = client
                .event()
                .await
                .map_err(|error| format!("before event {number}: {error}"))?;
            equal("the next event", event.data.get(), number.to_string())?;
            ids.push(event.id);
        }
        Ok::<_, String>(ids)
    };
    let (publishing, ids) = join(publishing, reading).await;
    published.extend(publishing?);
    let named: Vec<_> = published.iter().map(|event| event.cursor).collect();
    let ids = ids?;
    match named.iter().zip(&ids).find(|(named, id)| named != id) {
        None => Ok(()),
        Some((named, id)) => Err(format!("event {named} came as {id}")),
    }
}

pub(crate) async fn nothing_is_lost_or_doubled_across_cuts(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    for round in 0..4u64 {
        let first = round * 20 + 1;
        let before = server.put(first..=first + 9).await?;
        // The cut comes with events seen, events on their way, and events that come
        // while the client is away.
        expect(&mut client, &before[..5]).await?;
        server.running.cut();
        client.reconnecting().await?;
        let during = server.put(first + 10..=first + 19).await?;
        server.running.restore();
        expect(&mut client, &before[5..]).await?;
        expect(&mut client, &during).await?;
    }
    // A duplicate would come before this one.
    let last = server.put(81..=81).await?;
    expect(&mut client, &last).await
}

pub(crate) async fn a_client_that_saw_nothing_yet_loses_nothing(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    server.put(1..=3).await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    server.running.cut();
    client.reconnecting().await?;
    let during = server.put(4..=6).await?;
    server.running.restore();
    expect(&mut client, &during).await
}

pub(crate) async fn an_expired_cursor_is_a_gap(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(5, Duration::from_secs(15)).await?;
    let published = server.put(1..=12).await?;
    let asked = published[1].cursor;
    let mut client = server.client(Position::After(asked));
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::Expired)?;
    equal("where the client was", gap.asked, Some(asked))?;
    resumes_before(gap.resume, published[6], published[7])?;
    expect(&mut client, &published[7..]).await?;
    let new = server.put(13..=13).await?;
    expect(&mut client, &new).await
}

pub(crate) async fn a_cursor_of_another_log_is_a_gap(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    let asked = foreign(published[1].cursor);
    let mut client = server.client(Position::After(asked));
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::NewLog)?;
    equal("where the client was", gap.asked, Some(asked))?;
    equal(
        "the log in which it goes on",
        gap.resume.epoch,
        published[0].cursor.epoch,
    )?;
    expect(&mut client, &published).await
}

pub(crate) async fn a_client_that_was_away_too_long_gets_a_gap(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start_with(5, Duration::from_secs(15)).await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let before = server.put(1..=2).await?;
    expect(&mut client, &before).await?;
    server.running.cut();
    client.reconnecting().await?;
    let during = server.put(3..=20).await?;
    server.running.restore();
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::Expired)?;
    equal("where the client was", gap.asked, Some(before[1].cursor))?;
    let (gone, kept) = during.split_at(13);
    resumes_before(gap.resume, gone[12], kept[0])?;
    expect(&mut client, kept).await
}

pub(crate) async fn a_cursor_from_the_future_is_refused(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    let asked = future(published[2].cursor);
    let problem = server.client(Position::After(asked)).refused().await?;
    equal("the problem", problem.as_str(), "future-cursor")
}

pub(crate) async fn a_cursor_ahead_of_one_server_is_waited_for(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let before = server.put(1..=3).await?;
    let servers = server.servers()?;
    servers.hold_back().await?;
    let during = server.put(4..=6).await?;
    let ahead = Position::After(during[1].cursor);
    // Not served, not refused for good: it has not come there in time.
    server.client(ahead).reconnecting().await?;
    let mut client = server.client(ahead);
    let letting = async {
        // The client's question is there by now: others, who came later, were answered.
        for _ in 0..3 {
            server.connected(Position::After(before[2].cursor)).await?;
        }
        servers.let_on().await
    };
    let (event, let_on) = join(client.event(), letting).await;
    let_on?;
    equal("the event after the cursor", event?.id, during[2].cursor)
}

pub(crate) async fn what_one_server_has_forgotten_is_no_gap(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=10).await?;
    server.servers()?.forget().await?;
    let mut client = server.client(Position::After(published[1].cursor));
    expect(&mut client, &published[2..]).await?;
    let new = server.put(11..=11).await?;
    expect(&mut client, &new).await
}

pub(crate) async fn silence_is_filled_with_heartbeats(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, Duration::from_millis(100)).await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    for _ in 0..3 {
        client.heartbeat().await?;
    }
    let published = server.put(1..=1).await?;
    expect(&mut client, &published).await?;
    client.heartbeat().await
}

pub(crate) async fn a_shutdown_ends_open_connections(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut first, _) = server.connected(Position::Latest).await?;
    let (mut second, _) = server.connected(Position::Earliest).await?;
    tokio::time::timeout(PATIENCE, server.running.stop())
        .await
        .map_err(|_| "the server did not end while clients were connected")??;
    first.reconnecting().await?;
    second.reconnecting().await
}

pub(crate) async fn a_finished_log_ends_its_clients(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let published = server.put(1..=3).await?;
    server.running.finish().await?;
    expect(&mut client, &published).await?;
    client.finished().await
}

pub(crate) async fn a_finished_log_lets_late_clients_read_to_its_end(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start().await?;
    let published = server.put(1..=3).await?;
    server.running.finish().await?;
    let mut late = server.client(Position::Earliest);
    expect(&mut late, &published).await?;
    late.finished().await?;
    let end = published[2].cursor;
    server.client(Position::After(end)).finished().await
}

pub(crate) async fn a_finished_log_accepts_no_event(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let published = server.put(1..=1).await?;
    server.running.finish().await?;
    expect(&mut client, &published).await?;
    // From here on the log is known to be complete.
    client.finished().await?;
    let late = server.publish(None, &data(&2)?).await;
    let finished = Err(Refused("finished".to_owned()));
    equal("a publish to a finished log", late, finished)
}

pub(crate) async fn data_comes_out_as_it_went_in(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let texts = [
        "",
        " ",
        "a\nb",
        "a\rb",
        "a\r\nb",
        "\n\n",
        "\r",
        "data: x\n\nid: 1",
        "\u{0}",
        "\u{feff}x",
        "\"\\/\u{8}\u{c}\t",
        "\u{2028}\u{2029}",
        "žluťoučký kůň 🐎",
        ": comment",
        "event: end",
    ];
    let mut values: Vec<Data> = Vec::new();
    for text in texts {
        values.push(data(text)?);
    }
    for json in [
        "null",
        "[]",
        "{\"a\":[1,2.50,1e3,123456789012345678901234567890]}",
        "{\"b\":1,\"a\":2,\"a\":3}",
    ] {
        values.push(Data::from_json(json).map_err(|error| error.to_string())?);
    }
    // Larger than one read of a socket, in characters of three bytes each, so that a
    // read ends inside one.
    values.push(data(&"水".repeat(20_000))?);
    for value in values {
        let short: String = value.as_str().chars().take(40).collect();
        let published = server.publish(None, &value).await;
        published.map_err(|Refused(why)| format!("{short} was refused: {why}"))?;
        let event = client.event().await?;
        equal("the data", event.data.get(), value.as_str())?;
    }
    Ok(())
}

pub(crate) async fn every_client_sees_what_one_publishes(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut first, _) = server.connected(Position::Latest).await?;
    let (mut second, _) = server.connected(Position::Latest).await?;
    let published = server.put(1..=1).await?;
    for client in [&mut first, &mut second] {
        expect(client, &published).await?;
    }
    Ok(())
}

pub(crate) async fn a_retried_publish_is_one_event(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let key = random_key();
    let first = server.publish(Some(&key), &data(&1)?).await;
    let id = first.map_err(|Refused(why)| format!("a publish was refused: {why}"))?;
    let retried = server.publish(Some(&key), &data(&1)?).await;
    equal("the answer to the retry", retried, Ok(id))?;
    let second = server.put(2..=2).await?;
    expect(
        &mut client,
        &[Published {
            cursor: id,
            number: 1,
        }],
    )
    .await?;
    expect(&mut client, &second).await
}

pub(crate) async fn a_refused_publish_leaves_no_event(bench: Bench<'_>) -> Outcome {
    let server = bench.start().await?;
    let (mut client, _) = server.connected(Position::Latest).await?;
    let refused = |name: &str| Err(Refused(name.to_owned()));
    let key = random_key();
    let first = server.publish(Some(&key), &data(&1)?).await;
    let id = first.map_err(|Refused(why)| format!("a publish was refused: {why}"))?;
    let reused = server.publish(Some(&key), &data(&2)?).await;
    equal(
        "a key used for another event",
        reused,
        refused("key-reused"),
    )?;
    // More than 64 KiB of JSON, in a body of less than 66 KiB.
    let large = data(&"x".repeat(64 * 1024))?;
    let large = server.publish(None, &large).await;
    equal(
        "more data than an event may have",
        large,
        refused("too-large"),
    )?;
    let second = server.put(2..=2).await?;
    expect(
        &mut client,
        &[Published {
            cursor: id,
            number: 1,
        }],
    )
    .await?;
    expect(&mut client, &second).await
}

/// A key that no other run of the suite has used.
pub(crate) fn random_key() -> String {
    format!("{:032x}", fastrand::u128(..))
}
