//! The process with the clients: one publisher and many receivers, on one monotonic clock.
//!
//! It reads its job as one line from standard input, and ends at once when standard input ends,
//! because then `compare` has.

use crate::{
    agreement::{self, Counted},
    burst, floor,
    job::{self, reply, Job, Reply, Task, LISTENING},
    line::{self, By},
    method::{Method, Silence},
    relay::{self, Relay},
    results::{
        self, Behind, Burst, Bytes, Delivery, Idle, Memory, Outcome, PerTime, Quantiles, Recovery,
    },
    schedule::{Arrivals, Numbered, Planned},
    slow_relay::SlowRelay,
    system,
    tally::{Counts, Tally},
};
use anyhow::{bail, ensure, Context as _};
use client::{Endpoint, Error, Update};
use contract::{Data, Kind};
use futures_util::stream::{BoxStream, StreamExt as _};
use hdrhistogram::Histogram;
use std::{
    future::{poll_fn, Future},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    process::{self, ExitCode},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, watch, Semaphore},
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};
use url::Url;

/// How long an event may be on its way after the last one was published, beside an interval of
/// polling. Then it is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a restarted server's clients may need to come back: two of the longest waits of their
/// back-off.
const RECOVERY: Duration = Duration::from_secs(60);

/// How many clients connect at once: fewer than a listener's queue holds.
const OPENING: usize = 200;

/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// How often it is looked whether a pong has come.
const LOOK: Duration = Duration::from_millis(10);

/// How many echoes are timed.
const ECHOES: usize = 500;

/// Reads a job, does it, and reports its outcome.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut orders = job::orders();
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let job = orders.recv().await.context("no job")?;
        let job: Job = serde_json::from_str(&job).context("a job")?;
        match job.task {
            Task::Delivery => Ok(Outcome::Delivery(delivery(&job).await?.delivery)),
            Task::Burst { .. } => Ok(Outcome::Burst(delivery(&job).await?)),
            Task::Traffic => traffic(&job).await,
            Task::Idle { cycles } => idle(&job, cycles).await,
            Task::Memory { warm } => memory(&job, warm).await,
            Task::Recovery => recovery(&job, &mut orders).await,
        }
    })?;
    reply(&Reply::Done(Box::new(outcome)))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

// What is followed.

/// What a client meets.
enum Step {
    Opened,
    /// The numbers of events, and the bytes of their JSON where these are asked for.
    Events(Vec<(u32, usize)>),
    Heartbeat,
    Gap,
    Reconnecting,
}

/// One client: of the book, or of the loop.
enum Reader {
    Book {
        updates: BoxStream<'static, Result<Update, Error>>,
        /// Whether events are weighed. It takes time, so not where time is measured.
        weighs: bool,
    },
    Loop {
        socket: TcpStream,
        opened: bool,
    },
}

impl Reader {
    async fn new(job: &Job, base: &Url) -> anyhow::Result<Self> {
        let weighs = job.task == Task::Traffic;
        if let Some(updates) = job
            .method
            .subscribe(base.clone(), job.silence, job.protocol)?
        {
            return Ok(Self::Book { updates, weighs });
        }
        let mut socket = TcpStream::connect(address(base)?).await?;
        socket.write_all(&[floor::SUBSCRIBE]).await?;
        let opened = false;
        Ok(Self::Loop { socket, opened })
    }

