//! Times as people read them: how long ago, and when exactly.

use std::fmt;

use askama::filters::HtmlSafe;
use bellwire_domain::timestamp;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

/// A time, as it is shown at some moment. It is written as the element `time`, whose text is relative and whose title is
/// absolute: in UTC, which the script turns into the reader's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    at: OffsetDateTime,
    now: OffsetDateTime,
}

impl When {
    /// The time `at`, as it is shown at `now`.
    pub fn new(at: OffsetDateTime, now: OffsetDateTime) -> Self {
        Self { at, now }
    }

    /// The time in ISO 8601.
    pub fn iso(&self) -> String {
        timestamp::iso(self.at)
    }

    /// The time in full: `29 Nov 2026, 12:00:03 UTC`.
    pub fn absolute(&self) -> String {
        let format = format_description!(
            "[day padding:none] [month repr:short] [year], [hour]:[minute]:[second] UTC"
        );
        self.at.format(format).unwrap_or_default()
    }

    /// The time in full, as an element whose text the script turns into the reader's zone.
    pub fn full(&self) -> Full {
        Full(self.clone())
    }

    /// The hour alone, of what is known by the hour.
    pub fn hour(&self) -> Hour {
        Hour(self.clone())
    }

    /// How long ago it was, or until it is.
    pub fn relative(&self) -> String {
        let past = self.now - self.at;
        let length = past.abs();
        let (number, unit) = if length < Duration::SECOND {
            return "now".to_owned();
        } else if length < Duration::MINUTE {
            (length.whole_seconds(), "s")
        } else if length < Duration::HOUR {
            (length.whole_minutes(), "min")
        } else if length < Duration::DAY * 2 {
            (length.whole_hours(), "h")
        } else {
            (length.whole_days(), "days")
        };
        if past.is_positive() {
            format!("{number} {unit} ago")
        } else {
            format!("in {number} {unit}")
        }
    }
}

/// A time in full, as the element `time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full(When);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(when) = self;
        let (iso, absolute) = (when.iso(), when.absolute());
        write!(
            f,
            "<time class=\"absolute\" datetime=\"{iso}\">{absolute}</time>"
        )
    }
}

impl HtmlSafe for Full {}

/// The hour of a time, as the element `time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hour(When);

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(when) = self;
        let format = format_description!("[day padding:none] [month repr:short], [hour]:00 UTC");
        let text = when.at.format(format).unwrap_or_default();
        write!(
            f,
            "<time class=\"hour\" datetime=\"{}\">{text}</time>",
            when.iso()
        )
    }
}

impl HtmlSafe for Hour {}

/// The element `time`. Nothing in it comes from outside.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<time datetime=\"{}\" title=\"{}\">{}</time>",
            self.iso(),
            self.absolute(),
            self.relative()
        )
    }
}

impl HtmlSafe for When {}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_shown_by_what_lies_between() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let shown = |at| When::new(at, now).relative();
        assert_eq!(shown(now), "now");
        assert_eq!(shown(now - Duration::seconds(59)), "59 s ago");
        assert_eq!(shown(now - Duration::minutes(61)), "1 h ago");
        assert_eq!(shown(now - Duration::days(3)), "3 days ago");
        assert_eq!(shown(now + Duration::minutes(5)), "in 5 min");
        assert_eq!(
            When::new(now, now).to_string(),
            "<time datetime=\"2026-11-29T12:00:00.000000Z\" title=\"29 Nov 2026, 12:00:00 UTC\">now</time>"
        );
    }
}
