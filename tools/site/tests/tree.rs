//! What holds for every file of the repository.

use anyhow::{ensure, Context as _};
use libtest_mimic::{Arguments, Trial};
use site::book::find_root;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use testbed::parts::{self, Missing};

fn main() -> ExitCode {
    let trials = vec![
        Trial::ignorable_test("every_clone_has_the_same_line_ends", || {
            parts::outcome(every_clone_has_the_same_line_ends())
        }),
        Trial::test("nobody_asks_a_proxy_on_the_way_to_this_machine", || {
            nobody_asks_a_proxy_on_the_way_to_this_machine()
                .map_err(|error| format!("{error:#}").into())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn root() -> anyhow::Result<PathBuf> {
    Ok(find_root(Path::new(env!("CARGO_MANIFEST_DIR")))?)
}

/// Golden files are compared byte for byte, and Git for Windows writes CR LF into a clone unless it
/// is told not to.
fn every_clone_has_the_same_line_ends() -> anyhow::Result<()> {
    let root = root()?;
    let output = Command::new("git")
        .args(["ls-files", "--eol"])
        .current_dir(&root)
        .output()
        .context("git")
        .map_err(Missing)?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Such as sources without their history.
    if !output.status.success() {
        return Err(Missing(anyhow::anyhow!("{}", said.trim())).into());
    }
    // `i/lf    w/lf    attr/text=auto eol=lf 	README.md`
    let listed = String::from_utf8(output.stdout)?;
    let mut texts = 0;
    for line in listed.lines() {
        let (told, name) = line.split_once('\t').context("no tab")?;
        if told.starts_with("i/-text") {
            ensure!(told.contains("attr/-text"), "{name} is no text: {told}");
            continue;
        }
        texts += 1;
        let index = told.split_whitespace().next().unwrap_or_default();
        ensure!(
            matches!(index, "i/lf" | "i/none") && told.contains("eol=lf"),
            "{name}: {told}"
        );
    }
    ensure!(texts > 100, "only {texts} texts");
    Ok(())
}

/// reqwest takes `http_proxy` from the environment, also for 127.0.0.1. Only the client of the
/// crate `client` heeds it, for other hosts.
fn nobody_asks_a_proxy_on_the_way_to_this_machine() -> anyhow::Result<()> {
    let root = root()?;
    let mut left: Vec<_> = ["crates", "examples", "tools"]
        .map(|name| root.join(name))
        .into();
    let mut clients = 0;
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let is_this = path.ends_with("tools/site/tests/tree.rs");
            if is_this || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let uses = text.contains("reqwest");
            // As rustfmt may break it into lines.
            let text: String = text.split_whitespace().collect();
            let name = path.display();
            ensure!(!text.contains("reqwest::get("), "{name}: reqwest::get");
            // The Rust clients of the methods take an address.
            ensure!(
                !uses || !text.contains("Client::new()"),
                "{name}: Client::new"
            );
            if !uses || path.ends_with("crates/client/src/endpoint.rs") {
                continue;
            }
            for built in text.split("Client::builder()").skip(1) {
                let chain = built.split(';').next().unwrap_or_default();
                ensure!(chain.contains(".no_proxy()"), "{name}: Client::builder");
                clients += 1;
            }
        }
    }
    ensure!(clients > 10, "only {clients} clients");
    Ok(())
}
