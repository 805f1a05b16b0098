//! The browsers that can be driven, and what differs from one to the next.

use crate::parts;
use anyhow::Context as _;
use serde_json::{json, Map, Value};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Which browser. Its name as people call it is its [`Display`](fmt::Display).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Chromium, by chromedriver.
    Chromium,
    /// Firefox, by geckodriver.
    Firefox,
    /// WebKitGTK's MiniBrowser. It has the engine of Safari, and not its network stack.
    WebKit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::WebKit];

    /// As in the name of a trial.
    pub fn key(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
            Self::WebKit => "WebKitGTK",
        })
    }
}

/// A browser and its WebDriver server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Which one.
    pub kind: Kind,
    /// The browser's program.
    pub browser: PathBuf,
    /// The driver's program.
    driver: PathBuf,
    /// Xvfb, for a browser that needs a display.
    display: Option<PathBuf>,
    /// Whether it takes any certificate, as a server needs that has made its own.
    any_certificate: bool,
    /// Whether it is as its makers ship it where a page is not seen. Tests of the panels want two
    /// windows that are both in use.
    as_shipped: bool,
    /// Whether the driver waits for a page to load before it says that it went there.
    patient: bool,
}

impl Engine {
    /// The browser of this kind.
    ///
    /// # Errors
    /// Which part is missing, and where it comes from.
    pub fn find(kind: Kind) -> anyhow::Result<Self> {
        let (browser, driver, display) = match kind {
            Kind::Chromium => (
                parts::any(
                    &["chromium", "chromium-browser", "google-chrome"],
                    "chromium",
                )?,
                parts::any(&["chromedriver"], "chromium-driver")?,
                None,
            ),
            Kind::Firefox => (
                parts::any(&["firefox-esr", "firefox"], "firefox-esr")?,
                parts::geckodriver()?,
                None,
            ),
            // On a display of its own that nobody sees.
            Kind::WebKit => (
                parts::mini_browser()?,
                parts::any(&["WebKitWebDriver"], "webkit2gtk-driver")?,
                Some(parts::any(&["Xvfb"], "xvfb")?),
            ),
        };
        Ok(Self {
            kind,
            browser,
            driver,
            display,
            any_certificate: false,
            as_shipped: false,
            patient: false,
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

    /// The same browser, as its makers ship it where a page is not seen.
    #[must_use]
    pub fn as_shipped(self) -> Self {
        Self {
            as_shipped: true,
            ..self
        }
    }

    /// The same browser, whose driver waits for a page to load.
    #[must_use]
    pub fn patient(self) -> Self {
        Self {
            patient: true,
            ..self
        }
    }

    /// The browser's version, as it tells it.
    ///
    /// # Errors
    /// If it tells none.
    pub async fn version(&self) -> anyhow::Result<String> {
        let screen = self.screen().await?;
        let mut command = Command::new(&self.browser);
        if let Some(screen) = &screen {
            command.env("DISPLAY", &screen.name);
        }
        let output = command.arg("--version").kill_on_drop(true).output().await?;
        // `Chromium 156.0.8078.73 built on …`, `Mozilla Firefox 153.7.0esr`, `WebKitGTK 2.50.6 (…)`
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = printed.split_whitespace();
        let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        version
            .map(str::to_owned)
            .with_context(|| format!("no version of {}: {output:?}", self.kind))
    }

    /// A display of its own, if it needs one.
    pub(crate) async fn screen(&self) -> anyhow::Result<Option<Screen>> {
        match &self.display {
            Some(program) => Ok(Some(Screen::start(program).await?)),
            None => Ok(None),
        }
    }

    /// The driver's command. Without a port, it chooses one and says so.
    pub(crate) fn command(&self, port: Option<u16>) -> Command {
        let mut command = Command::new(&self.driver);
        command.arg(format!("--port={}", port.unwrap_or(0)));
        if self.kind == Kind::Firefox {
            // For what only the browser's own scripts can do.
            command.arg("--allow-system-access");
        }
        for name in testbed::parts::PROXIES {
            command.env_remove(name);
        }
        command
    }

    /// The browser's own command, for one page and without a driver. What it keeps goes into
    /// `profile`.
    pub(crate) fn alone(&self, profile: &Path, address: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.browser);
        match self.kind {
            Kind::Chromium => {
                command.args(chromium_arguments(profile, self.as_shipped));
            }
            Kind::Firefox => {
                std::fs::write(profile.join("user.js"), QUIET_FIREFOX)?;
                command
                    .args(["-headless", "-no-remote", "-profile"])
                    .arg(profile);
            }
            Kind::WebKit => {
                command.env("HOME", profile);
                for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
                    command.env(name, profile);
                }
            }
        }
        for name in testbed::parts::PROXIES {
            command.env_remove(name);
        }
        command.arg(address);
        Ok(command)
    }

    /// What the driver prints before its port; none if it says nothing, and takes no port 0 either.
    pub(crate) fn prints_port(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Chromium => Some("started successfully on port "),
            Kind::Firefox => Some("Listening on 127.0.0.1:"),
            Kind::WebKit => None,
        }
    }

