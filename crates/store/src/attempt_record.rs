//! What is on record of an attempt: as it is written, in as little space as can be, and as it is read.
//!
//! What follows from elsewhere is not written: the time and the ids are in the key, and most headers of the request
//! follow from the rest. With a usual answer (a dozen headers, 200 bytes of body) an item takes one write unit, 1 KB.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use bellwire_domain::delivery::key::event_of;
use bellwire_domain::delivery::outcome::status_message;
use bellwire_domain::delivery::own_headers::{OwnHeaders, StreamsHeaders};
use bellwire_domain::ids::{DeliveryId, EventId, SubscriptionId, version_id};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{StoreError, Subscription};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// How many bytes an item has beside its content, at most: its keys, the names of its attributes, and what else there
/// is. DynamoDB counts a write unit for each KB begun.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const BESIDE: usize = 240;
/// From this length on a content is compressed: below, the item fits into one write unit as it is.
const LONG: usize = 1024 - BESIDE;
/// The first byte of a compressed content; that of another is `{`.
const COMPRESSED: u8 = 1;
/// The longest content that is read, in bytes.
const MAX_CONTENT: u64 = 4 * 1024 * 1024;

/// What is written of an attempt. The names are short, since each item has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// `snapshot`, `patch`, `event` or `error`; to an entity's subscription, the callback event.
    #[serde(rename = "t")]
    pub event_type: String,
    /// How long request and response took, in milliseconds.
    #[serde(rename = "d")]
    pub duration_ms: u32,
    /// The URL.
    #[serde(rename = "u")]
    pub url: String,
    /// The signature of the request.
    #[serde(rename = "g")]
    pub signature: String,
    /// The names of the headers that the owner added.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub header_names: Vec<String>,
    /// Whether the request had an access token.
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    pub authorized: bool,
    /// The name under which the endpoint allows deliveries.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The event, where it doesn't follow from the delivery's id: in messages of earlier versions.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The version of a document.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The version that a patch changes.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<u64>,
    /// How many attempts had failed before.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub failures: usize,
    /// How many retries the schedule has; 0 in a first attempt, which doesn't show it.
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    pub retries: usize,
    /// The status of the response; missing if there was none.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The headers of the response, long ones cut.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<(String, String)>,
    /// The beginning of the response's body; missing if that is empty.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// The length of the response's body, in bytes; missing if it isn't known.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// Why there was no response.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The body of the request, where the protocol shows it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<String>,
    /// When the delivery is retried, in milliseconds since 1970, where the protocol shows it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<i64>,
    /// Whether the owner asked for it, beside the schedule of retries.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub resend: bool,
    /// How long after the acceptance the request was sent, in microseconds, where the key doesn't say it.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub sent_after_us: Option<u64>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Content {
    /// The bytes of the content in an item.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_vec(self)?;
        if json.len() <= LONG {
            return Ok(json);
        }
        let mut deflate = DeflateEncoder::new(vec![COMPRESSED], Compression::default());
        deflate.write_all(&json).map_err(damaged)?;
        deflate.finish().map_err(damaged)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let Some((&COMPRESSED, deflated)) = bytes.split_first() else {
            return Ok(serde_json::from_slice(bytes)?);
        };
        let mut json = Vec::new();
        let mut inflate = DeflateDecoder::new(deflated).take(MAX_CONTENT);
        inflate.read_to_end(&mut json).map_err(damaged)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

fn damaged(error: std::io::Error) -> StoreError {
    StoreError::Json(serde_json::Error::io(error))
}

/// An attempt as it is read: the request to the endpoint, and its response.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// The id of the subscription.
    pub subscription_id: SubscriptionId,
    /// The id of the delivery, the same for all of its attempts.
    pub delivery_id: DeliveryId,
    /// The id of the event, or of the document's version; `None` where it isn't known.
    pub event_id: Option<EventId>,
    /// What was sent: `snapshot`, `patch`, `event` or `error`; to an entity's subscription, the callback event.
    pub event_type: String,
    /// The version of a document.
    pub version: Option<u64>,
    /// When the request was sent.
    pub sent_at: OffsetDateTime,
    /// How long request and response took, in milliseconds.
    pub duration_ms: u32,
    /// The URL that the request was sent to.
    pub url: String,
    /// The headers of the request, secrets redacted.
    pub request_headers: BTreeMap<String, String>,
    /// How many attempts had failed before; of a resend, how many attempts there were.
    pub failures: usize,
    /// How many retries the schedule had; 0 in a first attempt.
    pub retries: usize,
    /// Whether the owner asked for it, beside the schedule of retries.
    pub resend: bool,
    /// The status of the response; `None` if there was none.
    pub status: Option<u16>,
    /// The headers of the response, long ones cut.
    pub response_headers: BTreeMap<String, String>,
    /// The beginning of the response's body; `None` if that is empty, or there was no response.
    pub response_body: Option<String>,
    /// The length of the response's body, in bytes; `None` if it isn't known.
    pub response_bytes: Option<u64>,
    /// Why the attempt failed; `None` if it succeeded.
    pub error: Option<String>,
    /// The body of the request, where the protocol shows it.
    pub request_body: Option<String>,
    /// When the delivery is retried, where the protocol shows it.
    pub next_attempt: Option<OffsetDateTime>,
}

