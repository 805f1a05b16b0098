//! Records anew: `cargo xtask record`.

use anyhow::ensure;
use clap::Parser;
use recordings::{folder, keep, push, table};

/// Records anew what the pages replay
#[derive(Debug, Parser)]
#[command(name = "record", bin_name = "cargo xtask record")]
struct Command {
    /// The recordings to make; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command { names } = Command::parse();
    let known = push::ALL.map(|(name, _)| name);
    for name in &names {
        ensure!(
            known.contains(&name.as_str()),
            "no recording {name}; there are {known:?}"
        );
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
    for (name, way) in push::ALL {
        if wanted(name) {
            keep(name, &push::record(way).await?)?;
        }
    }
    std::fs::write(folder().join("http2-push.md"), table::table()?)?;
    Ok(())
}
