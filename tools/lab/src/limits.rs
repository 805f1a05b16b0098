//! The command `limits`: lowers a limit on purpose, for a server of the book, and looks whether it
//! bites where the crate `capacity` says.
//!
//! What is lowered is of one process, or of a network namespace that is the lab's own; so nobody
//! else meets it. What the system allows neither for is reported, with the reason.

use crate::{
    answers, clients,
    job::Task,
    line,
    line::Line,
    method::{Method, Silence},
    plan::{Step, Workers},
    programs::{Programs, Server, Servers},
    protocol::Protocol,
    system,
};
use anyhow::{bail, ensure, Context as _};
use capacity::{measured::HTTP1, LimitKind, Load, Machine};
use clap::ValueEnum as _;
use rustix::process::{kill_process, prlimit, Pid, Resource, Rlimit, Signal};
use std::{
    fmt, fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::RangeInclusive,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};
use tokio::time::sleep;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What is tried; all of them by default
    #[arg(long, value_delimiter = ',', value_name = "LIMIT")]
    limits: Vec<Limit>,

    #[command(flatten)]
    servers: Servers,
}

/// What is tried, of what `capacity` knows. The others are amounts of hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Limit {
    /// Open files of the server's process
    Descriptors,
    /// Ports of one address of a client
    Ports,
    /// Connections that the server has not accepted yet
    Backlog,
    /// Connections that the firewall follows
    Conntrack,
    /// What the kernel keeps for readers that do not read
    Buffers,
}

impl Limit {
    fn kind(self) -> LimitKind {
        match self {
            Self::Descriptors => LimitKind::Descriptors,
            Self::Ports => LimitKind::Ports,
            Self::Backlog => LimitKind::Backlog,
            Self::Conntrack => LimitKind::Conntrack,
            Self::Buffers => LimitKind::Buffers,
        }
    }
}

/// How long a state may take that a limit, or its end, brings about.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether it is there.
const LOOK: Duration = Duration::from_millis(10);

/// How many clients more come than fit.
const MORE: usize = 8;

/// What came of a limit.
#[derive(Debug)]
struct Found {
    kind: LimitKind,
    /// What was lowered, and to what.
    lowered: String,
    /// What is counted.
    unit: &'static str,
    predicted: f64,
    /// How far what is seen may be from it.
    tolerance: RangeInclusive<f64>,
    seen: f64,
    /// What the setting has changed.
    lifted: String,
}

impl Found {
    fn agrees(&self) -> bool {
        self.tolerance.contains(&(self.seen / self.predicted))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            lowered,
            unit,
            predicted,
            seen,
            lifted,
            ..
        } = self;
        let name = kind.name();
        let agrees = if self.agrees() { "" } else { " DIFFERENT" };
        writeln!(
            f,
            "{name}: predicted {predicted:.0}, seen {seen:.0} {unit}, with {lowered}{agrees}"
        )?;
        write!(f, "  {lifted}; in general by {}", kind.setting())
    }
}

const EXACTLY: RangeInclusive<f64> = 1.0..=1.0;

/// Why a limit was not tried.
type NotTried = String;

