//! One window of a browser.

use crate::{driver::Browser, engine::Kind, HANG, LOOK};
use anyhow::{bail, Context as _};
use fantoccini::{
    actions::{InputSource, MouseActions, PointerAction, TouchActions, MOUSE_BUTTON_LEFT},
    elements::Element,
    error::{CmdError, ErrorStatus},
    wd::{WebDriverCompatibleCommand, WindowHandle},
    Client, Locator,
};
use http::Method;
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, Value};
use std::time::Instant;
use url::{ParseError, Url};

/// Width and height of a window in CSS pixels, with its frame.
const DESK: (u32, u32) = (1280, 900);

/// A window. Its scripts and clicks go to the window that was last [brought to the
/// front](Self::to_front).
#[derive(Clone, Debug)]
pub struct Page {
    client: Client,
    window: WindowHandle,
    kind: Kind,
}

/// A line of the browser's console, or a failure that the browser reports there, such as a response
/// with status 404.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    /// `SEVERE`, `WARNING`, `INFO` or `DEBUG`.
    level: String,
    /// Where and what.
    message: String,
}

impl Page {
    /// A new window, the only one of this browser, with nothing in its logs, and as large as a
    /// desk's: Firefox opens it with the size of the last, which may have been a phone's.
    pub async fn only(browser: &Browser) -> anyhow::Result<Self> {
        let client = browser.client.clone();
        let old = client.windows().await?;
        let page = Self::new(client, browser.kind).await?;
        for window in old {
            page.client.switch_to_window(window).await?;
            page.client.close_window().await?;
        }
        page.to_front().await?;
        page.client.set_window_size(DESK.0, DESK.1).await?;
        if page.kind == Kind::Chromium {
            page.console().await?;
        }
        Ok(page)
    }

    async fn new(client: Client, kind: Kind) -> anyhow::Result<Self> {
        let window = client.new_window(false).await?.handle;
        let page = Self {
            client,
            window,
            kind,
        };
        page.to_front().await?;
        Ok(page)
    }

    /// A second window of the same browser; it is then in front.
    ///
    /// # Errors
    /// As WebDriver has them; so for every function here.
    pub async fn another(&self) -> anyhow::Result<Self> {
        Self::new(self.client.clone(), self.kind).await
    }

    /// Which browser shows it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its WebDriver session, for what this type does not have.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes this the window that scripts and clicks go to.
    pub async fn to_front(&self) -> anyhow::Result<()> {
        Ok(self.client.switch_to_window(self.window.clone()).await?)
    }

    /// Minimises the window in front, so that its page is hidden from its reader, and knows it.
    pub async fn hide(&self) -> anyhow::Result<()> {
        Ok(self.client.minimize_window().await?)
    }

    /// Shows the window again.
    pub async fn show(&self) -> anyhow::Result<()> {
        // To give a window a size is also to restore it (WebDriver §11.8.2).
        Ok(self.client.set_window_size(DESK.0, DESK.1).await?)
    }

    /// Begins to load `address`, and waits for nothing.
    pub async fn navigate(&self, address: &str) -> anyhow::Result<()> {
        Ok(self.client.goto(address).await?)
    }

    /// Loads `address`, and waits until it and everything it refers to have loaded.
    pub async fn open(&self, address: &str) -> anyhow::Result<()> {
        self.navigate(address).await?;
        let loaded = "return location.href === arguments[0] && document.readyState === 'complete'";
        self.until(&format!("{address} to load"), loaded, &[json!(address)])
            .await
    }

    /// Goes to another page of the same server, as by a link, and comes back. Whether the page is
    /// the same as before, and not loaded anew.
    pub async fn away_and_back(
        &self,
        elsewhere: &str,
        meanwhile: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let there = "return location.href === arguments[0] && document.readyState === 'complete'";
        let mark = "window.mark = true; return location.href";
        let here: String = self.run(mark, &[]).await?;
        if self.kind == Kind::WebKit {
            // By the driver, which has to be a patient one: a script that is asked for while the
            // page goes away is never answered.
            self.client.goto(elsewhere).await?;
            meanwhile().await?;
            self.client.back().await?;
        } else {
            let go =
                "const [elsewhere] = arguments; setTimeout(() => { location.href = elsewhere })";
            self.run::<Value>(go, &[json!(elsewhere)]).await?;
            self.until("the other page", there, &[json!(elsewhere)])
                .await?;
            meanwhile().await?;
            let back = "setTimeout(() => history.back())";
            self.run::<Value>(back, &[]).await?;
        }
        self.until("the page again", there, &[json!(here)]).await?;
        self.run("return window.mark === true", &[]).await
    }

