//! Every Rust block of the book and of README.md: compiled, linked and run as the reader sees it.

// Written by skeptic.
#![allow(clippy::all)]

// skeptic's tests call `skeptic::rt`. This stands in between: it adds the watchdog, and says which
// block of which chapter a failure is about.
mod skeptic {
    pub(crate) mod rt {
        use snippets::watchdog;

        #[allow(dead_code)] // A test is not generated for a book without Rust.
        pub(crate) fn run_test(root: &str, out: &str, target: &str, text: &str) {
            watchdog::run(&place(), text, watchdog::LIMIT, || {
                ::skeptic::rt::run_test(root, out, target, text);
            });
        }

        #[allow(dead_code)] // Called only if there is a `no_run` block.
        pub(crate) fn compile_test(root: &str, out: &str, target: &str, text: &str) {
            watchdog::run(&place(), text, watchdog::LIMIT, || {
                ::skeptic::rt::compile_test(root, out, target, text);
            });
        }

        // libtest names the thread after the test, except with `--test-threads=1`; there it prints
        // the test's name itself.
        fn place() -> String {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            let found = crate::PLACES.iter().find(|(test, _)| *test == name);
            found.map_or_else(|| name.to_owned(), |(_, place)| (*place).to_owned())
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/book-tests.rs"));
