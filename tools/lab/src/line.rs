//! A line between clients and server: delay and loss.
//!
//! In a network namespace of its own, the lab has a network interface that is a program (TUN): this
//! one. What is sent to [`FAR`] comes to it as packets. It drops some, keeps the others for half of
//! the round trip, and hands them back with source and destination exchanged. So the system takes
//! what it sent to `FAR` for packets from `FAR` to itself, and a server on this machine is reached
//! by that address, across the line. TCP on both ends is the system's own, with all that it does
//! about a lost packet. Exchanging two addresses changes no checksum: it is a sum.
//!
//! Where no such namespace is allowed, a relay keeps bytes back instead ([`crate::slow_relay`]). It
//! loses nothing, and a piece of data that would be lost comes later.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, fmt, time::Duration, time::Instant};

/// What a line does to packets, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The time there and back, in milliseconds.
    pub rtt_ms: f64,
    /// How many of a hundred packets are lost.
    pub loss_percent: f64,
    pub by: By,
}

/// What stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Nothing: the loopback interface.
    Nothing,
    /// A user-space delay line: packets.
    Tun,
    /// A delaying relay: bytes of a connection.
    Relay,
}

impl Line {
    /// No delay and no loss.
    pub const NONE: Self = Self {
        rtt_ms: 0.0,
        loss_percent: 0.0,
        by: By::Nothing,
    };

    /// Half of the round trip.
    pub fn one_way(&self) -> Duration {
        Duration::from_secs_f64(self.rtt_ms / 2000.0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            By::Nothing => f.write_str("-"),
            _ => write!(f, "{} ms {} %", self.rtt_ms, self.loss_percent),
        }
    }
}

/// What a line has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// What came, lost ones included.
    pub packets: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Lost because the line held too much. None should be.
    pub overflowed: u64,
}

/// The bytes that a line holds at most.
const HELD: usize = 256 * 1024 * 1024;

/// What is on its way, in order.
pub struct Queue<T> {
    line: Line,
    random: ChaCha12Rng,
    held: VecDeque<(Instant, T)>,
    bytes: usize,
    passed: Passed,
}

impl<T: AsRef<[u8]>> Queue<T> {
    /// With a seed that decides what is lost.
    pub fn new(line: Line, seed: u64) -> Self {
        Self {
            line,
            random: ChaCha12Rng::seed_from_u64(seed),
            held: VecDeque::new(),
            bytes: 0,
            passed: Passed::default(),
        }
    }

    /// Whether the next one is lost.
    pub fn loses(&mut self) -> bool {
        self.passed.packets += 1;
        let lost = self.random.random::<f64>() * 100.0 < self.line.loss_percent;
        self.passed.lost += u64::from(lost);
        lost
    }

    /// Takes a packet in, unless it is lost.
    pub fn push(&mut self, now: Instant, packet: T) {
        if self.loses() {
            return;
        }
        let bytes = packet.as_ref().len();
        if self.bytes + bytes > HELD {
            self.passed.overflowed += 1;
            return;
        }
        self.bytes += bytes;
        self.held.push_back((now + self.line.one_way(), packet));
    }

    /// Takes a piece of a stream in. Of a stream nothing is lost: the piece comes a round trip and
    /// `again` later, and what is behind it waits.
    pub fn push_late(&mut self, now: Instant, piece: T, again: Duration) {
        let mut due = now + self.line.one_way();
        if self.loses() {
            due += 2 * self.line.one_way() + again;
        }
        self.bytes += piece.as_ref().len();
        let before = self.held.back().map(|(due, _)| *due);
        self.held
            .push_back((before.map_or(due, |before| due.max(before)), piece));
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// When the next one comes out.
    pub fn due(&self) -> Option<Instant> {
        self.held.front().map(|(due, _)| *due)
    }

    /// The next one that has been on its way for long enough.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        if self.due()? > now {
            return None;
        }
        let (_, packet) = self.held.pop_front()?;
        self.bytes -= packet.as_ref().len();
        Some(packet)
    }

    /// What it has done so far.
    pub fn passed(&self) -> Passed {
        self.passed
    }
}

#[cfg(target_os = "linux")]
pub use tun::{enter, prepare, run, Options, FAR};

#[cfg(target_os = "linux")]
mod tun {
    use super::{By, Line, Queue};
    use anyhow::{bail, ensure, Context as _};
    use std::{
        env, fs, io,
        net::Ipv4Addr,
        os::unix::process::CommandExt as _,
        process::{Command, ExitCode, Stdio},
        time::Instant,
    };
    use tokio::{sync::oneshot, time::sleep_until};
    use tokio_tun::Tun;

