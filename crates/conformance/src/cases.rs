//! The list of cases, and what each works with.

use crate::{
    observer::Observer,
    streams::{self, access as streams_access},
    wire::{self, access as wire_access},
    Gate, Held, Hook, Method, Outcome, Refused, Running, Servers, Settings, Transport,
    Withdrawn,
};
use contract::{Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;
use std::{fmt::Debug, ops::RangeInclusive, time::Duration};
use Hook::{Access, Cut, Finish, Local, Servers as Several, Start, Stop};

/// One sentence of the contract, and how it is tested.
pub struct Case {
    /// What it tests, as a test's name.
    pub name: &'static str,
    /// Whether it reads the bytes itself. Else it follows the log by a client.
    pub is_raw: bool,
    /// The methods that it is about.
    pub methods: &'static [Method],
    /// What it needs besides an address.
    pub needs: &'static [Hook],
    /// The sentence, as it is on the contract's page.
    pub sentence: &'static str,
    pub(crate) run: for<'a> fn(Bench<'a>) -> BoxFuture<'a, Outcome>,
}

impl Case {
    /// Whether it is about this method, and these hooks are all that it needs.
    pub fn can_be_tried(&self, method: Method, hooks: &[Hook]) -> bool {
        let is_there = |hook: &Hook| hooks.contains(hook);
        self.methods.contains(&method) && self.needs.iter().all(is_there)
    }
}

impl Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// `name(module, methods, needs, sentence)`, where the module has a function of that
/// name.
macro_rules! cases {
    ($($name:ident($module:ident, $methods:ident, $needs:expr, $sentence:expr)),* $(,)?) => {
        /// The whole suite.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            is_raw: $module::IS_RAW,
            methods: Method::$methods,
            needs: &$needs,
            sentence: $sentence,
            run: |bench| $module::$name(bench).boxed(),
        }),*];
    };
}

