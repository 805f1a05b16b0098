//! The command line: what to do, and one clear line when it cannot be done.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;

use crate::book::{self, BuildError, Edition, Options};
use crate::server;
use crate::shelf::Shelf;
use crate::watch::Changes;

/// Builds the book and serves it, with its live servers, on one port.
#[derive(Debug, Parser)]
#[command(
    name = "site",
    bin_name = "cargo run --",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the book and its live servers; also what happens without a command
    Serve(Serve),
    /// Write the static site, whose pages say that no live server is there
    Build {
        /// Where to; a built book that is already there is replaced
        #[arg(long, value_name = "DIRECTORY")]
        dest: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// Open the book in a browser
    #[arg(long)]
    open: bool,
    /// Rebuild when a source changes, and reload the pages
    #[arg(long)]
    watch: bool,
}

/// Why the program stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments are wrong, or ask for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// There is no book to serve or write.
    #[error(transparent)]
    Book(#[from] BuildError),
    /// Changes cannot be watched.
    #[error("cannot watch the book's sources: {0}")]
    Watch(#[from] notify::Error),
    /// The address cannot be listened on, or serving failed.
    #[error(transparent)]
    Serve(#[from] io::Error),
}

impl Error {
    /// Tells the error in one line (help and usage keep clap's form) and returns the code to exit with.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Nothing is left to do about a closed terminal.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            error => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Runs the program with `arguments`, its own name first, until it is done or told to end.
///
/// # Errors
/// See [`Error`].
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let cli = Cli::try_parse_from(arguments)?;
    let here = std::env::current_dir()?;
    let root = book::find_root(&here)?;
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Build { dest } => build(&here, &root, dest).await,
        Command::Serve(arguments) => serve(root, arguments).await,
    }
}

async fn build(here: &Path, root: &Path, dest: Option<PathBuf>) -> Result<(), Error> {
    let dest = match dest {
        Some(dest) => here.join(dest),
        None => root.join("book"),
    };
    tell(book::build(root, &dest, Options::default())?);
    println!("The book is in {}", dest.display());
    Ok(())
}

async fn serve(root: PathBuf, arguments: Serve) -> Result<(), Error> {
    // Bound first: a port that is taken is told before the book is built.
    let listener = TcpListener::bind(SocketAddr::new(arguments.host, arguments.port)).await?;
    let options = Options {
        reload: arguments.watch.then_some(server::RELOAD_PATH),
    };
    let (edition, warnings) = Edition::build(&root, options)?;
    tell(warnings);
    let shelf = Shelf::new(edition);
    let router = server::router(shelf.clone(), Vec::new(), None);
    println!("http://{}/", listener.local_addr()?);
    let _ = Changes::of(&root, &book::config(&root)?);
    axum::serve(listener, router).await?;
    Ok(())
}

fn tell(warnings: Vec<String>) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
