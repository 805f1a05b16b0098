// ANCHOR: all
//! The server of this chapter, and a client that takes its pushes.

use http2_push::{
    client::{self, Session, Source},
    identity::Identity,
    Config,
};
use serving::Ending;
use std::error::Error;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: server
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let identity = Identity::new([])?;
    let trust = identity.trust();
    let ending = Ending::new();
    let edge = serving::Config::default();
    let serving =
        http2_push::serve(listener, identity, Config::default(), edge, ending.clone());
    let serving = tokio::spawn(serving);
    // ANCHOR_END: server

    // ANCHOR: client
    let address = format!("https://{address}/").parse()?;
    let mut session =
        Session::connect(&address, &trust, client::Config::default()).await?;
    let page = session.get("/").await?;
    assert_eq!(page.source, Source::Asked);
    assert_eq!(page.pushed, ["/style.css", "/script.js"]);

    // Asked for, and found in what was pushed: no frame leaves the client.
    let style = session.get("/style.css").await?;
    assert_eq!(style.source, Source::Pushed);
    assert_eq!(session.recording().asked(), ["/"]);
    // ANCHOR_END: client

    drop(session);
    ending.begin();
    serving.await??;
    Ok(())
}
// ANCHOR_END: all