    /// What comes next. A client of the book may be dropped here and asked again.
    async fn next(&mut self) -> anyhow::Result<Step> {
        match self {
            Self::Book { updates, weighs } => {
                match updates.next().await.context("the log has ended")?? {
                    Update::Opened(_) => Ok(Step::Opened),
                    Update::Events(events) => {
                        let read = |event: &contract::Event| {
                            let n = Numbered::read(&event.data).context("an event of others")?;
                            let bytes = match weighs {
                                true => serde_json::to_string(event)?.len(),
                                false => 0,
                            };
                            Ok((n, bytes))
                        };
                        let read: anyhow::Result<_> = events.iter().map(read).collect();
                        Ok(Step::Events(read?))
                    }
                    Update::Gap(_) => Ok(Step::Gap),
                    Update::Heartbeat => Ok(Step::Heartbeat),
                    Update::Reconnecting(_) => Ok(Step::Reconnecting),
                    Update::Finished => bail!("the log is finished"),
                }
            }
            Self::Loop { socket, opened } => {
                if !*opened {
                    socket.read_u8().await?;
                    *opened = true;
                    return Ok(Step::Opened);
                }
                let mut header = [0; floor::HEADER];
                socket.read_exact(&mut header).await?;
                let (length, n) = floor::read_header(header);
                // An event has some hundred bytes; the loop sends back what this process sent.
                let mut event = vec![0; length];
                socket.read_exact(&mut event).await?;
                Ok(Step::Events(vec![(n, length)]))
            }
        }
    }
}

/// The same server at another address of 127.0.0.0/8.
fn nth_address(base: &Url, n: u32) -> anyhow::Result<Url> {
    let mut base = base.clone();
    if n > 0 {
        let next = u32::from(Ipv4Addr::LOCALHOST) + n;
        base.set_ip_host(Ipv4Addr::from(next).into())
            .map_err(|()| anyhow::anyhow!("{base} has no host"))?;
    }
    Ok(base)
}

pub fn address(base: &Url) -> anyhow::Result<SocketAddr> {
    let addresses = base.socket_addrs(|| None)?;
    addresses.first().copied().context("no address")
}

// The clients of a run.

/// What the receivers of a run share.
struct Shared {
    begin: Instant,
    /// When each event was published, in nanoseconds from the beginning.
    published: Vec<AtomicU64>,
    /// Of those that connect.
    opening: Semaphore,
    /// How many know their place.
    opened: watch::Sender<u32>,
    /// Whether they may read on. Until then no client asks or answers anything.
    go: watch::Sender<bool>,
    /// How many events came, over all clients; counted in lockstep alone.
    received: watch::Sender<u64>,
    lockstep: bool,
    /// Whether what has not come counts as lost.
    stop: watch::Sender<bool>,
}

struct Crowd {
    shared: Arc<Shared>,
    receivers: JoinSet<anyhow::Result<(Tally, Reader)>>,
    clients: u32,
}

impl Crowd {
    fn new(job: &Job) -> Self {
        let shared = Shared {
            begin: Instant::now(),
            published: (0..job.plan.events).map(|_| AtomicU64::new(0)).collect(),
            opening: Semaphore::new(OPENING),
            opened: watch::Sender::new(0),
            go: watch::Sender::new(false),
            received: watch::Sender::new(0),
            lockstep: job.plan.arrivals == Arrivals::Lockstep,
            stop: watch::Sender::new(false),
        };
        Self {
            shared: Arc::new(shared),
            receivers: JoinSet::new(),
            clients: 0,
        }
    }

    /// Adds this many clients, and waits until each knows its place.
    ///
    /// A client's port is one of some 28,000 for each address that it connects to. All addresses of
    /// 127.0.0.0/8 are this machine, so more clients connect to more of them.
    async fn open(&mut self, job: &Job, base: &Url, more: u32) -> anyhow::Result<()> {
        let ports = system::client_ports().unwrap_or(u32::MAX);
        for n in self.clients..self.clients + more {
            let (job, shared) = (job.clone(), self.shared.clone());
            let base = nth_address(base, n / ports)?;
            self.receivers
                .spawn(async move { receive(&job, &base, &shared).await });
        }
        self.clients += more;
        let mut opened = self.shared.opened.subscribe();
        let all = self.clients;
        tokio::select! {
            opened = timeout(RECOVERY, opened.wait_for(|opened| *opened == all)) => {
                opened.context("not all clients could connect")??;
            }
            // None ends before the last event, but by an error.
            Some(ended) = self.receivers.join_next() => {
                ended??;
            }
        }
        Ok(())
    }

