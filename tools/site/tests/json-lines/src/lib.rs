//! A sixth method: the log as JSON lines (`application/x-ndjson`) in one response.
//!
//! No chapter is about it. It is here so that a test can mount it, and shows what a
//! method of your own takes: its framing, and what it does with each thing that a wait
//! comes to. It has neither a page nor a client.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    Router,
};
use contract::{stream::StreamMessage, End, EndReason, Heartbeat, Hello};
use futures_util::stream;
use method::{Host, Method, Waits};
use serving::{fallbacks, ProblemResponse};
use std::time::Duration;
use waiting::{
    http::{cut_route, publish_route, status_route, After},
    Cut, Cuts, Door, Next, Places, Reader, Room, Wait,
};

/// What this method says of itself.
pub const METHOD: Method = Method {
    name: "json-lines",
    title: "JSON lines",
    port: 4104,
    about: "Serves a log of events as JSON lines",
    waits: Some(Waits {
        flag: "max-responses",
        help: "Responses open at once",
        silence: Some("The longest silence in a response before a heartbeat"),
    }),
    cuts: true,
    router,
};

#[derive(Clone)]
struct Server {
    room: Room,
    every: Duration,
}

fn router(host: Host) -> Router {
    let places = Places::new(host.places).within(host.shared.as_ref());
    let door = Door::new(host.ending.signal(), places);
    let room = Room::new(METHOD.name, host.log, door).with_cuts(Cuts::new(true));
    let router = Router::new()
        .route("/events", publish_route(&room).get(events))
        .route("/status", status_route(&room))
        .route("/cut", cut_route(&room));
    let every = host.heartbeat;
    fallbacks(router).with_state(Server { room, every })
}

async fn events(
    State(Server { room, every }): State<Server>,
    After(after): After,
    reader: Reader,
) -> Result<Response, ProblemResponse> {
    let lines = Lines {
        wait: room.join(after.unwrap_or_default(), reader).await?,
        every,
        begun: false,
        over: false,
    };
    let body = stream::unfold(lines, |mut lines| async move {
        lines.next().await.map(|chunk| (chunk, lines))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// One open response.
struct Lines {
    wait: Wait,
    every: Duration,
    begun: bool,
    over: bool,
}

impl Lines {
    /// The next lines; `None` where the response ends, and an error where it is to break off.
    async fn next(&mut self) -> Option<Result<String, Cut>> {
        if self.over {
            return None;
        }
        let every = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX);
        if !self.begun {
            self.begun = true;
            let cursor = self.wait.cursor();
            return Some(Ok(line(&StreamMessage::Hello(Hello { cursor, every }))));
        }
        self.wait.limit_silence(self.every);
        let next = self.wait.next().await;
        self.over = matches!(
            next,
            Next::Finished | Next::Ending | Next::Aged | Next::Cut | Next::Over(_)
        );
        let message = match next {
            Next::Batch(batch) => {
                let events = batch.events.iter().map(|event| {
                    let json = std::str::from_utf8(event.json()).expect("JSON is text");
                    format!("{{\"message\":{json}}}\n")
                });
                return Some(Ok(events.collect()));
            }
            Next::Gap(gap) => StreamMessage::Gap(gap),
            Next::Silence => StreamMessage::Heartbeat(Heartbeat {
                every,
                cursor: Some(self.wait.cursor()),
            }),
            Next::Finished => StreamMessage::End(End {
                reason: EndReason::Finished,
            }),
            Next::Ending | Next::Aged => StreamMessage::End(End {
                reason: EndReason::Shutdown,
            }),
            Next::Over(over) => StreamMessage::End(End {
                reason: over.end_reason(),
            }),
            Next::Cut => return Some(Err(Cut)),
        };
        Some(Ok(line(&message)))
    }
}

fn line(message: &StreamMessage) -> String {
    format!("{{\"{}\":{}}}\n", message.event_type(), message.data())
}
