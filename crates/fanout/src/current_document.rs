//! The delivery of a topic's current document to one subscription.

use bellwire_queues::{Delivery, DeliveryKind, Message, Queue};
use bellwire_store::{Events, Subscription};
use time::OffsetDateTime;

use crate::{FanOutError, Restricted};

/// Creates the delivery of a topic's current document, if there is one, with a message to the queue of first
/// attempts. Whether the client may receive it was judged. A subscription receives new versions from the moment that it is a member of the topic's audience;
/// this is for the version that is current when it is made, or enabled. To do so again changes nothing: the
/// lease finds that the version is acknowledged.
pub async fn deliver_current_document(
    events: &Events,
    deliveries: &Queue,
    subscription: &Subscription,
    Restricted(restricted): Restricted,
    now: OffsetDateTime,
) -> Result<(), FanOutError> {
    let Some((topic_id, _)) = subscription.topic() else {
        return Ok(());
    };
    let Some(current) = events.latest(topic_id).await? else {
        return Ok(());
    };
    let kind = DeliveryKind::Document {
        version: current.version,
    };
    let (id, client_id) = (&subscription.subscription_id, &subscription.client_id);
    let delivery = Delivery::new(id.clone(), client_id.clone(), now, kind).restricted(restricted);
    Ok(deliveries.send(Message::delivery(&delivery)?).await?)
}
