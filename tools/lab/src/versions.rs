//! What was measured: the commit, the compiler, and the crates that a figure depends on.

use crate::{programs, results::Versions};
use anyhow::Context as _;
use std::{collections::BTreeMap, fs, process::Command};

/// Of the workspace, at its commit.
pub fn versions(profile: String) -> Versions {
    let output = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command
            .args(arguments)
            .current_dir(programs::root())
            .output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_some_and(|it| !it.is_empty()) {
        "+"
    } else {
        ""
    };
    Versions {
        commit: commit.map_or_else(unknown, |commit| commit + mark),
        rustc: output("rustc", &["--version"]).unwrap_or_else(unknown),
        profile,
        crates: crates().unwrap_or_default(),
    }
}

/// Whose versions a figure depends on.
const CRATES: [&str; 7] = [
    "axum",
    "hyper",
    "hyper-util",
    "reqwest",
    "tokio",
    "tokio-tungstenite",
    "tungstenite",
];

fn crates() -> anyhow::Result<BTreeMap<String, String>> {
    let lock = fs::read_to_string(programs::root().join("Cargo.lock"))?;
    let lock: toml::Table = lock.parse()?;
    let packages = lock["package"].as_array().context("packages")?;
    let field = |package: &toml::Value, name: &str| {
        let value = package.get(name).and_then(toml::Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    Ok(packages
        .iter()
        .map(|package| (field(package, "name"), field(package, "version")))
        .filter(|(name, _)| CRATES.contains(&&**name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let crates = crates().unwrap();
        assert_eq!(crates.len(), CRATES.len(), "{crates:?}");
        assert!(crates["tokio"].starts_with("1."));
    }
}
