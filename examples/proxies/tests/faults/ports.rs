//! The ports of one address, used up by standing streams: in a network namespace that
//! has few.

use crate::common::{self, Connection, Settings, STREAM};
use anyhow::{ensure, Context as _};
use feed::{Feed, Retention};
use proxies::{Configuration, Program, Proxy};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    process::{ExitCode, Stdio},
};
use testbed::parts::{Forbidden, Missing};
use tls::Protocol;
use tokio::{net::TcpListener, process::Command};

/// Says that this process is in the namespace; which proxy it is to try.
const INSIDE: &str = "PROXIES_INSIDE";

/// The ports that there are: 32, where Linux has 28,232.
const RANGE: &str = "40000 40031";

/// More streams than ports.
const STREAMS: u8 = 40;

pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

pub async fn of_one_address_run_out() -> anyhow::Result<()> {
    for program in Program::ALL {
        program.path()?;
        let unshare = || {
            let mut command = Command::new("unshare");
            command
                .args(["--user", "--map-root-user", "--net", "--"])
                .stdin(Stdio::null())
                .kill_on_drop(true);
            command
        };
        let tried = unshare()
            .args(["ip", "link", "set", "lo", "up"])
            .output()
            .await;
        let tried = tried.context("unshare").map_err(Missing)?;
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
            return Err(Forbidden(anyhow::anyhow!("{why}")).into());
        }
        let own = env::current_exe()?;
        let output = unshare()
            .arg(own)
            .env(INSIDE, program.name())
            .output()
            .await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {errors}");
    }
    crate::came_to(
        "proxy-ports-used-up",
        "ports::of_one_address_run_out",
        &[
            (
                "polling",
                "502 or 503, of each proxy; with a second address of the server, 200",
            ),
            (
                "sse",
                "no further stream opens: 502 or 503; with a second address of the \
                 server, all do",
            ),
        ],
    );
    Ok(())
}

pub fn inside() -> ExitCode {
    let tested = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run_out()));
    match tested {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_out() -> anyhow::Result<()> {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .await?;
    ensure!(up.success(), "ip: {up}");
    let name = env::var(INSIDE)?;
    let program = Program::ALL
        .into_iter()
        .find(|program| program.name() == name);
    let program = program.context("no such proxy")?;

    let [one, _] = serve().await?;
    let alone = Proxy::start(Configuration::right(program).to(one)).await?;
    // Another server: the ports of closed connections to the first rest for a while.
    let [one, other] = serve().await?;
    let (text, two) = match program {
        Program::Nginx => (
            "server 127.0.0.1:4000;",
            format!("server {one};\n    server {other};"),
        ),
        Program::HaProxy => (
            "server one 127.0.0.1:4000",
            format!("server one {one}\n    server other {other}"),
        ),
        Program::Caddy => (
            "reverse_proxy 127.0.0.1:4000",
            format!("reverse_proxy {one} {other} {{\n lb_policy round_robin\n }}"),
        ),
    };
    let both = Configuration::right(program).with(text, &two);
    let both = Proxy::start(both).await?;
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", RANGE)?;

    let refusal = match program {
        Program::Nginx | Program::Caddy => 502,
        Program::HaProxy => 503,
    };
    let mut streams = Vec::new();
    for number in 1..=STREAMS {
        let mut stream = open(&alone, number).await?;
        match stream.status().await? {
            200 => streams.push(stream),
            status if status == refusal => break,
            other => anyhow::bail!("{other}: {}", stream.seen()),
        }
    }
    let opened = streams.len();
    ensure!((16..=32).contains(&opened), "{opened} streams");
    // And no poll gets through, of anybody.
    let mut poll = connection(&alone, 200, "GET /live/polling/status HTTP/1.1").await?;
    let status = poll.status().await?;
    ensure!(status == refusal, "{status}");
    drop(streams);
    drop(alone);

    let mut streams = Vec::new();
    for number in 1..=STREAMS {
        let mut stream = open(&both, number).await?;
        let status = stream.status().await?;
        ensure!(status == 200, "stream {number}: {status}");
        streams.push(stream);
    }
    let mut poll = connection(&both, 200, "GET /live/polling/status HTTP/1.1").await?;
    ensure!(poll.status().await? == 200, "{}", poll.seen());
    Ok(())
}

/// A server that answers at every address of this machine; two of them.
async fn serve() -> anyhow::Result<[SocketAddr; 2]> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let port = listener.local_addr()?.port();
    let feed = Feed::new(Retention::default());
    common::serve_on(listener, feed, Settings::default());
    Ok([1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], port))))
}

/// Each client has an address of its own, and a port outside of the range: it is the
/// proxy's ports that run out.
async fn connection(
    proxy: &Proxy,
    number: u8,
    head: &str,
) -> anyhow::Result<Connection> {
    let from = SocketAddr::from(([127, 0, 1, number], 50_000));
    let stream = proxy.connect_from(Some(from), &[Protocol::Http1]).await?;
    Connection::on(stream, &common::with_host(proxy, head)).await
}

async fn open(proxy: &Proxy, number: u8) -> anyhow::Result<Connection> {
    connection(proxy, number, STREAM).await
}
