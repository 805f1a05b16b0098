//! One page that comes by HTTP/2 push, with a 103, and with neither, over a line with a round trip.
//!
//! No browser takes a push, so the client is one of our own. It does what a browser does: what is
//! hinted it asks for at once, and what the page needs beyond it when the page is here.

use crate::{
    delay::Delay,
    format::{
        self, clock, milliseconds, Connection, Engine, Mark, Of, Piece, Recording, Way, VERSION,
    },
};
use anyhow::{ensure, Context as _};
use bytes::Bytes;
use futures_util::future::try_join_all;
use h2::{client::SendRequest, RecvStream};
use http::{Request, Uri};
use http2_push::{
    client,
    frames::{Frame, FrameReader, Kind},
    identity::Identity,
    Config,
};
use jiff::{tz::TimeZone, Timestamp};
use serving::Ending;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::io::{InspectReader, InspectWriter};

/// How long a byte is on its way.
pub const ONE_WAY: Duration = Duration::from_millis(50);

/// How long the server makes its page; the parts are there at once.
pub const WORK: Duration = Duration::from_millis(300);

/// The address that the client asks for, whatever the free port is.
const ADDRESS: &str = "https://127.0.0.1:4443/";

/// The length in bytes of what a client begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// The length in bytes of a frame's header.
const HEADER: usize = 9;

/// END_STREAM, on DATA and HEADERS.
const END_STREAM: u8 = 0x1;

/// The recordings: their files' names, and how the page comes in each.
pub const ALL: [(&str, http2_push::Way); 3] = [
    ("http2-push-push", http2_push::Way::Push),
    ("http2-push-early-hints", http2_push::Way::EarlyHints),
    ("http2-push-plain", http2_push::Way::Plain),
];

/// What the page comes with.
pub fn name(way: http2_push::Way) -> &'static str {
    match way {
        http2_push::Way::Push => "HTTP/2 push",
        http2_push::Way::EarlyHints => "103 Early Hints",
        http2_push::Way::Plain => "neither",
    }
}

/// How often each is loaded. The quickest is kept: what the others took longer is this machine's.
pub const LOADS: usize = 5;

/// Records how the page comes.
///
/// # Errors
/// If it does not.
pub async fn record(way: http2_push::Way) -> anyhow::Result<Recording> {
    let mut quickest: Option<Recording> = None;
    for _ in 0..LOADS {
        let recording = once(way).await?;
        if quickest
            .as_ref()
            .is_none_or(|it| late(&recording) < late(it))
        {
            quickest = Some(recording);
        }
    }
    quickest.context("it was never loaded")
}

/// How late the page and its parts were, in milliseconds.
fn late(recording: &Recording) -> f64 {
    recording.marks.iter().map(|mark| mark.t).sum()
}

async fn once(way: http2_push::Way) -> anyhow::Result<Recording> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let line = Delay::to(listener.local_addr()?, ONE_WAY).await?;
    let identity = Identity::new([])?;
    let trust = identity.trust();
    let ending = Ending::new();
    let config = Config::default();
    let edge = serving::Config::default();
    let serving = http2_push::serve(listener, identity, config, edge, ending.clone());
    let serving = tokio::spawn(serving);
    let line_address: Uri = format!("https://{}/", line.address()).parse()?;
    let tls = client::connect(&line_address, &trust).await?;
    let started = clock()?;
    let clock = Clock::default();
    let (up, down) = (clock.clone(), clock.clone());
    let io = InspectReader::new(tls, move |bytes| down.add(Way::Down, bytes));
    let io = InspectWriter::new(io, move |bytes| up.add(Way::Up, bytes));
    let mut builder = h2::client::Builder::new();
    builder.enable_push(way == http2_push::Way::Push);
    let (send, connection) = builder.handshake(io).await?;
    let driver = tokio::spawn(connection);
    load(send, &ADDRESS.parse()?, way).await?;
    let recording = clock.recording(started, way);
    driver.abort();
    ending.begin();
    serving.abort();
    recording
}

