//! What real clients do with HTTP/2 push and with 103 Early Hints today, and what they did on the
//! day when somebody last looked.
//!
//! Each trial lets one client load a page from this book's push server, and compares what the
//! server saw with the newest result in `results.json`. Where they differ the world has changed:
//! `UPDATE_GOLDEN=1 cargo test -p browser --test push_clients` keeps the old results, adds the new
//! ones with their date, and writes the table that the book shows.
//!
//! Each client is a part from outside. Where it is missing, its trial is ignored, with the reason,
//! or fails under `REQUIRE_PARTS=1`.

mod results;

use anyhow::{bail, ensure, Context as _};
use browser::results::updating;
use browser::{
    driver::Driver,
    engine::{Engine, Kind},
};
use futures_util::FutureExt as _;
use http2_push::{
    client::{self, Session},
    identity::Identity,
    recording::Recording,
    Config, Way,
};
use libtest_mimic::{Arguments, Trial};
use results::{Hints, Push, Seen, KEPT};
use serde_json::Value;
use serving::Ending;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use testbed::parts::{self, Missing};
use tokio::{net::TcpListener, process::Command, time::sleep};

/// How long one client may take in all. A browser starts in a second or two, and this machine may
/// be busy.
const LIMIT: Duration = Duration::from_secs(90);

/// How long the page is held back for a client that is said to heed the hints: it is met only where
/// that is no longer so.
const HEEDS: Duration = Duration::from_secs(10);

/// How long it is held back for one that is said not to. If such a client begins to, it will do so
/// within this time; if it took longer, this would say what the last result says.
const HEEDS_NOT: Duration = Duration::from_secs(3);

/// How often a browser is tried.
const LOADS: usize = 4;

