//! Commits one publication.

use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_fanout::Receivers;
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
            restricted,
            work,
        } = publication;
        // Of a topic that everyone may see nothing is read.
        let topic = match restricted {
            true => self.access.topic(&topic_id).await?,
            false => None,
        };
        let receivers = match &topic {
            Some(topic) => Receivers::of(&self.access, topic),
            None => Receivers::Everyone,
        };
        let fan_out = async |kind, receivers: &Receivers<'_>| {
            let event = AudienceEvent {
                accepted_at,
                kind,
                shard: Shard::default(),
                repeated: false,
                restricted: receivers.are_restricted(),
            };
            let segments = self.audience.segments(&topic_id).await?;
            let events = [event];
            self.audience
                .fan_out(&topic_id, &segments, &events, receivers)
                .await
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
                fan_out(DeliveryKind::Document { version }, &receivers).await?;
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
                    .fan_out(&topic_id, &segments, &[recorded], &receivers)
                    .await?;
                tracing::info!("event committed");
            }
            Work::TopicDeleted => {
                // All members learn it, and their subscriptions end.
                let kind = DeliveryKind::TopicDeleted { event_id };
                fan_out(kind, &Receivers::Everyone).await?;
                self.forget_document(&topic_id).await?;
                tracing::info!("topic deleted");
            }
        }
        Ok(())
    }
}
