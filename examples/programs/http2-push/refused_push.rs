// ANCHOR: all
//! A client that takes no pushes, as every browser of today is one.

use bytes::Bytes;
use h2::{client, server};
use http::{Request, Response};
use std::error::Error;
use tokio::io::{duplex, DuplexStream};

async fn serve(io: DuplexStream) -> Result<(), h2::Error> {
    let mut connection = server::handshake(io).await?;
    while let Some(accepted) = connection.accept().await {
        let (_request, mut respond) = accepted?;
        // ANCHOR: ignored
        let promised = Request::get("https://book.example/style.css").body(());
        match respond.push_request(promised.expect("an address")) {
            Ok(_) => unreachable!("the client has said that it takes none"),
            // Nothing was sent. The page has to work without it, and does.
            Err(error) => assert!(error.to_string().contains("disabled server push")),
        }
        let mut page = respond.send_response(Response::new(()), false)?;
        page.send_data(Bytes::from_static(b"<link href=style.css>"), true)?;
        // ANCHOR_END: ignored
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::spawn(serve(theirs));
    // ANCHOR: client
    let mut builder = client::Builder::new();
    let (mut send, connection) = builder
        .enable_push(false)
        .handshake::<_, Bytes>(ours)
        .await?;
    // ANCHOR_END: client
    tokio::spawn(connection);

    let asked = Request::get("https://book.example/").body(())?;
    let (page, _) = send.send_request(asked, true)?;
    let mut body = page.await?.into_body();
    let first = body.data().await.ok_or("no body")??;
    assert_eq!(first, "<link href=style.css>");
    Ok(())
}
// ANCHOR_END: all
