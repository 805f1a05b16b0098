//! A proxy that runs.

use crate::{Configuration, Door, Program};
use anyhow::{bail, Context as _};
use rcgen::{CertificateParams, KeyPair};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use testbed::{in_time, parts::PROXIES, HANG};
use tls::{Protocol, Trust};
use tokio::{
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_rustls::client::TlsStream;

/// Where a proxy listens, and where its files lie.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) directory: PathBuf,
}

/// A proxy that runs, until this is dropped: then it ends, with all that it has
/// started.
#[derive(Debug)]
pub struct Proxy {
    program: Program,
    place: Place,
    trust: Trust,
    child: Mutex<Child>,
    /// The process group, which is named after its first process.
    group: u32,
    /// Deleted after the processes have ended.
    _directory: TempDir,
}

/// How often it is looked whether a program has got somewhere.
const LOOK: Duration = Duration::from_millis(10);

/// SIGUSR2 in a set of signals.
const USER_2: u64 = 1 << 11;

/// How often another port is tried.
const PORTS: usize = 5;

impl Proxy {
    /// Starts the proxy, and returns when it answers.
    ///
    /// # Errors
    /// [`Missing`](testbed::parts::Missing) where the program is not here; what the
    /// program says of its configuration.
    pub async fn start(configuration: Configuration) -> anyhow::Result<Self> {
        configuration.program.path()?;
        let mut tried = Ok(());
        for _ in 0..PORTS {
            // Free a moment ago: none of the three can be asked for any free port.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = free.local_addr()?;
            drop(free);
            match Self::start_at(&configuration, address).await {
                Ok(proxy) => return Ok(proxy),
                Err(error) => tried = Err(error),
            }
        }
        tried?;
        bail!("no port was tried")
    }

    async fn start_at(
        configuration: &Configuration,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("proxy-").tempdir()?;
        let place = Place {
            address,
            directory: directory.path().to_owned(),
        };
        let trust = certificate(&place)?;
        let program = configuration.program;
        let file = place.directory.join(configuration.file());
        fs::write(&file, configuration.text(&place)?)?;
        let errors = fs::File::create(place.directory.join("errors"))?;
        let mut command = Command::new(program.path()?);
        match program {
            Program::Nginx => command
                .arg("-p")
                .arg(&place.directory)
                .args(["-e", "stderr"]),
            Program::HaProxy => command.arg("-W"),
            Program::Caddy => command.args(["run", "--adapter", "caddyfile"]),
        };
        let option = match program {
            Program::Nginx => "-c",
            Program::HaProxy => "-f",
            Program::Caddy => "--config",
        };
        command
            .arg(option)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        at_home(&mut command, &place);
        // A group of its own, so that its workers end with it.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().with_context(|| program.to_string())?;
        let proxy = Self {
            program,
            group: child.id().context("it has ended")?,
            place,
            trust,
            child: Mutex::new(child),
            _directory: directory,
        };
        match timeout(HANG, proxy.answers()).await {
            Ok(answered) => answered?,
            Err(_) => {
                let why = proxy.connect(&[Protocol::Http1]).await.err();
                bail!("{program} does not answer: {why:?} {}", proxy.errors());
            }
        }
        Ok(proxy)
    }

    /// Whoever has the port by now, only this proxy has the certificate.
    async fn answers(&self) -> anyhow::Result<()> {
        while self.connect(&[Protocol::Http1]).await.is_err() {
            let ended = {
                let mut child =
                    self.child.lock().unwrap_or_else(PoisonError::into_inner);
                child.try_wait()?
            };
            if ended.is_some() {
                bail!("{} has ended: {}", self.program, self.errors());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// A TLS connection to it, for one of these versions of HTTP.
    ///
    /// # Errors
    /// That nobody listens, or the handshake fails.
    pub async fn connect(
        &self,
        protocols: &[Protocol],
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        self.connect_from(None, protocols).await
    }

    /// The same from an address and a port of one's choice.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_from(
        &self,
        address: Option<SocketAddr>,
        protocols: &[Protocol],
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        if let Some(address) = address {
            // Also while an earlier connection from there rests.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
        }
        let stream = socket.connect(self.place.address).await?;
        let name = tls::server_name(&self.place.address.ip().to_string())?;
        Ok(self
            .trust
            .connector(protocols)?
            .connect(name, stream)
            .await?)
    }

    /// Where it listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.place.address
    }

    /// A door to it for clients that know no TLS.
    ///
    /// # Errors
    /// That no port can be had.
    pub async fn door(&self) -> anyhow::Result<Door> {
        Door::to(self.place.address, &self.trust).await
    }

    /// What it has written to its standard error.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.place.directory.join("errors")).unwrap_or_default()
    }

