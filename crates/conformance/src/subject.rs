//! What the suite needs of the server that it tests.

use crate::{Method, Outcome, Relay};
use client::Update;
use contract::{Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::BoxStream,
};
use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::{Host, Url};

/// What a case may need besides an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// The suite starts the server, with a log that is new and settings of its own.
    Start,
    /// It ends the server gracefully.
    Stop,
    /// It completes the log.
    Finish,
    /// It cuts connections, by a relay of its own.
    Cut,
    /// The server is asked by an address of this machine, where other names are not its
    /// own.
    Local,
    /// The server asks who its readers are, and the suite admits and dismisses them.
    Access,
    /// There are several servers over one log, of which the suite holds one back.
    Servers,
}

impl Hook {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Stop,
        Self::Finish,
        Self::Cut,
        Self::Local,
        Self::Access,
        Self::Servers,
    ];

    /// Those that one server alone can have.
    pub fn of_one_server() -> Vec<Self> {
        let mut hooks = Self::ALL.to_vec();
        hooks.retain(|hook| *hook != Self::Servers);
        hooks
    }

    /// The name, for a program to read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Finish => "finish",
            Self::Cut => "cut",
            Self::Local => "local",
            Self::Access => "access",
            Self::Servers => "servers",
        }
    }
}

impl fmt::Display for Hook {
    /// What is missing where it is not there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "needs --start, to have a new log with limits of its own",
            Self::Stop => "needs --stop, to end the server gracefully",
            Self::Finish => "needs --finish, to complete the log",
            Self::Cut => {
                "needs a server that answers for 127.0.0.1, where the relay is"
            }
            Self::Local => "needs a server on this machine",
            Self::Access => {
                "needs a subject in Rust, to admit readers and dismiss them"
            }
            Self::Servers => {
                "needs a subject in Rust with several servers over one log"
            }
        })
    }
}

/// What a case asks of the server that is started for it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest silence that the server allows itself.
    pub heartbeat: Duration,
    /// How many events it keeps.
    pub retention: usize,
    /// Whether the clients of [`Running::subscribe`] can be cut.
    pub relayed: bool,
    /// Whether it asks for a credential, where there is [`Hook::Access`]; else it is
    /// open to everybody.
    pub guarded: bool,
}

/// A server under test.
pub trait Subject: Send + Sync {
    /// What there is besides an address.
    fn hooks(&self) -> Vec<Hook>;

    /// Starts a server, where there is [`Hook::Start`]; else it is the one that runs
    /// already, whatever its settings and its log.
    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Server>, String>>;
}

/// A server that runs. Dropping it ends it, where the suite has started it.
pub trait Server: Send + Sync {
    /// The address under which its routes lie; it ends in `/`.
    fn base(&self) -> &Url;

    /// Asks the server to end, and returns when it has. Called at most once, and only
    /// where there is [`Hook::Stop`].
    fn stop(&self) -> BoxFuture<'_, Outcome>;

    /// Completes the log, where there is [`Hook::Finish`].
    fn finish(&self) -> BoxFuture<'_, Outcome>;

    /// Who decides whom it admits, where there is [`Hook::Access`] and it was asked to
    /// be [guarded](Settings::guarded).
    fn gate(&self) -> Option<&dyn Gate> {
        None
    }

    /// The servers that it consists of, where there is [`Hook::Servers`].
    fn servers(&self) -> Option<&dyn Servers> {
        None
    }
}

/// Several servers over one log. Each connection leads to one of them, but where it is
/// said to which.
pub trait Servers: Send + Sync {
    /// From now on one of them hears nothing of what is published, and connections lead
    /// to that one.
    fn hold_back(&self) -> BoxFuture<'_, Outcome>;

    /// It hears again, also of what it has missed.
    fn let_on(&self) -> BoxFuture<'_, Outcome>;

    /// From now on connections lead to one that has no more than the newest event of
    /// the log in memory.
    fn forget(&self) -> BoxFuture<'_, Outcome>;
}

/// Who is admitted to a server, and what they lose again, as the suite has it.
pub trait Gate: Send + Sync {
    /// Admits somebody new, who may see and publish everything. The answer is their
    /// token, as `Authorization: Bearer TOKEN` has it (RFC 6750 §2.1).
    fn admit(&self) -> BoxFuture<'_, Result<String, String>>;

    /// Takes something away from whoever has this token, at once and for good.
    fn withdraw<'a>(
        &'a self,
        token: &'a str,
        what: Withdrawn,
    ) -> BoxFuture<'a, Outcome>;
}

