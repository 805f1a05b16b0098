//! What a server uses of hyper and hyper-util once a connection is upgraded, in a
//! browser.
//!
//! Nothing there reads HTTP from a socket, and hyper has no way to make an upgraded
//! connection of anything else. Here it is bytes in memory, under the same names:
//!
//! ```ignore
//! #[cfg(target_family = "wasm")]
//! extern crate hyper_browser as hyper;
//! #[cfg(target_family = "wasm")]
//! extern crate hyper_browser as hyper_util;
//! ```
//!
//! On other targets the crate is empty.
#![cfg(target_family = "wasm")]

/// As `hyper::ext`.
pub mod ext {
    /// The `:protocol` of an HTTP/2 request. In a browser there is no such request.
    #[derive(Clone, Copy, Debug)]
    pub enum Protocol {}

    impl Protocol {
        /// Its name.
        pub fn as_str(&self) -> &str {
            match *self {}
        }
    }
}

/// As `hyper::upgrade`.
pub mod upgrade {
    use std::{
        future::{ready, IntoFuture, Ready},
        sync::{Arc, Mutex, PoisonError},
    };
    use tokio::io::DuplexStream;

    /// An upgraded connection: bytes in memory.
    pub type Upgraded = DuplexStream;

    /// The connection of a request that asks for an upgrade.
    #[derive(Clone, Debug)]
    pub struct OnUpgrade(Arc<Mutex<Option<Upgraded>>>);

    impl OnUpgrade {
        /// What an upgrade will find.
        pub fn to(connection: Upgraded) -> Self {
            Self(Arc::new(Mutex::new(Some(connection))))
        }
    }

    /// It was upgraded already.
    #[derive(Clone, Copy, Debug)]
    pub struct Taken;

    impl IntoFuture for OnUpgrade {
        type Output = Result<Upgraded, Taken>;
        type IntoFuture = Ready<Self::Output>;

        fn into_future(self) -> Self::IntoFuture {
            let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            ready(connection.take().ok_or(Taken))
        }
    }
}

/// As `hyper_util::rt`.
pub mod rt {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// Between the traits of hyper and those of tokio. Here there are those of tokio
    /// alone.
    #[derive(Debug)]
    pub struct TokioIo<T>(T);

    impl<T> TokioIo<T> {
        /// Around this.
        pub fn new(io: T) -> Self {
            Self(io)
        }
    }

    impl<T: AsyncRead + Unpin> AsyncRead for TokioIo<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl<T: AsyncWrite + Unpin> AsyncWrite for TokioIo<T> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}