/// Tries all of them.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    system::raise_descriptors();
    let programs = Programs::new(&[Method::Sse], &options.servers)?;
    // The servers are built: in the namespace there is no network. Returns in another process.
    let namespace = line::enter(line::NAMESPACE);
    let namespace = namespace.map_err(|error| format!("no network namespace: {error:#}"));
    let limits = match &options.limits[..] {
        [] => Limit::value_variants(),
        some => some,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut agree = true;
    runtime.block_on(async {
        for limit in limits {
            let own = namespace.as_ref().map(|()| Namespace);
            let tried = match (limit, own) {
                (Limit::Descriptors, _) => Ok(descriptors(&programs).await?),
                (_, Err(reason)) => Err(reason.clone()),
                (Limit::Ports, Ok(own)) => Ok(ports(&programs, &own).await?),
                (Limit::Backlog, Ok(own)) => Ok(backlog(&programs, &own).await?),
                (Limit::Conntrack, Ok(own)) => Err(conntrack(&own)),
                (Limit::Buffers, Ok(own)) => Ok(buffers(&programs, &own).await?),
            };
            match tried {
                Ok(found) => {
                    agree &= found.agrees();
                    println!("{found}");
                }
                Err(reason) => println!("{}: not tried: {reason}", limit.kind().name()),
            }
        }
        anyhow::Ok(())
    })?;
    Ok(match agree {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// How many readers of an event stream a machine holds until it meets this limit.
fn readers(machine: &Machine, kind: LimitKind) -> f64 {
    let method = capacity::Method::Sse;
    let limits = machine.limits(&Load::EXAMPLE, method, HTTP1.of(method));
    let limit = limits.iter().find(|limit| limit.kind == kind);
    limit.expect("each kind has a limit").readers
}

/// The lab's own network namespace, in which its settings may be changed.
struct Namespace;

impl Namespace {
    fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        fs::write(path, value).with_context(|| format!("{name} = {value}"))
    }
}

/// A server with event streams, and room for as many clients as are tried here.
async fn start(programs: &Programs) -> anyhow::Result<(Server, SocketAddr)> {
    let step = Step {
        method: Method::Sse,
        task: Task::Delivery,
        clients: 500,
        silence: Silence::Usual,
        protocol: Protocol::H1,
        workers: Workers::All,
        line: Line::NONE,
        repetition: 0,
    };
    let server = programs.serve(&step, 0).await?;
    let address = clients::address(&server.base)?;
    Ok((server, address))
}

/// Waits until it is so; whether it became so in time.
async fn eventually(mut so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let limit = Instant::now() + PATIENCE;
    while !so()? {
        if Instant::now() > limit {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

/// One who asks for the event stream.
struct Reader {
    socket: TcpStream,
    /// The server has answered.
    served: bool,
}

impl Reader {
    fn connect(server: SocketAddr) -> std::io::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        let request =
            format!("GET /events HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n\r\n");
        socket.write_all(request.as_bytes())?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            served: false,
        })
    }

    /// How many of these are served by now.
    fn served(readers: &mut [Self]) -> anyhow::Result<usize> {
        let mut buffer = [0; 4096];
        for reader in readers.iter_mut().filter(|reader| !reader.served) {
            match reader.socket.read(&mut buffer) {
                Ok(0) => bail!("the server has closed a connection"),
                Ok(_) => reader.served = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(readers.iter().filter(|reader| reader.served).count())
    }
}

// Files of the process.

/// How many more files the server may open than it has.
const FILES: usize = 40;

async fn descriptors(programs: &Programs) -> anyhow::Result<Found> {
    let (server, address) = start(programs).await?;
    // The limit is one of numbers (getrlimit(2)): what was inherited with a larger one is not in
    // it.
    let open = |below: usize| {
        let files = fs::read_dir(format!("/proc/{}/fd", server.process))?;
        let numbers = files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok());
        anyhow::Ok(numbers.filter(|number: &usize| *number < below).count())
    };
    let process = Pid::from_raw(server.process.cast_signed()).context("no process")?;
    // What it opens when it starts is closed by the time it serves the first.
    let mut came = vec![Reader::connect(address)?];
    let first = eventually(|| Ok(Reader::served(&mut came)? == 1)).await?;
    ensure!(first, "the first client is not served");
    let limit = open(usize::MAX)? + FILES;
    let own = open(limit)? - came.len();
    let set = |files: usize| {
        let limit = Rlimit {
            current: Some(files as u64),
            maximum: prlimit_maximum()?,
        };
        anyhow::Ok(prlimit(Some(process), Resource::Nofile, limit)?)
    };
    set(limit)?;
    let machine = Machine {
        descriptors: (limit - own) as f64,
        ..Machine::DEFAULTS
    };
    let predicted = readers(&machine, LimitKind::Descriptors);
    let all = predicted as usize + MORE;
    while came.len() < all {
        came.push(Reader::connect(address)?);
    }
    // Then it can accept no more.
    let full = || anyhow::Ok(open(limit)? >= limit);
    ensure!(
        eventually(full).await?,
        "the server has not opened {limit} files"
    );
    eventually(|| Ok(Reader::served(&mut came)? as f64 >= predicted)).await?;
    let seen = Reader::served(&mut came)?;
    set(limit + 2 * MORE)?;
    let lifted = eventually(|| Ok(Reader::served(&mut came)? == all)).await?;
    ensure!(lifted, "the other clients are not served with more files");
    server.kill().await?;
    Ok(Found {
        kind: LimitKind::Descriptors,
        lowered: format!("RLIMIT_NOFILE of the server {limit}, of which {own} are its own"),
        unit: "readers served",
        predicted,
        tolerance: EXACTLY,
        seen: seen as f64,
        lifted: format!("with {} all {all} were served", limit + 2 * MORE),
    })
}

/// As much as the server has, which has it from this process.
fn prlimit_maximum() -> anyhow::Result<Option<u64>> {
    Ok(rustix::process::getrlimit(Resource::Nofile).maximum)
}

// Ports of one address.

const PORTS: u16 = 100;

async fn ports(programs: &Programs, own: &Namespace) -> anyhow::Result<Found> {
    let (server, address) = start(programs).await?;
    // Not where the server's port may be.
    let first = if address.port() < 50_000 {
        60_000
    } else {
        40_000
    };
    let set = |ports: u16| {
        let last = first + ports - 1;
        own.set("net.ipv4.ip_local_port_range", &format!("{first} {last}"))
    };
    set(PORTS)?;
    let machine = Machine {
        ports: f64::from(PORTS),
        ..Machine::DEFAULTS
    };
    let mut came = Vec::new();
    let mut connect = |most: usize| loop {
        match Reader::connect(address) {
            Ok(reader) => came.push(reader),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return Ok(came.len()),
            Err(error) => return Err(error),
        }
        if came.len() == most {
            return Ok(most);
        }
    };
    let seen = connect(usize::from(PORTS) + MORE)?;
    set(2 * PORTS)?;
    let all = connect(seen + MORE)?;
    ensure!(all == seen + MORE, "no more connect with more ports");
    let served = eventually(|| Ok(Reader::served(&mut came)? == all)).await?;
    ensure!(served, "not all are served");
    server.kill().await?;
    Ok(Found {
        kind: LimitKind::Ports,
        lowered: format!("net.ipv4.ip_local_port_range {PORTS} ports wide"),
        unit: "connections of one address to the server",
        predicted: readers(&machine, LimitKind::Ports),
        tolerance: EXACTLY,
        seen: seen as f64,
        lifted: format!("with {} ports {all} connected", 2 * PORTS),
    })
}

// Connections not yet accepted.

const BACKLOG: u32 = 16;

async fn backlog(programs: &Programs, own: &Namespace) -> anyhow::Result<Found> {
    let program = Machine::DEFAULTS.backlog;
    let machine = Machine {
        backlog: program.min(f64::from(BACKLOG)),
        // It is stopped.
        accepts_per_s: 0.0,
        spread_s: 0.0,
        ..Machine::DEFAULTS
    };
    // Linux lets one more wait than the number says (`sk_acceptq_is_full`).
    let predicted = readers(&machine, LimitKind::Backlog) + 1.0;
    let come = predicted as usize + MORE;
    let seen = waiting(programs, own, BACKLOG, come).await?;
    let raised = 4 * BACKLOG;
    let all = waiting(programs, own, raised, come).await?;
    ensure!(all == come, "{all} of {come} wait with a longer queue");
    Ok(Found {
        kind: LimitKind::Backlog,
        lowered: format!("net.core.somaxconn {BACKLOG}, and the server stopped"),
        unit: "connections that wait",
        predicted,
        tolerance: EXACTLY,
        seen: seen as f64,
        lifted: format!("with {raised} all {come} waited, and were served afterwards"),
    })
}

/// How many of so many connections are made while the server is stopped. Then it goes on, and those
/// are served.
async fn waiting(
    programs: &Programs,
    own: &Namespace,
    somaxconn: u32,
    come: usize,
) -> anyhow::Result<usize> {
    // It counts when the server begins to listen.
    own.set("net.core.somaxconn", &somaxconn.to_string())?;
    let (server, address) = start(programs).await?;
    let process = Pid::from_raw(server.process.cast_signed()).context("no process")?;
    let stat = || procfs::process::Process::new(server.process.cast_signed())?.stat();
    kill_process(process, Signal::STOP)?;
    let stopped = eventually(|| Ok(stat()?.state == 'T')).await?;
    ensure!(stopped, "the server does not stop");
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..come {
        let before = overflows()?;
        // One that finds no room would wait for seconds in `connect` of the standard library.
        let socket = mio::net::TcpStream::connect(address)?;
        let settled =
            eventually(|| Ok(socket.peer_addr().is_ok() || overflows()? > before)).await?;
        ensure!(settled, "a connection is neither made nor refused");
        match socket.peer_addr() {
            Ok(_) => made.push(socket),
            Err(_) => refused.push(socket),
        }
    }
    kill_process(process, Signal::CONT)?;
    let request = format!("GET /status HTTP/1.1\r\nHost: {address}\r\n\r\n");
    for socket in &mut made {
        socket.write_all(request.as_bytes())?;
    }
    let mut buffer = [0; 4096];
    for socket in &mut made {
        let answered = eventually(|| match socket.read(&mut buffer) {
            Ok(length) => Ok(length > 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        });
        ensure!(answered.await?, "one that waited is not served");
    }
    server.kill().await?;
    Ok(made.len())
}

/// How often a connection came to a full queue (`ListenOverflows` of `/proc/net/netstat`: names in
/// one line, and values in the next).
fn overflows() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/net/netstat")?;
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next(), lines.next());
    let mut pairs = names
        .unwrap_or_default()
        .split(' ')
        .zip(values.unwrap_or_default().split(' '));
    let found = pairs.find(|(name, _)| *name == "ListenOverflows");
    let (_, value) = found.context("the system does not count ListenOverflows")?;
    Ok(value.parse()?)
}

// Connections that the firewall follows.

/// Why it is not tried here.
fn conntrack(own: &Namespace) -> NotTried {
    const NAME: &str = "net.netfilter.nf_conntrack_max";
    let path = format!("/proc/sys/{}", NAME.replace('.', "/"));
    let Ok(value) = fs::read_to_string(path) else {
        return "this kernel follows no connections".to_owned();
    };
    match own.set(NAME, value.trim()) {
        Err(error) => format!("the limit is one for the whole machine ({error:#})"),
        Ok(()) => "it takes a rule of a firewall besides, which the lab does not set".to_owned(),
    }
}

// Buffers.

/// Readers that read nothing.
const STALLED: usize = 4;

/// What the kernel may take of a send buffer, in bytes: less, and more.
const BUFFERS: [u64; 2] = [256 * 1024, 1024 * 1024];

/// What the book's servers leave unsent in it: `serving::Config::unsent_in_system`.
const UNSENT: u64 = 16 * 1024;

/// A buffer takes a whole piece more, or has no room for one.
const ABOUT: RangeInclusive<f64> = 0.7..=1.3;

/// Readers that read nothing fill what the server leaves unsent, however much the kernel allows.
async fn buffers(programs: &Programs, own: &Namespace) -> anyhow::Result<Found> {
    let [less, more] = BUFFERS;
    let machine = Machine {
        stalled: 1.0,
        send_buffer_bytes: UNSENT as f64,
        tcp_memory_bytes: (UNSENT * STALLED as u64) as f64,
        ..Machine::DEFAULTS
    };
    // So many readers fill the memory that as many buffers take.
    let predicted = (STALLED as u64 * UNSENT) as f64;
    ensure!(readers(&machine, LimitKind::Buffers) == STALLED as f64);
    let seen = stalled(programs, own, less).await?;
    let with_more = stalled(programs, own, more).await?;
    ensure!(
        ABOUT.contains(&(with_more as f64 / predicted)),
        "with buffers of up to {more} bytes {STALLED} have {with_more}"
    );
    Ok(Found {
        kind: LimitKind::Buffers,
        lowered: format!(
            "{UNSENT} bytes unsent at most, net.ipv4.tcp_wmem up to {less}, and {STALLED} readers \
             that read nothing"
        ),
        unit: "bytes in the kernel",
        predicted,
        tolerance: ABOUT,
        seen: seen as f64,
        lifted: format!("with up to {more} it was {with_more}"),
    })
}

/// What the kernel holds for readers that read nothing, at the server's end.
async fn stalled(programs: &Programs, own: &Namespace, most: u64) -> anyhow::Result<u64> {
    let least = 4096;
    let first = 16 * 1024;
    own.set("net.ipv4.tcp_wmem", &format!("{least} {first} {most}"))?;
    // What the readers' end holds is not asked.
    own.set("net.ipv4.tcp_rmem", &format!("{least} {first} {first}"))?;
    let (server, address) = start(programs).await?;
    let came = (0..STALLED).map(|_| Reader::connect(address));
    let mut came: Vec<_> = came.collect::<Result<_, _>>()?;
    let served = eventually(|| Ok(Reader::served(&mut came)? == STALLED)).await?;
    ensure!(served, "the readers are not served");
    let readers: Vec<_> = came
        .iter()
        .map(|it| it.socket.local_addr())
        .collect::<Result<_, _>>()?;
    // More than the buffers of both ends, and of the server, hold of a stream.
    const TEXT: usize = 16_000;
    let events = 4 * (usize::try_from(most)? + 256 * 1024) / TEXT;
    let event = format!(r#"{{"kind":"message","data":"{}"}}"#, "x".repeat(TEXT));
    let mut publisher = TcpStream::connect(address)?;
    publisher.set_read_timeout(Some(PATIENCE))?;
    let request = answers::request("POST", "/events", &address.to_string(), &event);
    let (mut answers, mut raw, mut buffer) = (answers::Answers::default(), Vec::new(), [0; 4096]);
    for _ in 0..events {
        publisher.write_all(request.as_bytes())?;
        while answers.next(&mut raw)?.is_none() {
            match publisher.read(&mut buffer)? {
                0 => bail!("the server has closed the publisher's connection"),
                length => raw.extend_from_slice(&buffer[..length]),
            }
        }
    }
    // The server writes until nothing more is taken. On a busy machine it may pause before, so what
    // is too little is looked at again.
    let enough = ABOUT.start() * (STALLED as u64 * UNSENT) as f64;
    let mut seen = 0;
    eventually(|| {
        let held = held(address, &readers)?;
        let same = std::mem::replace(&mut seen, held) == held;
        Ok(same && held as f64 >= enough)
    })
    .await?;
    server.kill().await?;
    Ok(seen)
}

/// What the kernel holds to be sent from this address to these (`ss`, whose `skmem` has it as `w`).
fn held(server: SocketAddr, readers: &[SocketAddr]) -> anyhow::Result<u64> {
    let mut held = 0;
    for reader in readers {
        let output = Command::new("ss")
            .args([
                "-tmnH",
                "src",
                &server.to_string(),
                "dst",
                &reader.to_string(),
            ])
            .output()
            .context("ss")?;
        let text = String::from_utf8(output.stdout)?;
        let memory = text
            .split("skmem:(")
            .nth(1)
            .context("ss says nothing of memory")?;
        let queued = memory.split([',', ')']).find_map(|it| it.strip_prefix('w'));
        held += queued
            .context("ss says nothing of what is queued")?
            .parse::<u64>()?;
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bites_elsewhere_than_predicted_is_marked() {
        let found = |tolerance, seen| Found {
            kind: LimitKind::Descriptors,
            lowered: "RLIMIT_NOFILE 53".to_owned(),
            unit: "readers",
            predicted: 40.0,
            tolerance,
            seen,
            lifted: "with 69 all were served".to_owned(),
        };
        assert!(found(EXACTLY, 40.0).agrees());
        for seen in [39.0, 41.0] {
            let text = found(EXACTLY, seen).to_string();
            assert!(text.contains("DIFFERENT"), "{text}");
            assert!(found(0.7..=1.3, seen).agrees());
        }
        assert!(!found(0.7..=1.3, 20.0).agrees());
    }
}
