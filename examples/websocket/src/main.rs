//! The WebSocket server alone: `cargo run -p websocket -- --port 4103 --rate 2`.

fn main() {}
