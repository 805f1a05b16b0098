//! Building the book with mdBook as a library.
//!
//! mdBook writes straight into its destination and keeps going when an include fails. Here a build
//! goes into a new directory, an error that mdBook only logs fails it, and only a whole book takes
//! the place of the one before.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Uri;
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use crate::drawings::Drawings;
use crate::server;

/// Why there is no (new) book. Each is told in one line.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Neither the directory nor one above it holds a `book.toml`.
    #[error("no book here: found no book.toml in {0} or above it; run this inside the book's repository")]
    Missing(PathBuf),
    /// mdBook could not build it, or logged an error while it did.
    #[error("the book is broken: {0}")]
    Broken(String),
    /// The destination holds something that this program did not write.
    #[error(
        "{directory} is not empty, and no build has written {what} there; name another directory with --dest, or move that away"
    )]
    Occupied {
        /// The destination.
        directory: PathBuf,
        /// The first path in it, relative to it, that is no part of a book built there.
        what: PathBuf,
    },
    /// The book before this one was moved away, and neither the new one nor it could be moved into
    /// its place.
    #[error("{dest}: {source}; the book before this one is in {old}")]
    Aside {
        /// Where it was.
        dest: PathBuf,
        /// Where it is.
        old: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BuildError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// What a build is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Where a page hears that there is a newer book: the path of a live SSE server, relative to
    /// the book's root, with a slash at its end. `None`, the default, builds pages that do not
    /// listen.
    pub reload: Option<&'a str>,
    /// Settings in place of those in `book.toml` and the environment, such as
    /// `("output.html.site-url", "/book/")`.
    pub settings: &'a [(&'a str, &'a str)],
    /// The servers of the panels for a service worker: the directory that `cargo xtask worker`
    /// writes. `None`, the default, builds a book whose panels say that there are none.
    pub worker: Option<&'a Path>,
}

/// Finds the book's root: `start`, or the nearest directory above it that holds a `book.toml`.
///
/// # Errors
/// [`BuildError::Missing`] if there is none.
pub fn find_root(start: &Path) -> Result<PathBuf, BuildError> {
    start
        .ancestors()
        .find(|directory| directory.join("book.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| BuildError::Missing(start.to_owned()))
}

/// The book's configuration, as `mdbook` itself would read it: `book.toml`, then the environment.
///
/// # Errors
/// [`BuildError::Broken`] if either does not parse.
pub fn config(root: &Path) -> Result<Config, BuildError> {
    let broken = |error| BuildError::Broken(format!("book.toml: {}", one_line(&error)));
    let mut config = Config::from_disk(root.join("book.toml")).map_err(broken)?;
    config.update_from_env().map_err(broken)?;
    // Whatever book.toml says: to build a book must not write into its sources.
    config.build.create_missing = false;
    Ok(config)
}

/// Where the book will be published, as far as that is known.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    /// Such as `https://book.example`. A page can be written without it, but not what is shown
    /// where the page is shared.
    origin: Option<String>,
    /// With a slash at both ends.
    path: String,
}

impl Site {
    /// Reads mdBook's `site-url`, which is a path or a whole address.
    fn parse(url: &str) -> Result<Self, BuildError> {
        let broken = || BuildError::Broken(format!("site-url: {url:?} is no address"));
        let uri: Uri = url.parse().map_err(|_| broken())?;
        let origin = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(host)) => Some(format!("{scheme}://{host}")),
            (None, None) => None,
            _ => return Err(broken()),
        };
        let path = format!("{}/", uri.path().trim_end_matches('/'));
        Ok(Self { origin, path })
    }

    /// Reads it from the configuration, and leaves the path there: a page needs no more, and then
    /// finds its parts also under another name of the same site.
    fn of(config: &mut Config) -> Result<Self, BuildError> {
        let html = config.html_config().unwrap_or_default();
        let site = Self::parse(html.site_url.as_deref().unwrap_or("/"))?;
        set(config, "output.html.site-url", &site.path)?;
        Ok(site)
    }
}

impl Site {
    /// The address of a page's own, if it has one and the origin is known. The first chapter and
    /// the page of the site are one page; what is no chapter has none, nor has what only leads
    /// elsewhere.
    fn address(&self, name: &str, page: &str, home: &str) -> Option<String> {
        let Self { origin, path } = self;
        let origin = origin.as_ref()?;
        if matches!(name, "404.html" | "print.html" | "toc.html") {
            return None;
        }
        let main = main_of(page)?;
        let name = match Some(main) == main_of(home) {
            true => "",
            false => name,
        };
        Some(format!("{origin}{path}{name}"))
    }
}

