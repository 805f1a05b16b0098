//! The excuse of a block that is not tested as a snippet: which test covers it, and the proof that
//! there is such a test.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use regex::Regex;

static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*([a-z]+)="([^"]*)""#).expect("a valid pattern"));

/// Why a block is not tested as a snippet, and what tests its code instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// In a few words, for the next author.
    pub reason: String,
    /// A package of the workspace.
    pub target: String,
    /// The path of a test function in that package, or the name of a libtest-mimic trial. Leading
    /// modules may be left out.
    pub test: String,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; covered by {} in {}",
            self.reason, self.test, self.target
        )
    }
}

impl Coverage {
    /// Parses `reason="…" target="…" test="…"`, in any order.
    ///
    /// # Errors
    ///
    /// What is missing, empty, repeated or unknown.
    pub fn parse(text: &str) -> Result<Coverage, String> {
        let mut values: HashMap<String, String> = HashMap::new();
        let mut rest = text;
        while let Some(found) = ATTRIBUTE.captures(rest) {
            let name = found[1].to_owned();
            if !["reason", "target", "test"].contains(&name.as_str()) {
                return Err(format!("`{name}` is unknown: name reason, target and test"));
            }
            if values.insert(name, found[2].trim().to_owned()).is_some() {
                return Err(format!("`{}` twice", &found[1]));
            }
            rest = &rest[found[0].len()..];
        }
        if !rest.trim().is_empty() {
            return Err(format!("`{}` is not name=\"value\"", rest.trim()));
        }
        let mut take = |name: &str| {
            values
                .remove(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the `untested` comment names no {name}"))
        };
        Ok(Coverage {
            reason: take("reason")?,
            target: take("target")?,
            test: take("test")?,
        })
    }
}

/// The packages of the repository, read when first needed.
pub(super) struct Workspace {
    root: PathBuf,
    /// Directory of each package by name.
    packages: Option<HashMap<String, PathBuf>>,
    /// The tests of each package that was asked for.
    tests: HashMap<String, Tests>,
    inputs: BTreeSet<PathBuf>,
}

/// The package that holds the conformance suite.
const SUITE: &str = "conformance";

/// The tests of a package.
#[derive(Default)]
struct Tests {
    tests: Vec<Test>,
    /// The names that it lists as `cases![…]`: the trials of the conformance suite.
    cases: Vec<String>,
    /// Where it runs that suite, by `conformance::main(…)`.
    runs: Vec<Vec<String>>,
}

/// A test's path, outermost segment first.
struct Test {
    path: Vec<String>,
    ignored: bool,
}

impl Workspace {
    pub(super) fn new(root: &Path) -> Workspace {
        Workspace {
            root: root.to_owned(),
            packages: None,
            tests: HashMap::new(),
            inputs: BTreeSet::new(),
        }
    }

    /// What the proofs looked at.
    pub(super) fn into_inputs(self) -> BTreeSet<PathBuf> {
        self.inputs
    }

    /// Whether cargo builds this file as an example of a package.
    pub(super) fn is_example(&self, file: &Path) -> bool {
        let Some(directory) = file.parent() else {
            return false;
        };
        let discovered = directory.file_name().is_some_and(|name| name == "examples")
            && directory
                .parent()
                .is_some_and(|package| package_name(&package.join("Cargo.toml")).is_some());
        discovered
            || directory
                .parent()
                .is_some_and(|package| lists_example(package, file))
    }