fn main() -> ExitCode {
    let trials = vec![
        trial("WebKitGTK", || browser(Kind::WebKit, "WebKitGTK")),
        trial("Firefox", || browser(Kind::Firefox, "Firefox")),
        trial("Chromium", || browser(Kind::Chromium, "Chromium")),
        trial("Node.js", node),
        trial("curl", curl),
        trial("nghttp", nghttp),
        trial(results::OURS, ours),
        Trial::test("the_table_says_what_the_results_say", || {
            KEPT.results
                .table_is_current(results::table)
                .map_err(|error| format!("{error:#}").into())
        }),
    ];
    let mut arguments = Arguments::from_args();
    // They wait most of the time, however few processors there are.
    arguments.test_threads.get_or_insert(4);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if updating() {
        if let Err(error) = results::table().and_then(|table| KEPT.results.write_table(&table)) {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// A trial of one client, against its newest result.
fn trial<T>(name: &'static str, measure: fn() -> T) -> Trial
where
    T: Future<Output = anyhow::Result<Measured>> + 'static,
{
    parts::trial(name, LIMIT, move || async move {
        let Measured { version, seen } = measure().await?;
        KEPT.check(name, &version, seen)
    })
}

/// A client's version, and what it did.
struct Measured {
    version: String,
    seen: Seen,
}

/// A push server that remembers its connections.
struct PushServer {
    address: SocketAddr,
    identity: Identity,
    ending: Ending,
    connections: Arc<Mutex<Vec<Recording>>>,
    /// The certificate as a file.
    folder: TempDir,
}

impl PushServer {
    /// Whose page with early hints waits until its style sheet was asked for, at most for
    /// `patience`.
    async fn start(patience: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let identity = Identity::new([])?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("push.pem"), identity.pem())?;
        let connections = Arc::<Mutex<Vec<Recording>>>::default();
        let seen = connections.clone();
        let config = Config {
            work: Arc::new(move |recording| {
                let mut connections = seen.lock().unwrap_or_else(PoisonError::into_inner);
                // A page's request is the newest thing on its connection.
                let page = recording.asked().pop().unwrap_or_default();
                connections.push(recording.clone());
                async move {
                    if page == Way::EarlyHints.folder() {
                        tokio::select! {
                            // Cancel-safe: it only waits.
                            () = recording.until(heeded) => {}
                            // Cancel-safe: it only waits.
                            () = sleep(patience) => {}
                        }
                    }
                }
                .boxed()
            }),
            ..Config::default()
        };
        let ending = Ending::new();
        let edge = serving::Config::default();
        let serving = http2_push::serve(listener, identity.clone(), config, edge, ending.clone());
        tokio::spawn(serving);
        Ok(Self {
            address,
            identity,
            ending,
            connections,
            folder,
        })
    }

    async fn for_client(name: &str) -> anyhow::Result<Self> {
        let heeds = KEPT
            .newest(name)?
            .is_some_and(|seen: Seen| seen.hints == Hints::Heeded);
        Self::start(if heeds { HEEDS } else { HEEDS_NOT }).await
    }

    fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    fn page(&self, way: Way) -> String {
        self.origin() + way.folder()
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("push.pem")
    }

    /// The connection over which the page came.
    fn connection(&self, way: Way) -> Option<Recording> {
        let connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let page = way.folder().to_owned();
        let mut found = connections.iter();
        found
            .find(|recording| recording.asked().contains(&page))
            .cloned()
    }

    /// What the server saw. `told`: whether the client gave the hints to whoever used it.
    fn seen(&self, told: bool) -> anyhow::Result<Seen> {
        let pushed = self.connection(Way::Push).context("no page with pushes")?;
        let hinted = self
            .connection(Way::EarlyHints)
            .context("no page with hints")?;
        ensure!(hinted.hints() > 0, "no hint was sent");
        let asked = pushed.asked().contains(&"/style.css".to_owned());
        let push = match (pushed.promises(), pushed.refused()) {
            (0, _) => Push::NoneSent,
            (_, 0) if !asked => Push::Taken,
            (_, 0) => Push::AskedAnyway,
            _ => Push::Reset,
        };
        let hints = match (early(&hinted), told) {
            (true, _) => Hints::Heeded,
            (false, true) => Hints::Told,
            (false, false) => Hints::Ignored,
        };
        Ok(Seen {
            enable_push: pushed.enable_push(),
            push,
            hints,
        })
    }
}

impl Drop for PushServer {
    fn drop(&mut self) {
        self.ending.cut();
    }
}

fn heeded(recording: &Recording) -> bool {
    let style = Way::EarlyHints.folder().to_owned() + "style.css";
    recording.asked().contains(&style)
}

/// Whether the style sheet was asked for before the page was sent.
fn early(recording: &Recording) -> bool {
    let frames = recording.frames();
    let position = |wanted: &dyn Fn(&http2_push::frames::Frame) -> bool| {
        frames.iter().position(|(_, frame)| wanted(frame))
    };
    let style = Way::EarlyHints.folder().to_owned() + "style.css";
    let page = Way::EarlyHints.folder();
    let stream = frames
        .iter()
        .find(|(_, frame)| frame.field(":path") == Some(page))
        .map(|(_, frame)| frame.stream);
    let asked = position(&|frame| frame.field(":path") == Some(&style));
    let sent =
        position(&|frame| Some(frame.stream) == stream && frame.field(":status") == Some("200"));
    matches!((asked, sent), (Some(asked), Some(sent)) if asked < sent)
}

async fn ours() -> anyhow::Result<Measured> {
    let server = PushServer::for_client(results::OURS).await?;
    let address = server.page(Way::Push).parse()?;
    let config = client::Config::default();
    let mut session = Session::connect(&address, &server.identity.trust(), config).await?;
    session.get(Way::Push.folder()).await?;
    let hinted = session.get(Way::EarlyHints.folder()).await?;
    let lock =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"))?;
    let version = lock
        .split_once("name = \"h2\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .context("no h2 in Cargo.lock")?;
    Ok(Measured {
        version: version.0.to_owned(),
        seen: server.seen(!hinted.hints.is_empty())?,
    })
}

async fn nghttp() -> anyhow::Result<Measured> {
    // `nghttp nghttp2/1.52.0`
    let version = version("nghttp", "nghttp", "--version", 1).await?;
    let server = PushServer::for_client("nghttp").await?;
    output(Command::new("nghttp").args(["-n", &server.page(Way::Push)])).await?;
    let hinted = server.page(Way::EarlyHints);
    let told = output(Command::new("nghttp").args(["-nv", &hinted])).await?;
    Ok(Measured {
        version: version.trim_start_matches("nghttp2/").to_owned(),
        seen: server.seen(told.contains(":status: 103"))?,
    })
}

async fn curl() -> anyhow::Result<Measured> {
    // `curl 7.88.1 (…)`
    let version = version("curl", "curl", "--version", 1).await?;
    let server = PushServer::for_client("curl").await?;
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--cacert"]);
    command.arg(server.certificate());
    command.args([server.page(Way::Push), server.page(Way::EarlyHints)]);
    let told = output(&mut command).await?;
    Ok(Measured {
        version,
        seen: server.seen(told.contains("HTTP/2 103"))?,
    })
}

async fn node() -> anyhow::Result<Measured> {
    // `v20.20.2`
    let version = version("node", "nodejs", "--version", 0).await?;
    let server = PushServer::for_client("Node.js").await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/push_clients/node.mjs");
    let mut told = false;
    for way in [Way::Push, Way::EarlyHints] {
        let mut command = Command::new("node");
        command.arg(&script).arg(server.origin());
        command.arg(server.certificate()).arg(way.folder());
        let printed: Value = serde_json::from_str(&output(&mut command).await?)?;
        told |= printed["hints"].as_u64().is_some_and(|hints| hints > 0);
    }
    Ok(Measured {
        version: version.trim_start_matches('v').to_owned(),
        seen: server.seen(told)?,
    })
}

/// A browser's behaviour: that of its first load in which it does what the newest result says, or
/// heeds the hints. Chromium does so in most loads and not in each (in 19 of 20 here), and what it
/// *can* do is the question here.
async fn browser(kind: Kind, name: &'static str) -> anyhow::Result<Measured> {
    let engine = Engine::find(kind).map_err(Missing)?;
    let version = engine.version().await?;
    let driver = Driver::start(engine.with_any_certificate()).await?;
    let kept = KEPT.newest(name)?;
    for _ in 1..LOADS {
        let seen = load(&driver, name).await?;
        if seen.hints == Hints::Heeded || (kept == Some(seen) && !updating()) {
            return Ok(Measured { version, seen });
        }
    }
    let seen = load(&driver, name).await?;
    Ok(Measured { version, seen })
}

/// One load of either page, with a profile that has loaded nothing before.
async fn load(driver: &Driver, name: &str) -> anyhow::Result<Seen> {
    let server = PushServer::for_client(name).await?;
    let browser = driver.browser().await?;
    for way in [Way::Push, Way::EarlyHints] {
        browser.client.goto(&server.page(way)).await?;
        // The page's script runs last, and says what the server told it. The page before may still
        // be there.
        let told = "return location.pathname === arguments[0] \
            ? document.getElementById('verdict')?.dataset.state ?? null : null";
        loop {
            let page = vec![way.folder().into()];
            match browser.client.execute(told, page).await {
                Ok(Value::String(state)) if state == "told" => break,
                Ok(Value::String(state)) => bail!("the page says {state:?}"),
                // Not there yet: the page before it, or one that is loading.
                Ok(_) | Err(_) => sleep(Duration::from_millis(15)).await,
            }
        }
    }
    let seen = server.seen(false)?;
    if updating() && name == "Chromium" {
        let hinted = server.connection(Way::EarlyHints).context("no page")?;
        results::keep_frames(name, &hinted)?;
    }
    browser.close().await;
    Ok(seen)
}

/// A word of what a program prints as its version, or what is missing.
async fn version(
    program: &'static str,
    debian: &str,
    flag: &str,
    word: usize,
) -> anyhow::Result<String> {
    match Command::new(program).arg(flag).output().await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = anyhow::anyhow!("no {program} on the search path (Debian: {debian})");
            Err(Missing(missing).into())
        }
        printed => {
            let printed = String::from_utf8(printed?.stdout)?;
            let words = printed.split_whitespace().nth(word);
            Ok(words.context("no version")?.to_owned())
        }
    }
}

/// What a program prints. It ends with this test.
async fn output(command: &mut Command) -> anyhow::Result<String> {
    for proxy in parts::PROXIES {
        command.env_remove(proxy);
    }
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
