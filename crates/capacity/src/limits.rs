//! Which limit of one machine readers meet first.

use crate::{Costs, Load, Method};

/// A machine, and how its system is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Processors.
    pub processors: f64,
    /// Memory, in bytes.
    pub memory_bytes: f64,
    /// Bandwidth to the readers.
    pub bits_per_s: f64,
    /// The part of processors, memory and bandwidth that is planned with; the rest is
    /// for a busy hour and for a machine that fails.
    pub fill: f64,
    /// Files that the server's process may open.
    pub descriptors: f64,
    /// Ports from which one address may open connections to one other: what a proxy on
    /// one address can hold to a server.
    pub ports: f64,
    /// Connections that may wait to be accepted.
    pub backlog: f64,
    /// How many connections the server accepts in a second.
    pub accepts_per_s: f64,
    /// The time over which readers who come back together are spread, in seconds.
    pub spread_s: f64,
    /// Connections that the firewall follows.
    pub conntrack: f64,
    /// What the kernel gives to the buffers of all TCP connections, in bytes.
    pub tcp_memory_bytes: f64,
    /// The part of the readers that does not read, such as phones without reception.
    pub stalled: f64,
    /// What such a reader fills of a send buffer, in bytes.
    pub send_buffer_bytes: f64,
}

impl Machine {
    /// An m7g.large with Debian's defaults: 2 processors, 8 GiB. `fact-linux-limits` of
    /// the book's facts has where the defaults are from.
    pub const DEFAULTS: Self = Self {
        processors: 2.0,
        memory_bytes: 8.0 * 1024.0 * 1024.0 * 1024.0,
        // A quarter of what such a machine reaches in bursts.
        bits_per_s: 1e9,
        fill: 0.5,
        descriptors: 1024.0,
        ports: 28_232.0,
        backlog: 1024.0,
        accepts_per_s: 5_000.0,
        spread_s: 1.0,
        conntrack: 262_144.0,
        // The kernel takes about a tenth.
        tcp_memory_bytes: 0.09 * 8.0 * 1024.0 * 1024.0 * 1024.0,
        stalled: 0.01,
        send_buffer_bytes: 4.0 * 1024.0 * 1024.0,
    };

    /// The same with the settings that this module names: only hardware is left as a
    /// limit.
    pub const RAISED: Self = Self {
        descriptors: 1_048_576.0,
        ports: f64::INFINITY,
        backlog: 65_535.0,
        spread_s: 60.0,
        conntrack: f64::INFINITY,
        send_buffer_bytes: 64.0 * 1024.0,
        ..Self::DEFAULTS
    };
}

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Open files of the process.
    Descriptors,
    /// Ports of a proxy's one address.
    Ports,
    /// Connections not yet accepted.
    Backlog,
    /// Connections that the firewall follows.
    Conntrack,
    /// Memory for TCP's buffers.
    Buffers,
    /// Memory.
    Memory,
    /// Processor time.
    Processors,
    /// Bandwidth.
    Bandwidth,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Descriptors,
        Self::Ports,
        Self::Backlog,
        Self::Conntrack,
        Self::Buffers,
        Self::Memory,
        Self::Processors,
        Self::Bandwidth,
    ];

    /// What it is, for a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "open files of the process",
            Self::Ports => "ports of a proxy's address",
            Self::Backlog => "connections not yet accepted",
            Self::Conntrack => "connections the firewall follows",
            Self::Buffers => "memory for TCP's buffers",
            Self::Memory => "memory",
            Self::Processors => "processor time",
            Self::Bandwidth => "bandwidth",
        }
    }

    /// The setting that lifts it.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Descriptors => "`LimitNOFILE=` of the service, or `ulimit -n`",
            Self::Ports => {
                "`net.ipv4.ip_local_port_range`, and a second address for the server"
            }
            Self::Backlog => {
                "`net.core.somaxconn` and the program's own backlog; \
                 clients that draw their waits over a longer time"
            }
            Self::Conntrack => {
                "`net.netfilter.nf_conntrack_max`, or no tracking for this port"
            }
            Self::Buffers => {
                "`net.ipv4.tcp_mem`; a smaller `SO_SNDBUF` or `TCP_NOTSENT_LOWAT`"
            }
            Self::Memory | Self::Processors => "a larger machine, or one more",
            Self::Bandwidth => "compression, fewer or smaller events; one more machine",
        }
    }
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What runs out.
    pub kind: LimitKind,
    /// How many readers one machine holds until then; without an end where it never
    /// does.
    pub readers: f64,
}

impl Machine {
    /// Its limits for a method, the first that is met first. The readers of the load
    /// are not looked at.
    #[must_use]
    pub fn limits(&self, load: &Load, method: Method, costs: &Costs) -> Vec<Limit> {
        let one = Load {
            readers: 1.0,
            ..*load
        };
        let one = one.needs(method, costs);
        let until = |amount: f64, each: f64| match each > 0.0 {
            true => amount / each,
            false => f64::INFINITY,
        };
        let buffer = one.connections * self.stalled * self.send_buffer_bytes;
        let mut limits = LimitKind::ALL.map(|kind| {
            let readers = match kind {
                LimitKind::Descriptors => until(self.descriptors, one.connections),
                LimitKind::Ports => until(self.ports, one.connections),
                LimitKind::Conntrack => until(self.conntrack, one.connections),
                // So many come within the time, and so many are accepted meanwhile.
                LimitKind::Backlog => self.backlog + self.accepts_per_s * self.spread_s,
                LimitKind::Buffers => until(self.tcp_memory_bytes, buffer),
                LimitKind::Memory => {
                    until(self.fill * self.memory_bytes, one.memory_bytes)
                }
                LimitKind::Processors => {
                    until(self.fill * self.processors, one.processors)
                }
                LimitKind::Bandwidth => {
                    until(self.fill * self.bits_per_s, 8.0 * one.down_bytes_per_s)
                }
            };
            Limit { kind, readers }
        });
        limits.sort_by(|one, other| one.readers.total_cmp(&other.readers));
        limits.to_vec()
    }
}
