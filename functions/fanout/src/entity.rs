//! The fan-out of an entity's event, to the subscriptions of the clients that it names.

use bellwire_domain::entity::EntityEvent;
use bellwire_domain::topic::shards::Shard;
use bellwire_queues::{AudienceEvent, DeliveryKind};
use bellwire_store::events::{Event, EventSource};
use lambda_runtime::Error;
use time::OffsetDateTime;

use crate::FanoutFunction;

impl FanoutFunction {
    /// Records an event, of which EventBridge has sent the only copy, and creates its deliveries for the clients
    /// that it names, and for no others. To record it again changes nothing.
    ///
    /// # Errors
    /// When the event can't be recorded, members can't be read, or messages can't be sent. A part of the
    /// deliveries may have been created.
    pub(crate) async fn fan_out_entity(
        &self,
        event: Event<EntityEvent>,
        repeated: bool,
    ) -> Result<(), Error> {
        let (key, clients) = (&event.payload.entity_key, &event.payload.client_ids);
        let now = OffsetDateTime::now_utc();
        let source = EventSource::of_entity(key);
        self.events.record(&source, &event, now).await?;
        let of_audience = AudienceEvent {
            accepted_at: event.accepted_at,
            kind: DeliveryKind::Entity {
                event_id: event.event_id.clone(),
                entity_type: event.payload.entity_type,
                callback_event: event.payload.callback_event,
            },
            shard: Shard::default(),
            repeated,
            restricted: false,
        };
        self.audience
            .fan_out_entity(key, clients, &of_audience)
            .await?;
        tracing::info!(event = %event.event_id, clients = clients.iter().count(), "entity event");
        Ok(())
    }
}
