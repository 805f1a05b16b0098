//! A server that answers as it is told, byte by byte, and remembers what it was asked.

use anyhow::Context as _;
use browser::HANG;
use rcgen::generate_simple_self_signed;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{
    rustls::{
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        ServerConfig,
    },
    server::TlsStream,
    TlsAcceptor,
};

/// The longest head of a request: far longer than any browser's.
const LONGEST: usize = 64 * 1024;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    /// Its method and target, such as `GET /stream?a=b`.
    pub(crate) what: String,
    headers: Vec<(String, String)>,
    /// Whether the client has gone, of an answer that was left open.
    pub(crate) left: bool,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What comes after the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    Next,
    /// An orderly end of the connection.
    Close,
    /// A reset.
    Reset,
    /// Nothing, until the client leaves.
    Nothing,
}

/// An answer.
pub(crate) struct Answer {
    bytes: String,
    then: Then,
}

impl Answer {
    pub(crate) fn raw(bytes: impl Into<String>, then: Then) -> Self {
        let bytes = bytes.into();
        Self { bytes, then }
    }

    /// A status line with these header lines, and a body of known length.
    pub(crate) fn whole(status: &str, headers: &[&str], body: &str) -> Self {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        Self::raw(
            format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"),
            Then::Next,
        )
    }

    /// A page with this script.
    pub(crate) fn page(headers: &[&str], script: &str) -> Self {
        // An icon of its own, or the browser would ask for one.
        let page = format!("<!doctype html><link rel=icon href=data:,><script>{script}</script>");
        let kind = "Content-Type: text/html; charset=utf-8";
        let headers: Vec<&str> = headers.iter().copied().chain([kind]).collect();
        Self::whole("200 OK", &headers, &page)
    }

    /// An event stream with this beginning.
    pub(crate) fn stream(headers: &[&str], text: &str, then: Then) -> Self {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
             {headers}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n",
            text.len()
        );
        if then == Then::Next {
            bytes += "0\r\n\r\n";
        }
        Self::raw(bytes, then)
    }
}

/// The request, and how many with the same method and target came before it.
type Answering = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// The server. Dropping it ends it.
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    asked: watch::Sender<Vec<Asked>>,
    task: JoinHandle<()>,
}

impl Raw {
    pub(crate) async fn start(
        answering: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        Self::serve(answering, None).await
    }

    /// The same over TLS, with a certificate that nobody knows.
    pub(crate) async fn start_tls(
        answering: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let made = generate_simple_self_signed(names)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))?;
        Self::serve(answering, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(
        answering: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let asked = watch::Sender::new(Vec::new());
        let answering: Arc<Answering> = Arc::new(answering);
        let seen = asked.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, and so are the conversations.
            let mut conversations = tokio::task::JoinSet::new();
            for connection in 0.. {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let (seen, answering) = (seen.clone(), answering.clone());
                let tls = tls.clone();
                conversations.spawn(async move {
                    match tls {
                        None => converse(socket, connection, seen, answering).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                converse(socket, connection, seen, answering).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            address,
            scheme,
            asked,
            task,
        })
    }

    /// An address of it, by the number of this machine.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The same by its name, which is another site.
    pub(crate) fn by_name(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// The requests so far with this method and target.
    pub(crate) fn asked_for(&self, what: &str) -> Vec<Asked> {
        let mut asked = self.asked.borrow().clone();
        asked.retain(|asked| asked.what == what);
        asked
    }

    /// Waits until the requests are as `is` wants them.
    pub(crate) async fn until(
        &self,
        what: &str,
        is: impl Fn(&[Asked]) -> bool,
    ) -> anyhow::Result<Vec<Asked>> {
        let mut asked = self.asked.subscribe();
        let waited = timeout(HANG, asked.wait_for(|asked| is(asked))).await;
        let waited = waited.map(|waited| waited.map(|asked| asked.clone()));
        waited
            .with_context(|| format!("no {what}; asked so far: {:#?}", self.asked.borrow()))?
            .context("the server has gone")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection, with or without TLS.
trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Makes its end a reset.
    fn reset(&self);
}

impl Socket for TcpStream {
    fn reset(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Socket for TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

async fn converse(
    mut socket: impl Socket,
    connection: usize,
    seen: watch::Sender<Vec<Asked>>,
    answering: Arc<Answering>,
) {
    let mut buffer = Vec::new();
    while let Some(asked) = next(&mut socket, connection, &mut buffer).await {
        let (mut number, mut before) = (0, 0);
        seen.send_modify(|all| {
            number = all.len();
            before = all.iter().filter(|old| old.what == asked.what).count();
            all.push(asked.clone());
        });
        let Answer { bytes, then } = answering(&asked, before);
        if socket.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
        match then {
            Then::Next => {}
            Then::Close => {
                let _ = socket.shutdown().await;
                return;
            }
            Then::Reset => {
                socket.reset();
                return;
            }
            Then::Nothing => {
                let mut bytes = [0; 1024];
                while socket.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
                seen.send_modify(|all| all[number].left = true);
                return;
            }
        }
    }
}

/// Reads the next request with its body; none if the client has gone.
async fn next(socket: &mut impl Socket, connection: usize, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
        if buffer.len() > LONGEST || socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let line = lines.next()?.rsplit_once(" HTTP/")?.0;
    let asked = Asked {
        connection,
        what: line.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        left: false,
    };
    let length = asked.header("content-length").unwrap_or("0").parse().ok()?;
    while buffer.len() < length {
        if buffer.len() > LONGEST || socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    buffer.drain(..length);
    Some(asked)
}
