//! The servers that are compared: how each is found, started and asked.

use super::wire::{Next, Wire};
use crate::{
    method::Method,
    plan::{Step, Workers},
    programs::{self, Programs, Server},
};
use anyhow::{bail, Context as _};
use std::{
    env,
    ffi::OsString,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

/// A server, by one of its methods.
#[derive(Debug)]
pub struct Peer {
    /// `SERVER:METHOD`, and of the book's own servers the method alone.
    pub name: &'static str,
    pub wire: Wire,
    /// What a client asks for.
    pub path: &'static str,
    /// Further fields of its request.
    pub fields: &'static str,
    /// Where events are posted.
    pub publish: &'static str,
    pub kind: Kind,
}

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The floor.
    Loop,
    /// Of this book, or the least that its libraries make.
    Book(Method),
    /// nginx with nchan.
    Nchan,
    /// A script of this directory, with the package that it needs besides Node.js.
    Node(&'static str, Option<&'static str>),
    /// uWebSockets, by its binding for Python.
    Socketify,
    /// The server of the crate `durable-streams`.
    DurableStreams,
}

const fn peer(name: &'static str, wire: Wire, path: &'static str, kind: Kind) -> Peer {
    Peer {
        name,
        wire,
        path,
        fields: "",
        publish: match kind {
            Kind::Book(_) | Kind::DurableStreams => "/events",
            _ => "/publish",
        },
        kind,
    }
}

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol: waiting.v1\r\n";

/// All of them, each method's together. A new one needs a line here, and its start below.
pub const PEERS: [Peer; 18] = [
    peer("loop", Wire::Loop, "/", Kind::Loop),
    Peer {
        fields: SUBPROTOCOL,
        ..peer(
            "websocket",
            Wire::WebSocket,
            "/events",
            Kind::Book(Method::WebSocket),
        )
    },
    Peer {
        fields: SUBPROTOCOL,
        ..peer(
            "websocket:walk",
            Wire::WebSocket,
            "/events",
            Kind::Book(Method::WebSocketWalk),
        )
    },
    Peer {
        fields: SUBPROTOCOL,
        ..peer(
            "axum-socket",
            Wire::WebSocket,
            "/events",
            Kind::Book(Method::AxumSocket),
        )
    },
    peer(
        "ws:websocket",
        Wire::WebSocket,
        "/events",
        Kind::Node("ws.mjs", Some("ws")),
    ),
    peer(
        "socket.io:websocket",
        Wire::SocketIo,
        "/socket.io/?EIO=4&transport=websocket",
        Kind::Node("socket.io.mjs", Some("socket.io")),
    ),
    peer(
        "nchan:websocket",
        Wire::WebSocket,
        "/websocket",
        Kind::Nchan,
    ),
    peer(
        "socketify:websocket",
        Wire::WebSocket,
        "/events",
        Kind::Socketify,
    ),
    peer("sse", Wire::Sse, "/events", Kind::Book(Method::Sse)),
    peer(
        "hyper-stream",
        Wire::Sse,
        "/events",
        Kind::Book(Method::HyperStream),
    ),
    peer(
        "node-http:sse",
        Wire::Sse,
        "/events",
        Kind::Node("node-http.mjs", None),
    ),
    peer(
        "better-sse:sse",
        Wire::Sse,
        "/events",
        Kind::Node("better-sse.mjs", Some("better-sse")),
    ),
    peer("nchan:sse", Wire::Sse, "/sse", Kind::Nchan),
    peer(
        "durable-streams:sse",
        Wire::Sse,
        "/events?offset=now&live=sse",
        Kind::DurableStreams,
    ),
    peer(
        "long-polling",
        Wire::LongPolling(Next::Page),
        "/events",
        Kind::Book(Method::LongPolling),
    ),
    peer(
        "hyper-answer",
        Wire::LongPolling(Next::Page),
        "/events",
        Kind::Book(Method::HyperAnswer),
    ),
    peer(
        "nchan:long-polling",
        Wire::LongPolling(Next::Validators),
        "/long-polling",
        Kind::Nchan,
    ),
    peer(
        "durable-streams:long-polling",
        Wire::LongPolling(Next::Offset),
        "/events?offset=now&live=long-poll",
        Kind::DurableStreams,
    ),
];