    pub(crate) fn capabilities(&self, profile: &Path) -> Map<String, Value> {
        let capabilities = match self.kind {
            Kind::Chromium => of_chromium(&self.browser, profile, self.as_shipped),
            Kind::Firefox => of_firefox(&self.browser),
            Kind::WebKit => of_webkit(&self.browser),
        };
        let mut capabilities = match capabilities {
            Value::Object(capabilities) => capabilities,
            _ => Map::new(),
        };
        // Tests watch pages that are still loading. `Page::open` waits for those that shall be
        // complete.
        let strategy = if self.patient { "normal" } else { "none" };
        capabilities.insert("pageLoadStrategy".to_owned(), strategy.into());
        if self.any_certificate {
            capabilities.insert("acceptInsecureCerts".to_owned(), true.into());
        }
        capabilities
    }
}

/// A display that nobody sees. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    /// As in `DISPLAY`.
    pub(crate) name: String,
    _process: Child,
}

impl Screen {
    async fn start(program: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            // It looks for a free number itself, and prints it when it can be used.
            .args(["-displayfd", "1", "-nolisten", "tcp"])
            .args(["-screen", "0", "1400x1000x24"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("Xvfb does not start")?;
        let output = process.stdout.take().context("Xvfb has no output")?;
        let mut lines = BufReader::new(output).lines();
        let number = tokio::time::timeout(crate::HANG, lines.next_line()).await;
        let number = number.context("Xvfb names no display")??;
        let number = number.context("Xvfb has ended")?;
        Ok(Self {
            name: format!(":{}", number.trim()),
            _process: process,
        })
    }
}

fn chromium_arguments(profile: &Path, as_shipped: bool) -> Vec<String> {
    let profile = format!("--user-data-dir={}", profile.display());
    let mut arguments = vec![
        "--headless=new",
        // A container has no user namespaces and little shared memory; root cannot have the sandbox
        // at all.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The suggestions of the address bar, which are pages too: nobody types there, and they
        // cost as much as a test.
        "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,AimEnabled",
        // No name resolves: a page that asks another host fails, and nothing leaves this machine.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        "--window-size=1280,900",
        &profile,
    ];
    if !as_shipped {
        arguments.extend([
            // Two windows of one test are both in use, though only one can be in front.
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
            "--disable-background-timer-throttling",
        ]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}

fn of_chromium(browser: &Path, profile: &Path, as_shipped: bool) -> Value {
    let arguments = chromium_arguments(profile, as_shipped);
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": browser, "args": arguments },
    })
}

/// No proxy, no page of its own, and nobody called. geckodriver has settings like these.
const QUIET_FIREFOX: &str = r#"
user_pref("network.proxy.type", 0);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.policy.dataSubmissionPolicyBypassNotification", true);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.safebrowsing.update.enabled", false);
user_pref("services.settings.server", "data:,");
"#;

/// geckodriver makes a profile of its own.
fn of_firefox(browser: &Path) -> Value {
    json!({
        "browserName": "firefox",
        "moz:firefoxOptions": {
            "binary": browser,
            "args": ["-headless", "--width=1280", "--height=900"],
            // No proxy, whatever the system says.
            "prefs": { "network.proxy.type": 0 },
        },
    })
}

/// An automated MiniBrowser keeps nothing.
fn of_webkit(browser: &Path) -> Value {
    json!({
        "browserName": "MiniBrowser",
        "webkitgtk:browserOptions": { "binary": browser, "args": ["--automation"] },
    })
}