    /// A server's address across the line.
    pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
    /// The same without it.
    const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
    const NAME: &str = "lab0";
    /// Of an Ethernet, and so of most of the Internet.
    const MTU: i32 = 1500;
    /// How many packets wait for the line: more than all clients send at once, so that it loses
    /// none of its own.
    const WAITING: &str = "100000";
    /// Set in the process that runs in the namespace.
    const INSIDE: &str = "LAB_INSIDE_NAMESPACE";

    #[derive(Clone, Debug, clap::Args)]
    pub struct Options {
        /// The time there and back, in milliseconds
        #[arg(long, default_value_t = 0.0)]
        rtt: f64,
        /// How many of a hundred packets are lost
        #[arg(long, default_value_t = 0.0)]
        loss: f64,
        /// Decides which
        #[arg(long, default_value_t = 1)]
        seed: u64,
    }

    /// Becomes the same program with the same arguments in a namespace of its own, if it is in none
    /// yet and the system allows it, which this command of the lab tries.
    ///
    /// # Errors
    /// Why it is not allowed.
    pub fn enter(trial: &str) -> anyhow::Result<()> {
        if env::var_os(INSIDE).is_some() {
            return prepare();
        }
        let lab = env::current_exe().context("where this program is")?;
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--net", "--"]);
            command.arg(&lab);
            command
        };
        let tried = unshare().arg(trial).stdin(Stdio::null()).output();
        let tried = tried.context("unshare")?;
        let errors = String::from_utf8_lossy(&tried.stderr);
        ensure!(tried.status.success(), "{}", errors.trim());
        let error = unshare()
            .args(env::args_os().skip(1))
            .env(INSIDE, "1")
            .exec();
        Err(error).context("unshare")
    }

    fn ip(arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new("ip").args(arguments).output().context("ip")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "ip {}: {}",
            arguments.join(" "),
            errors.trim()
        );
        Ok(())
    }

    /// In a new namespace nothing is up, and that without a line is measured as well.
    ///
    /// # Errors
    /// Where the system does not allow it.
    pub fn prepare() -> anyhow::Result<()> {
        // What one connection has learned of the line would be used for the next, across lines.
        fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1").context("tcp_no_metrics_save")?;
        ip(&["link", "set", "lo", "up"])
    }

    /// Makes the line, and passes packets on until standard input ends.
    pub fn run(Options { rtt, loss, seed }: Options) -> anyhow::Result<ExitCode> {
        prepare()?;
        let line = Line {
            rtt_ms: rtt,
            loss_percent: loss,
            by: By::Tun,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let passed = runtime.block_on(async {
            let device = Tun::builder()
                .name(NAME)
                .mtu(MTU)
                .address(NEAR)
                .netmask(MASK)
                .up()
                .build()
                .context("/dev/net/tun")?
                .pop()
                .context("a device")?;
            ip(&["link", "set", NAME, "txqueuelen", WAITING])?;
            println!("{}", super::READY);
            let mut queue = Queue::new(line, seed);
            tokio::select! {
                // Dropped with what is on its way: whoever ends the line has all it waited for.
                ended = pass(&device, &mut queue) => ended?,
                () = input_ends() => {}
            }
            anyhow::Ok(queue.passed())
        })?;
        println!("{}", serde_json::to_string(&passed)?);
        Ok(ExitCode::SUCCESS)
    }

    async fn input_ends() {
        let (ended, end) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            drop(ended);
        });
        // The sender is dropped, which is no answer, but an end.
        let _ = end.await;
    }

    async fn pass(device: &Tun, queue: &mut Queue<Vec<u8>>) -> anyhow::Result<()> {
        let mut packet = [0; 64 * 1024];
        loop {
            while let Some(packet) = queue.pop(Instant::now()) {
                match device.send_all(&packet).await {
                    Ok(()) => {}
                    // The kernel has no room for it: it is lost, as on any line.
                    Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {}
                    Err(error) => bail!("a packet was not taken: {error}"),
                }
            }
            let due = queue.due();
            let length = tokio::select! {
                // Cancel-safe: a packet is read whole, or stays.
                length = device.recv(&mut packet) => length?,
                // Only waits.
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => continue,
            };
            if let Some(packet) = returned(&packet[..length]) {
                queue.push(Instant::now(), packet);
            }
        }
    }

    /// An IPv4 packet (RFC 791 §3.1) with its addresses exchanged; `None` for any other, such as
    /// the system's own questions for routers by IPv6.
    pub(super) fn returned(packet: &[u8]) -> Option<Vec<u8>> {
        const ADDRESSES: usize = 12;
        if packet.len() < ADDRESSES + 8 || packet[0] >> 4 != 4 {
            return None;
        }
        let mut packet = packet.to_vec();
        packet[ADDRESSES..ADDRESSES + 8].rotate_left(4);
        Some(packet)
    }
}

