//! Three servers of the book, three nodes of JetStream, and nginx before the servers.

use crate::{
    plan::{Fault, Harm, Victim, COUNT},
    process::Process,
    server,
};
use anyhow::{ensure, Context as _};
use rustix::process::Signal;
use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use testbed::parts::Missing;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout, Instant},
};
use url::Url;

/// What of `nginx.conf` a test replaces.
const SERVERS: [&str; COUNT] = ["127.0.0.1:4201", "127.0.0.1:4202", "127.0.0.1:4203"];
const LISTEN: &str = "127.0.0.1:8080";

/// All that runs. It ends with this.
pub(crate) struct World {
    servers: Vec<Process>,
    nodes: Vec<Process>,
    proxy: Process,
    addresses: Addresses,
    /// Servers and nodes that have ended by themselves, and were started again.
    pub(crate) ends: u64,
    _directory: TempDir,
}

struct Addresses {
    servers: Vec<SocketAddr>,
    nodes: Vec<SocketAddr>,
    proxy: SocketAddr,
}

/// Addresses that are free now, and whose ports nobody else is given while their
/// programs are dead: of an address of this machine that this process alone uses. Where
/// the system has but one, the usual one.
fn home() -> anyhow::Result<Ipv4Addr> {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 1, low, COUNT.fetch_add(1, Ordering::Relaxed));
    Ok(match TcpListener::bind((own, 0)) {
        Ok(_) => own,
        Err(_) => Ipv4Addr::LOCALHOST,
    })
}

/// So many free ports, each another one.
pub(crate) fn ports(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let home = IpAddr::V4(home()?);
    let taken = (0..count).map(|_| TcpListener::bind((home, 0)));
    let taken: Vec<_> = taken.collect::<Result<_, _>>()?;
    let addresses = taken.iter().map(TcpListener::local_addr);
    Ok(addresses.collect::<Result<_, _>>()?)
}

/// A program of this machine.
pub(crate) fn found(program: &str) -> anyhow::Result<PathBuf> {
    // Debian has both where only an administrator's shell looks.
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    let found = which::which_in(program, Some(path), "/");
    let missing = format!("{program} is not installed");
    Ok(found.context(missing).map_err(Missing)?)
}

impl World {
    /// Starts all of it, and returns when it answers.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (nats, nginx) = (found("nats-server")?, found("nginx")?);
        let directory = tempfile::Builder::new().prefix("servers-").tempdir()?;
        let mut free = ports(3 * COUNT + 1)?.into_iter();
        let mut take = |count| free.by_ref().take(count).collect::<Vec<_>>();
        let (servers, nodes, routes) = (take(COUNT), take(COUNT), take(COUNT));
        let addresses = Addresses {
            servers,
            nodes,
            proxy: take(1)[0],
        };
        let path = |name: &str| directory.path().join(name);
        let nodes = (0..COUNT).map(|number| {
            let command = node(&nats, number, &addresses.nodes, &routes, &path("data"));
            let name = format!("node {number}");
            Process::new(name, path(&format!("node-{number}.log")), command)
        });
        let nodes = nodes.collect();
        let log = addresses.log();
        let servers = addresses
            .servers
            .iter()
            .enumerate()
            .map(|(number, address)| {
                let (log, address) = (log.clone(), address.to_string());
                let program = env::current_exe();
                let command = move || {
                    let program = program.as_ref().expect("this test has a file");
                    let mut command = Command::new(program);
                    command.env(server::LOG, &log).env(server::LISTEN, &address);
                    command
                };
                let name = format!("server {number}");
                Process::new(name, path(&format!("server-{number}.log")), command)
            });
        let servers = servers.collect();
        let command = proxy(nginx, directory.path(), &addresses)?;
        let proxy = Process::new("nginx", path("nginx.log"), command);
        let mut world = Self {
            servers,
            nodes,
            proxy,
            addresses,
            ends: 0,
            _directory: directory,
        };
        for process in world.all() {
            process.start()?;
        }
        world.answers(Duration::from_secs(90)).await?;
        // Before there is a leader, servers end. That is no part of this.
        world.ends = 0;
        Ok(world)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        let servers = self.servers.iter_mut();
        let proxy = std::iter::once(&mut self.proxy);
        self.nodes.iter_mut().chain(servers).chain(proxy)
    }

    fn of(&mut self, victim: Victim) -> Vec<&mut Process> {
        match victim {
            Victim::Server(number) => vec![&mut self.servers[number]],
            Victim::Node(number) => vec![&mut self.nodes[number]],
            Victim::Proxy => vec![&mut self.proxy],
            Victim::Engine => self.nodes.iter_mut().collect(),
        }
    }

    pub(crate) fn hurt(&mut self, fault: &Fault) {
        for process in self.of(fault.victim) {
            match fault.harm {
                Harm::Kill => process.kill(),
                Harm::Pause => process.signal(Signal::STOP),
            }
        }
    }

    pub(crate) fn mend(&mut self, fault: &Fault) -> anyhow::Result<()> {
        for process in self.of(fault.victim) {
            match fault.harm {
                Harm::Kill => process.start()?,
                Harm::Pause => process.signal(Signal::CONT),
            }
        }
        Ok(())
    }

    /// Starts what has ended by itself, as whoever runs servers does: a server that
    /// does not find its log ends.
    pub(crate) fn look_after(&mut self) -> anyhow::Result<()> {
        let mut ends = 0;
        for process in self.all() {
            if process.ended()?.is_some() {
                process.start()?;
                ends += 1;
            }
        }
        self.ends += ends;
        Ok(())
    }

    /// Waits until every server is there, and the proxy.
    pub(crate) async fn answers(&mut self, limit: Duration) -> anyhow::Result<()> {
        let late = Instant::now() + limit;
        let addresses = [&self.addresses.servers[..], &[self.addresses.proxy]].concat();
        for address in addresses {
            while !is_ready(address).await {
                ensure!(Instant::now() < late, "{address} does not answer");
                self.look_after()?;
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// The nodes of the engine, for a client of theirs.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let nodes = self.addresses.nodes.iter();
        nodes.map(|it| format!("nats://{it}")).collect()
    }

    /// By way of nginx.
    pub(crate) fn base(&self) -> Url {
        let url = format!("http://{}/", self.addresses.proxy);
        url.parse().expect("a URL")
    }

    /// Straight to each server.
    pub(crate) fn bases(&self) -> impl Iterator<Item = Url> + '_ {
        let servers = self.addresses.servers.iter();
        servers.map(|it| format!("http://{it}/").parse().expect("a URL"))
    }

    /// Servers in which a task has panicked.
    pub(crate) fn panicked(&self) -> Vec<&str> {
        let panicked = self.servers.iter().filter(|it| it.has_said("panicked at"));
        panicked.map(|it| it.name.as_str()).collect()
    }

    /// What all have said last.
    pub(crate) fn last_words(&mut self) -> String {
        let words = self.all().map(|it| it.last_lines(15));
        words.collect::<Vec<_>>().join("\n")
    }
}

