//! The cases that read bytes, tested: between a server that does everything right and
//! the suite stands one that changes a few bytes, so that the case which is about them
//! has to fail.

use conformance::{
    test, Gate, Hook, Method, Outcome, Server, Settings, Subject, Verdict, CASES,
};
use feed::{Feed, Retention};
use futures_util::future::{BoxFuture, FutureExt};
use harness::conformance::InProcess;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{io, net::SocketAddr, process::ExitCode, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;
use Method::{LongPolling, Polling, Sse, WebSocket};

/// What is changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Of a request.
    Up,
    /// Of an answer.
    Down,
    /// Nothing, but that a connection ends.
    Open,
}
use Way::{Down, Open, Up};

/// A change on the way, of as many bytes as before, and the cases that have to see it.
struct Fault {
    method: Method,
    way: Way,
    from: &'static [u8],
    to: &'static [u8],
    caught_by: &'static [&'static str],
}

const fn fault(
    method: Method,
    way: Way,
    from: &'static [u8],
    to: &'static [u8],
    caught_by: &'static [&'static str],
) -> Fault {
    assert!(
        from.len() == to.len(),
        "lengths on the wire have to stay right"
    );
    Fault {
        method,
        way,
        from,
        to,
        caught_by,
    }
}

/// A case of the module `wire` that is not here would be a hole in the suite.
const FAULTS: &[Fault] = &[
    fault(
        Sse,
        Down,
        b"\"latest\"",
        b"\"newest\"",
        &["status_shows_what_the_log_holds"],
    ),
    fault(
        Sse,
        Down,
        b"\"status\":410",
        b"\"status\":400",
        &["status_gives_the_verdict_of_a_wait"],
    ),
    fault(
        Sse,
        Down,
        b"problem+json",
        b"problem-json",
        &["a_problem_is_sent_as_one_and_not_stored"],
    ),
    fault(
        Sse,
        Down,
        b"cache-control: no-store",
        b"cache-control: no-cache",
        &[
            "a_problem_is_sent_as_one_and_not_stored",
            "nothing_on_the_way_may_hold_a_stream_back",
        ],
    ),
    fault(
        Sse,
        Down,
        b"2026:bad-cursor",
        b"2026:bad-c_rsor",
        &["what_is_no_position_is_refused"],
    ),
    fault(
        Sse,
        Down,
        b"HTTP/1.1 404",
        b"HTTP/1.1 200",
        &["an_unknown_path_is_not_found"],
    ),
    fault(
        Sse,
        Down,
        b"allow: ",
        b"allew: ",
        &["a_wrong_method_is_answered_with_the_right_ones"],
    ),
    fault(
        Sse,
        Down,
        b"HTTP/1.1 403",
        b"HTTP/1.1 200",
        &["a_page_of_another_origin_is_refused"],
    ),
    fault(
        Sse,
        Down,
        b"2026:wrong-host",
        b"2026:wrong-hose",
        &["a_name_that_is_not_the_servers_own_is_refused"],
    ),
    fault(
        Sse,
        Down,
        b"\"at\":\"",
        b"\"on\":\"",
        &["an_event_has_the_form_of_the_contract"],
    ),
    fault(
        Sse,
        Down,
        b"[1,  2.50]",
        b"[1,2.500 ]",
        &["line_ends_between_tokens_become_spaces"],
    ),
    fault(
        Sse,
        Down,
        b"HTTP/1.1 201",
        b"HTTP/1.1 200",
        &[
            "a_publish_is_created_and_a_retry_is_not",
            "a_key_is_forgotten_with_its_event",
        ],
    ),
    fault(
        Sse,
        Up,
        b"Idempotency-Key: \"",
        b"Idempotency-Kez: \"",
        &["a_key_may_be_quoted"],
    ),
    fault(
        Sse,
        Down,
        b"2026:bad-event",
        b"2026:bad-evemt",
        &[
            "a_body_that_is_no_event_is_refused",
            "numbers_and_texts_are_those_that_all_can_read",
        ],
    ),
    fault(
        Sse,
        Down,
        b"HTTP/1.1 415",
        b"HTTP/1.1 400",
        &["a_body_that_is_not_json_is_refused"],
    ),
    // The retry is another attempt to the server.
    fault(
        Sse,
        Up,
        b"Idempotency-Key: a",
        b"Idempotency-Kez: a",
        &["a_retry_is_answered_also_of_a_finished_log"],
    ),
    fault(
        Polling,
        Down,
        b"{\"after\":\"",
        b"{\"aftar\":\"",
        &["a_page_names_the_question_that_it_answers"],
    ),
    fault(
        Polling,
        Down,
        b"\"next\":\"",
        b"\"nest\":\"",
        &["latest_is_a_page_without_events"],
    ),
    fault(
        Polling,
        Down,
        b",\"more\":true",
        b",\"mare\":true",
        &["a_page_is_bounded"],
    ),
    fault(
        Polling,
        Down,
        b"\"status\":410",
        b"\"status\":404",
        &["a_gap_between_pages_is_gone"],
    ),
    fault(
        LongPolling,
        Up,
        b"Connection: close",
        b"Prefer: wait=0001",
        &["without_a_wish_to_wait_nothing_is_parked"],
    ),
    fault(
        LongPolling,
        Up,
        b"Prefer: wait=",
        b"Prefer: weit=",
        &[
            "a_parked_request_is_answered_by_an_event",
            "a_granted_wait_is_named",
            "a_shutdown_answers_parked_requests",
        ],
    ),
    fault(
        LongPolling,
        Down,
        b"vary: ",
        b"vory: ",
        &["a_granted_wait_is_named"],
    ),
    fault(
        Sse,
        Down,
        b"event: hello",
        b"event: hallo",
        &["a_stream_opens_with_hello"],
    ),
    fault(
        Sse,
        Down,
        b"retry: ",
        b"retri: ",
        &["a_stream_opens_with_hello"],
    ),
    fault(
        Sse,
        Down,
        b"x-accel-buffering",
        b"x-accel-buffaring",
        &["nothing_on_the_way_may_hold_a_stream_back"],
    ),
    fault(
        Sse,
        Down,
        b"event: gap\n",
        b"event: gop\n",
        &["every_block_has_its_id"],
    ),
    fault(
        Sse,
        Up,
        b"Last-Event-ID",
        b"Last-Evend-ID",
        &["a_last_event_id_is_newer_than_the_url"],
    ),
    fault(
        Sse,
        Up,
        b"lastEventId",
        b"lostEventId",
        &["a_last_event_id_is_newer_than_the_url"],
    ),
    fault(
        Sse,
        Down,
        b"\"reason\":\"unknown\"",
        b"\"reason\":\"expired\"",
        &["an_unknown_last_event_id_is_a_gap"],
    ),
    fault(
        Sse,
        Down,
        b"\"reason\":\"shutdown\"",
        b"\"reason\":\"finished\"",
        &["a_shutdown_ends_the_stream_on_purpose"],
    ),
    fault(
        Sse,
        Down,
        b"HTTP/1.1 204",
        b"HTTP/1.1 404",
        &["a_finished_log_has_no_stream"],
    ),
    fault(
        WebSocket,
        Down,
        b"{\"hello\":",
        b"{\"hallo\":",
        &["a_socket_opens_with_hello"],
    ),
    fault(
        WebSocket,
        Down,
        b"sec-websocket-accept: ",
        b"sec-websocket-accent: ",
        &["a_socket_opens_with_hello"],
    ),
    fault(
        WebSocket,
        Down,
        b"sec-websocket-version: 13",
        b"sec-websocket-version: 12",
        &["what_asks_for_no_websocket_is_refused"],
    ),
    fault(
        WebSocket,
        Down,
        b"bad-subprotocol",
        b"bad-subprotokol",
        &["a_broken_handshake_is_refused"],
    ),
    fault(
        WebSocket,
        Down,
        b"2026:future-cursor",
        b"2026:future-c_rsor",
        &["what_cannot_be_served_is_refused_before_the_socket_opens"],
    ),
    fault(
        WebSocket,
        Down,
        b"2026:bad-event",
        b"2026:bad-evemt",
        &["a_text_that_is_no_message_is_an_error"],
    ),
    // No bytes: what the server has closed stays open to the client.
    fault(
        WebSocket,
        Open,
        b"",
        b"",
        &["a_socket_that_answers_no_ping_is_dropped"],
    ),
    // The close frame's code: 1003, 1009, 1001 and 1000, each become 1008 (RFC 6455
    // §5.5.1).
    fault(
        WebSocket,
        Down,
        b"\x03\xeb",
        b"\x03\xf0",
        &["a_client_that_breaks_the_rules_is_closed"],
    ),
    fault(
        WebSocket,
        Down,
        b"\x03\xf1",
        b"\x03\xf0",
        &["a_message_that_is_too_large_closes_the_socket"],
    ),
    fault(
        WebSocket,
        Down,
        b"\x03\xe9",
        b"\x03\xf0",
        &["a_shutdown_closes_with_its_code"],
    ),
    fault(
        WebSocket,
        Down,
        b"\x03\xe8",
        b"\x03\xf0",
        &["a_finished_log_closes_with_its_code"],
    ),
    fault(
        Sse,
        Down,
        b"www-authenticate",
        b"www-authemticate",
        &["nobody_listens_without_a_credential"],
    ),
    fault(
        Sse,
        Down,
        b"\"reason\":\"denied\"",
        b"\"reason\":\"denial\"",
        &["a_logout_is_told_at_once"],
    ),
    fault(
        Sse,
        Down,
        b"\"reason\":\"renew\"",
        b"\"reason\":\"other\"",
        &["an_expired_credential_is_told_at_once"],
    ),
    // The close frame's code: 3000 and 3003, each become 1008.
    fault(
        WebSocket,
        Down,
        b"\x0b\xbb",
        b"\x03\xf0",
        &["a_logout_is_told_at_once"],
    ),
    fault(
        WebSocket,
        Down,
        b"\x0b\xb8",
        b"\x03\xf0",
        &["an_expired_credential_is_told_at_once"],
    ),
    fault(
        LongPolling,
        Down,
        b"HTTP/1.1 401",
        b"HTTP/1.1 403",
        &[
            "nobody_listens_without_a_credential",
            "an_expired_credential_is_told_at_once",
        ],
    ),
    fault(
        LongPolling,
        Down,
        b"2026:forbidden",
        b"2026:f_rbidden",
        &[
            "a_logout_is_told_at_once",
            "what_one_has_no_right_to_is_forbidden",
        ],
    ),
    fault(
        Polling,
        Down,
        b"\"next\":\"",
        b"\"nest\":\"",
        &["a_cursor_moves_past_what_is_left_out"],
    ),
    fault(
        Sse,
        Down,
        b"event: heartbeat",
        b"event: heartbeet",
        &["a_cursor_moves_past_what_is_left_out"],
    ),
    fault(
        WebSocket,
        Down,
        b"\"cursor\":\"",
        b"\"person\":\"",
        &["a_cursor_moves_past_what_is_left_out"],
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A few wait in vain, for as long as the suite has patience.
    arguments.test_threads.get_or_insert(4);
    let mut trials = vec![Trial::test("every_case_of_bytes_catches_something", || {
        let is_idle =
            |name: &str| !FAULTS.iter().any(|fault| fault.caught_by.contains(&name));
        let raw = CASES
            .iter()
            .filter(|case| case.is_raw)
            .map(|case| case.name);
        let idle: Vec<_> = raw.filter(|name| is_idle(name)).collect();
        match idle.is_empty() {
            true => Ok(()),
            false => Err(format!("nothing fails {idle:#?}").into()),
        }
    })];
    for fault in FAULTS {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let Fault {
            method, from, to, ..
        } = fault;
        let name = format!("{method}::{} as {}", text(from), text(to));
        trials.push(Trial::test(name, || {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(is_caught(fault)).map_err(Failed::from)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn is_caught(fault: &'static Fault) -> Outcome {
    let names: Vec<String> =
        fault.caught_by.iter().map(|name| (*name).into()).collect();
    let right: Arc<dyn Subject> = match fault.method {
        Polling => Arc::new(InProcess {
            router: |feed, _, ending| polling::router(feed, Default::default(), ending),
        }),
        LongPolling => Arc::new(InProcess {
            router: |feed, _, ending| {
                long_polling::router(feed, Default::default(), ending)
            },
        }),
        Sse => Arc::new(InProcess {
            router: |feed, _, ending| sse::router(feed, Default::default(), ending),
        }),
        WebSocket => Arc::new(InProcess {
            router: |feed, settings: Settings, ending| {
                let board = Feed::new(Retention::default());
                let config = websocket::Config {
                    heartbeat: settings.heartbeat,
                    ..Default::default()
                };
                websocket::router(feed, board, config, ending)
            },
        }),
    };
    for (subject, is_right) in [
        (Arc::clone(&right), true),
        (Arc::new(Changed { right, fault }), false),
    ] {
        let report = test(fault.method, subject, &names, |_| {}).await;
        for name in fault.caught_by {
            let row = report.rows.iter().find(|row| row.name == *name);
            let row = row.ok_or_else(|| format!("{name} was not run"))?;
            if matches!(row.verdict, Verdict::Passed) != is_right {
                return Err(format!("is it right? {is_right}\n{row}"));
            }
        }
    }
    Ok(())
}

/// A right server behind a change.
struct Changed {
    right: Arc<dyn Subject>,
    fault: &'static Fault,
}

struct Behind {
    right: Box<dyn Server>,
    base: Url,
    accepting: JoinHandle<()>,
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Subject for Changed {
    fn hooks(&self) -> Vec<Hook> {
        self.right.hooks()
    }

    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        async move {
            let right = self.right.start(settings).await?;
            let text = |error: io::Error| error.to_string();
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
            let here = listener.local_addr().map_err(text)?;
            let base = format!("http://{here}/").parse().expect("an address");
            let port = right.base().port().expect("a port");
            let server = SocketAddr::from(([127, 0, 0, 1], port));
            let accepting = tokio::spawn(accept(listener, server, self.fault));
            Ok(Box::new(Behind {
                right,
                base,
                accepting,
            }) as Box<dyn Server>)
        }
        .boxed()
    }
}

impl Server for Behind {
    fn base(&self) -> &Url {
        &self.base
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        self.right.stop()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.right.finish()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        self.right.gate()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, fault: &'static Fault) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let upstream = TcpStream::connect(server).await?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let change = |way| (fault.way == way).then_some((fault.from, fault.to));
            let up = async {
                let mut to_server = to_server;
                pass(from_client, &mut to_server, change(Up)).await?;
                to_server.shutdown().await
            };
            let mut to_client = to_client;
            let down = async {
                pass(from_server, &mut to_client, change(Down)).await?;
                if fault.way == Open {
                    std::future::pending::<()>().await;
                }
                to_client.shutdown().await
            };
            tokio::try_join!(up, down)
        });
    }
}

/// Passes bytes on, and changes some of them on the way.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    change: Option<(&[u8], &[u8])>,
) -> io::Result<()> {
    let mut held = Vec::new();
    while from.read_buf(&mut held).await? > 0 {
        let mut ready = held.len();
        if let Some((old, new)) = change {
            for at in 0..held.len() {
                if held[at..].starts_with(old) {
                    held[at..at + old.len()].copy_from_slice(new);
                }
            }
            // What may be the beginning of what is to be changed waits for the rest.
            let may_begin = |length: &usize| held.ends_with(&old[..*length]);
            ready -= (1..old.len()).rev().find(may_begin).unwrap_or(0);
        }
        to.write_all(&held[..ready]).await?;
        held.drain(..ready);
    }
    to.write_all(&held).await
}
