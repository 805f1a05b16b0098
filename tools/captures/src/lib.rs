//! What `curl` and `nghttp` show of the book's own servers: real exchanges, brought into a form that does not change from
//! one run to the next, and kept in `output/`, where the book takes them from.
//!
//! `cargo run -p captures` writes the files anew. A test takes each capture again and compares.
//!
//! Each capture also carries the command that a reader types against a server started by hand. The command that runs here
//! differs from it in one thing: it goes to a free port, and still says the port that the reader's server has.

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
    /// Runs it.
    run: fn() -> BoxFuture<'static, anyhow::Result<String>>,
    /// Brings a text into the form in which two runs are compared.
    pub compared: fn(&str) -> Vec<String>,
}

/// All of them.
pub const CAPTURES: [Capture; 7] = [
    Capture {
        name: "two-polls",
        run: || Box::pin(curl::two_polls()),
        compared: in_order,
    },
    Capture {
        name: "closed-while-idle",
        run: || Box::pin(curl::closed_while_idle()),
        compared: in_order,
    },
    Capture {
        name: "stream",
        run: || Box::pin(curl::stream("--raw")),
        compared: in_order,
    },
    Capture {
        name: "stream-http2",
        run: || Box::pin(curl::stream("--http2-prior-knowledge")),
        compared: in_order,
    },
    Capture {
        name: "frames",
        run: || Box::pin(nghttp::frames()),
        compared: nghttp::without_farewells,
    },
    Capture {
        name: "two-streams",
        run: || Box::pin(nghttp::two_streams()),
        compared: nghttp::by_stream,
    },
    Capture {
        name: "ping",
        run: || Box::pin(nghttp::ping()),
        compared: nghttp::by_stream,
    },
];

impl Capture {
    /// Takes it anew.
    ///
    /// # Errors
    /// [`testbed::parts::Missing`] where the program is not on this machine; else that the program failed, or did not end
    /// in time.
    pub async fn take(&self) -> anyhow::Result<String> {
        (self.run)().await
    }

    /// Where it is kept.
    pub fn path(&self) -> PathBuf {
        let output = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("output");
        output.join(self.name).with_extension("txt")
    }
}

fn in_order(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
