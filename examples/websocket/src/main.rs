//! The WebSocket server alone: `cargo run -p websocket -- --port 4103 --rate 2`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    method::run_variant(websocket::VARIANTS).await
}
