//! The raw client: one thread with all receivers, and one that publishes.
//!
//! It takes as little as it can, and the same for every server: sockets that only read, one `read`
//! for what has come on one, and no more of the protocol than [`wire`](super::wire) has.

use super::{
    peer::{self, Kind, Peer},
    wire::{Reader, Received, Wire},
};
use crate::{
    answers::{self, Answers},
    clients::{address, echo, milliseconds, quantiles},
    floor,
    job::{self, reply, Reply, Task},
    results::{Delivery, Memory, Outcome},
    schedule::{Plan, Planned},
    system::{self, CpuTime},
    tally::{Counts, Tally},
};
use anyhow::{bail, ensure, Context as _};
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{self, ExitCode},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc, Arc,
    },
    thread,
    time::{Duration, Instant},
};

/// How long clients may take to connect, and events to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many clients may wait to be taken in: fewer than a listener's queue holds.
const OPENING: usize = 100;

/// How many events go to all clients before any is measured. They show that each client is there,
/// and a program that is compiled while it runs has compiled what it needs.
const WARM_UPS: u32 = 20;

/// How long an event of these may take before another is sent in its place.
const AGAIN: Duration = Duration::from_secs(1);

/// How long it is listened for events that come twice.
const REPEATS: Duration = Duration::from_millis(100);

/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// What the raw client shall do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The name of a [`Peer`].
    pub peer: String,
    pub base: String,
    /// The server's process.
    pub server: u32,
    pub clients: u32,
    pub plan: Plan,
    /// A delivery, or memory.
    pub task: Task,
}

/// Reads a job, does it, and reports its outcome.
pub fn run() -> anyhow::Result<ExitCode> {
    let line = job::orders().blocking_recv().context("no job")?;
    let job: Job = serde_json::from_str(&line).context("a job")?;
    let peer = peer::named(&job.peer).context("an unknown server")?;
    let outcome = match job.task {
        Task::Delivery => delivery(&job, peer)?,
        Task::Memory { warm } => memory(&job, peer, warm)?,
        other => bail!("{other:?} is not measured with this client"),
    };
    reply(&Reply::Done(Box::new(outcome)))?;
    Ok(ExitCode::SUCCESS)
}

/// One receiver.
struct Client {
    socket: mio::net::TcpStream,
    reader: Reader,
    tally: Tally,
}

/// All receivers.
struct Crowd {
    peer: &'static Peer,
    server: SocketAddr,
    events: u32,
    begin: Instant,
    /// When each event was published, in nanoseconds from the beginning.
    published: Arc<Vec<AtomicU64>>,
    poll: Poll,
    ready: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    received: Received,
    opened: usize,
    /// Whether what comes is measured.
    measured: bool,
    /// Events that came, each once for each client.
    delivered: u64,
    /// The number of an event before those that are measured, and how many clients have it.
    warm_up: (u32, usize),
}

