//! Every limit of the edge, in one place.

use std::time::Duration;

/// Every limit of [`serve`](crate::serve): how long it waits for a peer, and how much
/// it takes from one.
///
/// The defaults suit a small server that anybody may reach. A server behind a proxy
/// that already sets such limits keeps them all the same: the proxy's limits end with
/// its configuration file.
///
/// ```
/// use serving::Config;
/// use std::time::Duration;
///
/// let config = Config { drain: Duration::from_secs(1), ..Config::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// How many connections may be open at once; default 1,000.
    ///
    /// Each holds a file descriptor, and many systems give a process 1,024. This limit
    /// should be met before that one, because the next file that the process cannot
    /// open may be one it needs. Of these, [`places`](Self::places) says how many may
    /// be taken by requests that wait.
    ///
    /// When all are taken and another peer comes, the one that has had no request for
    /// longest is ended for it. If all have one, the peer waits: it sees a connection
    /// that opened and stays silent. Those behind it wait in the listener's queue in
    /// the kernel (1,024 places, unless the system allows fewer). Once that is full
    /// too, attempts to connect go unanswered.
    ///
    /// How many of them one address may have is [`per_address`](Self::per_address)'s.
    pub max_connections: usize,

    /// What one address may have of what all share: connections, waits, requests and
    /// publishes; see [`Limits`](crate::Limits) for each default and its reason.
    #[cfg(not(target_family = "wasm"))]
    pub per_address: crate::Limits,

    /// The proxies that are believed when they say, in `X-Forwarded-For`, whose request
    /// they pass on; default none.
    ///
    /// Behind a proxy every request comes from the proxy's address, and all clients
    /// would share one client's limits. Believed without being named here, the header
    /// is what each client makes it.
    #[cfg(not(target_family = "wasm"))]
    pub trusted_proxies: Vec<crate::IpNet>,

    /// How long a new connection may take until its first bytes show which version of
    /// HTTP it speaks; default 10 s.
    ///
    /// hyper-util reads up to 24 bytes to tell HTTP/2 from HTTP/1 and sets no time
    /// limit on that. Without this deadline a peer that connects and says nothing, or
    /// sends `PRI` and no more, holds its place for ever. Browsers open connections
    /// ahead of need; the only cost of ending one of those is a new handshake.
    pub first_bytes: Duration,

    /// How long a TLS handshake may take; default 10 s, as long as the first bytes.
    ///
    /// Two round trips, and some milliseconds of computing. A peer that says `h2` in it
    /// and then nothing has no request, and ends after [`idle`](Self::idle); one that
    /// says `http/1.1`, after [`headers`](Self::headers).
    pub handshake: Duration,

    /// How long the head of an HTTP/1 request (request line and headers) may take;
    /// default 10 s.
    ///
    /// Counted from when the connection is ready for a request, so it is also how long
    /// an idle kept-alive connection stays open. Ten seconds carry 16 KiB even at 2
    /// kB/s. hyper ends the connection without an answer.
    ///
    /// HTTP/2 needs no deadline here: nothing may stand between the frames of a
    /// request's headers, so a peer that stops in the middle cannot answer a ping, and
    /// [`http2_ping_timeout`](Self::http2_ping_timeout) ends it ([RFC 9113
    /// §6.10](https://www.rfc-editor.org/rfc/rfc9113#section-6.10)).
    pub headers: Duration,

    /// How long the whole body of a request may take, from when its headers are
    /// complete; default 20 s.
    ///
    /// It is a deadline for the whole and not for each piece. A deadline for each piece
    /// is met by one byte every few seconds, for ever. Answered with 408 ([RFC 9110
    /// §15.5.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9)).
    pub body: Duration,

    /// The size in bytes of the largest request body; default 66 KiB.
    ///
    /// The largest thing a client sends is one event: 64 KiB of data, which is the
    /// log's own limit, and 2 KiB for what stands around it. Answered with 413 ([RFC
    /// 9110 §15.5.14](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.14)), and
    /// before the body arrives if `Content-Length` already says it is too large.
    pub max_body_bytes: usize,

    /// How long a write may wait without a single byte moved; default 30 s.
    ///
    /// A peer that stops reading fills its receive buffer, then the server's send
    /// buffer, and then the server's writes wait. This ends the wait. Thirty seconds
    /// outlast a phone that changes from Wi-Fi to the mobile network. A peer that keeps
    /// reading, however slowly, is not ended. What a slow reader costs is bounded
    /// elsewhere: it holds a cursor and these buffers, and no queue.
    ///
    /// A byte counts as moved when there is room for more of them, and Linux says so
    /// only once a third of the send buffer is free, which may hold 4 MiB:
    /// [`unsent_in_system`](Self::unsent_in_system) is what makes small steps seen.
    ///
    /// On HTTP/2 the same holds for answers behind a shut flow-control window: where 16
    /// KiB of them take longer, or all that is left, the connection ends. Not for a
    /// stream of events, which may have nothing to say.
    pub write_progress: Duration,

    /// How many bytes the system takes of one connection before it has sent them
    /// (`TCP_NOTSENT_LOWAT`); default 16 KiB. Linux and Android only.
    ///
    /// Without it a reader that stops fills a send buffer of up to 4 MiB (Linux's
    /// default for `tcp_wmem`), which no limit of this process bounds and which holds
    /// events that are old by the time they are read. And one that reads slowly looks
    /// like one that has stopped. What the peer has not acknowledged yet is not
    /// counted, so that a fast connection stays fast.
    pub unsent_in_system: u32,

    /// How long the peer's system may leave bytes unacknowledged, or its receive window
    /// shut, before the system here ends the connection (`TCP_USER_TIMEOUT`, [RFC
    /// 5482](https://www.rfc-editor.org/rfc/rfc5482)); default 30 s. Linux and Android
    /// only.
    ///
    /// A peer that has vanished (no power, no network) says nothing, and a write to it
    /// succeeds all the same: it goes into the send buffer. Without this, Linux resends
    /// for a quarter of an hour before it reports an error. With heartbeats every 15 s,
    /// a vanished peer's place is free 45 s after it vanished, at the latest. Thirty
    /// seconds, as for [`write_progress`](Self::write_progress), because a shut window
    /// is what a peer that reads slowly shows too.
    ///
    /// It finds no peer that hangs, whose system goes on acknowledging. That one is
    /// found when its window is full. Behind a proxy the peer is the proxy, and it is
    /// the proxy that has to watch.
    pub unacknowledged: Duration,

    /// After how long without a byte from the peer the system asks for a sign of life
    /// (TCP keep-alive); default 20 s.
    ///
    /// For what waits and sends nothing, such as a parked request:
    /// [`unacknowledged`](Self::unacknowledged) counts only while there is something to
    /// acknowledge. Twenty seconds and two questions 5 s apart make 30, the same as
    /// [`http2_ping_interval`](Self::http2_ping_interval) and its patience. Whole
    /// seconds.
    pub keep_alive: Duration,

    /// How long the system waits for an answer to that before it asks again; default 5
    /// s. Whole seconds.
    pub keep_alive_interval: Duration,

    /// How many unanswered questions end the connection; default 2. On Linux it is
    /// `unacknowledged` that decides: the connection ends at the first question that
    /// finds the peer silent for longer.
    pub keep_alive_probes: u32,

    /// How long a connection that ends before the peer has sent all of a body goes on
    /// reading, and throws away what comes; default 5 s, and at most 16 MiB.
    ///
    /// Closed at once, it would be reset, and the client would find the reset instead
    /// of the answer ([RFC 9112
    /// §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)).
    pub linger: Duration,

    /// How long a connection without a request stays open; default 60 s. An HTTP/1
    /// connection ends sooner ([`headers`](Self::headers)); this is for HTTP/2, where
    /// the answer to a ping would keep it for ever.
    pub idle: Duration,

    /// How many bytes of answers may lie in memory until their readers take them, over
    /// all connections; default 64 MiB. Beyond it the connection with most of them is
    /// ended.
    ///
    /// It counts answers of known length, which are made whole: a page of the log has
    /// up to 64 KiB. Of others but streams of events it counts 16 KiB. HTTP/2 lets a
    /// client ask for 100 of them on each connection with its window shut. A client
    /// that takes nothing of them is ended after
    /// [`write_progress`](Self::write_progress); this bounds what may gather until
    /// then. A stream is bounded by its place and
    /// [`http2_send_buffer`](Self::http2_send_buffer).
    pub max_unsent_bytes: usize,

    /// The most header fields of an HTTP/1 request; default 64. A browser sends about
    /// 20. hyper answers 431.
    pub http1_max_headers: usize,

    /// The size in bytes of an HTTP/1 connection's read buffer, which the head of a
    /// request must fit; default 16 KiB. hyper's write buffer has the same bound.
    ///
    /// Other servers allow 8 to 32 KiB, and cookies seldom exceed 4 KiB. hyper answers
    /// 431. The least is 8 KiB.
    pub http1_max_buffer: usize,

    /// The most streams (requests) at once on one HTTP/2 connection; default 100, the
    /// least that [RFC 9113
    /// §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2) recommends.
    pub http2_max_streams: u32,

    /// The most bytes of an HTTP/2 request's headers, uncompressed; default 16 KiB, as
    /// much as on HTTP/1.
    pub http2_max_header_list: u32,

    /// The most bytes that one HTTP/2 stream keeps for a peer that does not read;
    /// default 64 KiB, which is what the peer's first flow-control window holds.
    /// hyper's own default is about 400 KiB.
    pub http2_send_buffer: usize,

    /// How often an HTTP/2 peer is asked for a sign of life; default 20 s.
    ///
    /// Below the 30 to 60 seconds after which many home routers and load balancers
    /// forget a silent connection.
    pub http2_ping_interval: Duration,

    /// How long an HTTP/2 peer may take to answer a ping before its connection ends;
    /// default 10 s.
    pub http2_ping_timeout: Duration,

    /// How long everything is served as before, after
    /// [`Ending::announce`](crate::Ending::announce), while [`ready`](crate::ready)
    /// answers 503; then the ending begins. Default zero: it begins at once.
    ///
    /// For a server behind a load balancer that asks: as long as it takes until the
    /// last of these has noticed, so the pause between two checks times the failures
    /// that it wants to see, and a second. Without it, clients that are told to come
    /// back are sent to the server that has told them. A reader who stops a server
    /// should not have to wait for it.
    pub lame_duck: Duration,

    /// How long open requests and streams have to finish after
    /// [`Ending::begin`](crate::Ending::begin), before they are cut; default 5 s.
    ///
    /// Container runtimes send SIGTERM and kill after 10 s (Docker) or 30 s
    /// (Kubernetes). The lame duck and the drain together must end earlier than that,
    /// or they are cut from outside and nothing is logged.
    pub drain: Duration,

    /// Whether its connections, requests and bytes are counted
    /// ([`contract::metrics`]); default yes. The endpoint with the counts does not
    /// count itself.
    pub counted: bool,

    /// Where what goes over watched connections is kept ([`tap`](crate::tap)); default
    /// none. For [`serve`](crate::serve) and [`serve_tls`](crate::serve_tls), over
    /// HTTP/1.1. Not for a server behind a proxy that others reach: there one
    /// connection carries the requests of many.
    #[cfg(not(target_family = "wasm"))]
    pub tap: Option<crate::Tap>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 1_000,
            #[cfg(not(target_family = "wasm"))]
            per_address: crate::Limits::default(),
            #[cfg(not(target_family = "wasm"))]
            trusted_proxies: Vec::new(),
            first_bytes: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(20),
            max_body_bytes: 66 * 1024,
            write_progress: Duration::from_secs(30),
            unsent_in_system: 16 * 1024,
            unacknowledged: Duration::from_secs(30),
            keep_alive: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(5),
            keep_alive_probes: 2,
            linger: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            max_unsent_bytes: 64 * 1024 * 1024,
            http1_max_headers: 64,
            http1_max_buffer: 16 * 1024,
            http2_max_streams: 100,
            http2_max_header_list: 16 * 1024,
            http2_send_buffer: 64 * 1024,
            http2_ping_interval: Duration::from_secs(20),
            http2_ping_timeout: Duration::from_secs(10),
            lame_duck: Duration::ZERO,
            drain: Duration::from_secs(5),
            counted: true,
            #[cfg(not(target_family = "wasm"))]
            tap: None,
        }
    }
}

impl Config {
    /// How many connections may be taken by what waits: streams, sockets and parked
    /// requests, of all methods together. Nine in ten. The tenth is kept for the page,
    /// `status` and a publish, so that these are served however many wait.
    pub fn places(&self) -> usize {
        self.max_connections - self.max_connections.div_ceil(10)
    }
}
