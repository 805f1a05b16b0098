//! TLS for a server on a reader's own machine: a certificate that is made when the
//! server starts, the handshake, and a client that trusts this one certificate.
//!
//! A server that others reach over a network has a certificate of an authority, and
//! mostly a proxy that holds it. Here the certificate is good for one process.

use rcgen::{CertificateParams, DnType, KeyPair};
use ring::digest::{digest, SHA256};
use std::{fmt, io, net::IpAddr, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{
    rustls::{
        self,
        pki_types::{
            pem::PemObject as _, CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
            ServerName,
        },
        version::TLS13,
        ClientConfig, RootCertStore, ServerConfig,
    },
    server::TlsStream,
    TlsAcceptor, TlsConnector,
};

/// How long a certificate is good for. It ends with the process in any case; two weeks
/// outlast every lesson.
const VALID: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How far back its validity begins, for a client whose clock is slow.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// How many bytes TLS keeps for a peer that does not read, beside what the system
/// keeps: one record of the largest size. rustls' own default is 64 KiB.
const MAX_UNSENT: usize = 16 * 1024;

/// A version of HTTP, by its name in ALPN, in which client and server agree on one
/// during the handshake ([RFC
/// 7301](https://www.rfc-editor.org/rfc/rfc7301#section-3.1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `h2` ([RFC 9113 §3.2](https://www.rfc-editor.org/rfc/rfc9113#section-3.2)).
    Http2,
    /// `http/1.1`.
    Http1,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

/// In the order of preference.
fn names(protocols: &[Protocol]) -> Vec<Vec<u8>> {
    let names = protocols.iter().map(|protocol| protocol.name().to_vec());
    names.collect()
}

/// No certificate could be made or read.
#[derive(Debug, thiserror::Error)]
#[error("no certificate: {0}")]
pub struct IdentityError(String);

impl IdentityError {
    fn of(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Who a server is: a certificate that signs itself, and its key. The key never leaves
/// the process.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    /// The same as text.
    pem: String,
    /// Without protocols.
    config: ServerConfig,
}

impl Identity {
    /// A new one for this machine (`localhost`, 127.0.0.1 and `::1`) and for these
    /// names.
    ///
    /// # Errors
    /// [`IdentityError`] for a name that cannot stand in a certificate, or a system
    /// without random numbers.
    pub fn new(names: impl IntoIterator<Item = String>) -> Result<Self, IdentityError> {
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let names: Vec<String> = own.into_iter().chain(names).collect();
        let mut params = CertificateParams::new(names).map_err(IdentityError::of)?;
        let now = OffsetDateTime::now_utc();
        params.not_before = now - BEFORE;
        params.not_after = now + VALID;
        params
            .distinguished_name
            .push(DnType::CommonName, "for this machine only");
        let key = KeyPair::generate().map_err(IdentityError::of)?;
        let certificate = params.self_signed(&key).map_err(IdentityError::of)?;
        let pem = certificate.pem();
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::of)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .map_err(IdentityError::of)?;
        Ok(Self {
            certificate,
            pem,
            config,
        })
    }

    /// The certificate as text, for a client that shall trust it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The SHA-256 of the certificate, in hexadecimal digits: what a browser shows of
    /// it.
    pub fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, &self.certificate);
        let bytes = digest.as_ref().iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a client trusts that knows this certificate.
    pub fn trust(&self) -> Trust {
        Trust(self.certificate.clone())
    }

    /// The server's side of a handshake that takes at most `patience`.
    ///
    /// A client that offers none of `protocols` is told so by TLS ([RFC 7301
    /// §3.2](https://www.rfc-editor.org/rfc/rfc7301#section-3.2)). One that knows no
    /// ALPN has a connection without a protocol.
    pub fn acceptor(&self, protocols: &[Protocol], patience: Duration) -> Acceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = names(protocols);
        Acceptor {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            patience,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The server's side of the handshake. Clones share its sessions.
#[derive(Clone)]
pub struct Acceptor {
    acceptor: TlsAcceptor,
    patience: Duration,
}

impl Acceptor {
    /// Shakes hands over `io`.
    ///
    /// # Errors
    /// Of the kind [`io::ErrorKind::TimedOut`] where it took too long, and whatever is
    /// wrong with the peer's part of it.
    pub async fn accept<I>(&self, io: I) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let bounded = |tls: &mut rustls::ServerConnection| {
            tls.set_buffer_limit(Some(MAX_UNSENT));
        };
        let accepted = self.acceptor.accept_with(io, bounded);
        timeout(self.patience, accepted).await.unwrap_or_else(|_| {
            let why = "the TLS handshake took too long";
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// What was agreed on, if the peer knows ALPN.
pub fn protocol<I>(stream: &TlsStream<I>) -> Option<Protocol> {
    let name = stream.get_ref().1.alpn_protocol()?;
    let known = [Protocol::Http2, Protocol::Http1];
    known.into_iter().find(|known| known.name() == name)
}

/// The one certificate that a client trusts.
#[derive(Clone, Debug)]
pub struct Trust(CertificateDer<'static>);

impl Trust {
    /// The first certificate in a text.
    ///
    /// # Errors
    /// [`IdentityError`] where there is none.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes());
        certificate.map(Self).map_err(IdentityError::of)
    }

    /// A client that trusts this certificate and no other, and speaks these protocols.
    ///
    /// # Errors
    /// [`IdentityError`] where the certificate cannot be trusted by anybody.
    pub fn connector(
        &self,
        protocols: &[Protocol],
    ) -> Result<TlsConnector, IdentityError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).map_err(IdentityError::of)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::of)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = names(protocols);
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The name that a certificate must have for this host, an IPv6 address without
/// brackets.
///
/// # Errors
/// [`IdentityError`] for what is no name.
pub fn server_name(host: &str) -> Result<ServerName<'static>, IdentityError> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned()).map_err(IdentityError::of),
    }
}

/// The cryptography, named here so that no part of the process has to choose one for
/// all.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