    /// Waits for all receivers, and for how long after that is theirs. Their connections are open
    /// until the readers are dropped.
    async fn finish(&mut self, patience: Duration) -> anyhow::Result<(Vec<Tally>, Vec<Reader>)> {
        let stop = self.shared.stop.clone();
        let stopping = tokio::spawn(async move {
            sleep(patience).await;
            stop.send_replace(true);
        });
        let (mut tallies, mut readers) = (Vec::new(), Vec::new());
        while let Some(ended) = self.receivers.join_next().await {
            let (tally, reader) = ended??;
            tallies.push(tally);
            readers.push(reader);
        }
        stopping.abort();
        Ok((tallies, readers))
    }
}

async fn receive(job: &Job, base: &Url, shared: &Shared) -> anyhow::Result<(Tally, Reader)> {
    let mut tally = Tally::new(job.plan.events);
    let place = shared.opening.acquire().await?;
    let mut reader = Reader::new(job, base).await?;
    loop {
        match reader.next().await? {
            Step::Opened => break,
            Step::Reconnecting => tally.reconnect(),
            _ => bail!("a client that knows no place has got something"),
        }
    }
    drop(place);
    shared.opened.send_modify(|opened| *opened += 1);
    shared.go.subscribe().wait_for(|go| *go).await?;
    let mut stop = shared.stop.subscribe();
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut waited = true;
    loop {
        let step = tokio::select! {
            biased;
            // If it is dropped, this client is over.
            step = noting_waits(reader.next(), &mut waited) => step?,
            _ = &mut stopped => return Ok((tally, reader)),
        };
        let now = shared.begin.elapsed();
        match step {
            Step::Events(events) => {
                tally.answer();
                tally.batches += u64::from(std::mem::take(&mut waited));
                let count = events.len() as u64;
                let mut last = false;
                for (n, bytes) in events {
                    let published = shared.published.get(n as usize);
                    let published = published.map_or(0, |at| at.load(Relaxed));
                    let delay = now.saturating_sub(Duration::from_nanos(published));
                    last |= tally.event(n, delay, bytes);
                }
                if shared.lockstep {
                    shared.received.send_modify(|received| *received += count);
                }
                if last {
                    // Not asked again: a request that is not needed is not sent.
                    return Ok((tally, reader));
                }
            }
            Step::Heartbeat => tally.answer(),
            Step::Gap => tally.gap(),
            Step::Reconnecting => tally.reconnect(),
            Step::Opened => {}
        }
    }
}

/// Completes as the future does, and notes whether that had to be waited for.
async fn noting_waits<F: Future>(future: F, waited: &mut bool) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        *waited |= polled.is_pending();
        polled
    })
    .await
}

// Who publishes.

/// The one publisher: by `POST events` for each method, or to the loop.
enum Publisher {
    Book(Endpoint),
    Loop(TcpStream),
}

impl Publisher {
    async fn new(job: &Job, base: &Url) -> anyhow::Result<Self> {
        if job.method != Method::Loop {
            return Ok(Self::Book(job.protocol.endpoint(base.clone())?));
        }
        let mut socket = TcpStream::connect(address(base)?).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&[floor::PUBLISH]).await?;
        Ok(Self::Loop(socket))
    }

    async fn publish(&mut self, n: u32, event: &Planned) -> anyhow::Result<()> {
        match self {
            Self::Book(endpoint) => {
                let kind: Kind = event.kind.parse()?;
                endpoint
                    .publish(None, kind, Data::from_json(&event.data)?)
                    .await?;
            }
            Self::Loop(socket) => socket.write_all(&floor::frame(n, event)).await?,
        }
        Ok(())
    }
}

/// A schedule that was published.
struct Published {
    /// How much later than planned an event was published, at most.
    late: Duration,
    /// How long each took until it was answered. The loop answers nothing.
    took: Vec<Duration>,
    /// The loop's thread for it, and what that has used, ends with it.
    _publisher: Box<dyn Send>,
}

