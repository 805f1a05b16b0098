//! The HTTP/2 push server beside the book. It has TLS, and so a port of its own.

use crate::limits::PUSH_CONNECTIONS;
use http2_push::{identity::Identity, panel::Running};
use serving::{command, Allowed, Config, Ending, HostName};
use std::{future::Future, io};
use tokio::net::TcpListener;

/// A push server on `listener` that also answers for `names`: what the panel has to know of it, and
/// what serves until `ending` begins.
///
/// # Errors
/// If no certificate can be made.
pub fn server(
    listener: TcpListener,
    names: &[HostName],
    ending: Ending,
) -> io::Result<(Running, impl Future<Output = io::Result<()>> + Send)> {
    let address = listener.local_addr()?;
    let certified = names.iter().map(ToString::to_string);
    let identity =
        Identity::new(certified.chain([address.ip().to_string()])).map_err(io::Error::other)?;
    let running = Running {
        address: command::url("https", address)
            .parse()
            .map_err(io::Error::other)?,
        trust: identity.trust(),
    };
    let config = http2_push::Config {
        allowed: Allowed {
            hosts: names.to_vec(),
            ..Allowed::default()
        },
        ..http2_push::Config::default()
    };
    let edge = Config {
        max_connections: PUSH_CONNECTIONS,
        ..Config::default()
    };
    let serving = http2_push::serve(listener, identity, config, edge, ending);
    Ok((running, serving))
}