/// The command that makes a line, and ends at once where its input has.
pub const LINE: &str = "line";

/// The command that needs a namespace and no line, and does nothing in it.
#[cfg(target_os = "linux")]
pub const NAMESPACE: &str = "namespace";

/// What `lab line` prints when it passes packets on.
pub const READY: &str = "ready";

#[cfg(not(target_os = "linux"))]
pub use nowhere::{enter, run, Options, FAR};

#[cfg(not(target_os = "linux"))]
mod nowhere {
    use std::{net::Ipv4Addr, process::ExitCode};

    /// A server's address across the line.
    pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    #[derive(Clone, Debug, clap::Args)]
    pub struct Options {}

    /// There are no network namespaces on this system.
    pub fn enter(_trial: &str) -> anyhow::Result<()> {
        anyhow::bail!("there are no network namespaces on this system")
    }

    /// There is no TUN that the lab knows on this system.
    pub fn run(_: Options) -> anyhow::Result<ExitCode> {
        enter(super::LINE).map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rtt_ms: f64, loss_percent: f64) -> Line {
        Line {
            rtt_ms,
            loss_percent,
            by: By::Tun,
        }
    }

    #[test]
    fn what_goes_in_comes_out_in_order_half_a_round_trip_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = Queue::new(line(100.0, 0.0), 1);
        queue.push(at(0), [1]);
        queue.push(at(10), [2]);
        assert_eq!(queue.due(), Some(at(50)));
        assert_eq!(queue.pop(at(49)), None);
        assert_eq!(queue.pop(at(50)), Some([1]));
        assert_eq!(queue.pop(at(50)), None);
        assert_eq!(queue.pop(at(60)), Some([2]));
        assert_eq!(queue.due(), None);
    }

    #[test]
    fn a_seed_decides_what_is_lost() {
        let lost = |percent, seed| {
            let mut queue = Queue::<[u8; 0]>::new(line(0.0, percent), seed);
            (0..10_000).map(|_| queue.loses()).collect::<Vec<_>>()
        };
        let count = |lost: &[bool]| lost.iter().filter(|lost| **lost).count();
        assert_eq!(lost(1.0, 7), lost(1.0, 7));
        assert_ne!(lost(1.0, 7), lost(1.0, 8));
        // 100 are expected, with a standard deviation of 10.
        assert!((50..150).contains(&count(&lost(1.0, 7))));
        assert_eq!(count(&lost(0.0, 7)), 0);
        assert_eq!(count(&lost(100.0, 7)), 10_000);
    }

    #[test]
    fn a_piece_of_a_stream_that_would_be_lost_holds_up_what_is_behind_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = Queue::new(line(20.0, 100.0), 1);
        queue.push_late(at(0), [1], Duration::from_millis(200));
        assert_eq!(queue.due(), Some(at(230)));
        queue.line = line(20.0, 0.0);
        queue.push_late(at(5), [2], Duration::from_millis(200));
        assert_eq!((queue.pop(at(229)), queue.len()), (None, 2));
        assert_eq!(queue.pop(at(230)), Some([1]));
        assert_eq!(queue.pop(at(230)), Some([2]));
    }

    #[test]
    fn what_a_line_cannot_hold_is_counted() {
        let mut queue = Queue::new(line(100.0, 0.0), 1);
        let large = vec![0; HELD / 2 + 1];
        queue.push(Instant::now(), large.clone());
        queue.push(Instant::now(), large);
        assert_eq!(queue.passed().overflowed, 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_packet_goes_back_with_its_addresses_exchanged() {
        let mut packet = [0_u8; 28];
        packet[0] = 0x45;
        packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        let back = tun::returned(&packet).unwrap();
        assert_eq!(back[12..20], [10, 77, 0, 2, 10, 77, 0, 1]);
        assert_eq!(tun::returned(&back).unwrap(), packet);
        packet[0] = 0x60;
        assert_eq!(tun::returned(&packet), None, "IPv6");
        assert_eq!(tun::returned(&packet[..19]), None, "too short");
    }
}
