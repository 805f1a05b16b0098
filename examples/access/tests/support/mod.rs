//! What the tests of the login share.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use access::{app, Config, Logins, May, People};
use client::{
    Client, Credential, Endpoint, Error, Failure, LongPollingClient, PollingClient,
    Rhythm, SseClient, Update, WebSocketClient,
};
use contract::{Data, Position};
use feed::Feed;
use futures_util::stream::{BoxStream, StreamExt};
use harness::{still_feed, Server, BRISK};
use reqwest::{Response, Url};
use serde_json::{json, Value};
use std::{sync::OnceLock, time::Duration};
use testbed::update;

/// The methods, as they are mounted.
pub const METHODS: [&str; 4] = ["polling", "long-polling", "sse", "websocket"];

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery staple";

/// A server with two people: ada may do everything, and bob see and publish messages.
pub struct Stand {
    server: Server,
    pub logins: Logins,
}

fn people() -> People {
    // A hash takes its time.
    static PEOPLE: OnceLock<People> = OnceLock::new();
    let people = PEOPLE.get_or_init(|| {
        People::none().with("ada", PASSWORD, May::all()).with(
            "bob",
            PASSWORD,
            May::only(&["message"], &["message"]),
        )
    });
    people.clone()
}

/// A client that keeps cookies, as a browser does.
pub fn browser() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().cookie_store(true);
    builder.build().expect("a client")
}

impl Stand {
    pub async fn start(config: Config) -> Self {
        let mut logins = None;
        let server = Server::start(still_feed(10_000), |log, ending| {
            let (router, made) = app(log, people(), config, ending);
            logins = Some(made);
            router
        });
        let server = server.await;
        let logins = logins.expect("it was made");
        Self { server, logins }
    }

    pub fn log(&self) -> &Feed {
        &self.server.feed
    }

    pub fn url(&self, path: &str) -> Url {
        self.server.base().join(path).expect("a path")
    }

    pub async fn say(&self, kind: &str, text: &str) {
        say(self.log(), kind, text).await;
    }

    pub async fn login(
        &self,
        client: &reqwest::Client,
        name: &str,
        password: &str,
    ) -> Response {
        let body = json!({ "name": name, "password": password });
        let asked = client.post(self.url("login")).json(&body);
        asked.send().await.expect("an answer")
    }

    /// A client that has signed in, with its cookie.
    pub async fn sign_in(&self, name: &str) -> reqwest::Client {
        let client = browser();
        let answer = self.login(&client, name, PASSWORD).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        // Without TLS, of which a jar would see that the cookie is for nothing else.
        client
    }

    pub async fn ticket(&self, client: &reqwest::Client) -> String {
        let given = given(client, self.url("ticket"), "ticket").await;
        given.expect("a ticket")
    }

    pub async fn token(&self, client: &reqwest::Client) -> String {
        let token = token_from(client, self.url("token")).await;
        token.expect("a token")
    }

    /// A server whose streams and sockets are asked for with a ticket each, for whoever
    /// has the cookie of `client`.
    pub fn with_tickets(&self, base: Url, client: reqwest::Client) -> Endpoint {
        let url = self.url("ticket");
        Endpoint::new(base).with_renewer(move || {
            let (client, url) = (client.clone(), url.clone());
            async move {
                let ticket = given(&client, url, "ticket").await?;
                Ok(Credential::none().with_ticket("ticket", &ticket))
            }
        })
    }
}

pub async fn token_from(client: &reqwest::Client, url: Url) -> Result<String, Failure> {
    given(client, url, "token").await
}

async fn given(
    client: &reqwest::Client,
    url: Url,
    what: &str,
) -> Result<String, Failure> {
    let answer = client.post(url).send().await?;
    let is_given = answer.status().is_success();
    let body = answer.bytes().await?;
    if !is_given {
        let problem = serde_json::from_slice(&body).expect("a problem");
        return Err(Failure::Permanent(Error::Refused(problem)));
    }
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    Ok(body[what].as_str().expect("a text").to_owned())
}

pub async fn say(log: &Feed, kind: &str, text: &str) {
    let kind = kind.parse().expect("a kind");
    let data = Data::new(text).expect("JSON");
    log.publish(kind, data).await.expect("the log takes it");
}

/// A client of this method that polls often and comes back soon.
pub fn subscribe(
    method: &str,
    endpoint: Endpoint,
    position: Position,
) -> BoxStream<'static, Result<Update, Error>> {
    // The endpoint has the real one.
    let base: Url = "http://[::1]/".parse().expect("a URL");
    match method {
        "polling" => {
            let rhythm = Rhythm {
                interval: Duration::from_millis(20),
                ..Rhythm::default()
            };
            let client = PollingClient::with_pace(base, BRISK).with_rhythm(rhythm);
            client.with_endpoint(endpoint).subscribe(position).boxed()
        }
        "long-polling" => {
            let client = LongPollingClient::with_pace(base, BRISK);
            client.with_endpoint(endpoint).subscribe(position).boxed()
        }
        "sse" => {
            let client = SseClient::with_pace(base, BRISK);
            client.with_endpoint(endpoint).subscribe(position).boxed()
        }
        "websocket" => {
            let client = WebSocketClient::with_pace(base, BRISK);
            client.with_endpoint(endpoint).subscribe(position).boxed()
        }
        other => panic!("{other} is no method"),
    }
}

/// The texts of the next events, until there are this many; whatever else comes is
/// passed over.
pub async fn texts(
    updates: &mut BoxStream<'static, Result<Update, Error>>,
    count: usize,
) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        if let Update::Events(events) = update(updates).await {
            for event in events {
                texts.push(serde_json::from_str(event.data.get()).expect("a text"));
            }
        }
    }
    texts
}
