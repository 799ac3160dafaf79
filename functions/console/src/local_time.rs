//! Times that are written into forms: in UTC, or in the zone of the browser, which the script says.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// As the control `datetime-local` has it. <https://html.spec.whatwg.org/#local-date-and-time-state-(type=datetime-local)>
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute][optional [:[second]]]");
const SHOWN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]");

/// A time as a control shows it, with the zone that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The text of the control.
    pub text: String,
    /// How many minutes the zone is behind UTC.
    pub zone: String,
}

impl LocalTime {
    /// The time in a control; `None` if it is empty, or no time. `zone` is how many minutes it is behind UTC.
    pub fn parse(text: &str, zone: &str) -> Option<OffsetDateTime> {
        let local = PrimitiveDateTime::parse(text, FORMAT).ok()?;
        local.assume_utc().checked_add(behind(zone))
    }

    /// What was written into a control, or `otherwise`, in the same zone.
    pub fn written(text: &str, zone: &str, otherwise: OffsetDateTime) -> Self {
        if Self::parse(text, zone).is_some() {
            return Self {
                text: text.to_owned(),
                zone: zone.to_owned(),
            };
        }
        Self {
            text: (otherwise - behind(zone)).format(SHOWN).unwrap_or_default(),
            zone: behind(zone).whole_minutes().to_string(),
        }
    }
}

/// How far a zone is behind UTC; none is further away than a day.
fn behind(zone: &str) -> Duration {
    Duration::minutes(zone.parse().unwrap_or(0_i64).clamp(-1440, 1440))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_in_the_zone_that_the_browser_says() {
        let at = |text, zone| LocalTime::parse(text, zone);
        assert_eq!(
            at("2026-11-29T12:00", "0"),
            Some(datetime!(2026-11-29 12:00 UTC))
        );
        assert_eq!(
            at("2026-11-29T12:00:30", "-60"),
            Some(datetime!(2026-11-29 11:00:30 UTC))
        );
        assert_eq!(
            at("2026-11-29T12:00", "x"),
            Some(datetime!(2026-11-29 12:00 UTC))
        );
        for bad in [
            "",
            "2026-11-29",
            "29.11.2026",
            "2026-13-01T00:00",
            "9999-12-31T23:59:60",
        ] {
            assert_eq!(at(bad, "99999999"), None, "{bad}");
        }
        let written = |zone| LocalTime::written("", zone, datetime!(2026-11-29 12:00:09 UTC));
        assert_eq!(written("").text, "2026-11-29T12:00");
        assert_eq!(
            (written("-60").text.as_str(), written("-60").zone.as_str()),
            ("2026-11-29T13:00", "-60")
        );
    }
}
