//! What every method owes its clients, through every proxy: the suite, over HTTP/1.1
//! with TLS, by the shortest right configuration.

mod routers;

use conformance::{
    Case, Gate, Hook, Method, Outcome, Server, Settings, Sockets, Subject, CASES,
};
use feed::{Feed, Retention};
use futures_util::{
    future::{BoxFuture, FutureExt as _},
    stream, StreamExt as _,
};
use harness::{conformance::Started, Doorkeeper, Server as Running};
use libtest_mimic::Arguments;
use proxies::{Configuration, Door, Program, Proxy};
use std::{process::ExitCode, sync::Arc, time::Duration};
use testbed::parts;
use url::Url;

/// A guard against hanging; each case has its own.
const LIMIT: Duration = Duration::from_secs(300);

/// How many cases run at the same time.
const AT_ONCE: usize = 3;

/// What cannot hold behind a proxy, and why.
const OTHERWISE: &[(Program, &str, &str)] = &[
    (
        Program::Nginx,
        "nothing_on_the_way_may_hold_a_stream_back",
        "nginx reads `X-Accel-Buffering` itself, and passes it on to nobody",
    ),
    (
        Program::HaProxy,
        "a_broken_handshake_is_refused",
        "HAProxy refuses it, with 400 and a page of its own",
    ),
    (
        Program::Caddy,
        "a_name_that_is_not_the_servers_own_is_refused",
        "Caddy passes on what is for the names of its file; to others it answers 200",
    ),
    (
        Program::Caddy,
        "what_asks_for_no_websocket_is_refused",
        "Caddy removes `Upgrade`, a header for one hop, from the 426",
    ),
];

/// What a race decides behind each of them: the server's side ends while the client
/// still sends its message, and then the proxy may break off before it has passed 1009
/// on.
const RACES: &[&str] = &["a_message_that_is_too_large_closes_the_socket"];

fn main() -> ExitCode {
    let trials = Program::ALL.into_iter().flat_map(|program| {
        Method::ALL.iter().map(move |method| {
            let method = *method;
            let name = format!("{program}/{method}");
            parts::trial(&name, LIMIT, move || holds(program, method))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

async fn holds(program: Program, method: Method) -> anyhow::Result<()> {
    program.path()?;
    // One proxy for the cases that need no server of their own.
    let shared = Behind::start(program, method, by_default()).await?;
    let shared = Sockets::new(method, Arc::new(Known(Arc::new(shared))));
    let own = Sockets::new(method, Arc::new(Own { program, method }));
    let hooks = Hook::of_one_server();
    let cases = CASES
        .iter()
        .filter(|case| case.can_be_tried(method, &hooks));
    let run = |case: &'static Case| {
        let starts = [Hook::Start, Hook::Stop, Hook::Finish, Hook::Access];
        let anew = case.needs.iter().any(|hook| starts.contains(hook));
        let sockets = if anew { &own } else { &shared };
        async move { (case, conformance::run(case, sockets).await) }
    };
    let outcomes: Vec<_> = stream::iter(cases)
        .map(run)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for (case, outcome) in outcomes {
        let known = |(of, name, _): &(Program, &str, &str)| {
            *of == program && *name == case.name
        };
        if RACES.contains(&case.name) {
            continue;
        }
        let known = OTHERWISE.iter().any(known);
        match outcome {
            Ok(()) if known => wrong.push(format!("{}: it holds after all", case.name)),
            Err(why) if !known => wrong.push(format!("{}: {why}", case.name)),
            _ => {}
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn by_default() -> Settings {
    Settings {
        heartbeat: Duration::from_secs(15),
        retention: 10_000,
        relayed: false,
        guarded: false,
    }
}

/// A method alone, and the proxy in front of it.
struct Behind {
    started: Started,
    _door: Door,
    _proxy: Proxy,
}

impl Behind {
    async fn start(
        program: Program,
        method: Method,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let feed = Feed::new(Retention {
            max_events: settings.retention,
            ..Retention::default()
        });
        let gate = settings.guarded.then(Doorkeeper::default);
        let router = |feed, ending| {
            let router = routers::router(method, settings, feed, ending);
            Doorkeeper::before(gate.as_ref(), router)
        };
        let server = Running::start(feed, router).await;
        let configuration = Configuration::right(program).to(server.address);
        let proxy = Proxy::start(configuration).await?;
        let door = proxy.door().await?;
        Ok(Self {
            started: Started::new(server, door.base()).guarded(gate),
            _door: door,
            _proxy: proxy,
        })
    }
}

impl Server for Behind {
    fn base(&self) -> &Url {
        self.started.base()
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        self.started.stop()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.started.finish()
    }

    fn gate(&self) -> Option<&dyn Gate> {
        self.started.gate()
    }
}

/// A server and a proxy for each case.
struct Own {
    program: Program,
    method: Method,
}

impl Subject for Own {
    fn hooks(&self) -> Vec<Hook> {
        Hook::of_one_server()
    }

    fn start(
        &self,
        settings: Settings,
    ) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        let settings = routers::beside_others(settings);
        async move {
            let behind = Behind::start(self.program, self.method, settings).await;
            let behind = behind.map_err(|error| format!("{error:#}"))?;
            Ok(Box::new(behind) as Box<dyn Server>)
        }
        .boxed()
    }
}

/// The one that runs.
#[derive(Clone)]
struct Known(Arc<Behind>);

impl Subject for Known {
    fn hooks(&self) -> Vec<Hook> {
        vec![Hook::Cut, Hook::Local]
    }

    fn start(&self, _: Settings) -> BoxFuture<'_, Result<Box<dyn Server>, String>> {
        let server: Box<dyn Server> = Box::new(self.clone());
        async { Ok(server) }.boxed()
    }
}

impl Server for Known {
    fn base(&self) -> &Url {
        self.0.base()
    }

    fn stop(&self) -> BoxFuture<'_, Outcome> {
        self.0.stop()
    }

    fn finish(&self) -> BoxFuture<'_, Outcome> {
        self.0.finish()
    }
}
