//! The pages of the book's servers, and the browser modules that they run.
//!
//! They are plain files: pages, style sheets, and ES modules that a browser runs as
//! they are, with types in JSDoc comments. There is no bundler and no package manager.
//! Each method has a folder, and `shared/` has what more than one of them uses. This
//! crate embeds them, so that a server is one executable that needs no folder beside
//! it.
//!
//! A module imports another by the path between the two files: `../shared/panel.js`. A
//! server therefore puts a method's files where its page is, and `shared/` beside that
//! folder. Where the page is the root there is no folder above it, and `../shared/` is
//! `/shared/` to a browser. What needs no server is a part of the book itself, and lies
//! in it in the same folders ([`IN_PAGE`]).

/// Each file's path in its folder, with its content.
pub type Files = &'static [(&'static str, &'static [u8])];

#[cfg(not(target_family = "wasm"))]
macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../", $folder, "/", $path)))),+]
    };
}

/// A service worker answers for no file: the site that it belongs to has them all.
#[cfg(target_family = "wasm")]
macro_rules! files {
    ($($any:tt)*) => {
        &[]
    };
}

/// What the pages of more than one method use.
pub const SHARED: Files = files!("shared":
    "breaks.js",
    "contract.js",
    "credentials.js",
    "cursor.js",
    "describe.js",
    "http.js",
    "log-pages.js",
    "page.css",
    "page.js",
    "panel.css",
    "panel.js",
    "queue.js",
    "reconnect.js",
    "status-line.js",
    "timer.js",
);

/// The page of polling.
pub const POLLING: Files = files!("polling":
    "index.html",
    "panel.js",
    "polling-client.js",
    "prices.js",
    "rhythm.js",
);

/// The page of long polling.
pub const LONG_POLLING: Files = files!("long-polling":
    "index.html",
    "long-polling-client.js",
    "panel.js",
);

/// The page of Server-Sent Events.
pub const SSE: Files = files!("sse":
    "event-stream.js",
    "generations.js",
    "index.html",
    "panel.js",
    "sse-client.js",
    "tokens.js",
);

/// The page of WebSocket.
pub const WEBSOCKET: Files = files!("websocket":
    "index.html",
    "panel.js",
    "strokes.js",
    "websocket-client.js",
    "whiteboard.js",
);

/// One stream for all tabs.
pub const TABS: Files = files!("tabs":
    "by-lock.js",
    "by-worker.js",
    "frame.html",
    "frame.js",
    "holder.js",
    "page-of-log.js",
    "panel.js",
    "seventh.js",
    "share.js",
    "sse-worker.js",
    "tab.js",
    "tabs.css",
);

/// The twins: for each method, its client and the one that one writes first.
pub const TWIN: Files = files!("twin":
    "cases.js",
    "foreign.js",
    "lane.js",
    "panel.js",
    "plain.js",
    "tally.js",
    "twin.css",
);

/// The page of HTTP/2 push, which shows an exchange.
pub const HTTP2_PUSH: Files = files!("http2-push":
    "index.html",
    "panel.js",
);

/// What the lab has measured, for pages that calculate.
pub const FIGURES: Files = files!("figures":
    "measured.js",
);

/// The race of the methods, which is a model.
pub const RACE: Files = files!("race":
    "draw.js",
    "model.js",
    "race.css",
    "race.js",
    "setting.js",
);

/// The calculator of what readers cost.
pub const CALCULATOR: Files = files!("calculator":
    "calculator.css",
    "calculator.js",
    "clouds.js",
    "inputs.js",
    "sums.js",
);

/// The formulas of the crate `capacity`, as `cargo xtask formulas` has compiled them.
pub const FORMULAS: Files = files!("formulas":
    "formulas.js",
    "formulas_bg.wasm",
);

/// What marks the answers to questions, as `cargo xtask marker` has compiled it.
pub const MARKER: Files = files!("marker":
    "marker.js",
    "marker_bg.wasm",
);

