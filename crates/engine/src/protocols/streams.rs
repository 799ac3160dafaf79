//! Protocol B, "Streams": events, snapshots and patches of topics, and the end of a topic.

use bellwire_domain::delivery::error_event::ErrorEvent;
use bellwire_domain::ids::{EventId, delivery_id, version_id};
use bellwire_queues::EventType;
use bellwire_store::Subscription;
use bellwire_store::versions::Version;
use bytes::Bytes;
use http::HeaderMap;
use time::OffsetDateTime;

use crate::Error;
use crate::rendered::{Rendered, add};

/// An event, as it was published; or what an owner has sent as a test.
pub fn event(
    subscription: &Subscription,
    event_id: &EventId,
    body: Bytes,
) -> Result<Rendered, Error> {
    rendered(subscription, event_id, EventType::Event, body)
}

/// The last event of a topic: its subscribers learn that it was deleted.
pub fn topic_deleted(
    subscription: &Subscription,
    event_id: &EventId,
    at: OffsetDateTime,
) -> Result<Rendered, Error> {
    let error = ErrorEvent::topic_not_found(&subscription.subscription_id, at);
    let body = Bytes::from(serde_json::to_vec(&error)?);
    rendered(subscription, event_id, EventType::Error, body)
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
    let mut rendered = rendered(subscription, &event_id, event_type, body)?;
    let headers = &mut rendered.headers;
    add(headers, "x-bellwire-version", &version.version.to_string())?;
    if event_type == EventType::Patch {
        // A patch is kept with the version that it leads to, from the one before.
        let base = version.version - 1;
        add(headers, "x-bellwire-base-version", &base.to_string())?;
    }
    Ok(rendered)
}

fn rendered(
    subscription: &Subscription,
    event_id: &EventId,
    event_type: EventType,
    body: Bytes,
) -> Result<Rendered, Error> {
    let id = &subscription.subscription_id;
    let event_type = event_type.as_str();
    let mut headers = HeaderMap::new();
    // Tests of subscriptions to entities don't exist: there is always a topic.
    if let Some((topic_id, _)) = subscription.topic() {
        add(&mut headers, "x-axway-streams-subscription-id", id.as_str())?;
        add(&mut headers, "x-axway-streams-topic-id", topic_id.as_str())?;
        add(&mut headers, "x-axway-streams-event-id", event_id.as_str())?;
        add(&mut headers, "x-axway-streams-event-type", event_type)?;
    }
    Ok(Rendered {
        delivery_id: delivery_id(event_id, id),
        event_type,
        headers,
        body,
        records_body: false,
    })
}
