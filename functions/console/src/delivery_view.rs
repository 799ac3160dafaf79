//! A delivery and its attempts, as pages show them, whichever protocol they are of.

use std::collections::BTreeMap;

use bellwire_domain::timestamp::iso_serde;
use bellwire_web::api::Api;
use bellwire_web::laid_out::laid_out;
use bellwire_web::{Visit, When, figures};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::model::of_millis;

/// A delivery.
#[derive(Debug)]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// What was sent.
    pub event_type: String,
    /// `delivered`, `retrying`, `failed` or `superseded`.
    pub state: String,
    /// The version, of a document.
    pub version: Option<u64>,
    /// When the event was accepted.
    pub accepted: Option<When>,
    /// When it is tried again.
    pub next: Option<When>,
    /// Newest first.
    pub attempts: Vec<AttemptView>,
    /// Whether there may be more attempts.
    pub truncated: bool,
}

/// An attempt.
#[derive(Debug)]
pub struct AttemptView {
    /// Its number, from 1.
    pub number: usize,
    /// Whether its owner asked for it.
    pub resend: bool,
    /// When it was made.
    pub at: When,
    /// How long it took.
    pub duration: String,
    /// Where it went.
    pub url: String,
    /// The headers of the request.
    pub request_headers: BTreeMap<String, String>,
    /// The body of the request, where it is on record.
    pub request_body: String,
    /// The status of the response.
    pub status: Option<u16>,
    /// The headers of the response.
    pub response_headers: BTreeMap<String, String>,
    /// The beginning of the body of the response.
    pub response_body: String,
    /// How long that body was.
    pub response_size: String,
    /// What went wrong.
    pub error: String,
}

impl DeliveryView {
    /// The class of the state's colour.
    pub fn class(&self) -> &'static str {
        match self.state.as_str() {
            "delivered" => "good",
            "failed" => "bad",
            "retrying" => "warn",
            _ => "",
        }
    }

    /// Its latest attempt.
    pub fn latest(&self) -> Option<&AttemptView> {
        self.attempts.first()
    }

    /// What comes next, in words.
    pub fn outlook(&self) -> &'static str {
        match self.state.as_str() {
            "delivered" => "It has arrived.",
            "retrying" => "It is tried again.",
            "superseded" => "A later version of the document has arrived.",
            _ => "It is not tried again by itself.",
        }
    }
}

impl AttemptView {
    /// Whether the endpoint acknowledged it.
    pub fn is_good(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// What came back, in short.
    pub fn result(&self) -> String {
        match self.status {
            Some(status) => status.to_string(),
            None if self.error.is_empty() => "no response".to_owned(),
            None => self.error.clone(),
        }
    }
}

/// A delivery of protocol B.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    id: String,
    event_type: String,
    state: String,
    version: Option<u64>,
    #[serde(default, with = "iso_serde::option")]
    accepted_timestamp: Option<OffsetDateTime>,
    #[serde(default, with = "iso_serde::option")]
    next_attempt_timestamp: Option<OffsetDateTime>,
    attempts: Vec<Exchange>,
    #[serde(default)]
    attempts_truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    attempt: usize,
    #[serde(default)]
    resend: bool,
    #[serde(with = "iso_serde")]
    request_datetime: OffsetDateTime,
    request_duration: String,
    request_url: String,
    request_headers: BTreeMap<String, String>,
    response_code: Option<u16>,
    #[serde(default)]
    response_headers: BTreeMap<String, String>,
    response_body: Option<String>,
    response_size: Option<String>,
    error_message: Option<String>,
}

impl WebhookDelivery {
    /// The delivery as it is shown.
    pub fn view<A: Api>(self, visit: &Visit<'_, A>) -> DeliveryView {
        let attempts = self.attempts.into_iter().map(|it| AttemptView {
            number: it.attempt,
            resend: it.resend,
            at: visit.when(it.request_datetime),
            duration: figures::duration(milliseconds(&it.request_duration)),
            url: it.request_url,
            request_headers: it.request_headers,
            request_body: String::new(),
            status: it.response_code,
            response_headers: it.response_headers,
            response_body: it
                .response_body
                .as_deref()
                .map(|body| laid_out(body).text)
                .unwrap_or_default(),
            response_size: it.response_size.as_deref().map(size).unwrap_or_default(),
            error: it.error_message.unwrap_or_default(),
        });
        DeliveryView {
            attempts: attempts.collect(),
            id: self.id,
            event_type: self.event_type,
            state: self.state,
            version: self.version,
            accepted: self.accepted_timestamp.map(|at| visit.when(at)),
            next: self.next_attempt_timestamp.map(|at| visit.when(at)),
            truncated: self.attempts_truncated,
        }
    }
}

/// A delivery of protocol C. Dates are in milliseconds since 1970.
#[derive(Debug, Deserialize)]
pub struct EntityDelivery {
    delivery_key: String,
    callback_event: String,
    state: String,
    date_accepted: Option<i64>,
    next_attempt: Option<i64>,
    attempts: Vec<Callback>,
    #[serde(default)]
    attempts_truncated: bool,
}

#[derive(Debug, Deserialize)]
struct Callback {
    date: i64,
    attempt: usize,
    #[serde(default)]
    resend: bool,
    duration: String,
    request: Sent,
    response: Option<Received>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Sent {
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Debug, Deserialize)]
struct Received {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

impl EntityDelivery {
    /// The delivery as it is shown.
    pub fn view<A: Api>(self, visit: &Visit<'_, A>) -> DeliveryView {
        let when = |at| of_millis(at).map(|at| visit.when(at));
        let attempts = self.attempts.into_iter().map(|it| {
            let (status, headers, body) = match it.response {
                Some(response) => (Some(response.status_code), response.headers, response.body),
                None => (None, BTreeMap::new(), None),
            };
            AttemptView {
                number: it.attempt,
                resend: it.resend,
                at: when(it.date).unwrap_or_else(|| visit.when(visit.now)),
                duration: figures::duration(milliseconds(&it.duration)),
                url: it.request.url,
                request_headers: it.request.headers,
                request_body: laid_out(&it.request.body).text,
                status,
                response_headers: headers,
                response_size: body
                    .as_ref()
                    .map(|body| figures::bytes(body.len() as u64))
                    .unwrap_or_default(),
                response_body: body
                    .as_deref()
                    .map(|body| laid_out(body).text)
                    .unwrap_or_default(),
                error: it.error.unwrap_or_default(),
            }
        });
        DeliveryView {
            attempts: attempts.collect(),
            id: self.delivery_key,
            event_type: self.callback_event,
            state: self.state,
            version: None,
            accepted: self.date_accepted.and_then(when),
            next: self.next_attempt.and_then(when),
            truncated: self.attempts_truncated,
        }
    }
}

/// The milliseconds of a duration such as `PT0.153S`; `None` for other texts.
fn milliseconds(duration: &str) -> Option<u64> {
    let seconds = duration.strip_prefix("PT")?.strip_suffix('S')?;
    let seconds: f64 = seconds.parse().ok()?;
    Some((seconds * 1000.0).round() as u64)
}

/// A size such as `12B`, as it is read.
fn size(text: &str) -> String {
    let bytes = text.strip_suffix('B').and_then(|it| it.parse().ok());
    bytes.map_or_else(|| text.to_owned(), figures::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read() {
        assert_eq!(milliseconds("PT0.153S"), Some(153));
        assert_eq!(milliseconds("PT12S"), Some(12_000));
        assert_eq!(milliseconds("1 s"), None);
        assert_eq!(
            (size("12B"), size("x")),
            ("12 B".to_owned(), "x".to_owned())
        );
    }
}