/// What the book's own pages run without a server: small machines, and the questions of
/// the chapters.
pub const BOOK: Files = files!("book":
    "checkers.js",
    "frame-view.js",
    "frame.js",
    "herd-draw.js",
    "herd-view.js",
    "herd.js",
    "hex.js",
    "machine.css",
    "marking.js",
    "parts.js",
    "progress.js",
    "questions.css",
    "questions.js",
    "stepper-view.js",
    "stepper.js",
    "stream-view.js",
    "stream.js",
    "timeouts-view.js",
    "timeouts.js",
);

/// The wire view, which shows what goes over a connection.
pub const WIRE: Files = files!("wire":
    "arrows.js",
    "blocks.js",
    "bytes.js",
    "decode.js",
    "detail.js",
    "explain.js",
    "format.js",
    "http1.js",
    "live.js",
    "picture.js",
    "replay.js",
    "totals.js",
    "track.js",
    "view.js",
    "wire.css",
);

/// The page of a server of its own, in the folder of its method.
pub const PAGE: &str = "index.html";

/// What a page runs where no server is, by the folders in which it is published side by
/// side: all that such a part imports, and the panels, whose servers may be in a
/// service worker. Each [`PAGE`] is left out: it needs a server beside it.
pub const IN_PAGE: &[(&str, Files)] = &[
    ("book", BOOK),
    ("calculator", CALCULATOR),
    ("figures", FIGURES),
    ("formulas", FORMULAS),
    ("long-polling", LONG_POLLING),
    ("marker", MARKER),
    ("polling", POLLING),
    ("race", RACE),
    ("shared", SHARED),
    ("sse", SSE),
    ("tabs", TABS),
    ("twin", TWIN),
    ("websocket", WEBSOCKET),
    ("wire", WIRE),
];

/// The page that the push server sends, and the parts that it can push.
pub mod pushed {
    /// The page: a template.
    pub const PAGE: &str = include_str!("../http2-push/pushed/page.html");
    /// Its script.
    pub const SCRIPT: &[u8] = include_bytes!("../http2-push/pushed/script.js");
    /// Its style sheet.
    pub const STYLE: &[u8] = include_bytes!("../http2-push/pushed/style.css");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    /// A module that lies in the folder but not in the list answers 404 in the browser
    /// only.
    #[test]
    fn every_file_of_a_folder_is_listed_once() {
        for (folder, listed) in [
            ("shared", SHARED),
            ("polling", POLLING),
            ("long-polling", LONG_POLLING),
            ("sse", SSE),
            ("websocket", WEBSOCKET),
            ("http2-push", HTTP2_PUSH),
            ("tabs", TABS),
            ("twin", TWIN),
            ("figures", FIGURES),
            ("race", RACE),
            ("calculator", CALCULATOR),
            ("formulas", FORMULAS),
            ("marker", MARKER),
            ("book", BOOK),
            ("wire", WIRE),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let on_disk: BTreeSet<String> = fs::read_dir(path)
                .expect("a folder")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.is_file())
                .map(|path| path.file_name().expect("a name").display().to_string())
                .collect();
            let names: BTreeSet<String> =
                listed.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(names, on_disk, "{folder}");
            assert_eq!(names.len(), listed.len(), "{folder} lists a name twice");
        }
    }

    /// A part that imports what is not published answers nothing in the browser only.
    #[test]
    fn what_a_part_of_a_page_imports_is_published_with_it() {
        let published: BTreeSet<String> = IN_PAGE
            .iter()
            .flat_map(|(folder, files)| {
                files
                    .iter()
                    .map(move |(name, _)| format!("{folder}/{name}"))
            })
            .collect();
        let mut imports = 0;
        for (folder, files) in IN_PAGE {
            for (name, content) in *files {
                let Some(text) = std::str::from_utf8(content)
                    .ok()
                    .filter(|_| name.ends_with(".js"))
                else {
                    continue;
                };
                for line in text.lines() {
                    let Some((_, from)) = line.split_once("} from \"") else {
                        continue;
                    };
                    let path = from.trim_end_matches("\";");
                    let path = match path.strip_prefix("../") {
                        Some(path) => path.to_owned(),
                        None => format!("{folder}/{}", path.trim_start_matches("./")),
                    };
                    assert!(published.contains(&path), "{folder}/{name}: {path}");
                    imports += 1;
                }
            }
        }
        assert!(imports > 30, "only {imports} imports");
    }
}
