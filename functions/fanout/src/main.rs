//! `FanOuts`: tells one segment of a large topic, tells clients of an entity, or replays a
//! stretch of a topic's events to one subscription.

mod entity;
mod replay;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bellwire_fanout::Audience;
use bellwire_queues::{AudienceEvent, FanOut, Queue, Sources, batch, consume};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::{days, required};
use bellwire_runtime::logs;
use bellwire_store::{Events, Members, Subscriptions};
use futures_util::future::join_all;
use lambda_runtime::Error;

/// What the function keeps between batches.
struct FanoutFunction {
    events: Events,
    subscriptions: Subscriptions,
    audience: Audience,
    fan_outs: Queue,
    deliveries: Queue,
    dead_letters: Queue,
    sources: Sources,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &FanoutFunction::from_env()?;
    consume(function.sources.clone(), |event| function.handle(event)).await
}

impl FanoutFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        let queue = |name| Ok::<_, Error>(Queue::new(sqs.clone(), required(name)?));
        let fan_outs = queue("FAN_OUTS_QUEUE_URL")?;
        let deliveries = queue("DELIVERIES_QUEUE_URL")?;
        let members: String = required("MEMBERS_TABLE")?;
        Ok(Self {
            subscriptions: Subscriptions::new(
                db.clone(),
                required("SUBSCRIPTIONS_TABLE")?,
                members.clone(),
            ),
            events: Events::new(
                db.clone(),
                required("EVENTS_TABLE")?,
                days("EVENTS_KEPT_DAYS")?,
            ),
            audience: Audience::new(
                Members::new(db, members),
                fan_outs.clone(),
                deliveries.clone(),
            ),
            fan_outs,
            deliveries,
            dead_letters: queue("DEAD_FAN_OUTS_QUEUE_URL")?,
            sources: Sources::new(sqs.clone(), vec![required("FAN_OUTS_QUEUE_URL")?]),
        })
    }

    async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let failed = join_all(event.records.iter().map(|message| self.process(message))).await;
        batch::failures(failed.into_iter().flatten().collect())
    }

    /// Works off a message. Returns its id if it failed.
    async fn process(&self, message: &SqsMessage) -> Option<String> {
        let done = match batch::read(message) {
            Ok(FanOut::Segment {
                audience_id,
                segment,
                event,
            }) => self.fan_out_segment(&audience_id, segment, &event).await,
            Ok(FanOut::Entity {
                event_id,
                accepted_at,
                event,
            }) => self.fan_out_entity(event_id, accepted_at, event).await,
            Ok(FanOut::Replay(replay)) => self.replay(replay).await,
            Err(reason) => {
                tracing::error!(reason, message_id = message.message_id, "dead letter");
                let body = message.body.as_deref().unwrap_or_default();
                let dead_lettered = self
                    .dead_letters
                    .dead_letter(body, &reason, None, None)
                    .await;
                dead_lettered.map_err(Error::from)
            }
        };
        let cause = done.err()?;
        tracing::error!(%cause, message_id = message.message_id, "fan-out failed");
        Some(batch::id(message))
    }

    /// Tells a segment of a large topic. One that is empty for good gets no messages any more: where
    /// that can't be recorded, the next message does it.
    async fn fan_out_segment(
        &self,
        topic_id: &str,
        segment: u64,
        event: &AudienceEvent,
    ) -> Result<(), Error> {
        let members = self
            .audience
            .fan_out_segment(topic_id, segment, event)
            .await?;
        tracing::info!(topic = topic_id, segment, members, "segment told");
        if members == 0 {
            match self.audience.skip_if_empty(topic_id, segment).await {
                Ok(skipped) => tracing::info!(topic = topic_id, segment, skipped, "empty segment"),
                Err(error) => tracing::warn!(%error, topic = topic_id, segment, "empty segment"),
            }
        }
        Ok(())
    }
}
