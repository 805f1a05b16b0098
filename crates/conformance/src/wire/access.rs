//! Cases that read the bytes of a server that asks who its readers are.

use super::{at, hello, json, problem, read_to_end, Sent, Socket, PREFER};
use crate::{
    cases::{equal, Bench, Started},
    observer::in_time,
    raw::{send, Blocks, Request, Whole},
    streams::{access::SILENCE, random_key},
    Method, Outcome, Withdrawn,
};
use contract::{
    socket::ServerMessage, Cursor, EndReason, Event, Heartbeat, Kind, LogPage,
    ProblemKind,
};
use futures_util::future::join;
use std::time::Duration;

pub(crate) const IS_RAW: bool = true;

/// What is not fit to be shown to whoever has no right to it.
const SECRET: &str = "for-few-eyes";

fn by(token: &str, request: Request) -> Request {
    request.with("Authorization", format!("Bearer {token}"))
}

/// One of the refusals of those who may not do this, or not yet.
fn refusal(whole: &Whole, kinds: &[ProblemKind]) -> Outcome {
    let found: Vec<_> = kinds.iter().map(|kind| problem(whole, *kind)).collect();
    match found.iter().any(Result::is_ok) {
        true => Ok(()),
        false => found.into_iter().try_for_each(|found| found.map(drop)),
    }
}

pub(crate) async fn nobody_listens_without_a_credential(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let (method, base) = server.wire()?;
    let mut asked = vec![Request::events(method, "")];
    if Method::POST.contains(&method) {
        asked.push(Request::post(server.body("1")));
    }
    let nobody = random_key();
    for request in asked {
        for (what, request) in [
            ("no credential", request.clone()),
            ("an unknown one", by(&nobody, request.clone())),
        ] {
            let what = format!("{} with {what}", request.method);
            let answer = send(base, &request).await?;
            if answer.status == 101 {
                // It may let a socket say who it is in a first message.
                let mut socket = Socket::opened(answer).await?;
                silent_until_closed(&mut socket, 3000).await?;
                continue;
            }
            let answer = answer.whole().await?;
            at(&what, problem(&answer, ProblemKind::Unauthorized))?;
            if answer.header("www-authenticate").is_none() {
                return Err(format!("{what}: 401 has no WWW-Authenticate"));
            }
        }
        let token = server.admit().await?;
        let answer = send(base, &by(&token, request)).await?;
        if !matches!(answer.status, 101 | 200 | 201) {
            return Err(answer.instead_of("an answer to who was admitted").await);
        }
    }
    Ok(())
}

/// Nothing of the log may come before the close.
async fn silent_until_closed(socket: &mut Socket, code: u16) -> Outcome {
    loop {
        match socket.sent().await? {
            Sent::Text(text) if text.starts_with(r#"{"error":"#) => {}
            Sent::Text(text) => return Err(format!("a stranger was sent {text}")),
            Sent::Close(found) => return equal("the code", found, Some(code)),
        }
    }
}

pub(crate) async fn a_logout_is_told_at_once(bench: Bench<'_>) -> Outcome {
    // Whoever has logged out is not known any more, or is and has no right.
    let kinds = [ProblemKind::Forbidden, ProblemKind::Unauthorized];
    let ends = Ends {
        kinds: &kinds,
        reason: EndReason::Denied,
        code: 3003,
    };
    last_word(bench, Withdrawn::Access, ends).await
}

pub(crate) async fn an_expired_credential_is_told_at_once(bench: Bench<'_>) -> Outcome {
    let ends = Ends {
        kinds: &[ProblemKind::Unauthorized],
        reason: EndReason::Renew,
        code: 3000,
    };
    last_word(bench, Withdrawn::Credential, ends).await
}

/// What a reader is told whose access is over.
struct Ends<'a> {
    kinds: &'a [ProblemKind],
    reason: EndReason,
    code: u16,
}

async fn last_word(bench: Bench<'_>, what: Withdrawn, ends: Ends<'_>) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let (method, base) = server.wire()?;
    let here = server.put(1..=1).await?[0].cursor;
    let token = server.admit().await?;
    let waits = by(&token, Request::events(method, &format!("?after={here}")));
    match method {
        Method::Polling => server.withdraw(&token, what).await?,
        Method::LongPolling => {
            let waits = waits.clone().with(PREFER, "wait=60");
            let answer = async { send(base, &waits).await?.whole().await };
            let withdrawing = async {
                let neighbour = server.admit().await?;
                be_parked(&server, &neighbour).await?;
                server.withdraw(&token, what).await
            };
            let (answer, withdrawn) = join(answer, withdrawing).await;
            withdrawn?;
            refusal(&answer?, ends.kinds)?;
        }
        Method::Sse => {
            let mut blocks = Blocks::open(base, waits.clone()).await?;
            hello(&mut blocks).await?;
            server.withdraw(&token, what).await?;
            read_to_end(&mut blocks, ends.reason).await?;
        }
        Method::WebSocket => {
            let mut socket = Socket::open_by(base, &waits).await?;
            socket.hello().await?;
            server.withdraw(&token, what).await?;
            equal("the code", socket.closed().await?, Some(ends.code))?;
        }
    }
    // It opens nothing new.
    refusal(&server.ask(waits).await?, ends.kinds)
}

/// As the other one, of a server that asks who one is.
async fn be_parked(server: &Started, token: &str) -> Outcome {
    for _ in 0..5 {
        let request = by(token, Request::get("events?after=latest"));
        let _: LogPage = server.ask(request).await?.json(200)?;
    }
    Ok(())
}

