//! `cargo run` at the workspace's root: the book and its live servers on one port.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match site::cli::run(std::env::args_os()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
