//! What the browsers do, and the tables of it.

use anyhow::{ensure, Context as _};
use browser::{engine::Kind, results::updating};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Habits of one kind, with a table of their own.
pub(crate) struct Habits {
    kept: browser::results::Results,
    /// What is looked at, by its key, in the order of the table: the words of its row. A key with a
    /// dot has the name of its trial before it, which the table then shows.
    rows: &'static [(&'static str, &'static str)],
}

/// What they do with what a server sends them.
pub(crate) static BROWSERS: Habits = Habits::new(
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser_habits"),
    &BROWSER_ROWS,
);

/// What they do with a service worker that is a server.
pub(crate) static WORKERS: Habits = Habits::new(
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser_habits/workers"),
    &WORKER_ROWS,
);

/// What they do with what says who somebody is.
pub(crate) static ACCESS: Habits = Habits::new(
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser_habits/access"),
    &ACCESS_ROWS,
);

const ACCESS_ROWS: [(&str, &str); 37] = [
    (
        "access_ticket.reconnect",
        "`EventSource` with a ticket in its URL that is good once: the connection ends",
    ),
    (
        "access_ticket.entry-stream",
        "the address of an `EventSource`, with the ticket, is in `performance.getEntries()` of its page",
    ),
    ("access_ticket.entry-fetch", "… of a `fetch()`"),
    ("access_ticket.entry-socket", "… of a WebSocket"),
    (
        "access_ticket.referer",
        "a page with a ticket in its own URL asks its server: `Referer`",
    ),
    (
        "access_ticket.referer-elsewhere",
        "… asks another origin: `Referer`",
    ),
    (
        "access_credentials.exact",
        "`EventSource` with `withCredentials` to another origin, which allows the page's origin and credentials",
    ),
    (
        "access_credentials.unallowed",
        "… allows the page's origin, without `Access-Control-Allow-Credentials`",
    ),
    (
        "access_credentials.star",
        "… allows `*`, and credentials",
    ),
    ("access_credentials.nothing", "… says nothing of origins"),
    (
        "access_credentials.public",
        "`EventSource` without `withCredentials` to another origin, which allows `*`",
    ),
    (
        "access_credentials.again",
        "`EventSource` to another origin comes back after a break",
    ),
    (
        "access_preflights.prefer",
        "five `GET`s to another origin with `Prefer`, each with its cursor in the URL; `Access-Control-Max-Age: 600`: preflights",
    ),
    (
        "access_preflights.bearer",
        "… with `Authorization` in place of `Prefer`",
    ),
    (
        "access_preflights.prefer-same",
        "… five with `Prefer` and the same URL",
    ),
    (
        "access_preflights.bearer-same",
        "… five with `Authorization` and the same URL",
    ),
    (
        "access_preflights.query",
        "… five with cursor and wait in the URL and no header",
    ),
    (
        "access_preflights.any-prefer",
        "… with `Prefer`, answered `Access-Control-Allow-Headers: *`",
    ),
    (
        "access_preflights.any-bearer",
        "… with `Authorization`, answered `Access-Control-Allow-Headers: *`",
    ),
    (
        "access_preflights.json",
        "… five `POST`s of `application/json` to one URL",
    ),
    ("access_preflights.text", "… of `text/plain`"),
    (
        "access_sockets.named",
        "`new WebSocket(url, [\"events\", \"ticket.s3cret\"])`: the header, and the answer names `events`",
    ),
    ("access_sockets.unnamed", "… the answer names neither"),
    (
        "access_sockets.padded",
        "… with a ticket in Base64, which ends with `=`",
    ),
    (
        "access_sockets.user",
        "`new WebSocket(\"ws://me:secret@…\")`",
    ),
    (
        "access_sockets.stream-user",
        "`new EventSource(\"http://me:secret@…\")`",
    ),
    (
        "access_other_site.first-none",
        "a page of another site asks by `fetch()`, `EventSource` and WebSocket, with credentials: a cookie with `SameSite=None; Secure` from the login at the server's own page",
    ),
    ("access_other_site.first-plain", "… without `SameSite`"),
    ("access_other_site.first-lax", "… with `SameSite=Lax`"),
    (
        "access_other_site.third",
        "a cookie with `SameSite=None; Secure` that an answer to that page has set",
    ),
    (
        "access_other_site.third-at-home",
        "… later, at the server's own page",
    ),
    (
        "access_other_site.apart",
        "… set with `Partitioned` as well",
    ),
    (
        "access_other_site.apart-at-home",
        "… later, at the server's own page",
    ),
    (
        "access_other_site.form",
        "a form of another site that posts: cookies that were set less than two minutes ago",
    ),
    (
        "access_other_site.form-origin",
        "… its `Origin` is that of the other site",
    ),
    ("access_other_site.link", "a link of another site: cookies"),
    (
        "access_other_site.fetch-site",
        "`Sec-Fetch-Site` of a `fetch()` from another site",
    ),
];