pub(crate) async fn a_cursor_moves_past_what_is_left_out(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, Duration::from_millis(100)).await?;
    let (method, base) = server.wire()?;
    let other = server.other_kind()?;
    let here = server.put(1..=1).await?[0].cursor;
    let token = server.admit().await?;
    server
        .withdraw(&token, Withdrawn::Kind(other.clone()))
        .await?;
    let events =
        |after: Cursor| by(&token, Request::events(method, &format!("?after={after}")));
    let leaks =
        |text: &str| match text.contains(SECRET) || text.contains(other.as_str()) {
            true => Err(format!("it was sent {text}")),
            false => Ok(()),
        };
    // What may not be seen, three times.
    let withhold = async || {
        let mut last = here;
        for _ in 0..3 {
            let data = crate::cases::data(SECRET)?;
            let published = server.running.publish(None, other.clone(), data).await;
            last = published.map_err(|why| format!("{why:?}"))?;
        }
        Ok::<_, String>(last)
    };
    let page = async |request: Request| {
        let answer = server.ask(request).await?;
        leaks(&answer.body)?;
        let page: LogPage = answer.json(200)?;
        Ok::<_, String>(page)
    };
    let past = match method {
        Method::Polling => {
            let last = withhold().await?;
            let found = page(events(here)).await?;
            equal("the events", found.events.len(), 0)?;
            equal("next", found.next, last)?;
            last
        }
        Method::LongPolling => {
            let waits = |after| page(events(after).with(PREFER, "wait=1"));
            let withholding = async {
                be_parked(&server, &token).await?;
                withhold().await
            };
            let (found, last) = join(waits(here), withholding).await;
            let (mut found, last) = (found?, last?);
            // It may have been answered before the last of them.
            for _ in 0..3 {
                equal("the events", found.events.len(), 0)?;
                if found.next != last {
                    found = waits(found.next).await?;
                }
            }
            equal("next", found.next, last)?;
            last
        }
        Method::Sse => {
            let mut blocks = Blocks::open(base, events(here)).await?;
            hello(&mut blocks).await?;
            let last = withhold().await?.to_string();
            in_time("a heartbeat past what was left out", async {
                loop {
                    let block = blocks.block().await?;
                    leaks(block.data.as_deref().unwrap_or_default())?;
                    if block.id.as_ref() == Some(&last) {
                        return equal("it", block.event.as_deref(), Some("heartbeat"));
                    }
                }
            })
            .await?;
            last.parse().map_err(|_| "an id is no cursor")?
        }
        Method::WebSocket => {
            let mut socket = Socket::open_by(base, &events(here)).await?;
            socket.hello().await?;
            let last = withhold().await?;
            in_time("a heartbeat past what was left out", async {
                loop {
                    let text = socket.text().await?;
                    leaks(&text)?;
                    let message = ServerMessage::read(&text);
                    match message.map_err(|error| error.to_string())? {
                        Some(ServerMessage::Heartbeat(Heartbeat {
                            cursor: Some(cursor),
                            ..
                        })) if cursor == last => return Ok(()),
                        _ => {}
                    }
                }
            })
            .await?;
            last
        }
    };
    // From there, what may be seen is next.
    let seen = server.put(2..=2).await?[0].cursor;
    let found = match method {
        Method::Polling | Method::LongPolling => {
            let found = page(events(past)).await?;
            found.events.first().map(|event| event.id)
        }
        Method::Sse => {
            let mut blocks = Blocks::open(base, events(past)).await?;
            equal("hello's cursor", hello(&mut blocks).await?.cursor, past)?;
            let event: Event = loop {
                let block = blocks.block().await?;
                if block.event.is_none() {
                    break json(&block)?;
                }
            };
            Some(event.id)
        }
        Method::WebSocket => {
            let mut socket = Socket::open_by(base, &events(past)).await?;
            equal("hello's cursor", socket.hello().await?.cursor, past)?;
            loop {
                let text = socket.text().await?;
                let message = ServerMessage::read(&text);
                let message = message.map_err(|error| error.to_string())?;
                if let Some(ServerMessage::Event(event)) = message {
                    break Some(event.id);
                }
            }
        }
    };
    equal("the next event", found, Some(seen))
}

pub(crate) async fn what_one_has_no_right_to_is_forbidden(bench: Bench<'_>) -> Outcome {
    let server = bench.start_with(10_000, SILENCE).await?;
    let (method, base) = server.wire()?;
    let other = server.other_kind()?;
    let token = server.admit().await?;
    server
        .withdraw(&token, Withdrawn::Kind(other.clone()))
        .await?;
    if method == Method::WebSocket {
        let request = by(&token, Request::upgrade("events"));
        let mut socket = Socket::open_by(base, &request).await?;
        socket.hello().await?;
        let publish = |kind: &Kind| {
            let reference = random_key();
            format!(r#"{{"publish":{{"ref":"{reference}","kind":"{kind}","data":1}}}}"#)
        };
        socket.send_text(&publish(&other)).await?;
        let answer = socket.answer().await?;
        match ServerMessage::read(&answer) {
            Ok(Some(ServerMessage::Error(refusal))) => {
                let kind = ProblemKind::Forbidden;
                equal("the problem", refusal.problem.kind(), Some(kind))?;
                equal("its status", refusal.problem.status, kind.status())?;
            }
            _ => return Err(format!("expected an error, found {answer}")),
        }
        socket.send_text(&publish(&server.kind)).await?;
        let answer = socket.answer().await?;
        return match answer.starts_with(r#"{"ack":"#) {
            true => Ok(()),
            false => Err(format!("expected an ack, found {answer}")),
        };
    }
    let publish = |kind: &Kind| {
        let body = format!(r#"{{"kind":"{kind}","data":1}}"#);
        by(&token, Request::post(body))
    };
    let found = server.ask(publish(&other)).await?;
    problem(&found, ProblemKind::Forbidden)?;
    server.published(publish(&server.kind), 201).await.map(drop)
}