fn set(config: &mut Config, name: &str, value: &str) -> Result<(), BuildError> {
    let set = config.set(name, value);
    set.map_err(|error| BuildError::Broken(format!("{name}: {}", one_line(&error))))
}

/// Builds the book of `root` into `dest`, a directory that is empty or not there yet. Returns
/// mdBook's warnings, one line each.
///
/// # Errors
/// [`BuildError::Broken`] for whatever mdBook reports, by its result or by its log; `dest` then
/// holds half a book and is to be thrown away. [`BuildError::Io`] for a page that cannot be
/// rewritten.
pub fn build_into(
    root: &Path,
    dest: &Path,
    options: Options<'_>,
) -> Result<Vec<String>, BuildError> {
    let mut config = config(root)?;
    for (name, value) in options.settings {
        set(&mut config, name, value)?;
    }
    let site = Site::of(&mut config)?;
    // MDBook joins this to the root; an absolute path replaces it.
    config.build.build_dir = std::path::absolute(dest).map_err(BuildError::io(dest))?;

    let log = Log::default();
    // For this thread and this call only: the program's own subscriber goes on elsewhere.
    let built = tracing::subscriber::with_default(Registry::default().with(log.clone()), || {
        let mut book = MDBook::load_with_config(root, config)?;
        book.with_preprocessor(Drawings);
        book.build()
    });
    let Lines {
        mut errors,
        warnings,
    } = log.take();
    if let Err(error) = built {
        errors.push(one_line(&error));
    }
    if !errors.is_empty() {
        return Err(BuildError::Broken(errors.join("; ")));
    }
    // What draws diagrams on a page of stock mdBook. No page of this build asks for it.
    for name in NOT_PUBLISHED {
        match fs::remove_dir_all(dest.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BuildError::io(&dest.join(name))(error));
            }
            _ => {}
        }
    }
    add_modules(dest)?;
    if let Some(worker) = options.worker {
        add_worker(worker, dest)?;
    }
    let site = &site;
    finish_pages(dest, Finish { site, options })?;
    Ok(warnings)
}

/// Where the modules of what a page runs without a server lie. Stock mdBook has none; a page has a
/// picture or a table in their place.
pub const MODULES: &str = "assets/modules";

fn add_modules(dest: &Path) -> Result<(), BuildError> {
    for (folder, files) in web::IN_PAGE {
        let directory = dest.join(MODULES).join(folder);
        fs::create_dir_all(&directory).map_err(BuildError::io(&directory))?;
        for (name, content) in files.iter().filter(|(name, _)| *name != web::PAGE) {
            let path = directory.join(name);
            fs::write(&path, content).map_err(BuildError::io(&path))?;
        }
    }
    Ok(())
}

/// The worker's script, in the directory that `cargo xtask worker` writes. It has to lie at the
/// book's root: a worker answers the pages beside and below it.
const WORKER: &str = "worker.js";

/// Where its other files are.
const WORKER_FILES: &str = "assets/worker";

/// Adds a service worker that is a server to the panels, and names it in `assets/live.json`.
fn add_worker(worker: &Path, dest: &Path) -> Result<(), BuildError> {
    let files = dest.join(WORKER_FILES);
    fs::create_dir_all(&files).map_err(BuildError::io(&files))?;
    let copy = |from: &Path, to: &Path| fs::copy(from, to).map_err(BuildError::io(from));
    copy(&worker.join(WORKER), &dest.join(WORKER))?;
    for entry in fs::read_dir(worker).map_err(BuildError::io(worker))? {
        let entry = entry.map_err(BuildError::io(worker))?;
        if entry.file_name() != WORKER {
            copy(&entry.path(), &files.join(entry.file_name()))?;
        }
    }
    let live = &dest.join("assets/live.json");
    fs::write(live, server::live_in_worker(WORKER, WORKER_FILES)).map_err(BuildError::io(live))
}

/// Directories of `src` that stock mdBook publishes and this build does not.
pub const NOT_PUBLISHED: [&str; 1] = ["assets/mermaid"];

/// The list of a book's files, in the book that [`build`] writes. What is not on it was put there
/// by somebody else, and is not this program's to delete.
const WRITTEN: &str = ".written-by-build";