const WORKER_ROWS: [(&str, &str); 18] = [
    (
        "worker_streams.header",
        "an `EventSource` that comes back: its `Last-Event-ID`, in the worker",
    ),
    (
        "worker_streams.header-fetch",
        "a `fetch()` that sets `Last-Event-ID`, in the worker",
    ),
    (
        "worker_streams.ends",
        "`EventSource`: the worker's stream ends",
    ),
    ("worker_streams.errs", "… it breaks off with an error"),
    (
        "worker_streams.eight",
        "eight `EventSource`s at once, which the worker answers",
    ),
    (
        "worker_streams.socket",
        "`new WebSocket()` in a page that the worker answers",
    ),
    (
        "worker_gone.stream",
        "a page closes its `EventSource`: what the worker is told",
    ),
    (
        "worker_gone.body",
        "… aborts a `fetch()` whose body is under way",
    ),
    (
        "worker_gone.parked",
        "… aborts a `fetch()` that has no answer yet",
    ),
    (
        "worker_gone.page",
        "a frame with such a `fetch()` is removed",
    ),
    (
        "worker_gone.port",
        "a frame with a message port to the worker is removed",
    ),
    (
        "worker_code.module",
        "a service worker that is a module and imports one",
    ),
    (
        "worker_code.request-body",
        "the body of a request, in the worker",
    ),
    ("worker_code.upload", "a stream as the body of a `fetch()`"),
    ("worker_life.idle", "a worker that nobody asks anything"),
    (
        "worker_life.silent",
        "… with an open `EventSource`, without an event",
    ),
    ("worker_life.events", "… with an event each 5 s"),
    (
        "worker_life.ping",
        "… without an event, and a message from its page each 20 s",
    ),
];

const BROWSER_ROWS: [(&str, &str); 44] = [
    (
        "streams-at-once",
        "`EventSource`s open at once to one host and port over HTTP/1.1, over all tabs",
    ),
    ("one-more-stream", "one stream more"),
    (
        "one-more-page",
        "a page of that host and port in a further tab",
    ),
    (
        "socket-beside",
        "the handshake of a WebSocket to that host and port",
    ),
    ("sockets-open", "eight WebSockets to one host and port"),
    ("stream-204", "`EventSource`: the answer is 204"),
    ("stream-503", "… 503, also with `Retry-After`"),
    ("stream-type", "… 200 of another type"),
    ("stream-empty", "… none: the connection is closed before it"),
    (
        "stream-refused",
        "… none: nobody listens, at the first attempt",
    ),
    (
        "stream-refused-again",
        "… none: nobody listens, after a stream has broken",
    ),
    ("stream-301", "… 301, and the stream behind it ends"),
    ("stream-307", "… 307, and the stream behind it ends"),
    (
        "stream-options",
        "`EventSource` with `method` and `headers` in its options",
    ),
    (
        "stream-other-port",
        "`EventSource` to another port of its host: its cookies",
    ),
    ("stream-with-credentials", "… with `withCredentials`"),
    (
        "cut-chunked",
        "`fetch()`: the body is cut, the connection closed without the last chunk",
    ),
    ("cut-length", "… closed before `Content-Length` is full"),
    ("cut-reset", "… reset between two chunks"),
    ("ended-early", "… ended in order, too early"),
    ("ended-by-close", "… without a length, ended by closing"),
    (
        "post-reused",
        "a `POST` whose connection, used before, closes without an answer",
    ),
    (
        "post-fresh",
        "a `POST` whose connection, not used before, closes without an answer",
    ),
    (
        "get-reused",
        "a `GET` whose connection, used before, closes without an answer",
    ),
    (
        "not-modified",
        "`fetch()` with the browser's own `If-None-Match`: what the script sees of a 304",
    ),
    (
        "not-modified-own",
        "… with an `If-None-Match` that the script sets",
    ),
    (
        "cookie-plain",
        "the handshake of a WebSocket to another site: a cookie without attributes",
    ),
    ("cookie-lax", "… with `SameSite=Lax`"),
    ("cookie-strict", "… with `SameSite=Strict`"),
    ("cookie-none", "… with `SameSite=None; Secure`"),
    (
        "cookie-same-site",
        "the handshake to another port of the same host: a cookie with `SameSite=Strict`",
    ),
    (
        "socket-refused",
        "a handshake that is answered with 403: what the page is told",
    ),
    (
        "socket-relative",
        "`new WebSocket(\"events\")`, a relative address",
    ),
    (
        "socket-deflate",
        "the handshake offers `permessage-deflate`",
    ),
    (
        "timer-long",
        "`setTimeout()` with 2,147,483,648 ms, one more than 31 bits hold",
    ),
    ("hidden-timer", "`setInterval()` of 100 ms in a hidden page"),
    (
        "hidden-stream",
        "an event of a stream, or of a WebSocket, in a hidden page",
    ),
    (
        "shown-again",
        "what a page is told that was hidden and is shown again",
    ),
    ("back-plain", "away from a page and back"),
    ("back-stream", "… with an open `EventSource`"),
    ("back-socket", "… with an open WebSocket"),
    ("back-request", "… with a `fetch()` that has no answer yet"),
    ("back-unload", "… with a handler of `unload`"),
    (
        "back-unload-policy",
        "… with one, and the header `Permissions-Policy: unload=()`",
    ),
];

