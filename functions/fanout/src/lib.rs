//! `FanOuts`: creates deliveries.
//!
//! - Of an event, or a document's version, for one segment of a large topic's audience; of an event whose fan-out its
//!   publisher had to leave: this file.
//! - Of an entity's event, for the clients that it names: `entity`.
//! - Of a topic's past events, for one subscription: `replay`.

mod entity;
mod replay;

use bellwire_app::{App, BadSetting, Setting};
use bellwire_domain::ids::{AudienceId, MessageId, TopicId};
use bellwire_domain::topic::Topic;
use bellwire_fanout::{AccessJudge, Audience, Receivers};
use bellwire_queues::{AudienceEvent, FanOut, Queue, Received, Source};
use bellwire_store::events::Event;
use bellwire_store::{Events, Subscriptions};
use futures_util::future::join_all;
use lambda_runtime::Error;

/// The function, with what it keeps between batches.
#[derive(Debug)]
pub struct FanoutFunction {
    events: Events,
    subscriptions: Subscriptions,
    audience: Audience,
    access: AccessJudge,
    fan_outs: Queue,
    deliveries: Queue,
    dead_letters: Queue,
    /// The queue that its messages are received from.
    pub source: Source,
}

impl FanoutFunction {
    /// Takes the function's tables and queues from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            events: app.events()?,
            subscriptions: app.subscriptions()?,
            audience: app.audience()?,
            access: app.access_judge()?,
            fan_outs: app.queue(Setting::FanOutsQueueUrl)?,
            deliveries: app.queue(Setting::DeliveriesQueueUrl)?,
            dead_letters: app.queue(Setting::DeadFanOutsQueueUrl)?,
            source: app.source(&[Setting::FanOutsQueueUrl], Setting::DeadFanOutsQueueUrl)?,
        })
    }

    /// Processes the messages of a batch concurrently. Returns the ids of those that failed.
    pub async fn handle(&self, batch: Vec<Received<FanOut>>) -> Vec<MessageId> {
        let failed = join_all(batch.into_iter().map(|message| self.process(message))).await;
        failed.into_iter().flatten().collect()
    }

    /// Processes a message. Returns its id if that failed.
    async fn process(&self, message: Received<FanOut>) -> Option<MessageId> {
        let id = message.id();
        let done = match message.content {
            FanOut::Segment {
                audience_id,
                segment,
                event,
            } => self.fan_out_segment(&audience_id, segment, &event).await,
            FanOut::Audience { topic_id, event } => self.fan_out_topic(&topic_id, event).await,
            FanOut::Entity {
                event_id,
                accepted_at,
                event,
                repeated,
            } => {
                let event = Event {
                    event_id,
                    accepted_at,
                    payload: event,
                };
                self.fan_out_entity(event, repeated).await
            }
            FanOut::Replay(replay) => self.replay(replay).await,
        };
        let cause = done.err()?;
        tracing::error!(%cause, message_id = %id, "fan-out failed");
        Some(id)
    }

    /// Creates the deliveries of an event for a topic's audience.
    async fn fan_out_topic(&self, topic_id: &TopicId, event: AudienceEvent) -> Result<(), Error> {
        let segments = self.audience.segments(topic_id).await?;
        let topic = self.judged(topic_id, event.restricted).await?;
        let receivers = self.receivers(topic.as_ref());
        let events = [event];
        self.audience
            .fan_out(topic_id, &segments, &events, &receivers)
            .await?;
        tracing::info!(topic = %topic_id, "fanned out");
        Ok(())
    }

    /// The topic as it is now, by which its members are judged; `None` where nobody is.
    async fn judged(&self, topic_id: &TopicId, restricted: bool) -> Result<Option<Topic>, Error> {
        match restricted {
            true => Ok(self.access.topic(topic_id).await?),
            false => Ok(None),
        }
    }

    /// For whom of a topic's members its publications are.
    fn receivers<'a>(&'a self, topic: Option<&'a Topic>) -> Receivers<'a> {
        match topic {
            Some(topic) => Receivers::of(&self.access, topic),
            None => Receivers::Everyone,
        }
    }

    /// Creates the deliveries of an event for a segment of a large topic's audience. A segment that is
    /// empty, and can't get members any more, is excluded from then on; if that can't be recorded, the
    /// next message for the segment records it.
    async fn fan_out_segment(
        &self,
        audience_id: &AudienceId,
        segment: u64,
        event: &AudienceEvent,
    ) -> Result<(), Error> {
        let topic_id = TopicId::new(audience_id.as_str());
        let topic = self.judged(&topic_id, event.restricted).await?;
        let receivers = self.receivers(topic.as_ref());
        let members = self
            .audience
            .fan_out_segment(audience_id, segment, event, &receivers)
            .await?;
        tracing::info!(audience = %audience_id, segment, members, "segment fanned out");
        if members == 0 {
            match self.audience.skip_if_empty(audience_id, segment).await {
                Ok(skipped) => {
                    tracing::info!(audience = %audience_id, segment, skipped, "empty segment")
                }
                Err(error) => {
                    tracing::warn!(%error, audience = %audience_id, segment, "empty segment")
                }
            }
        }
        Ok(())
    }
}
