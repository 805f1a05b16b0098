//! The SSE server alone: `cargo run -p sse -- --port 4100 --rate 2`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    method::run(sse::METHOD).await
}