async fn publish(
    job: &Job,
    base: &Url,
    crowd: &Crowd,
    schedule: &[Planned],
) -> anyhow::Result<Published> {
    let shared = &crowd.shared;
    let mut publisher = Publisher::new(job, base).await?;
    let mut received = shared.received.subscribe();
    let begin = Instant::now();
    let mut late = Duration::ZERO;
    let mut took = Vec::with_capacity(schedule.len());
    let mut reported = 0;
    for (n, event) in (0_u32..).zip(schedule) {
        match shared.lockstep {
            true => {
                let due = u64::from(n) * u64::from(crowd.clients);
                let all = timeout(RECOVERY, received.wait_for(|received| *received >= due));
                all.await
                    .with_context(|| format!("event {n} did not come to all"))??;
            }
            false => {
                sleep_until((begin + event.at).into()).await;
                late = late.max(begin.elapsed().saturating_sub(event.at));
            }
        }
        let now = u64::try_from(shared.begin.elapsed().as_nanos())?;
        shared.published[n as usize].store(now, Relaxed);
        let sent = Instant::now();
        publisher.publish(n, event).await?;
        took.push(sent.elapsed());
        let twentieths = (n + 1) * 20 / job.plan.events;
        if twentieths > reported {
            reported = twentieths;
            reply(&Reply::Progress(f64::from(twentieths) / 20.0))?;
        }
    }
    Ok(Published {
        late,
        took,
        _publisher: Box::new(publisher),
    })
}

/// The same without waiting for the answer to the one before.
async fn publish_burst(
    job: &Job,
    base: &Url,
    crowd: &Crowd,
    schedule: &[Planned],
) -> anyhow::Result<Published> {
    let shared = crowd.shared.clone();
    let sends = move |n: usize| {
        let now = shared.begin.elapsed().as_nanos();
        let now = u64::try_from(now).expect("a run takes less than five centuries");
        shared.published[n].store(now, Relaxed);
    };
    let is_loop = job.method == Method::Loop;
    let mut burst = burst::Burst::begin(address(base)?, is_loop, schedule, sends)?;
    let burst::Published { late, took } = burst.published().await?;
    Ok(Published {
        late,
        took,
        _publisher: Box::new(burst),
    })
}

// What is measured.

/// How long the last event may take.
fn patience(method: Method) -> Duration {
    match method {
        Method::Polling(interval) => PATIENCE + 2 * interval,
        _ => PATIENCE,
    }
}

fn count(tallies: &[Tally]) -> Counts {
    let mut counts = Counts::default();
    for tally in tallies {
        counts += tally.counts();
    }
    counts
}

