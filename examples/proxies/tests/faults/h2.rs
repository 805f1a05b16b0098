//! HTTP/2 towards the browser, through each proxy's right configuration.

use crate::{behind, common::Settings};
use anyhow::{bail, ensure, Context as _};
use bytes::Bytes;
use h2::{client::SendRequest, ext::Protocol as Extended, RecvStream};
use http::{Method, Request, Response};
use proxies::{Configuration, Program, Proxy};
use tls::Protocol;

/// One connection of HTTP/2.
#[derive(Clone)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    host: String,
}

impl Http2 {
    pub async fn to(proxy: &Proxy) -> anyhow::Result<Self> {
        let stream = proxy.connect(&[Protocol::Http2]).await?;
        ensure!(
            stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            "no HTTP/2"
        );
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        let host = proxy.address().to_string();
        Ok(Self { requests, host })
    }

    pub async fn send(
        &self,
        request: http::request::Builder,
        path: &str,
        body: &'static str,
    ) -> anyhow::Result<Response<RecvStream>> {
        let uri = format!("https://{}{path}", self.host);
        let request = request.uri(uri).body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut sending) =
            requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            sending.send_data(Bytes::from_static(body.as_bytes()), true)?;
        }
        Ok(testbed::in_time("an answer", response).await?)
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<RecvStream> {
        let response = self.send(get(), path, "").await?;
        ensure!(response.status() == 200, "{path}: {}", response.status());
        Ok(response.into_body())
    }
}

/// A `GET` to which the address and headers are to be added.
pub fn get() -> http::request::Builder {
    Request::builder().method(Method::GET)
}

/// Reads until a text has come.
pub async fn until(body: &mut RecvStream, text: &str) -> anyhow::Result<()> {
    let mut seen = String::new();
    while !seen.contains(text) {
        let Some(piece) = testbed::in_time(text, body.data()).await else {
            bail!("ended without {text:?}: {seen}");
        };
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(())
}

/// More streams than a browser has connections of HTTP/1.1, a parked request, a poll
/// and a publish.
pub async fn all_methods_over_one_connection() -> anyhow::Result<()> {
    for program in Program::ALL {
        let (server, proxy) =
            behind(Configuration::right(program), Settings::default()).await?;
        let browser = Http2::to(&proxy).await?;
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = browser.get("/live/sse/events").await?;
            until(&mut stream, "event: hello").await?;
            streams.push(stream);
        }
        let cursor = server.feed.state().latest;
        let path = format!("/live/long-polling/events?after={cursor}");
        let parked = browser.send(get().header("prefer", "wait=20"), &path, "");
        let publish = async {
            crate::waiting(&server, 9).await?;
            let request = Request::builder()
                .method(Method::POST)
                .header("content-type", "application/json");
            let request = request.header("origin", format!("https://{}", browser.host));
            let body = r#"{"kind":"message","data":"the news"}"#;
            let answer = browser.send(request, "/live/sse/events", body).await?;
            ensure!(answer.status() == 201, "{program}: {}", answer.status());
            anyhow::Ok(())
        };
        let (parked, published) = tokio::join!(parked, publish);
        published?;
        until(&mut parked?.into_body(), "the news").await?;
        for stream in &mut streams {
            until(stream, "the news").await?;
        }
        let mut page = browser.get("/live/polling/events?after=earliest").await?;
        until(&mut page, "the news").await?;
    }
    Ok(())
}

/// RFC 8441: HAProxy offers it; nginx 1.22 and Caddy 2.6 do not, and the browser opens
/// a connection of HTTP/1.1 for the socket.
pub async fn a_socket_over_http2() -> anyhow::Result<()> {
    for program in Program::ALL {
        let (_server, proxy) =
            behind(Configuration::right(program), Settings::default()).await?;
        let browser = Http2::to(&proxy).await?;
        // By this answer the settings of the other side are here.
        let mut status = browser.get("/live/websocket/status").await?;
        until(&mut status, "latest").await?;
        let offered = browser.requests.is_extended_connect_protocol_enabled();
        ensure!(
            offered == (program == Program::HaProxy),
            "{program}: {offered}"
        );
        if offered {
            let request = Request::builder()
                .method(Method::CONNECT)
                .extension(Extended::from_static("websocket"))
                .header("sec-websocket-version", "13")
                .header("sec-websocket-protocol", "waiting.v1")
                .header("origin", format!("https://{}", browser.host));
            let uri = format!("https://{}/live/websocket/events", browser.host);
            let request = request.uri(uri).body(())?;
            let mut requests = browser.requests.clone().ready().await?;
            let (response, _sending) = requests.send_request(request, false)?;
            let response = testbed::in_time("an answer", response).await?;
            ensure!(response.status() == 200, "{}", response.status());
            until(&mut response.into_body(), "hello")
                .await
                .context("the socket")?;
        }
    }
    Ok(())
}