/// The one of this name.
pub fn named(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// Where the scripts and their packages are.
fn scripts() -> PathBuf {
    programs::root().join("tools/lab/peers")
}

/// Where `README.md` installs what is no package of the system or of npm.
fn installed() -> PathBuf {
    programs::root().join("target/peers")
}

/// A program of the search path, or of one of the directories in which systems hide servers.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([installed().join("bin"), "/usr/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// Where systems keep nginx's modules.
const MODULES: [&str; 3] = [
    "/usr/lib/nginx/modules",
    "/usr/lib64/nginx/modules",
    "/usr/share/nginx/modules",
];

fn nchan() -> anyhow::Result<(PathBuf, PathBuf)> {
    let install = "on Debian: apt install nginx-light libnginx-mod-nchan";
    let nginx = program("nginx").with_context(|| format!("no nginx; {install}"))?;
    let modules = MODULES.map(|directory| Path::new(directory).join("ngx_nchan_module.so"));
    let module = modules.into_iter().find(|module| module.is_file());
    Ok((
        nginx,
        module.with_context(|| format!("no nchan; {install}"))?,
    ))
}

fn node(script: &str, package: Option<&str>) -> anyhow::Result<Command> {
    let node = program("node").context("no node; install Node.js")?;
    if let Some(package) = package.filter(|package| !package_json(package).is_file()) {
        bail!("no {package}; npm ci --prefix tools/lab/peers");
    }
    let mut command = Command::new(node);
    command.arg(scripts().join(script));
    Ok(command)
}

fn package_json(package: &str) -> PathBuf {
    let packages = scripts().join("node_modules");
    packages.join(package).join("package.json")
}

fn python() -> anyhow::Result<Command> {
    let python = program("python3").context("no python3")?;
    let mut paths = vec![installed().join("python")];
    paths.extend(env::split_paths(
        &env::var_os("PYTHONPATH").unwrap_or_default(),
    ));
    let mut command = Command::new(python);
    command.env("PYTHONPATH", env::join_paths(paths)?);
    Ok(command)
}

fn socketify() -> anyhow::Result<Command> {
    let tried = python()?.args(["-c", "import socketify"]).output()?;
    if !tried.status.success() {
        let errors = String::from_utf8_lossy(&tried.stderr);
        let error = errors.lines().last().unwrap_or_default();
        bail!(
            "no socketify ({error}); python3 -m pip install --target target/peers/python \
             -r tools/lab/peers/requirements.txt, and on Debian: apt install libuv1"
        );
    }
    let mut command = python()?;
    command.arg(scripts().join("socketify_server.py"));
    Ok(command)
}

fn durable_streams() -> anyhow::Result<PathBuf> {
    program("durable-streams-server").context(
        "no durable-streams-server; \
         cargo install --root target/peers --locked durable-streams@0.1.5",
    )
}

/// Where a server runs.
#[derive(Debug)]
pub struct Place<'a> {
    /// What it may write to.
    pub directory: &'a Path,
    /// What is measured, and with how many threads, or of nginx processes. Node.js and uWebSockets
    /// have one in any case.
    pub step: Step,
}

impl Peer {
    /// Why it cannot be measured here, if it cannot.
    pub fn missing(&self) -> Option<String> {
        let found = match self.kind {
            Kind::Loop | Kind::Book(_) => Ok(()),
            Kind::Nchan => nchan().map(drop),
            Kind::Node(script, package) => node(script, package).map(drop),
            Kind::Socketify => socketify().map(drop),
            Kind::DurableStreams => durable_streams().map(drop),
        };
        found.err().map(|error| format!("{error:#}"))
    }

