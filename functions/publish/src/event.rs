//! Publishes an event of a topic.
//!
//! When the partition of an event's shard takes no more, the topic gets twice as many shards, and the event is recorded
//! in a new one.

use bellwire_api::Failure;
use bellwire_domain::topic::Topic;
use bellwire_fanout::{Receivers, RecordedEvent};
use bellwire_store::StoreError;
use bellwire_store::events::{Event, EventSource};
use bellwire_store::members::Segments;
use bellwire_store::topics::StoredTopic;

use crate::PublishFunction;

impl PublishFunction {
    /// Records an event and creates its deliveries. If they can't be created now, the function `fanout` is to do
    /// it: the event is accepted either way.
    ///
    /// # Errors
    /// 500 when the event can't be recorded, or its fan-out can neither be completed nor left to `fanout`.
    pub(crate) async fn publish_event(
        &self,
        topic: &StoredTopic,
        segments: &Segments,
        event: Event,
        repeatable: bool,
    ) -> Result<(), Failure> {
        let Some(recorded) = self.record(topic, event, repeatable).await? else {
            tracing::info!("event has been published before");
            return Ok(());
        };
        self.fan_out(&topic.topic, segments, &[recorded]).await
    }

    /// Records an event; `None` when it was published before.
    ///
    /// # Errors
    /// 500 when that fails.
    pub(crate) async fn record(
        &self,
        topic: &StoredTopic,
        event: Event,
        repeatable: bool,
    ) -> Result<Option<RecordedEvent>, Failure> {
        let (id, shards) = (&topic.topic.id, topic.shards);
        let source = EventSource::of_topic(id, shards);
        let recorded = self.events.record(source, event.clone(), repeatable).await;
        let Err(StoreError::HotPartition) = recorded else {
            return Ok(recorded?);
        };
        let more = match shards.doubled() {
            // Of requests at the same time each finds the partition hot, and asks for the same number.
            Some(more) => self.topics.grow(id, more).await?.unwrap_or(more),
            None => shards,
        };
        tracing::warn!(
            shards = more.count(),
            "a partition of the topic takes no more"
        );
        let source = EventSource::of_topic(id, more).in_new_half();
        Ok(self.events.record(source, event, repeatable).await?)
    }

    /// Creates the deliveries of a topic's recorded events, or leaves that to the function `fanout`.
    ///
    /// # Errors
    /// 500 when neither can be done.
    pub(crate) async fn fan_out(
        &self,
        topic: &Topic,
        segments: &Segments,
        recorded: &[RecordedEvent],
    ) -> Result<(), Failure> {
        let receivers = Receivers::of(&self.access, topic);
        let fanned_out = self
            .events
            .fan_out(&topic.id, segments, recorded, &receivers);
        if let Err(error) = fanned_out.await {
            tracing::warn!(%error, "the fan-out is left to another function");
            self.events.leave(&topic.id, recorded, &receivers).await?;
        }
        Ok(())
    }
}
