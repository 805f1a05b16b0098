//! `cargo xtask figures`: draws and writes anew what the book shows of the lab's data.

use clap::Parser;
use figures::{keep, root, write, Book};
use std::path::PathBuf;

/// Draws the charts and writes the figures of the book anew, from the data in src/measured
#[derive(Debug, Parser)]
#[command(name = "figures", bin_name = "cargo xtask figures")]
struct Cli {
    /// Keep the data of this run of the lab first: a directory in target/lab. A run of `compare`,
    /// of `compare` across lines, of `scale`, of `peers` and of `engines` each replaces the last of
    /// its kind
    #[arg(long, value_name = "DIRECTORY")]
    from: Vec<PathBuf>,

    /// Why the runs are not the last word, noted in the data
    #[arg(long, value_name = "REASON", requires = "from")]
    provisional: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    for run in &cli.from {
        let kind = keep(run, cli.provisional.clone(), root())?;
        println!("{}: kept as {}", run.display(), kind.name());
    }
    let book = Book::read(root())?;
    for path in write(root(), &book)? {
        println!("{}", path.display());
    }
    Ok(())
}
