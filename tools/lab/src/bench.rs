//! One measurement: a server, the clients, and what they come to.

use crate::{
    job::{Job, Reply, Task},
    line::{By, Passed},
    method::Method,
    plan::{Step, BURST_RATE},
    programs::Programs,
    results::{Failed, Outcome, Recovery},
    schedule::{Arrivals, Plan},
};
use anyhow::bail;
use std::time::Instant;

/// Measures one step, and what a line did to its packets. What cannot be measured is an outcome
/// too, so that the others are.
pub async fn measure(
    programs: &Programs,
    step: &Step,
    plan: Plan,
    progress: impl FnMut(f64),
) -> (Outcome, Option<Passed>) {
    let measured = async {
        let seed = plan.seed + u64::from(step.repetition);
        let line = match step.line.by {
            By::Tun => Some(programs.line(&step.line, seed).await?),
            By::Relay | By::Nothing => None,
        };
        let outcome = match step.task {
            Task::Recovery => recovery(programs, step, plan).await,
            _ => once(programs, step, plan, progress).await,
        };
        let passed = match line {
            Some(line) => Some(line.end().await?),
            None => None,
        };
        anyhow::Ok((outcome?, passed))
    };
    measured.await.unwrap_or_else(|error| {
        let failed = Failed {
            task: step.name().to_owned(),
            error: format!("{error:#}"),
        };
        (Outcome::Failed(failed), None)
    })
}

fn job(step: &Step, plan: Plan, server: &crate::programs::Server) -> Job {
    Job {
        method: step.method,
        base: server.base.to_string(),
        protocol: step.protocol,
        certificate: server.certificate.clone(),
        metrics: server.metrics.clone(),
        server: server.process,
        line: step.line,
        clients: step.clients,
        plan,
        silence: step.silence,
        task: step.task,
    }
}

async fn once(
    programs: &Programs,
    step: &Step,
    plan: Plan,
    progress: impl FnMut(f64),
) -> anyhow::Result<Outcome> {
    let plan = match step.task {
        Task::Burst { events } => Plan {
            events,
            rate: BURST_RATE,
            arrivals: Arrivals::Fixed,
            ..plan
        },
        _ => plan,
    };
    let server = programs.serve(step, 0).await?;
    let mut clients = programs.clients(&job(step, plan, &server)).await?;
    let outcome = clients.done(progress).await;
    // Nobody waits for its streams any more.
    server.kill().await?;
    outcome
}

async fn recovery(programs: &Programs, step: &Step, plan: Plan) -> anyhow::Result<Outcome> {
    // One event before the restart and one after it, and the first has come to all.
    let plan = Plan {
        events: 2,
        arrivals: Arrivals::Lockstep,
        ..plan
    };
    let start = |port| programs.serve(step, port);
    let server = start(0).await?;
    let mut clients = programs.clients(&job(step, plan, &server)).await?;
    let Reply::Ready = clients.next().await? else {
        bail!("the clients do not wait for the restart");
    };
    let port = server.base.port().unwrap_or(0);
    let begin = Instant::now();
    server.end().await?;
    let server = start(port).await?;
    let down_ms = begin.elapsed().as_secs_f64() * 1000.0;
    clients.listening().await?;
    let outcome = clients.done(|_| {}).await;
    server.kill().await?;
    Ok(match outcome? {
        Outcome::Recovery(recovery) => Outcome::Recovery(Recovery {
            down_ms,
            ..recovery
        }),
        other => other,
    })
}

/// Whether a method can be measured so.
pub fn applies(task: Task, method: Method) -> bool {
    match task {
        Task::Delivery | Task::Memory { .. } => true,
        Task::Burst { .. } => match method {
            Method::Polling(_) | Method::LongPolling | Method::HyperAnswer => false,
            Method::Loop | Method::HyperStream | Method::AxumSocket => true,
            Method::Sse | Method::WebSocket | Method::WebSocketWalk => true,
        },
        // A floor sends what its method does, or nothing, and so does the other WebSocket server.
        Task::Traffic | Task::Idle { .. } => {
            method.floor_name().is_none() && method != Method::WebSocketWalk
        }
        // A floor has no log to come back to.
        Task::Recovery => method.floor_name().is_none(),
    }
}