    /// Makes it read its configuration anew, as its service does.
    ///
    /// # Errors
    /// That it has ended, or refuses.
    pub async fn reload(&self) -> anyhow::Result<()> {
        match self.program {
            Program::Nginx => self.signal(Hang),
            Program::HaProxy => {
                let ready = async {
                    while !self.takes_signals() {
                        sleep(LOOK).await;
                    }
                };
                in_time("HAProxy's first process", ready).await;
                self.signal(User2)
            }
            Program::Caddy => {
                let admin = self.place.directory.join("admin.sock");
                let mut command = Command::new(self.program.path()?);
                command
                    .args(["reload", "--force", "--adapter", "caddyfile", "--config"])
                    .arg(self.place.directory.join("Caddyfile"))
                    .arg("--address")
                    .arg(format!("unix/{}", admin.display()))
                    .stdin(Stdio::null())
                    .kill_on_drop(true);
                at_home(&mut command, &self.place);
                let output = in_time("caddy reload", command.output()).await?;
                let errors = String::from_utf8_lossy(&output.stderr);
                anyhow::ensure!(output.status.success(), "{errors}");
                Ok(())
            }
        }
    }

    /// Whether HAProxy's first process has started itself anew, as it does after each
    /// reading of its configuration: a signal that comes sooner is lost.
    fn takes_signals(&self) -> bool {
        let read = |name| fs::read(format!("/proc/{}/{name}", self.group));
        let environment = read("environ").unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        let status = read("status").unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let set = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let digits = line.unwrap_or_default().trim();
            u64::from_str_radix(digits, 16).is_ok_and(|bits| bits & USER_2 != 0)
        };
        environment.contains("HAPROXY_MWORKER_WAIT_ONLY")
            && set("SigCgt:")
            && !set("SigBlk:")
    }

    #[cfg(unix)]
    fn signal(&self, signal: Reload) -> anyhow::Result<()> {
        use rustix::process::{kill_process, Pid, Signal};
        let first = Pid::from_raw(self.group.cast_signed()).context("no process")?;
        let signal = match signal {
            Hang => Signal::HUP,
            User2 => Signal::USR2,
        };
        Ok(kill_process(first, signal)?)
    }

    #[cfg(not(unix))]
    fn signal(&self, _: Reload) -> anyhow::Result<()> {
        bail!("there are no signals on this system")
    }

    /// The processes that its first one has started and that have not ended.
    pub fn workers(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.group);
        let children = fs::read_to_string(path).unwrap_or_default();
        let ids = children.split_whitespace().map(str::parse);
        ids.filter_map(Result::ok).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{kill_process_group, Pid, Signal};
            if let Some(group) = Pid::from_raw(self.group.cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let child = self.child.get_mut();
        let _ = child.unwrap_or_else(PoisonError::into_inner).start_kill();
    }
}

/// The signal by which a program is told to read its configuration.
enum Reload {
    Hang,
    User2,
}
use Reload::{Hang, User2};

/// It leaves nothing in anybody's home, and asks no proxy.
fn at_home(command: &mut Command, place: &Place) {
    for name in PROXIES {
        command.env_remove(name);
    }
    for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, &place.directory);
    }
}

/// A certificate for this machine, and its key, as files.
fn certificate(place: &Place) -> anyhow::Result<Trust> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.self_signed(&key)?.pem();
    let key = key.serialize_pem();
    let write = |name: &str, text: &str| fs::write(place.directory.join(name), text);
    write("cert.pem", &certificate)?;
    write("key.pem", &key)?;
    write("both.pem", &format!("{certificate}{key}"))?;
    Ok(Trust::from_pem(&certificate)?)
}
