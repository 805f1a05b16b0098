//! A model that thinks, and a reader that leaves meanwhile. Who tells the model?

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
    routing::post,
    Router,
};
use futures_util::{Stream, StreamExt};
use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, Barrier},
};
use tokio_stream::wrappers::ReceiverStream;

/// A model at work: as long as it has its handle, it costs money.
struct Model {
    _work: Arc<()>,
    /// Holds its next token back until the program lets it go.
    thought: Arc<Barrier>,
}

impl Model {
    async fn token(&mut self) -> &'static str {
        self.thought.wait().await;
        "At last."
    }
}

#[derive(Clone, Default)]
struct Models {
    work: Arc<()>,
}

impl Models {
    /// One that thinks for longer than this program runs.
    fn thinking(&self) -> Model {
        Model {
            _work: self.work.clone(),
            thought: Arc::new(Barrier::new(2)),
        }
    }

    fn at_work(&self) -> usize {
        // The handle here, and that of the router.
        Arc::strong_count(&self.work) - 2
    }
}

type Tokens = Sse<axum::response::sse::KeepAliveStream<Events>>;
type Events = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// The tokens, with a comment every 20 ms in which none comes.
fn stream(tokens: mpsc::Receiver<&'static str>) -> Tokens {
    let events =
        ReceiverStream::new(tokens).map(|text| Ok(Event::default().data(text)));
    let every = KeepAlive::new().interval(Duration::from_millis(20));
    Sse::new(events.boxed()).keep_alive(every)
}

// ANCHOR: deaf
/// Notices that nobody listens when it has something to say.
async fn deaf(State(models): State<Models>) -> Tokens {
    let (sender, tokens) = mpsc::channel(16);
    let mut model = models.thinking();
    tokio::spawn(async move {
        loop {
            let token = model.token().await;
            if sender.send(token).await.is_err() {
                return;
            }
        }
    });
    stream(tokens)
}
// ANCHOR_END: deaf

// ANCHOR: attentive
/// Listens to the channel while the model thinks.
async fn attentive(State(models): State<Models>) -> Tokens {
    let (sender, tokens) = mpsc::channel(16);
    let mut model = models.thinking();
    tokio::spawn(async move {
        loop {
            let token = tokio::select! {
                token = model.token() => token,
                () = sender.closed() => return,
            };
            if sender.send(token).await.is_err() {
                return;
            }
        }
    });
    stream(tokens)
}
// ANCHOR_END: attentive

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (deaf_models, attentive_models) = (Models::default(), Models::default());
    let app = Router::new()
        .route("/deaf", post(deaf).with_state(deaf_models.clone()))
        .route(
            "/attentive",
            post(attentive).with_state(attentive_models.clone()),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    for path in ["deaf", "attentive"] {
        let mut answer = http.post(format!("{base}/{path}")).send().await?;
        // The model thinks, and the server says that it is there.
        assert_eq!(answer.chunk().await?.as_deref(), Some(&b":\n\n"[..]));
        // The reader leaves.
    }
    while attentive_models.at_work() > 0 {
        tokio::task::yield_now().await;
    }
    // The other was left first, and thinks on.
    assert_eq!(deaf_models.at_work(), 1);
    Ok(())
}
// ANCHOR_END: main
