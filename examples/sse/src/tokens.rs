//! The stream that most people meet today: a text that is generated token by token, in
//! the answer to a POST.
//!
//! The format is the same; the rules are not. The answer belongs to one request, so
//! there is no log, no cursor and no reconnecting: who loses the connection loses the
//! answer, and asks again. `EventSource` cannot read it, because it only sends GET and
//! would ask again by itself at the end.

use crate::{
    framing,
    server::{Server, STREAM_HEADERS},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use contract::Problem;
use futures_util::{
    future::{select, Either},
    stream, Stream, StreamExt,
};
use serde::{Deserialize, Serialize};
use serving::ProblemResponse;
use std::{convert::Infallible, future::Future, time::Duration};
use waiting::{
    http::{JsonBody, Sender},
    Over, Place, Reader,
};

/// The longest prompt, in characters: a few paragraphs, since the answer repeats it.
const MAX_PROMPT: usize = 2_000;

/// What the client asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    prompt: String,
}

impl Request {
    /// What is asked.
    ///
    /// # Errors
    /// 413 `too-large`.
    pub(crate) fn prompt(self) -> Result<String, Problem> {
        if self.prompt.chars().count() > MAX_PROMPT {
            let detail = format_args!("a prompt has at most {MAX_PROMPT} characters");
            return Err(Problem::too_large(detail));
        }
        Ok(self.prompt)
    }
}

/// The data of one token.
#[derive(Serialize)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
}

/// The data of `done`, the last event: without it, a client must take the answer for
/// broken off.
#[derive(Serialize)]
struct Done {
    tokens: usize,
}

/// An answer in pieces. It stands for a language model: what matters here is that the
/// next token takes a while.
pub(crate) fn generate(prompt: &str) -> Vec<String> {
    let answer = format!(
        "You asked: “{}” No model is at work here, only a loop that pauses between words. What you see is how such an \
         answer travels: each word is an event of its own, written as soon as it exists, and your browser shows it \
         before the next one is made. Press Stop and the request is closed; the server notices at its next write and \
         makes no more.",
        prompt.trim()
    );
    answer.split_inclusive(' ').map(str::to_owned).collect()
}

// ANCHOR: answer
/// `POST tokens`: the answer as an event stream.
pub(crate) async fn answer(
    State(server): State<Server>,
    Sender(client): Sender,
    reader: Reader,
    JsonBody(request): JsonBody<Request>,
) -> Result<Response, ProblemResponse> {
    reader.check()?;
    let prompt = request.prompt()?;
    let door = server.room.door();
    let place = door.enter(&client)?;
    let tokens = generate(&prompt);
    let stopped = door.end().raised();
    // `take_until` ends the body when the server ends. No `done` was sent then, so the
    // client knows that this is not the whole answer.
    let events = events(tokens, server.config.token_pause, place).take_until(stopped);
    let events = until_over(events, reader.over());
    Ok((STREAM_HEADERS, Body::from_stream(events)).into_response())
}

/// One event for each token, then `done`. When the client goes, hyper drops this
/// stream, and with it the generator: no flag has to tell it.
fn events(
    tokens: Vec<String>,
    pause: Duration,
    place: Place,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let total = tokens.len();
    let pieces = stream::unfold(
        (tokens.into_iter(), place),
        move |(mut tokens, place)| async move {
            let text = tokens.next()?;
            tokio::time::sleep(pause).await;
            Some((block("", &Token { text: &text }), (tokens, place)))
        },
    );
    let done =
        stream::once(async move { block("event: done\n", &Done { tokens: total }) });
    pieces.chain(done).map(Ok)
}

fn block(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("texts and numbers become JSON");
    format!("{event}data: {data}\n\n").into()
}
// ANCHOR_END: answer

/// The same, until whoever asked may not have it any more; then why, as its last event.
fn until_over(
    events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
    over: impl Future<Output = Over> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let begun = Some((Box::pin(events), Box::pin(over)));
    stream::unfold(begun, |state| async move {
        let (mut events, over) = state?;
        // Either may be dropped: the stream keeps what it has, and an access that is
        // over stays so.
        match select(over, events.next()).await {
            Either::Left((over, _)) => {
                Some((Ok(framing::end(over.end_reason())), None))
            }
            Either::Right((event, over)) => Some((event?, Some((events, over)))),
        }
    })
}
