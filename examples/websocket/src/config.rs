//! Every limit of the WebSocket server, in one place.

use std::{ops::RangeInclusive, time::Duration};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use waiting::Places;

/// Who writes an event to the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanOut {
    /// Each socket's own task, woken by the log.
    Tasks,
    /// One task, which walks all sockets that have everything before it. Less time for
    /// each socket, and more code.
    Walk,
}

/// What the WebSocket server allows, and how it paces its clients.
///
/// The time that a handshake may take, and a peer that takes no bytes, are bounded by
/// the edge: [`serving::Config::headers`], [`serving::Config::write_progress`].
#[derive(Clone, Debug)]
pub struct Config {
    /// How many sockets may be open at once, those of `/echo` apart; default 900.
    ///
    /// What [`serving::Config::places`] leaves of the edge's 1,000 connections, so that
    /// where every place is taken a client can still load the page, publish, and ask
    /// `status` why it was refused.
    pub max_sockets: usize,

    /// The places that this server shares with others behind the same edge, if there
    /// are such; default none. A socket then takes one of these too, also one of
    /// `/echo`.
    pub shared: Option<Places>,

    /// How often the server sends a heartbeat and a ping; default 15 s. A peer from
    /// which not one byte comes for two of these, not even the answer to a ping, and
    /// which takes none of what waits for it, is dropped.
    ///
    /// Under the 30 s after which some mobile networks, and the 60 s after which many
    /// proxies, drop a connection on which nothing moves. Two of them, because one lost
    /// packet may delay an answer by seconds. A ping waits its turn behind what was
    /// sent before it. Where that is in the system's buffers, and the peer takes longer
    /// than two heartbeats to read it, the peer is dropped as well; it comes back with
    /// its cursor. Between a millisecond and thirty days.
    pub heartbeat: Duration,

    /// How long a socket may be open; default none. Each is ended at an age of its own,
    /// drawn between half of this and all of it, as where the server ends: the client
    /// comes back with its cursor, and a load balancer chooses again.
    ///
    /// Without it, a server that has been replaced stays empty for as long as the
    /// sockets on the others last. A server alone needs none.
    pub max_age: Option<Duration>,

    /// How long the server takes for its close, the peer's answer, and the peer's end
    /// of the connection; default 2 s.
    ///
    /// Long enough for a round trip on a bad line, and well under the edge's drain of 5
    /// s. The socket's place is free again as soon as the close is on its way.
    pub close_patience: Duration,

    /// The size in bytes of a socket's read buffer, allocated when it opens; default
    /// 128.
    ///
    /// tungstenite's own default is 128 KiB: a gigabyte for 8,000 sockets on which
    /// nothing happens. `examples/idle_memory.rs` measures what an idle socket takes
    /// with either. What a client sends here is small (a pong has 6 bytes); a larger
    /// message costs a second read and its own memory.
    pub read_buffer: usize,

    /// The size in bytes of the largest message that is taken, and of the largest
    /// frame; default 66 KiB.
    ///
    /// As for the body of a `POST`: 64 KiB of data, which is the log's own limit, and 2
    /// KiB around it. A message may come in one frame, so one number does for both.
    /// tungstenite's own defaults are 64 MiB and 16 MiB. Answered with close 1009.
    pub max_message: usize,

    /// How many bytes of frames are gathered before they are written; default 16 KiB.
    ///
    /// At a flush, whatever is there is written: this bounds how much a large batch
    /// gathers, not how long a small one waits. The buffer grows on demand and never
    /// shrinks, so this is also what a socket keeps after its first catch-up.
    pub write_buffer: usize,

    /// How many bytes of frames may wait for a peer that does not read; default 160
    /// KiB.
    ///
    /// It is no back-pressure. Back-pressure comes from waiting for each write, so that
    /// of events never more waits than `write_buffer` and one event of up to 65 KiB.
    /// This limit is for what tungstenite writes unasked: a peer that sends pings and
    /// reads nothing is owed a pong for each. Pongs stop at the limit; the next message
    /// of this server's then finds no room, and the server ends the connection.
    /// tungstenite's own default is no limit.
    pub max_write_buffer: usize,

    /// Who writes an event to the sockets; default [`FanOut::Tasks`].
    pub fan_out: FanOut,

    /// Whether `POST cut?connection=NAME` breaks a connection so that a reader can
    /// watch it recover; default off.
    ///
    /// For the book's page. It lets anybody who knows a socket's random name end it.
    pub demo_cut: bool,

    /// How many sockets of `/echo` may be open at once; default 32.
    ///
    /// Each may hold a message that comes and the same one as it goes, so this and
    /// `max_echo` bound them to 64 MiB and some.
    pub max_echoes: usize,

    /// The size in bytes of the largest message that `/echo` sends back; default 1 MiB.
    pub max_echo: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sockets: 900,
            shared: None,
            heartbeat: Duration::from_secs(15),
            max_age: None,
            close_patience: Duration::from_secs(2),
            read_buffer: 128,
            max_message: 66 * 1024,
            write_buffer: 16 * 1024,
            max_write_buffer: 160 * 1024,
            fan_out: FanOut::Tasks,
            demo_cut: false,
            max_echoes: 32,
            max_echo: 1024 * 1024,
        }
    }
}

/// A read buffer for messages of up to 1 MiB: as much as a socket usually has at once.
const ECHO_READ_BUFFER: usize = 64 * 1024;

/// What a clock can hold: twice this, from any time, is a time.
const HEARTBEATS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(30 * 24 * 60 * 60);

impl Config {
    /// The same with a heartbeat between a millisecond and thirty days.
    pub(crate) fn bounded(mut self) -> Self {
        self.heartbeat = self.heartbeat.clamp(*HEARTBEATS.start(), *HEARTBEATS.end());
        self
    }

    /// Every limit of a socket on the log: not one of tungstenite's defaults is right
    /// for it.
    pub(crate) fn limits(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer)
            .max_frame_size(Some(self.max_message))
            .max_message_size(Some(self.max_message))
            .write_buffer_size(self.write_buffer)
            .max_write_buffer_size(self.max_write_buffer)
    }

    /// The same for a socket of `/echo`.
    pub(crate) fn echo_limits(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(ECHO_READ_BUFFER)
            .max_frame_size(Some(self.max_echo))
            .max_message_size(Some(self.max_echo))
            .write_buffer_size(self.write_buffer)
            // One message, its frame's header, and the pongs that are owed meanwhile.
            .max_write_buffer_size(self.max_echo + self.max_write_buffer)
    }
}