cases![
    a_cursor_comes_before_the_wait(streams, ALL, [],
        "So every method gives the client a cursor first, before any event and even where there are no events at all."),
    history_comes_first_and_then_what_is_new(streams, ALL, [],
        "Events of one log come in the order of their ids, and each has an id of its own."),
    the_earliest_is_the_oldest_event_that_is_kept(streams, ALL, [Start],
        "with the oldest event that the server still has"),
    a_client_starts_after_its_cursor(streams, ALL, [],
        "with the first event after the cursor"),
    events_keep_their_order_under_load(streams, ALL, [],
        "The server sends each event of a log once per request, stream or socket."),
    nothing_is_lost_or_doubled_across_cuts(streams, ALL, [Cut],
        "Lost events are always [announced](#a-gap)."),
    a_client_that_saw_nothing_yet_loses_nothing(streams, ALL, [Cut],
        "A client must hold a cursor before it waits."),
    an_expired_cursor_is_a_gap(streams, ALL, [Start],
        "the place from which the server goes on, for each reason the one before the oldest event that it keeps; the next event is the first one after it"),
    a_cursor_of_another_log_is_a_gap(streams, ALL, [],
        "With the epoch the server sees that the cursor belongs to another log, and says so."),
    a_client_that_was_away_too_long_gets_a_gap(streams, ALL, [Start, Cut],
        "A gap says: there were events after your cursor that I cannot give you."),
    a_cursor_from_the_future_is_refused(streams, ALL, [],
        "`after` is past the end of this log; has `asked`"),
    a_cursor_ahead_of_one_server_is_waited_for(streams, ALL, [Start, Several],
        "One that is late waits until it has come to the cursor, and does not answer `future-cursor`."),
    what_one_server_has_forgotten_is_no_gap(streams, ALL, [Start, Several],
        "Only what the log itself has lost is a gap."),
    silence_is_filled_with_heartbeats(streams, ALL, [Start],
        "A client that hears nothing at all for two such intervals and a second takes the connection for dead and reconnects."),
    a_shutdown_ends_open_connections(streams, ALL, [Start, Stop],
        "this server is going away; the log goes on"),
    a_finished_log_ends_its_clients(streams, ALL, [Start, Finish],
        "the log is complete and you have all of it"),
    a_finished_log_lets_late_clients_read_to_its_end(streams, ALL, [Start, Finish],
        "the log is complete and you have all of it"),
    a_finished_log_accepts_no_event(streams, ALL, [Start, Finish],
        "publishing to a log that is complete"),
    data_comes_out_as_it_went_in(streams, ALL, [],
        "So the text of a message comes out as it went in, whichever line ends it has."),
    every_client_sees_what_one_publishes(streams, ALL, [],
        "The answer names the event that was appended."),
    a_retried_publish_is_one_event(streams, ALL, [],
        "All retries carry the same key."),
    a_refused_publish_leaves_no_event(streams, ALL, [],
        "A key that comes again with *different* content is an error (422), because one of the two would be lost."),

    status_shows_what_the_log_holds(wire, ALL, [],
        "the place after the newest event"),
    status_gives_the_verdict_of_a_wait(wire, ALL, [],
        "With `after`, the answer is 200 if a wait from there could begin without a gap."),
    a_problem_is_sent_as_one_and_not_stored(wire, ALL, [],
        "Every problem is sent with `Cache-Control: no-store`, because some of these statuses, 410 among them, may otherwise be cached"),
    what_is_no_position_is_refused(wire, ALL, [],
        "Anything else is [`bad-cursor`](#problems): an empty text, and `after` given twice, as well."),
    an_unknown_path_is_not_found(wire, ALL, [],
        "there is no such resource"),
    a_wrong_method_is_answered_with_the_right_ones(wire, ALL, [],
        "the resource is there, but not for this method; has `Allow`"),
    a_page_of_another_origin_is_refused(wire, ALL, [],
        "a page of another origin tried to change something"),
    a_name_that_is_not_the_servers_own_is_refused(wire, ALL, [Local],
        "the `Host` is not one that this server answers for, or is missing or malformed"),
    an_event_has_the_form_of_the_contract(wire, ALL, [],
        "An event is one JSON object ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)) with four members."),
    line_ends_between_tokens_become_spaces(wire, POST, [],
        "The log passes it on as it was published, but for line ends between its tokens, which become spaces, and does not look inside."),
    a_publish_is_created_and_a_retry_is_not(wire, POST, [],
        "The log appends the first, with status 201."),
    a_retry_is_answered_also_of_a_finished_log(wire, POST, [Start, Finish],
        "To a retry it gives the same id with status 200 and appends nothing, also where the log is complete by then."),
    a_key_may_be_quoted(wire, POST, [],
        "This server takes both, `\"5b0f…\"` and `5b0f…`, for the same key"),
    a_key_is_forgotten_with_its_event(wire, POST, [Start],
        "The log remembers a key for as long as it keeps the event."),
    numbers_and_texts_are_those_that_all_can_read(wire, POST, [],
        "what a double can hold; no half of a surrogate pair"),
    a_body_that_is_no_event_is_refused(wire, POST, [],
        "The body has a `kind` and `data`, each once, and no other member."),
    a_body_that_is_not_json_is_refused(wire, POST, [],
        "the body's `Content-Type` is not JSON, or it has a `Content-Encoding`"),

    a_page_names_the_question_that_it_answers(wire, PAGES, [],
        "the place after which this page begins. It says which question this answer belongs to."),
    latest_is_a_page_without_events(wire, PAGES, [],
        "A request with `latest` gets a page without events, and with it a cursor."),
    a_page_is_bounded(wire, PAGES, [],
        "A page holds at most 256 events or 64 KiB of them, whichever is reached first, and at least one event if any is due."),
    a_gap_between_pages_is_gone(wire, PAGES, [],
        "A gap is a [problem](#problems): 410, with `resume`, and the client asks again from there."),

    without_a_wish_to_wait_nothing_is_parked(wire, LONG_POLLING, [],
        "Without the header, or without a cursor, no request is parked."),
    a_parked_request_is_answered_by_an_event(wire, LONG_POLLING, [],
        "If nothing is, the server [**parks**](glossary.md#parked-request) the request and answers when there is something, or when the time is over, with a page without events."),
    a_granted_wait_is_named(wire, LONG_POLLING, [],
        "It says what it granted, also where it did not have to wait:"),
    a_shutdown_answers_parked_requests(wire, LONG_POLLING, [Start, Stop],
        "When the server shuts down, it answers all parked requests at once, with a page without events, and closes the connection."),

    a_stream_opens_with_hello(wire, SSE, [],
        "It says where the client stands, and how long a silence may last: the object is that of [WebSocket's `hello`](#the-websocket)."),
    nothing_on_the_way_may_hold_a_stream_back(wire, SSE, [],
        "The last three lines speak to whatever stands between server and client."),
    every_block_has_its_id(wire, SSE, [],
        "Every block but `end` has an `id`, and it is always the cursor to come back with."),
    a_last_event_id_is_newer_than_the_url(wire, SSE, [],
        "It is newer than the URL, which stays the same for as long as the page keeps its `EventSource`."),
    an_unknown_last_event_id_is_a_gap(wire, SSE, [],
        "So a stream opens whenever it can, and tells what is wrong inside."),
    a_shutdown_ends_the_stream_on_purpose(wire, SSE, [Start, Stop],
        "The server ends the stream on purpose, and then ends the response."),
    a_finished_log_has_no_stream(wire, SSE, [Start, Finish],
        "a request for a finished log of which nothing is left after the cursor gets status 204, with `Cache-Control: no-store`, and at 204 an `EventSource` stops"),

    a_socket_opens_with_hello(wire, WEBSOCKET, [],
        "the first message: the socket stands, at this cursor; to a client that reads, a heartbeat comes at least every 15,000 ms"),
    what_asks_for_no_websocket_is_refused(wire, WEBSOCKET, [],
        "With 426 come `Upgrade: websocket` and `Sec-WebSocket-Version: 13`."),
    a_broken_handshake_is_refused(wire, WEBSOCKET, [],
        "One that asks and breaks the rules (`Sec-WebSocket-Key` that is not 16 bytes in Base64, a key or a version twice, no version), or does not offer `waiting.v1`, gets 400."),
    what_cannot_be_served_is_refused_before_the_socket_opens(wire, WEBSOCKET, [],
        "A malformed cursor, one from the future and a full server are refused with their [problems](#problems) before the socket opens; so is a page of another origin."),
    a_text_that_is_no_message_is_an_error(wire, WEBSOCKET, [],
        "An object of several members is no message: a client ignores it, as it does a name that it does not know, and the server answers `bad-event`."),
    a_client_that_breaks_the_rules_is_closed(wire, WEBSOCKET, [],
        "the client broke the rules: of framing, of text only, of UTF-8"),
    a_message_that_is_too_large_closes_the_socket(wire, WEBSOCKET, [],
        "the socket is closed with 1009"),
    a_socket_that_answers_no_ping_is_dropped(wire, WEBSOCKET, [Start],
        "A client from which not one byte comes for two heartbeats, not even the answer to a ping, is dropped."),
    a_shutdown_closes_with_its_code(wire, WEBSOCKET, [Start, Stop],
        "There is no message for the end. The frame that closes a WebSocket has a code, and a script can read it"),
    a_finished_log_closes_with_its_code(wire, WEBSOCKET, [Start, Finish],
        "A finished log of which nothing is left gets `hello`, and then the close."),

    a_logout_ends_one_client_and_no_other(streams_access, ALL, [Start, Access],
        "Nobody else notices."),
    a_client_that_renews_loses_nothing(streams_access, ALL, [Start, Access],
        "What a client has not been sent by then it gets with its next credential, after its cursor."),
    a_right_withdrawn_holds_from_the_next_event_on(streams_access, ALL, [Start, Access],
        "A right that is withdrawn holds from the next event on, also in what is open."),
    nobody_listens_without_a_credential(wire_access, ALL, [Start, Access],
        "there is no credential, or it is over; has `WWW-Authenticate`"),
    a_logout_is_told_at_once(wire_access, ALL, [Start, Access],
        "The three ends come at once, and not with the next heartbeat."),
    an_expired_credential_is_told_at_once(wire_access, ALL, [Start, Access],
        "it is over while the client waits"),
    a_cursor_moves_past_what_is_left_out(wire_access, ALL, [Start, Access],
        "Then `next` of a page, the `id` of a heartbeat in a stream, and the `cursor` of a heartbeat on a socket move the reader past them."),
    what_one_has_no_right_to_is_forbidden(wire_access, ALL, [Start, Access],
        "the caller is known, and has no right to this"),
];

