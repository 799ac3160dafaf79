//! The stretches of time that plots are of.

use time::{Duration, OffsetDateTime};

/// The stretch of time that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
}

impl Period {
    /// The period that a parameter names.
    pub fn of(text: &str) -> Self {
        match text {
            "7d" => Self::Week,
            _ => Self::Day,
        }
    }

    /// Its name as a parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// Its length in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
        }
    }

    /// How many hours it has.
    pub fn hours(self) -> i64 {
        match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
        }
    }

    /// Its beginning, at the start of an hour, when it ends with the hour of `now`.
    pub fn start(self, now: OffsetDateTime) -> OffsetDateTime {
        hour_of(now) - Duration::hours(self.hours() - 1)
    }
}

fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds(i64::from(at.minute()) * 60_000_000_000)
        - Duration::seconds(i64::from(at.second()))
        - Duration::nanoseconds(i64::from(at.nanosecond()))
}
