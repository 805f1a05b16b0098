//! What holds for every file of the repository, and for what its crates depend on.

use anyhow::{ensure, Context as _};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use site::book::find_root;
use std::{
    collections::{BTreeMap, BTreeSet},
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
        Trial::test("each_method_of_the_list_has_all_its_places", || {
            each_method_of_the_list_has_all_its_places()
                .map_err(|error| format!("{error:#}").into())
        }),
        Trial::test("each_crate_depends_on_what_it_may", || {
            each_crate_depends_on_what_it_may().map_err(|error| format!("{error:#}").into())
        }),
        Trial::test("what_a_reader_builds_first_is_the_site_alone", || {
            what_a_reader_builds_first_is_the_site_alone()
                .map_err(|error| format!("{error:#}").into())
        }),
        Trial::test("a_test_of_the_edge_builds_no_http_client", || {
            a_test_of_the_edge_builds_no_http_client().map_err(|error| format!("{error:#}").into())
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

/// What bears a method's name has that of the list: crate, page with its panel, chapter, README.
fn each_method_of_the_list_has_all_its_places() -> anyhow::Result<()> {
    let root = root()?;
    let methods = site::methods();
    let ports: BTreeSet<_> = methods.iter().map(|method| method.port).collect();
    ensure!(ports.len() == methods.len(), "two methods have one port");
    let readme = fs::read_to_string(root.join("README.md"))?;
    for method in &methods {
        let name = method.name;
        for folder in [format!("examples/{name}"), format!("crates/web/{name}")] {
            ensure!(root.join(&folder).is_dir(), "no {folder}");
        }
        let chapter = format!("src/{name}/index.md");
        let text = fs::read_to_string(root.join(&chapter)).context(chapter.clone())?;
        let panel = format!("data-method=\"{name}\"");
        ensure!(text.contains(&panel), "{chapter} has no panel with {panel}");
        for link in [format!("]({chapter})"), format!("](examples/{name})")] {
            ensure!(readme.contains(&link), "README.md has no link {link}");
        }
    }
    // And the other way: whatever is there is in the list, but for what is no method.
    for entry in fs::read_dir(root.join("examples"))? {
        let name = entry?.file_name();
        let known = [
            "access",
            "http2-push",
            "programs",
            "proxies",
            "rustfmt.toml",
            "servers",
        ];
        let listed = methods.iter().any(|method| name == method.name);
        ensure!(
            listed || known.iter().any(|known| name == *known),
            "examples/{} is not in site::methods()",
            name.display()
        );
    }
    Ok(())
}

/// For each crate, which others of the repository it may depend on, and which its tests may beside
/// these.
///
/// They go one way: the log stands on the contract, the wait on the log, the edge on the contract
/// and on TLS; a method on the wait and the edge; a client on the contract, the suite on the
/// client.
const MAY_DEPEND: &[(&str, &str, &str)] = &[
    ("contract", "", ""),
    ("web", "", ""),
    ("diagrams", "", ""),
    ("tls", "", ""),
    ("signal", "", ""),
    // What marks an answer in bytes: the code that reads such bytes.
    ("marker", "contract event-stream", ""),
    // Formulas alone: the page that calculates with them has nothing else of the repository's.
    ("capacity", "", ""),
    // tokio, where there is none: whatever waits has it in a browser.
    ("tokio-browser", "", ""),
    // hyper, of which a browser needs what an upgrade makes.
    ("hyper-browser", "", ""),
    ("feed", "contract tokio-browser", ""),
    // Logs that lie elsewhere, for whoever opens one.
    ("engines", "contract feed", "testbed"),
    (
        "waiting",
        "contract engines feed shares signal tokio-browser",
        "harness serving testbed",
    ),
    ("shares", "contract", ""),
    (
        "serving",
        "contract shares signal tls tokio-browser",
        "testbed",
    ),
    ("method", "feed serving waiting", ""),
    ("event-stream", "", ""),
    ("client", "contract event-stream", "serving testbed"),
    (
        "conformance",
        "client contract",
        "feed harness long-polling polling serving sse testbed tls websocket",
    ),
    ("polling", METHOD, METHOD_TESTS),
    ("long-polling", METHOD, METHOD_TESTS),
    (
        "sse",
        "contract feed method serving signal tokio-browser waiting web",
        METHOD_TESTS,
    ),
    (
        "websocket",
        "contract feed hyper-browser method serving tokio-browser waiting web",
        METHOD_TESTS,
    ),
    ("json-lines", METHOD, METHOD_TESTS),
    // A login before the methods.
    (
        "access",
        "contract feed long-polling polling serving sse waiting web websocket",
        METHOD_TESTS,
    ),
    // The servers of the methods, and plainer ones.
    (
        "twin",
        "contract feed hyper-browser long-polling method polling serving sse tokio-browser waiting \
         web websocket",
        "client",
    ),
    ("tabs", "method serving sse web", "feed"),
    // Another client of the push server.
    ("recordings", "http2-push serving tls", ""),
    // No method: it has neither log nor wait, and takes a body as they do.
    ("http2-push", "contract serving tls waiting web", "testbed"),
    ("programs", "", READER),
    // No method: what stands in front of all of them.
    (
        "proxies",
        "testbed tls",
        "client conformance contract feed harness long-polling polling serving sse websocket",
    ),
    // No method: several servers over one log.
    (
        "servers",
        "contract",
        "client conformance engines feed harness long-polling method polling serving site sse testbed waiting websocket",
    ),
    ("testbed", "serving", ""),
    ("harness", "client conformance contract feed serving waiting", ""),
    ("site", SITE, "harness json-lines testbed"),
    // Whatever drives the site from outside.
    (
        "browser",
        "feed http2-push method serving site testbed waiting",
        BROWSER_TESTS,
    ),
    // Servers in a process of their own, and what clients do to them.
    ("faults", FAULTS, "client conformance harness"),
    ("captures", "harness polling serving sse testbed", ""),
    ("snippets", "", READER),
    // It measures programs, and links none of them.
    ("lab", "capacity client contract engines feed testbed tls", ""),
    ("figures", "capacity", ""),
    (
        "recordings",
        "browser http2-push serving site tls waiting",
        "",
    ),
    // The servers of the site, and the log under them.
    ("formulas", "capacity", ""),
    (
        "worker",
        "feed hyper-browser long-polling method polling serving signal sse tabs tokio-browser twin \
         waiting websocket",
        "",
    ),
    ("xtask", "diagrams", ""),
];
const METHOD: &str = "contract feed method serving tokio-browser waiting web";
const METHOD_TESTS: &str = "client conformance harness testbed";
/// What the site is made of.
const SITE: &str =
    "contract diagrams engines feed http2-push long-polling method polling serving shares signal sse \
                    tabs tls twin waiting web websocket";
const FAULTS: &str =
    "contract feed long-polling method polling serving sse testbed waiting websocket";
const BROWSER_TESTS: &str = "contract harness long-polling polling sse web websocket";
/// What a program of a reader's may use.
const READER: &str = "client contract feed http2-push long-polling polling serving signal sse \
                      waiting websocket";

/// What a command of cargo prints.
fn cargo(arguments: &[&str]) -> anyhow::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let output = command.args(arguments).current_dir(root()?).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

fn each_crate_depends_on_what_it_may() -> anyhow::Result<()> {
    let metadata = cargo(&["metadata", "--no-deps", "--locked", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let name = |package: &Value| package["name"].as_str().map(str::to_owned);
    let ours: BTreeSet<_> = packages.iter().filter_map(name).collect();
    let rules: BTreeMap<_, _> = MAY_DEPEND
        .iter()
        .map(|(name, may, tests)| (*name, (words(may), words(tests))))
        .collect();
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a name")?;
        let (may, tests) = rules.get(name).cloned().unwrap_or_default();
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let other = dependency["name"].as_str().context("a name")?;
            let allowed =
                may.contains(other) || dependency["kind"] == "dev" && tests.contains(other);
            if ours.contains(other) && !allowed {
                faults.push(format!("{name} -> {other} ({})", dependency["kind"]));
            }
        }
    }
    ensure!(
        faults.is_empty(),
        "not in the table MAY_DEPEND: {faults:#?}"
    );
    let unknown: Vec<_> = rules.keys().filter(|name| !ours.contains(**name)).collect();
    ensure!(
        unknown.is_empty(),
        "in the table and nowhere else: {unknown:?}"
    );
    Ok(())
}

/// The crates that are built for this one: with `normal,build` to run it, with `dev` too to test
/// it.
fn built_for(package: &str, edges: &str) -> anyhow::Result<BTreeSet<String>> {
    let tree = ["tree", "--locked", "--package", package, "--edges", edges];
    let lines = cargo(&[&tree[..], &["--prefix", "none", "--format", "{p}"]].concat())?;
    let names = lines
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// The first `cargo run` is what a reader waits for.
fn what_a_reader_builds_first_is_the_site_alone() -> anyhow::Result<()> {
    let built = built_for("site", "normal,build")?;
    let mut ours = words(SITE);
    ours.insert("site");
    let others: Vec<_> = MAY_DEPEND
        .iter()
        .map(|(name, _, _)| *name)
        .chain([
            "xtask",
            "reqwest",
            "fantoccini",
            "skeptic",
            "libtest-mimic",
            "proptest",
            // Who keeps the log in memory builds no client of an engine.
            "async-nats",
            "rusqlite",
            "tokio-postgres",
        ])
        .filter(|name| built.contains(*name) && !ours.contains(name))
        .collect();
    ensure!(others.is_empty(), "`cargo run` builds {others:?}");
    let missing: Vec<_> = ours.iter().filter(|name| !built.contains(**name)).collect();
    ensure!(missing.is_empty(), "`cargo run` builds no {missing:?}");
    Ok(())
}

fn a_test_of_the_edge_builds_no_http_client() -> anyhow::Result<()> {
    let built = built_for("serving", "normal,build,dev")?;
    for other in ["reqwest", "client", "conformance", "feed", "waiting"] {
        ensure!(!built.contains(other), "the tests of serving build {other}");
    }
    ensure!(built.contains("testbed"), "{built:?}");
    Ok(())
}
