//! Protocol B, "Streams": events, snapshots and patches of topics, and the end of a topic. The headers are
//! `domain/delivery/own_headers`.

use bellwire_domain::delivery::error_event::ErrorEvent;
use bellwire_domain::ids::{DeliveryId, EventId, delivery_id, version_id};
use bellwire_queues::EventType;
use bellwire_store::Subscription;
use bellwire_store::versions::Version;
use bytes::Bytes;
use time::OffsetDateTime;

use crate::Error;
use crate::rendered::Rendered;

/// An event, as it was published; or what an owner has sent as a test.
pub fn event(delivery_id: DeliveryId, event_id: &EventId, body: Bytes) -> Rendered {
    rendered(delivery_id, event_id, EventType::Event, body)
}

/// The last event of a topic: its subscribers learn that it was deleted.
pub fn topic_deleted(
    subscription: &Subscription,
    delivery_id: DeliveryId,
    event_id: &EventId,
    at: OffsetDateTime,
) -> Result<Rendered, Error> {
    let error = ErrorEvent::topic_not_found(&subscription.subscription_id, at);
    let body = Bytes::from(serde_json::to_vec(&error)?);
    Ok(rendered(delivery_id, event_id, EventType::Error, body))
}

/// A version of a topic's document, as a snapshot or as a patch. Its headers say which version it is and
/// which one a patch changes: a request may take effect after its time-out, when a later one has been
/// acknowledged, and the receiver drops what it can't apply.
pub fn version(
    subscription: &Subscription,
    version: &Version,
    event_type: EventType,
    body: Bytes,
) -> Result<Rendered, Error> {
    let (topic_id, _) = subscription
        .topic()
        .ok_or(Error::Impossible("an entity has no documents"))?;
    let event_id = version_id(topic_id, version.version);
    let id = delivery_id(&event_id, &subscription.subscription_id);
    let patch = event_type == EventType::Patch;
    Ok(Rendered {
        version: Some(version.version),
        // A patch is kept with the version that it leads to, from the one before.
        base_version: patch.then(|| version.version - 1),
        ..rendered(id, &event_id, event_type, body)
    })
}

fn rendered(
    delivery_id: DeliveryId,
    event_id: &EventId,
    event_type: EventType,
    body: Bytes,
) -> Rendered {
    Rendered {
        delivery_id,
        event_id: event_id.clone(),
        event_type: event_type.as_str(),
        version: None,
        base_version: None,
        body,
        records_body: false,
    }
}
