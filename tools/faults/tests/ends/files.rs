//! The files for systemd and Kubernetes that the book shows: their times fit each other, and the
//! program takes their flags.

use crate::program::Program;
use anyhow::{ensure, Context as _};
use rustix::process::Signal;

const SERVICE: &str = include_str!("waiting.service");
const DEPLOYMENT: &str = include_str!("deployment.yaml");

/// The number that follows this in the text.
fn number(text: &str, after: &str) -> anyhow::Result<u64> {
    let (_, rest) = text.split_once(after).context(after.to_owned())?;
    let rest = rest.trim_start_matches(|it: char| !it.is_ascii_digit());
    let digits = rest.split(|it: char| !it.is_ascii_digit()).next();
    Ok(digits.unwrap_or_default().parse()?)
}

pub async fn times_and_flags() -> anyhow::Result<()> {
    for (text, killed) in [
        (SERVICE, "TimeoutStopSec="),
        (DEPLOYMENT, "terminationGracePeriodSeconds:"),
    ] {
        let (lame_duck, drain) = (number(text, "--lame-duck")?, number(text, "--drain")?);
        let killed = number(text, killed)?;
        ensure!(
            lame_duck + drain < killed,
            "{lame_duck} + {drain} < {killed}"
        );
        let flags = [
            "--lame-duck",
            &lame_duck.to_string(),
            "--drain",
            &drain.to_string(),
        ];
        let mut program = Program::start("sse", &flags).await?;
        program.signal(Signal::TERM)?;
        // In the lame duck, which nobody waits for here.
        program.is_not_ready().await;
        program.signal(Signal::TERM)?;
        program.ended_well().await?;
    }
    let probe = number(DEPLOYMENT, "periodSeconds:")? * number(DEPLOYMENT, "failureThreshold:")?;
    ensure!(probe < number(DEPLOYMENT, "--lame-duck")?);
    ensure!(DEPLOYMENT.contains("path: /ready"));
    Ok(())
}
