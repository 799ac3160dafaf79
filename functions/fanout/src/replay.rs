//! The replay of a topic's past events to one subscription. `deliver` leaves out those that have been
//! delivered.

use bellwire_queues::{Delivery, DeliveryKind, FanOut, Message, Replay};
use lambda_runtime::Error;
use time::OffsetDateTime;

use crate::FanoutFunction;

/// The most events that one step replays.
const STEP: i32 = 500;
/// The most steps of a replay: fifty million events.
const MOST_STEPS: u32 = 100_000;

impl FanoutFunction {
    /// Creates the deliveries of the next events, and leaves the rest to another step. Ends the replay
    /// if the subscription or the topic is deleted, or its client may not see the topic any more. A replay with too many steps is dead-lettered.
    ///
    /// # Errors
    /// When a table or a queue fails. A part of the deliveries may have been created.
    pub(crate) async fn replay(&self, replay: Replay) -> Result<(), Error> {
        let Replay {
            subscription_id,
            client_id,
            topic_id,
            ..
        } = &replay;
        let now = OffsetDateTime::now_utc();
        let id = &replay.replay_id;
        let goes_on = self.subscriptions.continue_replay(subscription_id, id, now);
        if !goes_on.await? {
            tracing::info!(subscription = %subscription_id, "nobody to replay to");
            return Ok(());
        }
        if replay.restricted
            && !self
                .access
                .suspend_unless_permitted(subscription_id)
                .await?
        {
            tracing::info!(subscription = %subscription_id, "the client may not see the topic");
            self.subscriptions.end_replay(subscription_id, id).await?;
            return Ok(());
        }
        let after = replay.after.clone();
        let page = self
            .events
            .between(
                topic_id,
                replay.shards,
                replay.start,
                replay.end,
                after,
                STEP,
            )
            .await?;
        let count = page.events.len();
        let messages = page
            .events
            .into_iter()
            .map(|(event, shard)| {
                let kind = DeliveryKind::Event {
                    event_id: event.event_id,
                    payload: event.payload,
                };
                let delivery = Delivery::new(
                    subscription_id.clone(),
                    client_id.clone(),
                    event.accepted_at,
                    kind,
                );
                let delivery = delivery.in_shard(shard).restricted(replay.restricted);
                Message::delivery(&delivery)
            })
            .collect::<Result<_, _>>()?;
        self.deliveries.send_all(messages).await?;
        tracing::info!(subscription = %subscription_id, events = count, "replayed");
        if page.next_cursor.is_none() {
            self.subscriptions.end_replay(subscription_id, id).await?;
        } else {
            let hops = replay.hops.next(MOST_STEPS);
            let rest = FanOut::Replay(Replay {
                after: page.next_cursor,
                hops: hops.clone().unwrap_or_default(),
                ..replay
            });
            match hops {
                Ok(_) => self.fan_outs.send(Message::new(&rest)?).await?,
                // If it is redriven, it continues from there.
                Err(reason) => {
                    tracing::error!(reason, "dead letter");
                    let body = serde_json::to_string(&rest)?;
                    self.dead_letters
                        .dead_letter(&body, &reason, None, None)
                        .await?;
                }
            }
        }
        Ok(())
    }
}
