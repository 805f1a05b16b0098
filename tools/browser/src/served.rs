//! A server of this process, on a free port.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    middleware::{from_fn_with_state, Next},
    response::Response,
    Router,
};
use feed::{Feed, Retention};
use futures_util::StreamExt as _;
use serving::{Allowed, Config, Ending};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A server, its log, and what it was asked. Dropping it cuts it off.
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
    /// How the body of an answer without a known length ended: `Some(true)` by itself, `Some(false)` because the client
    /// left or the server was cut.
    pub whole: Option<bool>,
}

/// Which paths are held back.
type Holds = fn(&str) -> bool;

/// Sees every request before the server does.
#[derive(Clone, Debug)]
struct Witness {
    /// In the order of their arrival. Locked for a push or a copy, never across an await.
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Told of every change in `asked`, so that a test waits for it and does not look again and again.
    changed: watch::Sender<()>,
    /// The requests that wait until the test lets them go.
    held: watch::Sender<Option<Holds>>,
}

impl Served {
    /// Serves `router` on a free port of 127.0.0.1, through the same edge and guard as the real servers.
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
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let feed = Feed::new(Retention::default());
        let ending = Ending::new();
        let witness = Witness {
            asked: Arc::default(),
            changed: watch::Sender::new(()),
            held: watch::Sender::new(None),
        };
        let router = serving::guard(router(&feed, &ending), Allowed::default())
            .layer(from_fn_with_state(witness.clone(), watched));
        let task = tokio::spawn(serving::serve(
            listener,
            router,
            Config::default(),
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

    /// Whether a URL that a page has asked for leads to this server, or nowhere outside the page.
    pub fn has(&self, url: &str) -> bool {
        // A data: or blob: URL is a part of the page that has it.
        let here = ["data:", "blob:", "about:", &self.root];
        let socket = self.root.replacen("http", "ws", 1);
        here.iter().any(|own| url.starts_with(own)) || url.starts_with(&socket)
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

    fn note(&self, change: impl FnOnce(&mut Vec<Asked>)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }
}

async fn watched(State(witness): State<Witness>, request: Request, next: Next) -> Response {
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
    let response = next.run(request).await;
    witness.note(|all| all[number].status = Some(response.status().as_u16()));
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        witnessed(
            body,
            End {
                witness,
                number,
                whole: false,
            },
        )
    })
}

/// The same body, and a note of how it ended.
fn witnessed(body: Body, end: End) -> Body {
    let pieces = futures_util::stream::unfold(
        (body.into_data_stream(), end),
        |(mut body, mut end)| async move {
            let piece: Option<Result<Bytes, axum::Error>> = body.next().await;
            end.whole = piece.is_none();
            Some((piece?, (body, end)))
        },
    );
    Body::from_stream(pieces)
}

/// Notes the end of a body when it is dropped, at its end or before.
struct End {
    witness: Witness,
    number: usize,
    whole: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        let whole = self.whole;
        let number = self.number;
        self.witness.note(|all| all[number].whole = Some(whole));
    }
}
