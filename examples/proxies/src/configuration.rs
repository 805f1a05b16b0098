//! The files, and what a test replaces in them.

use crate::process::Place;
use anyhow::{ensure, Context as _};
use std::{fmt, net::SocketAddr, path::PathBuf};
use testbed::parts::Missing;

/// A program that stands between browser and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// nginx.
    Nginx,
    /// HAProxy.
    HaProxy,
    /// Caddy.
    Caddy,
}

impl Program {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Nginx, Self::HaProxy, Self::Caddy];

    /// The name of its program, and of its folder here.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn path(self) -> anyhow::Result<PathBuf> {
        // Debian has the first two where not every user searches.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = path;
        all.push(":/usr/sbin");
        let found = which::which_in(self.name(), Some(all), "/");
        Ok(found.context(self.name()).map_err(Missing)?)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A file of this crate, with what a test has replaced in it.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub(crate) program: Program,
    text: String,
    /// What stands around nginx's `server`, in another file.
    main: &'static str,
    workers: usize,
    replaced: Vec<(String, String)>,
}

/// The server of every file.
const SERVER: &str = "127.0.0.1:4000";

/// What Debian's `nginx.conf` has where ours has more.
const DEBIAN_MAIN: &str = "events {\n    worker_connections 768;\n}\n";

impl Configuration {
    /// As it is first written.
    pub fn first(program: Program) -> Self {
        let text = match program {
            Program::Nginx => include_str!("../nginx/default.conf"),
            Program::HaProxy => include_str!("../haproxy/default.cfg"),
            Program::Caddy => include_str!("../caddy/default.Caddyfile"),
        };
        Self::of(program, text, DEBIAN_MAIN)
    }

    /// The shortest that is right.
    pub fn right(program: Program) -> Self {
        let text = match program {
            Program::Nginx => include_str!("../nginx/right.conf"),
            Program::HaProxy => include_str!("../haproxy/right.cfg"),
            Program::Caddy => include_str!("../caddy/right.Caddyfile"),
        };
        Self::of(program, text, include_str!("../nginx/main.conf"))
    }

    fn of(program: Program, text: &str, main: &'static str) -> Self {
        Self {
            program,
            text: text.to_owned(),
            main,
            workers: 2,
            replaced: Vec::new(),
        }
    }

    /// In front of this server.
    #[must_use]
    pub fn to(self, server: SocketAddr) -> Self {
        self.with(SERVER, &server.to_string())
    }

    /// With other text in the place of this, wherever it stands.
    ///
    /// Where it stands nowhere, [`Proxy::start`](crate::Proxy::start) says so.
    #[must_use]
    pub fn with(mut self, text: &str, instead: &str) -> Self {
        self.replaced.push((text.to_owned(), instead.to_owned()));
        self
    }

    /// With this many worker processes, where there are such; else two.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &'static str {
        match self.program {
            Program::Nginx => "nginx.conf",
            Program::HaProxy => "haproxy.cfg",
            Program::Caddy => "Caddyfile",
        }
    }

    /// The whole text, in this place.
    pub(crate) fn text(&self, place: &Place) -> anyhow::Result<String> {
        let Place { address, directory } = place;
        let directory = directory.display();
        let text = match self.program {
            Program::Nginx => self.around_nginx(&directory.to_string()),
            Program::HaProxy => self.text.clone(),
            // Nobody asks the test's own machine for a certificate, and no two of its
            // Caddys have one address for their orders.
            Program::Caddy => format!(
                "{{\n    admin unix/{directory}/admin.sock\n    \
                 auto_https disable_redirects\n}}\n\n{}",
                self.text
            ),
        };
        let site = format!(
            "https://{address} {{\n    tls {directory}/cert.pem {directory}/key.pem"
        );
        let listening = format!("bind {address} ssl");
        let own: &[(&str, String)] = match self.program {
            Program::Nginx => &[
                ("listen 443 ssl", format!("listen {address} ssl")),
                (
                    "/etc/ssl/example.com/fullchain.pem",
                    format!("{directory}/cert.pem"),
                ),
                (
                    "/etc/ssl/example.com/privkey.pem",
                    format!("{directory}/key.pem"),
                ),
            ],
            Program::HaProxy => &[
                ("bind :443 ssl", listening),
                ("/etc/ssl/example.com.pem", format!("{directory}/both.pem")),
            ],
            Program::Caddy => &[("example.com {", site)],
        };
        let own = own.iter().map(|(from, to)| (*from, to.as_str()));
        let given = self
            .replaced
            .iter()
            .map(|(from, to)| (from.as_str(), to.as_str()));
        own.chain(given).try_fold(text, |text, (from, to)| {
            ensure!(text.contains(from), "{:?} is not in {}", from, self.file());
            Ok(text.replace(from, to))
        })
    }

    /// Debian's `nginx.conf`, as far as it matters here, with the file inside.
    fn around_nginx(&self, directory: &str) -> String {
        #[cfg(unix)]
        let root = rustix::process::geteuid().is_root();
        #[cfg(not(unix))]
        let root = false;
        // The directory of a test is for its user alone, and workers of root are not.
        let user = if root { "user root;\n" } else { "" };
        let Self {
            main,
            workers,
            text,
            ..
        } = self;
        format!(
            "{user}worker_processes {workers};\n\
             daemon off;\n\
             pid {directory}/nginx.pid;\n\
             error_log stderr warn;\n\
             {main}\n\
             http {{\n\
             access_log off;\n\
             client_body_temp_path {directory}/body;\n\
             proxy_temp_path {directory}/proxy;\n\
             fastcgi_temp_path {directory}/fastcgi;\n\
             uwsgi_temp_path {directory}/uwsgi;\n\
             scgi_temp_path {directory}/scgi;\n\
             sendfile on;\n\
             tcp_nopush on;\n\
             ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;\n\
             gzip on;\n\n\
             {text}\
             }}\n"
        )
    }
}