/// Builds the book of `root` beside `dest` and then puts it there, in place of the book that a
/// build has written there before. Returns mdBook's warnings.
///
/// # Errors
/// As [`build_into`], and [`BuildError::Occupied`] if `dest` holds anything that no build has
/// written. On any error `dest` is as it was.
pub fn build(root: &Path, dest: &Path, options: Options<'_>) -> Result<Vec<String>, BuildError> {
    let dest = std::path::absolute(dest).map_err(BuildError::io(dest))?;
    // A link to a directory stays, and the book behind it is replaced.
    let dest = fs::canonicalize(&dest).unwrap_or(dest);
    replaceable(&dest)?;
    let parent = dest.parent().unwrap_or(&dest);
    fs::create_dir_all(parent).map_err(BuildError::io(parent))?;
    // Beside the destination, so that it is on the same file system and can be renamed into place.
    let staging = tempfile::Builder::new()
        .prefix(".book-")
        .tempdir_in(parent)
        .map_err(BuildError::io(parent))?;
    // Not the temporary directory itself, whose mode lets only its owner in.
    let new = staging.path().join("new");
    let warnings = build_into(root, &new, options)?;
    let written = &new.join(WRITTEN);
    let mut list = WRITTEN.to_owned();
    let listed = visit(&new, "", &mut |path| {
        list.extend(["\n", &path]);
        ControlFlow::Continue(())
    });
    let _all = listed.map_err(BuildError::io(&new))?;
    fs::write(written, list).map_err(BuildError::io(written))?;
    // Again: a build takes seconds, and meanwhile somebody may have put something there.
    replaceable(&dest)?;
    let old = staging.path().join("old");
    if let Err(error) = exchange(&new, &dest, &old) {
        if old.exists() {
            // It could not be put back, so it must not go with this directory.
            let _kept = staging.keep();
            return Err(BuildError::Aside {
                dest,
                old,
                source: error,
            });
        }
        return Err(BuildError::io(&dest)(error));
    }
    Ok(warnings)
}

/// Moves what is at `dest`, if anything is, to `old`, and `new` into its place: the time without a
/// book is that of two renames. Where the second fails, `dest` is put back.
fn exchange(new: &Path, dest: &Path, old: &Path) -> io::Result<()> {
    match fs::rename(dest, old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(new, dest).inspect_err(|_| {
        // What this fails with is worth less than what it follows from.
        let _ = fs::rename(old, dest);
    })
}

/// Fails if there is anything at `dest` but what a build has written there.
fn replaceable(dest: &Path) -> Result<(), BuildError> {
    // Not what a link leads to: also one that leads nowhere is somebody's.
    if dest
        .symlink_metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        return Ok(());
    }
    let written = fs::read_to_string(dest.join(WRITTEN)).unwrap_or_default();
    let written: BTreeSet<_> = written.lines().collect();
    let mut foreign = None;
    let visited = visit(
        dest,
        "",
        &mut |path| match written.contains(path.as_str()) {
            true => ControlFlow::Continue(()),
            false => {
                foreign = Some(path);
                ControlFlow::Break(())
            }
        },
    );
    let _all_or_some = visited.map_err(BuildError::io(dest))?;
    match foreign {
        None => Ok(()),
        Some(what) => Err(BuildError::Occupied {
            directory: dest.to_owned(),
            what: what.into(),
        }),
    }
}

