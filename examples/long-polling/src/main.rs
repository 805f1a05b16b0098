//! The long polling server alone: `cargo run -p long-polling -- --port 4102 --rate 2`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    method::run(long_polling::METHOD).await
}
