//! How deliveries went in a stretch of time, as pages show it.

use bellwire_domain::timestamp;
use bellwire_web::period::Period;
use bellwire_web::plot::Plots;
use bellwire_web::{Call, figures};
use time::OffsetDateTime;

use crate::model::Stats;

/// The counts of a subscription, or of all that a client has.
pub struct Summary {
    /// The stretch of time.
    pub period: Period,
    /// How many attempts succeeded, in percent.
    pub rate: String,
    /// The median of their latency.
    pub median: String,
    /// The 99th percentile.
    pub slowest: String,
    /// The same by the hour.
    pub plots: Plots,
}

impl Summary {
    /// The summary of the counts that `call` of [`asked`] has returned.
    pub fn new(stats: &Stats, period: Period, now: OffsetDateTime) -> Self {
        Self {
            period,
            rate: figures::percent(stats.delivered, stats.delivered + stats.failed),
            median: figures::duration(stats.latency.p50.map(u64::from)),
            slowest: figures::duration(stats.latency.p99.map(u64::from)),
            plots: Plots::new(&stats.hours, period, now),
        }
    }
}

/// A call for counts, of the period that ends now.
pub fn asked(call: Call, period: Period, now: OffsetDateTime) -> Call {
    call.query("start", timestamp::iso(period.start(now)))
        .query("end", timestamp::iso(now))
}
