//! When a failed delivery is retried.

use std::str::FromStr;
use std::time::Duration;

/// How far a pause may deviate from the schedule, either way, as a part of it, so that endpoints
/// that failed together are not retried together.
const JITTER: f64 = 0.2;

/// How long the data of a delivery has to be kept for it, in days: for the pauses of the default
/// schedule, or the day that an endpoint may ask for instead of each ([`crate::delivery::retry_after`]), and
/// then for the two weeks that a dead letter is kept.
pub const ON_ITS_WAY_DAYS: u16 = 30;

/// The pauses before retries: the first before the first retry, and so on.
/// Written as `0s 5s 30s 2m 15m 1h 6h 24h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

/// The text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration such as 30s, 15m or 1h")]
pub struct BadSchedule(String);

impl RetrySchedule {
    /// How many retries there are after the first attempt.
    pub fn retries(&self) -> usize {
        self.0.len()
    }

    /// How long to wait before retry `number`, counted from 1; `None` when there is no such retry.
    /// `random` is a number from 0 to 1, by which the pause deviates from the schedule.
    pub fn pause(&self, number: usize, random: f64) -> Option<Duration> {
        let pause = self.0.get(number.checked_sub(1)?)?;
        Some(pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0)))
    }
}

impl FromStr for RetrySchedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        text.split_whitespace()
            .map(|pause| {
                humantime::parse_duration(pause).map_err(|_| BadSchedule(pause.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A random number from 0 to 1; 0.5 when the operating system provides none.
pub fn random() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pauses_are_those_of_the_schedule() {
        let schedule: RetrySchedule = "0s 5s 2m 1h".parse().unwrap();
        assert_eq!(schedule.retries(), 4);
        let pauses: Vec<_> = (0..=5).map(|n| schedule.pause(n, 0.5)).collect();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(
            pauses,
            [
                None,
                seconds(0),
                seconds(5),
                seconds(120),
                seconds(3600),
                None
            ]
        );
    }

    #[test]
    fn a_schedule_may_be_empty_and_must_be_written_well() {
        assert_eq!("".parse::<RetrySchedule>().unwrap().retries(), 0);
        for text in ["5", "5s 10", "-5s", "five", "5s,10s"] {
            assert!(text.parse::<RetrySchedule>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_belongs_to_a_delivery_outlasts_its_schedule_and_its_dead_letter() {
        let schedule: RetrySchedule = "0s 5s 30s 2m 15m 1h 6h 24h".parse().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let pauses = (1..=schedule.retries()).filter_map(|n| schedule.pause(n, 1.0));
        let longest: Duration = pauses.map(|pause| pause.max(day)).sum();
        assert!(longest + day * 14 < day * u32::from(ON_ITS_WAY_DAYS));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(random in 0.0f64..=1.0) {
            let schedule: RetrySchedule = "100s".parse().unwrap();
            let pause = schedule.pause(1, random).unwrap().as_secs_f64();
            prop_assert!((80.0..=120.0).contains(&pause));
        }
    }
}
