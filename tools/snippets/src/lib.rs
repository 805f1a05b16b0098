//! Compiles and runs every Rust block of the book as the reader sees it.
