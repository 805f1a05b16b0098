//! What goes over a connection, shown to the worker's script.

use axum::{body::Body, response::Response};
use http::{HeaderMap, Request};
use js_sys::{Function, Uint8Array};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasm_bindgen::JsValue;

/// Whom it is shown: nobody, or a function of `up` or `down` and bytes.
#[derive(Clone, Debug)]
pub(crate) struct Seen(pub(crate) Option<Function>);

impl Seen {
    fn up(&self, bytes: &[u8]) {
        self.show("up", bytes);
    }

    fn down(&self, bytes: &[u8]) {
        self.show("down", bytes);
    }

    fn show(&self, way: &str, bytes: &[u8]) {
        if let Some(function) = self.0.as_ref().filter(|_| !bytes.is_empty()) {
            let bytes = Uint8Array::from(bytes);
            // It only keeps them.
            let _ = function.call2(&JsValue::NULL, &way.into(), &bytes);
        }
    }

    /// The head of a request that the server reads, written out as HTTP/1.1 has it: here no bytes
    /// carry it.
    pub(crate) fn request(&self, request: &Request<Body>) {
        let first = format!("{} {} HTTP/1.1", request.method(), request.uri());
        self.up(&written(&first, request.headers()));
    }

    /// The same for its answer.
    pub(crate) fn response(&self, response: &Response) {
        let first = format!("HTTP/1.1 {}", response.status());
        self.down(&written(&first, response.headers()));
    }
}

fn written(first: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut bytes = first.as_bytes().to_vec();
    for (name, value) in headers {
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) struct SeenIo<I> {
    io: I,
    seen: Seen,
}

impl<I> SeenIo<I> {
    pub(crate) fn new(io: I, seen: Seen) -> Self {
        Self { io, seen }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for SeenIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.seen.down(&buffer.filled()[before..]);
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for SeenIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.seen.up(&bytes[..count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
