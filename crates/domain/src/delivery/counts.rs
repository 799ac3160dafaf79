//! Counts of attempts, and what they say of latency.

/// The upper bounds of the buckets of latency, in milliseconds; behind them is another one, without a bound.
pub const BOUNDS_MS: [u32; 10] = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
/// How many buckets there are.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// An attempt, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedAttempt {
    /// Whether the endpoint has acknowledged the delivery.
    pub delivered: bool,
    /// Whether attempts had failed before.
    pub retried: bool,
    /// How long request and response took, in milliseconds; `None` if there was no response.
    pub latency_ms: Option<u32>,
}

/// How many attempts there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Those that the endpoint has acknowledged.
    pub delivered: u64,
    /// The others.
    pub failed: u64,
    /// Those that were not the first of their delivery.
    pub retried: u64,
    /// Those that were answered, by latency: up to each of [`BOUNDS_MS`], and longer.
    pub latency: [u64; BUCKETS],
}

impl AttemptCounts {
    /// Counts an attempt.
    pub fn count(&mut self, attempt: CountedAttempt) {
        if attempt.delivered {
            self.delivered += 1;
        } else {
            self.failed += 1;
        }
        if attempt.retried {
            self.retried += 1;
        }
        if let Some(bucket) = attempt.latency_ms.map(bucket_of)
            && let Some(count) = self.latency.get_mut(bucket)
        {
            *count += 1;
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        self.delivered += others.delivered;
        self.failed += others.failed;
        self.retried += others.retried;
        for (count, more) in self.latency.iter_mut().zip(others.latency) {
            *count += more;
        }
    }

    /// The latency that this part of the answered attempts doesn't exceed, in milliseconds, estimated as if those of a
    /// bucket were spread evenly over it; `None` if none was answered. `part` is a number from 0 to 1. Of those beyond the
    /// last bound nothing more is known than that bound.
    pub fn latency_of(&self, part: f64) -> Option<u32> {
        let answered: u64 = self.latency.iter().sum();
        if answered == 0 {
            return None;
        }
        let wanted = part.clamp(0.0, 1.0) * to_f64(answered);
        let (mut below, mut lower) = (0.0, 0);
        for (upper, count) in BOUNDS_MS.into_iter().zip(self.latency) {
            let count = to_f64(count);
            if count > 0.0 && below + count >= wanted {
                let share = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(lower + (f64::from(upper - lower) * share).round() as u32);
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

/// The number of the bucket of a latency.
fn bucket_of(latency_ms: u32) -> usize {
    BOUNDS_MS.partition_point(|bound| *bound < latency_ms)
}

/// Counts stay far below the numbers that a float can't tell apart.
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(latencies: &[u32]) -> AttemptCounts {
        let mut counts = AttemptCounts::default();
        for latency_ms in latencies {
            counts.count(CountedAttempt {
                delivered: true,
                retried: false,
                latency_ms: Some(*latency_ms),
            });
        }
        counts
    }

    #[test]
    fn a_bucket_has_its_bound() {
        let buckets = [
            (0, 0),
            (10, 0),
            (11, 1),
            (25, 1),
            (10_000, 9),
            (10_001, 10),
            (u32::MAX, 10),
        ];
        for (latency, bucket) in buckets {
            assert_eq!(bucket_of(latency), bucket, "{latency}");
        }
    }

    #[test]
    fn attempts_are_counted_by_what_they_came_to() {
        let mut counts = AttemptCounts::default();
        for (delivered, retried, latency_ms) in [
            (true, false, Some(3)),
            (false, false, Some(20)),
            (false, true, None),
            (true, true, Some(20_000)),
        ] {
            counts.count(CountedAttempt {
                delivered,
                retried,
                latency_ms,
            });
        }
        assert_eq!((counts.delivered, counts.failed, counts.retried), (2, 2, 2));
        assert_eq!(counts.latency, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let mut twice = counts;
        twice.add(&counts);
        assert_eq!((twice.delivered, twice.failed, twice.retried), (4, 4, 4));
        assert_eq!(twice.latency.iter().sum::<u64>(), 6);
    }

    #[test]
    fn a_percentile_is_within_its_bucket() {
        assert_eq!(AttemptCounts::default().latency_of(0.5), None);
        assert_eq!(of(&[30; 100]).latency_of(0.5), Some(38));
        assert_eq!(of(&[5, 5, 5, 700]).latency_of(0.99), Some(980));
        assert_eq!(of(&[60_000]).latency_of(0.5), Some(10_000));
    }

    proptest! {
        #[test]
        fn a_percentile_is_no_further_off_than_its_bucket_is_wide(
            mut latencies in prop::collection::vec(0u32..10_000, 1..200),
            part in 0.01f64..1.0,
        ) {
            let estimated = of(&latencies).latency_of(part).unwrap();
            latencies.sort_unstable();
            let index = ((part * latencies.len() as f64).ceil() as usize).clamp(1, latencies.len()) - 1;
            let bucket = bucket_of(latencies[index]);
            let lower = if bucket == 0 { 0 } else { BOUNDS_MS[bucket - 1] };
            prop_assert!((lower..=BOUNDS_MS[bucket]).contains(&estimated));
        }
    }
}
