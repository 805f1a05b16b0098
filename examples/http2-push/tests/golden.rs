//! What the book shows: the frames of real exchanges, as this client recorded them.

mod support;

use http2_push::{
    client::{self, Session},
    recording::{Recording, Side},
    Config, Way,
};
use std::time::{Duration, SystemTime};
use support::PushServer;
use testbed::golden;

#[tokio::test]
async fn pushed() {
    golden!("push.txt", &exchange(Way::Push, true).await);
}

#[tokio::test]
async fn refused() {
    golden!("refused.txt", &exchange(Way::Push, false).await);
}

#[tokio::test]
async fn hinted() {
    golden!("early-hints.txt", &exchange(Way::EarlyHints, false).await);
}

/// The frames of a request for a page, and of one for each part that was not pushed.
async fn exchange(way: Way, accept_push: bool) -> String {
    let server = PushServer::start(Config {
        clock: || SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        ..Config::default()
    })
    .await;
    let connected = client::connect(&server.address, &server.identity.trust()).await;
    // Asked for under the port that the book uses, and not under the free one that it
    // has here.
    let address = "https://127.0.0.1:4443/".parse().expect("an address");
    let config = client::Config {
        accept_push,
        ..client::Config::default()
    };
    let session = Session::over(connected.expect("TLS"), &address, config).await;
    let mut session = session.expect("a session");
    session.get(way.folder()).await.expect("the page");
    for path in way.parts() {
        session.get(&path).await.expect("a part");
    }
    told(session.recording())
}

/// The frames that say something about the page. Left out are the acknowledgements and
/// the server's own settings, whose place among the others is a matter of chance.
fn told(recording: &Recording) -> String {
    let frames = recording.frames();
    let kept = frames.iter().filter(|(side, frame)| {
        frame.stream != 0 || (*side == Side::Client && !frame.is_ack())
    });
    kept.map(|(side, frame)| format!("{side} {frame}\n"))
        .collect()
}