/// What is withdrawn from a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// The credential, which is over: with another one the reader goes on.
    Credential,
    /// All access: the reader has logged out.
    Access,
    /// The right to see and to publish events of this kind.
    Kind(Kind),
}

/// The token that a client takes whenever it needs one. Clones share it.
#[derive(Clone)]
pub struct Held(Arc<Mutex<String>>);

impl Held {
    /// This one, for now.
    pub fn new(token: String) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }

    /// The one that there is now.
    pub fn get(&self) -> String {
        let held = self.0.lock();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another one from now on.
    pub fn replace(&self, token: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

impl fmt::Debug for Held {
    /// Without its content, which must not come into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

/// A server that runs already, known by nothing but its address.
#[derive(Clone, Debug)]
pub struct Address(pub Url);

impl Subject for Address {
    fn hooks(&self) -> Vec<Hook> {
        of_address(&self.0)
    }

    fn start(&self, _: Settings) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        let server: Box<dyn Server> = Box::new(self.clone());
        async { Ok(server) }.boxed()
    }
}

impl Server for Address {
    fn base(&self) -> &Url {
        &self.0
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        async { Err("nothing is known about the server but its address".to_owned()) }
            .boxed()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.stop()
    }
}

/// The hooks that need nothing but an address of the right kind.
pub(crate) fn of_address(base: &Url) -> Vec<Hook> {
    let (is_address, is_local) = match base.host() {
        Some(Host::Ipv4(ip)) => (true, IpAddr::V4(ip).is_loopback()),
        Some(Host::Ipv6(ip)) => (true, ip.to_canonical().is_loopback()),
        Some(Host::Domain(name)) => (name == "localhost", name == "localhost"),
        None => (false, false),
    };
    let mut hooks = Vec::new();
    if is_address {
        hooks.push(Hook::Cut);
    }
    if is_local {
        hooks.push(Hook::Local);
    }
    hooks
}

/// A refusal, by the name of its problem (`future-cursor`, `key-reused`, …), as the
/// wire contract lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A method, as the cases in `streams` see it. [`Sockets`](crate::Sockets) is the one
/// over a network; the suite's own test has others, which carry no bytes.
pub trait Transport: Send + Sync {
    /// A server with these settings.
    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Running>, String>>;

    /// Whether each start gives a new log, with the settings that were asked for.
    fn starts_anew(&self) -> bool;
}

/// A server that runs, seen through a client.
pub trait Running: Send + Sync {
    /// A client that starts at `position` and keeps itself connected.
    fn subscribe(
        &self,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>>;

    /// The same, of somebody who proves with what is held then who it is.
    fn subscribe_as(
        &self,
        held: Held,
        position: Position,
    ) -> BoxStream<'static, Result<Update, Refused>>;

    /// Publishes through the method, as a client would, and with a credential of its
    /// own where the server is guarded. No cut keeps it from the
    /// server.
    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, Refused>>;

    /// Breaks every connection of a subscription, and lets none through until
    /// [`restore`](Self::restore).
    fn cut(&self);

    /// Lets connections through again.
    fn restore(&self);

    /// As [`Server::stop`].
    fn stop(&self) -> BoxFuture<'_, Outcome>;

    /// As [`Server::finish`].
    fn finish(&self) -> BoxFuture<'_, Outcome>;

    /// As [`Server::gate`].
    fn gate(&self) -> Option<&dyn Gate>;

    /// As [`Server::servers`].
    fn servers(&self) -> Option<&dyn Servers>;

    /// The method, and where the cases in `wire` send their requests; `None` where
    /// there are no bytes.
    fn address(&self) -> Option<(Method, &Url)>;
}

/// A relay to the server at `base`, and the base that leads through it.
pub(crate) async fn relay_to(base: &Url) -> Result<(Relay, Url), String> {
    let host = base.host_str().ok_or("the address has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = base.port_or_known_default().ok_or("it has no port")?;
    let mut found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| format!("{host}: {error}"))?;
    let server = found.next().ok_or_else(|| format!("{host}: no address"))?;
    let relay = Relay::to(server).await.map_err(|error| error.to_string())?;
    let mut through = base.clone();
    through
        .set_ip_host(relay.address().ip())
        .and_then(|()| through.set_port(Some(relay.address().port())))
        .map_err(|()| format!("{base}: no address of a server"))?;
    Ok((relay, through))
}
