//! Between a socket's client and its server: bytes that go both ways, until they are
//! cut or stopped.
//!
//! An order is for the connection and not for what a server says on it. So the server
//! gets a connection in memory, and what goes over it is handed on.

use crate::{
    breakable::{Order, Orders},
    FROZEN,
};
use axum::extract::RawPathParams;
use http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{copy_bidirectional, duplex, DuplexStream},
    time::sleep,
};
use waiting::Place;

/// How many bytes are on their way at most, in each direction.
const ON_THE_WAY: usize = 64 * 1024;

/// A connection that is to be upgraded, and its server's end.
pub(crate) struct Between {
    client: OnUpgrade,
    server: DuplexStream,
}

impl Between {
    /// Puts itself in the place of the connection of a request; `None` where that asks
    /// for no upgrade.
    pub(crate) async fn enter(extensions: &mut Extensions) -> Option<Self> {
        let client = extensions.remove::<OnUpgrade>()?;
        let (upgrade, server) = upgraded().await?;
        extensions.insert(upgrade);
        Some(Self { client, server })
    }

    /// Hands on what is sent, until one side ends or an order comes. Then the place is
    /// free.
    pub(crate) fn run(
        mut self,
        orders: &Orders,
        params: &RawPathParams,
        place: Option<Place>,
    ) {
        let order = orders.next(params);
        tokio::spawn(async move {
            // An error says that the connection ended before the answer was out.
            let Ok(client) = self.client.await else {
                return;
            };
            let mut client = TokioIo::new(client);
            tokio::select! {
                biased;
                order = order => if order == Order::Freeze {
                    sleep(FROZEN).await;
                },
                // An end and an error are one here.
                _ = copy_bidirectional(&mut client, &mut self.server) => {}
            }
            drop(place);
        });
    }
}

/// What a request carries for its server, and the other end of the connection.
#[cfg(target_family = "wasm")]
async fn upgraded() -> Option<(OnUpgrade, DuplexStream)> {
    let (near, far) = duplex(ON_THE_WAY);
    Some((OnUpgrade::to(near), far))
}

/// hyper alone makes an upgrade. So a client of its own is told that its connection is
/// upgraded, by the shortest answer that says so.
#[cfg(not(target_family = "wasm"))]
async fn upgraded() -> Option<(OnUpgrade, DuplexStream)> {
    use axum::body::Body;
    use http::{header, Request};
    use hyper::client::conn::http1;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let (near, mut far) = duplex(ON_THE_WAY);
    let (mut client, connection) = http1::handshake(TokioIo::new(near)).await.ok()?;
    tokio::spawn(connection.with_upgrades());
    let request = Request::get("/").header(header::CONNECTION, "upgrade");
    let asked = client.send_request(request.body(Body::empty()).ok()?);
    let answered = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await.ok()?);
        }
        let answer =
            b"HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        far.write_all(answer).await.ok()
    };
    let (response, answered) = tokio::join!(asked, answered);
    answered?;
    Some((hyper::upgrade::on(response.ok()?), far))
}
