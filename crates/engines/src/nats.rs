//! A log in a stream of NATS JetStream.
//!
//! The stream's sequence numbers are the ids. Its one subject ends with the name of the
//! log, so that no server takes a message of another log for one of its own: after the
//! stream was deleted and made again, whoever still publishes under the old name is
//! refused, and whoever still reads under it finds nothing.

use crate::{Failure, Filling, Opened};
use async_nats::{
    connection::State,
    jetstream::{
        self,
        consumer::{pull, AckPolicy, DeliverPolicy},
        context::{GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
        stream::{self, LastRawMessageErrorKind},
        ErrorCode,
    },
    Client, ConnectOptions, HeaderMap, Message, ServerAddr,
};
use contract::{Cursor, Data, Epoch, EventId, IdempotencyKey, Kind};
use feed::{
    Entries, Entry, Feed, Filler, PublishError, Published, Retention, Source,
    Unavailable,
};
use futures_util::{future::BoxFuture, StreamExt as _};
use jiff::Timestamp;
use std::{
    convert::Infallible,
    error::Error as _,
    fmt,
    num::NonZeroU64,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{sleep, Instant};
use tracing::{debug, info, warn};

/// How long the engine may take to connect, to answer, to acknowledge.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often a server looks whether the stream is still the one that it knew.
const LOOK: Duration = Duration::from_secs(1);

/// So often in a row the stream must be shorter than this server knows before that is
/// believed: a leader that was just replaced may answer once more.
const LOOKS: u32 = 5;

/// How long JetStream knows the ids of messages, by which a retry is told from a second
/// event.
const DUPLICATES: Duration = Duration::from_secs(120);

/// Messages that come together at most.
const TOGETHER: usize = 256;

/// The description of a stream that was rolled back begins with this.
const BEGINS_AFTER: &str = "begins after ";

const MESSAGE_ID: &str = "Nats-Msg-Id";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
const KIND: &str = "Kind";

/// The log in the stream.
struct JetStream {
    client: Client,
    context: jetstream::Context,
    stream: stream::Stream<()>,
    wanted: Wanted,
    /// The name of the log, as this server knows it.
    epoch: RwLock<Epoch>,
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JetStream")
            .field(&self.wanted.stream)
            .finish()
    }
}

/// The stream, as it is made where there is none.
struct Wanted {
    stream: String,
    replicas: usize,
    /// Messages that it keeps.
    kept: i64,
}

/// What an address names: servers, a stream, and on how many of them it is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    servers: Vec<String>,
    stream: String,
    replicas: usize,
}

fn place(address: &str) -> Result<Place, Failure> {
    let (scheme, rest) = address.split_once("://").ok_or("it is no URL")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, stream) = rest.split_once('/').unwrap_or((rest, ""));
    let replicas = match query.split_once('=') {
        None if query.is_empty() => 1,
        Some(("replicas", count)) => count.parse()?,
        _ => return Err("its query is `replicas=`, or none".into()),
    };
    Ok(Place {
        servers: hosts
            .split(',')
            .map(|host| format!("{scheme}://{host}"))
            .collect(),
        stream: if stream.is_empty() { "events" } else { stream }.to_owned(),
        replicas,
    })
}

pub(crate) async fn open(
    address: &str,
    retention: Retention,
    kept: NonZeroU64,
) -> Result<Opened, Failure> {
    let place = place(address)?;
    let servers = place.servers.iter().map(|server| server.parse());
    let servers: Vec<ServerAddr> = servers.collect::<Result<_, _>>()?;
    let client = ConnectOptions::new()
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .ping_interval(Duration::from_secs(5))
        // They lost the engine together, and are not to come back together.
        .reconnect_delay_callback(|attempts| {
            let longest = 100 << attempts.min(4);
            Duration::from_millis(fastrand::u64(longest / 2..=longest))
        })
        .connect(servers)
        .await?;
    let mut context = jetstream::new(client.clone());
    context.set_timeout(PATIENCE);

    let wanted = Wanted {
        stream: place.stream,
        replicas: place.replicas,
        kept: kept.get().try_into()?,
    };
    // Named by the log that it has, or by the one that this server would begin.
    let epoch = epoch_of(&ensure(&context, &wanted).await?)?;
    let stream = context.get_stream_no_info(&wanted.stream).await?;
    let log = Arc::new(JetStream {
        client,
        context,
        stream,
        wanted,
        epoch: RwLock::new(epoch),
    });
    let (feed, filler) = Feed::builder()
        .retention(retention)
        .build_window(log.clone());
    log.begin(&filler, retention).await?;
    log.catch_up(&filler).await?;
    let filling: Filling = Box::pin(async move { log.fill(&filler, retention).await });
    Ok(Opened {
        feed,
        filling: Some(filling),
    })
}

