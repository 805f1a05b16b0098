//! What one address may have, in one place.

use std::num::NonZeroU32;

/// So many a second on average, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many more there are each second.
    pub per_second: NonZeroU32,
    /// How many may be taken at once, after a pause that was long enough.
    pub burst: NonZeroU32,
}

impl Rate {
    /// This rate; what is 0 counts as 1.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        const fn one_or_more(count: u32) -> NonZeroU32 {
            match NonZeroU32::new(count) {
                Some(count) => count,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            per_second: one_or_more(per_second),
            burst: one_or_more(burst),
        }
    }
}

/// What one address may have of what all share.
///
/// An address is an IPv4 address, or 64 bits of an IPv6 address: that much a single
/// home is given, and who has it can use each address in it. Many people can share one
/// address too, a whole office for example, and then they share its limits. So each is
/// far above what one reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections one address may have open; default 100, a tenth of all.
    /// Beyond it a connection is closed as soon as it is accepted.
    ///
    /// A browser opens up to six for each host over HTTP/1.1.
    pub connections: usize,

    /// How many streams, sockets and parked requests one address may have open at once;
    /// default 100. Beyond it: 429 `too-many`.
    ///
    /// Apart from the connections, because one of HTTP/2 carries a hundred.
    pub waits: usize,

    /// How often one address may ask; default 100 requests a second, and 500 after a
    /// pause. Beyond it: 429 `too-many`.
    ///
    /// Everything counts that is no publish, also the files of a page, which are some
    /// dozens. A tenth of what the polling server answers: one that polls as fast as it
    /// can leaves the others nine tenths.
    pub reads: Rate,

    /// How often one address may publish; default 20 times a second, and 100 times
    /// after a pause. Beyond it: 429 `too-many`, in a WebSocket an `error` with it.
    ///
    /// All who read lose what is published while they are away for longer than the log
    /// goes back. At this rate one address takes 8 minutes to fill a log of 10,000
    /// events.
    pub publishes: Rate,

    /// How many publishes of a WebSocket are refused in a row before it is closed with
    /// 1008; default 100.
    ///
    /// To refuse takes the server about as long as to append. A publisher that waits
    /// for its answers, or sends in bursts, never gets there.
    pub refused_publishes: u32,

    /// How much work that outlives its request, such as a text that is generated, one
    /// address may have under way; default 5. Beyond it: 429 `too-many`.
    ///
    /// Such work costs more than a connection, and a connection that ends does not end
    /// it.
    pub tasks: usize,

    /// How many addresses are remembered; default 10,000. Those beyond share one
    /// address's limits until others have been quiet for some seconds.
    ///
    /// Whoever can send from many addresses could else make the server remember each.
    /// One takes about 300 bytes.
    pub addresses: usize,

    /// Whether the limits hold for this machine's own loopback addresses; default no.
    ///
    /// Tests, a lab, and a proxy that nobody has named come from there.
    pub loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100,
            waits: 100,
            reads: Rate::new(100, 500),
            publishes: Rate::new(20, 100),
            refused_publishes: 100,
            tasks: 5,
            addresses: 10_000,
            loopback: false,
        }
    }
}
