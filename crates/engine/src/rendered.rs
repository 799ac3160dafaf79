//! A delivery as it is sent, whatever the target.

use bellwire_domain::ids::DeliveryId;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;

/// A delivery, rendered by its protocol.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The id of the delivery, the same for all its attempts; the `webhook-id`.
    pub delivery_id: DeliveryId,
    /// What the record calls it: `snapshot`, `patch`, `event`, `error`, or a callback event.
    pub event_type: &'static str,
    /// The protocol's own headers.
    pub headers: HeaderMap,
    /// The body, in JSON.
    pub body: Bytes,
    /// Whether the record shows the body and the next attempt.
    pub records_body: bool,
}

/// Adds a header of a protocol.
///
/// # Errors
/// When the value can't stand in a header.
pub fn add(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Error> {
    let value = HeaderValue::from_str(value)?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