impl Addresses {
    fn log(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(SocketAddr::to_string).collect();
        let count = nodes.len();
        format!("nats://{}/events?replicas={count}", nodes.join(","))
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut socket = TcpStream::connect(address).await.ok()?;
        let request = "GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.ok()?;
        (&answer == b"HTTP/1.1 200").then_some(())
    };
    let asked = timeout(Duration::from_secs(2), asked).await;
    matches!(asked, Ok(Some(())))
}

/// One node of three.
fn node(
    program: &Path,
    number: usize,
    clients: &[SocketAddr],
    routes: &[SocketAddr],
    data: &Path,
) -> impl Fn() -> Command + Send + Sync + 'static {
    let url = |address: &SocketAddr| format!("nats://{address}");
    let all: Vec<_> = routes.iter().map(url).collect();
    let (client, route) = (clients[number], routes[number]);
    let arguments = [
        "--name".to_owned(),
        format!("node-{number}"),
        "--addr".to_owned(),
        client.ip().to_string(),
        "--port".to_owned(),
        client.port().to_string(),
        "--jetstream".to_owned(),
        "--store_dir".to_owned(),
        data.join(number.to_string()).display().to_string(),
        "--cluster_name".to_owned(),
        "waiting".to_owned(),
        "--cluster".to_owned(),
        url(&route),
        "--routes".to_owned(),
        all.join(","),
    ];
    let program = program.to_owned();
    move || {
        let mut command = Command::new(&program);
        command.args(&arguments);
        command
    }
}

/// nginx with the file that the book shows.
fn proxy(
    program: PathBuf,
    directory: &Path,
    addresses: &Addresses,
) -> anyhow::Result<impl Fn() -> Command + Send + Sync + 'static> {
    let mut site = include_str!("../../nginx.conf").to_owned();
    let own = [&[addresses.proxy], &addresses.servers[..]].concat();
    for (shown, own) in [LISTEN].iter().chain(&SERVERS).zip(own) {
        ensure!(site.contains(shown), "{shown} is not in nginx.conf");
        site = site.replace(shown, &own.to_string());
    }
    // Whoever is root here has a directory that nobody else may read.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;\n",
        false => "",
    };
    // Its files are in a directory of its own.
    let configuration = format!(
        "{user}daemon off;\nworker_processes 2;\npid nginx.pid;\n\
         error_log stderr crit;\nevents {{ worker_connections 1000; }}\n\
         http {{\naccess_log off;\nclient_body_temp_path temporary;\n\
         proxy_temp_path temporary;\nfastcgi_temp_path temporary;\n\
         uwsgi_temp_path temporary;\nscgi_temp_path temporary;\n{site}}}\n"
    );
    fs::write(directory.join("nginx.conf"), configuration)?;
    let directory = directory.to_owned();
    Ok(move || {
        let mut command = Command::new(&program);
        command
            .arg("-p")
            .arg(&directory)
            .args(["-c", "nginx.conf", "-e", "stderr"]);
        command
    })
}
