//! Records anew: `cargo xtask record`.

use anyhow::ensure;
use browser::{engine::Kind, suite::Suite};
use clap::{builder::PossibleValuesParser, Parser};
use recordings::{failures, folder, keep, panels, push, table};
use tokio::runtime::Runtime;

/// Records anew what the pages replay
#[derive(Debug, Parser)]
#[command(name = "record", bin_name = "cargo xtask record")]
struct Command {
    /// What to record: `http2-push`, or the name of a panel or of a failure; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// A browser to record panels in; all three without one
    #[arg(
        long,
        value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::key))
    )]
    engine: Vec<String>,

    /// Record nothing, and write anew what the pages say of the recordings
    #[arg(long)]
    tables: bool,
}

/// The name under which the three loads of a page are recorded, which belong together.
const PUSH: &str = "http2-push";

fn main() -> anyhow::Result<()> {
    let Command {
        names,
        engine,
        tables,
    } = Command::parse();
    let mut known = vec![PUSH];
    known.extend(panels::ALL.iter().map(|panel| panel.name));
    known.extend(failures::ALL);
    for name in &names {
        ensure!(
            known.contains(&name.as_str()),
            "no recording {name}; there are {known:?}"
        );
    }
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
    if is_wanted(PUSH) && !tables {
        let runtime = Runtime::new()?;
        for (name, way) in push::ALL {
            keep(name, &runtime.block_on(push::record(way))?)?;
        }
    }
    let suite = Suite::new();
    for kind in Kind::ALL {
        let is_chosen = engine.is_empty() || engine.iter().any(|it| it == kind.key());
        if tables || !is_chosen {
            continue;
        }
        for panel in panels::ALL.iter().filter(|panel| is_wanted(panel.name)) {
            keep(&panel.recording(kind), &panel.record(&suite, kind)?)?;
        }
        for name in failures::ALL.into_iter().filter(|name| is_wanted(name)) {
            keep(
                &failures::recording(name, kind),
                &failures::record(name, &suite, kind)?,
            )?;
        }
    }
    if is_wanted(PUSH) {
        std::fs::write(folder().join(format!("{PUSH}.md")), table::push()?)?;
    }
    for name in failures::ALL.into_iter().filter(|name| is_wanted(name)) {
        let table = match name {
            failures::FOREIGN_ORIGIN => table::foreign_origin()?,
            _ => table::half_open()?,
        };
        std::fs::write(folder().join(format!("{name}.md")), table)?;
    }
    for panel in panels::ALL.iter().filter(|panel| is_wanted(panel.name)) {
        let table = table::panel(panel)?;
        std::fs::write(folder().join(format!("{}.md", panel.name)), table)?;
    }
    Ok(())
}
