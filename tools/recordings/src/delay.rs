//! A line with a round trip: a relay that holds bytes back for half of it, or from some moment on
//! for ever.
//!
//! It ends TCP on both sides, so what is slow is what a program sends, and not the handshake of
//! TCP: the recordings begin after that.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep_until, Instant},
};

/// The pieces that are on their way at most; then the sender has to wait.
const ON_THE_WAY: usize = 64;

/// A relay to one server, until it is dropped.
#[derive(Debug)]
pub struct Delay {
    address: SocketAddr,
    frozen: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Delay {
    /// A relay on a free port of the loopback interface, which holds bytes back for `one_way` in
    /// each direction.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn to(server: SocketAddr, one_way: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let frozen = watch::Sender::new(());
        let freezes = frozen.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let freezes = freezes.subscribe();
                tokio::spawn(async move {
                    // A client whose server cannot be had sees that its connection ends.
                    let _ = pass(client, server, one_way, freezes).await;
                });
            }
        });
        Ok(Self {
            address,
            frozen,
            accepting,
        })
    }

    /// From now on nothing more comes over any connection that is there, in either direction, and
    /// none of them ends. What is opened later is not touched.
    pub fn freeze(&self) {
        self.frozen.send_replace(());
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    one_way: Duration,
    mut freezes: watch::Receiver<()>,
) -> io::Result<()> {
    let mut upstream = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = upstream.split();
    let passed = async {
        tokio::try_join!(
            hold(from_client, to_server, one_way),
            hold(from_server, to_client, one_way),
        )
    };
    tokio::select! {
        passed = passed => passed.map(drop),
        // Dropped with what it holds. Both ends stay open, and unread.
        Ok(()) = freezes.changed() => std::future::pending().await,
    }
}

async fn hold(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    one_way: Duration,
) -> io::Result<()> {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            let due = Instant::now() + one_way;
            // The writer is gone only where its side is.
            if read == 0 || send.send((due, buffer[..read].to_vec())).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = receive.recv().await {
            sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_arrives_whole_and_not_before_its_time() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let one_way = Duration::from_millis(20);
        let server = listener.local_addr().unwrap();
        let relay = Delay::to(server, one_way).await.unwrap();
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let begin = Instant::now();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = Vec::new();
        server.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        assert!(begin.elapsed() >= one_way);
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
        assert!(begin.elapsed() >= 2 * one_way);
    }
    #[tokio::test]
    async fn what_is_frozen_neither_comes_nor_ends() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Delay::to(listener.local_addr().unwrap(), Duration::ZERO)
            .await
            .unwrap();
        let pair = async || {
            let client = TcpStream::connect(relay.address()).await.unwrap();
            (client, listener.accept().await.unwrap().0)
        };
        let (mut client, mut server) = pair().await;
        client.write_all(b"1").await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        relay.freeze();
        let (mut later, mut beside) = pair().await;
        client.write_all(b"2").await.unwrap();
        drop(client);
        // What is opened later passes, and by then the other would have come.
        later.write_all(b"3").await.unwrap();
        beside.read_exact(&mut [0]).await.unwrap();
        let mut byte = [0];
        let nothing = tokio::time::timeout(Duration::from_millis(20), server.read(&mut byte));
        assert!(nothing.await.is_err());
    }
}
