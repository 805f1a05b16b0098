//! HTTP/1.1 without TLS, for clients that know none.

use std::net::{Ipv4Addr, SocketAddr};
use tls::{Protocol, Trust};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use url::Url;

/// Takes connections without TLS, and passes each on over one of its own to the proxy,
/// with TLS and with HTTP/1.1 agreed on.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Door {
    pub(crate) async fn to(proxy: SocketAddr, trust: &Trust) -> anyhow::Result<Self> {
        let connector = trust.connector(&[Protocol::Http1])?;
        let name = tls::server_name(&proxy.ip().to_string())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let (connector, name) = (connector.clone(), name.clone());
                connections.spawn(async move {
                    let stream = TcpStream::connect(proxy).await?;
                    // What a client sends in pieces goes on in pieces.
                    stream.set_nodelay(true)?;
                    client.set_nodelay(true)?;
                    let mut stream = connector.connect(name, stream).await?;
                    copy_bidirectional(&mut client, &mut stream).await
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of what lies behind it.
    pub fn base(&self) -> Url {
        let base = format!("http://{}/", self.address);
        base.parse().expect("an address is a URL's host")
    }
}

impl From<&Door> for SocketAddr {
    fn from(door: &Door) -> Self {
        door.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
