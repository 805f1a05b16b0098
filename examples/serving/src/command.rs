//! What every server's command line shares: flags, logging, signals, and one clear line when it cannot start.

use crate::{guard, serve, Allowed, Config, Ending, HostName, Origin};
use axum::Router;
use feed::ticker::Rate;
use std::{
    fmt,
    future::Future,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Where a server listens, and under which names; `PORT` is the default of `--port`. For a server without a log; the others take
/// [`Options`].
#[derive(Clone, Debug, clap::Args)]
pub struct Listen<const PORT: u16> {
    /// Address to listen on; 0.0.0.0 or :: lets other machines connect
    // 127.0.0.1: the servers of a book know no users, and must not appear on a reader's network unasked.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = PORT)]
    pub port: u16,

    /// Name under which the server may be reached, besides IP addresses and localhost; may be repeated
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allow_host: Vec<HostName>,
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
}

/// The flags that all servers of a log share; `PORT` is the default of `--port`.
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
/// let command = Command::parse_from(["sse", "--rate", "2", "--allow-host", "book.example"]);
/// assert_eq!(command.options.address().to_string(), "127.0.0.1:4100");
/// ```
#[derive(Clone, Debug, clap::Args)]
pub struct Options<const PORT: u16> {
    /// Where it listens.
    #[command(flatten)]
    pub listen: Listen<PORT>,

    /// Invented stock ticks a second; 0 for none
    // A negative number is a wrong rate, and should be told so; clap would take it for an unknown flag.
    #[arg(
        long,
        value_name = "PER_SECOND",
        default_value = "1",
        allow_negative_numbers = true
    )]
    pub rate: Rate,

    /// Seed of the ticks: the same seed gives the same prices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Origin whose pages may publish, besides the server's own; may be repeated
    #[arg(long = "allow-origin", value_name = "https://NAME")]
    pub allow_origin: Vec<Origin>,
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
}

/// Runs a server from its flags to its end: logging, listener, guard, signals, drain.
///
/// Prints one line with the address on standard output when it listens, or one line that says why it cannot on standard
/// error. `router` is called once the port is ours, with the ending that its streams shall watch. The code is a failure if
/// the server could not start.
pub async fn run<const PORT: u16>(
    what: &str,
    options: &Options<PORT>,
    config: Config,
    router: impl FnOnce(Ending) -> Router,
) -> ExitCode {
    start(what, options.address(), "http", |listener, ending| {
        let router = guard(router(ending.clone()), options.allowed());
        serve(listener, router, config, ending)
    })
    .await
}

/// The same for a server that is no router: `serve` is called with the listener, and returns when the ending is over. `scheme` is
/// that of its URL, `http` or `https`.
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

/// Logs to standard error what `RUST_LOG` asks for, or `info`. A second call has no effect.
pub fn init_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output is for the one line with the address, so that a script can read it.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // Fails only if somebody set one before, and then that one is meant.
    let _ = subscriber.try_init();
}

/// Listens on `address`; gives the real address too, which differs where the port was 0.
///
/// # Errors
/// With words that tell a user what to do: for a port in use, an address that is not of this machine, a port that needs rights.
pub async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "port {} is in use; choose another with --port, or --port 0 for any free one",
                    address.port()
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "{} is not an address of this machine; see --host",
                    address.ip()
                )
            }
            io::ErrorKind::PermissionDenied => {
                format!(
                    "port {} needs more rights; choose one above 1023 with --port",
                    address.port()
                )
            }
            _ => format!("cannot listen on {address}: {error}"),
        };
        io::Error::new(error.kind(), hint)
    })
}

/// Begins `ending` at SIGINT (Ctrl-C) or SIGTERM; a second signal cuts what is still open.
///
/// Signals are watched from the moment this returns.
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
        // The server runs all the same; the system's own handling of signals stays in force.
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
        ending.begin();
    }
}

/// Prints `WHAT: URL` on standard output: the one line that tells a user, or a script, where the server is.
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
