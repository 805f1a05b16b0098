// ANCHOR: all
//! Polling the plain way: a job's progress, asked for until the job is done.

use axum::{extract::State, routing::get, Json, Router};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    sync::atomic::{AtomicU8, Ordering},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, time::sleep};

// ANCHOR: handler
#[derive(Serialize, Deserialize)]
struct Job {
    percent: u8,
}

type Progress = Arc<AtomicU8>;

async fn job(State(progress): State<Progress>) -> Json<Job> {
    Json(Job {
        percent: progress.load(Ordering::Relaxed),
    })
}
// ANCHOR_END: handler

/// The job itself: a hundred small pieces of work.
async fn work(progress: Progress) {
    for percent in 1..=100 {
        sleep(Duration::from_millis(1)).await;
        progress.store(percent, Ordering::Relaxed);
    }
}

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let progress = Progress::default();
    let app = Router::new()
        .route("/jobs/1", get(job))
        .with_state(progress.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/jobs/1", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::spawn(work(progress));

    // One client for all polls: it keeps its connection open from one to the next. It
    // asks no proxy, which could not reach a server on this machine.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut seen = Vec::new();
    while seen.last() != Some(&100) {
        sleep(Duration::from_millis(20)).await;
        let job: Job = client.get(&url).send().await?.json().await?;
        seen.push(job.percent);
    }
    println!("{seen:?}"); // such as [18, 37, 55, 74, 93, 100]
    assert!(seen.is_sorted());
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