/// What a browser did, and when somebody last looked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Dated {
    version: String,
    date: jiff::civil::Date,
    does: String,
}

/// By habit, and by browser.
type Results = BTreeMap<String, BTreeMap<String, Dated>>;

impl Habits {
    const fn new(folder: &'static str, rows: &'static [(&'static str, &'static str)]) -> Self {
        let kept = browser::results::Results::new(folder);
        Self { kept, rows }
    }

    /// Compares what a browser did now with what it did when somebody last looked, or keeps it.
    ///
    /// # Errors
    /// If it did something else.
    pub(crate) fn check(
        &self,
        kind: Kind,
        version: &str,
        seen: &[(&'static str, String)],
    ) -> anyhow::Result<()> {
        let _held = self.kept.hold();
        let mut all: Results = self.kept.read()?;
        let mut differ = Vec::new();
        for (key, does) in seen {
            let known = self.rows.iter().any(|(habit, _)| habit == key);
            ensure!(known, "{key} is no row of the table");
            let habit = all.entry((*key).to_owned()).or_default();
            if updating() {
                let dated = Dated {
                    version: version.to_owned(),
                    date: jiff::Zoned::now().date(),
                    does: does.clone(),
                };
                habit.insert(kind.to_string(), dated);
            } else {
                let kept = habit
                    .get(&kind.to_string())
                    .with_context(|| format!("no result of {kind} for {key} yet: {does}"))?;
                if kept.does != *does {
                    differ.push(format!("{key}: {does}; in {}: {}", kept.version, kept.does));
                }
            }
        }
        if updating() {
            self.kept.write(&all)?;
        }
        ensure!(
            differ.is_empty(),
            "{kind} {version} does something else than when somebody last looked: {differ:#?}; \
             if that is so, keep it with UPDATE_GOLDEN=1 cargo test -p browser --test \
             browser_habits, or with cargo xtask engines"
        );
        Ok(())
    }

    /// Whether the table that the book shows has every result.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn table_is_current(&self) -> anyhow::Result<()> {
        self.kept.table_is_current(|| self.table())
    }

    /// Writes the table anew.
    ///
    /// # Errors
    /// If a result is missing.
    pub(crate) fn write_table(&self) -> anyhow::Result<()> {
        self.kept.write_table(&self.table()?)
    }

    /// The table that the book shows.
    fn table(&self) -> anyhow::Result<String> {
        let all: Results = self.kept.read()?;
        let mut head = "| what happens".to_owned();
        let mut newest = Vec::new();
        for kind in Kind::ALL {
            let results = all
                .values()
                .filter_map(|habit| habit.get(&kind.to_string()));
            let newest_of_kind = results.max_by_key(|dated| dated.date);
            let dated = newest_of_kind.with_context(|| format!("no result of {kind}"))?;
            head += &format!(" | {kind} {}, {}", dated.version, dated.date);
            newest.push((kind, dated));
        }
        let has_trials = self.rows.iter().any(|(key, _)| key.contains('.'));
        let (trials, line) = if has_trials {
            (" | test", " --- |")
        } else {
            ("", "")
        };
        let mut table = format!("{head}{trials} |\n| --- | --- | --- | --- |{line}\n");
        for (key, words) in self.rows {
            let habit = all
                .get(*key)
                .with_context(|| format!("no result of {key}"))?;
            table += &format!("| {words}");
            for (kind, newest) in &newest {
                let dated = habit.get(&kind.to_string());
                let dated = dated.with_context(|| format!("no result of {kind} for {key}"))?;
                table += &format!(" | {}", dated.does);
                if (&dated.version, dated.date) != (&newest.version, newest.date) {
                    table += &format!(" ({}, {})", dated.version, dated.date);
                }
            }
            if let Some((trial, _)) = key.split_once('.') {
                table += &format!(" | `{trial}`");
            }
            table += " |\n";
        }
        Ok(table)
    }
}