    /// Proves that the package is there and has the test.
    pub(super) fn prove(&mut self, coverage: &Coverage) -> Result<(), String> {
        if self.packages.is_none() {
            let mut packages = HashMap::new();
            find_packages(&self.root, &mut packages);
            self.packages = Some(packages);
        }
        if !self.read_tests(&coverage.target) {
            return Err(format!(
                "target=\"{}\": there is no such package",
                coverage.target
            ));
        }
        let wanted: Vec<&str> = coverage.test.split("::").collect();
        let package = &self.tests[&coverage.target];
        let mut is_ignored = None;
        for test in &package.tests {
            let path: Vec<&str> = test.path.iter().map(String::as_str).collect();
            if path.ends_with(&wanted) {
                is_ignored = Some(test.ignored && is_ignored.unwrap_or(true));
            }
        }
        if !package.runs.is_empty() && is_ignored.is_none() {
            let runs = package.runs.clone();
            self.read_tests(SUITE);
            let cases = self.tests.get(SUITE).map_or(&[][..], |suite| &suite.cases);
            let is_case = runs.iter().any(|run| {
                cases.iter().any(|case| {
                    let mut path: Vec<&str> = run.iter().map(String::as_str).collect();
                    path.push(case);
                    path.ends_with(&wanted)
                })
            });
            is_ignored = is_case.then_some(false);
        }
        match is_ignored {
            None => Err(format!(
                "test=\"{}\": package {} has no such test",
                coverage.test, coverage.target
            )),
            Some(true) => Err(format!(
                "test=\"{}\": this test is itself ignored",
                coverage.test
            )),
            Some(false) => Ok(()),
        }
    }

    /// Finds the tests of a package, once. `false` if there is no such package.
    fn read_tests(&mut self, package: &str) -> bool {
        let packages = self.packages.as_ref();
        let Some(directory) = packages.and_then(|packages| packages.get(package)) else {
            return false;
        };
        if self.tests.contains_key(package) {
            return true;
        }
        self.inputs.insert(directory.join("Cargo.toml"));
        for name in ["src", "tests"] {
            let path = directory.join(name);
            if path.exists() {
                self.inputs.insert(path);
            }
        }
        self.tests.insert(package.to_owned(), tests_of(directory));
        true
    }
}

fn package_name(manifest: &Path) -> Option<String> {
    let manifest: toml::Table = fs::read_to_string(manifest).ok()?.parse().ok()?;
    let name = manifest.get("package")?.get("name")?.as_str()?;
    Some(name.to_owned())
}

/// Whether the package in this directory names the file among its examples.
fn lists_example(package: &Path, file: &Path) -> bool {
    let Ok(text) = fs::read_to_string(package.join("Cargo.toml")) else {
        return false;
    };
    let manifest: toml::Table = text.parse().unwrap_or_default();
    let examples = manifest.get("example").and_then(|value| value.as_array());
    examples.into_iter().flatten().any(|example| {
        let path = example.get("path").and_then(|path| path.as_str());
        path.is_some_and(|path| package.join(path) == file)
    })
}

/// Every package below a directory, without what cargo, git and mdBook put there.
fn find_packages(directory: &Path, packages: &mut HashMap<String, PathBuf>) {
    if let Some(name) = package_name(&directory.join("Cargo.toml")) {
        packages.insert(name, directory.to_owned());
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory
            && !name.starts_with('.')
            && !["target", "book", "node_modules"].contains(&&*name)
        {
            find_packages(&entry.path(), packages);
        }
    }
}

/// Every test of a package, in `src/` and `tests/`.
fn tests_of(package: &Path) -> Tests {
    let mut tests = Tests::default();
    for name in ["src", "tests"] {
        tests_below(&package.join(name), &mut Vec::new(), &mut tests);
    }
    tests
}

fn tests_below(directory: &Path, modules: &mut Vec<String>, tests: &mut Tests) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy()) else {
            continue;
        };
        let is_root = ["lib", "main", "mod"].contains(&&*stem);
        if path.is_dir() {
            modules.push(stem.into_owned());
            tests_below(&path, modules, tests);
            modules.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let Some(tokens) = fs::read_to_string(&path)
                .ok()
                .and_then(|text| TokenStream::from_str(&text).ok())
            else {
                continue;
            };
            if !is_root {
                modules.push(stem.into_owned());
            }
            tests_in(tokens, modules, tests);
            if !is_root {
                modules.pop();
            }
        }
    }
}

