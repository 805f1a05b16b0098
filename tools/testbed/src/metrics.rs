//! What a server counts, as a test reads it.

use std::collections::BTreeMap;

/// The values of Prometheus' text format, by their series as it is written:
/// `waiting_waits_open{method="sse"}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    /// Reads a text.
    ///
    /// # Panics
    /// Where a line is neither a value nor what comes before the values of a metric, and where a
    /// series is there twice.
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let (mut help, mut named) = ("", "");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split(' ').next().expect("a first word");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                named = rest.split(' ').next().expect("a first word");
                assert_eq!(named, help, "help comes first");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let name = series.split('{').next().expect("a first part");
            let suffix = name.strip_prefix(named).unwrap_or("another");
            let known = ["", "_bucket", "_sum", "_count"];
            assert!(known.contains(&suffix), "{line}: not of {named}");
            let value = value.parse().expect("a number");
            let before = values.insert(series.to_owned(), value);
            assert_eq!(before, None, "{series} is there twice");
        }
        Self(values)
    }

    /// The value of a series; 0 where it is not there.
    pub fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// What has changed since `before`, and by how much.
    pub fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        let changes = self.0.iter().map(|(series, value)| {
            let change = value - before.get(series);
            (series.clone(), change)
        });
        changes.filter(|(_, change)| *change != 0.0).collect()
    }
}
