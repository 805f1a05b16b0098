//! A push server on a port of its own.

// Each test program uses a part of it.
#![allow(dead_code)]

use http::Uri;
use http2_push::{
    client::{self, ClientError, Session},
    identity::Identity,
    Config,
};
use serving::Ending;
use std::io;
use tokio::{net::TcpListener, task::JoinHandle};

pub struct PushServer {
    /// `https` with the real port, and `/` for its path.
    pub address: Uri,
    pub identity: Identity,
    pub ending: Ending,
    pub serving: JoinHandle<io::Result<()>>,
}

impl PushServer {
    pub async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let identity = Identity::new([]).expect("a certificate");
        let ending = Ending::new();
        let edge = serving::Config::default();
        let serving =
            http2_push::serve(listener, identity.clone(), config, edge, ending.clone());
        Self {
            address: format!("https://{address}/").parse().expect("an address"),
            identity,
            ending,
            serving: tokio::spawn(serving),
        }
    }

    /// A session of this crate's client with it.
    pub async fn session(&self, accept_push: bool) -> Session {
        let config = client::Config {
            accept_push,
            ..client::Config::default()
        };
        self.connect(config).await.expect("a session")
    }

    pub async fn connect(
        &self,
        config: client::Config,
    ) -> Result<Session, ClientError> {
        Session::connect(&self.address, &self.identity.trust(), config).await
    }
}
