//! The outcome of an attempt: what an endpoint's answer means for the delivery.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::delivery::retry_after::retry_after;

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The endpoint has acknowledged the delivery: a 2xx.
    Delivered,
    /// The endpoint wants no more deliveries: a 410.
    Gone,
    /// The attempt failed, and is to be retried.
    Failed {
        /// How long the endpoint asked to wait, with `Retry-After` in a 429 or 503; `None`
        /// otherwise.
        leave_alone: Option<Duration>,
    },
}

/// The outcome of an attempt that was answered. Redirects are not followed: when a URL has moved,
/// its owner has to register the new one.
pub fn outcome(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> AttemptOutcome {
    if status.is_success() {
        return AttemptOutcome::Delivered;
    }
    if status == StatusCode::GONE {
        return AttemptOutcome::Gone;
    }
    let asks = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let leave_alone = headers
        .get(header::RETRY_AFTER)
        .filter(|_| asks)
        .and_then(|value| retry_after(value.to_str().ok()?, now));
    AttemptOutcome::Failed { leave_alone }
}

/// A status that is not a success, as protocol B writes it: `404 NOT_FOUND`.
pub fn status_message(status: StatusCode) -> String {
    let name = status
        .canonical_reason()
        .unwrap_or("UNKNOWN")
        .to_uppercase()
        .replace([' ', '-'], "_")
        .replace('\'', "");
    format!("{} {name}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> AttemptOutcome {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        outcome(status, &headers, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn answers_mean_what_the_protocol_says() {
        let again = |seconds: Option<u64>| AttemptOutcome::Failed {
            leave_alone: seconds.map(Duration::from_secs),
        };
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(of(status, None), AttemptOutcome::Delivered);
        }
        assert_eq!(of(410, None), AttemptOutcome::Gone);
        for status in [301, 302, 308, 400, 401, 404, 408, 429, 500, 503, 599] {
            assert_eq!(of(status, None), again(None));
        }
        assert_eq!(of(429, Some("7")), again(Some(7)));
        assert_eq!(of(503, Some("9")), again(Some(9)));
        assert_eq!(of(503, Some("soon")), again(None));
        assert_eq!(of(500, Some("9")), again(None));
    }

    #[test]
    fn a_status_has_a_name() {
        let message = |code| status_message(StatusCode::from_u16(code).unwrap());
        assert_eq!(message(404), "404 NOT_FOUND");
        assert_eq!(message(418), "418 IM_A_TEAPOT");
        assert_eq!(message(599), "599 UNKNOWN");
    }
}
