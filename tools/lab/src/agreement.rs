//! The server's own counts, which must be those of the lab.

use anyhow::{ensure, Context as _};
use contract::metrics::{
    Metric, DELIVERED, GAPS, PUBLISHED, READ, REQUESTS, WAITS_OPENED, WRITTEN,
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the last bytes may be on their way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the counts are compared meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What the lab has counted. What it does not know of a measurement is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub published: Option<u64>,
    pub delivered: Option<u64>,
    pub waits_opened: Option<u64>,
    pub gaps: Option<u64>,
    pub requests: Option<u64>,
    /// Bytes from clients.
    pub read: Option<u64>,
    /// Bytes to clients.
    pub written: Option<u64>,
}

impl Counted {
    /// Where the server's counts are others.
    ///
    /// # Errors
    /// Where they are no counts.
    fn differences(&self, text: &str) -> anyhow::Result<Vec<String>> {
        let mut differences = Vec::new();
        for (metric, counted) in [
            (PUBLISHED, self.published),
            (DELIVERED, self.delivered),
            (WAITS_OPENED, self.waits_opened),
            (GAPS, self.gaps),
            (REQUESTS, self.requests),
            (READ, self.read),
            (WRITTEN, self.written),
        ] {
            let Some(counted) = counted else { continue };
            let server = sum(text, &metric)?;
            if server != counted {
                let name = metric.name;
                differences.push(format!("{name}: {server}, where the lab has {counted}"));
            }
        }
        Ok(differences)
    }
}

/// All series of a metric together.
fn sum(text: &str, metric: &Metric) -> anyhow::Result<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(metric.name) else {
            continue;
        };
        if rest.starts_with(['{', ' ']) {
            let (_, value) = rest.rsplit_once(' ').context("a line without a value")?;
            *sum.get_or_insert(0) += value.parse::<u64>()?;
        }
    }
    sum.with_context(|| format!("the server does not count {}", metric.name))
}

/// Waits until the server at this address for metrics has counted the same. Without an address
/// there is nothing to compare.
///
/// # Errors
/// Says which counts differ, where some still do when everything has arrived.
pub async fn check(metrics: Option<&str>, counted: impl Fn() -> Counted) -> anyhow::Result<()> {
    let Some(metrics) = metrics else {
        return Ok(());
    };
    let http = reqwest::Client::builder().no_proxy().build()?;
    let limit = Instant::now() + PATIENCE;
    loop {
        let answer = http.get(metrics).timeout(PATIENCE).send().await?;
        let text = answer.error_for_status()?.text().await?;
        let differences = counted().differences(&text)?;
        if differences.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < limit,
            "the server has counted otherwise: {}",
            differences.join("; ")
        );
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP waiting_gaps_total Gaps\n\
        # TYPE waiting_gaps_total counter\n\
        waiting_gaps_total{method=\"sse\",reason=\"expired\"} 1\n\
        waiting_gaps_total{method=\"sse\",reason=\"unknown\"} 2\n\
        waiting_read_bytes_total 70\n";

    #[test]
    fn a_count_that_differs_is_named() {
        let mut counted = Counted {
            gaps: Some(3),
            read: Some(70),
            ..Counted::default()
        };
        assert_eq!(counted.differences(TEXT).unwrap(), [""; 0]);
        counted.read = Some(71);
        let differences = counted.differences(TEXT).unwrap();
        assert_eq!(
            differences,
            ["waiting_read_bytes_total: 70, where the lab has 71"]
        );
        counted.written = Some(0);
        assert!(counted.differences(TEXT).is_err(), "there is no such count");
    }
}
