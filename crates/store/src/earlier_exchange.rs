//! Attempts as earlier versions have recorded them: the JSON that the API of protocol B showed.

use std::collections::BTreeMap;

use bellwire_domain::ids::{DeliveryId, SubscriptionId};
use bellwire_domain::timestamp::iso_serde;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use time::OffsetDateTime;

use crate::StoreError;
use crate::attempt_record::AttemptRecord;
use crate::conditional::Item;

#[derive(Deserialize)]
struct Stored {
    /// The exchange as JSON.
    exchange: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    subscription_id: SubscriptionId,
    pipeline_id: String,
    event_type: String,
    #[serde(with = "iso_serde")]
    request_datetime: OffsetDateTime,
    /// `PT0.153501S`.
    request_duration: String,
    request_url: String,
    request_headers: BTreeMap<String, String>,
    #[serde(default)]
    request_retry_attempts: Option<usize>,
    #[serde(default)]
    request_retry_max_attempts: Option<usize>,
    #[serde(default)]
    response_code: Option<u16>,
    #[serde(default)]
    response_headers: BTreeMap<String, String>,
    #[serde(default)]
    response_body: Option<String>,
    /// `12B`.
    #[serde(default)]
    response_size: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    callback: Option<Callback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Callback {
    body: String,
    #[serde(default, with = "iso_serde::option")]
    next_attempt: Option<OffsetDateTime>,
}

/// The attempt in an item of an earlier version.
pub fn read(item: Item) -> Result<AttemptRecord, StoreError> {
    let stored: Stored = from_item(item)?;
    let exchange: Exchange = serde_json::from_str(&stored.exchange)?;
    let bytes = exchange.response_size.as_deref();
    let (request_body, next_attempt) = match exchange.callback {
        Some(callback) => (Some(callback.body), callback.next_attempt),
        None => (None, None),
    };
    Ok(AttemptRecord {
        subscription_id: exchange.subscription_id,
        delivery_id: DeliveryId::new(exchange.pipeline_id),
        event_id: None,
        event_type: exchange.event_type,
        version: None,
        sent_at: exchange.request_datetime,
        duration_ms: milliseconds(&exchange.request_duration),
        url: exchange.request_url,
        request_headers: exchange.request_headers,
        failures: exchange.request_retry_attempts.unwrap_or(0),
        retries: exchange.request_retry_max_attempts.unwrap_or(0),
        resend: false,
        status: exchange.response_code,
        response_headers: exchange.response_headers,
        response_body: exchange.response_body,
        response_bytes: bytes.and_then(|text| text.trim_end_matches('B').parse().ok()),
        error: exchange.error_message,
        request_body,
        next_attempt,
    })
}

/// `PT0.153501S` in milliseconds; 0 for anything else.
fn milliseconds(duration: &str) -> u32 {
    let seconds = duration.trim_start_matches("PT").trim_end_matches('S');
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: u32 = whole.parse().unwrap_or(0);
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    let thousandths: u32 = thousandths.parse().unwrap_or(0);
    whole.saturating_mul(1000).saturating_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_earlier_versions_are_read() {
        for (text, expected) in [
            ("PT0.153501S", 153),
            ("PT12.000999S", 12_000),
            ("PT3S", 3_000),
            ("", 0),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
