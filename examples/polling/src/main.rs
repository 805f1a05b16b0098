//! The polling server alone: `cargo run -p polling -- --port 4101 --rate 2`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    method::run(polling::METHOD).await
}