/// Calls `each` for every file below `directory`, with its path there. A link is a file; an empty
/// directory is one whose path ends with a slash.
fn visit(
    directory: &Path,
    prefix: &str,
    each: &mut impl FnMut(String) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut is_empty = true;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        is_empty = false;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let flow = match entry.file_type()?.is_dir() {
            true => visit(&entry.path(), &format!("{name}/"), each)?,
            false => each(name),
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    match is_empty && !prefix.is_empty() {
        true => Ok(each(prefix.to_owned())),
        false => Ok(ControlFlow::Continue(())),
    }
}

/// Rewrites what mdBook's templates fix and its configuration does not reach, in every page of the
/// book in `dest`. Where it is known where the book will be, writes the list of its pages for those
/// who search it.
fn finish_pages(dest: &Path, finish: Finish<'_>) -> Result<(), BuildError> {
    let mut names = Vec::new();
    let listed = visit(dest, "", &mut |name| {
        names.extend(name.ends_with(".html").then_some(name));
        ControlFlow::Continue(())
    });
    let _all = listed.map_err(BuildError::io(dest))?;
    // A book without a chapter has none.
    let home = fs::read_to_string(dest.join(HOME)).unwrap_or_default();
    let mut addresses = BTreeSet::new();
    for name in names {
        let path = dest.join(&name);
        let page = fs::read_to_string(&path).map_err(BuildError::io(&path))?;
        let address = finish.site.address(&name, &page, &home);
        let page = finish.page(&page, name == HOME, address.as_deref());
        fs::write(&path, page).map_err(BuildError::io(&path))?;
        addresses.extend(address);
    }
    if !addresses.is_empty() {
        let path = dest.join("sitemap.xml");
        fs::write(&path, sitemap(&addresses)).map_err(BuildError::io(&path))?;
    }
    Ok(())
}

/// How the names of the scripts begin that search the book.
const SEARCH: [&str; 3] = ["elasticlunr-", "mark-", "searcher-"];

/// Has each external script wait.
///
/// It is deferred, so that the first paint waits for none. Deferred scripts run in their order,
/// after the inline ones (which set up what they read) and before `DOMContentLoaded`, so they meet
/// the same page as before. An escaped `&lt;script` in a listing does not match.
///
/// What searches the book is a tenth of what a page loads, and few readers use it. The page's own
/// script brings it when it is asked for; a browser leaves a type alone that it does not know.
fn hold_scripts(page: &str) -> String {
    const SCRIPT: &str = "<script src=\"";
    let mut scripts = page.split(SCRIPT);
    let mut held = scripts.next().unwrap_or_default().to_owned();
    for script in scripts {
        let path = script.split('"').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let searches = SEARCH.iter().any(|begin| name.starts_with(begin));
        held.push_str(match searches {
            true => "<script type=\"text/plain\" data-search src=\"",
            false => "<script defer src=\"",
        });
        held.push_str(script);
    }
    held
}

/// The page of the site itself; mdBook writes the first chapter there, too.
const HOME: &str = "index.html";

/// The text of a page, without the frame around it.
fn main_of(page: &str) -> Option<&str> {
    page.split_once("<main>")?
        .1
        .split_once("</main>")
        .map(|(main, _)| main)
}

/// As <https://www.sitemaps.org/protocol.html> has it.
fn sitemap(addresses: &BTreeSet<String>) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                    <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n"
        .to_owned();
    for address in addresses {
        text += &format!("<url><loc>{address}</loc></url>\n");
    }
    text + "</urlset>\n"
}

/// What the pages are finished with.
#[derive(Debug, Clone, Copy)]
struct Finish<'a> {
    site: &'a Site,
    options: Options<'a>,
}

impl Finish<'_> {
    fn page(self, page: &str, is_home: bool, address: Option<&str>) -> String {
        let mut page = hold_scripts(page);
        // By this a page knows that it has modules, and does not ask for them in vain.
        page = page.replacen("<html ", &format!("<html data-modules=\"{MODULES}/\" "), 1);
        if let Some(path) = self.options.reload {
            page = page.replacen("<html ", &format!("<html data-reload=\"{path}\" "), 1);
        }
        // mdBook describes every page as the book. That suits its first page alone.
        if let (false, Some(text)) = (is_home, first_paragraph(&page)) {
            page = with_meta(&page, "name=\"description\"", |_| text.clone());
            page = with_meta(&page, "property=\"og:description\"", |_| text.clone());
        }
        if let Some(address) = address {
            // Which of its addresses is the page's own, for those who meet it under several.
            let own = format!(
                "<link rel=\"canonical\" href=\"{address}\">\n        \
                 <meta property=\"og:url\" content=\"{address}\">\n    </head>"
            );
            page = page.replacen("</head>", &own, 1);
        }
        if let Some(origin) = &self.site.origin {
            let path = &self.site.path;
            page = with_meta(&page, "property=\"og:image\"", |image| {
                format!("{origin}{path}{}", image.trim_start_matches("../"))
            });
        }
        page
    }
}

/// The page with another content in one of its meta elements, if it has that one.
fn with_meta(page: &str, which: &str, content: impl FnOnce(&str) -> String) -> String {
    let begin = format!("<meta {which} content=\"");
    let replaced = page.split_once(&begin).and_then(|(before, rest)| {
        let (old, after) = rest.split_once('"')?;
        Some(format!("{before}{begin}{}\"{after}", content(old)))
    });
    replaced.unwrap_or_else(|| page.to_owned())
}

