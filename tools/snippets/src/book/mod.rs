//! The book, expanded and checked, and the tests that skeptic writes from it.

mod blocks;
mod coverage;
mod facts;
mod includes;
mod listings;
mod methods;

use std::collections::{BTreeSet, HashSet};
use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{ensure, Context, Result};
use mdbook_driver::book::BookItem;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::builtin_renderers::MarkdownRenderer;
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;

pub use coverage::Coverage;

/// Something in the book that breaks one of the rules, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the book's root, and a line of it counted from 1.
    pub place: String,
    /// The rule, and how to keep it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// How a Rust block is kept true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// (a) A whole program of a package's `examples/`.
    Program,
    /// (b) A fragment of a package's source, made to compile.
    Fragment {
        /// It is a part of a program of `examples/`, and the whole of that program is run.
        of_program: bool,
    },
    /// (c) Not compiled here: a named test covers it.
    Covered(Coverage),
    /// Typed into README.md, where nothing can be included.
    Typed,
}

/// One Rust block.
#[derive(Clone, Debug)]
pub struct Snippet {
    /// Where its fence opens, as in [`Problem::place`].
    pub place: String,
    /// How it is kept true.
    pub kind: Kind,
    /// What runs it instead, if it is compiled only (`no_run`).
    pub not_run: Option<Coverage>,
}

/// One chapter, or README.md, as skeptic gets it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The file, relative to the book's root.
    pub source: PathBuf,
    /// What skeptic names its tests after: unique among the pages, a Rust identifier.
    pub stem: String,
    /// The text after all includes, with the `fn main` that mdBook adds where there is none.
    pub text: String,
    /// The templates its blocks may name with `skt-`, as Markdown.
    pub templates: String,
    /// Its Rust blocks, in order.
    pub snippets: Vec<Snippet>,
}

/// The whole book, expanded and checked.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Every chapter in the order of SUMMARY.md, then README.md.
    pub pages: Vec<Page>,
    /// Every existing file and directory that this result depends on.
    pub inputs: BTreeSet<PathBuf>,
    /// Every rule that is broken. Empty for a sound book.
    pub problems: Vec<Problem>,
}

/// Templates that every chapter may use, relative to the book's root. A chapter's own lie beside
/// it, in `<chapter>.md.skt.md`.
const SHARED_TEMPLATES: &str = "tools/snippets/templates.md";

/// Reads, expands and checks the book at `root`: every chapter of its SUMMARY.md, and README.md.
///
/// # Errors
///
/// A book that cannot be loaded at all: no SUMMARY.md, a chapter that is not there, a broken
/// `book.toml`. Whatever else is wrong is in [`Book::problems`].
pub fn expand(root: &Path) -> Result<Book> {
    let root = fs::canonicalize(root).with_context(|| format!("no book at {}", root.display()))?;
    let mut book = Book::default();

    let manifest = root.join("book.toml");
    // Only `src` matters here. The preprocessors of book.toml stay out: they are commands, and draw
    // pictures; the includes are what makes the code.
    let mut config = Config::default();
    if manifest.exists() {
        let from_disk = Config::from_disk(&manifest).context("book.toml")?;
        config.book.src = from_disk.book.src;
        book.inputs.insert(manifest);
    }
    config.build.use_default_preprocessors = false;
    // By default mdBook writes a chapter that SUMMARY.md lists and that is not there.
    config.build.create_missing = false;
    let src = config.book.src.clone();
    book.inputs.insert(root.join(&src));

    let mut driver = MDBook::load_with_config(&root, config)
        .with_context(|| format!("the book in {}", src.display()))?;
    driver.with_preprocessor(LinkPreprocessor::new());
    let (expanded, _) = driver.preprocess_book(&MarkdownRenderer::new())?;

    let mut workspace = coverage::Workspace::new(&root);
    let shared = read_templates(&root.join(SHARED_TEMPLATES), &mut book.inputs)?;
    let mut stems = HashSet::new();

    for (raw, expanded) in chapters(driver.iter()).zip(chapters(expanded.iter())) {
        let source = src.join(&raw.0);
        let own = root.join(&src).join(format!("{}.skt.md", raw.0.display()));
        let templates = format!("{shared}\n{}", read_templates(&own, &mut book.inputs)?);
        let before = book.problems.len();
        let links = includes::check(&root, &source, raw.1, &mut book.problems);
        // What follows from a broken include would only hide it.
        let sound = book.problems.len() == before;
        if sound {
            includes::check_expanded(&source, raw.1, expanded.1, &mut book.problems);
            listings::check(
                &root,
                &source,
                raw.1,
                expanded.1,
                &links,
                &mut book.problems,
            );
        }
        book.inputs
            .extend(links.iter().map(|link| link.file.clone()));
        let checked = blocks::Checker {
            source: &source,
            templates: blocks::template_names(&templates),
            workspace: &mut workspace,
            problems: &mut book.problems,
        }
        .chapter(raw.1, expanded.1, sound, &links);
        book.pages.push(Page {
            stem: unique_stem("book", &raw.0, &mut stems),
            source,
            text: checked.text,
            templates,
            snippets: checked.snippets,
        });
    }

    facts::check(&src, chapters(driver.iter()), &mut book.problems);
    methods::check(&src, chapters(driver.iter()), &mut book.problems);

    let readme = root.join("README.md");
    if readme.exists() {
        let text = fs::read_to_string(&readme).context("README.md")?;
        let source = PathBuf::from("README.md");
        let checked = blocks::Checker {
            source: &source,
            templates: blocks::template_names(&shared),
            workspace: &mut workspace,
            problems: &mut book.problems,
        }
        .readme(&text);
        book.pages.push(Page {
            stem: unique_stem("", &source, &mut stems),
            source,
            text: checked.text,
            templates: shared,
            snippets: checked.snippets,
        });
        book.inputs.insert(readme);
    }

    book.inputs.extend(workspace.into_inputs());
    Ok(book)
}

