//! Engines that keep a log, started for a test: NATS JetStream and PostgreSQL as this machine has
//! them, each with its data in a directory of its own, on a free port.

use crate::parts::{Missing, PROXIES};
use anyhow::{bail, Context as _};
use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// A guard against hanging, generous: other tests run beside it.
const START: Duration = Duration::from_secs(60);

/// How often is looked whether it has started.
const LOOK: Duration = Duration::from_millis(20);

/// Ports that are tried: one that was free a moment ago may be taken.
const PORTS: usize = 20;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite: no program.
    File,
    /// `nats-server` with JetStream.
    Nats,
    /// PostgreSQL.
    Postgres,
}

/// An engine that runs. It ends, and its data goes, when it is dropped.
pub struct Engine {
    kind: Kind,
    directory: TempDir,
    port: u16,
    program: Option<Group>,
}

/// A program and those that it has started. They are killed when it is dropped: no engine may
/// need a goodbye.
pub struct Group(Child);

impl Group {
    /// Starts it as the leader of a group of its own, without input and output and without a proxy.
    /// What it says of errors is appended to this file.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(mut command: Command, errors: &Path) -> anyhow::Result<Self> {
        for name in PROXIES {
            command.env_remove(name);
        }
        let errors = fs::File::options().create(true).append(true).open(errors)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0);
        let started = command.spawn();
        Ok(Self(started.with_context(|| format!("{command:?}"))?))
    }

    /// Sends a signal to all of it, by its name: `STOP` holds it, `CONT` lets it go on.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.0.id();
        // Those of PostgreSQL have groups of their own. Its first goes first, or it would start
        // them anew.
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        output(Command::new("kill").args(["-s", name, "--", &format!("-{id}")]))?;
        for child in children.split_whitespace() {
            // It may have ended by itself.
            output(Command::new("kill").args(["-s", name, "--", child])).ok();
        }
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// How it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("it has ended: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL").ok();
        self.0.wait().ok();
    }
}

