//! A server of this process, on a free port.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    http::{header, StatusCode},
    middleware::{from_fn_with_state, Next},
    response::{Html, IntoResponse as _, Response},
    routing::get,
    Router,
};
use feed::{Feed, Retention};
use futures_util::StreamExt as _;
use serving::{guard, Allowed, Config, Ending, Guarded};
use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Looks on in every page, before any script of its own, and writes down what went wrong.
///
/// A browser need not tell a program of its console, and only Chromium does. Nothing here asks the
/// network for anything.
const OBSERVER: &str = r#"<script>
(() => {
  const observed = (window.observed = []);
  addEventListener("error", ({ target, message }) => {
    observed.push(target instanceof Element ? `not loaded: ${target.src ?? target.href}` : `error: ${message}`);
  }, true);
  addEventListener("unhandledrejection", ({ reason }) => observed.push(`rejected: ${reason}`));
  addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
    observed.push(`asked elsewhere: ${blockedURI} (${effectiveDirective})`);
  });
  for (const level of ["error", "warn"]) {
    const say = console[level];
    console[level] = (...words) => {
      observed.push(`${level}: ${words.join(" ")}`);
      say.apply(console, words);
    };
  }
})();
</script>"#;

/// How much of a page is read to put the observer into it. The print page is the largest, with some
/// 2 MiB.
const LARGEST_PAGE: usize = 16 << 20;

/// A server, its log, and what it was asked. Dropping it cuts it off.
///
/// Into each page it puts an observer, and a policy by which the page can ask no other host for
/// anything. [`Page::complaints`](crate::page::Page::complaints) tells what they saw.
#[derive(Debug)]
pub struct Served {
    /// The address of its root, such as `http://127.0.0.1:4000/`.
    pub root: String,
    /// The log behind it, without any ticks: what is in it is what the test published.
    pub feed: Feed,
    address: SocketAddr,
    ending: Ending,
    witness: Witness,
    task: JoinHandle<io::Result<()>>,
}

/// A request that the server got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its method and path, such as `GET /events`.
    pub what: String,
    /// Its query, without the question mark.
    pub query: String,
    /// Its `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// The status of the answer; `None` while there is none.
    pub status: Option<u16>,
    /// How the body of an answer without a known length ended: `Some(true)` by itself,
    /// `Some(false)` because the client left or the server was cut, also before an answer.
    pub whole: Option<bool>,
}

impl Asked {
    /// The key under which the server is to keep what goes over its connection.
    pub fn tap_key(&self) -> Option<&str> {
        let mut pairs = self.query.split('&');
        pairs.find_map(|pair| pair.strip_prefix("tap="))
    }
}

/// An empty page of another origin than that of the servers here, and what ends its server, which
/// is a plain one.
///
/// # Errors
/// If it cannot listen.
pub async fn another_origin() -> io::Result<(String, JoinHandle<io::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://localhost:{}/", listener.local_addr()?.port());
    let text = Html("<!doctype html><link rel=icon href=data:,>");
    let router = Router::new().route("/", get(move || async move { text }));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, serving))
}

/// Which paths are held back.
type Holds = fn(&str) -> bool;

/// Sees every request before the server does.
#[derive(Clone, Debug)]
struct Witness {
    /// In the order of their arrival. Locked for a push or a copy, never across an await.
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Told of every change in `asked`, so that a test waits for it and does not look again and
    /// again.
    changed: watch::Sender<()>,
    /// The requests that wait until the test lets them go.
    held: watch::Sender<Option<Holds>>,
    /// Up to which mark a page comes, and waits until the test lets the rest go.
    mark: watch::Sender<Option<&'static str>>,
    /// The server's address, as in a policy.
    host: Arc<str>,
    /// A script of the test's own, for every page.
    script: Arc<Mutex<String>>,
    /// Whether a page may run none at all.
    scriptless: Arc<AtomicBool>,
}

