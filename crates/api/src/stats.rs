//! Counts of attempts over a period of time, as lists of hours and in all: what is asked for, and what is answered.

use bellwire_domain::delivery::counts::{AttemptCounts, BOUNDS_MS};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_store::attempt_counts::{HourlyCounts, KEPT};
use lambda_http::{Request, RequestExt};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::Failure;

/// The period that is answered for when nothing is said of it: the last day.
const DEFAULT: Duration = Duration::hours(24);

/// The period of time that counts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its beginning; the whole hour counts.
    pub start: OffsetDateTime,
    /// Its end; the whole hour counts.
    pub end: OffsetDateTime,
}

impl Period {
    /// Reads the parameters `start` and `end`, in ISO 8601 with a zone: now if `end` is missing, a day before it if `start`
    /// is.
    ///
    /// # Errors
    /// 400 when one is no such time, `start` is after `end`, or the period is longer than counts are kept.
    pub fn of(request: &Request) -> Result<Self, Failure> {
        let parameters = request.query_string_parameters();
        let time = |name: &str| {
            let problem = "must be a date and time with a zone, such as 2021-01-10T10:13:32Z";
            let text = parameters.first(name);
            text.map(|text| timestamp::parse(text).ok_or_else(|| Failure::field(name, problem)))
                .transpose()
        };
        let end = time("end")?.unwrap_or_else(OffsetDateTime::now_utc);
        let start = time("start")?.unwrap_or(end.saturating_sub(DEFAULT));
        if start > end {
            return Err(Failure::field("start", "must not be after end"));
        }
        if end - start > KEPT {
            let problem = format!("must be at most {} days before end", KEPT.whole_days());
            return Err(Failure::field("start", problem));
        }
        Ok(Self { start, end })
    }
}

/// The answer: counts of each hour that has attempts, and of all.
#[derive(Debug, Serialize)]
pub struct Stats {
    #[serde(with = "iso_serde")]
    start: OffsetDateTime,
    #[serde(with = "iso_serde")]
    end: OffsetDateTime,
    #[serde(flatten)]
    total: CountsView,
    hours: Vec<HourView>,
}

/// Counts, as they are shown.
#[derive(Debug, Serialize)]
pub struct CountsView {
    delivered: u64,
    failed: u64,
    retried: u64,
    latency: LatencyView,
}

#[derive(Debug, Serialize)]
struct HourView {
    #[serde(with = "iso_serde")]
    hour: OffsetDateTime,
    #[serde(flatten)]
    counts: CountsView,
}

/// The latency of answered attempts, in milliseconds.
#[derive(Debug, Serialize)]
struct LatencyView {
    p50: Option<u32>,
    p99: Option<u32>,
    buckets: Vec<Bucket>,
}

#[derive(Debug, Serialize)]
struct Bucket {
    /// The longest latency that is counted here; `None` for the last one, which has no bound.
    ms: Option<u32>,
    count: u64,
}

impl Stats {
    /// The counts of these hours, which are of this period, in their order.
    pub fn new(period: Period, hours: &[HourlyCounts]) -> Self {
        let mut total = AttemptCounts::default();
        for hour in hours {
            total.add(&hour.counts);
        }
        let hours = hours.iter().map(|hour| HourView {
            hour: hour.hour,
            counts: CountsView::of(&hour.counts),
        });
        Self {
            start: period.start,
            end: period.end,
            total: CountsView::of(&total),
            hours: hours.collect(),
        }
    }
}

impl CountsView {
    /// The view of these.
    pub fn of(counts: &AttemptCounts) -> Self {
        let bounds = BOUNDS_MS.into_iter().map(Some).chain([None]);
        let buckets = bounds.zip(counts.latency);
        Self {
            delivered: counts.delivered,
            failed: counts.failed,
            retried: counts.retried,
            latency: LatencyView {
                p50: counts.latency_of(0.5),
                p99: counts.latency_of(0.99),
                buckets: buckets.map(|(ms, count)| Bucket { ms, count }).collect(),
            },
        }
    }
}
