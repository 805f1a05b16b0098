//! What cargo does with the build script's instructions: it runs it again after an edit of a
//! listing, and only then. A small package whose build script is this package's program, and the
//! real cargo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const BUILD_SCRIPT: &str = r#"
use std::{env, fs, io::Write, process::Command};
fn main() {
    let mut runs = fs::File::options().append(true).create(true).open("runs.txt").unwrap();
    writeln!(runs, "{}", env::var("OUT_DIR").unwrap()).unwrap();
    let status = Command::new(env::var("SNIPPETS").unwrap()).args(["build", "book"]).status();
    assert!(status.unwrap().success());
}
"#;

struct Package {
    directory: PathBuf,
}

impl Package {
    fn write(&self, path: &str, text: &str) {
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, text).expect("written");
    }

    /// Builds the package; returns how often its build script has run so far, and the tests it
    /// left.
    fn build(&self) -> (usize, String) {
        let output = self.cargo();
        assert!(output.0, "{}", output.1);
        let runs = fs::read_to_string(self.directory.join("runs.txt")).expect("it ran");
        let out = runs.lines().last().expect("it ran");
        let tests = fs::read_to_string(Path::new(out).join("book-tests.rs")).expect("tests");
        (runs.lines().count(), tests)
    }

    /// When the tests were last written.
    fn tests_modified(&self) -> SystemTime {
        let runs = fs::read_to_string(self.directory.join("runs.txt")).expect("it ran");
        let out = Path::new(runs.lines().last().expect("it ran"));
        let tests = fs::metadata(out.join("book-tests.rs")).expect("tests");
        tests.modified().expect("a time")
    }

    /// Whether cargo succeeded, and what it said.
    fn cargo(&self) -> (bool, String) {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--offline"])
            .current_dir(&self.directory)
            .env("SNIPPETS", env!("CARGO_BIN_EXE_snippets"))
            // A target directory of its own, whatever the outer cargo was told.
            .env("CARGO_TARGET_DIR", self.directory.join("target"))
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }
}

#[test]
fn an_edited_listing_is_tested_again_and_nothing_else_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let package = Package {
        directory: directory.path().to_owned(),
    };
    package.write(
        "Cargo.toml",
        "[package]\nname = \"small\"\nedition = \"2021\"\n[workspace]\n",
    );
    package.write("build.rs", BUILD_SCRIPT);
    package.write("src/lib.rs", "");
    package.write("book/src/SUMMARY.md", "# Summary\n\n- [One](one.md)\n");
    let include =
        "<p class=\"listing\">code/listing.rs</p>\n\n```rust\n{{#include ../code/listing.rs}}\n```\n";
    package.write("book/src/one.md", include);
    package.write("book/code/listing.rs", "fn main() { assert!(1 < 2); }\n");
    package.write("book/code/other.rs", "fn main() {}\n");

    let (runs, tests) = package.build();
    assert_eq!(runs, 1);
    assert!(tests.contains("assert!(1 < 2)"), "{tests}");
    assert_eq!(package.build().0, 1, "nothing has changed");

    package.write("book/code/listing.rs", "fn main() { assert!(2 < 3); }\n");
    let (runs, tests) = package.build();
    assert_eq!(runs, 2, "the listing has changed");
    assert!(tests.contains("assert!(2 < 3)"), "{tests}");
    assert_eq!(package.build().0, 2, "nothing has changed since");

    package.write("book/code/other.rs", "fn main() { }\n");
    assert_eq!(package.build().0, 2, "nothing includes that file");

    package.write("book/src/one.md", &format!("# One\n\n{include}"));
    let (runs, tests) = package.build();
    assert_eq!(runs, 3, "the chapter has changed");
    assert!(tests.contains("src/one.md:5"), "{tests}");
    assert_eq!(package.build().0, 3, "nothing has changed since");

    package.write("book/src/one.md", &format!("# One\n\n{include}"));
    let before = package.tests_modified();
    assert_eq!(package.build().0, 4, "the chapter was saved again");
    let after = package.tests_modified();
    assert_eq!(after, before, "what has not changed is not written");

    fs::remove_file(package.directory.join("book/code/listing.rs")).expect("removed");
    let (succeeded, said) = package.cargo();
    assert!(!succeeded, "{said}");
    assert!(said.contains("src/one.md:6: cannot include"), "{said}");
}
