//! The program, from its command line to its exit code.

use harness::Server;
use std::process::{Output, Stdio};
use testbed::{golden, in_time};
use tokio::process::Command;

async fn conformance(arguments: &[&str]) -> Output {
    let running = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = in_time("the end of the program", running).await;
    output.expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

async fn sse_server() -> Server {
    let feed = harness::still_feed(10_000);
    Server::start(feed, |feed, ending| {
        sse::router(feed, Default::default(), ending)
    })
    .await
}

#[tokio::test]
async fn a_case_without_its_hook_is_not_tried_and_fails_nothing() {
    let server = sse_server().await;
    let base = server.base();
    let output = conformance(&[
        "sse",
        base.as_str(),
        "--case",
        "a_stream_opens_with_hello",
        "--case",
        "nothing_is_lost_or_doubled_across_cuts",
        "--case",
        "a_shutdown_ends_the_stream_on_purpose",
    ])
    .await;
    assert!(output.status.success(), "{output:?}");
    let table = text(&output.stdout);
    let table = table.replace(base.as_str(), "http://127.0.0.1:4100/");
    golden!("table.txt", &table);
}

#[tokio::test]
async fn a_case_that_fails_is_in_the_exit_code_and_in_the_json() {
    // No server of WebSocket.
    let server = sse_server().await;
    let base = server.base();
    let output = conformance(&[
        "websocket",
        base.as_str(),
        "--json",
        "--case",
        "a_text_that_is_no_message",
        "--case",
        "an_unknown_path",
        "--case",
        "a_finished_log_closes",
    ])
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (member, expected) in [("passed", 1), ("failed", 1), ("not_tried", 1)] {
        assert_eq!(json[member], expected, "{json}");
    }
    let failed = |case: &&serde_json::Value| case["verdict"] == "failed";
    let cases = json["cases"].as_array().expect("a list");
    let case = cases.iter().find(failed).expect("one that failed");
    assert_eq!(case["name"], "a_text_that_is_no_message_is_an_error");
    let reason = case["reason"].as_str().expect("a text");
    assert!(reason.contains("expected 101"), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_tested_is_an_error() {
    for arguments in [
        &["sse"][..],
        &["sse", "https://example.com/"],
        &["sse", "http://127.0.0.1:1/"],
        &["sse", "http://127.0.0.1:1/", "--stop", "SIGTERM"],
        &["carrier-pigeon", "http://127.0.0.1:1/"],
    ] {
        let output = conformance(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_program_that_prints_no_address_fails_its_cases() {
    let missing = "/nowhere/at-all --port {port}";
    let output =
        conformance(&["sse", "--start", missing, "--case", "a_stream_opens"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let table = text(&output.stdout);
    assert!(table.contains("the start failed"), "{table}");
}
