//! What HTTP goes over: TCP alone, or TLS.

use client::Endpoint;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// The version of HTTP, and what it goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1 without TLS
    #[default]
    H1,
    /// HTTP/2 over TLS; of a WebSocket HTTP/1.1 over TLS
    H2Tls,
}

impl Protocol {
    /// The endpoint of a server, or of a relay to it. The relay adds the TLS.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn endpoint(self, base: Url) -> anyhow::Result<Endpoint> {
        match self {
            Self::H1 => Ok(Endpoint::new(base)),
            Self::H2Tls => {
                let http = reqwest::Client::builder().no_proxy();
                let http = http.http2_prior_knowledge().build()?;
                Ok(Endpoint::with_http(base, http))
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H1 => "h1",
            Self::H2Tls => "h2-tls",
        })
    }
}
