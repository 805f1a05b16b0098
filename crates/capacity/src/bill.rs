//! Money.

use crate::Needs;

/// The hours of a month that are billed: 365 days by 12.
pub const HOURS_PER_MONTH: f64 = 730.0;

/// The price of a GB up to an amount in a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// Up to so many GB, counted from the month's first.
    pub up_to_gb: f64,
    /// In dollars for each.
    pub per_gb: f64,
}

/// Prices, all in dollars. They are inputs: whoever has others puts them in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Of one machine, for an hour.
    pub machine_hour: f64,
    /// Of what leaves, in rising tiers; the last has no end.
    pub traffic: &'static [Tier],
    /// Of a million requests; nothing where requests are not billed.
    pub million_requests: f64,
}

impl Prices {
    /// Machines at Amazon in the first region, list prices: an m7g.large, and traffic
    /// to the internet. `fact-machine-price` of the book's facts has the sources and
    /// their days.
    pub const MACHINES: Self = Self {
        machine_hour: 0.0816,
        traffic: &[
            Tier {
                up_to_gb: 100.0,
                per_gb: 0.0,
            },
            Tier {
                up_to_gb: 10_240.0,
                per_gb: 0.09,
            },
            Tier {
                up_to_gb: 51_200.0,
                per_gb: 0.085,
            },
            Tier {
                up_to_gb: 153_600.0,
                per_gb: 0.07,
            },
            Tier {
                up_to_gb: f64::INFINITY,
                per_gb: 0.05,
            },
        ],
        million_requests: 0.0,
    };

    /// A content delivery network that bills requests: CloudFront's list price, for the
    /// first 10 TB. `fact-cdn-price` of the book's facts has the source and its day.
    pub const NETWORK: Self = Self {
        machine_hour: 0.0,
        traffic: &[Tier {
            up_to_gb: f64::INFINITY,
            per_gb: 0.085,
        }],
        million_requests: 1.0,
    };
}

/// What a month costs, in dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// For machines.
    pub machines: f64,
    /// For bytes to the readers.
    pub traffic: f64,
    /// For requests.
    pub requests: f64,
}

impl Bill {
    /// Of a month in which a load goes on all the time, on so many machines.
    #[must_use]
    pub fn new(needs: &Needs, nodes: f64, prices: &Prices) -> Self {
        let seconds = HOURS_PER_MONTH * 3600.0;
        let gb = needs.down_bytes_per_s * seconds / 1e9;
        let millions = needs.requests_per_s * seconds / 1e6;
        let mut from = 0.0;
        let mut traffic = 0.0;
        for tier in prices.traffic {
            traffic += (gb.min(tier.up_to_gb) - from).max(0.0) * tier.per_gb;
            from = tier.up_to_gb;
        }
        Self {
            machines: nodes * HOURS_PER_MONTH * prices.machine_hour,
            traffic,
            requests: millions * prices.million_requests,
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.machines + self.traffic + self.requests
    }
}