    /// Runs the body of a function in the page, and gives what it returns. A promise is waited for.
    pub async fn run<T: DeserializeOwned>(
        &self,
        script: &str,
        arguments: &[Value],
    ) -> anyhow::Result<T> {
        let value = self.client.execute(script, arguments.to_vec()).await?;
        serde_json::from_value(value).with_context(|| format!("the page's answer to: {script}"))
    }

    /// Waits until a script returns anything but `null`, `undefined` or `false`. A script that
    /// throws has not come true yet.
    ///
    /// # Errors
    /// After [`HANG`], with `what` and the script's last answer.
    pub async fn until(&self, what: &str, script: &str, arguments: &[Value]) -> anyhow::Result<()> {
        let _: Value = self.until_some(what, script, arguments).await?;
        Ok(())
    }

    /// The same, and gives what the script returned.
    ///
    /// # Errors
    /// As [`until`](Self::until).
    pub async fn until_some<T: DeserializeOwned>(
        &self,
        what: &str,
        script: &str,
        arguments: &[Value],
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        loop {
            let last = self.client.execute(script, arguments.to_vec()).await;
            let last = match last {
                Ok(Value::Null | Value::Bool(false)) => "nothing".to_owned(),
                Ok(value) => return Ok(serde_json::from_value(value)?),
                // The page that was asked may just be going away.
                Err(CmdError::Standard(error)) => error.message.into_owned(),
                Err(error) => return Err(error.into()),
            };
            if begin.elapsed() > HANG {
                bail!("waited {HANG:?} for {what}; the last answer was: {last}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the page has drawn, and has told its observers what is in view.
    ///
    /// For "nothing happened": an observer of the page was told before this one, which was made
    /// later.
    pub async fn settle(&self) -> anyhow::Result<()> {
        self.run::<Value>(
            "return new Promise((resolve) => {
                new IntersectionObserver((_, observer) => {
                    observer.disconnect();
                    requestAnimationFrame(() => setTimeout(resolve));
                }).observe(document.documentElement);
            })",
            &[],
        )
        .await?;
        Ok(())
    }

    /// The first element that matches a selector.
    pub async fn find(&self, css: &str) -> anyhow::Result<Element> {
        let element = self.client.find(Locator::Css(css)).await;
        element.with_context(|| format!("no {css}"))
    }

    /// Scrolls an element into the middle of the view: at its edge a bar of the page may lie above
    /// the element.
    pub async fn into_view(&self, css: &str) -> anyhow::Result<()> {
        self.run::<Value>(
            "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })",
            &[json!(css)],
        )
        .await?;
        Ok(())
    }

    /// Clicks as a person does: the element must be in view, and nothing may cover it.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        // The page may move under the pointer while a picture comes or a bar follows the scroll:
        // then the click hits something else, and is done again.
        let watch = "window.clicked = false;
            document.querySelector(arguments[0])
                .addEventListener('click', () => { window.clicked = true }, { capture: true, once: true })";
        let mut covered = None;
        for _ in 0..3 {
            self.into_view(css).await?;
            self.run::<Value>(watch, &[json!(css)]).await?;
            match self.find(css).await?.click().await {
                Err(CmdError::Standard(error))
                    if error.error == ErrorStatus::ElementClickIntercepted =>
                {
                    self.settle().await?;
                    covered = Some(error);
                    continue;
                }
                clicked => clicked.with_context(|| format!("no click on {css}"))?,
            }
            // A page that has gone was left by this click.
            let arrived = self.run("return window.clicked !== false", &[]).await;
            if arrived.unwrap_or(true) {
                return Ok(());
            }
        }
        if let Some(error) = covered {
            return Err(error).with_context(|| format!("no click on {css}"));
        }
        bail!("no click on {css} arrives")
    }

    /// Types into a field, after what is there is gone.
    pub async fn fill(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(css).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Presses keys in whatever has the focus. `\u{e004}` is Tab, `\u{e007}` Enter (WebDriver
    /// §17.4.2).
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        Ok(self.client.active_element().await?.send_keys(keys).await?)
    }

    /// Drags the mouse along places of the window, in CSS pixels, with its button down.
    pub async fn drag(&self, places: &[(f64, f64)]) -> anyhow::Result<()> {
        let mouse = MouseActions::new("mouse".to_owned());
        let actions = along(places)?.into_iter().fold(mouse, MouseActions::then);
        Ok(self.client.perform_actions(actions).await?)
    }

    /// The same with a finger.
    pub async fn swipe(&self, places: &[(f64, f64)]) -> anyhow::Result<()> {
        let finger = TouchActions::new("finger".to_owned());
        let actions = along(places)?.into_iter().fold(finger, TouchActions::then);
        Ok(self.client.perform_actions(actions).await?)
    }

    /// Gives the page this many CSS pixels, or as few as the browser's window can have. Its width
    /// then.
    pub async fn resize(&self, width: u32, height: u32) -> anyhow::Result<u32> {
        let (mut outer_width, mut outer_height) = (width, height);
        let mut inner = (0, 0);
        // The first time tells what the window's frame takes.
        for _ in 0..2 {
            self.client
                .set_window_size(outer_width, outer_height)
                .await?;
            self.settle().await?;
            inner = self.run("return [innerWidth, innerHeight]", &[]).await?;
            outer_width = (outer_width + width).saturating_sub(inner.0);
            outer_height = (outer_height + height).saturating_sub(inner.1);
        }
        Ok(inner.0)
    }

    /// Makes the page believe that its reader prefers `light` or `dark`. In Chromium alone.
    pub async fn prefer(&self, scheme: &str) -> anyhow::Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        let body = json!({ "cmd": "Emulation.setEmulatedMedia", "params": features });
        self.issue("goog/cdp/execute", body).await?;
        Ok(())
    }

    /// Ends every service worker, as the browser does with one that is idle. In Chromium alone.
    pub async fn end_service_workers(&self) -> anyhow::Result<()> {
        for command in ["ServiceWorker.enable", "ServiceWorker.stopAllWorkers"] {
            let body = json!({ "cmd": command, "params": {} });
            self.issue("goog/cdp/execute", body).await?;
        }
        Ok(())
    }

    /// Has the page stand still, as the browser does with one that is long hidden, or go on again.
    /// In Chromium alone.
    pub async fn freeze(&self, is_frozen: bool) -> anyhow::Result<()> {
        let state = if is_frozen { "frozen" } else { "active" };
        let params = json!({ "state": state });
        let body = json!({ "cmd": "Page.setWebLifecycleState", "params": params });
        self.issue("goog/cdp/execute", body).await?;
        Ok(())
    }

    /// What went wrong in the page since it was opened, as its [observer](crate::served::Served)
    /// saw it: errors, warnings, files that did not load, and whatever was asked of another host.
    /// Where the browser has a console to read, that too, since this was last called.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let mut complaints: Vec<String> = self.run("return window.observed ?? []", &[]).await?;
        if self.kind == Kind::Chromium {
            complaints.extend(self.console().await?);
        }
        Ok(complaints)
    }