/// The stream of this name; made, where there is none. An engine that cannot make it is
/// asked again for a while: a cluster may be about to find together.
async fn ensure(
    context: &jetstream::Context,
    wanted: &Wanted,
) -> Result<stream::Info, Failure> {
    let name = wanted.stream.as_str();
    let late = Instant::now() + PATIENCE;
    loop {
        match context.get_stream(name).await {
            Ok(stream) => return Ok(stream.cached_info().clone()),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                GetStreamErrorKind::Request if has_no_jetstream(&error) => {
                    return Err("it has no JetStream; `nats-server -js` has".into());
                }
                _ => return Err(error.into()),
            },
        }
        // ANCHOR: stream
        let epoch = feed::draw_epoch();
        let made = context.create_stream(stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.{epoch}")],
            storage: stream::StorageType::File,
            num_replicas: wanted.replicas,
            max_messages: wanted.kept,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        });
        // ANCHOR_END: stream
        match made.await {
            Ok(stream) => {
                info!(stream = name, %epoch, "a new log");
                return Ok(stream.cached_info().clone());
            }
            Err(error) if Instant::now() > late => return Err(error.into()),
            // Mostly another server was faster, and has given it another name.
            Err(error) => debug!(%error, "the stream was not made"),
        }
        sleep(Duration::from_millis(fastrand::u64(50..200))).await;
    }
}

