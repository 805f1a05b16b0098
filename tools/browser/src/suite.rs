//! The tests as trials of libtest-mimic, and the browsers and the book that they share.

use crate::{
    driver::{Browser, Driver},
    engine::{Engine, Kind},
    page::Page,
    served::Served,
};
use anyhow::Context as _;
use futures_util::FutureExt as _;
use http2_push::panel::Running;
use libtest_mimic::{Arguments, Trial};
use serving::{Ending, Tap};
use site::{
    book::{self, Edition, Options},
    limits::Limits,
    push, server,
    shelf::Shelf,
};
use std::{
    future::Future,
    net::Ipv4Addr,
    panic::{resume_unwind, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use testbed::parts::{self, Forbidden, Missing};
use tokio::{net::TcpListener, runtime::Runtime, sync::OnceCell, time::timeout};

/// How long one test may take in all. Each of its waits has its own, shorter guard; this one also
/// covers a browser that no longer answers.
const TEST_LIMIT: Duration = Duration::from_secs(300);

/// Where the site of [`Suite::published`] believes to be published: who serves it there, and under
/// which path.
pub const ORIGIN: &str = "https://ada.example";
/// See [`ORIGIN`].
pub const SITE: &str = "/async-book/";
/// Where its sources are.
pub const REPOSITORY: &str = "https://github.com/ada/async-book";
/// What its links for suggesting an edit begin with; the path of a source in the repository
/// follows.
pub const EDITS: &str = "https://code.example/ada/async-book/edit/main/";

/// What the tests of one program share.
#[derive(Debug)]
pub struct Suite {
    runtime: Runtime,
    /// Browsers between two tests: starting one takes a second or more. Never more than
    /// libtest-mimic has threads. The lock is held for a push or a pop.
    idle: Mutex<Vec<Session>>,
    /// Built once, by the first test that needs it.
    book: OnceCell<Shelf>,
    /// The same, but as it is published.
    published: OnceCell<Edition>,
    /// The same, with servers in a service worker.
    with_worker: OnceCell<Edition>,
    /// Started once. It keeps nothing from one request to the next.
    push: OnceCell<Running>,
}

/// A browser, with a driver of its own: those of Firefox and WebKitGTK have one at a time.
#[derive(Debug)]
struct Session {
    engine: Engine,
    driver: Driver,
    browser: Browser,
}

impl Session {
    async fn close(self) {
        self.browser.close().await;
        drop(self.driver);
    }
}

impl Suite {
    /// With no browser yet: a list of tests, or a filter that leaves none, needs no browser.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            runtime: Runtime::new().expect("a runtime"),
            idle: Mutex::default(),
            book: OnceCell::new(),
            published: OnceCell::new(),
            with_worker: OnceCell::new(),
            push: OnceCell::new(),
        })
    }

    /// A trial that gets a new window of a browser, and is named after it. Where a part is missing,
    /// which the test may also say itself with [`Missing`], it is ignored with the reason, or fails
    /// where parts are required: see [`parts::outcome`].
    pub fn trial<F, T>(self: &Arc<Self>, kind: Kind, name: &str, test: F) -> Trial
    where
        F: Fn(Arc<Self>, Page) -> T + Send + 'static,
        T: Future<Output = anyhow::Result<()>> + Send,
    {
        self.trial_in(kind, |engine| engine, name, test)
    }

    /// The same with a driver that waits for a page to load.
    pub fn patient_trial<F, T>(self: &Arc<Self>, kind: Kind, name: &str, test: F) -> Trial
    where
        F: Fn(Arc<Self>, Page) -> T + Send + 'static,
        T: Future<Output = anyhow::Result<()>> + Send,
    {
        self.trial_in(kind, Engine::patient, name, test)
    }

    fn trial_in<F, T>(
        self: &Arc<Self>,
        kind: Kind,
        adapt: fn(Engine) -> Engine,
        name: &str,
        test: F,
    ) -> Trial
    where
        F: Fn(Arc<Self>, Page) -> T + Send + 'static,
        T: Future<Output = anyhow::Result<()>> + Send,
    {
        let suite = self.clone();
        Trial::ignorable_test(format!("{}/{name}", kind.key()), move || {
            let run = || suite.runtime.block_on(suite.run(kind, adapt, &test));
            // Under load WebKitGTK's driver now and then reports a click or a script as done of
            // which the page knows nothing, and in any browser a script or a request may stand
            // still for longer than the driver or the page waits. A second try, in a new browser,
            // tells that from a fault of the page. What a test asserts has one try.
            let outcome = match run() {
                Err(error) if !error.is::<Missing>() && !error.is::<Forbidden>() => {
                    eprintln!("{kind}: tried once more after: {error:#}");
                    run()
                }
                outcome => outcome,
            };
            parts::outcome(outcome)
        })
    }

    /// Runs this once, in a browser of its own, which then ends: for what is no test.
    ///
    /// # Errors
    /// What it returns, or that it takes too long.
    pub fn run_once<F, T>(self: Arc<Self>, kind: Kind, work: F) -> anyhow::Result<()>
    where
        F: Fn(Arc<Self>, Page) -> T,
        T: Future<Output = anyhow::Result<()>>,
    {
        let outcome = self
            .runtime
            .block_on(self.run(kind, |engine| engine, &work));
        self.close();
        outcome
    }

    async fn run<F, T>(
        self: &Arc<Self>,
        kind: Kind,
        adapt: fn(Engine) -> Engine,
        test: &F,
    ) -> anyhow::Result<()>
    where
        F: Fn(Arc<Self>, Page) -> T,
        T: Future<Output = anyhow::Result<()>>,
    {
        let engine = Engine::find(kind).map_err(Missing)?;
        let session = self.take(adapt(engine)).await?;
        let page = Page::only(&session.browser).await?;
        let test = AssertUnwindSafe(timeout(TEST_LIMIT, test(self.clone(), page))).catch_unwind();
        let tested = test.await;
        if let Ok(Ok(Ok(()))) = tested {
            self.lock().push(session);
        } else {
            // Not for another test: nobody knows what it is still doing.
            session.close().await;
        }
        match tested {
            Ok(in_time) => in_time.context("the test hangs")?,
            // libtest-mimic tells of it.
            Err(panic) => resume_unwind(panic),
        }
    }

    async fn take(&self, engine: Engine) -> anyhow::Result<Session> {
        let others = {
            let mut idle = self.lock();
            if let Some(index) = idle.iter().position(|session| session.engine == engine) {
                return Ok(idle.swap_remove(index));
            }
            std::mem::take(&mut *idle)
        };
        // The trials go from one engine to the next, and this machine has little room for all.
        for session in others {
            session.close().await;
        }
        let driver = Driver::start(engine.clone()).await?;
        let browser = driver.browser().await?;
        Ok(Session {
            engine,
            driver,
            browser,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the trials, and then ends every browser. Unless the command line has another number,
    /// `at_once` of them run side by side: each has a browser and servers of its own.
    pub fn finish(self: Arc<Self>, trials: Vec<Trial>, at_once: usize) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(at_once);
        let conclusion = libtest_mimic::run(&arguments, trials);
        self.close();
        conclusion.exit_code()
    }

    /// Ends every browser between two tests.
    fn close(&self) {
        let idle = std::mem::take(&mut *self.lock());
        self.runtime.block_on(async {
            for session in idle {
                session.close().await;
            }
        });
    }

    /// The directory of the static site, whose panels have no servers.
    ///
    /// # Errors
    /// If the book does not build.
    pub async fn published(&self) -> anyhow::Result<&Path> {
        let build = || build(published(), None);
        Ok(self.published.get_or_try_init(build).await?.path())
    }

    /// The same as the workflow that publishes it builds it: with servers in a service worker.
    ///
    /// # Errors
    /// If the book does not build. [`Missing`] where nobody has compiled the worker.
    pub async fn published_with_worker(&self) -> anyhow::Result<&Path> {
        let root = book::find_root(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let worker = root.join("target/worker");
        if !worker.join("worker.js").is_file() {
            let why = anyhow::anyhow!("no {} (cargo xtask worker)", worker.display());
            return Err(Missing(why).into());
        }
        let build = || build(published(), Some(worker));
        Ok(self.with_worker.get_or_try_init(build).await?.path())
    }

    /// The running site, as `cargo run` starts it, over a log of its own. All have the same push
    /// server.
    ///
    /// # Errors
    /// If the book does not build, or there is no port.
    pub async fn site(&self) -> anyhow::Result<Served> {
        let push = self.push().await?;
        self.site_with(Some(push)).await
    }

    /// The push server beside the sites.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn push(&self) -> anyhow::Result<Running> {
        let start = || async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            // It ends with the runtime.
            let (running, serving) = push::server(listener, &[], Ending::new())?;
            tokio::spawn(serving);
            anyhow::Ok(running)
        };
        Ok(self.push.get_or_try_init(start).await?.clone())
    }

    /// The site with this push server, or with none, as where its port was taken.
    ///
    /// # Errors
    /// As [`site`](Self::site).
    pub async fn site_with(&self, push: Option<Running>) -> anyhow::Result<Served> {
        self.site_of(push, Limits::default()).await
    }

    /// The same with these limits; its edge is that of every test, with its tap on.
    ///
    /// # Errors
    /// As [`site`](Self::site).
    pub async fn site_of(&self, push: Option<Running>, limits: Limits) -> anyhow::Result<Served> {
        let build = || async { anyhow::Ok(Shelf::new(&build(Vec::new(), None).await?)?) };
        let shelf = self.book.get_or_try_init(build).await?.clone();
        let tap = Tap::new();
        let edge = serving::Config {
            tap: Some(tap.clone()),
            ..serving::Config::default()
        };
        let site = Served::start_with((Ipv4Addr::LOCALHOST, 0).into(), edge, |feed, ending| {
            let live = server::live(&site::methods(), feed, push, &limits, ending);
            server::with_wire(server::router(shelf, live, None), &tap)
        });
        Ok(site.await?)
    }
}

/// What the workflow that publishes the book sets.
fn published() -> Settings {
    vec![
        ("output.html.site-url", format!("{ORIGIN}{SITE}")),
        ("output.html.edit-url-template", format!("{EDITS}{{path}}")),
        ("output.html.git-repository-url", REPOSITORY.to_owned()),
    ]
}

type Settings = Vec<(&'static str, String)>;

/// Builds the book of this repository, with these settings, and perhaps with this worker.
async fn build(settings: Settings, worker: Option<PathBuf>) -> anyhow::Result<Edition> {
    let root = book::find_root(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let built = tokio::task::spawn_blocking(move || {
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let options = Options {
            settings: &settings,
            worker: worker.as_deref(),
            ..Options::default()
        };
        Edition::build(&root, options)
    });
    Ok(built.await??.0)
}