impl Crowd {
    fn new(job: &Job, peer: &'static Peer) -> anyhow::Result<Self> {
        let events = job.plan.events;
        Ok(Self {
            peer,
            server: address(&job.base.parse()?)?,
            events,
            begin: Instant::now(),
            published: Arc::new((0..events).map(|_| AtomicU64::new(0)).collect()),
            poll: Poll::new()?,
            ready: Events::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; 64 * 1024],
            received: Received::default(),
            opened: 0,
            measured: false,
            delivered: 0,
            warm_up: (events, 0),
        })
    }

    /// Adds this many clients, and waits until the server has taken them in.
    fn open(&mut self, more: u32) -> anyhow::Result<()> {
        for _ in 0..more {
            let peer = self.peer;
            let host = self.server.to_string();
            let (reader, first) = Reader::new(peer.wire, &host, peer.path, peer.fields);
            let mut socket = TcpStream::connect(self.server)?;
            socket.set_nodelay(true)?;
            socket.write_all(&first)?;
            socket.set_nonblocking(true)?;
            let mut socket = mio::net::TcpStream::from_std(socket);
            let token = Token(self.clients.len());
            let registry = self.poll.registry();
            registry.register(&mut socket, token, Interest::READABLE)?;
            self.opened += usize::from(reader.opened);
            self.clients.push(Client {
                socket,
                reader,
                tally: Tally::new(self.events),
            });
            self.until(PATIENCE, |it| it.clients.len() - it.opened < OPENING)?;
        }
        let opened = self.until(PATIENCE, |it| it.opened == it.clients.len())?;
        ensure!(
            opened,
            "{} of {} clients are there",
            self.opened,
            self.clients.len()
        );
        Ok(())
    }

    /// Reads until this is so; whether it is in this time.
    fn until(
        &mut self,
        patience: Duration,
        reached: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<bool> {
        let limit = Instant::now() + patience;
        while !reached(self) {
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match self.poll.poll(&mut self.ready, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let ready: Vec<usize> = self.ready.iter().map(|event| event.token().0).collect();
            for at in ready {
                self.read(at)
                    .with_context(|| format!("client {at} of {}", self.peer.name))?;
            }
        }
        Ok(true)
    }

    /// Reads what one client has been sent.
    fn read(&mut self, at: usize) -> anyhow::Result<()> {
        let Client {
            socket,
            reader,
            tally,
        } = &mut self.clients[at];
        loop {
            let length = match socket.read(&mut self.buffer) {
                Ok(0) => bail!("the server has closed the connection"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let now = self.begin.elapsed();
            let opened = reader.opened;
            reader.read(&self.buffer[..length], &mut self.received)?;
            self.opened += usize::from(reader.opened && !opened);
            for _ in 0..std::mem::take(&mut self.received.polls) {
                if self.measured {
                    tally.answer();
                }
            }
            for n in self.received.numbers.drain(..) {
                if n >= self.events {
                    self.warm_up.1 += usize::from(n == self.warm_up.0);
                    continue;
                }
                let published = self.published[n as usize].load(Relaxed);
                let before = tally.delays.len();
                tally.event(n, now.saturating_sub(Duration::from_nanos(published)), 0);
                self.delivered += (tally.delays.len() - before) as u64;
            }
            if !self.received.answer.is_empty() {
                // Some hundred bytes, to a server that has read all before them.
                socket.write_all(&self.received.answer)?;
                self.received.answer.clear();
            }
            // The socket was empty then: what comes later wakes this thread again.
            if length < self.buffer.len() {
                return Ok(());
            }
        }
    }

    /// Sends events that are not measured, until all clients have had so many.
    fn warm_up(&mut self, publisher: &mut Publisher) -> anyhow::Result<()> {
        let (mut reached, mut number) = (0, self.events);
        while reached < WARM_UPS {
            ensure!(
                number < self.events + 2 * WARM_UPS,
                "of an event that all should get, {} of {} have heard",
                self.warm_up.1,
                self.clients.len()
            );
            self.warm_up = (number, 0);
            let event = Planned {
                at: Duration::ZERO,
                kind: "message",
                data: format!(r#"{{"n":{number},"text":"{}"}}"#, "a".repeat(100)),
            };
            publisher.publish(number, &event)?;
            let all = self.until(AGAIN, |it| it.warm_up.1 >= it.clients.len())?;
            reached += u32::from(all);
            number += 1;
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for client in &self.clients {
            counts += client.tally.counts();
        }
        counts
    }
}

/// Posts events, one after the other, on one connection.
struct Publisher {
    peer: &'static Peer,
    host: String,
    socket: TcpStream,
    raw: Vec<u8>,
    answers: Answers,
}

impl Publisher {
    fn new(peer: &'static Peer, server: SocketAddr) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        if peer.wire == Wire::Loop {
            socket.write_all(&[floor::PUBLISH])?;
        }
        let mut publisher = Self {
            peer,
            host: server.to_string(),
            socket,
            raw: Vec::new(),
            answers: Answers::default(),
        };
        if peer.kind == Kind::DurableStreams {
            // A stream has to be made (PROTOCOL.md §5.1). Others' logs are there.
            publisher.send("PUT", "")?;
        }
        Ok(publisher)
    }

    fn publish(&mut self, n: u32, event: &Planned) -> anyhow::Result<()> {
        match self.peer.kind {
            Kind::Loop => Ok(self.socket.write_all(&floor::frame(n, event))?),
            // It makes the id and the time itself.
            Kind::Book(_) => {
                let event = format!(r#"{{"kind":"{}","data":{}}}"#, event.kind, event.data);
                self.send("POST", &event)
            }
            _ => self.send(
                "POST",
                &floor::event_json(n as usize, event.kind, &event.data),
            ),
        }
    }

    fn send(&mut self, method: &str, body: &str) -> anyhow::Result<()> {
        let Self { peer, host, .. } = self;
        let request = answers::request(method, peer.publish, host, body);
        self.socket.write_all(request.as_bytes())?;
        let mut buffer = [0; 4096];
        let status = loop {
            if let Some((head, _)) = self.answers.next(&mut self.raw)? {
                break head.status;
            }
            match self.socket.read(&mut buffer)? {
                0 => bail!("the server has closed the publisher's connection"),
                length => self.raw.extend_from_slice(&buffer[..length]),
            }
        };
        ensure!((200..300).contains(&status), "a publish gets {status}");
        Ok(())
    }
}

fn delivery(job: &Job, peer: &'static Peer) -> anyhow::Result<Outcome> {
    let mut crowd = Crowd::new(job, peer)?;
    let mut publisher = None;
    if peer.kind == Kind::DurableStreams {
        publisher = Some(Publisher::new(peer, crowd.server)?);
    }
    crowd.open(job.clients)?;
    let mut publisher = match publisher {
        Some(publisher) => publisher,
        None => Publisher::new(peer, crowd.server)?,
    };
    crowd.warm_up(&mut publisher)?;
    let family = system::family(job.server);
    let mib = || Some(system::memory_of(&family)?.resident as f64 / 1024.0 / 1024.0);
    let resident = mib();
    let own = [process::id()];
    let cpu = || [&family[..], &own[..]].map(system::cpu_time_of);
    let expected = u64::from(job.clients) * u64::from(job.plan.events);
    let (schedule, published) = (job.plan.schedule(), crowd.published.clone());
    let (clock, before, begin) = (crowd.begin, cpu(), Instant::now());
    let (report, reports) = mpsc::channel();
    let (keep, kept) = mpsc::channel::<()>();
    let publishing = thread::spawn(move || {
        let late = publish(&mut publisher, &schedule, clock, &published);
        // Nobody may wait for it any more.
        let _ = report.send(late);
        // The time of a thread that has ended is not counted. So this one stays, and its
        // connection, for which the loop has a thread.
        let _ = kept.recv();
        drop(publisher);
    });
    let span = job
        .plan
        .schedule()
        .last()
        .map_or(Duration::ZERO, |it| it.at);
    crowd.measured = true;
    crowd.until(span + PATIENCE, |it| it.delivered == expected)?;
    let wall = begin.elapsed();
    let after = cpu();
    // The answer to the last publish may come after the event.
    let (late, answered) = reports
        .recv_timeout(PATIENCE)
        .context("a publish without answer")??;
    drop(keep);
    publishing
        .join()
        .ok()
        .context("the publisher has panicked")?;
    crowd.until(REPEATS, |_| false)?;
    let counts = crowd.counts();
    let one_way = match peer.kind {
        Kind::Loop => Some(quantiles(echo(crowd.server, 200)?)?),
        _ => None,
    };
    let used = |before: Option<CpuTime>, after: Option<CpuTime>| {
        let (before, after) = (before?, after?);
        let used = after.nanoseconds.checked_sub(before.nanoseconds)?;
        (before.source == after.source).then_some(used as f64)
    };
    let ([server, own], [server_after, own_after]) = (before, after);
    let source = server.map(|cpu| cpu.source);
    let server = used(server, server_after);
    let delays = crowd.clients.iter().flat_map(|it| it.tally.delays.iter());
    Ok(Outcome::Delivery(Delivery {
        clients: job.clients,
        counts,
        delay_ms: quantiles(delays.map(|(_, delay)| *delay))?,
        // Of this client nothing is asked about what it reads at once.
        behind: Box::default(),
        server_cpu_us_per_delivery: server.map(|ns| ns / 1e3 / counts.delivered as f64),
        server_cpu_ms: server.map(|ns| ns / 1e6),
        cpu_source: source,
        client_cpu_ms: used(own, own_after).map(|ns| ns / 1e6),
        wall_ms: milliseconds(wall),
        publish_ms: quantiles(answered)?,
        publisher_late_ms: milliseconds(late),
        resident_mib: resident.map(|before| (before, mib().unwrap_or(before))),
        one_way_ms: one_way,
    }))
}

/// Publishes the schedule; how much later than planned an event was published, at most, and how
/// long each publish took.
fn publish(
    publisher: &mut Publisher,
    schedule: &[Planned],
    clock: Instant,
    published: &[AtomicU64],
) -> anyhow::Result<(Duration, Vec<Duration>)> {
    let mut answered = Vec::with_capacity(schedule.len());
    let (begin, mut late, mut reported) = (Instant::now(), Duration::ZERO, 0);
    for (n, event) in (0_u32..).zip(schedule) {
        thread::sleep(event.at.saturating_sub(begin.elapsed()));
        late = late.max(begin.elapsed().saturating_sub(event.at));
        let now = u64::try_from(clock.elapsed().as_nanos())?;
        published[n as usize].store(now, Relaxed);
        let sent = Instant::now();
        publisher.publish(n, event)?;
        answered.push(sent.elapsed());
        let twentieths = (n + 1) * 20 / schedule.len() as u32;
        if twentieths > reported {
            reported = twentieths;
            reply(&Reply::Progress(f64::from(twentieths) / 20.0))?;
        }
    }
    Ok((late, answered))
}

fn memory(job: &Job, peer: &'static Peer, warm: u32) -> anyhow::Result<Outcome> {
    let mut crowd = Crowd::new(job, peer)?;
    let publisher = Publisher::new(peer, crowd.server)?;
    let mut read = Vec::new();
    for more in [warm, job.clients] {
        crowd.open(more)?;
        // What the server does after its greeting, and where it puts its memory.
        crowd.until(REST, |_| false)?;
        let memory = system::memory_of(&system::family(job.server));
        read.push(memory.context("this system tells no memory")?);
    }
    drop(publisher);
    let [before, after] = [read[0], read[1]];
    let memory = Memory::between(job.clients, warm, before, after);
    Ok(Outcome::Memory(memory))
}