/// Whether nobody there answers for JetStream.
fn has_no_jetstream(error: &GetStreamError) -> bool {
    let request = error
        .source()
        .and_then(|error| error.downcast_ref::<RequestError>());
    request.is_some_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// After which message that log begins: 0, but where the stream was rolled back and
/// holds messages of the log before it.
fn beginning(info: &stream::Info) -> u64 {
    let said = info.config.description.as_deref().unwrap_or_default();
    let number = said.strip_prefix(BEGINS_AFTER);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The name of the log that is in this stream.
fn epoch_of(info: &stream::Info) -> Result<Epoch, Failure> {
    let subject = info.config.subjects.first().map(String::as_str);
    let named = subject.and_then(|subject| subject.rsplit_once('.'));
    let (_, epoch) = named.ok_or("the stream has no subject that names a log")?;
    Ok(epoch.parse()?)
}

impl JetStream {
    fn epoch(&self) -> Epoch {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn subject(&self) -> String {
        format!("{}.{}", self.wanted.stream, self.epoch())
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Empties the window, before the newest events that it is to hold.
    async fn begin(
        &self,
        filler: &Filler,
        retention: Retention,
    ) -> Result<(), Failure> {
        let info = ensure(&self.context, &self.wanted).await?;
        let epoch = epoch_of(&info)?;
        let (first, last) = (info.state.first_sequence, info.state.last_sequence);
        let mut kept = first.saturating_sub(1).max(beginning(&info)).min(last);
        if kept < last && !self.has_any(&info).await? {
            kept = last;
        }
        // What failed so far is done again; from here on nothing fails.
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = epoch;
        let count = u64::try_from(retention.max_events).unwrap_or(u64::MAX);
        let id = EventId::new(kept.max(last.saturating_sub(count)));
        filler.begin(Cursor { epoch, id });
        Ok(())
    }

    /// Whether the stream holds an event of this log. Somebody who has put it back has
    /// given it another name, and all that it holds came under the old one.
    async fn has_any(&self, info: &stream::Info) -> Result<bool, Failure> {
        let subject = info.config.subjects.first().map_or("", String::as_str);
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads on to where the stream is now.
    async fn catch_up(&self, filler: &Filler) -> Result<(), Failure> {
        while let Some(place) = filler.latest() {
            let entries = self.fetch(place.id, TOGETHER).await?;
            if entries.entries.is_empty() {
                break;
            }
            filler.append(entries);
        }
        Ok(())
    }

    /// Fills the window until nobody holds the log.
    async fn fill(&self, filler: &Filler, retention: Retention) {
        while let Some(place) = filler.latest() {
            let ended = tokio::select! {
                // Cancel-safe: what was read is appended in the poll that reads it.
                Err(error) = self.follow(filler, place) => error,
                // Cancel-safe: a look that is dropped is taken again.
                end = self.watch(filler) => match end {
                    Ok(()) => return,
                    Err(error) => error,
                },
            };
            debug!(error = %ended, "the stream is read anew");
            sleep(Duration::from_millis(fastrand::u64(50..200))).await;
            let another = async {
                let info = ensure(&self.context, &self.wanted).await?;
                if epoch_of(&info)? != self.epoch() {
                    self.begin(filler, retention).await?;
                }
                Ok::<_, Failure>(())
            };
            if let Err(error) = another.await {
                warn!(%error, "the stream cannot be reached");
                sleep(LOOK).await;
            }
        }
    }

    /// Appends what comes after `place` to the window, until the stream breaks.
    async fn follow(
        &self,
        filler: &Filler,
        place: Cursor,
    ) -> Result<Infallible, Failure> {
        let consumer = self.stream.create_consumer(pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: place.id.get() + 1,
            },
            filter_subject: self.subject(),
            ..pull::OrderedConfig::default()
        });
        let messages = consumer.await?.messages().await?;
        // What has come meanwhile comes together, and wakes readers once.
        let mut messages = messages.ready_chunks(TOGETHER);
        while let Some(together) = messages.next().await {
            let together: Vec<_> = together.into_iter().collect::<Result<_, _>>()?;
            filler.append(Entries {
                epoch: place.epoch,
                entries: together.iter().filter_map(event).collect(),
            });
        }
        Err("the stream of messages has ended".into())
    }

    /// Looks whether the stream is still the one that this server knows. `Ok` where
    /// nobody holds the log any more.
    async fn watch(&self, filler: &Filler) -> Result<(), Failure> {
        let (mut away, mut shorter) = (false, 0);
        loop {
            sleep(LOOK).await;
            let Some(latest) = filler.latest() else {
                return Ok(());
            };
            let info = match self.stream.get_info().await {
                Ok(info) => info,
                Err(error) => {
                    let gone = ensure(&self.context, &self.wanted);
                    match (self.is_connected(), gone.await) {
                        // It was gone, and is there again: another one.
                        (true, Ok(info)) => info,
                        _ => {
                            away = true;
                            debug!(%error, "the stream does not answer");
                            continue;
                        }
                    }
                }
            };
            if std::mem::take(&mut away) {
                filler.is_back();
            }
            if epoch_of(&info)? != latest.epoch {
                return Err("the stream holds another log".into());
            }
            shorter = match info.state.last_sequence < latest.id.get() {
                true => shorter + 1,
                false => 0,
            };
            if shorter >= LOOKS {
                // It was restored from a copy that is older than what readers have.
                // What comes now would have ids that they have seen.
                let epoch = feed::draw_epoch();
                warn!(known = %latest, is = info.state.last_sequence, %epoch,
                    "the stream lost events that were read: a new log begins");
                self.context
                    .update_stream(stream::Config {
                        description: Some(format!(
                            "{BEGINS_AFTER}{}",
                            info.state.last_sequence
                        )),
                        subjects: vec![format!("{}.{epoch}", self.wanted.stream)],
                        ..info.config
                    })
                    .await?;
                return Err("the stream was rolled back".into());
            }
        }
    }

    async fn fetch(&self, id: EventId, max_events: usize) -> Result<Entries, Failure> {
        let epoch = self.epoch();
        let consumer = self.stream.create_consumer(pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: id.get() + 1,
            },
            filter_subject: self.subject(),
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_secs(5),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        });
        let consumer = consumer.await?;
        let mut messages = consumer
            .fetch()
            .max_messages(max_events.clamp(1, TOGETHER))
            .messages()
            .await?;
        let mut entries = Vec::new();
        while let Some(message) = messages.next().await {
            entries.extend(event(&message?));
        }
        let name = &consumer.cached_info().name;
        // It would go by itself.
        self.stream.delete_consumer(name).await.ok();
        Ok(Entries { epoch, entries })
    }
}

/// A message as an event. Other programs may publish to the subject: what is no event
/// by the contract is passed over, and its readers are told of a gap.
fn event(message: &jetstream::Message) -> Option<Entry> {
    entry(message)
        .inspect_err(|error| warn!(%error, "a message that is no event"))
        .ok()
}

fn entry(message: &jetstream::Message) -> Result<Entry, Failure> {
    let info = message.info()?;
    let at = i64::try_from(info.published.unix_timestamp_nanos() / 1_000_000)?;
    let Message {
        headers, payload, ..
    } = &message.message;
    let kind = headers.as_ref().and_then(|headers| headers.get(KIND));
    Ok(Entry {
        id: EventId::new(info.stream_sequence),
        at: Timestamp::from_millisecond(at)?,
        kind: kind.ok_or("a message without a kind")?.as_str().parse()?,
        data: Data::from_json(std::str::from_utf8(payload)?)?,
    })
}

fn away(error: impl fmt::Display) -> Unavailable {
    warn!(%error, "the stream did not answer");
    Unavailable
}

impl Source for JetStream {
    fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Published, PublishError>> {
        Box::pin(async move {
            // Sent now, it would lie in this process and be published some time later,
            // when its publisher has long been told that it failed.
            if !self.is_connected() {
                return Err(PublishError::Unavailable);
            }
            let epoch = self.epoch();
            let mut headers = HeaderMap::new();
            headers.insert(EXPECTED_STREAM, self.wanted.stream.as_str());
            headers.insert(KIND, kind.as_str());
            if let Some(key) = &key {
                headers.insert(MESSAGE_ID, key.as_str());
            }
            let payload = data.as_str().to_owned().into();
            let sent =
                self.context
                    .publish_with_headers(self.subject(), headers, payload);
            let ack = sent.await.map_err(away)?.await.map_err(away)?;
            let id = EventId::new(ack.sequence);
            Ok(Published {
                cursor: Cursor { epoch, id },
                repeated: ack.duplicate,
            })
        })
    }

    fn latest(&self) -> BoxFuture<'_, Result<Cursor, Unavailable>> {
        Box::pin(async {
            let info = self.stream.get_info().await.map_err(away)?;
            Ok(Cursor {
                epoch: epoch_of(&info).map_err(away)?,
                id: EventId::new(info.state.last_sequence),
            })
        })
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<Entries, Unavailable>> {
        Box::pin(async move {
            let mut found = self.fetch(id, max_events).await.map_err(away)?;
            let mut bytes = 0_usize;
            let mut first = true;
            found.entries.retain(|entry| {
                bytes = bytes.saturating_add(entry.data.as_str().len());
                std::mem::take(&mut first) || bytes <= max_bytes
            });
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_servers_and_a_stream() {
        let one = place("nats://127.0.0.1:4222").unwrap();
        assert_eq!(one.stream, "events");
        assert_eq!(one.replicas, 1);
        let three = place("nats://a:1,b:2,c:3/chat?replicas=3").unwrap();
        assert_eq!(three.servers, ["nats://a:1", "nats://b:2", "nats://c:3"]);
        assert_eq!((three.stream.as_str(), three.replicas), ("chat", 3));
        assert!(place("nats://a?copies=3").is_err());
    }
}