/// The quantiles of times, in milliseconds.
pub fn quantiles(times: impl IntoIterator<Item = Duration>) -> anyhow::Result<Quantiles> {
    // Microseconds to an hour, by three digits.
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3)?;
    for time in times {
        histogram.saturating_record(u64::try_from(time.as_micros())?.max(1));
    }
    if histogram.is_empty() {
        return Ok(Quantiles::default());
    }
    let ms = |us: u64| us as f64 / 1000.0;
    let at = |quantile| ms(histogram.value_at_quantile(quantile));
    let curve = histogram
        .iter_quantiles(2)
        .map(|it| (it.quantile(), ms(it.value_iterated_to())))
        .collect();
    Ok(Quantiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: ms(histogram.max()),
        curve,
    })
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A delivery, with what is counted of a burst besides.
async fn delivery(job: &Job) -> anyhow::Result<Burst> {
    let is_burst = matches!(job.task, Task::Burst { .. });
    let schedule = job.plan.schedule();
    let (_relay, base) = across(job).await?;
    let mut crowd = Crowd::new(job);
    crowd.open(job, &base, job.clients).await?;
    let own = process::id();
    let resident = |memory: system::Memory| memory.resident as f64 / 1024.0 / 1024.0;
    let idle = system::memory(job.server).map(resident);
    let before = (system::cpu_time(job.server), system::cpu_time(own));
    crowd.shared.go.send_replace(true);
    let begin = Instant::now();
    let published = match is_burst {
        true => publish_burst(job, &job.base()?, &crowd, &schedule).await?,
        false => publish(job, &job.base()?, &crowd, &schedule).await?,
    };
    let (tallies, readers) = crowd.finish(patience(job.method)).await?;
    let wall = begin.elapsed();
    let after = (system::cpu_time(job.server), system::cpu_time(own));
    let loaded = system::memory(job.server).map(resident);
    drop(readers);
    let Published { late, took, .. } = published;
    let one_way = match job.method {
        Method::Loop if !is_burst => {
            let server = address(&base)?;
            let length = schedule.first().map_or(1, |event| event.data.len());
            let echoes = tokio::task::spawn_blocking(move || echo(server, length));
            Some(quantiles(echoes.await??)?)
        }
        _ => None,
    };
    let counts = count(&tallies);
    agreement::check(job.metrics.as_deref(), || {
        counted(job, job.clients, job.plan.events, &counts)
    })
    .await?;
    let used = |before: Option<system::CpuTime>, after: Option<system::CpuTime>| {
        let (before, after) = (before?, after?);
        let used = after.nanoseconds.checked_sub(before.nanoseconds)?;
        (before.source == after.source).then_some(used as f64)
    };
    let server = used(before.0, after.0);
    let published = |n: u32| {
        let at = crowd.shared.published.get(n as usize);
        Duration::from_nanos(at.map_or(0, |at| at.load(Relaxed)))
    };
    let behind = behind(tallies.iter().map(|tally| &tally.delays[..]), published)?;
    let delays = tallies.iter().flat_map(|tally| &tally.delays);
    let last = job.plan.events.saturating_sub(1);
    let span = published(last)
        .saturating_sub(published(0))
        .max(Duration::from_nanos(1));
    let delivery = Delivery {
        clients: job.clients,
        counts,
        delay_ms: quantiles(delays.map(|(_, delay)| *delay))?,
        behind: behind.into(),
        server_cpu_us_per_delivery: server.map(|ns| ns / 1e3 / counts.delivered as f64),
        server_cpu_ms: server.map(|ns| ns / 1e6),
        cpu_source: before.0.map(|cpu| cpu.source),
        client_cpu_ms: used(before.1, after.1).map(|ns| ns / 1e6),
        wall_ms: milliseconds(wall),
        publish_ms: quantiles(took)?,
        publisher_late_ms: milliseconds(late),
        resident_mib: idle.zip(loaded),
        one_way_ms: one_way,
    };
    Ok(Burst {
        events: job.plan.events,
        rate: f64::from(last) / span.as_secs_f64(),
        // The HTTP client hands on each chunk of a response by itself, whatever came with it.
        batches: match job.method {
            Method::Sse | Method::HyperStream => None,
            _ => Some(tallies.iter().map(|tally| tally.batches).sum()),
        },
        delivery,
    })
}

/// The receipts that came behind another on the same connection.
fn behind<'a>(
    connections: impl Iterator<Item = &'a [(u32, Duration)]>,
    published: impl Fn(u32) -> Duration,
) -> anyhow::Result<Behind> {
    let (mut all, mut most, mut delays) = (0, 0, Vec::new());
    for receipts in connections {
        all += receipts.len();
        let mut run = 0;
        for pair in receipts.windows(2) {
            let [(n, delay), (next, next_delay)] = [pair[0], pair[1]];
            let (first, second) = (published(n), published(next));
            let together = (second + next_delay).saturating_sub(first + delay) <= Behind::TOGETHER;
            if together && second.saturating_sub(first) >= Behind::APART {
                delays.push(next_delay);
                run += 1;
            } else if !together {
                run = 0;
            }
            most = most.max(run);
        }
    }
    Ok(Behind {
        receipts: delays.len() as u64,
        percent: delays.len() as f64 * 100.0 / all.max(1) as f64,
        most,
        delay_ms: quantiles(delays)?,
    })
}