impl Engine {
    /// Starts one with no data.
    ///
    /// # Errors
    /// [`Missing`] where it is not installed; where it does not answer.
    pub async fn start(kind: Kind) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("engine-").tempdir()?;
        // PostgreSQL runs as another user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))?;
        let mut engine = Self {
            kind,
            directory,
            port: 0,
            program: None,
        };
        if kind == Kind::File {
            fs::create_dir(engine.path("data"))?;
        }
        if kind == Kind::Postgres {
            engine.initialise()?;
        }
        let mut tried = Ok(());
        for _ in 0..PORTS {
            engine.port = free_port()?;
            tried = engine.go_on().await;
            match &tried {
                Err(error) if error.downcast_ref::<Missing>().is_none() => {}
                _ => break,
            }
        }
        tried?;
        Ok(engine)
    }

    /// A path among its data.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where its log is: the value of `--log`.
    pub fn address(&self) -> String {
        match self.kind {
            Kind::File => format!("file:{}", self.path("data/log.db").display()),
            Kind::Nats => format!("nats://127.0.0.1:{}/events", self.port),
            Kind::Postgres => {
                format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
            }
        }
    }

    /// Where it keeps another log, with nothing in it, which has this name: small letters, digits
    /// and underscores.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn another_log(&self, name: &str) -> anyhow::Result<String> {
        let address = match self.kind {
            Kind::File => format!("file:{}", self.path("data").join(name).display()),
            Kind::Nats => format!("nats://127.0.0.1:{}/{name}", self.port),
            Kind::Postgres => {
                self.psql(&format!("create database {name}"))?;
                format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
            }
        };
        Ok(address)
    }

    /// Kills it at once. A file goes with its directory, as when a disk is gone.
    pub fn kill(&mut self) {
        self.program = None;
        if self.kind == Kind::File {
            fs::rename(self.path("data"), self.path("away")).ok();
        }
    }

    /// Starts it with the data that it has, and waits until it answers.
    ///
    /// # Errors
    /// [`Missing`] where it is not installed; where it does not answer.
    pub async fn go_on(&mut self) -> anyhow::Result<()> {
        let command = match self.kind {
            Kind::File => {
                fs::rename(self.path("away"), self.path("data")).ok();
                return Ok(());
            }
            Kind::Nats => {
                let mut command = Command::new(nats_server()?);
                command
                    .args([
                        "-a",
                        "127.0.0.1",
                        "-js",
                        "-p",
                        &self.port.to_string(),
                        "-sd",
                    ])
                    .arg(self.path("data"));
                command
            }
            Kind::Postgres => {
                let mut command = postgres("postgres")?;
                command.arg("-D").arg(self.path("data")).args([
                    "-h",
                    "127.0.0.1",
                    "-p",
                    &self.port.to_string(),
                    "-k",
                    "",
                ]);
                command
            }
        };
        self.program = Some(Group::start(command, &self.path("errors"))?);
        let answers = timeout(START, self.answers()).await;
        answers
            .unwrap_or_else(|late| Err(late.into()))
            .with_context(|| {
                let errors = fs::read_to_string(self.path("errors")).unwrap_or_default();
                format!("{:?} does not answer: {errors}", self.kind)
            })
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(program) = &mut self.program {
                program.check()?;
            }
            if self.is_ready().await {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    async fn is_ready(&self) -> bool {
        match self.kind {
            Kind::File => true,
            Kind::Nats => TcpStream::connect(("127.0.0.1", self.port)).await.is_ok(),
            Kind::Postgres => self.psql("select 1").is_ok(),
        }
    }

    fn initialise(&self) -> anyhow::Result<()> {
        let mut command = postgres("initdb")?;
        command
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"])
            .arg(self.path("data"));
        output(&mut command).map(drop)
    }

    /// Holds it: it answers nobody until [`resume`](Self::resume). A file has nothing to hold.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.program
            .iter()
            .try_for_each(|program| program.signal("STOP"))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.program
            .iter()
            .try_for_each(|program| program.signal("CONT"))
    }

    /// What PostgreSQL answers to a statement, or to several.
    ///
    /// # Errors
    /// What it refuses.
    pub fn psql(&self, question: &str) -> anyhow::Result<String> {
        let mut command = postgres("psql")?;
        command.args([
            "-XAtqc",
            question,
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
        ]);
        command.arg(self.port.to_string());
        output(&mut command)
    }

    /// Deletes the log, as somebody might who wants to begin anew.
    ///
    /// # Errors
    /// Where it does not come back.
    pub async fn delete_log(&mut self) -> anyhow::Result<()> {
        match self.kind {
            // What SQLite keeps beside it is forgotten, as it would be.
            Kind::File => Ok(fs::remove_file(self.path("data/log.db"))?),
            Kind::Postgres => self
                .psql(
                    "begin; delete from waiting.events; delete from waiting.keys;
                     update waiting.log set epoch = 'newlog', last = 0; commit",
                )
                .map(drop),
            // It keeps a directory for each stream.
            Kind::Nats => {
                self.kill();
                fs::remove_dir_all(self.path("data"))?;
                self.go_on().await
            }
        }
    }

    /// Kills it, keeps a copy of its data, and starts it again. A file is copied as it is:
    /// nobody may write to it.
    ///
    /// # Errors
    /// Where it does not come back.
    pub async fn backup(&mut self) -> anyhow::Result<()> {
        if self.kind == Kind::File {
            fs::create_dir(self.path("copy"))?;
            for name in ["log.db", "log.db-wal"] {
                let [from, to] = ["data", "copy"].map(|it| self.path(it).join(name));
                fs::copy(from, to)?;
            }
            return Ok(());
        }
        self.copy("data", "copy").await
    }

    /// Kills it, and starts it again with the data of the copy. A file is replaced while it is
    /// open.
    ///
    /// # Errors
    /// Where it does not come back.
    pub async fn restore(&mut self) -> anyhow::Result<()> {
        if self.kind == Kind::File {
            // By the last of them it is seen.
            for name in ["log.db-wal", "log.db"] {
                let [from, to] = ["copy", "data"].map(|it| self.path(it).join(name));
                fs::rename(from, to)?;
            }
            return Ok(());
        }
        self.copy("copy", "data").await
    }

    async fn copy(&mut self, from: &str, to: &str) -> anyhow::Result<()> {
        self.kill();
        fs::remove_dir_all(self.path(to)).ok();
        let mut command = Command::new("cp");
        command.arg("-a").arg(self.path(from)).arg(self.path(to));
        output(&mut command)?;
        // PostgreSQL was killed.
        fs::remove_file(self.path("data/postmaster.pid")).ok();
        self.go_on().await
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The path of `nats-server`.
///
/// # Errors
/// [`Missing`].
pub fn nats_server() -> anyhow::Result<PathBuf> {
    found("nats-server", &["/usr/sbin"])
}

fn found(program: &str, places: &[&str]) -> anyhow::Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let paths = format!("{}:{path}", places.join(":"));
    let found = which::which_in(program, Some(paths), ".");
    let missing = format!("{program} is not installed");
    Ok(found.context(missing).map_err(Missing)?)
}

/// The version of an engine that is a program, such as `2.9.10`.
///
/// # Errors
/// [`Missing`] where it is not installed; what it says where that is no version.
pub fn version(kind: Kind) -> anyhow::Result<String> {
    let mut command = match kind {
        Kind::File => bail!("a file is no program"),
        Kind::Nats => Command::new(nats_server()?),
        Kind::Postgres => postgres("postgres")?,
    };
    let said = output(command.arg("--version"))?;
    let words = said.split_whitespace();
    let mut numbers = words.map(|word| word.trim_start_matches('v'));
    let version = numbers.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(version.with_context(|| said.clone())?.to_owned())
}

/// A program of PostgreSQL, which Debian has beside those of other versions. It refuses to
/// run as root, so there it is another user's.
fn postgres(program: &str) -> anyhow::Result<Command> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let places: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    let places: Vec<_> = places.iter().filter_map(|place| place.to_str()).collect();
    let program = found(program, &places)?;
    if !is_root() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(found("setpriv", &[])?);
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program);
    Ok(command)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of what this process has made.
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
