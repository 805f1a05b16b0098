//! What every server's command line shares: flags, logging, signals, and one clear line
//! when it cannot start.

use crate::{
    guard,
    metrics::{self, Endpoint, Recorder},
    ready, serve, serve_tls, Allowed, Config, Ending, HostName, IpNet, Limits, Origin,
    Rate,
};
use axum::Router;
use std::{
    fmt,
    future::Future,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    time::Duration,
};
use tls::Identity;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Where a server listens, and under which names; `PORT` is the default of `--port`.
/// For a server without a log; the others take [`Options`].
#[derive(Clone, Debug, clap::Args)]
pub struct Listen<const PORT: u16> {
    /// Address to listen on; 0.0.0.0 or :: lets other machines connect
    // 127.0.0.1: the servers of a book know no users, and must not appear on a reader's
    // network unasked.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = PORT)]
    pub port: u16,

    /// Name under which the server may be reached, besides IP addresses and localhost;
    /// may be repeated
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allow_host: Vec<HostName>,

    /// Connections open at once; each needs a file descriptor (`ulimit -n`)
    #[arg(long, value_name = "COUNT", default_value = "1000")]
    pub max_connections: Connections,

    /// How long, after a signal to end, all goes on while GET ready answers 503, so
    /// that a load balancer sends nobody new
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub lame_duck: Seconds<0, 3600>,

    /// How long what is open then has to end, before it is cut
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub drain: Seconds<1, 3600>,

    /// What one address may have of what all share.
    #[command(flatten)]
    pub per_address: PerAddress,
}

/// What one address may have of what all share: [`Config::per_address`] as flags.
#[derive(Clone, Debug, clap::Args)]
pub struct PerAddress {
    /// Connections of one address open at once
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub connections_per_address: Count,

    /// Streams, sockets and parked requests of one address open at once
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub waits_per_address: Count,

    /// Requests of one address in a second, on average; after a pause five times as
    /// many
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub reads_per_address: Count,

    /// Publishes of one address in a second, on average; after a pause five times as
    /// many
    #[arg(long, value_name = "COUNT", default_value = "20")]
    pub publishes_per_address: Count,

    /// Hold this machine to these limits too (127.0.0.1, ::1)
    #[arg(long)]
    pub limit_loopback: bool,

    /// Proxy, or network of proxies, whose X-Forwarded-For is believed; may be repeated
    #[arg(long = "trust-proxy", value_name = "ADDRESS", value_parser = network)]
    pub trust_proxy: Vec<IpNet>,
}

impl PerAddress {
    fn limits(&self) -> Limits {
        let rate = |Count(count): Count| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            Rate::new(count, count.saturating_mul(5))
        };
        Limits {
            connections: self.connections_per_address.0,
            waits: self.waits_per_address.0,
            reads: rate(self.reads_per_address),
            publishes: rate(self.publishes_per_address),
            loopback: self.limit_loopback,
            ..Limits::default()
        }
    }
}

/// A network, `10.0.0.0/8`, or one address.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let one = text.parse::<IpAddr>().ok().map(IpNet::from);
    one.or_else(|| text.parse().ok())
        .ok_or("a proxy is an address, 10.0.0.1, or a network, 10.0.0.0/8")
}

impl<const PORT: u16> Listen<PORT> {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// The hosts that it answers for. No origin but its own may act.
    pub fn allowed(&self) -> Allowed {
        Allowed {
            hosts: self.allow_host.clone(),
            ..Allowed::default()
        }
    }

    /// The limits of its edge.
    pub fn edge(&self) -> Config {
        Config {
            max_connections: self.max_connections.0,
            lame_duck: self.lame_duck.0,
            drain: self.drain.0,
            per_address: self.per_address.limits(),
            trusted_proxies: self.per_address.trust_proxy.clone(),
            ..Config::default()
        }
    }

    /// A new identity for this address and these names; its certificate is in `file`,
    /// if there is to be one.
    ///
    /// # Errors
    /// Where no certificate can be made, or none written.
    pub fn identity(&self, file: Option<&Path>) -> io::Result<Identity> {
        let names = self.allow_host.iter().map(ToString::to_string);
        let identity = Identity::new(names.chain([self.host.to_string()]))
            .map_err(io::Error::other)?;
        if let Some(file) = file {
            std::fs::write(file, identity.pem()).map_err(|error| {
                let told = format!("{}: {error}", file.display());
                io::Error::new(error.kind(), told)
            })?;
        }
        Ok(identity)
    }
}

