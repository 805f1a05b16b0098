//! Runs the tests of the browser modules with Node: each file `*.test.js` of this
//! folder is one test here.
//!
//! Where there is no Node they are reported as ignored; with `REQUIRE_PARTS=1` that is
//! a failure.

use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = Command::new("node").arg("--version").output().err();
    let required = std::env::var_os("REQUIRE_PARTS").is_some_and(|value| value == "1");
    let trials = test_files()
        .into_iter()
        .map(|file| {
            let name = file.file_name().expect("a name").display().to_string();
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

/// The test files, in order.
fn test_files() -> Vec<PathBuf> {
    let mut tests: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
        .expect("the folder of this file")
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.to_string_lossy().ends_with(".test.js"))
        .collect();
    tests.sort();
    assert!(!tests.is_empty(), "no test is found");
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
