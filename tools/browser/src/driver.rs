//! A WebDriver server as a child process, and the browsers it starts.

use crate::{
    engine::{Engine, Kind, Screen},
    HANG, LOOK,
};
use anyhow::Context as _;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{
    collections::BTreeSet,
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Child,
    time::{sleep, timeout},
};

/// How long a browser may take to end.
const CLOSE: Duration = Duration::from_secs(5);

/// A running WebDriver server. Dropping it ends the driver and every browser it has started.
#[derive(Debug)]
pub struct Driver {
    address: String,
    engine: Engine,
    /// Dropped before the process, whose number is its name.
    _group: Group,
    process: Child,
    _screen: Option<Screen>,
}

impl Driver {
    /// Starts the driver of a browser.
    ///
    /// # Errors
    /// If it does not start, or says nothing of a port.
    pub async fn start(engine: Engine) -> anyhow::Result<Self> {
        let screen = engine.screen().await?;
        let given = match engine.prints_port() {
            Some(_) => None,
            // One that was free a moment ago.
            None => Some(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port()),
        };
        let mut command = engine.command(given);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(screen) = &screen {
            command.env("DISPLAY", &screen.name);
        }
        // A group of its own, with the browsers in it, so that one signal ends them all.
        #[cfg(unix)]
        command.process_group(0);
        let kind = engine.kind;
        let process = command
            .spawn()
            .with_context(|| format!("the driver of {kind} does not start"))?;
        let group = Group::new(process.id().context("the driver has ended")?);
        let mut driver = Self {
            address: String::new(),
            engine,
            _group: group,
            process,
            _screen: screen,
        };
        let port = timeout(HANG, driver.port(given)).await;
        let port = port.with_context(|| format!("the driver of {kind} names no port"))??;
        driver.address = format!("http://127.0.0.1:{port}");
        Ok(driver)
    }

    /// Waits until the driver can be asked; its port.
    async fn port(&mut self, given: Option<u16>) -> anyhow::Result<u16> {
        let output = self
            .process
            .stdout
            .take()
            .context("the driver has no output")?;
        let mut lines = BufReader::new(output).lines();
        if let Some(words) = self.engine.prints_port() {
            let port = loop {
                let line = lines.next_line().await?.context("it has ended")?;
                let port = line.split_once(words).map(|(_, port)| port);
                let port = port.and_then(|port| port.trim_end_matches('.').parse().ok());
                if let Some(port) = port {
                    break port;
                }
            };
            // Its later lines are read too, or it would stop at a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(port);
        }
        let port = given.context("no port was given")?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                anyhow::bail!("it has ended: {status}");
            }
            sleep(LOOK).await;
        }
        Ok(port)
    }

    /// Starts a browser with a profile of its own.
    ///
    /// # Errors
    /// If the driver refuses, with its reason.
    pub async fn browser(&self) -> anyhow::Result<Browser> {
        let profile = tempfile::Builder::new().prefix("browser-").tempdir()?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(true);
        let client = ClientBuilder::new(connector)
            .capabilities(self.engine.capabilities(profile.path()))
            .connect(&self.address)
            .await
            .with_context(|| format!("no {}", self.engine.kind))?;
        Ok(Browser {
            client,
            kind: self.engine.kind,
            _profile: profile,
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Where there are no groups, the driver alone.
        let _ = self.process.start_kill();
    }
}

/// The process groups of all drivers, each by the id of its first process.
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn groups() -> MutexGuard<'static, BTreeSet<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process group of a driver. Its processes end when this is dropped, and at Ctrl-C.
#[derive(Debug)]
struct Group(u32);

impl Group {
    fn new(first: u32) -> Self {
        groups().insert(first);
        // Ctrl-C reaches only this process, since the driver has a group of its own. Whichever of
        // these tasks wakes first ends all drivers, because it also ends this process.
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                groups().iter().copied().for_each(kill_group);
                // As a shell reports a program that SIGINT has ended.
                std::process::exit(130);
            }
        });
        Self(first)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.0);
        groups().remove(&self.0);
    }
}

/// Kills every process of a group, named by its first. It fails where all have ended already, and
/// that is well.
fn kill_group(first: u32) {
    #[cfg(unix)]
    if let Some(group) = rustix::process::Pid::from_raw(first.cast_signed()) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = first;
}

/// One browser, and its WebDriver session.
#[derive(Debug)]
pub struct Browser {
    /// Its WebDriver session. The tests of the book use a [`Page`](crate::page::Page) of it.
    pub client: Client,
    /// Which browser it is.
    pub kind: Kind,
    /// Deleted after the browser has ended.
    _profile: TempDir,
}

impl Browser {
    /// Ends the browser.
    pub async fn close(self) {
        // If it is gone already, that is what was wanted. One that does not answer ends with its
        // driver.
        let _ = timeout(CLOSE, self.client.close()).await;
    }
}

/// A browser without a driver, which would keep what the browser itself ends: Chromium leaves a
/// service worker alive while somebody debugs. It ends when this is dropped.
#[derive(Debug)]
pub struct Undriven {
    /// Dropped before the process, whose number is its name.
    _group: Group,
    _process: Child,
    _screen: Option<Screen>,
    /// Deleted after the browser has ended.
    _profile: TempDir,
}

impl Undriven {
    /// Opens a page in a new browser.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn open(engine: &Engine, address: &str) -> anyhow::Result<Self> {
        let screen = engine.screen().await?;
        let profile = TempDir::new()?;
        let mut command = engine.alone(profile.path(), address)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(screen) = &screen {
            command.env("DISPLAY", &screen.name);
        }
        #[cfg(unix)]
        command.process_group(0);
        let process = command.spawn()?;
        let group = Group::new(process.id().context("the browser has ended")?);
        Ok(Self {
            _group: group,
            _process: process,
            _screen: screen,
            _profile: profile,
        })
    }
}