/// The text of a page's first paragraph, as an attribute can hold it; of a long one the beginning.
fn first_paragraph(page: &str) -> Option<String> {
    /// Characters. Who shows a description cuts it near here.
    const ENOUGH: usize = 200;
    let (_, main) = page.split_once("<main>")?;
    let (_, rest) = main.split_once("<p>")?;
    let (paragraph, _) = rest.split_once("</p>")?;
    // The pieces between the tags.
    let mut text = String::new();
    for (number, piece) in paragraph.split('<').enumerate() {
        let after = piece.split_once('>').map_or("", |(_, after)| after);
        text.push_str(if number == 0 { piece } else { after });
    }
    // Between two words an escaped character such as `&amp;` is never cut.
    let mut description = String::new();
    for word in text.split_whitespace() {
        if description.chars().count() + word.chars().count() > ENOUGH {
            description.push('…');
            break;
        }
        if !description.is_empty() {
            description.push(' ');
        }
        description.push_str(word);
    }
    Some(description.replace('"', "&quot;"))
}

/// An error and its causes in one line.
fn one_line(error: &mdbook_driver::errors::Error) -> String {
    error
        .chain()
        .map(|cause| {
            cause
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect::<Vec<_>>()
        .join(": ")
}

/// What mdBook logged.
#[derive(Debug, Default)]
struct Lines {
    /// Each fails the build: above all the includes that mdBook leaves in the text as they stand.
    errors: Vec<String>,
    /// Each is told to whoever builds.
    warnings: Vec<String>,
}

/// Keeps mdBook's errors and warnings instead of printing them.
#[derive(Debug, Clone, Default)]
struct Log(
    // Shared with the subscriber that owns the other clone. A plain mutex: a build is synchronous,
    // and the lock is held for one push.
    Arc<Mutex<Lines>>,
);

impl Log {
    fn take(&self) -> Lines {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let text = message.0.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (
            level,
            text.strip_prefix("Caused By: "),
            lines.errors.last_mut(),
        ) {
            (Level::ERROR, ..) => lines.errors.push(text),
            // mdBook logs the causes of an error apart from it, as warnings.
            (_, Some(cause), Some(error)) => {
                error.push_str(": ");
                error.push_str(cause);
            }
            _ => lines.warnings.push(text),
        }
    }
}

/// The text of a log event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// A built book in a temporary directory of its own, which goes when this does.
#[derive(Debug)]
pub struct Edition {
    directory: tempfile::TempDir,
}

impl Edition {
    /// Builds the book of `root`; returns it with mdBook's warnings.
    ///
    /// # Errors
    /// As [`build_into`]; nothing is left behind.
    pub fn build(root: &Path, options: Options<'_>) -> Result<(Self, Vec<String>), BuildError> {
        let parent = std::env::temp_dir();
        let directory = tempfile::Builder::new()
            .prefix("book-")
            .tempdir_in(&parent)
            .map_err(BuildError::io(&parent))?;
        let warnings = build_into(root, directory.path(), options)?;
        Ok((Self { directory }, warnings))
    }

    /// The directory of the pages.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(page: &str, url: &str, options: Options<'_>) -> String {
        let site = &Site::parse(url).unwrap();
        Finish { site, options }.page(page, false, None)
    }

    #[test]
    fn external_scripts_are_deferred_and_inline_ones_are_not() {
        let page = r#"<html lang="en"><script>let a;</script><script src="toc.js"></script><code>&lt;script src="x"</code>"#;
        assert_eq!(
            finished(page, "/", Options::default()),
            r#"<html data-modules="assets/modules/" lang="en"><script>let a;</script><script defer src="toc.js"></script><code>&lt;script src="x"</code>"#
        );
    }

    #[test]
    fn what_searches_the_book_waits_until_it_is_asked_for() {
        let page = "<script src=\"../mark-09e8.min.js\"></script><script src=\"bookmark-1.js\">";
        assert_eq!(
            finished(page, "/", Options::default()),
            "<script type=\"text/plain\" data-search src=\"../mark-09e8.min.js\"></script>\
             <script defer src=\"bookmark-1.js\">"
        );
    }

    #[test]
    fn only_a_watched_page_listens_for_a_newer_book() {
        let page = r#"<html lang="en"><body>"#;
        assert_eq!(
            finished(page, "/", Options::default()),
            r#"<html data-modules="assets/modules/" lang="en"><body>"#
        );
        let watched = Options {
            reload: Some("live/reload/"),
            ..Options::default()
        };
        assert_eq!(
            finished(page, "/", watched),
            r#"<html data-reload="live/reload/" data-modules="assets/modules/" lang="en"><body>"#
        );
    }

    #[test]
    fn the_picture_of_a_page_gets_its_whole_address_where_that_is_known() {
        let page = r#"<meta property="og:image" content="../assets/card.png"><img src="../a.png">"#;
        assert_eq!(finished(page, "/book/", Options::default()), page);
        assert_eq!(
            finished(page, "https://book.example/book", Options::default()),
            r#"<meta property="og:image" content="https://book.example/book/assets/card.png"><img src="../a.png">"#
        );
    }

    #[test]
    fn a_page_is_described_by_its_first_paragraph() {
        let page = |description: &str, paragraph: &str| {
            format!(
                "<meta name=\"description\" content=\"{description}\"><meta property=\"og:description\" \
                 content=\"{description}\"><p>Not this.</p><main><h1>One</h1><p>{paragraph}</p><p>Nor this.</p>"
            )
        };
        for (paragraph, description) in [
            ("A &amp; B.", "A &amp; B."),
            (
                "A <a href=\"b.html\"><em>wait</em></a>\nof \"one\".",
                "A wait of &quot;one&quot;.",
            ),
            (&"word ".repeat(60), &format!("{}word…", "word ".repeat(39))),
        ] {
            let written = page("The book.", paragraph);
            assert_eq!(
                finished(&written, "/", Options::default()),
                page(description, paragraph)
            );
        }
        let home = page("The book.", "The first.");
        let site = Site::parse("/").unwrap();
        let finish = Finish {
            site: &site,
            options: Options::default(),
        };
        assert_eq!(finish.page(&home, true, None), home);
    }

    #[test]
    fn a_site_is_a_path_or_an_address() {
        for (url, origin, path) in [
            ("/", None, "/"),
            ("/book", None, "/book/"),
            ("/book/", None, "/book/"),
            ("https://book.example", Some("https://book.example"), "/"),
            (
                "http://book.example:8000/a/b/",
                Some("http://book.example:8000"),
                "/a/b/",
            ),
        ] {
            let origin = origin.map(str::to_owned);
            let path = path.to_owned();
            assert_eq!(Site::parse(url).unwrap(), Site { origin, path }, "{url}");
        }
        for url in ["", "book.example", "not an address"] {
            let told = Site::parse(url).unwrap_err().to_string();
            assert!(told.contains("site-url"), "{told}");
        }
    }

    #[test]
    fn a_page_names_its_own_address_where_that_is_known() {
        let page = |text: &str| format!("<html><head>\n    </head><main>{text}</main></html>");
        let site = Site::parse("https://book.example/book").unwrap();
        let address = |name, text| site.address(name, &page(text), &page("One"));
        for (name, text, own) in [
            ("index.html", "One", Some("https://book.example/book/")),
            ("one.html", "One", Some("https://book.example/book/")),
            (
                "b/two.html",
                "Two",
                Some("https://book.example/book/b/two.html"),
            ),
            ("404.html", "Gone", None),
            ("print.html", "All", None),
            ("toc.html", "All", None),
        ] {
            assert_eq!(address(name, text).as_deref(), own, "{name}");
        }
        // A redirect, which has no text.
        assert_eq!(
            site.address("old.html", "<html></html>", &page("One")),
            None
        );
        let nowhere = Site::parse("/book/").unwrap();
        assert_eq!(
            nowhere.address("one.html", &page("One"), &page("One")),
            None
        );

        let finish = Finish {
            site: &site,
            options: Options::default(),
        };
        let finished = finish.page(&page("One"), false, Some("https://book.example/book/"));
        for part in [
            "<link rel=\"canonical\" href=\"https://book.example/book/\">",
            "<meta property=\"og:url\" content=\"https://book.example/book/\">",
        ] {
            assert!(finished.contains(part), "{finished}");
        }
    }

    #[test]
    fn a_book_that_cannot_be_put_in_place_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        fs::create_dir(path("book")).unwrap();
        fs::write(path("book/index.html"), "the old one").unwrap();
        let failed = exchange(&path("missing"), &path("book"), &path("old"));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
        let kept = fs::read_to_string(path("book/index.html")).unwrap();
        assert_eq!(kept, "the old one");
        assert!(!path("old").exists());

        fs::create_dir(path("new")).unwrap();
        exchange(&path("new"), &path("book"), &path("old")).unwrap();
        assert!(path("old/index.html").exists());
    }
}
