//! What the server counts, where Prometheus can read it.
//!
//! The crates count through the facade `metrics`, and a program may install any
//! recorder for it. This one keeps atomic numbers and nothing else: a histogram is a
//! counter for each bound, so that an event costs its reader an atomic add, and memory
//! does not grow between two readings.

use crate::{command::url, fallbacks, guard, serve, Allowed, Config, Ending};
use ::metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder as Facade,
    SharedString, Unit,
};
use axum::{routing::get, Router};
use contract::metrics::{Metric, MetricKind, ALL};
use http::header;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::Future,
    io::{self, Write as _},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// The type of [Prometheus' text
/// format](https://prometheus.io/docs/instrumenting/exposition_formats/).
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Keeps what is counted of the metrics in [`contract::metrics::ALL`], and of no
/// others. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<BTreeMap<Series, Value>>>);

/// A metric, by its place in the list, and its labels as they are written.
type Series = (usize, String);

#[derive(Clone, Debug)]
enum Value {
    Counter(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

/// How many whole numbers were at most as large as each bound.
#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, and one for what is larger than all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Relaxed);
        self.sum.fetch_add(value as u64, Relaxed);
    }
}

impl Value {
    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(Arc::default()),
            MetricKind::Gauge => Self::Gauge(Arc::default()),
            MetricKind::Histogram(bounds) => Self::Histogram(Arc::new(Buckets {
                bounds,
                counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: AtomicU64::new(0),
            })),
        }
    }

    fn write(&self, metric: &Metric, labels: &str, text: &mut String) {
        let name = metric.name;
        match self {
            Self::Counter(count) => {
                let count = count.load(Relaxed);
                line(text, name, "", labels, count as f64);
            }
            Self::Gauge(bits) => {
                let value = f64::from_bits(bits.load(Relaxed));
                line(text, name, "", labels, value);
            }
            Self::Histogram(buckets) => buckets.write(name, labels, text),
        }
    }
}

impl Buckets {
    fn write(&self, name: &str, labels: &str, text: &mut String) {
        let bounds = self.bounds.iter().map(ToString::to_string);
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bound, bucket) in bounds.zip(&self.counts) {
            count += bucket.load(Relaxed);
            let labels = format!("{labels}{comma}le=\"{bound}\"");
            line(text, name, "_bucket", &labels, count as f64);
        }
        let sum = self.sum.load(Relaxed);
        line(text, name, "_sum", labels, sum as f64);
        line(text, name, "_count", labels, count as f64);
    }
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &str, value: f64) {
    let written = match labels {
        "" => writeln!(text, "{name}{suffix} {value}"),
        labels => writeln!(text, "{name}{suffix}{{{labels}}} {value}"),
    };
    written.expect("a text takes all that is written");
}

/// The labels of a key, as they are written.
fn labels(key: &Key) -> String {
    let written = key.labels().map(|label| {
        let value = label.value();
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{}=\"{}\"", label.key(), value.replace('\n', "\\n"))
    });
    written.collect::<Vec<_>>().join(",")
}

impl Recorder {
    /// What is counted from now on is kept here; `None` where the process has a
    /// recorder already.
    pub fn install() -> Option<Self> {
        let recorder = Self::default();
        ::metrics::set_global_recorder(recorder.clone()).ok()?;
        Some(recorder)
    }

    /// All values, in the text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for ((at, labels), value) in &*self.lock() {
            let metric = &ALL[*at];
            if last.replace(at) != Some(at) {
                let (name, kind) = (metric.name, metric.kind.name());
                let head =
                    format!("# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help);
                text.push_str(&head);
            }
            value.write(metric, labels, &mut text);
        }
        text
    }

    /// The value of a series, which is made where it is not there; `None` for what is
    /// not in the list.
    fn value(&self, key: &Key) -> Option<Value> {
        let at = ALL.iter().position(|metric| metric.name == key.name())?;
        let mut series = self.lock();
        let value = series.entry((at, labels(key)));
        Some(value.or_insert_with(|| Value::new(ALL[at].kind)).clone())
    }

    /// Locked when a handle is made, and when all are read.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Series, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facade for Recorder {
    // The list says what each is.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.value(key) {
            Some(Value::Counter(count)) => Counter::from_arc(count),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.value(key) {
            Some(Value::Gauge(bits)) => Gauge::from_arc(bits),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.value(key) {
            Some(Value::Histogram(buckets)) => Histogram::from_arc(buckets),
            _ => Histogram::noop(),
        }
    }
}

/// `GET metrics`: all values, in Prometheus' text format.
pub fn router(recorder: Recorder) -> Router {
    let answer = move || async move {
        let headers = [
            (header::CONTENT_TYPE, TEXT),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, recorder.text())
    };
    fallbacks(Router::new().route("/metrics", get(answer)))
}

