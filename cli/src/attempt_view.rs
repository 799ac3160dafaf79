//! An attempt as it is printed.

use std::collections::BTreeMap;

use bellwire_domain::timestamp::iso_serde;
use bellwire_store::attempt_record::AttemptRecord;
use serde::Serialize;
use time::OffsetDateTime;

/// What is printed of an attempt, of whatever protocol.
#[derive(Serialize)]
pub struct AttemptView<'a> {
    /// From 1.
    pub attempt: usize,
    #[serde(with = "iso_serde")]
    pub sent_at: OffsetDateTime,
    pub duration_ms: u32,
    pub url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resend: bool,
    #[serde(flatten)]
    pub details: Option<Details<'a>>,
}

/// What was sent, secrets redacted, and what came back, long headers and the body cut.
#[derive(Serialize)]
pub struct Details<'a> {
    pub request_headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<&'a str>,
    pub response_headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
}

impl<'a> AttemptView<'a> {
    /// An attempt without headers and bodies.
    pub fn brief(attempt: &'a AttemptRecord) -> Self {
        Self {
            attempt: attempt.failures + 1,
            sent_at: attempt.sent_at,
            duration_ms: attempt.duration_ms,
            url: &attempt.url,
            status: attempt.status,
            error: attempt.error.as_deref(),
            resend: attempt.resend,
            details: None,
        }
    }

    /// An attempt with headers and bodies.
    pub fn whole(attempt: &'a AttemptRecord) -> Self {
        Self {
            details: Some(Details {
                request_headers: &attempt.request_headers,
                request_body: attempt.request_body.as_deref(),
                response_headers: &attempt.response_headers,
                response_body: attempt.response_body.as_deref(),
                response_bytes: attempt.response_bytes,
            }),
            ..Self::brief(attempt)
        }
    }
}

/// What came of an attempt, in a few words: `200 in 153 ms`, `503 SERVICE_UNAVAILABLE in 20 ms`, or why there was no response.
pub fn outcome(attempt: &AttemptRecord) -> String {
    let came = match (&attempt.error, attempt.status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => status.to_string(),
        (None, None) => "no response".to_owned(),
    };
    format!("{came} in {} ms", attempt.duration_ms)
}
