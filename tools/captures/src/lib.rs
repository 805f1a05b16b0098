//! What `curl` and `nghttp` show of the book's own servers: real exchanges, brought into a form
//! that does not change from one run to the next, and kept in `output/`, where the book takes them
//! from.
//!
//! `cargo xtask captures` writes the files anew. A test takes each capture again and compares.
//!
//! Each capture is taken with the command that the page prints above it, for a server that a reader
//! starts by hand. The command that runs here differs in one thing: it goes to a free port, and
//! still says the port that the reader's server has. One more is told on the page: the pause of
//! `closed-while-idle` is shorter.

mod curl;
mod nghttp;
mod program;

use futures_util::future::BoxFuture;
use std::path::PathBuf;

/// One exchange that the book shows.
#[derive(Clone, Copy)]
pub struct Capture {
    /// Its file, without the ending.
    pub name: &'static str,
    /// What a reader types, as the page has it; `frames` is `waiting` without `grep`.
    pub command: &'static str,
    /// Runs the command.
    run: fn(&'static str) -> BoxFuture<'static, anyhow::Result<String>>,
    /// Brings a text into the form in which two runs are compared.
    pub compared: fn(&str) -> Vec<String>,
}

/// All of them.
pub const CAPTURES: [Capture; 8] = [
    Capture {
        name: "two-polls",
        command: "curl -v 'http://127.0.0.1:4101/events?after=earliest' 'http://127.0.0.1:4101/status'",
        run: |command| Box::pin(curl::two_polls(command)),
        compared: in_order,
    },
    Capture {
        name: "closed-while-idle",
        command: "curl -v --rate 5/m 'http://127.0.0.1:4101/events?after=earliest' 'http://127.0.0.1:4101/status'",
        run: |command| Box::pin(curl::closed_while_idle(command)),
        compared: in_order,
    },
    Capture {
        name: "stream",
        command: "curl -Nv --raw http://127.0.0.1:4100/events",
        run: |command| Box::pin(curl::stream(command)),
        compared: in_order,
    },
    Capture {
        name: "stream-http2",
        command: "curl -Nv --http2-prior-knowledge http://127.0.0.1:4100/events",
        run: |command| Box::pin(curl::stream(command)),
        compared: in_order,
    },
    Capture {
        name: "waiting",
        command: "nghttp -nv --no-dep -H 'user-agent: nghttp2' http://127.0.0.1:4100/events | grep -E 'HEADERS frame|DATA frame'",
        run: |command| Box::pin(nghttp::waiting(command)),
        compared: nghttp::by_stream,
    },
    Capture {
        name: "frames",
        command: "nghttp -nv --no-dep -H 'user-agent: nghttp2' http://127.0.0.1:4100/events",
        run: |command| Box::pin(nghttp::frames(command)),
        compared: nghttp::without_farewells,
    },
    Capture {
        name: "two-streams",
        command: "nghttp -nv --no-dep -H 'user-agent: nghttp2' http://127.0.0.1:4100/events http://127.0.0.1:4100/status | grep -E 'HEADERS frame|DATA frame'",
        run: |command| Box::pin(nghttp::two_streams(command)),
        compared: nghttp::by_stream,
    },
    Capture {
        name: "ping",
        command: "nghttp -nv --no-dep -H 'user-agent: nghttp2' http://127.0.0.1:4100/events | grep -A 2 PING",
        run: |command| Box::pin(nghttp::ping(command)),
        compared: nghttp::by_stream,
    },
];

impl Capture {
    /// Takes it anew.
    ///
    /// # Errors
    /// [`testbed::parts::Missing`] where the program is not on this machine; else that the program
    /// failed, or did not end in time.
    pub async fn take(&self) -> anyhow::Result<String> {
        (self.run)(self.command).await
    }

    /// Where it is kept.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let output = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("output");
        output.join(self.name).with_extension("txt")
    }
}

fn in_order(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
