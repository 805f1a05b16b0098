//! The opening handshake, from the client's side (RFC 6455 §4.1).
//!
//! By the HTTP client that the other methods use, and handed to tungstenite once it is
//! open. tungstenite can shake hands itself, but of a refusal it shows only as much
//! of the body as came in one piece with the head, and no chunked body at all; and
//! the body says what is wrong.

use crate::{Error, MAX_BODY_BYTES};
use reqwest::{
    header::{self, HeaderMap, HeaderName},
    RequestBuilder, Response, StatusCode, Upgraded,
};
use tokio_tungstenite::{
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
    WebSocketStream,
};

/// An open WebSocket.
pub type Socket = WebSocketStream<Upgraded>;

/// What a request for a WebSocket comes to.
#[derive(Debug)]
pub enum Opened {
    /// A socket, on which the server may have spoken already.
    Socket(Box<Socket>),
    /// An answer of HTTP, with whatever status: no socket.
    Refused(Response),
}

/// Sends `request` as the opening of a WebSocket. With a `subprotocol` it offers this
/// one alone, and the server must choose it.
///
/// # Errors
/// [`Error::Http`] where no answer came, [`Error::Protocol`] where the
/// server says that it opens a WebSocket and breaks its rules.
pub async fn open(
    request: RequestBuilder,
    subprotocol: Option<&'static str>,
) -> Result<Opened, Error> {
    let key = generate_key();
    let mut request = request
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    if let Some(subprotocol) = subprotocol {
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    let response = request.send().await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opened::Refused(response));
    }
    check(response.headers(), &key, subprotocol)?;
    let stream = response.upgrade().await?;
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(limits()));
    Ok(Opened::Socket(Box::new(socket.await)))
}

/// Looks for what the answer must hold beyond its status: the proof that the server has
/// read this request and knows what a WebSocket is, the subprotocol that was asked for,
/// and no extension, since none was.
fn check(
    headers: &HeaderMap,
    key: &str,
    subprotocol: Option<&str>,
) -> Result<(), Error> {
    let is = |name: HeaderName, value: Option<&str>| {
        let found = headers.get(&name).map(|found| found.as_bytes());
        match found == value.map(str::as_bytes) {
            true => Ok(()),
            false => Err(Error::Protocol(format!("101 with a wrong {name}"))),
        }
    };
    let upgrade = headers.get(header::UPGRADE);
    if !upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(Error::Protocol("101 to another protocol".to_owned()));
    }
    let accept = derive_accept_key(key.as_bytes());
    is(header::SEC_WEBSOCKET_ACCEPT, Some(&accept))?;
    is(header::SEC_WEBSOCKET_PROTOCOL, subprotocol)?;
    is(header::SEC_WEBSOCKET_EXTENSIONS, None)
}

/// The size in bytes of a read buffer, allocated at once. tungstenite's default is 128
/// KiB, for which a program with a thousand subscriptions would pay 128 MiB; 8 KiB hold
/// some dozens of usual events.
const READ_BUFFER: usize = 8 * 1024;

/// The size in bytes of the largest message that this client sends: twice what a server
/// of the contract takes.
pub(super) const MAX_SENT: usize = 128 * 1024;

/// How many bytes may wait to be written: one message, its frame's header of at most 14
/// bytes, and a pong or a close of at most 131. tungstenite's default is no limit.
const MAX_WRITE_BUFFER: usize = MAX_SENT + 1024;

/// Every limit of a socket.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // Each message is written at once: a client sends one now and then, and has
        // nothing to gather.
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        // As for an answer of HTTP: a server that errs must not fill this machine's
        // memory. The default is 64 MiB.
        .max_message_size(Some(MAX_BODY_BYTES))
        // A message may come in one frame. The default is 16 MiB.
        .max_frame_size(Some(MAX_BODY_BYTES))
        // For servers alone: what they send is never masked. The default, set because
        // it is part of the protocol.
        .accept_unmasked_frames(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// An answer to the key of RFC 6455 §1.3, but for one header.
    fn answer(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "WebSocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "waiting.v1"),
            (name, value),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_answer_must_prove_itself() {
        let ours = Some("waiting.v1");
        assert!(check(&answer("server", "x"), KEY, ours).is_ok());
        for (name, value) in [
            ("upgrade", "h2c"),
            ("sec-websocket-accept", "c3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "waiting.v2"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ] {
            assert!(check(&answer(name, value), KEY, ours).is_err(), "{name}");
        }
        assert!(check(&answer("server", "x"), KEY, None).is_err());
        for name in ["upgrade", "sec-websocket-accept", "sec-websocket-protocol"] {
            let mut headers = answer("server", "x");
            headers.remove(name);
            assert!(check(&headers, KEY, ours).is_err(), "{name}");
        }
    }
}