/// Whether a server speaks TLS.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// Speak TLS, with a certificate that is made at the start: HTTP/2 and HTTP/1.1, as
    /// the client chooses. A WebSocket takes HTTP/1.1, or a stream of HTTP/2
    #[arg(long)]
    pub tls: bool,

    /// Write that certificate to this file, for clients that shall trust it
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub certificate: Option<PathBuf>,
}

impl TlsFlags {
    /// Prints, after the address, where the certificate is, or else its fingerprint.
    fn listening(&self, what: &str, identity: &Identity) {
        let known_by = match &self.certificate {
            Some(file) => file.display().to_string(),
            None => format!("SHA-256 {}", identity.fingerprint()),
        };
        // Nobody may be reading.
        let _ = writeln!(io::stdout(), "{what} certificate: {known_by}");
    }
}

/// A number of connections, from 10 to 1,000,000. Fewer would leave none for what does
/// not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections(pub usize);

impl FromStr for Connections {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.parse().ok();
        let count = count.filter(|count| (10..=1_000_000).contains(count));
        count
            .map(Self)
            .ok_or("a number of connections is from 10 to 1000000")
    }
}

/// A heartbeat: the longest silence of a server, in seconds, from 1 to 3,600.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat(pub Duration);

impl FromStr for Heartbeat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok();
        let seconds = seconds.filter(|seconds| (1..=3600).contains(seconds));
        seconds
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or("a heartbeat is a whole number of seconds, from 1 to 3600")
    }
}

/// A time in whole seconds, from `LEAST` to `MOST` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds<const LEAST: u64, const MOST: u64>(pub Duration);

impl<const LEAST: u64, const MOST: u64> FromStr for Seconds<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok();
        let seconds = seconds.filter(|seconds| (LEAST..=MOST).contains(seconds));
        seconds
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or_else(|| format!("a whole number of seconds, from {LEAST} to {MOST}"))
    }
}

/// The longest age of a stream: from two seconds to thirty days.
pub type MaxAge = Seconds<2, { 30 * 86_400 }>;

/// How many of one kind may be kept or open at once: one or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub usize);

impl FromStr for Count {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.parse().ok().filter(|count| *count >= 1);
        count.map(Self).ok_or("a whole number, 1 or more")
    }
}

/// More places were asked for than a server of so many connections can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--{flag} {asked}: of {connections} connections at most {places} may wait, so that the page, \
     status and a publish are always served; raise --max-connections"
)]
pub struct TooManyPlaces {
    flag: &'static str,
    asked: usize,
    connections: usize,
    places: usize,
}

/// The flags that all servers into which something may be published share; `PORT` is
/// the default of `--port`.
///
/// A binary flattens them into its own:
///
/// ```
/// use clap::Parser;
/// use serving::command::Options;
///
/// #[derive(Parser)]
/// struct Command {
///     #[command(flatten)]
///     options: Options<4100>,
/// }
///
/// let command = Command::parse_from(["sse", "--port", "0", "--allow-host", "book.example"]);
/// assert_eq!(command.options.address().to_string(), "127.0.0.1:0");
/// ```
#[derive(Clone, Debug, clap::Args)]
pub struct Options<const PORT: u16> {
    /// Where it listens.
    #[command(flatten)]
    pub listen: Listen<PORT>,

    /// Origin whose pages may publish, besides the server's own; may be repeated
    #[arg(long = "allow-origin", value_name = "https://NAME")]
    pub allow_origin: Vec<Origin>,

    /// Where its metrics are.
    #[command(flatten)]
    pub metrics: MetricsFlags,

    /// Keep, for GET wire, what goes over HTTP/1.1 connections whose requests have
    /// tap=KEY in their query. For a server that nobody else uses
    #[arg(long)]
    pub tap: bool,
}

/// Where Prometheus reads what a server counts, if it may.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricsFlags {
    /// Port on which Prometheus reads what this server counts, at /metrics; 0 takes any
    /// free one. By default none
    #[arg(long, value_name = "PORT")]
    pub metrics_port: Option<u16>,

    /// Address of that port; 0.0.0.0 or :: lets other machines connect
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST),
        requires = "metrics_port"
    )]
    pub metrics_host: IpAddr,
}

