//! The command line: what to do, and one clear line when it cannot be done.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, Subcommand};
use http2_push::panel::Running;
use method::Waits;
use serving::{
    command::{self, Count, Heartbeat, Listen, TooManyPlaces},
    metrics::Endpoint,
    Ending, Tap,
};
use tokio::task::JoinHandle;
use waiting::{LogFlags, Places};

use crate::book::{self, BuildError, Edition, Options};
use crate::limits::{self, Limits};
use crate::push;
use crate::server::{self, Reload};
use crate::shelf::Shelf;
use crate::watch::Changes;

/// The name in front of every line that this program prints.
const WHAT: &str = "site";

/// The usual port of the push server: the book's, with the 443 of `https` at its end.
const PUSH_PORT: u16 = 4443;

/// Builds the book and serves it, with its live servers, on one port
#[derive(Debug, Parser)]
#[command(name = WHAT, bin_name = "cargo run --", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the book and its live servers; also what happens without a command
    Serve(Box<Serve>),
    /// Write the static site, where no live server is
    Build {
        /// Where to, by default `book` beside book.toml; a built book that is there is replaced
        #[arg(long, value_name = "DIRECTORY")]
        dest: Option<PathBuf>,
        /// What `cargo xtask worker` has written: servers for the panels, which the reader's
        /// browser runs
        #[arg(long, value_name = "DIRECTORY")]
        worker: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    options: command::Options<4000>,
    #[command(flatten)]
    log: LogFlags,
    /// Port of the HTTP/2 push server, which has TLS and so no place on the book's own; 0 takes any
    /// free one. By default 4443, and where that is taken, none
    #[arg(long, value_name = "PORT")]
    push_port: Option<u16>,
    #[command(flatten)]
    waits: WaitFlags,
    /// The longest silence on a stream or a socket before a heartbeat
    #[arg(long, value_name = "SECONDS", default_value = "15")]
    heartbeat: Heartbeat,
    /// Open the book in a browser
    #[arg(long)]
    open: bool,
    /// Rebuild when a source changes, and reload the pages
    #[arg(long)]
    watch: bool,
}