/// Where the clients of a job connect: to the server, across the line that stands between. The
/// publisher stands beside the server.
async fn across(job: &Job) -> anyhow::Result<(Option<SlowRelay>, Url)> {
    let mut base = job.base()?;
    match job.line.by {
        By::Nothing => Ok((None, base)),
        By::Tun => {
            base.set_ip_host(line::FAR.into())
                .map_err(|()| anyhow::anyhow!("{base} has no host"))?;
            Ok((None, base))
        }
        By::Relay => {
            let relay = SlowRelay::to(address(&base)?, job.line, job.plan.seed).await?;
            base.set_port(Some(relay.address().port()))
                .map_err(|()| anyhow::anyhow!("{base} has no port"))?;
            Ok((Some(relay), base))
        }
    }
}

/// Halves of the times of echoes, each from one thread to another of two processes.
pub fn echo(server: SocketAddr, length: usize) -> anyhow::Result<Vec<Duration>> {
    let mut socket = std::net::TcpStream::connect(server)?;
    socket.set_nodelay(true)?;
    socket.write_all(&[floor::ECHO])?;
    let (sent, mut received) = (vec![0; length], vec![0; length]);
    let mut times = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let begin = Instant::now();
        socket.write_all(&sent)?;
        socket.read_exact(&mut received)?;
        times.push(begin.elapsed() / 2);
    }
    Ok(times)
}

/// A relay to the server, which speaks TLS where the server does, and where clients connect.
async fn relayed(job: &Job, spoken: tls::Protocol) -> anyhow::Result<(Relay, Url)> {
    let tls = match &job.certificate {
        None => None,
        Some(certificate) => Some(tls::Trust::from_pem(certificate)?.connector(&[spoken])?),
    };
    let mut base = job.base()?;
    let relay = Relay::to(address(&base)?, tls).await?;
    let in_the_clear = base.set_scheme("http");
    // The host stays: the server looks at it.
    let changed = in_the_clear.and_then(|()| base.set_port(Some(relay.address().port())));
    changed.map_err(|()| anyhow::anyhow!("{base} has no port"))?;
    Ok((relay, base))
}

/// What the clients speak over TLS.
fn spoken(job: &Job) -> tls::Protocol {
    match job.method {
        method if method.is_websocket() => tls::Protocol::Http1,
        _ => tls::Protocol::Http2,
    }
}

/// What the server must have counted, after these clients followed this many events.
fn counted(job: &Job, clients: u32, events: u32, counts: &Counts) -> Counted {
    // Whoever came back may have lost an answer on the way. What is lost is a fault in any case.
    let steady = counts.reconnects == 0 && counts.is_exact();
    let waits = match job.method {
        Method::Sse | Method::WebSocket | Method::WebSocketWalk => Some(u64::from(clients)),
        Method::Polling(_) => Some(0),
        // Which poll finds nothing due is for the clock to say.
        _ => None,
    };
    Counted {
        published: Some(u64::from(events)),
        delivered: steady.then_some(counts.delivered + counts.doubled),
        waits_opened: waits.filter(|_| steady),
        gaps: steady.then_some(counts.gaps),
        ..Counted::default()
    }
}

fn bytes(traffic: relay::Traffic) -> Bytes {
    Bytes {
        requests: traffic.requests,
        up: traffic.up,
        down: traffic.down,
    }
}

async fn traffic(job: &Job) -> anyhow::Result<Outcome> {
    let schedule = job.plan.schedule();
    let (relay, base) = relayed(job, spoken(job)).await?;
    // Of its own, and so in none of the figures; the server counts both.
    let (publishing, publisher) = relayed(job, tls::Protocol::Http2).await?;
    let mut crowd = Crowd::new(job);
    crowd.open(job, &base, job.clients).await?;
    let opening = relay.traffic();
    crowd.shared.go.send_replace(true);
    let published = publish(job, &publisher, &crowd, &schedule).await?;
    let (tallies, readers) = crowd.finish(patience(job.method)).await?;
    let all = relay.traffic();
    let counts = count(&tallies);
    agreement::check(job.metrics.as_deref(), || {
        let (relay, publishing) = (relay.traffic(), publishing.traffic());
        Counted {
            requests: Some(relay.requests + publishing.requests),
            read: Some(relay.up + publishing.up),
            written: Some(relay.down + publishing.down),
            ..counted(job, job.clients, job.plan.events, &counts)
        }
    })
    .await?;
    // A socket that closes says good-bye, which is no event.
    drop((readers, published));
    let payload: u64 = tallies.iter().map(|tally| tally.payload).sum();
    let events = bytes(all - opening);
    let delivered = counts.delivered as f64;
    let mean = payload as f64 / delivered;
    Ok(Outcome::Traffic(results::Traffic {
        clients: job.clients,
        counts,
        connections: all.connections,
        requests: all.requests,
        opening: bytes(opening),
        handshake: Bytes {
            requests: 0,
            up: all.handshake.0,
            down: all.handshake.1,
        },
        events,
        payload,
        requests_per_delivery: events.requests as f64 / delivered,
        up_per_delivery: events.up as f64 / delivered,
        down_per_delivery: events.down as f64 / delivered,
        // RFC 6455 §5.2: two bytes, and two more for a length of more than 125.
        least_per_delivery: mean + if mean > 125.0 { 4.0 } else { 2.0 },
    }))
}

