//! The header `Retry-After` (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest pause that an endpoint can ask for; a longer one counts as this.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait, from `now` on; zero for a date in the past. `None` when the value is neither a
/// number of seconds nor a date.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let pause = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // A number that is too long to parse is more than the longest pause.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    Some(pause.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:59 GMT").unwrap();
        let seconds = |value| retry_after(value, now).map(|pause| pause.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sat, 01 Jan 2000 00:00:59 GMT"), Some(60));
        assert_eq!(seconds("Fri, 31 Dec 1999 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(86_400));
        for value in ["", "-1", "soon", "1.5", "Fri, 99 Dec 1999"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