impl Served {
    /// Serves `router` on a free port of 127.0.0.1, through the same edge and guard as the real
    /// servers.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(router: impl FnOnce(&Feed, &Ending) -> Router) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), router).await
    }

    /// The same at one address, for a server that takes the place of another.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start_at(
        address: SocketAddr,
        router: impl FnOnce(&Feed, &Ending) -> Router,
    ) -> io::Result<Self> {
        Self::start_with(address, Config::default(), router).await
    }

    /// The same with another edge.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start_with(
        address: SocketAddr,
        edge: Config,
        router: impl FnOnce(&Feed, &Ending) -> Router,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let feed = Feed::new(Retention::default());
        let ending = Ending::new();
        let witness = Witness {
            asked: Arc::default(),
            changed: watch::Sender::new(()),
            held: watch::Sender::new(None),
            mark: watch::Sender::new(None),
            host: address.to_string().into(),
            script: Arc::default(),
            scriptless: Arc::default(),
        };
        // The witness is outside of the guard, and so sees what the guard refuses.
        let router = guard(
            router(&feed, &ending),
            site::server::with_any_origin(Allowed::default()),
        )
        .into_router();
        let router = router.layer(from_fn_with_state(witness.clone(), watched));
        let task = tokio::spawn(serving::serve(
            listener,
            Guarded::unchecked(router),
            edge,
            ending.clone(),
        ));
        Ok(Self {
            root: format!("http://{address}/"),
            feed,
            address,
            ending,
            witness,
            task,
        })
    }

    /// The address of something below the root.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.witness.lock().clone()
    }

    /// The requests with this method and path, such as `GET /events`.
    pub fn asked_for(&self, what: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.what == what);
        asked
    }

    /// Waits until what was asked is as `is` wants it, and gives that.
    ///
    /// # Errors
    /// After [`HANG`](crate::HANG), with `what`.
    pub async fn until(
        &self,
        what: &str,
        is: impl Fn(&[Asked]) -> bool,
    ) -> anyhow::Result<Vec<Asked>> {
        let mut changed = self.witness.changed.subscribe();
        let wait = async {
            loop {
                // Marked as seen before the look, so that no change is missed.
                changed.borrow_and_update();
                let asked = self.asked();
                if is(&asked) || changed.changed().await.is_err() {
                    return asked;
                }
            }
        };
        let waited = tokio::time::timeout(crate::HANG, wait).await;
        waited.map_err(|_| anyhow::anyhow!("no {what}; asked so far: {:#?}", self.asked()))
    }

    /// Holds every request back whose path `holds` names, until [`release`](Self::release).
    pub fn hold(&self, holds: Holds) {
        self.witness.held.send_replace(Some(holds));
    }

    /// Holds the rest of every page back from after the first `mark`, as where a network pauses,
    /// until [`release_rest`](Self::release_rest).
    pub fn hold_after(&self, mark: &'static str) {
        self.witness.mark.send_replace(Some(mark));
    }

    /// Lets the rest of the pages go.
    pub fn release_rest(&self) {
        self.witness.mark.send_replace(None);
    }

    /// Has every page run this script before its own.
    pub fn inject(&self, script: &str) {
        script.clone_into(&mut self.witness.script());
    }

    /// Has every page run no script, as where its reader has switched them off.
    pub fn forbid_scripts(&self) {
        self.witness.scriptless.store(true, Ordering::Relaxed);
    }

    /// Lets go what was held back.
    pub fn release(&self) {
        self.witness.held.send_replace(None);
    }

    /// Shuts the server down as a signal does, and gives its address once all is over.
    ///
    /// # Errors
    /// As [`serving::serve`].
    pub async fn end(mut self) -> io::Result<SocketAddr> {
        self.ending.begin();
        (&mut self.task).await.map_err(io::Error::other)??;
        Ok(self.address)
    }

    /// Breaks off whatever is open, with no word to the clients, and gives the address once all is
    /// over.
    ///
    /// # Errors
    /// As [`serving::serve`].
    pub async fn cut(mut self) -> io::Result<SocketAddr> {
        self.ending.cut();
        (&mut self.task).await.map_err(io::Error::other)??;
        Ok(self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ending.cut();
    }
}