async fn idle(job: &Job, cycles: u32) -> anyhow::Result<Outcome> {
    ensure!(cycles > 0, "no silence to count");
    let usual = job.method.silence().context("the loop is never idle")?;
    let silence = match (job.silence, job.method) {
        // Its silence is its interval.
        (_, Method::Polling(interval)) => interval,
        (Silence::Usual, _) => usual,
        (Silence::Short, _) => Duration::from_secs(1),
    };
    let (relay, base) = relayed(job, spoken(job)).await?;
    let mut reader = Reader::new(job, &base).await?;
    // A first page comes at once, and the pause after it is no whole one.
    let first = match job.method {
        Method::Polling(_) => 3,
        Method::LongPolling => 2,
        _ => 1,
    };
    let pushed = job.method.has_heartbeat();
    let (mut beats, mut beat) = (0, None::<Instant>);
    let mut heard = Vec::new();
    let mut marks: Vec<relay::Traffic> = Vec::new();
    // Whether something of the last beat is on its way still, and what had come from the client
    // when nothing was. A WebSocket's beat has a ping, and is over when its pong has gone through.
    let (mut under_way, mut settled) = (false, 0);
    let limit = Instant::now() + PATIENCE + 3 * silence * (cycles + first);
    while marks.len() < 2 {
        ensure!(Instant::now() < limit, "heartbeats do not come");
        tokio::select! {
            // Cancel-safe: the loop has no idle time, and the streams keep what they have.
            step = reader.next() => match step? {
                Step::Heartbeat => {
                    let soon = beat.is_some_and(|beat| beat.elapsed() < silence / 2);
                    beat = Some(Instant::now());
                    beats += 1;
                    if pushed && (soon || under_way) {
                        // This machine was too busy: two came together, and what lies between
                        // them cannot be counted. It begins anew.
                        beats = 0;
                        heard.clear();
                        marks.clear();
                    }
                    under_way = true;
                }
                Step::Opened => settled = relay.traffic().up,
                Step::Events(_) | Step::Gap | Step::Reconnecting => bail!("this is no silence"),
            },
            () = sleep(LOOK) => {}
        }
        // All bytes of a beat have gone through the relay, and none of the next question have,
        // since a client asks it when it is called again.
        let traffic = relay.traffic();
        if under_way && (!job.method.is_websocket() || traffic.up > settled) {
            (under_way, settled) = (false, traffic.up);
            if beats == first || beats == first + cycles {
                heard.extend(beat);
                marks.push(traffic);
            }
        }
    }
    let nothing = Counts::default();
    agreement::check(job.metrics.as_deref(), || {
        let relay = relay.traffic();
        Counted {
            requests: Some(relay.requests),
            read: Some(relay.up),
            written: Some(relay.down),
            ..counted(job, 1, 0, &nothing)
        }
    })
    .await?;
    let between = marks[1] - marks[0];
    let per = |number: u64| number as f64 / f64::from(cycles);
    let per_cycle = PerTime {
        requests: per(between.requests),
        up: per(between.up),
        down: per(between.down),
    };
    let an_hour = 3600.0 / usual.as_secs_f64();
    Ok(Outcome::Idle(Idle {
        cycles,
        cycle_s: (heard[1] - heard[0]).as_secs_f64() / f64::from(cycles),
        usual_cycle_s: usual.as_secs_f64(),
        shortened: silence != usual,
        per_cycle,
        per_hour: PerTime {
            requests: per_cycle.requests * an_hour,
            up: per_cycle.up * an_hour,
            down: per_cycle.down * an_hour,
        },
    }))
}

