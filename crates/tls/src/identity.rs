//! Who the server is, in TLS: a key and a certificate, made when it starts.

use rcgen::{CertificateParams, DnType, KeyPair};
use std::{net::IpAddr, sync::Arc, time::Duration};
use time::OffsetDateTime;
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
    TlsAcceptor, TlsConnector,
};

/// How long a certificate is good for. It ends with the process in any case; two weeks
/// outlast every lesson.
const VALID: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How far back its validity begins, for a client whose clock is slow.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// The name of HTTP/2 in ALPN, by which client and server choose a protocol during the
/// TLS handshake ([RFC 9113 §3.2](https://www.rfc-editor.org/rfc/rfc9113#section-3.2)).
const H2: &[u8] = b"h2";

/// No certificate could be made or read.
#[derive(Debug, thiserror::Error)]
#[error("no certificate: {0}")]
pub struct IdentityError(String);

impl IdentityError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A certificate that signs itself, and its key. The key never leaves the process.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    /// The same as text.
    pem: String,
    acceptor: TlsAcceptor,
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
            .push(DnType::CommonName, "http2-push, for this machine only");
        let key = KeyPair::generate().map_err(IdentityError::of)?;
        let certificate = params.self_signed(&key).map_err(IdentityError::of)?;
        let pem = certificate.pem();
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::of)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .map_err(IdentityError::of)?;
        // Nothing but HTTP/2: a client that does not offer it is told so by TLS (RFC
        // 7301 §3.2).
        config.alpn_protocols = vec![H2.to_vec()];
        Ok(Self {
            certificate,
            pem,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// The certificate as text, for a client that shall trust it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a client trusts that knows this certificate.
    pub fn trust(&self) -> Trust {
        Trust(self.certificate.clone())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
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

    /// A connector that trusts this certificate and no other, and speaks HTTP/2 only.
    pub(crate) fn connector(&self) -> Result<TlsConnector, IdentityError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).map_err(IdentityError::of)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::of)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![H2.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The name that a certificate must have for this host, an IPv6 address without
/// brackets.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, IdentityError> {
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
