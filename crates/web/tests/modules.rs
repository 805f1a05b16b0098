//! Runs the tests of the browser modules with Node: each file of the workspace's
//! packages named `*.test.js` is one test here.
//!
//! Where there is no Node they are reported as ignored; with `REQUIRE_PARTS=1` that is
//! a failure.

use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let missing = Command::new("node").arg("--version").output().err();
    let required = std::env::var_os("REQUIRE_PARTS").is_some_and(|value| value == "1");
    let trials = test_files(&root)
        .into_iter()
        .map(|file| {
            let name = file
                .strip_prefix(&root)
                .unwrap_or(&file)
                .display()
                .to_string();
            match &missing {
                Some(error) if !required => {
                    let name = format!("{name} (Node is not here: {error})");
                    Trial::test(name, || Ok(())).with_ignored_flag(true)
                }
                _ => Trial::test(name, move || run(&file)),
            }
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The test files of every package, in order.
fn test_files(root: &Path) -> Vec<PathBuf> {
    let files_in = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let packages = ["crates", "examples"].map(|folder| files_in(root.join(folder)));
    let mut tests: Vec<_> = packages
        .into_iter()
        .flatten()
        .flat_map(|folder| files_in(folder.join("tests")))
        .collect();
    tests.retain(|file| file.to_string_lossy().ends_with(".test.js"));
    tests.sort();
    tests
}

fn run(file: &Path) -> Result<(), Failed> {
    let output = Command::new("node").arg("--test").arg(file).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stdout).into_owned().into())
    }
}
