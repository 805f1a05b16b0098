// ANCHOR: all
//! A first answer, 103, that names what the page will need, and a client that uses the
//! time.

use bytes::Bytes;
use h2::{client, server};
use http::{Request, Response, StatusCode};
use std::{error::Error, future::poll_fn};
use tokio::io::{duplex, DuplexStream};

// ANCHOR: server
async fn serve(io: DuplexStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = server::handshake(io).await?;
    let (_request, mut page) = connection.accept().await.ok_or("no request")??;
    let hint = Response::builder()
        .status(StatusCode::EARLY_HINTS)
        .header("link", "</style.css>; rel=preload; as=style");
    page.send_informational(hint.body(())?)?;

    // The page is not ready. What comes first is the request for its style sheet.
    let (request, mut style) =
        connection.accept().await.ok_or("no second request")??;
    assert_eq!(request.uri().path(), "/style.css");
    let mut body = style.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from_static(b"p { color: teal }"), true)?;

    let mut body = page.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from_static(b"<link href=style.css>"), true)?;
    // Nothing more will be asked; this writes what is left.
    while connection.accept().await.is_some() {}
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
    let hint = poll_fn(|cx| page.poll_informational(cx)).await;
    let hint = hint.ok_or("no hint")??;
    assert_eq!(hint.status(), 103);
    assert_eq!(
        hint.headers()["link"],
        "</style.css>; rel=preload; as=style"
    );

    // The client asks, if it wants to. One that has the style sheet already does not.
    let wanted = Request::get("https://book.example/style.css").body(())?;
    let (style, _) = send.send_request(wanted, true)?;
    assert_eq!(style.await?.status(), 200);
    assert_eq!(page.await?.status(), 200);
    Ok(())
}
// ANCHOR_END: client
// ANCHOR_END: all
