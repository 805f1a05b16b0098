// ANCHOR: all
//! The smallest push: `h2` on both ends of a pipe in memory, without TLS and without
//! limits.

use bytes::Bytes;
use h2::{client, server, RecvStream};
use http::{Request, Response};
use std::error::Error;
use tokio::io::{duplex, DuplexStream};

// ANCHOR: server
/// Answers every request with a page, and pushes the page's style sheet along.
async fn serve(io: DuplexStream) -> Result<(), h2::Error> {
    let mut connection = server::handshake(io).await?;
    while let Some(accepted) = connection.accept().await {
        let (_request, mut respond) = accepted?;

        // The request that the client has not made, and the answer to it.
        let promised = Request::get("https://book.example/style.css").body(());
        let mut pushed = respond.push_request(promised.expect("an address"))?;
        let mut style = pushed.send_response(Response::new(()), false)?;
        style.send_data(Bytes::from_static(b"p { color: teal }"), true)?;

        // The answer to the request that it has made.
        let mut page = respond.send_response(Response::new(()), false)?;
        page.send_data(Bytes::from_static(b"<link href=style.css>"), true)?;
    }
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::spawn(serve(theirs));
    let (mut send, connection) = client::handshake(ours).await?;
    tokio::spawn(connection);

    let asked = Request::get("https://book.example/").body(())?;
    let (mut page, _) = send.send_request(asked, true)?;
    let mut promises = page.push_promises();

    let promise = promises.push_promise().await.ok_or("no promise")??;
    let (request, style) = promise.into_parts();
    assert_eq!(request.uri().path(), "/style.css");
    assert_eq!(text(style.await?).await?, "p { color: teal }");
    assert_eq!(text(page.await?).await?, "<link href=style.css>");
    Ok(())
}
// ANCHOR_END: client

async fn text(response: Response<RecvStream>) -> Result<String, Box<dyn Error>> {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(text)?)
}
// ANCHOR_END: all
