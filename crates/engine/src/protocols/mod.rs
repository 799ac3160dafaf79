//! The protocols of deliveries, one file each: what a request carries, and what its record shows.

pub mod entities;
pub mod streams;

use bellwire_objects::ObjectError;
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::Subscription;

use crate::Error;
use crate::bodies::Bodies;
use crate::rendered::Rendered;

/// What a delivery of an event is, in the words of its protocol.
///
/// # Errors
/// [`ObjectError::Missing`] when the payload is not kept any more; when the bucket can't be read; when
/// the delivery isn't one that its subscription can get.
pub async fn render_event(
    delivery: &Delivery,
    subscription: &Subscription,
    bodies: &Bodies,
) -> Result<Rendered, Error> {
    let document = Error::Impossible("a document is no event");
    let id = delivery.id().ok_or(document)?;
    match &delivery.kind {
        DeliveryKind::Event { event_id, payload } | DeliveryKind::Test { event_id, payload } => {
            let body = bodies.read(payload).await?;
            Ok(streams::event(id, event_id, body))
        }
        DeliveryKind::TopicDeleted { event_id } => {
            streams::topic_deleted(subscription, id, event_id, delivery.accepted_at)
        }
        DeliveryKind::Entity {
            event_id,
            entity_type,
            callback_event,
        } => entities::callback(subscription, id, event_id, *entity_type, *callback_event),
        DeliveryKind::Document { .. } | DeliveryKind::Arrived { .. } => {
            Err(Error::Impossible("nothing is sent for it as for an event"))
        }
    }
}

/// Whether a delivery can't be rendered because its payload is gone for good.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Payload(ObjectError::Missing))
}