impl<const PORT: u16> Options<PORT> {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        self.listen.address()
    }

    /// What the [`guard`] is told to allow.
    pub fn allowed(&self) -> Allowed {
        Allowed {
            origins: self.allow_origin.clone(),
            ..self.listen.allowed()
        }
    }

    /// The limits of the edge.
    pub fn edge(&self) -> Config {
        self.listen.edge()
    }

    /// Listens on the port for metrics, if there is one, and from then on keeps what
    /// this process counts. What is made before is not counted.
    ///
    /// # Errors
    /// As [`bind`].
    pub async fn metrics(&self) -> io::Result<Option<Endpoint>> {
        let MetricsFlags {
            metrics_port,
            metrics_host,
        } = self.metrics;
        let Some(port) = metrics_port else {
            return Ok(None);
        };
        let flags = ["--metrics-port", "--metrics-host"];
        let address = SocketAddr::new(metrics_host, port);
        let (listener, _) = bind_for(flags, address).await?;
        let recorder = Recorder::install()
            .ok_or_else(|| io::Error::other("this process has a recorder already"))?;
        let allowed = self.listen.allowed();
        Ok(Some(Endpoint {
            listener,
            recorder,
            allowed,
        }))
    }

    /// How many descriptors the metrics may need.
    pub fn metrics_descriptors(&self) -> usize {
        let listener = 1;
        self.metrics
            .metrics_port
            .map_or(0, |_| metrics::CONNECTIONS + listener)
    }

    /// How many places what waits has: as many as the flag `--FLAG` asks for, or
    /// all that the edge has for that.
    ///
    /// # Errors
    /// Where that is more than the edge has.
    pub fn places(
        &self,
        flag: &'static str,
        asked: Option<Count>,
    ) -> Result<usize, TooManyPlaces> {
        let (connections, places) =
            (self.listen.max_connections.0, self.edge().places());
        match asked {
            Some(Count(asked)) if asked > places => Err(TooManyPlaces {
                flag,
                asked,
                connections,
                places,
            }),
            Some(Count(asked)) => Ok(asked),
            None => Ok(places),
        }
    }
}

/// How many descriptors a server needs beside its connections: the standard streams,
/// the listener, the runtime's own, and the one peer that waits for a place. A debug
/// build has 10 open.
pub const DESCRIPTORS: usize = 24;

/// Warns where this process may not open as many descriptors as it could `need`. Only
/// Linux is asked.
pub fn warn_of_descriptors(what: &str, need: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft =
        line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    if let Some(soft) = soft.filter(|soft| *soft < need) {
        eprintln!(
            "{what}: warning: it may need {need} file descriptors, and this process may open {soft}; \
             lower --max-connections, or raise the limit (ulimit -n {need})"
        );
    }
}

/// Runs a server from its flags to its end: logging, listener, TLS, guard, signals,
/// drain.
///
/// Prints one line with the address on standard output when it listens, or one line
/// that says why it cannot on standard error. `router` is called once the port is ours,
/// with the ending that its streams shall watch. Beside its routes there is
/// [`ready`](crate::ready()), and with `--tap` a [`tap`](crate::tap) at
/// `/wire`. The code is a failure if the
/// server could not start.
pub async fn run<const PORT: u16>(
    what: &str,
    options: &Options<PORT>,
    tls: &TlsFlags,
    mut config: Config,
    router: impl FnOnce(Ending) -> Router,
) -> ExitCode {
    let descriptors = config.max_connections + options.metrics_descriptors();
    warn_of_descriptors(what, descriptors + DESCRIPTORS);
    init_tracing();
    let prepared = async {
        let file = tls.certificate.as_deref();
        // Before the port: nobody connects to a server that cannot start.
        let identity = tls.tls.then(|| options.listen.identity(file)).transpose()?;
        let bound = bind(options.address()).await?;
        Ok::<_, io::Error>((identity, bound, options.metrics().await?))
    };
    let (identity, (listener, address), endpoint) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => return fail(what, error),
    };
    let ending = Ending::new();
    end_on_signals(&ending);
    let mut router = router(ending.clone()).route("/ready", ready(&ending));
    if options.tap {
        let tap = config.tap.get_or_insert_default();
        router = router.route("/wire", tap.route());
    }
    let router = guard(router, options.allowed());
    let scheme = if tls.tls { "https" } else { "http" };
    listening(what, scheme, address);
    if let Some(identity) = &identity {
        tls.listening(what, identity);
    }
    if let Some(endpoint) = &endpoint {
        endpoint.listening(what);
    }
    let served = async {
        match identity {
            Some(identity) => {
                serve_tls(listener, identity, router, config, ending).await
            }
            None => serve(listener, router, config, ending).await,
        }
    };
    match Endpoint::beside(endpoint, served).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(what, error),
    }
}

