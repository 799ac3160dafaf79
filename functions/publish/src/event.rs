//! Publishes an event of a topic.

use bellwire_api::Failure;
use bellwire_domain::ids::TopicId;
use bellwire_fanout::RecordedEvent;
use bellwire_store::events::{Event, EventSource};
use bellwire_store::members::Segments;

use crate::PublishFunction;

impl PublishFunction {
    /// Records an event and creates its deliveries. If they can't be created now, the function `fanout` is to do
    /// it: the event is accepted either way.
    ///
    /// # Errors
    /// 500 when the event can't be recorded, or its fan-out can neither be completed nor left to `fanout`.
    pub(crate) async fn publish_event(
        &self,
        topic_id: &TopicId,
        segments: &Segments,
        event: Event,
        repeatable: bool,
    ) -> Result<(), Failure> {
        let source = EventSource::from(topic_id);
        let Some(recorded) = self.events.record(source, event, repeatable).await? else {
            tracing::info!("event has been published before");
            return Ok(());
        };
        self.fan_out(topic_id, segments, &[recorded]).await
    }

    /// Creates the deliveries of recorded events, or leaves that to the function `fanout`.
    ///
    /// # Errors
    /// 500 when neither can be done.
    pub(crate) async fn fan_out(
        &self,
        topic_id: &TopicId,
        segments: &Segments,
        recorded: &[RecordedEvent],
    ) -> Result<(), Failure> {
        if let Err(error) = self.events.fan_out(topic_id, segments, recorded).await {
            tracing::warn!(%error, "the fan-out is left to another function");
            self.events.leave(topic_id, recorded).await?;
        }
        Ok(())
    }
}
