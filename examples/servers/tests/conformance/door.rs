//! What stands before the servers, as a balancer does: each connection goes to the
//! next.

use contract::Position;
use feed::{Feed, ReadError};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A way to a server.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    /// The log as this server has it. A connection waits until that is all of it, or a
    /// case that asks for the latest would have to guess how far which server is.
    /// `None` where a case has said how far.
    pub(crate) feed: Option<Feed>,
}

/// Listens on a free port, until it is dropped.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    ways: Arc<Mutex<Ways>>,
    accepting: JoinHandle<()>,
}

struct Ways {
    all: Vec<Way>,
    next: usize,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Door {
    pub(crate) async fn open(all: Vec<Way>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ways = Arc::new(Mutex::new(Ways { all, next: 0 }));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&ways)));
        Ok(Self {
            address,
            ways,
            accepting,
        })
    }

    /// From now on connections lead to these.
    pub(crate) fn lead_to(&self, all: Vec<Way>) {
        lock(&self.ways).all = all;
    }
}

fn lock(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, ways: Arc<Mutex<Ways>>) {
    while let Ok((client, _)) = listener.accept().await {
        let way = {
            let mut ways = lock(&ways);
            ways.next += 1;
            ways.all[ways.next % ways.all.len()].clone()
        };
        tokio::spawn(pass(client, way));
    }
}

/// Waits until a window has what the log has.
pub(crate) async fn level(feed: &Feed) -> Result<(), ReadError> {
    let end = feed.end().await?;
    feed.reach(Position::After(end)).await
}

/// A connection that is not passed is closed, and its client comes again.
async fn pass(mut client: TcpStream, Way { address, feed }: Way) {
    if let Some(feed) = feed {
        if level(&feed).await.is_err() {
            return;
        }
    }
    if let Ok(mut server) = TcpStream::connect(address).await {
        copy_bidirectional(&mut client, &mut server).await.ok();
    }
}