/// Test functions (`#[test]`, `#[tokio::test(…)]`, also inside a macro's braces), trials
/// (`Trial::test("name", …)`, or `tests! { name }` for trials of several kinds), and the
/// conformance suite's cases and runs.
fn tests_in(tokens: TokenStream, modules: &mut Vec<String>, tests: &mut Tests) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let ident = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let mut is_test = false;
    let mut ignored = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                (is_test, ignored) = (false, false)
            }
            TokenTree::Ident(name) if name == "fn" => {
                if let Some(name) = ident(at + 1).filter(|_| is_test) {
                    let mut path = modules.clone();
                    path.push(name);
                    tests.tests.push(Test { path, ignored });
                }
                (is_test, ignored) = (false, false);
            }
            TokenTree::Group(group) => {
                let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                let is_attribute = group.delimiter() == Delimiter::Bracket
                    && matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
                if is_attribute {
                    match attribute(group.stream()).as_deref() {
                        Some("test") => is_test = true,
                        Some("ignore") => ignored = true,
                        _ => {}
                    }
                    continue;
                }
                if group.delimiter() == Delimiter::Brace {
                    (is_test, ignored) = (false, false);
                }
                if group.delimiter() == Delimiter::Parenthesis
                    && ends_with(&tokens[..at], &["Trial", ":", ":", "test"])
                {
                    if let Some(name) = first_string(group.stream()) {
                        let mut path = modules.clone();
                        path.extend(name.split("::").map(str::to_owned));
                        tests.tests.push(Test {
                            path,
                            ignored: false,
                        });
                    }
                }
                if group.delimiter() == Delimiter::Parenthesis
                    && ends_with(&tokens[..at], &["conformance", ":", ":", "main"])
                {
                    tests.runs.push(modules.clone());
                }
                if group.delimiter() == Delimiter::Bracket
                    && ends_with(&tokens[..at], &["cases", "!"])
                {
                    let names = group.stream().into_iter().filter_map(|token| match token {
                        TokenTree::Ident(name) => Some(name.to_string()),
                        _ => None,
                    });
                    tests.cases.extend(names);
                }
                if group.delimiter() == Delimiter::Brace
                    && ends_with(&tokens[..at], &["tests", "!"])
                {
                    tests.tests.extend(group.stream().into_iter().filter_map(
                        |token| match token {
                            TokenTree::Ident(name) => Some(Test {
                                path: vec![name.to_string()],
                                ignored: false,
                            }),
                            _ => None,
                        },
                    ));
                }
                let module = at
                    .checked_sub(2)
                    .and_then(ident)
                    .filter(|word| word == "mod")
                    .and_then(|_| ident(at - 1));
                let is_module = module.is_some();
                modules.extend(module);
                tests_in(group.stream(), modules, tests);
                if is_module {
                    modules.pop();
                }
            }
            _ => {}
        }
    }
}

/// The last word of an attribute's path: `test` for `tokio::test(start_paused = true)`.
fn attribute(tokens: TokenStream) -> Option<String> {
    tokens
        .into_iter()
        .take_while(|token| match token {
            TokenTree::Ident(_) => true,
            TokenTree::Punct(punct) => punct.as_char() == ':',
            _ => false,
        })
        .filter_map(|token| match token {
            TokenTree::Ident(ident) => Some(ident.to_string()),
            _ => None,
        })
        .last()
}

/// Whether the last tokens are these.
fn ends_with(tokens: &[TokenTree], words: &[&str]) -> bool {
    tokens.len() >= words.len()
        && tokens[tokens.len() - words.len()..]
            .iter()
            .zip(words)
            .all(|(token, word)| token.to_string() == *word)
}

/// The string literal that these tokens begin with.
fn first_string(tokens: TokenStream) -> Option<String> {
    let first = tokens.into_iter().next()?.to_string();
    let name = first.strip_prefix('"')?.strip_suffix('"')?;
    Some(name.to_owned())
}
