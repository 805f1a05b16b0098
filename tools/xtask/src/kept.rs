//! Rust code that pages run: compiled for a browser, and kept in the repository, so that whoever
//! builds the book needs no compiler for it.

use crate::{
    steps::Steps,
    wasm::{self, Kind},
};
use anyhow::Context as _;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A package that is compiled and kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its name, and that of its folder in `crates/web`.
    pub package: &'static str,
    /// The folders with the code of this repository that is compiled.
    sources: &'static [&'static str],
    /// A file in one of them that is not.
    except: Option<&'static str>,
}

/// The formulas of the calculator.
pub const FORMULAS: Kept = Kept {
    package: "formulas",
    sources: &["tools/formulas/src", "crates/capacity/src"],
    // What the lab has measured goes in as numbers.
    except: Some("crates/capacity/src/measured.rs"),
};

/// What marks the answers to questions.
pub const MARKER: Kept = Kept {
    package: "marker",
    sources: &[
        "tools/marker/src",
        "crates/event-stream/src",
        "crates/contract/src",
    ],
    except: None,
};

/// Each of them.
pub const ALL: [Kept; 2] = [FORMULAS, MARKER];

impl Kept {
    fn folder(&self, root: &Path) -> PathBuf {
        root.join("crates/web").join(self.package)
    }

    fn module(&self) -> String {
        format!("{}_bg.wasm", self.package)
    }

    /// Compiles it, and keeps what a page loads of it.
    ///
    /// # Errors
    /// If the compiler cannot compile for a browser.
    pub fn build(&self, steps: &mut Steps) -> anyhow::Result<()> {
        let Self { package, .. } = *self;
        let compiled = wasm::compile(steps, package)?;
        let bound = wasm::target(steps).join(format!("bound-{package}"));
        wasm::bind(steps, &compiled, &bound, package, Kind::Module)?;
        let folder = self.folder(&steps.root);
        fs::create_dir_all(&folder)?;
        let name = format!("{package}.js");
        let script = bound.join(&name);
        let script = fs::read_to_string(&script).with_context(|| script.display().to_string())?;
        // The types of what wasm-bindgen writes are its own affair.
        fs::write(folder.join(name), format!("// @ts-nocheck\n{script}"))?;
        let module = bound.join(self.module());
        let mut bytes = fs::read(&module).with_context(|| module.display().to_string())?;
        wasm::add_section(&mut bytes, SECTION, self.digest(&steps.root)?.as_bytes());
        fs::write(folder.join(self.module()), &bytes)?;
        println!("{}: {} bytes", self.module(), bytes.len());
        println!("{} bytes with gzip", wasm::compressed(&bytes)?);
        Ok(())
    }

    /// A number for the code that is compiled. Comments, empty lines and indentation do not count:
    /// they change nothing in a module.
    fn digest(&self, root: &Path) -> io::Result<String> {
        let mut files = Vec::new();
        for folder in self.sources {
            rust_files(root, Path::new(folder), &mut files)?;
        }
        files.retain(|file| self.except.is_none_or(|except| file != Path::new(except)));
        files.sort();
        // FNV-1a, whose result is the same on every machine and with every compiler.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |text: &str| {
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for file in files {
            let text = fs::read_to_string(root.join(&file))?;
            let lines = text.lines().map(str::trim);
            lines
                .filter(|line| !line.is_empty() && !line.starts_with("//"))
                .for_each(&mut add);
        }
        Ok(format!("{hash:016x}"))
    }
}

/// The section of a module that has the digest of its sources.
const SECTION: &str = "sources";

/// The Rust files of a folder and of those in it, relative to the root.
fn rust_files(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            rust_files(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_that_is_kept_was_compiled_from_these_sources() {
        let root = Steps::new().unwrap().root.clone();
        for kept in ALL {
            let module = fs::read(kept.folder(&root).join(kept.module())).unwrap();
            let digest = kept.digest(&root).unwrap();
            assert_eq!(
                wasm::section(&module, SECTION),
                Some(digest.as_bytes()),
                "its sources have changed: cargo xtask {}",
                kept.package
            );
        }
    }

    #[test]
    fn code_counts_and_comments_do_not() {
        let root = tempfile();
        let kept = Kept {
            package: "example",
            sources: &["src"],
            except: Some("src/data.rs"),
        };
        let digest_with = |path: &str, text: &str| {
            let path = root.join("src").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            kept.digest(&root).unwrap()
        };
        let first = digest_with("lib.rs", "fn one() {\n    two();\n}\n");
        let same = "//! About.\n\nfn one() {\n    // Why.\n        two();\n}\n";
        assert_eq!(digest_with("lib.rs", same), first);
        assert_eq!(digest_with("data.rs", "const ONE: u8 = 1;"), first);
        assert_eq!(digest_with("notes.md", "words"), first);
        assert_ne!(digest_with("inner/mod.rs", "fn three() {}"), first);
        let other = digest_with("lib.rs", "fn one() { three(); }");
        assert_ne!(other, digest_with("lib.rs", "fn one() { four(); }"));
        fs::remove_dir_all(root).unwrap();
    }

    fn tempfile() -> PathBuf {
        let name = format!("xtask-kept-{}", std::process::id());
        std::env::temp_dir().join(name)
    }
}
