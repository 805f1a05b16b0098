//! Whoever has `mdbook` and `mdbook-mermaid` reads the same book with them: what this program adds
//! is around the pages, and the drawings in place of the diagrams' sources.
//!
//! Needs both commands, on the search path or where `.ci/run` installs them; without them the test
//! is ignored, with the reason, or fails under `REQUIRE_PARTS=1`.

use anyhow::{ensure, Context as _};
use libtest_mimic::{Arguments, Trial};
use site::book::{find_root, Edition, Options, MODULES, NOT_PUBLISHED};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use testbed::parts::{self, Missing};

fn main() -> ExitCode {
    let trial = Trial::ignorable_test("stock_mdbook_writes_the_same_pages", || {
        parts::outcome(stock_mdbook_writes_the_same_pages())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn stock_mdbook_writes_the_same_pages() -> anyhow::Result<()> {
    let path = search_path()?;
    for name in ["mdbook", "mdbook-mermaid"] {
        which::which_in(name, Some(&path), ".")
            .with_context(|| format!("no {name} on the search path (cargo install {name})"))
            .map_err(Missing)?;
    }
    let root = find_root(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    same_version(&root, &path).map_err(Missing)?;
    let stock = tempfile::tempdir()?;
    let mut mdbook = Command::new("mdbook");
    mdbook
        .arg("build")
        .arg("--dest-dir")
        .arg(stock.path())
        .arg(&root)
        // Where the program itself is looked for, too.
        .env("PATH", &path);
    let output = mdbook.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    // Such as a preprocessor that it did not find, or was not made for this version.
    ensure!(
        !said.contains("ERROR") && !said.contains("WARN"),
        "mdbook complains: {said}"
    );

    let (ours, _) = Edition::build(&root, Options::default())?;
    let (mut ours, mut stock) = (files(ours.path())?, files(stock.path())?);
    ours.retain(|name, _| !name.starts_with(MODULES));
    let published = stock.len();
    stock.retain(|name, _| {
        !NOT_PUBLISHED
            .iter()
            .any(|left_out| name.starts_with(left_out))
    });
    assert!(
        stock.len() < published,
        "stock mdBook has nothing to draw with"
    );
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&stock));
    let (mut pages, mut diagrams) = (0, 0);
    for (name, ours) in &ours {
        let stock = &stock[name];
        if name.extension().is_some_and(|kind| kind == "html") {
            let (ours, stock) = (content(ours)?, content(stock)?);
            let ours = ours.map(|page| without(page, "<div class=\"diagram\">", "</svg>\n</div>"));
            let stock = stock.map(|page| without(page, "<pre class=\"mermaid\">", "</pre>"));
            pages += usize::from(ours.is_some());
            diagrams += ours.as_ref().map_or(0, |(_, count)| *count);
            assert!(ours == stock, "{} differs", name.display());
        } else {
            assert!(ours == stock, "{} differs", name.display());
        }
    }
    assert!(pages > 3, "{pages} pages");
    assert!(diagrams > 10, "{diagrams} diagrams");
    Ok(())
}

/// Another version may well write other pages: that is no fault of the book.
fn same_version(root: &Path, path: &OsString) -> anyhow::Result<()> {
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    let ours = lock
        .split_once("name = \"mdbook-driver\"\nversion = \"")
        .and_then(|(_, rest)| Some(rest.split_once('"')?.0))
        .context("no mdbook-driver in Cargo.lock")?;
    let output = Command::new("mdbook")
        .arg("--version")
        .env("PATH", path)
        .output()?;
    let stock = String::from_utf8_lossy(&output.stdout);
    ensure!(
        stock.trim() == format!("mdbook v{ours}"),
        "this is {}, and the site is built with {ours} (cargo install mdbook@{ours})",
        stock.trim()
    );
    Ok(())
}

/// The search path, with the programs that `.ci/run` has installed at its end.
fn search_path() -> anyhow::Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain([parts::installed("bin")]);
    Ok(env::join_paths(directories)?)
}

/// Every file of a built book, by its path there, but for those of the search.
fn files(directory: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.strip_prefix(directory)?.to_owned();
            // The index of words, and the script that names it: the work of a library that `mdbook`
            // may have in another version.
            if !name.to_string_lossy().starts_with("search") {
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// What a page says, without the frame around it. The table of contents for browsers without
/// scripts is all frame.
fn content(page: &[u8]) -> anyhow::Result<Option<&str>> {
    let page = std::str::from_utf8(page)?;
    let main = page.split_once("<main>").map(|(_, rest)| rest);
    Ok(main.and_then(|rest| Some(rest.split_once("</main>")?.0)))
}

/// A page without its diagrams, and how many there were: those of stock mdBook are sources, which a
/// script draws.
fn without(page: &str, begin: &str, end: &str) -> (String, usize) {
    let (mut kept, mut count, mut rest) = (String::new(), 0, page);
    while let Some((before, after)) = rest.split_once(begin) {
        kept.push_str(before);
        kept.push_str("[diagram]");
        rest = after.split_once(end).map_or("", |(_, after)| after);
        count += 1;
    }
    kept.push_str(rest);
    (kept, count)
}