impl Witness {
    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, String> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Vec<Asked>)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }
}

async fn watched(State(witness): State<Witness>, mut request: Request, next: Next) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if wants_page {
        // Something is put into it.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    let path = request.uri().path().to_owned();
    let asked = Asked {
        what: format!("{} {path}", request.method()),
        query: request.uri().query().unwrap_or_default().to_owned(),
        last_event_id: request
            .headers()
            .get("last-event-id")
            .map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned()),
        status: None,
        whole: None,
    };
    let mut number = 0;
    witness.note(|all| {
        number = all.len();
        all.push(asked);
    });
    let mut held = witness.held.subscribe();
    // It fails only where the sender is gone, and the witness has it.
    let _ = held
        .wait_for(|held| !held.is_some_and(|holds| holds(&path)))
        .await;
    // Dropped with this future, where the client leaves before there is an answer.
    let mut end = End {
        witness: witness.clone(),
        number,
        whole: Some(false),
    };
    let response = next.run(request).await;
    end.whole = None;
    witness.note(|all| all[number].status = Some(response.status().as_u16()));
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if wants_page && is_page {
        return observed(response, &witness).await;
    }
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    end.whole = Some(false);
    response.map(|body| witnessed(body, end))
}

/// The same page, with the observer and its policy.
async fn observed(response: Response, witness: &Witness) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(page) = axum::body::to_bytes(body, LARGEST_PAGE).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = String::from_utf8_lossy(&page);
    let script = format!("{OBSERVER}<script>{}</script>", witness.script());
    let page = match page.split_once("<head>") {
        Some((before, after)) => format!("{before}<head>{script}{after}"),
        None => match page.split_once('>') {
            // After the document type, or the page would be laid out in another mode.
            Some((before, after)) => format!("{before}>{script}{after}"),
            None => page.into_owned(),
        },
    };
    let mut policy = format!(
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws://{} data: blob:",
        witness.host
    );
    if witness.scriptless.load(Ordering::Relaxed) {
        // Not by `script-src`: then a browser would think that scripts run, and leave out what a
        // page has for those without.
        policy += "; sandbox allow-same-origin";
    }
    head.headers.remove(header::CONTENT_LENGTH);
    if let Ok(policy) = policy.parse() {
        head.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let mut marks = witness.mark.subscribe();
    let mark = *marks.borrow_and_update();
    let place = mark.and_then(|mark| Some(page.find(mark)? + mark.len()));
    let Some(place) = place else {
        return Response::from_parts(head, page.into());
    };
    let rest = Bytes::from(page[place..].to_owned());
    let first = Bytes::from(page[..place].to_owned());
    let rest = futures_util::stream::once(async move {
        // It fails only where the server is gone, and then nobody reads on.
        let _ = marks.wait_for(Option::is_none).await;
        rest
    });
    let parts = futures_util::stream::once(async { first }).chain(rest);
    Response::from_parts(head, Body::from_stream(parts.map(Ok::<_, Infallible>)))
}

/// The same body, and a note of how it ended.
fn witnessed(body: Body, end: End) -> Body {
    let pieces = futures_util::stream::unfold(
        (body.into_data_stream(), end),
        |(mut body, mut end)| async move {
            let piece: Option<Result<Bytes, axum::Error>> = body.next().await;
            end.whole = Some(piece.is_none());
            Some((piece?, (body, end)))
        },
    );
    Body::from_stream(pieces)
}

/// Notes the end of a body when it is dropped, at its end or before.
struct End {
    witness: Witness,
    number: usize,
    /// None of a body that is not looked at.
    whole: Option<bool>,
}

impl Drop for End {
    fn drop(&mut self) {
        let whole = self.whole;
        let number = self.number;
        self.witness.note(|all| all[number].whole = whole);
    }
}