/// What a case starts its server with.
pub(crate) struct Bench<'a> {
    transport: &'a dyn Transport,
    relayed: bool,
    guarded: bool,
}

/// A server at work, and what the case publishes there.
pub(crate) struct Started {
    pub(crate) running: Box<dyn Running>,
    /// Whether the log was new when the case began.
    pub(crate) is_new: bool,
    /// Of the events of this case, and no others.
    pub(crate) kind: Kind,
}

/// An event that is in the log, with a number for its data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) cursor: Cursor,
    pub(crate) number: u64,
}

/// So far apart that no heartbeat is met by accident; and what a client of long polling
/// asks to wait.
const HEARTBEAT: Duration = Duration::from_secs(15);

impl<'a> Bench<'a> {
    pub(crate) fn new(case: &Case, transport: &'a dyn Transport) -> Self {
        Self {
            transport,
            relayed: case.needs.contains(&Cut),
            guarded: case.needs.contains(&Access),
        }
    }

    /// A server that keeps more events than any case publishes.
    pub(crate) async fn start(&self) -> Result<Started, String> {
        self.start_with(10_000, HEARTBEAT).await
    }

    pub(crate) async fn start_with(
        &self,
        retention: usize,
        heartbeat: Duration,
    ) -> Result<Started, String> {
        let settings = Settings {
            heartbeat,
            retention,
            relayed: self.relayed,
            guarded: self.guarded,
        };
        let running = self.transport.start(settings).await?;
        let kind = format!("conformance-{:08x}", fastrand::u32(..));
        Ok(Started {
            running,
            is_new: self.transport.starts_anew(),
            kind: kind.parse().map_err(|_| "a constant is no kind")?,
        })
    }
}

