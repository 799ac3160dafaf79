//! Formats of points in time, all in UTC. Those that clients read always have six digits after the
//! second.

use serde::Serializer;
use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

const SPACED: StaticFormatDescription =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");
const ISO: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");
const SCHEDULE: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

#[allow(
    clippy::expect_used,
    reason = "formatting fails only for a format that asks for what the value lacks: these don't"
)]
fn write(at: OffsetDateTime, format: StaticFormatDescription) -> String {
    let text = at.to_offset(UtcOffset::UTC).format(format);
    text.expect("a date and a time have all that the formats ask for")
}

/// `2020-01-17 22:04:24.089113`, the form of protocol A's `time_completed`.
pub fn spaced(at: OffsetDateTime) -> String {
    write(at, SPACED)
}

/// `2020-01-17T22:04:24.089113Z`, the form of everything else. It sorts as text.
pub fn iso(at: OffsetDateTime) -> String {
    write(at, ISO)
}

/// `2020-01-17`: the day, in UTC. It sorts as text.
pub fn day(at: OffsetDateTime) -> String {
    write(at, DAY)
}

/// `2020-01-17T22:04:24`, the form of EventBridge Scheduler's `at(…)`, in UTC.
pub fn schedule_time(at: OffsetDateTime) -> String {
    write(at, SCHEDULE)
}

/// `PT0.153S`: milliseconds as a duration in ISO 8601, in seconds.
pub fn iso_duration(milliseconds: u32) -> String {
    format!("PT{}.{:03}S", milliseconds / 1000, milliseconds % 1000)
}

/// Milliseconds since 1970; negative for earlier times.
pub fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

/// Milliseconds since 1970; 0 for earlier times.
pub fn unix_millis(at: OffsetDateTime) -> u64 {
    u64::try_from(millis(at)).unwrap_or(0)
}

/// Reads a date and time with a zone, in RFC 3339; `None` for any other text.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // In UTC, the last hours of the year 9999 may be in a year that can't be written.
    at.checked_to_offset(UtcOffset::UTC)
}

/// For serde: writes [`spaced`].
pub fn serialize_spaced<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&spaced(*at))
}

/// For serde: writes [`iso`], reads RFC 3339.
pub mod iso_serde {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::OffsetDateTime;

    /// Writes [`super::iso`].
    pub fn serialize<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::iso(*at))
    }

    /// Reads a date and time in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).ok_or_else(|| {
            D::Error::custom("expected a date and time with a zone, such as 2020-01-17T22:04:24Z")
        })
    }

    /// The same for a field that may be missing; to be used with `#[serde(default)]`.
    pub mod option {
        use serde::{Deserializer, Serializer};
        use time::OffsetDateTime;

        /// Writes [`super::super::iso`], or null.
        pub fn serialize<S: Serializer>(
            at: &Option<OffsetDateTime>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, to),
                None => to.serialize_none(),
            }
        }

        /// Reads a date and time in RFC 3339.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<OffsetDateTime>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn six_digits_always_and_utc() {
        assert_eq!(
            spaced(datetime!(2019-10-06 11:30:10 +2)),
            "2019-10-06 09:30:10.000000"
        );
        assert_eq!(
            iso(datetime!(2020-01-17 22:04:24.089_113_999 UTC)),
            "2020-01-17T22:04:24.089113Z"
        );
    }

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(iso_duration(153), "PT0.153S");
        assert_eq!(iso_duration(75_000), "PT75.000S");
        assert_eq!(
            schedule_time(datetime!(2019-10-06 11:30:10.9 +2)),
            "2019-10-06T09:30:10"
        );
    }

    proptest! {
        #[test]
        fn iso_reads_back_and_sorts_as_text(a in 0i64..4_000_000_000_000_000, b in 0i64..4_000_000_000_000_000) {
            let at = |micros: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
            prop_assert_eq!(OffsetDateTime::parse(&iso(at(a)), &Rfc3339).unwrap(), at(a));
            prop_assert_eq!(a.cmp(&b), iso(at(a)).cmp(&iso(at(b))));
        }
    }
}