/// Loads the page with all that it needs.
async fn load(send: SendRequest<Bytes>, origin: &Uri, way: http2_push::Way) -> anyhow::Result<()> {
    let mut send = send.ready().await?;
    let (mut page, _) = send.send_request(get(origin, way.folder())?, true)?;
    let mut promises = page.push_promises();
    let pushed = async {
        let mut pushed = Vec::new();
        while let Some(promise) = promises.push_promise().await {
            let (request, response) = promise?.into_parts();
            read(response.await?.into_body()).await?;
            pushed.push(request.uri().path().to_owned());
        }
        anyhow::Ok(pushed)
    };
    let page = async {
        let mut hinted = Vec::new();
        if let Some(interim) = poll_fn(|cx| page.poll_informational(cx)).await {
            for link in interim?.headers().get_all("link") {
                let (path, _) = link.to_str()?.split_once('>').context("no link")?;
                hinted.push(path.trim_start_matches('<').to_owned());
            }
        }
        let parts = hinted.iter().map(|path| fetch(send.clone(), origin, path));
        let page = async { read(page.await?.into_body()).await };
        tokio::try_join!(page, try_join_all(parts))?;
        anyhow::Ok(hinted)
    };
    let (pushed, hinted) = tokio::try_join!(pushed, page)?;
    // What the page names and is not here yet: a browser asks for all of it at once.
    let parts: Vec<_> = way.parts().collect();
    let missing = parts
        .iter()
        .filter(|path| !pushed.contains(path) && !hinted.contains(path));
    try_join_all(missing.map(|path| fetch(send.clone(), origin, path))).await?;
    Ok(())
}

fn get(origin: &Uri, path: &str) -> anyhow::Result<Request<()>> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = Some(path.parse()?);
    Ok(Request::get(Uri::from_parts(parts)?).body(())?)
}

async fn fetch(send: SendRequest<Bytes>, origin: &Uri, path: &str) -> anyhow::Result<()> {
    let mut send = send.ready().await?;
    let (response, _) = send.send_request(get(origin, path)?, true)?;
    let response = response.await?;
    ensure!(
        response.status().is_success(),
        "{path}: {}",
        response.status()
    );
    read(response.into_body()).await
}

async fn read(mut body: RecvStream) -> anyhow::Result<()> {
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(())
}

/// The bytes of a connection, each piece with the moment at which it was written or read. Clones
/// share them. The lock is held for one piece at a time.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Vec<Passed>>>);

/// What was written or read at once.
type Passed = (Instant, Way, Vec<u8>);

impl Clock {
    fn add(&self, way: Way, bytes: &[u8]) {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push((Instant::now(), way, bytes.to_vec()));
    }

