//! The server that a test of faults starts: its settings are JSON, the one argument.

use std::process::ExitCode;

fn main() -> ExitCode {
    let settings = std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned());
    let served = async { faults::serve(serde_json::from_str(&settings)?).await };
    let runtime = testbed::seeded::runtime().expect("a runtime");
    match runtime.block_on(served) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => serving::command::fail("faults", error),
    }
}
