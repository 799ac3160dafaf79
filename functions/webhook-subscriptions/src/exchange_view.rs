//! The view of an attempt: what its owner can read of it.

use std::collections::BTreeMap;

use bellwire_domain::ids::{DeliveryId, SubscriptionId};
use bellwire_domain::timestamp::{iso_duration, iso_serde};
use bellwire_store::attempt_record::AttemptRecord;
use serde::Serialize;
use time::OffsetDateTime;

/// An attempt in the words of protocol B.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeView<'a> {
    subscription_id: &'a SubscriptionId,
    pipeline_id: &'a DeliveryId,
    event_type: &'a str,
    #[serde(with = "iso_serde")]
    request_datetime: OffsetDateTime,
    /// `PT0.153S`.
    request_duration: String,
    request_url: &'a str,
    request_headers: &'a BTreeMap<String, String>,
    /// The number of the retry, from 1; missing for a first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_retry_attempts: Option<usize>,
    /// How many retries the schedule has; missing for a first attempt, and for one beside the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_retry_max_attempts: Option<usize>,
    /// Whether the owner asked for it; missing if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resend: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    response_headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<&'a str>,
    /// `12B`.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

impl<'a> ExchangeView<'a> {
    /// The view of an attempt.
    pub fn of(attempt: &'a AttemptRecord) -> Self {
        let retry = (attempt.failures > 0).then_some(attempt.failures);
        Self {
            subscription_id: &attempt.subscription_id,
            pipeline_id: &attempt.delivery_id,
            event_type: &attempt.event_type,
            request_datetime: attempt.sent_at,
            request_duration: iso_duration(attempt.duration_ms),
            request_url: &attempt.url,
            request_headers: &attempt.request_headers,
            request_retry_attempts: retry,
            request_retry_max_attempts: retry.filter(|_| !attempt.resend).map(|_| attempt.retries),
            resend: attempt.resend,
            response_code: attempt.status,
            response_headers: &attempt.response_headers,
            response_body: attempt.response_body.as_deref(),
            response_size: attempt.response_bytes.map(|bytes| format!("{bytes}B")),
            error_message: attempt.error.as_deref(),
        }
    }
}