/// Path below `src` and text of each chapter that is written; draft chapters have no path.
fn chapters<'a>(
    items: impl Iterator<Item = &'a BookItem>,
) -> impl Iterator<Item = (PathBuf, &'a str)> {
    items.filter_map(|item| match item {
        BookItem::Chapter(chapter) => Some((chapter.path.clone()?, chapter.content.as_str())),
        _ => None,
    })
}

fn read_templates(path: &Path, inputs: &mut BTreeSet<PathBuf>) -> Result<String> {
    if !path.exists() {
        return Ok(String::new());
    }
    inputs.insert(path.to_owned());
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Flattens a path to what skeptic will make of a file's stem, so that it changes nothing: it keeps
/// lower-case letters, digits and single underscores, and names a test after the stem alone, not
/// the directory. `sse/index.md` and `sse-index.md` would both be `sse_index`; the second gets a
/// number.
fn unique_stem(prefix: &str, path: &Path, taken: &mut HashSet<String>) -> String {
    let path = path.with_extension("");
    let words: Vec<String> = path
        .to_string_lossy()
        .to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let mut stem = words.join("_");
    if !prefix.is_empty() {
        stem = format!("{prefix}_{stem}");
    }
    let first = stem.clone();
    let mut number = 2;
    while !taken.insert(stem.clone()) {
        stem = format!("{first}_{number}");
        number += 1;
    }
    stem
}

impl Book {
    /// How many blocks there are of each kind, and what covers those that are not compiled or run.
    pub fn report(&self) -> String {
        let all = || self.pages.iter().flat_map(|page| &page.snippets);
        let count = |kind: fn(&Kind) -> bool| all().filter(|snippet| kind(&snippet.kind)).count();
        let mut out = String::new();
        let rows = [
            (
                "(a) whole programs of examples/",
                count(|kind| matches!(kind, Kind::Program)),
            ),
            (
                "(b) fragments made to compile",
                count(|kind| matches!(kind, Kind::Fragment { .. })),
            ),
            (
                "    of these, part of a whole program",
                count(|kind| matches!(kind, Kind::Fragment { of_program: true })),
            ),
            (
                "(c) covered by a named test",
                count(|kind| matches!(kind, Kind::Covered(_))),
            ),
            (
                "    typed into README.md",
                count(|kind| matches!(kind, Kind::Typed)),
            ),
            (
                "    of all these, compiled and not run",
                all().filter(|snippet| snippet.not_run.is_some()).count(),
            ),
        ];
        for (name, blocks) in rows {
            let _ = writeln!(out, "{name:<40}{blocks:>4}");
        }
        for snippet in all() {
            let coverage = match (&snippet.kind, &snippet.not_run) {
                (Kind::Covered(coverage), _) | (_, Some(coverage)) => coverage,
                _ => continue,
            };
            let _ = writeln!(out, "{}: {coverage}", snippet.place);
        }
        out
    }
}

/// All that a build script has to do for the book at `root`. Reads the variables that cargo sets
/// for build scripts; prints cargo's instructions. Leaves `book-tests.rs` in `OUT_DIR`: one test
/// for each Rust block, which calls `skeptic::rt::run_test` or `compile_test`, and `PLACES`, where
/// each block is.
pub fn build(root: &Path) -> ExitCode {
    let problems = match write_tests(root) {
        Ok(problems) => problems,
        Err(error) => vec![format!("{error:#}").replace('\n', " ")],
    };
    for problem in &problems {
        println!("cargo::error={problem}");
    }
    if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn write_tests(root: &Path) -> Result<Vec<String>> {
    let book = expand(root)?;
    for input in &book.inputs {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    if !book.problems.is_empty() {
        return Ok(book.problems.iter().map(ToString::to_string).collect());
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let pages = out.join("book");
    fs::create_dir_all(&pages)?;
    let mut files = Vec::new();
    let mut keep = HashSet::new();
    for page in &book.pages {
        let file = pages.join(format!("{}.md", page.stem));
        let templates = pages.join(format!("{}.md.skt.md", page.stem));
        write_if_changed(&file, &page.text)?;
        write_if_changed(&templates, &page.templates)?;
        keep.extend([file.clone(), templates]);
        files.push(file);
    }
    for entry in fs::read_dir(&pages)? {
        let path = entry?.path();
        if !keep.contains(&path) {
            fs::remove_file(path)?;
        }
    }

    let mut tests = String::new();
    if !files.is_empty() {
        skeptic::generate_doc_tests(&files);
        tests = fs::read_to_string(out.join("skeptic-tests.rs"))?;
    }
    write_if_changed(&out.join("book-tests.rs"), &adapt_tests(&book, &tests)?)?;
    Ok(Vec::new())
}

/// Writes `text` unless it is there already, dated long ago. skeptic tells cargo to look at the
/// expanded pages: with the time of this very run they would be newer than the run, and cargo would
/// run the build script once more for nothing. cargo looks at the sources anyway.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text)?;
    if path.extension().is_some_and(|extension| extension == "md") {
        // A day after the epoch: zero and below are no time at all on some file systems.
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(24 * 60 * 60);
        fs::File::options()
            .write(true)
            .open(path)?
            .set_modified(long_ago)?;
    }
    Ok(())
}

/// Lets `skeptic` mean what the including test says it means, tells why a test is ignored, and says
/// where each block is. Also proves that skeptic saw exactly the blocks that were checked here.
fn adapt_tests(book: &Book, generated: &str) -> Result<String> {
    let generated = generated
        .strip_prefix("extern crate skeptic;\n")
        .unwrap_or(generated);
    let mut expected = book
        .pages
        .iter()
        .flat_map(|page| page.snippets.iter().map(move |snippet| (page, snippet)));
    let mut out = String::new();
    let mut places = String::new();
    let mut ignored = false;
    for line in generated.lines() {
        if line == "#[ignore]" {
            // Written below, with the reason.
            ignored = true;
            continue;
        }
        let name = line
            .strip_prefix("#[test] fn ")
            .and_then(|rest| rest.strip_suffix("() {"));
        if let Some(name) = name {
            let (page, snippet) = expected
                .next()
                .with_context(|| format!("skeptic made a test of an unknown block: {name}"))?;
            ensure!(
                name.starts_with(&page.stem),
                "{}: skeptic did not see this block",
                snippet.place
            );
            if let Kind::Covered(coverage) = &snippet.kind {
                ensure!(ignored, "{}: skeptic does not ignore it", snippet.place);
                let _ = writeln!(out, "#[ignore = {:?}]", coverage.to_string());
            }
            ignored = false;
            let _ = writeln!(places, "    ({name:?}, {:?}),", snippet.place);
        }
        out.push_str(line);
        out.push('\n');
    }
    if let Some((_, snippet)) = expected.next() {
        anyhow::bail!("{}: skeptic did not see this block", snippet.place);
    }
    let _ = write!(
        out,
        "/// Each test and the place of its block.\nconst PLACES: &[(&str, &str)] = &[\n{places}];\n"
    );
    Ok(out)
}
