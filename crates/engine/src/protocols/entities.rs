//! Protocol C: callbacks of entities.

use bellwire_domain::entity::{CallbackBody, CallbackEvent, CallbackKey, EntityType};
use bellwire_domain::ids::{DeliveryId, EventId};
use bellwire_store::Subscription;
use bytes::Bytes;

use crate::Error;
use crate::rendered::Rendered;

/// The callback of an event of the subscription's entity, in the spelling that the subscription was made in. The
/// callback log shows its body.
pub fn callback(
    subscription: &Subscription,
    delivery_id: DeliveryId,
    event_id: &EventId,
    entity_type: EntityType,
    callback_event: CallbackEvent,
) -> Result<Rendered, Error> {
    let entity_key = subscription
        .entity()
        .ok_or(Error::Impossible("a topic has no entity"))?;
    let callback = CallbackBody {
        key: CallbackKey::new(subscription.spelling(), &subscription.subscription_id),
        entity_key,
        entity_type,
        callback_event,
    };
    Ok(Rendered {
        delivery_id,
        event_id: event_id.clone(),
        event_type: callback_event.as_str(),
        version: None,
        base_version: None,
        body: Bytes::from(serde_json::to_vec(&callback)?),
        records_body: true,
    })
}