/// The same for a server that is no router: `serve` is called with the listener, and
/// returns when the ending is over. `scheme` is that of its URL, `http` or `https`.
pub async fn start<F: Future<Output = io::Result<()>>>(
    what: &str,
    address: SocketAddr,
    scheme: &str,
    serve: impl FnOnce(TcpListener, Ending) -> F,
) -> ExitCode {
    init_tracing();
    let (listener, address) = match bind(address).await {
        Ok(bound) => bound,
        Err(error) => return fail(what, error),
    };
    let ending = Ending::new();
    end_on_signals(&ending);
    let served = serve(listener, ending);
    listening(what, scheme, address);
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(what, error),
    }
}

/// Prints `WHAT: ERROR` on standard error, as one line; the code is a failure.
pub fn fail(what: &str, error: impl fmt::Display) -> ExitCode {
    eprintln!("{what}: {error}");
    ExitCode::FAILURE
}

/// Logs to standard error what `RUST_LOG` asks for, or `info`. A second call has no
/// effect.
pub fn init_tracing() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output is for the one line with the address, so that a script can read
    // it.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // Fails only if somebody set one before, and then that one is meant.
    let _ = subscriber.try_init();
}

/// Listens on `address`; gives the real address too, which differs where the port was
/// 0.
///
/// # Errors
/// With words that tell a user what to do: for a port in use, an address that is not of
/// this machine, a port that needs rights.
pub async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    bind_for(["--port", "--host"], address).await
}

/// The same where other flags than `--port` and `--host` say which address.
///
/// # Errors
/// As [`bind`], in the words of these flags.
pub async fn bind_for(
    [port, host]: [&str; 2],
    address: SocketAddr,
) -> io::Result<(TcpListener, SocketAddr)> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "port {} is in use; choose another with {port}, or {port} 0 for any free one",
                    address.port()
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "{} is not an address of this machine; see {host}",
                    address.ip()
                )
            }
            io::ErrorKind::PermissionDenied => {
                format!(
                    "port {} needs more rights; choose one above 1023 with {port}",
                    address.port()
                )
            }
            _ => format!("cannot listen on {address}: {error}"),
        };
        io::Error::new(error.kind(), hint)
    })
}

/// Announces `ending` at SIGINT (Ctrl-C) or SIGTERM; a second signal cuts what is still
/// open, also during the lame duck.
///
/// On Unix, signals are watched from the moment this returns; elsewhere, from soon
/// after.
///
/// # Panics
/// Outside a tokio runtime.
pub fn end_on_signals(ending: &Ending) {
    match Signals::watched() {
        Ok(mut signals) => {
            let ending = ending.clone();
            tokio::spawn(async move {
                for again in [false, true] {
                    signals.next().await;
                    on_signal(&ending, again);
                }
            });
        }
        // The server runs all the same; the system's own handling of signals stays in
        // force.
        Err(error) => tracing::warn!(%error, "signals cannot be watched"),
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn watched() -> io::Result<Self> {
        use tokio::signal::unix::{signal, SignalKind};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            // Cancel-safe, both: a signal that is not taken stays for the next call.
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn watched() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // It cannot be watched, so it never comes this way.
            std::future::pending().await
        }
    }
}

fn on_signal(ending: &Ending, again: bool) {
    if again {
        tracing::info!("a second signal: cutting what is still open");
        ending.cut();
    } else {
        tracing::info!("ending; a second signal ends at once");
        ending.announce();
    }
}

/// Prints `WHAT: URL` on standard output: the one line that tells a user, or a script,
/// where the server is.
pub fn listening(what: &str, scheme: &str, address: SocketAddr) {
    // Nobody may be reading; a server needs no audience.
    let _ = writeln!(io::stdout(), "{what}: {}", url(scheme, address));
}

/// The URL under which a server at `address` is reached from this machine.
pub fn url(scheme: &str, address: SocketAddr) -> String {
    // 0.0.0.0 and :: mean "every address" to a listener, and nothing to a browser.
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}/", SocketAddr::new(reachable, address.port()))
}
