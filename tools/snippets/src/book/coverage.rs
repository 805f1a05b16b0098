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
    /// Paths of the tests of each package that was asked for.
    tests: HashMap<String, Vec<Test>>,
    inputs: BTreeSet<PathBuf>,
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
        directory.file_name().is_some_and(|name| name == "examples")
            && directory
                .parent()
                .is_some_and(|package| package_name(&package.join("Cargo.toml")).is_some())
    }

    /// Proves that the package is there and has the test.
    pub(super) fn prove(&mut self, coverage: &Coverage) -> Result<(), String> {
        let root = &self.root;
        let packages = self.packages.get_or_insert_with(|| {
            let mut packages = HashMap::new();
            find_packages(root, &mut packages);
            packages
        });
        let Some(directory) = packages.get(&coverage.target) else {
            return Err(format!(
                "target=\"{}\": there is no such package",
                coverage.target
            ));
        };
        self.inputs.insert(directory.join("Cargo.toml"));
        for name in ["src", "tests"] {
            let path = directory.join(name);
            if path.exists() {
                self.inputs.insert(path);
            }
        }
        let tests = self
            .tests
            .entry(coverage.target.clone())
            .or_insert_with(|| tests_of(directory));
        let wanted: Vec<&str> = coverage.test.split("::").collect();
        let mut found = tests.iter().filter(|test| {
            let path: Vec<&str> = test.path.iter().map(String::as_str).collect();
            path.ends_with(&wanted)
        });
        match found.next() {
            None => Err(format!(
                "test=\"{}\": package {} has no such test",
                coverage.test, coverage.target
            )),
            Some(test) if test.ignored && found.all(|test| test.ignored) => Err(format!(
                "test=\"{}\": this test is itself ignored",
                coverage.test
            )),
            Some(_) => Ok(()),
        }
    }
}

fn package_name(manifest: &Path) -> Option<String> {
    let manifest: toml::Table = fs::read_to_string(manifest).ok()?.parse().ok()?;
    let name = manifest.get("package")?.get("name")?.as_str()?;
    Some(name.to_owned())
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
fn tests_of(package: &Path) -> Vec<Test> {
    let mut tests = Vec::new();
    for name in ["src", "tests"] {
        tests_below(&package.join(name), &mut Vec::new(), &mut tests);
    }
    tests
}

fn tests_below(directory: &Path, modules: &mut Vec<String>, tests: &mut Vec<Test>) {
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

/// Test functions (`#[test]`, `#[tokio::test(…)]`, also inside a macro's braces) and trials
/// (`Trial::test("name", …)`).
fn tests_in(tokens: TokenStream, modules: &mut Vec<String>, tests: &mut Vec<Test>) {
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
                    tests.push(Test { path, ignored });
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
                if group.delimiter() == Delimiter::Parenthesis && is_trial(&tokens[..at]) {
                    let first = group
                        .stream()
                        .into_iter()
                        .next()
                        .map(|token| token.to_string());
                    let name = first.as_deref().and_then(|first| {
                        first
                            .strip_prefix('"')
                            .and_then(|first| first.strip_suffix('"'))
                    });
                    if let Some(name) = name {
                        let mut path = modules.clone();
                        path.extend(name.split("::").map(str::to_owned));
                        tests.push(Test {
                            path,
                            ignored: false,
                        });
                    }
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

/// Whether these tokens end in `Trial::test`.
fn is_trial(tokens: &[TokenTree]) -> bool {
    let end: Vec<String> = tokens
        .iter()
        .rev()
        .take(4)
        .map(ToString::to_string)
        .collect();
    end == ["test", ":", ":", "Trial"]
}