    /// What Chromium's console got since it was last asked, from every window, that is worse than
    /// information.
    async fn console(&self) -> anyhow::Result<Vec<String>> {
        let lines = self.issue("se/log", json!({ "type": "browser" })).await?;
        let lines: Vec<Line> = serde_json::from_value(lines)?;
        let bad = lines
            .into_iter()
            .filter(|line| line.level == "SEVERE" || line.level == "WARNING");
        Ok(bad.map(|line| line.message).collect())
    }

    async fn issue(&self, path: &'static str, body: Value) -> anyhow::Result<Value> {
        let answer = self.client.issue_cmd(Extension { path, body }).await;
        answer.with_context(|| format!("the driver's command {path}"))
    }
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// What a pointer does that goes down at the first place and up at the last.
fn along(places: &[(f64, f64)]) -> anyhow::Result<Vec<PointerAction>> {
    let mut moves = places.iter().map(|&(x, y)| PointerAction::MoveTo {
        duration: None,
        x,
        y,
    });
    let first = moves.next().context("no place")?;
    let down = PointerAction::Down {
        button: MOUSE_BUTTON_LEFT,
    };
    let up = PointerAction::Up {
        button: MOUSE_BUTTON_LEFT,
    };
    Ok([first, down].into_iter().chain(moves).chain([up]).collect())
}
