//! How a server shows that it has understood a handshake (RFC 6455 §4.2.2).

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

fn main() {
    // Base64 of the SHA-1 of the key and a fixed text behind it.
    let accept = derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