    /// The recording of all so far, frame by frame.
    fn recording(&self, started: Timestamp, way: http2_push::Way) -> anyhow::Result<Recording> {
        let pieces = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (begin, _, _) = *pieces.first().context("nothing went over the connection")?;
        let mut frames = split(&pieces, begin, Way::Up)?;
        frames.extend(split(&pieces, begin, Way::Down)?);
        frames.sort_by(|(a, _), (b, _)| a.t.total_cmp(&b.t));
        let marks = marks(&frames);
        let how = match way {
            http2_push::Way::Push => "and its server pushes the style sheet and the script",
            http2_push::Way::EarlyHints => {
                "and its server names the style sheet and the script in a 103"
            }
            http2_push::Way::Plain => "and nothing is sent ahead of it",
        };
        let what = format!(
            "A page takes {} ms to make, {how}. Our client asks our server on one machine, over TLS \
             and through a relay that holds each byte back for {} ms in each direction: a round \
             trip of {} ms. The times are the client's, and begin when TLS is agreed. It is the quickest of \
             {LOADS} loads.",
            WORK.as_millis(),
            ONE_WAY.as_millis(),
            2 * ONE_WAY.as_millis(),
        );
        let pieces: Vec<_> = frames.into_iter().map(|(piece, _)| piece).collect();
        Ok(Recording {
            version: VERSION,
            source: "recording".to_owned(),
            of: Of::Client,
            what,
            name: name(way).to_owned(),
            engine: Engine {
                name: "http2-push".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            date: started.to_zoned(TimeZone::UTC).date(),
            started,
            now: pieces.last().map_or(0.0, |piece| piece.t),
            next: pieces.len(),
            dropped: 0,
            connections: vec![Connection {
                id: 1,
                opened: 0.0,
                closed: None,
                by: None,
            }],
            pieces,
            marks,
        })
    }
}

/// The frames of one direction, as pieces: each at the moment of its last byte.
fn split(
    pieces: &[Passed],
    begin: Instant,
    way: Way,
) -> anyhow::Result<Vec<(Piece, Option<Frame>)>> {
    let mut bytes = Vec::new();
    // Where each read or write ended, and when that was.
    let mut ends = Vec::new();
    for (at, _, piece) in pieces.iter().filter(|(_, of, _)| *of == way) {
        bytes.extend_from_slice(piece);
        ends.push((bytes.len(), milliseconds(*at - begin)));
    }
    let mut reader = match way {
        Way::Up => FrameReader::of_client(),
        Way::Down => FrameReader::of_server(),
    };
    let mut frames = Vec::new();
    reader.read(&bytes, |frame| frames.push(frame));
    let mut from = 0;
    let mut cut = |length: usize| {
        let piece = bytes
            .get(from..from + length)
            .context("a frame has not ended")?;
        from += length;
        let end = ends.iter().find(|(end, _)| *end >= from);
        let (_, t) = end.context("a frame without a time")?;
        anyhow::Ok(Piece::new(1, *t, way, piece))
    };
    let mut found = Vec::new();
    if way == Way::Up {
        let mut piece = cut(PREFACE)?;
        piece.label = Some("preface".to_owned());
        piece.text = Some("what every client of HTTP/2 begins with".to_owned());
        piece.kind = Some(format::Kind::Other);
        found.push((piece, None));
    }
    for frame in frames {
        let mut piece = cut(HEADER + frame.length)?;
        piece.label = Some(label(&frame));
        piece.text = Some(frame.to_string());
        piece.kind = Some(match (&frame.kind, way) {
            (Kind::Headers(_), Way::Up) => format::Kind::Request,
            (Kind::Headers(_), Way::Down) => format::Kind::Response,
            _ => format::Kind::Other,
        });
        found.push((piece, Some(frame)));
    }
    ensure!(
        from == bytes.len(),
        "{} bytes are no frame",
        bytes.len() - from
    );
    Ok(found)
}

/// What a frame is, in a few words.
fn label(frame: &Frame) -> String {
    let text = frame.to_string();
    let name = text.split(' ').next().unwrap_or_default();
    let of = match frame.stream {
        0 => name.to_owned(),
        stream => format!("{name} stream {stream}"),
    };
    match (&frame.kind, frame.field(":path"), frame.field(":status")) {
        (Kind::Promise { promised, .. }, Some(path), _) => {
            format!("{of}: GET {path} on stream {promised}")
        }
        (_, Some(path), _) => format!("{of}: GET {path}"),
        (_, _, Some(status)) => format!("{of}: {status}"),
        _ if frame.is_ack() => format!("{of}, acknowledged"),
        _ => of,
    }
}

/// When the page and its parts were here.
fn marks(frames: &[(Piece, Option<Frame>)]) -> Vec<Mark> {
    let mut paths = BTreeMap::new();
    let mut marks = Vec::new();
    for (piece, frame) in frames {
        let Some(frame) = frame else { continue };
        if let Some(path) = frame.field(":path") {
            let stream = match frame.kind {
                Kind::Promise { promised, .. } => promised,
                _ => frame.stream,
            };
            paths.insert(stream, path);
        }
        let ends = matches!(frame.kind, Kind::Data) && frame.flags & END_STREAM != 0;
        if let (true, Way::Down, Some(path)) = (ends, piece.way, paths.get(&frame.stream)) {
            let text = match path.rsplit('/').next() {
                Some("") | None => "The page is here.".to_owned(),
                Some(name) => format!("{name} is here."),
            };
            marks.push(Mark { t: piece.t, text });
        }
    }
    marks
}
