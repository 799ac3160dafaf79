//! The fan-out of an entity's event, to the subscriptions of the clients that it names.

use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::{AudienceId, EventId, entity_audience_id};
use bellwire_queues::{AudienceEvent, DeliveryKind};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::Error;
use time::OffsetDateTime;

use crate::FanoutFunction;

/// For how many clients deliveries are created concurrently: each may take a dozen connections to SQS.
const CLIENTS_AT_ONCE: usize = 8;

impl FanoutFunction {
    /// Creates the deliveries of an event for the clients that it names, and for no others.
    ///
    /// # Errors
    /// When members can't be read, or messages can't be sent. A part of the deliveries may have been
    /// created.
    pub(crate) async fn fan_out_entity(
        &self,
        event_id: EventId,
        accepted_at: OffsetDateTime,
        event: EntityEvent,
    ) -> Result<(), Error> {
        let key = event.entity_key.as_str();
        let audiences: Vec<AudienceId> = event
            .client_ids
            .iter()
            .map(|client| entity_audience_id(client.as_str(), key))
            .collect();
        tracing::info!(%event_id, clients = audiences.len(), "entity event");
        let event = AudienceEvent {
            accepted_at,
            kind: DeliveryKind::Entity {
                event_id,
                entity_type: event.entity_type,
                callback_event: event.callback_event,
            },
        };
        stream::iter(&audiences)
            .map(|audience| self.audience.fan_out_segment(audience, 0, &event))
            .buffer_unordered(CLIENTS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        Ok(())
    }
}
