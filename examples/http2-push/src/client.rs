//! A client that takes pushes, and notes every frame.

use crate::recording::{Recording, Tap};
use bytes::{Bytes, BytesMut};
use h2::{
    client::{Builder, PushPromises, ResponseFuture, SendRequest},
    RecvStream,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use std::{collections::BTreeMap, future::poll_fn, io, time::Duration};
use tls::{server_name, IdentityError, Protocol, Trust};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

/// The port of `https` where the address names none.
const HTTPS: u16 = 443;

/// Every limit of the client, and whether it takes pushes.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it announces as `SETTINGS_ENABLE_PUSH`; default `true`.
    pub accept_push: bool,
    /// How long it waits for a connection, and for one page with all that is pushed
    /// along; default 10 s.
    pub patience: Duration,
    /// The size in bytes of the largest body, of an answer or of a push; default 1 MiB.
    /// A longer one is given up.
    pub max_body: usize,
    /// The most pushed responses that it keeps until somebody asks for them; default
    /// 16. More are refused: the client has not asked for any of them, so the server
    /// must not decide how much it keeps.
    pub max_pushed: usize,
    /// How many bytes of the headers of interim answers it keeps; default 16 KiB. A
    /// server may send any number of 103s before its answer. What does not fit is
    /// passed over: hints are a help, and no answer fails for want of them.
    pub max_hints: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accept_push: true,
            patience: Duration::from_secs(10),
            max_body: 1024 * 1024,
            max_pushed: 16,
            max_hints: 16 * 1024,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no `https` URL with a host.
    #[error("{0:?} is no https address")]
    Address(String),
    /// The certificate to trust is none, or the host's name cannot stand in one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No connection, or no TLS on it.
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    /// The other side speaks TLS, and no HTTP/2.
    #[error("the server does not speak HTTP/2")]
    NoHttp2,
    /// HTTP/2 broke, or the server took its answer back.
    #[error("HTTP/2: {0}")]
    Http(#[from] h2::Error),
    /// The body is longer than [`Config::max_body`].
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// Nothing came for as long as [`Config::patience`].
    #[error("no answer in time")]
    TimedOut(#[from] tokio::time::error::Elapsed),
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Where an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was asked for.
    Asked,
    /// It had been pushed, and lay there.
    Pushed,
}

/// An answer, and what came with it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it was found.
    pub source: Source,
    /// The headers of each 103 before it, as far as [`Config::max_hints`] goes.
    pub hints: Vec<HeaderMap>,
    /// The answer.
    pub answer: Answer,
    /// The paths, with their queries, that were pushed along with it, and are kept for
    /// the next who asks.
    pub pushed: Vec<String>,
}

/// A TLS connection to the host of an `https` address, on which HTTP/2 is agreed and
/// not begun. It trusts one certificate.
///
/// # Errors
/// See [`ClientError`]. It has no time limit.
pub async fn connect(
    address: &Uri,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>, ClientError> {
    let wrong = || ClientError::Address(address.to_string());
    let authority = address.authority().ok_or_else(wrong)?;
    if address.scheme_str() != Some("https") {
        return Err(wrong());
    }
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let name = server_name(host)?;
    let connector = trust.connector(&[Protocol::Http2])?;
    let stream =
        TcpStream::connect((host, authority.port_u16().unwrap_or(HTTPS))).await?;
    stream.set_nodelay(true)?;
    let tls = connector.connect(name, stream).await?;
    match tls.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(tls),
        _ => Err(ClientError::NoHttp2),
    }
}

/// One connection, with what was pushed over it.
pub struct Session {
    config: Config,
    /// The address of the server, without a path.
    origin: Uri,
    send: SendRequest<Bytes>,
    /// Polls the connection. Ended when the session is dropped.
    driver: JoinHandle<()>,
    recording: Recording,
    // ANCHOR: cache
    /// What was pushed and not asked for yet, by its path. This is all that a push can
    /// do: it lies here. Nobody is told, and nothing happens, until something asks for
    /// this path.
    pushed: BTreeMap<String, Answer>,
    // ANCHOR_END: cache
}

impl Session {
    /// Connects to the host of an `https` address, and trusts one certificate.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn connect(
        address: &Uri,
        trust: &Trust,
        config: Config,
    ) -> Result<Self, ClientError> {
        let tls = timeout(config.patience, connect(address, trust)).await??;
        Self::over(tls, address, config).await
    }

    /// Speaks HTTP/2 over a connection that is there already.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn over<I>(
        io: I,
        address: &Uri,
        config: Config,
    ) -> Result<Self, ClientError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let recording = Recording::new();
        let mut builder = Builder::new();
        builder.enable_push(config.accept_push);
        let tap = Tap::of_client(io, recording.clone());
        let (send, connection) =
            timeout(config.patience, builder.handshake(tap)).await??;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(Self {
            config,
            origin: address.clone(),
            send,
            driver,
            recording,
            pushed: BTreeMap::new(),
        })
    }

    /// Every frame of this connection so far.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The paths that were pushed and that nobody has asked for.
    pub fn unasked(&self) -> impl Iterator<Item = &str> {
        self.pushed.keys().map(String::as_str)
    }

    // ANCHOR: get
    /// The answer for `path`: one that was pushed, or else what the server says now.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&mut self, path: &str) -> Result<Fetched, ClientError> {
        if let Some(answer) = self.pushed.remove(path) {
            return Ok(Fetched {
                source: Source::Pushed,
                hints: Vec::new(),
                answer,
                pushed: Vec::new(),
            });
        }
        let request = self.request(path)?;
        let patience = self.config.patience;
        let (hints, answer, pushed) = timeout(patience, self.ask(request)).await??;
        let paths = pushed.iter().map(|(path, _)| path.clone()).collect();
        self.pushed.extend(pushed);
        Ok(Fetched {
            source: Source::Asked,
            hints,
            answer,
            pushed: paths,
        })
    }
    // ANCHOR_END: get

    fn request(&self, path: &str) -> Result<Request<()>, ClientError> {
        let wrong = || ClientError::Address(path.to_owned());
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| wrong())?);
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
        Ok(request)
    }

    /// Asks, and takes the answer and the pushes at once: both come on one connection,
    /// and in any order.
    async fn ask(
        &self,
        request: Request<()>,
    ) -> Result<(Vec<HeaderMap>, Answer, Vec<(String, Answer)>), ClientError> {
        let send = self.send.clone();
        let (mut response, _) = send.ready().await?.send_request(request, true)?;
        let promises = response.push_promises();
        let answer = async {
            let hints = early(&mut response, self.config.max_hints).await?;
            Ok::<_, ClientError>((hints, self.read_to_end(response.await?).await?))
        };
        let ((hints, answer), pushed) =
            tokio::try_join!(answer, self.receive_pushes(promises))?;
        Ok((hints, answer, pushed))
    }

    /// Takes what is promised, as long as it is the server's to promise, something to
    /// ask for with GET, and there is room. A push that breaks off costs that push
    /// alone: the page does not need it.
    async fn receive_pushes(
        &self,
        mut promises: PushPromises,
    ) -> Result<Vec<(String, Answer)>, ClientError> {
        let mut taken = Vec::new();
        while let Some(promise) = promises.push_promise().await {
            let (request, response) = promise?.into_parts();
            // A server may push only for itself (RFC 9113 §8.4.1), or it could fill the
            // cache for others.
            let (uri, origin) = (request.uri(), &self.origin);
            let own = (uri.scheme(), uri.authority())
                == (origin.scheme(), origin.authority());
            let room = self.pushed.len() + taken.len() < self.config.max_pushed;
            // A HEAD may be promised too (RFC 9113 §8.4), and its answer has no body to
            // keep.
            let (true, true, &Method::GET, Some(path)) =
                (own, room, request.method(), uri.path_and_query())
            else {
                // The response is dropped unread, and `h2` resets the stream.
                continue;
            };
            let answer = async { self.read_to_end(response.await?).await };
            match answer.await {
                Ok(answer) => taken.push((path.to_string(), answer)),
                Err(error) => tracing::debug!(%error, %path, "a push broke off"),
            }
        }
        Ok(taken)
    }

    /// A response with its whole body.
    async fn read_to_end(
        &self,
        response: Response<RecvStream>,
    ) -> Result<Answer, ClientError> {
        let (head, mut stream) = response.into_parts();
        let mut body = BytesMut::new();
        while let Some(piece) = stream.data().await {
            let piece = piece?;
            if body.len() + piece.len() > self.config.max_body {
                return Err(ClientError::TooLarge(self.config.max_body));
            }
            body.extend_from_slice(&piece);
            // Room for the server to send as much again.
            stream.flow_control().release_capacity(piece.len())?;
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.freeze(),
        })
    }
}

/// The headers of each interim answer before the final one, up to so many bytes in all.
async fn early(
    response: &mut ResponseFuture,
    room: usize,
) -> Result<Vec<HeaderMap>, h2::Error> {
    let (mut hints, mut room) = (Vec::new(), Some(room));
    while let Some(interim) = poll_fn(|cx| response.poll_informational(cx)).await {
        let headers = interim?.into_parts().0.headers;
        let fields = headers.iter();
        // As RFC 7541 §4.1 counts a field, and as much again for an answer without any.
        let bytes = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
        let bytes = 32 + bytes.sum::<usize>();
        room = room.and_then(|room| room.checked_sub(bytes));
        if room.is_some() {
            hints.push(headers);
        }
    }
    Ok(hints)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