    /// The book's method whose server it is.
    pub fn book(&self) -> Option<Method> {
        match self.kind {
            Kind::Book(method) => Some(method),
            _ => None,
        }
    }

    /// The program and its version, as far as it says.
    pub fn version(&self) -> Option<(String, String)> {
        let output = |command: &mut Command| {
            let output = command.output().ok()?;
            let text = if output.stdout.is_empty() {
                output.stderr
            } else {
                output.stdout
            };
            Some(String::from_utf8_lossy(&text).trim().to_owned())
        };
        let (name, version) = match self.kind {
            Kind::Loop | Kind::Book(_) => return None,
            Kind::Nchan => {
                let nginx = output(Command::new(nchan().ok()?.0).arg("-v"))?;
                let package = ["-W", "-f", "${Version}", "libnginx-mod-nchan"];
                let nchan = output(Command::new("dpkg-query").args(package));
                let version = match nchan {
                    Some(nchan) => format!("{nchan} ({nginx})"),
                    None => nginx,
                };
                ("nchan", version)
            }
            Kind::Node(_, None) => ("node", output(Command::new(program("node")?).arg("-v"))?),
            Kind::Node(_, Some(package)) => {
                let text = fs::read_to_string(package_json(package)).ok()?;
                let json: serde_json::Value = serde_json::from_str(&text).ok()?;
                (package, json["version"].as_str()?.to_owned())
            }
            Kind::Socketify => {
                let code = "import importlib.metadata as m; print(m.version('socketify'))";
                ("socketify", output(python().ok()?.args(["-c", code]))?)
            }
            // It does not say its own.
            Kind::DurableStreams => {
                let list = installed().join(".crates.toml");
                let list: toml::Table = fs::read_to_string(list).ok()?.parse().ok()?;
                let mut crates = list.get("v1")?.as_table()?.keys();
                let version = crates.find_map(|it| it.strip_prefix("durable-streams "))?;
                let version = version.split(' ').next()?.to_owned();
                ("durable-streams", version)
            }
        };
        Some((name.to_owned(), version))
    }

    /// Starts it.
    ///
    /// # Errors
    /// Where it is missing or does not listen in time.
    pub async fn start(&self, programs: &Programs, place: &Place<'_>) -> anyhow::Result<Server> {
        fs::create_dir_all(place.directory)?;
        let workers = place.step.workers;
        let command = match self.kind {
            Kind::Loop | Kind::Book(_) => return programs.serve(&place.step, 0).await,
            Kind::Nchan => {
                let (nginx, module) = nchan()?;
                let mut command = Command::new(programs.lab());
                command.arg("nginx").arg("--nginx").arg(nginx);
                command.arg("--module").arg(module);
                command.arg("--directory").arg(place.directory);
                command.args(["--workers", &workers.to_string()]);
                // Each client's, and the publisher's; nginx has some for itself.
                // nginx closes idle connections where fewer than a sixteenth is free.
                let connections = (place.step.connections() + 64) * 8 / 7;
                command.args(["--connections", &connections.to_string()]);
                command
            }
            Kind::Node(script, package) => {
                let mut command = node(script, package)?;
                // As every Node.js service is run; libraries look at it.
                command.env("NODE_ENV", "production");
                command
            }
            Kind::Socketify => socketify()?,
            Kind::DurableStreams => {
                let data = place.directory.join("durable-streams");
                if data.exists() {
                    fs::remove_dir_all(&data)?;
                }
                let mut command = Command::new(durable_streams()?);
                // It prints the port that it was asked for, so that cannot be 0.
                command.args(["--port", &free_port()?.to_string()]);
                command.args([OsString::from("--data-dir"), data.into()]);
                if let Workers::Some(count) = workers {
                    command.args(["--worker-threads", &count.to_string()]);
                }
                // Without it each append waits for the disk. The other servers keep their events in
                // memory alone (README.md of the crate, "Durability").
                command.args(["--durability", "memory"]);
                command
            }
        };
        programs.hold(self.name, &command).await
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