impl Started {
    /// A client that need not be connected yet.
    pub(crate) fn client(&self, position: Position) -> Observer {
        Observer::new(self.running.subscribe(position), self.kind.clone())
    }

    /// A client that is known to be connected, and the cursor it holds.
    pub(crate) async fn connected(
        &self,
        position: Position,
    ) -> Result<(Observer, Cursor), String> {
        let mut client = self.client(position);
        let cursor = client.opened().await?;
        Ok((client, cursor))
    }

    fn gate(&self) -> Result<&dyn Gate, String> {
        let gate = self.running.gate();
        gate.ok_or_else(|| "the server has no gate".to_owned())
    }

    pub(crate) fn servers(&self) -> Result<&dyn Servers, String> {
        let servers = self.running.servers();
        servers.ok_or_else(|| "there is one server".to_owned())
    }

    /// A token of somebody new.
    pub(crate) async fn admit(&self) -> Result<String, String> {
        let token = self.gate()?.admit().await?;
        match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(token),
            false => Err("what the gate gave is not fit for a header".to_owned()),
        }
    }

    pub(crate) async fn withdraw(&self, token: &str, what: Withdrawn) -> Outcome {
        self.gate()?.withdraw(token, what).await
    }

    /// As [`connected`](Self::connected), at the latest, with what is held.
    pub(crate) async fn admitted(&self, held: &Held) -> Result<Observer, String> {
        let updates = self.running.subscribe_as(held.clone(), Position::Latest);
        let mut client = Observer::new(updates, self.kind.clone());
        client.opened().await?;
        Ok(client)
    }

    /// A kind of the case besides [`kind`](Self::kind).
    pub(crate) fn other_kind(&self) -> Result<Kind, String> {
        let kind = format!("{}-other", self.kind).parse();
        kind.map_err(|_| "a kind is too long".to_owned())
    }

    /// The end of the log as it is now.
    pub(crate) async fn latest(&self) -> Result<Cursor, String> {
        Ok(self.connected(Position::Latest).await?.1)
    }

    /// Publishes an event of the case's kind.
    pub(crate) async fn publish(
        &self,
        key: Option<&str>,
        data: &Data,
    ) -> Result<Cursor, Refused> {
        let key = key.map(|key| {
            let key: Result<IdempotencyKey, _> = key.parse();
            key.expect("a constant that is a key")
        });
        let kind = self.kind.clone();
        self.running.publish(key, kind, data.clone()).await
    }

    /// Publishes numbers, one after the other.
    pub(crate) async fn put(
        &self,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<Published>, String> {
        self.put_of(&self.kind, numbers).await
    }

    /// The same, of this kind.
    pub(crate) async fn put_of(
        &self,
        kind: &Kind,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<Published>, String> {
        let mut published = Vec::new();
        for number in numbers {
            let cursor = self
                .running
                .publish(None, kind.clone(), data(&number)?)
                .await
                .map_err(|Refused(why)| format!("event {number} was refused: {why}"))?;
            published.push(Published { cursor, number });
        }
        Ok(published)
    }
}

pub(crate) fn data<T: Serialize + ?Sized>(value: &T) -> Result<Data, String> {
    Data::new(value).map_err(|error| error.to_string())
}

pub(crate) fn equal<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    found: T,
    expected: U,
) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

/// The next events of the case must be these.
pub(crate) async fn expect(client: &mut Observer, events: &[Published]) -> Outcome {
    for Published { cursor, number } in events {
        let event = client
            .event()
            .await
            .map_err(|error| format!("before event {number}: {error}"))?;
        equal(
            "the next event's data",
            event.data.get(),
            number.to_string(),
        )?;
        equal("its id", event.id, *cursor)?;
    }
    Ok(())
}
