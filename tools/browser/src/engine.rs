//! The browsers that can be driven, and what differs from one to the next.

use crate::parts;
use anyhow::Context as _;
use serde_json::{json, Map, Value};
use std::path::{Path, PathBuf};
use tokio::{
    io::{AsyncBufRead, Lines},
    net::{TcpListener, TcpStream},
    process::Command,
    time::sleep,
};

/// A browser and its WebDriver server.
#[derive(Debug, Clone)]
pub struct Engine {
    /// As people call it.
    pub name: &'static str,
    /// The browser's program.
    pub browser: PathBuf,
    /// The driver's program, with the arguments that it is started with.
    driver: (PathBuf, Vec<String>),
    port: Port,
    capabilities: fn(browser: &Path, profile: &Path) -> Value,
    /// The program that gives the browser a display, if it needs one.
    display: Option<PathBuf>,
    /// Whether it takes any certificate, as a server needs that has made its own.
    any_certificate: bool,
}

/// How to learn the driver's port.
#[derive(Debug, Clone)]
enum Port {
    /// It chooses one, and prints a line with it after these words.
    Printed(&'static str),
    /// It was told one, and prints nothing.
    Given(u16),
}

impl Engine {
    /// Chromium, by chromedriver.
    ///
    /// # Errors
    /// Which part is missing, and what Debian calls it.
    pub fn chromium() -> anyhow::Result<Self> {
        Ok(Self {
            name: "Chromium",
            browser: parts::any(
                &["chromium", "chromium-browser", "google-chrome"],
                "chromium",
            )?,
            driver: (
                parts::any(&["chromedriver"], "chromium-driver")?,
                vec!["--port=0".to_owned()],
            ),
            port: Port::Printed("started successfully on port "),
            capabilities: of_chromium,
            display: None,
            any_certificate: false,
        })
    }

    /// Firefox, by geckodriver.
    ///
    /// # Errors
    /// Which part is missing, and where it comes from.
    pub fn firefox() -> anyhow::Result<Self> {
        Ok(Self {
            name: "Firefox",
            browser: parts::any(&["firefox-esr", "firefox"], "firefox-esr")?,
            driver: (
                parts::geckodriver()?,
                vec!["--port=0".to_owned(), "--allow-system-access".to_owned()],
            ),
            port: Port::Printed("Listening on 127.0.0.1:"),
            capabilities: of_firefox,
            display: None,
            any_certificate: false,
        })
    }

    /// WebKitGTK's MiniBrowser, on a display of its own that nobody sees. It has the engine of Safari, and not its network stack.
    ///
    /// # Errors
    /// Which part is missing, and what Debian calls it.
    pub async fn webkit() -> anyhow::Result<Self> {
        let driver = parts::any(&["WebKitWebDriver"], "webkit2gtk-driver")?;
        let display = parts::any(&["xvfb-run"], "xvfb")?;
        // It takes no port 0, so one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let arguments = vec![
            "-a".to_owned(),
            driver.display().to_string(),
            format!("--port={port}"),
        ];
        Ok(Self {
            name: "WebKitGTK",
            browser: parts::mini_browser()?,
            driver: (display.clone(), arguments),
            port: Port::Given(port),
            capabilities: of_webkit,
            display: Some(display),
            any_certificate: false,
        })
    }

    /// The same browser, taking any certificate.
    #[must_use]
    pub fn with_any_certificate(self) -> Self {
        Self {
            any_certificate: true,
            ..self
        }
    }

    /// The browser's version, as it tells it.
    ///
    /// # Errors
    /// If it tells none.
    pub async fn version(&self) -> anyhow::Result<String> {
        let mut command = match &self.display {
            Some(display) => {
                let mut command = Command::new(display);
                command.arg("-a").arg(&self.browser);
                command
            }
            None => Command::new(&self.browser),
        };
        let output = command.arg("--version").kill_on_drop(true).output().await?;
        // `Chromium 156.0.8078.73 built on …`, `Mozilla Firefox 153.7.0esr`, `WebKitGTK 2.50.6 (…)`
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = printed.split_whitespace();
        let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        version
            .map(str::to_owned)
            .with_context(|| format!("no version of {}: {output:?}", self.name))
    }

    pub(crate) fn command(&self) -> Command {
        let (program, arguments) = &self.driver;
        let mut command = Command::new(program);
        command.args(arguments);
        for proxy in testbed::parts::PROXIES {
            command.env_remove(proxy);
        }
        command
    }

    /// Waits until the driver can be asked; its port.
    pub(crate) async fn port(
        &self,
        lines: &mut Lines<impl AsyncBufRead + Unpin>,
    ) -> anyhow::Result<u16> {
        match self.port {
            Port::Given(port) => {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    sleep(crate::LOOK).await;
                }
                Ok(port)
            }
            Port::Printed(words) => {
                while let Some(line) = lines.next_line().await? {
                    let port = line.split_once(words).map(|(_, port)| port);
                    let port = port.and_then(|port| port.trim_end_matches('.').parse().ok());
                    if let Some(port) = port {
                        return Ok(port);
                    }
                }
                None.context("it has ended")
            }
        }
    }

    pub(crate) fn capabilities(&self, profile: &Path) -> Map<String, Value> {
        let mut capabilities = match (self.capabilities)(&self.browser, profile) {
            Value::Object(capabilities) => capabilities,
            _ => Map::new(),
        };
        if self.any_certificate {
            capabilities.insert("acceptInsecureCerts".to_owned(), true.into());
        }
        capabilities
    }
}

fn of_chromium(browser: &Path, profile: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
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
    json!({
        "browserName": "chrome",
        // Tests watch pages that are still loading. `Page::open` waits for those that shall be complete.
        "pageLoadStrategy": "none",
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": { "binary": browser, "args": arguments },
    })
}

/// geckodriver makes a profile of its own.
fn of_firefox(browser: &Path, _profile: &Path) -> Value {
    json!({
        "browserName": "firefox",
        "pageLoadStrategy": "none",
        "moz:firefoxOptions": { "binary": browser, "args": ["-headless"] },
    })
}

/// An automated MiniBrowser keeps nothing.
fn of_webkit(browser: &Path, _profile: &Path) -> Value {
    json!({
        "browserName": "MiniBrowser",
        "pageLoadStrategy": "none",
        "webkitgtk:browserOptions": { "binary": browser, "args": ["--automation"] },
    })
}
