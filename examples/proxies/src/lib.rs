//! nginx, HAProxy and Caddy in front of every method of the book.
//!
//! The folders `nginx`, `haproxy` and `caddy` hold the configurations that the book
//! shows: one as it is first written, and the shortest that is right. This library
//! starts a proxy from such a file, with the file's address, certificate and server
//! replaced by a test's own, and nothing else.
//!
//! ```no_run
//! use proxies::{Configuration, Program, Proxy};
//!
//! # async fn run(server: std::net::SocketAddr) -> anyhow::Result<()> {
//! let configuration = Configuration::right(Program::Nginx).to(server);
//! let proxy = Proxy::start(configuration).await?;
//! let door = proxy.door().await?;
//! println!("HTTP/1.1 without TLS, for a client that knows none: {}", door.base());
//! # Ok(())
//! # }
//! ```

mod configuration;
mod door;
mod process;

pub use configuration::{Configuration, Program};
pub use door::Door;
pub use process::Proxy;