async fn memory(job: &Job, warm: u32) -> anyhow::Result<Outcome> {
    let mut crowd = Crowd::new(job);
    // Each reads as soon as it is open, so that polls are parked.
    crowd.shared.go.send_replace(true);
    let mut read = Vec::new();
    for more in [warm, job.clients] {
        crowd.open(job, &job.base()?, more).await?;
        // What the server does after its greeting, and where it puts its memory.
        sleep(REST).await;
        let memory = system::memory(job.server).context("this system tells no memory")?;
        read.push(memory);
    }
    let nothing = Counts::default();
    let clients = warm + job.clients;
    agreement::check(job.metrics.as_deref(), || {
        counted(job, clients, 0, &nothing)
    })
    .await?;
    let [before, after] = [read[0], read[1]];
    let memory = Memory::between(job.clients, warm, before, after);
    Ok(Outcome::Memory(memory))
}

async fn recovery(
    job: &Job,
    orders: &mut mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<Outcome> {
    // One event of the old server, which all have got when it ends, and one of the new.
    ensure!(job.plan.events == 2, "a recovery has two events");
    let schedule = job.plan.schedule();
    let (_relay, base) = across(job).await?;
    let mut crowd = Crowd::new(job);
    crowd.open(job, &base, job.clients).await?;
    crowd.shared.go.send_replace(true);
    let mut received = crowd.shared.received.subscribe();
    let clients = u64::from(job.clients);
    let base = job.base()?;
    Publisher::new(job, &base)
        .await?
        .publish(0, &schedule[0])
        .await?;
    let all = received.wait_for(|received| *received >= clients);
    timeout(patience(job.method), all)
        .await
        .context("the first event did not come to all")??;
    reply(&Reply::Ready)?;
    let order = orders.recv().await.context("no order")?;
    ensure!(order == LISTENING, "an unknown order: {order}");
    let now = u64::try_from(crowd.shared.begin.elapsed().as_nanos())?;
    crowd.shared.published[1].store(now, Relaxed);
    // Of new connections: those to the old server are dead.
    Publisher::new(job, &base)
        .await?
        .publish(1, &schedule[1])
        .await?;
    let (tallies, _readers) = crowd.finish(RECOVERY).await?;
    let back: Vec<_> = tallies
        .iter()
        .filter_map(|tally| tally.delays.get(1).map(|(_, delay)| *delay))
        .collect();
    Ok(Outcome::Recovery(Recovery {
        clients: job.clients,
        whole: u32::try_from(back.len())?,
        // Known to whoever has restarted it.
        down_ms: 0.0,
        back_ms: quantiles(back)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_together_and_was_published_apart_came_behind_another() {
        let ms = Duration::from_millis;
        // Published every 20 ms; the second is late by 60 ms, and holds up two more.
        let delays = [
            (0, ms(10)),
            (1, ms(70)),
            (2, ms(50)),
            (3, ms(30)),
            (4, ms(15)),
        ];
        let every_20 = |n: u32| ms(20 * u64::from(n));
        let found = behind([&delays[..]].into_iter(), every_20).unwrap();
        assert_eq!((found.receipts, found.most, found.percent), (2, 2, 40.0));
        assert_eq!(found.delay_ms.max.round(), 50.0);
        // Published together, they come together, and nothing holds them up.
        let found = behind(
            [&delays[..1], &[(0, ms(1)), (1, ms(1))]].into_iter(),
            |_| ms(0),
        );
        assert_eq!(found.unwrap().receipts, 0);
    }
}
