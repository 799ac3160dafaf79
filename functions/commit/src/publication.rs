//! Commits one publication.

use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_queues::{AudienceEvent, DeliveryKind, Publication, Work};
use bellwire_store::events::{Event, EventSource};
use lambda_runtime::Error;

use crate::CommitFunction;

impl CommitFunction {
    /// Puts a publication on record, and creates its deliveries for the topic's audience. A repetition
    /// creates the same deliveries again.
    ///
    /// # Errors
    /// When a payload is missing in the bucket, or a table, the bucket or a queue fails.
    pub(crate) async fn commit(&self, publication: Publication) -> Result<(), Error> {
        let Publication {
            event_id,
            topic_id,
            accepted_at,
            redriven,
            work,
        } = publication;
        let fan_out = async |kind| {
            let event = AudienceEvent {
                accepted_at,
                kind,
                shard: Shard::default(),
                repeated: false,
            };
            let segments = self.audience.segments(&topic_id).await?;
            let events = [event];
            self.audience.fan_out(&topic_id, &segments, &events).await
        };
        match work {
            Work::Document { payload } => {
                let committed = self
                    .commit_document(&topic_id, event_id.as_str(), accepted_at, payload, redriven)
                    .await?;
                let Some(committed) = committed else {
                    tracing::info!("the document has not changed");
                    return Ok(());
                };
                let version = committed.version;
                fan_out(DeliveryKind::Document { version }).await?;
                if let Some(superseded) = committed.superseded {
                    self.payloads.retire(&superseded).await?;
                }
                tracing::info!(version, "document committed");
            }
            // From before events were published by who accepts them; it may also be redriven from the dead letters.
            Work::Event {
                payload,
                repeatable,
            } => {
                let source = EventSource::of_topic(&topic_id, Shards::ONE);
                let event = Event {
                    event_id,
                    accepted_at,
                    payload,
                };
                let Some(recorded) = self.publisher.record(source, event, repeatable).await? else {
                    tracing::info!("event has been published before");
                    return Ok(());
                };
                let segments = self.audience.segments(&topic_id).await?;
                self.publisher
                    .fan_out(&topic_id, &segments, &[recorded])
                    .await?;
                tracing::info!("event committed");
            }
            Work::TopicDeleted => {
                fan_out(DeliveryKind::TopicDeleted { event_id }).await?;
                self.forget_document(&topic_id).await?;
                tracing::info!("topic deleted");
            }
        }
        Ok(())
    }
}
