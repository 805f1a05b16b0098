//! chromedriver as a child process, and the browsers it starts.

use crate::{parts::Parts, HANG};
use anyhow::Context as _;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{json, Map, Value};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// A running chromedriver. Dropping it ends the driver and every browser it has started.
#[derive(Debug)]
pub struct Driver {
    address: String,
    parts: Parts,
    process: Child,
}

impl Driver {
    /// Starts chromedriver on a port of its own choice.
    ///
    /// # Errors
    /// If it does not start, or says nothing of a port.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let mut command = Command::new(&parts.chromedriver);
        command
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // A group of its own, with the browsers in it, so that one signal ends them all.
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().context("chromedriver does not start")?;
        let output = process
            .stdout
            .take()
            .context("chromedriver has no output")?;
        let mut driver = Self {
            address: String::new(),
            parts,
            process,
        };
        let mut lines = BufReader::new(output).lines();
        let port = timeout(HANG, async {
            while let Some(line) = lines.next_line().await? {
                let port = line
                    .split_once("started successfully on port ")
                    .and_then(|(_, port)| port.trim_end_matches('.').parse::<u16>().ok());
                if port.is_some() {
                    return Ok(port);
                }
            }
            anyhow::Ok(None)
        });
        let port = port.await??.context("chromedriver named no port")?;
        // Its later lines are read too, or it would stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        driver.address = format!("http://127.0.0.1:{port}");
        driver.end_on_interrupt();
        Ok(driver)
    }

    /// Starts a browser with a profile of its own.
    ///
    /// # Errors
    /// If chromedriver refuses, with its reason.
    pub async fn browser(&self) -> anyhow::Result<Browser> {
        let profile = tempfile::Builder::new().prefix("browser-").tempdir()?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(true);
        let client = ClientBuilder::new(connector)
            .capabilities(self.capabilities(&profile))
            .connect(&self.address)
            .await
            .context("no browser")?;
        Ok(Browser {
            client,
            _profile: profile,
        })
    }

    fn capabilities(&self, profile: &TempDir) -> Map<String, Value> {
        let profile = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            // A container has no user namespaces and little shared memory; root cannot have the sandbox at all.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // The suggestions of the address bar, which are pages too: nobody types there, and they cost as much as a test.
            "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,AimEnabled",
            // Two windows of one test are both in use, though only one can be in front.
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
            "--disable-background-timer-throttling",
            // No name resolves: a page that asks another host fails, and nothing leaves this machine.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--window-size=1280,900",
            &profile,
        ];
        let capabilities = json!({
            "browserName": "chrome",
            // Tests watch pages that are still loading. `Page::open` waits for those that shall be complete.
            "pageLoadStrategy": "none",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "binary": self.parts.chromium, "args": arguments },
        });
        match capabilities {
            Value::Object(capabilities) => capabilities,
            _ => Map::new(),
        }
    }

    /// Ctrl-C reaches this process alone, since the driver has a group of its own: passes it on.
    fn end_on_interrupt(&self) {
        let group = self.process.id();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                kill_group(group);
                // As a shell reports a program that SIGINT has ended.
                std::process::exit(130);
            }
        });
    }
}

/// Kills every process of a group, named by its first. It fails where all have ended already, and that is well.
fn kill_group(first: Option<u32>) {
    #[cfg(unix)]
    if let Some(group) = first.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = first;
}

impl Drop for Driver {
    fn drop(&mut self) {
        kill_group(self.process.id());
        // Where there are no groups, the driver alone.
        let _ = self.process.start_kill();
    }
}

/// One browser, and its WebDriver session.
#[derive(Debug)]
pub struct Browser {
    pub(crate) client: Client,
    /// Deleted after the browser has ended.
    _profile: TempDir,
}

impl Browser {
    /// Ends the browser.
    pub async fn close(self) {
        // If it is gone already, that is what was wanted.
        let _ = self.client.close().await;
    }
}
