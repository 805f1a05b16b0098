//! Noticing that a source of the book changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// An editor writes a file in several steps, a `git switch` many files: a change counts once
/// nothing has followed it for so long. Short enough to feel at once.
const QUIET: Duration = Duration::from_millis(100);

/// The changes of a book's sources, from the moment this is made.
#[derive(Debug)]
pub struct Changes {
    // Set by the watcher's thread, awaited by the one task that rebuilds. It keeps one permit: any
    // number of changes during a build are one reason to build again.
    changed: Arc<Notify>,
    // Stops watching when dropped.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches `book.toml` and what the book of `root` is made from: chapters, theme, and the
    /// directories that `extra-watch-dirs` names because listings are included from them.
    ///
    /// # Errors
    /// Whatever the system says to watching a directory, above all that there are too many.
    pub fn of(root: &Path, config: &mdbook_driver::config::Config) -> notify::Result<Self> {
        // Absolute and resolved, as the paths in events are on every system.
        let root = root.canonicalize()?;
        let mut directories = vec![root.join(&config.book.src)];
        directories.push(config.html_config().unwrap_or_default().theme_dir(&root));
        directories.extend(
            config
                .build
                .extra_watch_dirs
                .iter()
                .map(|directory| root.join(directory)),
        );
        directories.retain(|directory| directory.is_dir());

        let changed = Arc::new(Notify::new());
        let notifier = Arc::clone(&changed);
        let sources = Sources {
            toml: root.join("book.toml"),
            directories: directories.clone(),
        };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error is a loss of events: rebuild, to be sure.
            if event.map_or(true, |event| sources.changed_by(&event)) {
                notifier.notify_one();
            }
        })?;
        // The directory of book.toml and not the file: editors put a new file in its place.
        watcher.watch(&root, RecursiveMode::NonRecursive)?;
        for directory in &directories {
            watcher.watch(directory, RecursiveMode::Recursive)?;
        }
        Ok(Self {
            changed,
            _watcher: watcher,
        })
    }

    /// Waits until something has changed since the last call, and then until it is quiet.
    /// Cancel-safe but for the change it was already waiting out.
    pub async fn next(&self) {
        self.changed.notified().await;
        while tokio::time::timeout(QUIET, self.changed.notified())
            .await
            .is_ok()
        {}
    }
}

/// The paths that make the book.
struct Sources {
    toml: PathBuf,
    directories: Vec<PathBuf>,
}

impl Sources {
    /// Whether `event` may have changed the book.
    fn changed_by(&self, event: &Event) -> bool {
        // Reading is no change: a build reads everything, and would wake itself for ever.
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        // The system's queue ran over, and nobody knows which paths it dropped.
        event.need_rescan() || event.paths.iter().any(|path| self.have(path))
    }

    fn have(&self, path: &Path) -> bool {
        path == self.toml
            || self
                .directories
                .iter()
                .any(|directory| path.starts_with(directory))
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, Flag, ModifyKind};

    use super::*;

    #[test]
    fn only_changes_of_the_sources_count() {
        let sources = Sources {
            toml: "/book/book.toml".into(),
            directories: vec!["/book/src".into(), "/book/theme".into()],
        };
        let changed =
            |kind, path: &str| sources.changed_by(&Event::new(kind).add_path(path.into()));
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));

        assert!(changed(written, "/book/src/sse/index.md"));
        assert!(changed(
            EventKind::Create(CreateKind::File),
            "/book/theme/new.css"
        ));
        assert!(changed(written, "/book/book.toml"));
        assert!(!changed(opened, "/book/src/sse/index.md"));
        assert!(!changed(written, "/book/Cargo.lock"));
        assert!(!changed(written, "/book/srcs/one.md"));
        assert!(sources.changed_by(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
