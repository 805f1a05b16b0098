// ANCHOR: all
//! A server that tries to tell its client some news by a push.

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{Request, Response, Uri};
use http2_push::{
    client::{Config, Session, Source},
    recording::Recording,
};
use std::error::Error;
use tokio::io::{duplex, DuplexStream};

// ANCHOR: push
/// Pushes `news` under this path, if the request is still open.
fn push(
    respond: &mut SendResponse<Bytes>,
    path: &str,
    news: &'static [u8],
) -> Result<(), h2::Error> {
    let promised = Request::get(format!("https://book.example{path}")).body(());
    let mut pushed = respond.push_request(promised.expect("an address"))?;
    let mut body = pushed.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from_static(news), true)
}
// ANCHOR_END: push

// ANCHOR: server
async fn serve(io: DuplexStream) -> Result<(), h2::Error> {
    let mut connection = server::handshake(io).await?;
    let mut answered: Option<SendResponse<Bytes>> = None;
    while let Some(accepted) = connection.accept().await {
        let (_request, mut respond) = accepted?;
        match &mut answered {
            None => push(&mut respond, "/news/18", b"event 18")?,
            // The first request has had its answer long ago. The library sends this all
            // the same.
            Some(first) => push(first, "/news/19", b"event 19")?,
        }
        respond.send_response(Response::new(()), true)?;
        answered = Some(respond);
    }
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::spawn(serve(theirs));
    let address: Uri = "https://book.example/".parse()?;
    let mut session = Session::over(ours, &address, Config::default()).await?;
    session.get("/").await?;

    // The news has arrived, and nobody was told. It lies in a cache, under a path.
    assert_eq!(session.unasked().collect::<Vec<_>>(), ["/news/18"]);

    // Only who knows the path already, and asks for it, gets it. That is a poll.
    let news = session.get("/news/18").await?;
    assert_eq!(news.source, Source::Pushed);
    assert_eq!(news.answer.body, "event 18");
    // ANCHOR_END: client

    // ANCHOR: late
    // And a push that belongs to no open request breaks the connection. The client's
    // last frame says why.
    let broken = session.get("/").await;
    assert!(broken.is_err());
    let recording = session.recording();
    let goodbye = |seen: &Recording| seen.to_string().contains("client GOAWAY");
    recording.until(goodbye).await;
    assert!(recording.to_string().contains("PROTOCOL_ERROR"));
    // ANCHOR_END: late
    Ok(())
}
// ANCHOR_END: all
