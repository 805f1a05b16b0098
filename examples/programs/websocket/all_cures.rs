// ANCHOR: all
//! Every cure of the chapter on axum's own `WebSocket`, to copy.

use axum::{
    extract::{
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use contract::{
    socket::{Ack, ClientMessage, Refusal, ServerMessage, SUBPROTOCOL},
    Heartbeat, Hello, IdempotencyKey, Problem,
};
use feed::{Delivery, Feed, Retention, Subscription};
use futures_util::{SinkExt, StreamExt};
use serving::{guard, Allowed, Ending, ProblemResponse};
use std::{error::Error, future::pending, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{interval_at, timeout, Instant, MissedTickBehavior},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::ClientRequestBuilder, error::ProtocolError},
    WebSocketStream,
};
use waiting::http::After;

#[derive(Clone)]
struct App {
    feed: Feed,
    ending: Ending,
}

// ANCHOR: open
/// The largest message, in bytes: 64 KiB of data, and what stands around it.
const LARGEST: usize = 66 * 1024;

async fn open(
    upgrade: WebSocketUpgrade,
    State(app): State<App>,
    After(after): After,
) -> Result<Response, ProblemResponse> {
    // Before the answer: no event is lost between the two, and a wrong cursor is
    // refused.
    let subscription = app.feed.subscribe(after.unwrap_or_default())?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(1024)
        .max_frame_size(LARGEST)
        .max_message_size(LARGEST)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(160 * 1024);
    Ok(upgrade.on_upgrade(|socket| async move {
        let ending = app.ending.clone();
        ending.track(serve(socket, app, subscription)).await; // a shutdown waits for it
    }))
}
// ANCHOR_END: open

// ANCHOR: serve
async fn serve(mut socket: WebSocket, app: App, subscription: Subscription) {
    let (code, readable) = match talk(&mut socket, &app, subscription).await {
        Ok(code) => (code, true),
        Err(error) => (close_code(error), false),
    };
    let Some(code) = code else { return };
    let goodbye = async {
        let reason = "".into();
        let close = Message::Close(Some(CloseFrame { code, reason }));
        let _ = socket.send(close).await;
        while let Some(Ok(_)) = socket.recv().await {} // up to the client's own close
        if !readable {
            pending::<()>().await; // after an error: time to read ours
        }
    };
    let _ = timeout(Duration::from_secs(2), goodbye).await;
}
// ANCHOR_END: serve

/// How often the server shows that it is there, and asks whether the client is.
const BEAT: Duration = Duration::from_secs(15);
const EVERY: u64 = BEAT.as_millis() as u64;

/// Talks until there is a reason to stop. `None`: nobody is there to be told one.
async fn talk(
    socket: &mut WebSocket,
    app: &App,
    mut subscription: Subscription,
) -> Result<Option<u16>, axum::Error> {
    let (cursor, every) = (subscription.cursor(), EVERY);
    send(socket, &ServerMessage::Hello(Hello { cursor, every })).await?;
    let mut beats = interval_at(Instant::now() + BEAT, BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = true;
    loop {
        // ANCHOR: waits
        let message = tokio::select! {
            // Cancel-safe, all four: they only wait, or keep what they have in part.
            () = app.ending.begun() => return Ok(Some(1001)),
            _ = beats.tick() => {
                if !heard {
                    return Ok(None); // no answer to the last ping
                }
                heard = false;
                let beat = Heartbeat { every, cursor: None };
                send(socket, &ServerMessage::Heartbeat(beat)).await?;
                socket.send(Message::Ping("".into())).await?;
                continue;
            }
            delivery = subscription.next() => {
                let Some(delivery) = delivery else {
                    return Ok(Some(1000)); // the log is finished
                };
                deliver(socket, delivery).await?;
                continue;
            }
            message = socket.recv() => message,
        };
        // ANCHOR_END: waits
        // ANCHOR: takes
        heard = true;
        match message {
            Some(Ok(Message::Text(said))) => {
                let answer = answer(&app.feed, &said).await;
                send(socket, &answer).await?;
            }
            Some(Ok(Message::Binary(_))) => return Ok(Some(1003)),
            Some(Ok(_)) => {} // to read on is to answer a ping or a close
            Some(Err(error)) => return Err(error),
            None => return Ok(None),
        }
        // ANCHOR_END: takes
    }
}

async fn send(
    socket: &mut WebSocket,
    message: &ServerMessage,
) -> Result<(), axum::Error> {
    socket.send(text(message)).await
}

// ANCHOR: deliver
/// Gathers all that was due, and then writes it.
async fn deliver(
    socket: &mut WebSocket,
    delivery: Delivery,
) -> Result<(), axum::Error> {
    match delivery {
        Delivery::Batch(batch) => {
            for event in batch.events {
                let json = String::from_utf8_lossy(event.json());
                socket
                    .feed(Message::text(format!(r#"{{"event":{json}}}"#)))
                    .await?;
            }
        }
        Delivery::Gap(gap) => socket.feed(text(&ServerMessage::Gap(gap))).await?,
    }
    socket.flush().await
}
// ANCHOR_END: deliver

async fn answer(feed: &Feed, said: &str) -> ServerMessage {
    let publish = match ClientMessage::read(said) {
        Ok(ClientMessage::Publish(publish)) => publish,
        Ok(ClientMessage::Auth(_)) => {
            return refusal(None, Problem::bad_event("nobody was asked for a token"));
        }
        Err(error) => return refusal(None, Problem::bad_event(error)),
    };
    let reference = publish.reference;
    let published = feed.publish_once(reference.clone(), publish.kind, publish.data);
    match published.await {
        Ok(published) => ServerMessage::Ack(Ack {
            reference,
            id: published.cursor,
        }),
        Err(error) => refusal(Some(reference), error.into()),
    }
}

fn refusal(reference: Option<IdempotencyKey>, problem: Problem) -> ServerMessage {
    ServerMessage::Error(Refusal { reference, problem })
}

fn text(message: &ServerMessage) -> Message {
    Message::text(serde_json::to_string(message).expect("a message is JSON"))
}

/// As in `error_is_no_close`.
fn close_code(error: axum::Error) -> Option<u16> {
    use tungstenite::Error as E;
    match *error.into_inner().downcast::<E>().ok()? {
        E::Capacity(_) => Some(1009),
        E::Utf8(_) => Some(1007),
        E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        E::Protocol(_) => Some(1002),
        _ => None,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (feed, ending) = (Feed::new(Retention::default()), Ending::new());
    let app = App {
        feed: feed.clone(),
        ending: ending.clone(),
    };
    // ANCHOR: guarded
    let router = Router::new().route("/events", any(open)).with_state(app);
    let router = guard(router, Allowed::default());
    // ANCHOR_END: guarded

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let edge = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, edge, ending.clone()));

    use tungstenite::Message;
    let connect = || async {
        let url = format!("ws://{address}/events?after=earliest").parse()?;
        let handshake = ClientRequestBuilder::new(url).with_sub_protocol(SUBPROTOCOL);
        let connection = TcpStream::connect(address).await?;
        let (mut socket, _) = client_async(handshake, connection).await?;
        assert!(next(&mut socket)
            .await?
            .starts_with(r#"{"hello":{"cursor":"#));
        Ok::<_, Box<dyn Error>>(socket)
    };
    let mut socket = connect().await?;
    let publish = r#"{"publish":{"ref":"a","kind":"message","data":"hello"}}"#;
    for message in [publish, "hello"] {
        socket.send(Message::text(message)).await?;
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(next(&mut socket).await?);
    }
    for begins in [
        r#"{"ack":{"ref":"a","#,
        r#"{"event":{"#,
        r#"{"error":{"problem":"#,
    ] {
        assert!(
            heard.iter().any(|text| text.starts_with(begins)),
            "{heard:?}"
        );
    }

    for (wrong, code) in [
        (Message::text("x".repeat(LARGEST + 1)), 1009),
        (Message::binary("binary"), 1003),
    ] {
        let mut socket = connect().await?;
        socket.send(wrong).await?;
        let _event = next(&mut socket).await?;
        assert_eq!(closed(&mut socket).await?, code);
    }

    ending.begin();
    assert_eq!(closed(&mut socket).await?, 1001);
    assert!(socket.next().await.is_none());
    server.await??;
    Ok(())
}

type Socket = WebSocketStream<TcpStream>;

async fn next(socket: &mut Socket) -> Result<String, Box<dyn Error>> {
    Ok(socket
        .next()
        .await
        .ok_or("an end")??
        .into_text()?
        .to_string())
}

async fn closed(socket: &mut Socket) -> Result<u16, Box<dyn Error>> {
    let message = socket.next().await.ok_or("an end")??;
    let tungstenite::Message::Close(Some(close)) = message else {
        return Err(format!("{message:?}").into());
    };
    Ok(close.code.into())
}
// ANCHOR_END: all
