//! The line of the callback log that says what an attempt has sent, and what came back.

use bellwire_domain::delivery::outcome::status_message;
use bellwire_store::attempt_record::AttemptRecord;
use lambda_http::http::StatusCode;

/// `POST https://example.com/callback (entity_updated, attempt 2): 503 SERVICE_UNAVAILABLE after 0.153 s`; in the place
/// of the status, why there was no response. The URL's query is left out, which may have secrets of the owner.
pub fn of(attempt: &AttemptRecord) -> String {
    let url = attempt.url.split(['?', '#']).next().unwrap_or_default();
    let AttemptRecord {
        event_type,
        failures,
        duration_ms,
        ..
    } = attempt;
    let number = failures + 1;
    let (seconds, millis) = (duration_ms / 1000, duration_ms % 1000);
    let result = result(attempt);
    let line = format!(
        "POST {url} ({event_type}, attempt {number}): {result} after {seconds}.{millis:03} s"
    );
    line.replace(char::is_control, " ")
}

/// `200 OK`, `503 SERVICE_UNAVAILABLE`, or `no answer within 15 s`.
fn result(attempt: &AttemptRecord) -> String {
    let status = attempt
        .status
        .and_then(|status| StatusCode::from_u16(status).ok());
    match (status.map(status_message), &attempt.error) {
        (Some(status), Some(error)) if *error != status => format!("{status}, {error}"),
        (Some(status), _) => status,
        (None, Some(error)) => error.clone(),
        (None, None) => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwire_domain::ids::{DeliveryId, SubscriptionId};
    use time::OffsetDateTime;

    use super::*;

    fn attempt(status: Option<u16>, error: Option<&str>) -> AttemptRecord {
        AttemptRecord {
            subscription_id: SubscriptionId::new("s1"),
            delivery_id: DeliveryId::new("d1"),
            event_id: None,
            version: None,
            resend: false,
            event_type: "entity_updated".to_owned(),
            sent_at: OffsetDateTime::UNIX_EPOCH,
            duration_ms: 12_003,
            url: "https://example.com/callback?key=hunter2".to_owned(),
            request_headers: BTreeMap::from([("webhook-id".to_owned(), "d1".to_owned())]),
            failures: 1,
            retries: 7,
            status,
            response_headers: BTreeMap::new(),
            response_body: Some("hunter2".to_owned()),
            response_bytes: None,
            error: error.map(str::to_owned),
            request_body: None,
            next_attempt: None,
        }
    }

    #[test]
    fn it_says_what_was_sent_and_what_came_back() {
        for (status, error, result) in [
            (Some(200), None, "200 OK"),
            (Some(299), None, "299 UNKNOWN"),
            (
                Some(503),
                Some("503 SERVICE_UNAVAILABLE"),
                "503 SERVICE_UNAVAILABLE",
            ),
            (Some(200), Some("broken\r\noff"), "200 OK, broken  off"),
            (None, Some("no answer within 15 s"), "no answer within 15 s"),
            (None, None, "no answer"),
        ] {
            assert_eq!(
                of(&attempt(status, error)),
                format!(
                    "POST https://example.com/callback (entity_updated, attempt 2): {result} after 12.003 s"
                )
            );
        }
    }
}