/// For each method that waits, how many of it may: its flag, where the command line has it.
#[derive(Debug)]
struct WaitFlags(Vec<(&'static str, Count)>);

impl WaitFlags {
    fn known() -> impl Iterator<Item = Waits> {
        server::methods()
            .into_iter()
            .filter_map(|method| method.waits)
    }

    /// # Errors
    /// Where one asks for more than the edge has.
    fn places(
        self,
        options: &command::Options<4000>,
    ) -> Result<BTreeMap<&'static str, usize>, TooManyPlaces> {
        let asked = self.0.into_iter();
        asked
            .map(|(flag, count)| Ok((flag, options.places(flag, Some(count))?)))
            .collect()
    }
}

impl FromArgMatches for WaitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |waits: Waits| Some((waits.flag, method::count(matches, waits)?));
        Ok(Self(Self::known().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WaitFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let default = "by default as many as may wait at all: nine in ten connections, of all \
                       methods together";
        command.args(Self::known().map(|waits| waits.argument(default)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Why the program did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments are wrong, or ask for help.
    #[error("{}", usage(.0))]
    Usage(#[from] clap::Error),
    /// There is no book to serve or to write.
    #[error(transparent)]
    Book(#[from] BuildError),
    /// Changes cannot be watched.
    #[error("cannot watch the book's sources: {0}")]
    Watch(#[from] notify::Error),
    /// The log cannot be had.
    #[error(transparent)]
    Log(#[from] waiting::OpenError),
    /// More places than connections leave.
    #[error(transparent)]
    Places(#[from] TooManyPlaces),
    /// The address cannot be listened on, or the system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Prints the error as one line (or the help that was asked for); returns the code to exit
    /// with: 2 for wrong arguments, as clap does, otherwise 1.
    pub fn report(self) -> ExitCode {
        match &self {
            Self::Usage(help) if !help.use_stderr() => {
                // Nobody may be reading.
                let _ = help.print();
                ExitCode::SUCCESS
            }
            Self::Usage(_) => {
                command::fail(WHAT, &self);
                ExitCode::from(2)
            }
            _ => command::fail(WHAT, &self),
        }
    }
}

/// Clap's error without the usage that follows it, in one line.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<_> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(|line| line.trim_start_matches("error: "))
        .collect();
    format!("{}; --help lists the flags", told.join("; "))
}

/// The arguments, or what is wrong with them.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    // Two a second: the panel of a chapter should move while somebody reads the line above it.
    // And fewer connections than a server alone has: this one shares the process with others.
    let ours = |command: clap::Command| {
        command
            .mut_arg("rate", |rate| rate.default_value("2"))
            .mut_arg("max_connections", |count| {
                count.default_value(limits::CONNECTIONS)
            })
    };
    let command = ours(Cli::command()).mut_subcommand("serve", ours);
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Runs the program with `arguments`, its own name first, until it is done or told to end.
///
/// # Errors
/// See [`Error`].
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let cli = parse(arguments)?;
    let here = std::env::current_dir()?;
    let root = book::find_root(&here)?;
    match cli.command.unwrap_or(Command::Serve(Box::new(cli.serve))) {
        Command::Build { dest, worker } => build(&here, &root, dest, worker),
        Command::Serve(arguments) => serve(root, *arguments).await,
    }
}

fn build(
    here: &Path,
    root: &Path,
    dest: Option<PathBuf>,
    worker: Option<PathBuf>,
) -> Result<(), Error> {
    let dest = dest.map_or_else(|| root.join("book"), |dest| here.join(dest));
    let worker = worker.map(|worker| here.join(worker));
    let options = Options {
        worker: worker.as_deref(),
        ..Options::default()
    };
    warn(book::build(root, &dest, options)?);
    println!("{WHAT}: the book is in {}", dest.display());
    if worker.is_none() {
        println!("{WHAT}: its panels have no server; `cargo xtask worker` makes one for --worker");
    }
    Ok(())
}

async fn serve(
    root: PathBuf,
    Serve {
        options,
        log,
        push_port,
        waits,
        heartbeat,
        open,
        watch,
    }: Serve,
) -> Result<(), Error> {
    // What it keeps is of the reader's own connections, where nobody else has any.
    let tap = (options.tap || options.address().ip().is_loopback()).then(Tap::new);
    let limits = Limits {
        edge: serving::Config {
            tap: tap.clone(),
            ..options.edge()
        },
        places: Places::new(options.edge().places()),
        of_methods: waits.places(&options)?,
        heartbeat: heartbeat.0,
    };
    command::init_tracing();
    let descriptors = limits.descriptors() + options.metrics_descriptors();
    command::warn_of_descriptors(WHAT, descriptors);
    // Before the build: a port that is taken is told at once.
    let (listener, address) = command::bind(options.address()).await?;
    let endpoint = options.metrics().await?;
    let ending = Ending::new();
    command::end_on_signals(&ending);
    let (push, pushing) = push_server(&options.listen, push_port, &ending).await?;

    // Also before the build: a change during it is not missed.
    let changes = if watch {
        Some(Changes::of(&root, &book::config(&root)?)?)
    } else {
        None
    };
    let page = Options {
        reload: watch.then_some(server::RELOAD_PATH),
        ..Options::default()
    };
    let (edition, warnings) = Edition::build(&root, page)?;
    warn(warnings);
    let shelf = Shelf::new(&edition)?;
    // Its directory goes: the book is in memory.
    drop(edition);

    let (feed, work) = tokio::select! {
        // Cancel-safe: it is not asked again.
        opened = log.open() => opened?,
        // Cancel-safe: it only waits.
        () = ending.begun() => return Ok(()),
    };
    let reload = changes.map(|changes| {
        let reload = Reload::default();
        tokio::spawn(rebuild(
            root,
            shelf.clone(),
            changes,
            reload.clone(),
            ending.clone(),
        ));
        reload
    });
    let router = server::router(
        shelf,
        server::live(&server::methods(), &feed, push, &limits, &ending),
        reload.map(|reload| reload.router(&limits, &ending)),
    );
    let ended = ending.begun();
    tokio::spawn(async move {
        tokio::select! {
            // Cancel-safe: it only waits.
            () = ended => {}
            // Dropped between two ticks or before one: nothing reads the feed any more.
            () = work => {}
        }
    });

    command::listening(WHAT, "http", address);
    if let Some(endpoint) = &endpoint {
        endpoint.listening(WHAT);
    }
    if open {
        // A browser that does not start is no reason to stop: the line above has the address.
        if let Err(error) = open::that_detached(command::url("http", address)) {
            eprintln!("{WHAT}: no browser could be opened: {error}");
        }
    }
    let router = server::with_ready(router, &ending);
    let router = match tap {
        Some(tap) => server::with_wire(router, &tap),
        None => router,
    };
    let router = serving::guard(router, server::with_any_origin(options.allowed()));
    let served = serving::serve(listener, router, limits.edge, ending);
    let served = Endpoint::beside(endpoint, served).await;
    // It ends with the book, and has its own connections to drain.
    if let Some(pushing) = pushing {
        let _ = pushing.await;
    }
    Ok(served?)
}

/// Starts the push server beside the book, on the same host. `None` where nobody asked for a port
/// and the usual one is taken: a second book on this machine is no reason to refuse a reader the
/// first.
async fn push_server(
    book: &Listen<4000>,
    port: Option<u16>,
    ending: &Ending,
) -> Result<(Option<Running>, Option<JoinHandle<()>>), Error> {
    let wanted = SocketAddr::new(book.host, port.unwrap_or(PUSH_PORT));
    let listener = match command::bind_for(["--push-port", "--host"], wanted).await {
        Ok((listener, _)) => listener,
        Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            eprintln!("{WHAT}: warning: no HTTP/2 push server: port {PUSH_PORT} is in use; choose another with --push-port");
            return Ok((None, None));
        }
        Err(error) => return Err(error.into()),
    };
    // An ending of its own: where this server fails, the book goes on.
    let (running, serving) = push::server(listener, &book.allow_host, ending.child())?;
    let pushing = tokio::spawn(async move {
        if let Err(error) = serving.await {
            eprintln!("{WHAT}: the HTTP/2 push server ended: {error}");
        }
    });
    Ok((Some(running), Some(pushing)))
}

/// Rebuilds at every change until the ending; a broken book leaves the one before where it is.
async fn rebuild(root: PathBuf, shelf: Shelf, changes: Changes, reload: Reload, ending: Ending) {
    let ended = ending.begun();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            // Cancel-safe: it only waits.
            () = &mut ended => return,
            // Whatever a dropped call had noticed does not matter any more: the server ends.
            () = changes.next() => {}
        }
        let sources = root.clone();
        let page = Options {
            reload: Some(server::RELOAD_PATH),
            ..Options::default()
        };
        // mdBook is synchronous; a build in this task would hold up the streams on its thread.
        let newer = shelf.clone();
        let built = tokio::task::spawn_blocking(move || {
            let (edition, warnings) = Edition::build(&sources, page)?;
            newer.replace(&edition)?;
            Ok::<_, BuildError>(warnings)
        });
        match built.await {
            Ok(Ok(warnings)) => {
                warn(warnings);
                eprintln!("{WHAT}: rebuilt");
                reload.notify().await;
            }
            Ok(Err(error)) => eprintln!("{WHAT}: {error}; still serving the last good one"),
            // A panic inside mdBook: its message is on the terminal already.
            Err(_) => eprintln!("{WHAT}: the build broke off; still serving the last good book"),
        }
    }
}

fn warn(warnings: Vec<String>) {
    for warning in warnings {
        eprintln!("{WHAT}: warning: {warning}");
    }
}
