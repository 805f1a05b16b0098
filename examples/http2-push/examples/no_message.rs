// ANCHOR: all
//! A server that tries to tell its client some news by a push.

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{Request, Response, Uri};
use http2_push::client::{Config, Session, Source};
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
    while let Some(accepted) = connection.accept().await {
        let (_request, mut respond) = accepted?;
        push(&mut respond, "/news/18", b"event 18")?;
        respond.send_response(Response::new(()), true)?;

        // The request has its answer. From here on there is nothing that a push could belong to.
        let late = push(&mut respond, "/news/19", b"event 19");
        assert!(late.is_err());
    }
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = duplex(64 * 1024);
    let server = tokio::spawn(serve(theirs));
    let address: Uri = "https://book.example/".parse()?;
    let mut session = Session::over(ours, &address, Config::default()).await?;
    session.get("/").await?;

    // The news has arrived, and nobody was told. It lies in a cache, under a path.
    assert_eq!(session.unasked().collect::<Vec<_>>(), ["/news/18"]);

    // Only who already knows the path, and asks for it, gets it. That is a poll.
    let news = session.get("/news/18").await?;
    assert_eq!(news.source, Source::Pushed);
    assert_eq!(news.answer.body, "event 18");

    drop(session);
    server.await??;
    Ok(())
}
// ANCHOR_END: client
// ANCHOR_END: all
