//! A delivery as it is sent, whatever the target.

use bellwire_domain::ids::{DeliveryId, EventId};
use bytes::Bytes;

/// A delivery, rendered by its protocol.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The id of the delivery, the same for all its attempts; the `webhook-id`.
    pub delivery_id: DeliveryId,
    /// The id of the event, or of the version.
    pub event_id: EventId,
    /// What the record calls it: `snapshot`, `patch`, `event`, `error`, or a callback event.
    pub event_type: &'static str,
    /// The number of the version, of a document.
    pub version: Option<u64>,
    /// The version that a patch changes.
    pub base_version: Option<u64>,
    /// The body, in JSON.
    pub body: Bytes,
    /// Whether the record shows the body and the next attempt.
    pub records_body: bool,
}
