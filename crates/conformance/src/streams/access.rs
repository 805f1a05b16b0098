//! Cases that follow the log by clients of a server that asks who they are.

use crate::{
    cases::{expect, Bench},
    Held, Outcome, Withdrawn,
};
use std::time::Duration;

pub(crate) const IS_RAW: bool = false;

/// Longer than a case has patience: what is heard of with the next heartbeat comes too
/// late.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);

pub(crate) async fn a_logout_ends_one_client_and_no_other(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let leaves = server.admit().await?;
    let mut leaver = server.admitted(&Held::new(leaves.clone())).await?;
    let mut neighbour = server.admitted(&Held::new(server.admit().await?)).await?;
    let before = server.put(1..=1).await?;
    expect(&mut leaver, &before).await?;
    expect(&mut neighbour, &before).await?;
    server.withdraw(&leaves, Withdrawn::Access).await?;
    let problem = leaver.refused().await?;
    if !["forbidden", "unauthorized"].contains(&&*problem) {
        return Err(format!("who has logged out was refused: {problem}"));
    }
    let after = server.put(2..=2).await?;
    expect(&mut neighbour, &after).await?;
    neighbour.undisturbed()
}

pub(crate) async fn a_client_that_renews_loses_nothing(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let mut token = server.admit().await?;
    let held = Held::new(token.clone());
    let mut client = server.admitted(&held).await?;
    let mut neighbour = server.admitted(&Held::new(server.admit().await?)).await?;
    for round in 0..3 {
        let first = 10 * round;
        // One event that the client has, others that may be on their way when the
        // credential ends, and others that come while the client is away.
        let mut published = server.put(first + 1..=first + 1).await?;
        expect(&mut client, &published).await?;
        let on_the_way = server.put(first + 2..=first + 4).await?;
        let next = server.admit().await?;
        held.replace(next.clone());
        server.withdraw(&token, Withdrawn::Credential).await?;
        token = next;
        let away = server.put(first + 5..=first + 8).await?;
        expect(&mut client, &on_the_way).await?;
        expect(&mut client, &away).await?;
        published.extend(on_the_way);
        published.extend(away);
        expect(&mut neighbour, &published).await?;
    }
    neighbour.undisturbed()
}

pub(crate) async fn a_right_withdrawn_holds_from_the_next_event_on(
    bench: Bench<'_>,
) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let other = server.other_kind()?;
    let token = server.admit().await?;
    let client = server.admitted(&Held::new(token.clone())).await?;
    let neighbour = server.admitted(&Held::new(server.admit().await?)).await?;
    let mut client = client.also_of(other.clone());
    let mut neighbour = neighbour.also_of(other.clone());
    let mut published = server.put(1..=1).await?;
    published.extend(server.put_of(&other, 2..=2).await?);
    expect(&mut client, &published).await?;
    server
        .withdraw(&token, Withdrawn::Kind(other.clone()))
        .await?;
    for number in [3, 5, 7] {
        published.extend(server.put_of(&other, number..=number).await?);
        let seen = server.put(number + 1..=number + 1).await?;
        let found = expect(&mut client, &seen).await;
        found.map_err(|error| format!("without the right to {other}: {error}"))?;
        published.extend(seen);
    }
    expect(&mut neighbour, &published).await?;
    neighbour.undisturbed()?;
    client.undisturbed()
}