/// Connections to the endpoint: a few scrapers, and somebody with a browser.
pub const CONNECTIONS: usize = 16;

/// How long a reading that is under way when the server has ended may take.
const DRAIN: Duration = Duration::from_secs(1);

/// The endpoint, before it is served.
#[derive(Debug)]
pub struct Endpoint {
    /// Its own, so that what it answers counts for nothing.
    pub(crate) listener: TcpListener,
    pub(crate) recorder: Recorder,
    /// The hosts that it answers for.
    pub(crate) allowed: Allowed,
}

impl Endpoint {
    /// Prints `WHAT metrics: URL` on standard output.
    pub fn listening(&self, what: &str) {
        if let Ok(address) = self.listener.local_addr() {
            let url = url("http", address);
            // Nobody may be reading.
            let _ = writeln!(io::stdout(), "{what} metrics: {url}metrics");
        }
    }

    /// Serves the endpoint, if there is one, until `served` is over: the server that it
    /// counts, whose last numbers can be read while it ends.
    pub async fn beside<T>(
        endpoint: Option<Self>,
        served: impl Future<Output = T>,
    ) -> T {
        let Some(endpoint) = endpoint else {
            return served.await;
        };
        let config = Config {
            counted: false,
            max_connections: CONNECTIONS,
            drain: DRAIN,
            ..Config::default()
        };
        let ending = Ending::new();
        let router = guard(router(endpoint.recorder), endpoint.allowed);
        let serving = serve(endpoint.listener, router, config, ending.clone());
        let serving = tokio::spawn(serving);
        let output = served.await;
        ending.begin();
        match serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the metrics could not be served"),
            // It has panicked, and said so.
            Err(_) => {}
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::metrics::{counter, gauge, histogram, with_local_recorder};
    use contract::metrics::{CURSOR_LAG, GAPS, READ, WAITS_OPEN};

    fn recorded(count: impl FnOnce()) -> String {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, count);
        recorder.text()
    }

    #[test]
    fn values_are_written_in_the_order_of_the_list() {
        let text = recorded(|| {
            counter!(READ.name).increment(7);
            let gap = counter!(GAPS.name, "method" => "sse", "reason" => "expired");
            gap.increment(2);
            let again = counter!(GAPS.name, "method" => "sse", "reason" => "expired");
            again.increment(1);
            counter!(GAPS.name, "method" => "sse", "reason" => "unknown").increment(0);
            let open = gauge!(WAITS_OPEN.name, "method" => "a\"b\\\n");
            open.increment(3.0);
            open.decrement(1.0);
        });
        assert_eq!(
            text,
            "# HELP waiting_waits_open Waits that are open: streams, sockets, and \
             requests that wait\n\
             # TYPE waiting_waits_open gauge\n\
             waiting_waits_open{method=\"a\\\"b\\\\\\n\"} 2\n\
             # HELP waiting_gaps_total Gaps that clients were told of, by the reason\n\
             # TYPE waiting_gaps_total counter\n\
             waiting_gaps_total{method=\"sse\",reason=\"expired\"} 3\n\
             waiting_gaps_total{method=\"sse\",reason=\"unknown\"} 0\n\
             # HELP waiting_read_bytes_total Bytes read from connections, with all that \
             HTTP and TLS add\n\
             # TYPE waiting_read_bytes_total counter\n\
             waiting_read_bytes_total 7\n"
        );
    }

    #[test]
    fn a_histogram_counts_what_is_at_most_as_large_as_each_bound() {
        let text = recorded(|| {
            let lag = histogram!(CURSOR_LAG.name, "method" => "sse");
            for behind in [1.0, 2.0, 3.0, 4.0, 20_000.0] {
                lag.record(behind);
            }
        });
        let lines: Vec<_> = text.lines().skip(2).collect();
        let lag = |suffix: &str, le: &str, value: u64| {
            format!("waiting_cursor_lag_events_{suffix}{{method=\"sse\"{le}}} {value}")
        };
        assert_eq!(lines[0], lag("bucket", ",le=\"1\"", 1));
        assert_eq!(lines[1], lag("bucket", ",le=\"3\"", 3));
        assert_eq!(lines[2], lag("bucket", ",le=\"10\"", 4));
        assert_eq!(lines[8], lag("bucket", ",le=\"10000\"", 4));
        assert_eq!(lines[9], lag("bucket", ",le=\"+Inf\"", 5));
        assert_eq!(lines[10], lag("sum", "", 20_010));
        assert_eq!(lines[11], lag("count", "", 5));
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_in_the_list() {
        let text = recorded(|| {
            counter!("other_total").increment(1);
            // A name of the list for something else.
            gauge!(READ.name).increment(1.0);
        });
        let read = "waiting_read_bytes_total";
        assert!(!text.contains("other"), "{text}");
        assert!(text.ends_with(&format!("{read} 0\n")), "{text}");
    }
}