impl AttemptRecord {
    /// The record with this content. `subscription` is the one that the attempt was for.
    pub(crate) fn of(
        subscription: &Subscription,
        delivery_id: DeliveryId,
        sent_at: OffsetDateTime,
        content: Content,
    ) -> Self {
        let event_id = event_id(subscription, &delivery_id, &content);
        let request_headers = request_headers(
            subscription,
            &delivery_id,
            event_id.as_ref(),
            sent_at,
            &content,
        );
        let next_attempt = content.next_attempt.and_then(|millis| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
        });
        let refused = content.status.filter(|status| !(200..300).contains(status));
        let refused = refused.and_then(|status| StatusCode::from_u16(status).ok());
        Self {
            subscription_id: subscription.subscription_id.clone(),
            delivery_id,
            event_id,
            event_type: content.event_type,
            version: content.version,
            sent_at,
            duration_ms: content.duration_ms,
            url: content.url,
            request_headers,
            failures: content.failures,
            retries: content.retries,
            resend: content.resend,
            status: content.status,
            response_headers: content.response_headers.into_iter().collect(),
            response_body: content.response_body,
            response_bytes: content.response_bytes,
            error: content.error.or_else(|| refused.map(status_message)),
            request_body: content.request_body,
            next_attempt,
        }
    }

    /// Whether the endpoint has acknowledged the delivery.
    pub fn has_arrived(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// Its position in lists: the time of the request, `#`, and the id of the delivery.
    pub(crate) fn position(&self) -> String {
        let at = bellwire_domain::timestamp::iso(self.sent_at);
        format!("{at}#{}", self.delivery_id)
    }
}

/// The id of the event, or of the document's version, of an attempt; `None` where it isn't known.
fn event_id(
    subscription: &Subscription,
    delivery_id: &DeliveryId,
    content: &Content,
) -> Option<EventId> {
    let topic_id = subscription.topic().map(|(id, _)| id);
    let of_version = topic_id
        .zip(content.version)
        .map(|(topic_id, version)| version_id(topic_id, version));
    content
        .event_id
        .clone()
        .or(of_version)
        .or_else(|| event_of(delivery_id))
}

/// The headers of the request, as they are shown: ours, and the owner's with their values redacted.
fn request_headers(
    subscription: &Subscription,
    delivery_id: &DeliveryId,
    event_id: Option<&EventId>,
    sent_at: OffsetDateTime,
    content: &Content,
) -> BTreeMap<String, String> {
    let topic_id = subscription.topic().map(|(id, _)| id);
    let unknown = EventId::new("");
    let own = OwnHeaders {
        delivery_id,
        sent_at,
        failures: content.failures,
        signature: &content.signature,
        origin: content.origin.as_deref(),
        streams: topic_id.map(|topic_id| StreamsHeaders {
            subscription_id: &subscription.subscription_id,
            topic_id,
            event_id: event_id.unwrap_or(&unknown),
            event_type: &content.event_type,
            version: content.version,
            base_version: content.base_version,
        }),
    };
    let own = own.all().into_iter();
    let mut shown: BTreeMap<String, String> =
        own.map(|(name, value)| (name.to_owned(), value)).collect();
    let names = content.header_names.iter().cloned();
    shown.extend(names.map(|name| (name, REDACTED.to_owned())));
    if content.authorized {
        shown.insert("authorization".to_owned(), REDACTED.to_owned());
    }
    shown
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn usual() -> Content {
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("content-length", "200"),
            ("date", "Tue, 24 Nov 2026 18:10:33 GMT"),
            ("server", "nginx/1.27.2"),
            ("connection", "keep-alive"),
            ("x-request-id", "0b57c0ff-29c4-4e06-8c61-1b3a5de2c4a7"),
            ("cache-control", "no-store, no-cache, must-revalidate"),
            (
                "strict-transport-security",
                "max-age=63072000; includeSubDomains",
            ),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("vary", "Accept-Encoding, Origin"),
            ("etag", "W/\"c8-9dKy6qYzCw2cvC0mHnVbWw0zkJk\""),
        ];
        Content {
            event_type: "event".to_owned(),
            duration_ms: 153,
            url: "https://hooks.customer.example.com/integrations/bellwire/orders".to_owned(),
            signature: "v1,VGhpcyBpcyBhIHNpZ25hdHVyZSBvZiAzMiBieXRlcyE=".to_owned(),
            header_names: vec!["x-api-key".to_owned()],
            status: Some(200),
            response_headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            response_body: Some(format!(
                r#"{{"status":"accepted","id":"4f1c2b7e-5a53-4f8c-9a0c-7b1f6f0f8f7d","queue":"orders","position":1204,"message":"{}"}}"#,
                "the order was received and will be processed within the next few minutes, thank you"
            )),
            response_bytes: Some(200),
            sent_after_us: Some(41_234),
            ..Content::default()
        }
    }

    #[test]
    fn with_a_usual_answer_an_item_takes_one_write_unit() {
        let bytes = usual().to_bytes().unwrap();
        assert!(bytes.len() <= LONG, "{} bytes", bytes.len());
        assert_eq!(Content::of_bytes(&bytes).unwrap(), usual());
    }

    #[test]
    fn what_is_short_is_json_and_what_is_damaged_an_error() {
        let short = Content {
            event_type: "event".to_owned(),
            ..Content::default()
        };
        let bytes = short.to_bytes().unwrap();
        assert_eq!(bytes, br#"{"t":"event","d":0,"u":"","g":""}"#);
        assert_eq!(Content::of_bytes(&bytes).unwrap(), short);
        for damaged in [&b""[..], b"\x01", b"\x01xyz", b"{", b"\x02{}"] {
            assert!(Content::of_bytes(damaged).is_err(), "{damaged:?}");
        }
    }
}
