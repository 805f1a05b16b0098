//! Every task of this repository under one command: `cargo xtask --help`.
//!
//! `.ci/run` installs what the tasks need and calls them here, so that each is defined once.

mod check;
mod kept;
mod steps;
mod test;
mod wasm;
mod worker;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use steps::{Step, Steps};

/// Checks, tests and builds what is in this repository
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check all but the tests: format, lints, spelling, types, documentation, licences
    Check,
    /// Run the tests as the automatic checks do; with arguments, `cargo test` with these
    Test {
        /// Arguments of `cargo test`, such as `-p sse`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the static site in `book/`, and check its links
    Book,
    /// Compile the servers of the panels for a service worker, into `target/worker`
    Worker,
    /// Compile the formulas of the calculator for a browser, and keep them
    Formulas,
    /// Compile what marks the answers to questions for a browser, and keep it
    Marker,
    /// Write anew what the book shows of `curl` and `nghttp`
    Captures,
    /// Draw the diagrams of the book anew
    Diagrams,
    /// Draw the charts and write the figures of the book anew, from what the lab has measured
    // `--help` is that of the program.
    #[command(disable_help_flag = true)]
    Figures {
        /// Arguments of the program, such as `--from target/lab/TIME`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Try anew what service workers do in each browser, and keep it for the table of the book
    Engines,
    /// Record anew what the pages replay of real connections
    // `--help` is that of the program.
    #[command(disable_help_flag = true)]
    Record {
        /// Arguments of the program: names of recordings, and `--engine`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Take anew the pictures of the README, of the card and of the icon
    Screenshots,
    /// Test a server, or serve for a client, by the conformance suite
    // `--help` is the suite's, too.
    #[command(disable_help_flag = true)]
    Conformance {
        /// Arguments of the suite; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Cli { task } = Cli::parse();
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let mut steps = Steps::new()?;
    match task {
        Task::Check => check::check(&mut steps),
        Task::Test { arguments } => test::test(&mut steps, &arguments),
        Task::Book => check::book(&mut steps),
        Task::Worker => worker::build(&mut steps),
        Task::Formulas => kept::FORMULAS.build(&mut steps),
        Task::Marker => kept::MARKER.build(&mut steps),
        Task::Captures => steps.run("captures", Step::cargo(&["run", "--package", "captures"])),
        Task::Diagrams => {
            let drawings = diagrams::Drawings::of(&steps.root)?;
            let (changed, all) = (drawings.keep()?, drawings.iter().count());
            println!("{all} diagrams, {changed} files changed");
            Ok(())
        }
        Task::Figures { arguments } => {
            let program = Step::cargo(&["run", "--quiet", "--package", "figures", "--"]);
            steps.run("figures", program.arguments(arguments))
        }
        Task::Engines => {
            let habits = ["test", "--package", "browser", "--test", "browser_habits"];
            // Also how long a worker lives, which the tests leave out.
            let workers = Step::cargo(&habits).arguments(["--", "--include-ignored", "worker_"]);
            steps.run("engines", workers.variable("UPDATE_GOLDEN", Some("1")))
        }
        Task::Record { arguments } => {
            let program = Step::cargo(&["run", "--quiet", "--package", "recordings", "--"]);
            steps.run("record", program.arguments(arguments))
        }
        Task::Screenshots => {
            let pictures = ["run", "--package", "browser", "--bin", "screenshots"];
            steps.run("screenshots", Step::cargo(&pictures))
        }
        Task::Conformance { arguments } => {
            let suite = Step::cargo(&["run", "--quiet", "--package", "conformance", "--"]);
            steps.run("conformance", suite.arguments(arguments))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::collections::BTreeSet;

    #[test]
    fn flags_after_the_task_are_those_of_what_it_runs() {
        Cli::command().debug_assert();
        let parsed = Cli::try_parse_from(["xtask", "test", "-p", "sse", "--", "--nocapture"]);
        let Ok(Cli {
            task: Task::Test { arguments },
        }) = parsed
        else {
            panic!("{parsed:?}");
        };
        assert_eq!(arguments, ["-p", "sse", "--", "--nocapture"]);
        let parsed = Cli::try_parse_from(["xtask", "conformance", "--help"]);
        assert!(
            matches!(&parsed, Ok(Cli { task: Task::Conformance { arguments } }) if arguments == &["--help"]),
            "{parsed:?}"
        );
    }

    #[test]
    fn what_is_written_about_the_tasks_names_each_and_no_other() {
        let root = Steps::new().unwrap().root.clone();
        let texts = ["README.md", "CONTRIBUTING.md", ".ci/run"]
            .map(|name| std::fs::read_to_string(root.join(name)).unwrap());
        let named: BTreeSet<_> = texts
            .iter()
            .flat_map(|text| text.split("cargo xtask ").skip(1))
            .map(|rest| {
                rest.split(|next: char| !next.is_alphabetic())
                    .next()
                    .unwrap_or_default()
            })
            // `cargo xtask --help`
            .filter(|name| !name.is_empty())
            .collect();
        let command = Cli::command();
        let tasks = command.get_subcommands().map(|task| task.get_name());
        assert_eq!(named, tasks.collect());
    }
}
