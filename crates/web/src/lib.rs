//! The browser modules that every page shares.
//!
//! They are plain files in `modules/`: ES modules that a browser runs as they are, with
//! types in JSDoc comments, and style sheets. No bundler and no package manager stand
//! between what the repository holds and what a page loads. This crate only embeds
//! them, so that a server is one executable that needs no folder beside it.
//!
//! A server puts them under `web/` next to its page, and the page's own modules import
//! them from there by relative URL (`./web/reconnect.js`). A page therefore works at
//! the root of its own server and nested in another site alike. What is the same on
//! each page lies here too: `page.css`, and `page.js`, which mounts what the `panel.js`
//! beside the page exports.

/// A file that a server answers from memory.
///
/// `name` is the file's path relative to where a server mounts its assets, with `/`
/// between the parts and none at the front: `reconnect.js`. `content_type` is the whole
/// value of the header
/// [`Content-Type`](https://www.rfc-editor.org/rfc/rfc9110#section-8.3): a browser
/// refuses a module script that does not have a JavaScript type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The path relative to the place where the assets are mounted.
    pub name: &'static str,
    /// The value of the header `Content-Type`.
    pub content_type: &'static str,
    /// The content, byte for byte.
    pub bytes: &'static [u8],
}

impl Asset {
    /// The content type of an ES module ([RFC
    /// 9239](https://www.rfc-editor.org/rfc/rfc9239)).
    pub const JAVASCRIPT: &'static str = "text/javascript; charset=utf-8";
    /// The content type of a style sheet.
    pub const CSS: &'static str = "text/css; charset=utf-8";
    /// The content type of a page.
    pub const HTML: &'static str = "text/html; charset=utf-8";

    /// An ES module.
    pub const fn javascript(name: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            content_type: Self::JAVASCRIPT,
            bytes,
        }
    }

    /// A style sheet.
    pub const fn css(name: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            content_type: Self::CSS,
            bytes,
        }
    }

    /// A page.
    pub const fn html(name: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            content_type: Self::HTML,
            bytes,
        }
    }
}

/// Every shared module, to be served under `web/`.
pub const MODULES: &[Asset] = &[
    Asset::javascript("cursor.js", include_bytes!("../modules/cursor.js")),
    Asset::javascript("http.js", include_bytes!("../modules/http.js")),
    Asset::css("page.css", include_bytes!("../modules/page.css")),
    Asset::javascript("page.js", include_bytes!("../modules/page.js")),
    Asset::javascript("pages.js", include_bytes!("../modules/pages.js")),
    Asset::css("panel.css", include_bytes!("../modules/panel.css")),
    Asset::javascript("panel.js", include_bytes!("../modules/panel.js")),
    Asset::javascript("reconnect.js", include_bytes!("../modules/reconnect.js")),
    Asset::javascript(
        "status-line.js",
        include_bytes!("../modules/status-line.js"),
    ),
    Asset::javascript("timer.js", include_bytes!("../modules/timer.js")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A module that lies in the folder but not in the list answers 404 in the browser
    /// only.
    #[test]
    fn every_file_of_the_folder_is_listed_once_with_its_type() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/modules");
        let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder of modules")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        let listed: BTreeSet<String> =
            MODULES.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(listed, on_disk);
        assert_eq!(listed.len(), MODULES.len(), "a name is listed twice");
        for asset in MODULES {
            let expected = match asset.name.rsplit('.').next() {
                Some("js") => Asset::JAVASCRIPT,
                Some("css") => Asset::CSS,
                other => panic!("{}: no content type for {other:?}", asset.name),
            };
            assert_eq!(asset.content_type, expected, "{}", asset.name);
        }
    }
}
