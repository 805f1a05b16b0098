//! `cargo xtask figures`: draws and writes anew what the book shows of the lab's data.

use clap::Parser;
use figures::{keep, root, write, Data};
use std::path::PathBuf;

/// Draws the charts and writes the figures of the book anew, from the data in src/measured
#[derive(Debug, Parser)]
#[command(name = "figures", bin_name = "cargo xtask figures")]
struct Cli {
    /// Keep the data of this run of `lab compare` first: a directory in target/lab
    #[arg(long, value_name = "DIRECTORY")]
    from: Option<PathBuf>,

    /// Why the run is not the last word, noted in the data
    #[arg(long, value_name = "REASON", requires = "from")]
    provisional: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(run) = &cli.from {
        keep(run, cli.provisional, root())?;
    }
    let data = Data::read(root())?;
    for path in write(root(), &data)? {
        println!("{}", path.display());
    }
    Ok(())
}
